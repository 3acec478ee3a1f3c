"""The other kinds of input: requirements, scripts, projects, locks, environments; and what is none of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from pip._internal.models.index import PyPI

from kpack.errors import UsageError
from kpack.importing import Harvest, Outcome, read, settle
from kpack.importing.both import RANGES
from kpack.importing.lock_markers import settled
from tests.importing.test_shapes import notebook

if TYPE_CHECKING:
    from pathlib import Path


def taken(folder: Path, name: str, text: str, *, extras: tuple[str, ...] = (), groups: tuple[str, ...] = ()) -> Harvest:
    (folder / name).write_text(text, encoding="utf-8")
    harvest = Harvest(folder=folder)
    read(folder / name, harvest, extras=extras, groups=groups)
    settle(harvest, [])
    counts = harvest.counts()
    assert counts["total"] == sum(counts[key] for key in ("understood", "left", "in_image", "nothing"))
    return harvest


def entries(harvest: Harvest) -> list[str]:
    return list(harvest.packages.values())


def left(harvest: Harvest) -> list[str]:
    return [f"{one.said}: {one.why} | {one.write}" for one in harvest.findings if one.verdict is Outcome.LEFT]


TWICE: dict[str, tuple[str, list[str]]] = {
    "two ranges": ("numpy>=1.20\nnumpy<2\n", ["numpy>=1.20,<2"]),
    "three": ("numpy>=1.20\nnumpy\nNumPy!=1.24,<2\n", ["numpy>=1.20,!=1.24,<2"]),
    "a pin in a range": ("numpy>=1.20\nnumpy==1.26.4\n", ["numpy==1.26.4"]),
    "extras": ("pkg[a]>=1\npkg[b]\n", ["pkg[a,b]>=1"]),
    "one marker": (
        "numpy>=1; python_version < '3.13'\nnumpy<2; python_version<'3.13'\n",
        ['numpy>=1,<2; python_version < "3.13"'],
    ),
    "two markers": (
        "numpy<2; python_version < '3.13'\nnumpy>=2; python_version >= '3.13'\n",
        ["numpy<2; python_version < '3.13'", "numpy>=2; python_version >= '3.13'"],
    ),
    "one for all and one for some": (
        "numpy>=1.20\nnumpy<2; python_version < '3.12'\n",
        ['numpy>=1.20,<2; python_version < "3.12"', 'numpy>=1.20; python_version >= "3.12"'],
    ),
    "one for some and one for all": (
        "numpy<2; sys_platform == 'linux'\nnumpy\nscipy\n",
        ['numpy<2; sys_platform == "linux"', 'numpy; sys_platform != "linux"', "scipy"],
    ),
    "a URL and a range": (
        "pkg>=1\npkg @ https://host.example/pkg-1.0.tar.gz\n",
        ["pkg @ https://host.example/pkg-1.0.tar.gz"],
    ),
    "a file that another one names": ("numpy>=1.20\n-r more.txt\n", ["numpy>=1.20,<2"]),
    "a constraint twice": ("numpy>=1\n-c limits.txt\n", ["numpy!=1.24,<2,>=1"]),
    "digests": (
        f"numpy==1 --hash=sha256:{'a' * 64} --hash=sha256:{'b' * 64}\nnumpy==1 --hash=sha256:{'b' * 64}\n",
        [f"numpy==1 --hash=sha256:{'b' * 64}"],
    ),
}


@pytest.mark.parametrize("case", TWICE)
def test_lines_of_one_file_hold_at_once_as_for_pip(tmp_path: Path, case: str) -> None:
    (tmp_path / "more.txt").write_text("numpy<2\n")
    (tmp_path / "limits.txt").write_text("numpy<2\nnumpy!=1.24\n")
    text, expected = TWICE[case]
    harvest = taken(tmp_path, "requirements.txt", text)
    assert entries(harvest) == expected
    assert left(harvest) == []


DIGEST = "0123456789abcdef" * 4
AS_PIP: dict[str, tuple[str | bytes, list[str], list[str]]] = {
    "PowerShell's encoding": ("numpy\nscipy\n".encode("utf-16"), ["numpy", "scipy"], []),
    "UTF-32": ("numpy\n".encode("utf-32"), ["numpy"], []),
    "an encoding that is named": ("# -*- coding: latin-1 -*-\nnumpy # größe\n".encode("latin-1"), ["numpy"], []),
    "an encoding of hosts' names": (b"# coding: punycode\nnumpy\n", ["numpy"], []),
    "a name in two lines": ("num\\\npy\\\\\n>=1\n", ["numpy>=1"], []),
    "a comment that goes on": ("numpy # c \\\nscipy\nrich\n", ["numpy", "rich"], []),
    "a line that is a comment": ("numpy==1 \\\n  # c \\\nrich\n", ["numpy==1", "rich"], []),
    "a backslash and a space": ("numpy \\ \nrich\n", ["rich"], ["is not a requirement"]),
    "a NUL": ("numpy\0\n", [], ["is not a requirement"]),
    "a digest behind a URL": (
        f"foo @ https://host.example/foo-1.0.zip --hash=sha256:{DIGEST}\n",
        [f"foo @ https://host.example/foo-1.0.zip#sha256={DIGEST}"],
        [],
    ),
    "a digest behind a path": (f"./fork --hash=sha256:{DIGEST}\n", [f"./fork --hash=sha256:{DIGEST}"], []),
    "a list by its URL": ("-r file://{here}/more.txt\n", ["more"], []),
    "constraints of constraints": ("numpy\n-c limits.txt\n", ["numpy<2", "more"], []),
    "a marker behind what is editable": ("-e ./fork ; python_version > '3'\n", ["./fork"], ["pip passes over it"]),
    "words behind an option": (
        "-r more.txt and more\n--pre rich\n",
        ["more"],
        ["pip passes over it", "pip passes over it", "--pre lets in"],
    ),
    "a word like the value of an option": ("-r more.txt more.txt\n", ["more"], ["pip passes over it"]),
    "an option of uv": ("-P numpy\n", [], ["pip passes over it"]),
    "an index and a word": (
        "--extra-index-url https://host.example/simple numpy\n-U rich\n",
        [],
        ["pip passes over it", "which packages it serves", "pip passes over it"],
    ),
    "a folder with a slash": ("fork/\n", ["./fork"], []),
    "a folder by its URL": ("file://{here}/fork\n", ["./fork"], []),
    "a path for some kernels": ("./fork; python_version > '3'\n", [], ["a path is for every kernel"]),
    "a URL for some kernels": (
        "https://host.example/foo-1.0-py3-none-any.whl ; python_version > '3'\n",
        ['foo @ https://host.example/foo-1.0-py3-none-any.whl ; python_version > "3"'],
        [],
    ),
    "a secret of the URL that is a variable": (
        "https://${TOKEN}@host.example/foo-1.0-py3-none-any.whl\n",
        ["foo @ https://host.example/foo-1.0-py3-none-any.whl"],
        [],
    ),
    "a query": (
        "https://host.example/foo-1.0-py3-none-any.whl?x=1\n",
        ["foo @ https://host.example/foo-1.0-py3-none-any.whl?x=1"],
        [],
    ),
    "an sdist": ("https://host.example/foo-1.0.tar.gz\n", ["foo @ https://host.example/foo-1.0.tar.gz"], []),
    "a marker that says nothing": ("numpy ;\n", ["numpy"], []),
    "what conda's builds leave": (
        "foo @ file:///nowhere/feedstock/foo-1.0\nbar @ file:///nowhere/work\n",
        ["foo==1.0", "bar"],
        [],
    ),
    "a command": ("pip install numpy\n", [], ["is not a requirement"]),
}


@pytest.mark.parametrize("case", AS_PIP)
def test_a_requirements_file_is_read_as_by_pip(tmp_path: Path, case: str) -> None:
    (tmp_path / "fork").mkdir()
    (tmp_path / "fork" / "pyproject.toml").write_text("")
    (tmp_path / "more.txt").write_text("more\n")
    (tmp_path / "limits.txt").write_text("--pre\n-c less.txt\n-r more.txt\n")
    (tmp_path / "less.txt").write_text("numpy<2\n")
    text, expected, words = AS_PIP[case]
    raw = text if isinstance(text, bytes) else text.replace("{here}", str(tmp_path)).encode()
    (tmp_path / "requirements.txt").write_bytes(raw)
    harvest = Harvest(folder=tmp_path)
    read(tmp_path / "requirements.txt", harvest)
    settle(harvest, [])
    assert entries(harvest) == expected
    told = left(harvest)
    assert len(told) == len(words)
    assert all(word in one for word, one in zip(words, told, strict=True))
    counts = harvest.counts()
    assert counts["total"] == sum(counts[key] for key in ("understood", "left", "in_image", "nothing"))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"# coding: nothing\nnumpy # \xf6\n", ":2: is not UTF-8"),
        (b"# coding: ascii\nnumpy # \xf6\n", ":2: is not ascii, which it says it is"),
        (b"# coding: undefined\nnumpy\n", "cannot be decoded"),
        (b"\xff\xfen", "is not utf-16"),
    ],
)
def test_text_in_another_encoding_than_it_says_is_told(tmp_path: Path, raw: bytes, words: str) -> None:
    (tmp_path / "requirements.txt").write_bytes(raw)
    with pytest.raises(UsageError, match=words):
        read(tmp_path / "requirements.txt", Harvest(folder=tmp_path))


def test_lines_of_one_file_that_exclude_each_other_are_told(tmp_path: Path) -> None:
    harvest = taken(tmp_path, "requirements.txt", "numpy>=2\nnumpy<2\n")
    assert entries(harvest) == ["numpy<2"]
    assert 'pip refuses them; takes the place of "numpy>=2"' in harvest.findings[-1].why
    urls = "pkg @ https://host.example/pkg-1.0.tar.gz\npkg @ https://host.example/pkg-2.0.tar.gz\n"
    assert "pip refuses them" in taken(tmp_path, "more.txt", urls).findings[-1].why


def test_a_line_for_some_kernels_takes_no_line_away_that_is_for_all(tmp_path: Path) -> None:
    (tmp_path / "limits.txt").write_text("numpy<3; python_version < '3.12'\n")
    marker = "python_version < '3.12' and os_name == 'posix'"
    harvest = taken(tmp_path, "requirements.txt", f"numpy>=1.20\nnumpy<2; {marker}\n-c limits.txt\n")
    assert entries(harvest) == ["numpy>=1.20"]
    first, second = left(harvest)
    assert '"numpy>=1.20" asks for it in every kernel' in first
    assert "a constraint that counts in some kernels only" in second


def test_files_are_one_request_and_commands_one_after_the_other(tmp_path: Path) -> None:
    harvest = Harvest(folder=tmp_path)
    for name, text in {"one.txt": "numpy>=1.20\n", "two.txt": "numpy<2\n"}.items():
        (tmp_path / name).write_text(text)
        read(tmp_path / name, harvest)
    assert entries(harvest) == ["numpy>=1.20,<2"]
    cells = ['!pip install "scipy>=1" "scipy<2"', '!pip install "numpy>=2"', '!pip install "scipy<1.9"']
    read(notebook(tmp_path / "nb.ipynb", cells), harvest)
    assert entries(harvest) == ["numpy>=2", "scipy<1.9"]
    assert 'together with "scipy>=1"' in [one.why for one in harvest.findings]


def test_a_requirements_file_loses_nothing_that_is_pinned(tmp_path: Path) -> None:
    (tmp_path / "sub" / "fork").mkdir(parents=True)
    (tmp_path / "sub" / "more.txt").write_text("-r ../requirements.txt\nmore\n-e ./fork\n")
    (tmp_path / "limits.txt").write_text("numpy<2\nnobody<1\n")
    digest = "0" * 64
    harvest = taken(
        tmp_path,
        "requirements.txt",
        f"""# what we need
