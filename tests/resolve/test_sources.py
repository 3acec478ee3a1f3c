"""Sdists that are allowed, direct URLs, folders, repositories: their metadata is resolved, their source is told."""

from __future__ import annotations

import base64
import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import IntegrityError, MisfitError, NoSolution
from kpack.resolve import resolve
from kpack.resolve.model import Source
from kpack.resolve.worker import finder
from kpack.resolve.worker.finder import UPLOADED_PRIOR_TO
from kpack.target import targets
from tests.resolve.scenario import base_image, packed
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kpack.resolve.model import Pin, TargetResolution
    from tests.resolve.scenario import Scenario

BACKEND = """
import os
def prepare_metadata_for_build_wheel(folder, config_settings=None):
    info = "{name}-{version}.dist-info"
    os.makedirs(os.path.join(folder, info))
    with open(os.path.join(folder, info, "METADATA"), "w") as stream:
        stream.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n{requires}")
    return info
def build_wheel(folder, config_settings=None, metadata_directory=None):
    raise RuntimeError("nobody builds a wheel to resolve")
"""


def project(name: str, version: str, requires: Sequence[str] = ()) -> dict[str, str]:
    """Return the files of a project with a build backend of its own, which needs nothing."""
    lines = "".join(f"Requires-Dist: {line}\\n" for line in requires)
    return {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
        "own.py": BACKEND.format(name=name, version=version, requires=lines),
    }


