"""Ways to go wrong at home, and what is said: all of it in ways_to_go_wrong.txt, to be read in one go.

Each message is made by really running the command, in this process and without a network.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.version import Version

from kpack import cli

GOLDEN = Path(__file__).with_name("ways_to_go_wrong.txt")
HEAD = 'name = "demo"\npython = "3.12"\n'
GOOD = HEAD + 'packages = ["timm>=1"]\n'
CHECKPOINT = '[[checkpoints]]\nurl = "https://host.example/m.ckpt"\n'


class Way(NamedTuple):
    """A mistake: what lies in the folder, and the words that are run there."""

    what: str
    words: str
    file: str = GOOD
    beside: tuple[str, str] = ("", "")
    """Name and text of one more file."""


WAYS = [
    Way("a command by the name of another tool", "instal timm"),
    Way("a command with a typing error", "lokc"),
    Way("an option with a typing error", "lock --upgarde"),
    Way("a version where a package belongs", "add transformers 4.57.1"),
    Way("one = for two", "add numpy=1.26"),
    Way("nothing to add", "add"),
    Way("a digest without its checkpoint", "add timm --sha256 00"),
    Way("no name before a URL", "add https://host.example/x.zip"),
    Way("an option of pip in a package", "add -- --pre"),
    Way("a caret of Poetry", "add numpy^1.2"),
    Way("a folder without ./", "add fork/"),
    Way("a name that is not there", "remove tim"),
    Way("a checkpoint that is not there", "remove --checkpoint m.ckpt"),
    Way("no kaggle-env.toml anywhere", "--config none.toml lock"),
    Way("init over a file that is there", "init"),
    Way("init from a file that is not there", "init --force --from none.ipynb"),
    Way("init from what is no notebook", "init --force --from n.ipynb", beside=("n.ipynb", "<html>")),
    Way("init from a kind that nobody knows", "init --force --from x.cfg", beside=("x.cfg", "")),
    Way("a base and a Python", "init --force --base x --python 3.12"),
    Way("a base with a typing error", "init --force --base kaggle-gpu-py312-2026-8"),
    Way("a base in the file that nobody ships", "lock", 'name = "x"\nbase = "kaggle-gpu-py399"\n'),
    Way("TOML with a quote left open", "lock --check", 'name = "demo\n'),
    Way("a key with a typing error", "lock --check", HEAD + 'pakages = ["timm"]\n'),
    Way("a text where a list belongs", "lock --check", HEAD + 'packages = "timm"\n'),
    Way("no name", "lock --check", 'python = "3.12"\n'),
    Way("a name with a blank", "lock --check", 'name = "my pack"\npython = "3.12"\n'),
    Way("a Python as a number", "lock --check", 'name = "demo"\npython = 3.12\n'),
    Way("the same package twice", "lock --check", HEAD + 'packages = ["timm", "Timm>=1"]\n'),
    Way("two mistakes at once", "lock --check", HEAD + 'packages = ["a=1"]\nexclude = [3]\n'),
    Way("replace without a base", "lock --check", GOOD + 'replace = ["timm"]\n'),
    Way("a checkpoint without a path", "lock --check", GOOD + CHECKPOINT),
    Way("a checkpoint that climbs", "lock --check", GOOD + CHECKPOINT + 'path = "../m"\n'),
    Way("a digest of another kind", "lock --check", GOOD + CHECKPOINT + f'path = "m"\nsha256 = "{"0" * 32}"\n'),
    Way("two checkpoints at one path", "lock --check", GOOD + 2 * (CHECKPOINT + 'path = "m"\n')),
    Way("a variable that Python would read", "lock --check", GOOD + '[restore.env]\nPYTHONPATH = "/x"\n'),
    Way(
        "an index without packages",
        "lock --check",
        GOOD + '[[indexes]]\nname = "i"\nurl = "https://h.example/simple"\n',
    ),
    Way("a dataset without its owner", "lock --check", GOOD + '[publish]\ndataset = "slug"\n'),
    Way("a size without a unit that is one", "lock --check", GOOD + 'max-size = "10 gigs"\n'),
    Way("a date in quotes that is none", "lock --check", GOOD + 'exclude-newer = "yesterday"\n'),
    Way("no lock yet: a check", "lock --check"),
    Way("no lock yet: a build", "build"),
    Way("a lock that is no lock", "build", beside=("pylock.kaggle-env.toml", "lock-version = 1\n")),
    Way("a pack that is not there", "verify none.kpack.bin"),
    Way("a pack that is none", "verify x.kpack.bin", beside=("x.kpack.bin", "not a pack" * 100)),
    Way("the line of a pack that is none", "bootstrap x.kpack.bin", beside=("x.kpack.bin", "")),
    Way("a restore that does not say where to", "restore x.kpack.bin", beside=("x.kpack.bin", "")),
]


def said(way: Way, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    (folder / "kaggle-env.toml").write_text(way.file, encoding="utf-8")
    if way.beside[0]:
        (folder / way.beside[0]).write_text(way.beside[1], encoding="utf-8")
    code = cli.run(way.words.split())
    told = capsys.readouterr()
    text = (told.out + told.err).replace(str(folder), "FOLDER").rstrip()
    return f"## {way.what}\n$ kpack {way.words}   [{code}]\n{text}\n"


def test_every_way_to_go_wrong_says_what_where_and_what_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    found = []
    for number, way in enumerate(WAYS):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        found.append(said(way, folder, capsys))
        assert "[0]" not in found[-1].splitlines()[1]
        assert "\n  → " in found[-1], found[-1]
        assert "Traceback" not in found[-1]
    text = "\n".join(found)
    if Version(version("click")) < Version("8.4"):
        options = r"No such option: (\S+) \(Possible options: (\S+), (\S+)\)"
        text = re.sub(options, r"No such option '\1'. (Did you mean one of: '\2', '\3'?)", text)
    if GOLDEN.read_text(encoding="utf-8") != text:
        new = GOLDEN.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        pytest.fail(f"what is said has changed: compare {GOLDEN.name} with {new.name}")
    assert len(WAYS) >= 40