--index-url https://me:secret@host.example/simple
-f https://host.example/links.html
-r sub/more.txt
-c limits.txt
numpy>=1  # arrays
torch==2 ; python_version < '3.13'
torch==2.1 ; python_version >= '3.13'
hashed==1 \\
    --hash=sha256:{digest}
    # via something
https://host.example/a/archive/d9ee.tar.gz#egg=arch --hash=sha256:{digest}
-e git+https://host.example/o/django-rest.git@d9ee#egg=djangorest&subdirectory=sub
--no-binary=psycopg2
--pre
""",
    )
    assert entries(harvest) == [
        "more",
        "./sub/fork",
        "numpy<2,>=1",
        "torch==2 ; python_version < '3.13'",
        "torch==2.1 ; python_version >= '3.13'",
        f"hashed==1 --hash=sha256:{digest}",
        f"arch @ https://host.example/a/archive/d9ee.tar.gz#sha256={digest}",
        "djangorest @ git+https://host.example/o/django-rest.git@d9ee#subdirectory=sub",
    ]
    words = "\n".join(left(harvest))
    assert "secret" not in words
    for part in ("--index-url", "--find-links", "nobody", 'allow-source = ["psycopg2"]', "--pre lets in pre-releases"):
        assert part in words
    assert harvest.counts()["nothing"] == 0


def test_tabs_and_options_that_name_nothing_stand_in_no_ones_way(tmp_path: Path) -> None:
    text = "rank\t==\t1.0\n--no-index\n--prefer-binary\n--trusted-host host.example\n--no-binary :all:\n"
    harvest = taken(tmp_path, "requirements.txt", text)
    assert entries(harvest) == ["rank == 1.0"]
    (words,) = left(harvest)
    assert words.startswith("--no-binary :all:: --no-binary :all: has everything built from source | allow-source")


def test_a_script_gives_its_metadata_and_what_its_code_downloads(tmp_path: Path) -> None:
    harvest = taken(
        tmp_path,
        "run.py",
        """# /// script