def sdist(folder: Path, name: str, version: str, files: Mapping[str, str]) -> Path:
    path = folder / f"{name}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for inner, text in files.items():
            member = tarfile.TarInfo(f"{name}-{version}/{inner}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def pin(answer: TargetResolution, name: str) -> Pin:
    return next(item for item in answer.packed if item.name == name)


def test_allowed_sdist_is_resolved_by_its_own_backend(scenario: Scenario) -> None:
    path = scenario.index.add(sdist(scenario.folder, "top", "1.0", project("top", "1.0", ["dep>=1"])))
    scenario.wheel("dep", "1.0")
    answer = scenario.lock("top", allow_source=["top"])
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    assert pin(answer, "top").wheel is None
    assert pin(answer, "top").requires_dist == ("dep>=1",)
    assert pin(answer, "top").source == Source(
        kind="sdist",
        url=f"{scenario.index.root}/files/{path.name}",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def test_extras_of_an_sdist_are_those_that_its_backend_tells(scenario: Scenario) -> None:
    files = project("top", "1.0", ["dep; extra == 'more'"])
    files["own.py"] = files["own.py"].replace("Requires-Dist", "Provides-Extra: more\\nRequires-Dist")
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    scenario.wheel("dep", "1.0")
    answer = scenario.lock("top[more,less]", allow_source=["top"])
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    assert "top 1.0 has no extra less, so that nothing comes with it (it has more)" in answer.notes


def test_metadata_of_an_sdist_is_built_once(scenario: Scenario) -> None:
    scenario.index.add(sdist(scenario.folder, "top", "1.0", project("top", "1.0")))
    scenario.lock("top", allow_source=["top"])
    scenario.index.requests.clear()
    scenario.lock("top", allow_source=["top"])
    assert not [path for path in scenario.index.requests if path.endswith(".tar.gz")]


def test_metadata_that_pkg_info_promises_needs_no_build(scenario: Scenario) -> None:
    info = "Metadata-Version: 2.2\nName: top\nVersion: 1.0\nRequires-Dist: dep\n"
    files = {"PKG-INFO": info, "pyproject.toml": '[build-system]\nrequires = ["absent"]\nbuild-backend = "absent"\n'}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    scenario.wheel("dep", "1.0")
    assert packed(scenario.lock("top", allow_source=["top"])) == {"dep": "1.0", "top": "1.0"}


def test_dynamic_metadata_is_built(scenario: Scenario) -> None:
    info = "Metadata-Version: 2.2\nName: top\nVersion: 1.0\nDynamic: Requires-Dist\n"
    files = {**project("top", "1.0", ["dep"]), "PKG-INFO": info}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    scenario.wheel("dep", "1.0")
    assert packed(scenario.lock("top", allow_source=["top"])) == {"dep": "1.0", "top": "1.0"}


def test_wheel_of_a_version_is_preferred_to_its_sdist(scenario: Scenario) -> None:
    scenario.index.add(sdist(scenario.folder, "top", "1.0", project("top", "1.0")))
    scenario.wheel("top", "1.0")
    answer = scenario.lock("top", allow_source=["top"])
    assert pin(answer, "top").source is None


def test_newer_sdist_is_taken_when_it_is_allowed(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.add(sdist(scenario.folder, "top", "2.0", project("top", "2.0")))
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    assert packed(scenario.lock("top", allow_source=["top"])) == {"top": "2.0"}


def test_sdist_with_another_digest_than_its_index_says_is_passed_over(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0")
    scenario.index.add(sdist(scenario.folder, "top", "2.0", project("top", "2.0")), sha256="0" * 64)
    assert packed(scenario.lock("top", allow_source=["top"])) == {"top": "1.0"}


def test_exclude_newer_holds_for_build_dependencies(scenario: Scenario) -> None:
    for version, day in (("1.0", "2026-01-01"), ("2.0", "2026-06-01")):
        backend = BACKEND.format(name="top", version="1.0", requires=f"Requires-Dist: built-with-{version[0]}\\n")
        scenario.wheel("tool", version, files={"tool.py": backend}, upload_time=f"{day}T00:00:00Z")
        scenario.wheel(f"built-with-{version[0]}")
    files = {"pyproject.toml": '[build-system]\nrequires = ["tool"]\nbuild-backend = "tool"\n'}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    if not UPLOADED_PRIOR_TO:  # pip before 26.0: refused, not built with what is too new
        with pytest.raises(MisfitError, match="exclude-newer"):
            scenario.lock("top", allow_source=["top"], exclude_newer=datetime(2026, 3, 1, tzinfo=UTC))
        return
    answer = scenario.lock("top", allow_source=["top"], exclude_newer=datetime(2026, 3, 1, tzinfo=UTC))
    assert packed(answer) == {"built-with-1": "1.0", "top": "1.0"}


@pytest.mark.skipif(not UPLOADED_PRIOR_TO, reason="pip before 26 prints the words of a failed build itself")
def test_sdist_that_does_not_build_is_named_with_its_last_words(scenario: Scenario) -> None:
    files = {**project("top", "1.0"), "own.py": "raise RuntimeError('a compiler is missing')\n"}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    with pytest.raises(NoSolution, match="top") as caught:
        scenario.lock("top", allow_source=["top"])
    assert "a compiler is missing" in caught.value.what


def test_direct_url_of_a_wheel_is_pinned_by_its_bytes(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0", "dep")
    scenario.wheel("dep")
    url = f"{scenario.index.root}/files/{path.name}"
    answer = scenario.lock(f"top @ {url}")
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    wheel = pin(answer, "top").wheel
    assert wheel is not None
    assert (wheel.url, wheel.sha256, wheel.index) == (url, hashlib.sha256(path.read_bytes()).hexdigest(), None)
    assert pin(answer, "top").source is None


def test_direct_url_of_a_wheel_for_another_target_is_refused(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    with pytest.raises(NoSolution, match="not a supported wheel"):
        scenario.lock(f"top @ {scenario.index.root}/files/{path.name}")


def test_direct_url_of_an_archive_gives_its_digest(scenario: Scenario) -> None:
    path = scenario.index.add(sdist(scenario.folder, "top", "1.0", project("top", "1.0", ["dep"])))
    scenario.wheel("dep")
    url = f"{scenario.index.root}/files/{path.name}"
    answer = scenario.lock(f"top @ {url}")
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert pin(answer, "top").source == Source(kind="archive", url=url, sha256=digest)
    assert pin(answer, "top").wheel is None


def test_local_folder_and_wheel_are_told_by_relative_path(scenario: Scenario) -> None:
    folder = scenario.folder / "fork"
    folder.mkdir()
    for name, text in project("top", "1.0", ["dep"]).items():
        (folder / name).write_text(text)
    make_wheel(scenario.folder / "local", "dep", "3.0")
    answer = scenario.lock("./fork", "./local/dep-3.0-py3-none-any.whl")
    assert packed(answer) == {"dep": "3.0", "top": "1.0"}
    assert pin(answer, "top").source == Source(kind="directory", url="fork")
    assert pin(answer, "top").needed_by[0].requirement == "./fork"
    source, wheel = pin(answer, "dep").source, pin(answer, "dep").wheel
    assert source is not None
    assert wheel is not None
    assert (source.kind, source.url) == ("wheel", "local/dep-3.0-py3-none-any.whl")
    assert (wheel.url, wheel.sha256) == (None, source.sha256)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_repository_is_pinned_to_the_commit(scenario: Scenario) -> None:
    folder = scenario.folder / "repo"
    folder.mkdir()
    for name, text in project("top", "1.0", ["dep"]).items():
        (folder / name).write_text(text)

    def git(*words: str) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main", *words]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    git("tag", "v1")
    scenario.wheel("dep")
    answer = scenario.lock(f"top @ git+file://{folder}@v1")
    assert packed(answer) == {"dep": "1.0", "top": "1.0"}
    source = pin(answer, "top").source
    assert source is not None
    assert (source.kind, source.revision, source.commit) == ("vcs", "v1", git("rev-parse", "HEAD"))
    assert source.url == f"git+file://{folder}"


def test_no_command_line_has_the_password_of_an_index(scenario: Scenario, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []
    start = subprocess.Popen.__init__

    def starting(own: subprocess.Popen[str], args: Sequence[str], *more: Any, **keywords: Any) -> None:
        started.extend(map(str, args))
        start(own, args, *more, **keywords)

    monkeypatch.setattr(subprocess.Popen, "__init__", starting)
    scenario.wheel("tool", "1.0")
    files = project("top", "1.0")
    files["pyproject.toml"] = files["pyproject.toml"].replace("requires = []", 'requires = ["tool"]')
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    scenario.index.auth = "Basic " + base64.b64encode(b"user:s3cret").decode()
    url = scenario.index.url.replace("http://", "http://user:s3cret@")
    environment = scenario.environment("top", allow_source=["top"])
    answer = resolve(environment, targets(environment, [base_image({})]), cache_dir=None, index_url=url)
    assert packed(answer.targets[0]) == {"top": "1.0"}
    assert "install" in started
    assert not [word for word in started if "s3cret" in word]


def test_requirement_on_a_direct_url_must_fit_it(scenario: Scenario) -> None:
    path = scenario.wheel("dep", "1.0")
    scenario.wheel("top", "1.0", "dep>=2")
    with pytest.raises(NoSolution, match=r"top 1.0 needs dep>=2"):
        scenario.lock("top", f"dep @ {scenario.index.root}/files/{path.name}")


def test_url_that_only_a_dependency_names_is_refused(scenario: Scenario) -> None:
    path = scenario.wheel("dep", "1.0")
    url = f"{scenario.index.root}/files/{path.name}"
    scenario.wheel("top", "1.0", f"dep @ {url}")
    with pytest.raises(NoSolution, match=r"only kaggle-env\.toml may take something from a URL") as caught:
        scenario.lock("top")
    assert f'"dep @ {url}"' in caught.value.next
    assert packed(scenario.lock("top", f"dep @ {url}")) == {"dep": "1.0", "top": "1.0"}


def test_an_old_version_that_wants_a_url_says_what_keeps_the_new_ones_away(scenario: Scenario) -> None:
    scenario.wheel("top", "1.0", "dep @ https://user:s3cret@host.invalid/d")
    scenario.wheel("top", "2.0", "torch>=3")
    scenario.wheel("torch", "3.0")
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base={"torch": "2.0"})
    assert caught.value.what == (
        "top 2.0 needs torch>=3, but the base image kernel has torch 2.0\n"
        "  kaggle-env.toml asks for top; top 2.0 asks for torch>=3\n"
        "older: top 1.0 needs dep @ https://host.invalid/d, and only kaggle-env.toml may take something from a URL"
    )
    assert caught.value.next.startswith('write replace = ["torch"] to pack torch 3.0')
    assert packed(scenario.lock("top", base={"torch": "2.0"}, replace=["torch"])) == {"top": "2.0", "torch": "3.0"}


def test_url_under_an_extra_matters_only_when_the_extra_is_asked_for(scenario: Scenario) -> None:
    scenario.wheel(
        "top", "1.0", "dep @ git+https://user:s3cret@host.invalid/dep ; extra == 'dev'", provides_extra=["dev"]
    )
    assert packed(scenario.lock("top")) == {"top": "1.0"}
    with pytest.raises(NoSolution, match="may take something from a URL") as caught:
        scenario.lock("top[dev]")
    assert "s3cret" not in str(caught.value.to_dict())


def test_credentials_of_a_direct_url_stay_out_of_answers_and_errors(scenario: Scenario) -> None:
    path = scenario.wheel("top", "1.0", "torch")
    url = f"{scenario.index.root}/files/{path.name}".replace("http://", "http://user:s3cret@")
    answer = scenario.lock(f"top @ {url}", base={"torch": "2.0"})
    assert "s3cret" not in repr(answer)
    assert answer.packed[0].needed_by[0].requirement == f"top @ {scenario.index.root}/files/{path.name}"
    scenario.wheel("other", "1.0", "torch>=3")
    with pytest.raises(NoSolution) as caught:
        scenario.lock(f"top @ {url}", "other", base={"torch": "2.0"})
    assert "s3cret" not in str(caught.value.to_dict())
    path = scenario.wheel("bad", "1.0", "torch>=3")
    url = f"{scenario.index.root}/files/{path.name}".replace("http://", "http://user:s3cret@")
    with pytest.raises(NoSolution, match="needs torch>=3") as caught:
        scenario.lock(f"bad @ {url}", base={"torch": "2.0"})
    assert "s3cret" not in str(caught.value.to_dict())


def test_zip_sdist_is_read_and_a_broken_one_is_passed_over(scenario: Scenario) -> None:
    import zipfile

    path = scenario.folder / "top-1.0.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("top-1.0/PKG-INFO", "Metadata-Version: 2.2\nName: top\nVersion: 1.0\nRequires-Dist: dep\n")
    scenario.index.add(path)
    broken = scenario.folder / "top-2.0.tar.gz"
    broken.write_bytes(b"no archive")
    scenario.index.add(broken)
    scenario.wheel("dep")
    assert packed(scenario.lock("top", allow_source=["top"])) == {"dep": "1.0", "top": "1.0"}


def test_url_of_no_archive_is_named_with_what_would_do(scenario: Scenario) -> None:
    path = scenario.folder / "top-1.0.txt"
    path.write_text("no archive")
    scenario.index.add(path)
    with pytest.raises(NoSolution, match=r"top: Cannot determine archive format") as caught:
        scenario.lock(f"top @ {scenario.index.root}/files/{path.name}")
    assert "pip-" not in caught.value.what
    assert caught.value.next.startswith("name a wheel, or a folder")


def test_file_that_is_not_what_its_url_says_is_an_integrity_error(scenario: Scenario) -> None:
    path = scenario.wheel("top")
    url = f"{scenario.index.root}/files/{path.name}"
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(IntegrityError) as caught:
        scenario.lock(f"top @ {url}#sha256={'0' * 64}")
    assert caught.value.what == f"top: sha256 is {right}, its URL in packages says {'0' * 64}"
    assert packed(scenario.lock(f"top @ {url}#sha256={right}")) == {"top": "1.0"}


def test_source_of_another_name_is_not_taken_for_the_one_asked_for(scenario: Scenario) -> None:
    path = sdist(scenario.folder, "other", "1.0", project("other", "1.0"))
    scenario.index.add(path)
    url = f"{scenario.index.root}/files/{path.name}"
    with pytest.raises(NoSolution, match=r"gives other, not top") as caught:
        scenario.lock(f"top @ {url}")
    assert caught.value.next == "write other @ …, or another URL"
    assert packed(scenario.lock(f"other @ {url}")) == {"other": "1.0"}


def test_a_project_below_the_top_of_an_archive_is_named(scenario: Scenario) -> None:
    path = scenario.folder / "main.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("proj-main/PythonAPI/setup.py", "")
    with pytest.raises(NoSolution) as caught:
        scenario.lock(f"top @ {path.as_uri()}")
    assert caught.value.what == (
        "top: no Python project: neither pyproject.toml nor setup.py is at its top; projects below it: PythonAPI"
    )
    assert caught.value.next.startswith("write #subdirectory=PythonAPI at the end of its URL")


def test_a_torch_that_only_the_image_has_is_not_fetched_for_a_build(scenario: Scenario) -> None:
    build = '[build-system]\nrequires = ["setuptools", "torch"]\n'
    path = scenario.index.add(sdist(scenario.folder, "top", "1.0", {"pyproject.toml": build, "setup.py": ""}))
    scenario.wheel("torch", "2.11.0")
    words = "top: its build needs torch, and the image has torch 2.10.0.cu128, which no index here has"
    for request in ("top", f"top @ {path.as_uri()}"):
        with pytest.raises(NoSolution, match=words) as caught:
            scenario.lock(request, base={"torch": "2.10.0+cu128"}, allow_source=["top"])
        assert 'no-build-isolation = ["top"]' in caught.value.next
    assert not any("torch-2.11.0" in each for each in scenario.index.requests)


@pytest.mark.parametrize(
    ("has", "asked", "built"), [("81.0", "tool", "81"), ("81.0", "tool>81", "82"), ("80.0", "tool", "82")]
)
def test_what_a_source_requires_is_asked_with_the_build_tools_of_the_image_where_they_do(
    scenario: Scenario, has: str, asked: str, built: str
) -> None:
    for version in ("81", "82"):
        backend = BACKEND.format(name="top", version="1.0", requires=f"Requires-Dist: built-with-{version}\\n")
        scenario.wheel("tool", f"{version}.0", files={"tool.py": backend})
        scenario.wheel(f"built-with-{version}")
    files = {"pyproject.toml": f'[build-system]\nrequires = ["{asked}"]\nbuild-backend = "tool"\n'}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    answer = scenario.lock("top", base={"tool": has}, allow_source=["top"])
    assert packed(answer) == {f"built-with-{built}": "1.0", "top": "1.0"}


def test_build_tools_of_the_image_give_way_where_what_else_is_required_does_not_go_with_them(
    scenario: Scenario,
) -> None:
    backend = BACKEND.format(name="top", version="1.0", requires="")
    scenario.wheel("tool", "81.0", files={"tool.py": backend})
    scenario.wheel("tool", "82.0", files={"tool.py": backend})
    scenario.wheel("plugin", "1.0", "tool>81")
    files = {"pyproject.toml": '[build-system]\nrequires = ["tool", "plugin"]\nbuild-backend = "tool"\n'}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    assert packed(scenario.lock("top", base={"tool": "81.0"}, allow_source=["top"])) == {"top": "1.0"}


@pytest.mark.parametrize(
    ("pyproject", "words"),
    [
        ('[build-system]\nrequires = ["tool >= 2x"]\n', "top: its pyproject.toml is not valid: .*'tool >= 2x'"),
        ('[build-system]\nbuild-backend = "tool"\n', "top: its pyproject.toml is not valid: .*`requires`"),
        ("[build-system\n", "top: its pyproject.toml is not valid: "),
        ('[build-system]\nrequires = ["nosuch>=1"]\n', "top: its build requires nosuch>=1, and no index here has"),
        (
            '[build-system]\nrequires = ["tool<82", "tool>82"]\n',
            "top: its build requires tool.*no environment can have",
        ),
    ],
)
def test_a_build_system_that_cannot_be_had_is_told_as_such(scenario: Scenario, pyproject: str, words: str) -> None:
    for version in ("81.0", "82.0", "83.0"):
        scenario.wheel("tool", version)
    files = {"pyproject.toml": pyproject, "setup.py": ""}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    with pytest.raises(NoSolution, match=words) as caught:
        scenario.lock("top", allow_source=["top"])
    assert "or give the URL or path of a prebuilt wheel of it in packages" in caught.value.next


def test_a_marker_of_a_build_requirement_counts_for_a_torch_of_the_image_too(scenario: Scenario) -> None:
    files = project("top", "1.0")
    files["pyproject.toml"] = files["pyproject.toml"].replace("[]", "[\"torch; python_version < '3'\"]")
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    assert packed(scenario.lock("top", base={"torch": "2.10.0+cu128"}, allow_source=["top"])) == {"top": "1.0"}


@pytest.mark.parametrize(
    "said", ["Please install numpy first: pip install numpy", "numpy is not installed.", "top requires numpy >= 1.14"]
)
def test_what_a_build_says_it_cannot_do_without_is_told_as_such(scenario: Scenario, said: str) -> None:
    files = {**project("top", "1.0"), "own.py": f"raise SystemExit({said!r})\n"}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    with pytest.raises(NoSolution) as caught:
        scenario.lock("top", base={"numpy": "2.0"}, allow_source=["top"])
    assert f"its build asks for numpy ({said}), which its [build-system] does not require" in caught.value.what
    assert 'no-build-isolation = ["top"]' in caught.value.next


def test_what_a_failed_build_says_is_told_without_the_frames_of_its_traceback(scenario: Scenario) -> None:
    files = {**project("top", "1.0"), "own.py": "import json\njson.loads('no JSON')\n"}
    scenario.index.add(sdist(scenario.folder, "top", "1.0", files))
    with pytest.raises(NoSolution, match="Expecting value") as caught:
        scenario.lock("top", allow_source=["top"])
    assert "pyproject_hooks" not in caught.value.what
    assert "^^^" not in caught.value.what


@pytest.mark.parametrize("promise", ["", "Metadata-Version: 2.2\nName: other\nVersion: 2.0\n"])
def test_an_sdist_of_another_name_is_passed_over(scenario: Scenario, promise: str) -> None:
    files = project("other", "2.0") | ({"PKG-INFO": promise} if promise else {})
    scenario.index.add(sdist(scenario.folder, "top", "2.0", files))
    with pytest.raises(NoSolution, match=r"top 2\.0 has a file top-2\.0\.tar\.gz which says that it is other 2\.0"):
        scenario.lock("top", allow_source=["top"])
    scenario.index.add(sdist(scenario.folder, "top", "1.0", project("top", "1.0")))
    assert packed(scenario.lock("top", allow_source=["top"])) == {"top": "1.0"}


def test_few_versions_are_built_to_be_passed_over_and_what_is_taken_is_built(scenario: Scenario) -> None:
    """The first versions lack what they need; a build of each of the others would take its time."""
    built = scenario.folder / "built.txt"
    for number in range(1, 9):
        version = f"{number}.0"
        files = project("top", version, ["absent"] if number > 2 else [])
        files["own.py"] += f"\nwith open({str(built)!r}, 'a') as stream:\n    stream.write('{version} ')\n"
        files["top.egg-info/requires.txt"] = "absent\n" if number > 2 else ""
        scenario.index.add(sdist(scenario.folder, "top", version, files))
    answer = scenario.lock("top", allow_source=["top"])
    assert packed(answer) == {"top": "2.0"}
    assert set(built.read_text(encoding="utf-8").split()) == {"8.0", "7.0", "2.0"}


def test_what_the_texts_of_a_taken_source_say_wrongly_is_found_out(scenario: Scenario) -> None:
    for number in range(1, 5):
        files = project("top", f"{number}.0", ["absent"] if number > 1 else ["dep"])
        files["top.egg-info/requires.txt"] = "absent\n" if number > 2 else ""
        scenario.index.add(sdist(scenario.folder, "top", f"{number}.0", files))
    scenario.wheel("dep", "1.0")
    assert packed(scenario.lock("top", allow_source=["top"])) == {"dep": "1.0", "top": "1.0"}


def test_no_more_than_some_sources_of_a_name_are_fetched_to_be_passed_over(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "LOOKED", 3)
    for number in range(2, 8):
        scenario.index.add(
            sdist(
                scenario.folder,
                "top",
                f"{number}.0",
                {"top.egg-info/requires.txt": "absent\n", **project("top", f"{number}.0", ["absent"])},
            )
        )
    scenario.wheel("top", "1.0")
    assert packed(scenario.lock("top<8", allow_source=["top"])) == {"top": "1.0"}
    asked = {path for path in scenario.index.requests if path.endswith(".tar.gz")}
    assert len(asked) == 3


def test_a_folder_of_the_users_own_whose_build_fails_is_theirs_to_mend(scenario: Scenario, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in {**project("mine", "1.0"), "own.py": "raise RuntimeError('a bug of mine')\n"}.items():
        folder.joinpath(name).write_text(text)
    with pytest.raises(NoSolution, match="a bug of mine") as own:
        scenario.lock(f"mine @ {folder.as_uri()}")
    assert own.value.next == "mend its build: these are its last words"
    archive = sdist(tmp_path, "mine", "1.0", {"pyproject.toml": folder.joinpath("pyproject.toml").read_text()})
    with pytest.raises(NoSolution) as theirs:
        scenario.lock(f"mine @ {archive.as_uri()}")
    assert theirs.value.next.startswith("take another version of it, or give the URL or path of a prebuilt wheel")