# requires-python = ">=3.12"
# dependencies = [
#   "rank-bm25<1",
# ]
# ///
import rank_bm25
from torch.hub import load_state_dict_from_url

load_state_dict_from_url("https://host.example/w.pth")
""",
    )
    assert entries(harvest) == ["rank-bm25<1", "torch"]
    assert [one.path for one in harvest.checkpoints.values()] == ["~/.cache/torch/hub/checkpoints/w.pth"]


def test_a_project_gives_its_dependencies_extras_groups_and_sources(tmp_path: Path) -> None:
    text = """[project]
name = "x"
dependencies = [
    "numpy>=1",
    "fork[a]",
    "inner",
    "there",
]
[project.optional-dependencies]
gpu = ["cupy"]
docs = ["sphinx"]
[dependency-groups]
test = ["pytest", {include-group = "lint"}]
lint = ["ruff"]
[tool.uv.sources]
fork = { git = "https://host.example/fork", tag = "v1" }
inner = { path = "inner" }
there = { index = "corp" }
"""
    (tmp_path / "inner").mkdir()
    harvest = taken(tmp_path, "pyproject.toml", text, extras=("gpu",), groups=("test",))
    assert entries(harvest) == [
        "numpy>=1",
        "fork[a] @ git+https://host.example/fork@v1",
        "./inner",
        "there",
        "cupy",
        "pytest",
        "ruff",
    ]
    words = "\n".join(left(harvest))
    assert "--extra docs" in words
    assert "the index 'corp'" in words
    with pytest.raises(UsageError, match='no extra "gpus"') as raised:
        taken(tmp_path, "pyproject.toml", text, extras=("gpus",))
    assert raised.value.next == "it has docs, gpu"


@pytest.mark.parametrize(
    ("version", "entry"),
    [
        ("^1.2.3", "p<2,>=1.2.3"),
        ("^0.2.3", "p<0.3,>=0.2.3"),
        ("^0.0.3", "p<0.0.4,>=0.0.3"),
        ("~1.2", "p<1.3,>=1.2"),
        ("~1", "p<2,>=1"),
        ("1.4", "p==1.4"),
        (">=1,<3", "p<3,>=1"),
        ("*", "p"),
    ],
)
def test_ranges_of_poetry_become_those_of_pep_440(tmp_path: Path, version: str, entry: str) -> None:
    harvest = taken(tmp_path, "pyproject.toml", f'[tool.poetry.dependencies]\npython = "^3.11"\np = "{version}"\n')
    assert entries(harvest) == [entry]


def test_a_pipfile_gives_its_packages(tmp_path: Path) -> None:
    harvest = taken(
        tmp_path,
        "Pipfile",
        """[packages]
requests = "*"
fork = { git = "https://host.example/fork", ref = "v1" }
torch = { version = ">=2", extras = ["opt"], markers = "sys_platform == 'linux'" }
[dev-packages]
pytest = "*"
[requires]
python_version = "3.12"
""",
    )
    assert entries(harvest) == [
        "requests",
        "fork @ git+https://host.example/fork@v1",
        'torch[opt]>=2; sys_platform == "linux"',
    ]
    assert harvest.python == "3.12"
    assert ["pytest" in one for one in left(harvest)] == [True]


def test_a_pipfile_gives_markers_and_the_index_of_a_package(tmp_path: Path) -> None:
    harvest = taken(
        tmp_path,
        "Pipfile",
        """[[source]]
url = "https://wheels.example/cu121"
verify_ssl = true
name = "cuda"
[packages]
torchvision = { version = "==0.19.0", index = "cuda" }
pywin32 = { version = "*", sys_platform = "== 'win32'", markers = "python_version < '4'" }
other = { version = "*", index = "elsewhere" }
""",
    )
    assert entries(harvest) == [
        "torchvision==0.19.0",
        'pywin32; python_version < "4" and sys_platform == "win32"',
        "other",
    ]
    assert {url: one.packages for url, one in harvest.indexes.items()} == {
        "https://wheels.example/cu121": ("torchvision",)
    }
    assert ["elsewhere" in one for one in left(harvest)] == [True]


def test_an_extra_of_the_project_itself_and_an_included_group_are_followed(tmp_path: Path) -> None:
    text = """[project]
name = "App"
version = "1"
dependencies = ["one"]
[project.optional-dependencies]
gpu = ["two"]
all = ["app[gpu,all]", "three"]
rest = ["not-asked"]
[dependency-groups]
test = ["four", "app[gpu]"]
kaggle = [{ include-group = "test" }, { include-group = "kaggle" }, "five"]
[tool.uv.sources]
one = { index = "wheels" }
three = [{ index = "wheels", marker = "sys_platform == 'linux'" }]
[[tool.uv.index]]
name = "wheels"
url = "https://wheels.example/simple"
"""
    harvest = taken(tmp_path, "pyproject.toml", text, extras=("all",), groups=("kaggle",))
    assert entries(harvest) == ["one", "two", "three", "four", "five"]
    assert [one.packages for one in harvest.indexes.values()] == [("one",)]
    assert [one.partition(": ")[2] for one in left(harvest)] == [
        "three has several sources, by system or extra | declare the one for Linux in [[indexes]], with this package",
        "the extra rest was not asked for | kpack init --from pyproject.toml --extra rest",
    ]


def test_poetry_gives_its_extras_and_groups(tmp_path: Path) -> None:
    project = """[tool.poetry.dependencies]
python = "^3.12"
one = "1"
two = { version = "~2.0", optional = true }
[tool.poetry.extras]
asr = ["two"]
[tool.poetry.group.dev.dependencies]
three = "^3"
"""
    harvest = taken(tmp_path, "pyproject.toml", project, extras=("asr",), groups=("dev",))
    assert entries(harvest) == ["one==1", "two<2.1,>=2.0", "three<4,>=3"]
    assert left(harvest) == []
    plain = taken(tmp_path, "pyproject.toml", project)
    assert entries(plain) == ["one==1"]
    assert sum("was not asked for" in one for one in left(plain)) == 2
    locked = """[[package]]
name = "two"
version = "2.0"
optional = true
groups = ["main"]
[[package]]
name = "three"
version = "3.1"
optional = false
groups = ["dev"]
[extras]
asr = ["two"]
"""
    assert entries(taken(tmp_path, "poetry.lock", locked, extras=("asr",), groups=("dev",))) == [
        "two==2.0",
        "three==3.1",
    ]
    assert entries(taken(tmp_path, "poetry.lock", locked)) == []
    with pytest.raises(UsageError, match="no extra"):
        taken(tmp_path, "poetry.lock", locked, extras=("nosuch",))


def test_a_lock_of_uv_gives_extras_groups_forks_and_registries(tmp_path: Path) -> None:
    text = """version = 1
[[package]]
name = "app"
version = "1"
source = { virtual = "." }
dependencies = [{ name = "server", extra = ["standard"] }]
[package.optional-dependencies]
gpu = [{ name = "cuda" }]
[package.dev-dependencies]
kaggle = [
    { name = "fast", version = "1", marker = "python_full_version < '3.11'" },
    { name = "fast", version = "2", marker = "python_full_version >= '3.11'" },
]
"""
    for name, version in (("server", "5"), ("cuda", "12"), ("fast", "1"), ("fast", "2"), ("deep", "1")):
        where = "https://wheels.example/cu121" if name == "cuda" else "https://host.example/simple"
        text += f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "{where}" }}\n'
    harvest = taken(tmp_path, "uv.lock", text, extras=("gpu",), groups=("kaggle",))
    assert entries(harvest) == [
        "server[standard]==5",
        "cuda==12",
        'fast==1; python_full_version < "3.11"',
        'fast==2; python_full_version >= "3.11"',
    ]
    assert {url: one.packages for url, one in harvest.indexes.items()} == {"https://wheels.example/cu121": ("cuda",)}
    plain = taken(tmp_path, "uv.lock", text)
    assert entries(plain) == ["server[standard]==5"]
    assert 'the index "https://host.example/simple" is for all packages' in left(plain)[0]
    assert [one.rpartition(" | ")[2] for one in left(plain)[1:]] == [
        "kpack init --from uv.lock --extra gpu",
        "kpack init --from uv.lock --group kaggle",
    ]
    with pytest.raises(UsageError, match="no group"):
        taken(tmp_path, "uv.lock", text, groups=("nosuch",))


PDM = """lock-version = "1.0"
extras = ["plot"]
dependency-groups = ["default", "dev"]
default-groups = ["default"]
packages = [
    { name = "six", version = "1", marker = '"default" in dependency_groups' },
    { name = "rich", version = "2", marker = '("default" in dependency_groups or "a" in extras) and os_name == "a"' },
    { name = "jinja2", version = "3", marker = '"plot" in extras' },
    { name = "pytest", version = "4", marker = '"Dev" in dependency_groups and python_version > "3"' },
]
"""


def test_a_standard_lock_gives_its_default_groups_and_those_that_are_asked_for(tmp_path: Path) -> None:
    plain = taken(tmp_path, "pylock.toml", PDM)
    assert entries(plain) == ["six==1", 'rich==2; os_name == "a"']
    assert [one.partition(": ")[2].partition(" that")[0] for one in left(plain)] == [
        "jinja2 is of an extra or a group",
        "pytest is of an extra or a group",
    ]
    asked = taken(tmp_path, "pylock.toml", PDM, extras=("plot",), groups=("dev",))
    assert entries(asked) == [*entries(plain), "jinja2==3", 'pytest==4; python_version > "3"']
    with pytest.raises(UsageError, match='no extra "gpu"'):
        taken(tmp_path, "pylock.toml", PDM, extras=("gpu",))


_ATOMS = st.sampled_from(
    [
        "'a' in extras",
        "'b' not in extras",
        "'a' in dependency_groups",
        "python_version < '3.12'",
        "os_name == 'a or (b'",
    ]
)
_MARKERS = st.recursive(
    _ATOMS,
    lambda inner: st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda held: f"({' '.join(held)})"),
)


@given(_MARKERS, st.sets(st.sampled_from("ab")), st.sets(st.sampled_from("ab")), st.sampled_from(["3.11", "3.12"]))
def test_what_is_left_of_a_lock_marker_means_the_same(
    marker: str, extras: set[str], groups: set[str], python: str
) -> None:
    environment = {"python_version": python, "os_name": "a or (b" if extras else "posix"}
    whole = Marker(marker).evaluate({**environment, "extras": extras, "dependency_groups": groups}, context="lock_file")
    rest = settled(marker, extras=extras, groups=groups)
    assert whole == (rest is not None and (not rest or Marker(rest).evaluate(environment)))


@pytest.mark.parametrize("marker", ["", '; python_version < "3.9"'])
def test_lines_of_one_name_without_end_are_not_put_together(tmp_path: Path, marker: str) -> None:
    harvest = taken(tmp_path, "requirements.txt", "".join(f"numpy!=1.{n}{marker}\n" for n in range(RANGES + 2)))
    (entry,) = entries(harvest)
    assert entry == f"numpy!=1.{RANGES},!=1.{RANGES + 1}{marker}"
    assert f"more than {RANGES} ranges" in harvest.findings[RANGES].why
    apart = f'numpy!={"1." * 1990}1\nnumpy; "{"x" * 100}" in os_name\n'
    assert len(entries(taken(tmp_path, "requirements.txt", apart))) == 1


def test_a_standard_lock_keeps_where_each_package_comes_from(tmp_path: Path) -> None:
    for name in ("arch.tar.gz", "thing-1.0-py3-none-any.whl"):
        (tmp_path / name).write_text("")
    (tmp_path / "fork").mkdir()
    commit = "0123456789" * 4
    git = f'type = "git", url = "https://host.example/g.git", commit-id = "{commit}", subdirectory = "py"'
    far = f'url = "https://host.example/far-1.tar.gz", hashes = {{ sha256 = "{DIGEST}" }}, subdirectory = "sub"'
    harvest = taken(
        tmp_path,
        "pylock.toml",
        f"""lock-version = "1.0"
packages = [
    {{ name = "torch", version = "2.1.0+cu118", index = "https://wheels.example/cu118" }},
    {{ name = "six", version = "1.16.0", index = "{PyPI.simple_url}" }},
    {{ name = "gitted", marker = "python_version < '3.13'", vcs = {{ {git} }} }},
    {{ name = "mercury", vcs = {{ type = "hg", url = "https://host.example/m", commit-id = "{commit}" }} }},
    {{ name = "near", vcs = {{ type = "git", path = "../near", commit-id = "{commit}" }} }},
    {{ name = "far", archive = {{ {far} }} }},
    {{ name = "here", archive = {{ path = "arch.tar.gz" }} }},
    {{ name = "fork", directory = {{ path = "fork" }} }},
    {{ name = "forked", marker = "python_version < '3.13'", directory = {{ path = "./fork" }} }},
    {{ name = "thing", version = "1.0", wheels = [{{ path = "thing-1.0-py3-none-any.whl" }}] }},
]
""",
    )
    assert entries(harvest) == [
        "torch==2.1.0+cu118",
        "six==1.16.0",
        f'gitted @ git+https://host.example/g.git@{commit}#subdirectory=py ; python_version < "3.13"',
        f"far @ https://host.example/far-1.tar.gz#subdirectory=sub&sha256={DIGEST}",
        "./arch.tar.gz",
        "./fork",
        "./thing-1.0-py3-none-any.whl",
    ]
    assert {url: one.packages for url, one in harvest.indexes.items()} == {"https://wheels.example/cu118": ("torch",)}
    assert [one.partition(" | ")[0].partition(": ")[2].partition(" at ")[0] for one in left(harvest)] == [
        "mercury comes from hg",
        "near comes from git",
        'a path is for every kernel, and this one for some: python_version < "3.13"',
    ]


def test_a_lock_of_uv_gives_what_its_project_asks_for_at_its_versions(tmp_path: Path) -> None:
    harvest = taken(
        tmp_path,
        "uv.lock",
        """version = 1
[[package]]
name = "app"
version = "0.1"
source = { virtual = "." }
dependencies = [
    { name = "idna", marker = "python_full_version < '3.13'" },
    { name = "fork" },
]
[[package]]
name = "idna"
version = "3.7"
source = { registry = "https://host.example/simple" }
[[package]]
name = "fork"
version = "1.0"
source = { git = "https://host.example/fork?rev=v1#0123abcd" }
dependencies = [{ name = "deep" }]
[[package]]
name = "deep"
version = "2"
source = { registry = "https://host.example/simple" }
""",
    )
    assert entries(harvest) == [
        'idna==3.7; python_full_version < "3.13"',
        "fork @ git+https://host.example/fork@0123abcd",
    ]
    assert any("deep is there for the sake of others" in one.why for one in harvest.findings)


def test_locks_of_others_give_what_nothing_in_them_asks_for(tmp_path: Path) -> None:
    pylock = """lock-version = "1.0"
[[packages]]
name = "idna"
version = "3.7"
[[packages]]
name = "app"
version = "1"
dependencies = [{ name = "idna" }]
[[packages]]
name = "fork"
vcs = { type = "git", url = "https://host.example/fork", commit-id = "0123" }
"""
    assert entries(taken(tmp_path, "pylock.toml", pylock)) == ["app==1", "fork @ git+https://host.example/fork@0123"]
    poetry = """[[package]]
name = "app"
version = "1"
groups = ["main"]
[package.dependencies]
Idna = ">=3"
[[package]]
name = "idna"
version = "3.7"
groups = ["main"]
[[package]]
name = "pytest"
version = "8"
groups = ["dev"]
"""
    assert entries(taken(tmp_path, "poetry.lock", poetry)) == ["app==1"]
    pipfile = {"default": {"idna": {"version": "==3.7", "markers": "python_version >= '3.6'"}}, "develop": {}}
    assert entries(taken(tmp_path, "Pipfile.lock", json.dumps(pipfile, indent=1))) == [
        "idna==3.7 ; python_version >= '3.6'"
    ]
    with pytest.raises(UsageError, match="a lock that kpack wrote"):
        taken(tmp_path, "pylock.x.toml", f"{pylock}[tool.kpack]\nformat = 1\n")


@pytest.mark.parametrize(
    ("name", "text", "known"),
    [
        ("uv.lock", 'version = VERSION\n[[package]]\nname = "a"\nversion = "1"\n', "1"),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = "1"\n[metadata]\nlock-version = "VERSION"\n', "2.1"),
        ("pylock.toml", 'lock-version = "VERSION"\n[[packages]]\nname = "a"\nversion = "1"\n', "1.0"),
        ("Pipfile.lock", '{"_meta": {"pipfile-spec": VERSION}, "default": {"a": {"version": "==1"}}}', "6"),
    ],
)
def test_a_lock_of_another_format_is_read_and_left_to_a_look(tmp_path: Path, name: str, text: str, known: str) -> None:
    assert left(taken(tmp_path, name, text.replace("VERSION", known))) == []
    later = taken(tmp_path, name, text.replace("VERSION", "99"))
    assert entries(later) == ["a==1"]
    (words,) = left(later)
    assert "of the format '99', and this kpack knows" in words
    assert known in words


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("Pipfile.lock", '{"default": {"a": {"version": 5}}}', "the version of a cannot be read: '5'"),
        ("Pipfile.lock", '{"default": {"a": 5}}', "the version of a cannot be read: '5'"),
        ("Pipfile.lock", '{"default": {"a": {"version": "==1", "markers": []}}}', "the markers of a cannot be read"),
        ("Pipfile.lock", '{"default": {"a": {"git": 5}}}', "the git of a cannot be read"),
        ("uv.lock", '[[package]]\nname = "a"\nversion = 5\n', "the version of a cannot be read: '5'"),
        ("uv.lock", '[[package]]\nname = "a"\nversion = "1"\nsource = "x"\n', "the source of a cannot be read"),
        ("uv.lock", '[[package]]\nname = "a"\nsource = { git = 5 }\n', "the git of a cannot be read"),
        ("uv.lock", 'package = [5, { name = 5 }, { name = "b", version = "1" }]\n', "2 of its packages have no name"),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = ["1"]\n', "the version of a cannot be read"),
        ("poetry.lock", '[[package]]\nname = "a"\nversion = "1"\nsource = 5\n', "the source of a cannot be read"),
        ("pylock.toml", '[[packages]]\nname = "a"\nversion = 5\n', "the version of a cannot be read"),
        ("pylock.toml", '[[packages]]\nname = "a"\nvcs = { url = 5 }\n', "the git of a cannot be read"),
        ("pyproject.toml", '[project]\nname = "x"\ndependencies = [5, "b==1"]\n', "it holds what is no text"),
        ("s.py", "# /// script\n# dependencies = [5, 'b==1']\n# ///\n", "it is no text"),
    ],
)
def test_a_row_of_another_type_is_left_and_not_guessed(tmp_path: Path, name: str, text: str, said: str) -> None:
    harvest = taken(tmp_path, name, text)
    assert set(entries(harvest)) <= {"b==1"}
    assert any(said in words for words in left(harvest))


def test_where_a_lock_found_a_package_is_kept(tmp_path: Path) -> None:
    for folder in ("b", "c"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pyproject.toml").touch()
    poetry = "".join(
        f'[[package]]\nname = "{name}"\nversion = "1"\n[package.source]\ntype = "{kind}"\nurl = "{url}"\n'
        for name, kind, url in (
            ("a", "url", "https://h/a-1.tar.gz"),
            ("b", "directory", "b"),
            ("c", "legacy", "https://corp.example/simple"),
        )
    )
    harvest = taken(tmp_path, "poetry.lock", poetry)
    assert entries(harvest) == ["a @ https://h/a-1.tar.gz", "./b", "c==1"]
    assert [index.packages for index in harvest.indexes.values()] == [("c",)]
    sources = [
        {"name": "pypi", "url": "https://first.example/simple"},
        {"name": "x", "url": "https://x.example/simple"},
    ]
    default = {
        "a": {"version": "==1", "index": "pypi", "extras": ["more"]},
        "b": {"version": "==1", "index": "x"},
        "c": {"path": "./c", "editable": True},
        "d": {"file": "https://h/d-1.tar.gz"},
    }
    harvest = taken(tmp_path, "Pipfile.lock", json.dumps({"_meta": {"sources": sources}, "default": default}, indent=1))
    assert entries(harvest) == ["a[more]==1", "b==1", "./c", "d @ https://h/d-1.tar.gz"]
    assert [index.url for index in harvest.indexes.values()] == ["https://x.example/simple"]


def test_an_environment_of_conda_gives_its_pip_part_and_words_on_the_rest(tmp_path: Path) -> None:
    harvest = taken(
        tmp_path,
        "environment.yml",
        """name: x
channels: [conda-forge]
dependencies:
  - python=3.12
  - pip
  - numpy=1.26
  - conda-forge::rdkit>=2024
  - pip:
      - rank-bm25<1
      - --pre
""",
    )
    assert entries(harvest) == ["rank-bm25<1"]
    assert harvest.python == "3.12"
    words = left(harvest)
    assert any('kpack add "numpy==1.26.*"' in one for one in words)
    assert any('kpack add "rdkit>=2024"' in one for one in words)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("n.ipynb", "", "is not a notebook"),
        ("n.ipynb", "[]", "is not a notebook"),
        ("n.ipynb", '{"cells": 1}', "is not a notebook"),
        ("n.ipynb", "[" * 100_000, "is not a notebook"),
        ("n.ipynb", '{\n"cells": [' + "9" * 5000 + "]}", "is not a notebook"),
        ("n.ipynb", '{"cells": [{"cell_type": "code", "source": "a\\u0000"}]}', "no program can hold"),
        ("n.ipynb", '{"cells": [{"cell_type": "code", "source": "a\\ud800"}]}', "no program can hold"),
        ("s.py", "a = 1\nb = '\0'\n", "holds a NUL"),
        ("s.py", "# /// script\n# dependencies = [\n# ///\n", "not valid TOML"),
        ("pyproject.toml", "[", "not valid TOML"),
        ("uv.lock", "version = 1\n", "it has no packages"),
        ("environment.yml", "a: [", "is not YAML"),
        ("environment.yml", "a: 1", "it has no dependencies"),
        ("environment.yml", "[" * 5000, "is not YAML"),
        ("Pipfile.lock", "{", "is not JSON"),
        ("Pipfile.lock", '{"default": []}', "it has no packages under default"),
        ("setup.cfg", "", "what kind of file"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, what: str
) -> None:
    with pytest.raises(UsageError, match=what) as raised:
        taken(tmp_path, name, text)
    assert name in raised.value.where
    assert raised.value.next


def test_a_fault_in_a_notebook_is_named_by_its_line(tmp_path: Path) -> None:
    deep = '{"cells": [\n\n{"a":' + "[" * 300 + "]" * 300 + "}]}"
    with pytest.raises(UsageError) as raised:
        taken(tmp_path, "n.ipynb", deep)
    assert raised.value.where.endswith("n.ipynb:3")
    source = json.dumps({"cells": [{"cell_type": "markdown"}, {"cell_type": "code", "source": "x\ny\0"}]})
    with pytest.raises(UsageError) as raised:
        taken(tmp_path, "n.ipynb", source)
    assert raised.value.where.endswith("n.ipynb: cell 2, line 2")


def test_a_folder_of_wheels_that_is_here_serves_the_names_of_its_line(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "rank_bm25-0.2-py3-none-any.whl").touch()
    harvest = Harvest(folder=tmp_path)
    read(notebook(tmp_path / "n.ipynb", ["!pip install --no-index -f wheels rank-bm25"]), harvest)
    (index,) = harvest.indexes.values()
    assert (index.url, index.packages, index.links) == ("./wheels", ("rank-bm25",), True)


def test_texts_that_double_themselves_stay_small(tmp_path: Path) -> None:
    doubled = "a = 'x'\n" + "a = a + a\nb = f'{a}{a}{a}'\n" * 200 + "!pip install {a} {b}" + "{a}" * 5000
    notebook(tmp_path / "n.ipynb", [doubled])
    harvest = Harvest(folder=tmp_path)
    read(tmp_path / "n.ipynb", harvest)
    assert all(len(one.said) < 1000 for one in harvest.findings)


@given(st.text(max_size=60))
def test_any_cell_is_read_without_a_failure(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("cells")
    plain = text.replace("\0", " ").encode("utf-8", "replace").decode()
    path = notebook(folder / "n.ipynb", [f"!pip install {plain}", f"%%bash\n{plain}", plain, f"x(\n{plain}\n)"])
    harvest = Harvest(folder=folder)
    read(path, harvest)
    settle(harvest, [])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_requirements_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("lists") / "requirements.txt"
    path.write_bytes(text.encode())
    try:
        read(path, Harvest(folder=path.parent))
    except UsageError as error:
        assert error.next  # noqa: PT017 - which of both is the example's own matter


@pytest.mark.parametrize(
    "line",
    [
        "!wget https://example.org/f{0}",
        "M.from_pretrained('o/m{0}')",
        "!pip install --index-url https://example.org/{0} p{0}",
        "!pip install p{0}",
        "import m{0}",
        "!git clone https://example.org/a/b{0} && pip install ./b{0}",
    ],
)
def test_a_notebook_may_ask_for_a_stated_number_of_things(tmp_path: Path, line: str) -> None:
    most = 200
    harvest = Harvest(folder=tmp_path, most=most)
    below = notebook(tmp_path / "below.ipynb", ["\n".join(map(line.format, range(most // 2)))])
    read(below, harvest)
    settle(harvest, [])
    above = notebook(tmp_path / "above.ipynb", ["\n".join(map(line.format, range(most + 1)))])
    harvest = Harvest(folder=tmp_path, most=most)
    with pytest.raises(UsageError, match="asks for more than 200 things") as raised:  # noqa: PT012
        read(above, harvest)
        settle(harvest, [])
    assert "above.ipynb: cell 1, line " in raised.value.where


def test_indexes_of_one_host_have_names_of_their_own(tmp_path: Path) -> None:
    urls = [f"https://h.example/{number}" for number in range(120)]
    urls.insert(1, "https://h.example/x-2")
    lines = [f"!pip install --index-url {url} p{number}" for number, url in enumerate(urls)]
    harvest = Harvest(folder=tmp_path)
    read(notebook(tmp_path / "n.ipynb", lines), harvest)
    names = [index.name for index in harvest.indexes.values()]
    assert len(set(names)) == len(names) == len(urls)


def test_what_a_script_of_a_cell_asks_for_stands_at_that_cell(tmp_path: Path) -> None:
    calls = "\n".join(f"os.system('pip install a{number}')" for number in range(50))
    harvest = Harvest(folder=tmp_path)
    read(notebook(tmp_path / "n.ipynb", [f"%%bash\npython - <<EOF\nimport os\n{calls}\nEOF"]), harvest)
    assert harvest.counts()["understood"] == 53


@pytest.mark.parametrize("command", ["install", "download", "wheel", "uninstall"])
def test_every_option_of_the_pip_that_is_here_is_known(command: str) -> None:
    from pip._internal.commands import create_command

    from kpack.importing.options import arguments

    for option in create_command(command).parser.option_list_all:
        for spelling in (*option._short_opts, *option._long_opts):
            words = [spelling, "x"] if option.takes_value() else [spelling]
            assert not arguments(words).unknown, spelling


def test_a_folder_without_wheels_serves_nothing(tmp_path: Path) -> None:
    (tmp_path / "wheels").mkdir()
    harvest = Harvest(folder=tmp_path)
    cells = ["!pip install -f file:./wheels jiwer", "!pip wheel -w /kaggle/working -f /kaggle/working rank-bm25"]
    read(notebook(tmp_path / "n.ipynb", cells), harvest)
    assert not harvest.indexes


def test_a_function_that_is_written_again_hides_no_call_below(tmp_path: Path) -> None:
    again = "import os\ndef install(name):\n    os.system(name)\n"
    asked = "\n".join(f'os.system("pip install name{number}")' for number in range(50))
    notebook(tmp_path / "n.ipynb", [again, again, again, "import os\n" + asked])
    harvest = Harvest(folder=tmp_path)
    read(tmp_path / "n.ipynb", harvest)
    assert list(harvest.packages.values()) == [f"name{number}" for number in range(50)]
