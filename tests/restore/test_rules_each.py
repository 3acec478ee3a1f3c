"""Each rule by itself: the gate says what the engine says, on every interpreter."""

from __future__ import annotations

import json
import subprocess
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from kpack.errors import IntegrityError
from kpack.pack.wheel import Lax, admit
from kpack.restore import rules
from kpack.restore.errors import RestoreError
from tests.restore.kit import REPOSITORY
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

INFO = "thing-1.0.dist-info"
DATA = "thing-1.0.data"
MODULE = {"thing.py": "x = 1\n"}


def files(*names: str) -> dict[str, Any]:
    return {"files": {**MODULE, **dict.fromkeys(names, "")}}


def commands(*lines: str) -> dict[str, Any]:
    return {"files": MODULE, "entry_points": "\n".join(["[console_scripts]", *lines, ""])}


def told(text: str) -> dict[str, Any]:
    return {"files": MODULE, "metadata": text}


TAKEN: dict[str, dict[str, Any]] = {
    "nothing odd": files(),
    "a name of 255 bytes": files("n" * 255),
    "a path of 100 parts": files("/".join("d" * 100)),
    "a module that only begins like sitecustomize": files("sitecustomizer.py", "thing/sitecustomize.py"),
    "a shipped INSTALLER": files(f"{INFO}/INSTALLER"),
    "data for the interpreter's packages": files(f"{DATA}/data/lib/python3.12/site-packages/other.py"),
    "a file in .data that the root has, too": files(f"{DATA}/purelib/thing.py"),
    "its .data spelled otherwise": files("Thing-1.0.data/purelib/more.py"),
    "a command that is not ASCII": commands("größe = größe:haupt"),
    "a command with extras": commands("run = thing:main [extra]", "two = thing:main[a, b]"),
    "indented commands": commands("  one = a:b", "  two = a:b"),
    "lines of commands that end with CR": {
        "files": MODULE,
        "entry_points": "[console_scripts]\rone = a:b\rtwo = c:d\r",
    },
    "form feeds between commands": commands("\x0c", "one = a:b\x0c", "\x0b", "two = a:b\u2028", "\x85"),
    "a semicolon before all sections": {
        "files": MODULE,
        "entry_points": "; made = by:hand\n[console_scripts]\nrun = a:b\n",
    },
    "a folded line in WHEEL": {"wheel": "Wheel-Version: 1.0\nGenerator: by\n hand\nRoot-Is-Purelib: true\n"},
    "spaces behind words of WHEEL": {"wheel": "Wheel-Version: 1.0 \nRoot-Is-Purelib: true \n"},
    "no header in WHEEL": {"wheel": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nby hand\n"},
    "two versions in WHEEL": {"wheel": "Wheel-Version: 1.0\nWheel-Version: 1.1\nRoot-Is-Purelib: true\n"},
    "an odd character in WHEEL": {"wheel": "Wheel-Version: 1.0\nGenerator: a\x0c\u2028b\nRoot-Is-Purelib: true\n"},
    "the draft of the format": {"wheel": "Wheel-Version: 0.1\nRoot-Is-Purelib: true\n"},
    "a name and a version that stand twice": told("Name: thing\nName: Thing\nVersion: 1.0\nVersion: 1.0.0\n"),
    "a folded version": told("Name: thing\nVersion:\n 1.0\n"),
    "METADATA whose lines end with CR": told("Metadata-Version: 2.1\rName: thing\rVersion: 1.0\r\rName: other\r"),
    "an odd character before the name": told("Summary: a\x0cName: other\nName: thing\nVersion: 1.0\n"),
}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a name of 256 bytes": (files("n" * 256), "256 in one part"),
    "a name of 256 bytes in 128 letters": (files("ü" * 128), "256 in one part"),
    "a path of 101 parts": (files("/".join("d" * 101)), "101 parts"),
    "a path of 1,025 bytes": (files("/".join(["p" * 204] * 5 + ["x"])), "1026 bytes"),
    "a line separator in a name": (files("a\u2028b.py"), "not a plain relative path"),
    "sitecustomize by purelib": (files(f"{DATA}/purelib/sitecustomize.py"), "every start"),
    "sitecustomize by platlib": (files(f"{DATA}/platlib/sitecustomize/__init__.py"), "every start"),
    "sitecustomize by data": (files(f"{DATA}/data/lib/python3.12/site-packages/sitecustomize.py"), "every start"),
    "sitecustomize by lib64": (files(f"{DATA}/data/lib64/python3.8/site-packages/usercustomize.py"), "every start"),
    "sitecustomize for Debian": (
        files(f"{DATA}/data/local/lib/python3.12/dist-packages/sitecustomize.py"),
        "every start",
    ),
    "sitecustomize for --target": (files(f"{DATA}/data/sitecustomize.py"), "every start"),
    "sitecustomize beside Python's modules": (files(f"{DATA}/data/lib/python3.12/sitecustomize.py"), "Python's own"),
    "a module of Python": (files(f"{DATA}/data/lib/python3.12/os.py"), "Python's own"),
    "kpack's state": (files(".kpack/mark.json"), "kpack's own state"),
    "kpack's state by data": (files(f"{DATA}/data/lib/python3.12/site-packages/.kpack/x"), "kpack's own state"),
    "the environment's own file": (files(f"{DATA}/data/pyvenv.cfg"), "the environment itself"),
    "the interpreter as a script": (files(f"{DATA}/scripts/python3"), "place of the interpreter"),
    "the interpreter by data": (files(f"{DATA}/data/bin/python"), "place of the interpreter"),
    "another distribution's metadata": (files(f"{DATA}/purelib/victim-1.0.dist-info/METADATA"), "speak for"),
    "its own metadata by .data": (files(f"{DATA}/platlib/{INFO}/extra"), "speak for"),
    "metadata by data": (files(f"{DATA}/data/lib/python3.9/site-packages/victim-1.0.dist-info/RECORD"), "speak for"),
    "another distribution's metadata in capitals": (files("victim-1.0.DIST-INFO/METADATA"), "2 .dist-info folders"),
    "metadata in capitals by .data": (files(f"{DATA}/purelib/victim-1.0.Dist-Info/METADATA"), "speak for"),
    "a file named like metadata": (files("victim.dist-info"), "2 .dist-info folders"),
    "a file named like .data": (files("notes.data"), "a file where a .data folder"),
    "a file in the way of a folder": (files("pkg", f"{DATA}/purelib/pkg/x.py"), "a file and a folder"),
    "a folder below scripts": (files(f"{DATA}/scripts/sub/run"), "scripts/ itself"),
    "no callable": (commands("run = thing"), "names no callable"),
    "a comment behind a callable": (commands("run = thing:main # why"), "names no callable"),
    "parentheses": (commands("run = thing:main()"), "names no callable"),
    "a command of 256 bytes": (commands("n" * 256 + " = thing:main"), "more than 255 bytes"),
    "a command with a space": (commands("my run = thing:main"), "different commands"),
    "a command in another folder": (commands("sub/run = thing:main"), "written elsewhere"),
    "a command that is the interpreter": (commands("python3.12 = thing:main"), "place of the interpreter"),
    "a folded command": (commands("run = thing:main", "  two = thing:main"), "a part of what stands before"),
    "a command twice": (commands("run = thing:main", "run = thing:other"), "stands twice"),
    "a semicolon": (commands("; run = thing:main"), "a part of what stands before"),
    "a line that is no command": (commands("run"), "neither a section nor"),
    "a vertical tab": (commands("run = a:b\x0btwo = c:d"), "break lines"),
    "a form feed that pip takes for the end of a comment": (commands("# x\x0crun = a:b"), "break lines"),
    "a form feed before the equals sign": (commands("run\x0c = a:b"), "break lines"),
    "an unknown WHEEL": ({"wheel": "Wheel-Version: 2.0\nRoot-Is-Purelib: true\n"}, "known is 1.x"),
    "a folded Root-Is-Purelib": ({"wheel": "Wheel-Version: 1.0\nRoot-Is-Purelib:\n true\n"}, "on the next line"),
    "a great entry_points.txt": (commands("run = thing:main", "#" * (1 << 20)), "are allowed"),
}

CHILD = """
import json, sys
sys.path.insert(0, sys.argv[1])
from operator import attrgetter
import zipfile
from kpack.restore import rules
from kpack.restore.entry_points import entry_points
from kpack.restore.errors import RestoreError
from kpack.restore.wheelzip import find_directory, read_directory

def said(path):
    data = open(path, "rb").read()
    name = path.rpartition("/")[2]
    try:
        start = find_directory(len(data), lambda count, offset: data[offset:offset + count], name)
        entries = sorted(read_directory(data[start:], start, name), key=attrgetter("offset"))
        shape = rules.shape(entries, name)
        rules.landing(entries, shape, name)
        archive = zipfile.ZipFile(path)
        rules.is_pure(archive.read(shape.info + "/WHEEL"), name)
        if shape.info + "/entry_points.txt" in archive.namelist():
            entry_points(archive.read(shape.info + "/entry_points.txt"), name)
    except RestoreError as error:
        return error.what
    return None

print(json.dumps([said(path) for path in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    recipes = {**TAKEN, **{case: recipe for case, (recipe, _) in REFUSED.items()}}
    return {
        case: make_wheel(folder / str(number), "thing", **recipe)
        for number, (case, recipe) in enumerate(recipes.items())
    }


@pytest.mark.parametrize("raw", [b"", b"\r\n", b"\n\nWheel-Version: 1.0\n"])
def test_an_empty_wheel_file_lacks_its_version(raw: bytes) -> None:
    with pytest.raises(RestoreError, match="its Wheel-Version is ''"):
        rules.is_pure(raw, "x")


def test_the_gate_takes_what_pip_and_uv_take(made: dict[str, Path]) -> None:
    for case in TAKEN:
        assert admit(made[case]).name == "thing", case


@pytest.mark.parametrize("case", REFUSED)
def test_the_gate_refuses(case: str, made: dict[str, Path]) -> None:
    with pytest.raises(IntegrityError, match=REFUSED[case][1]) as refusal:
        admit(made[case], lax=Lax(record=True, archive=True))
    assert "thing-1.0-py3-none-any.whl" in str(refusal.value)
    assert refusal.value.next


def test_the_engine_says_the_same_on_every_interpreter(series: str, made: dict[str, Path]) -> None:
    done = subprocess.run(
        [found()[series], "-W", "error::SyntaxWarning", "-c", CHILD, str(REPOSITORY)],
        input=json.dumps([str(path) for path in made.values()]),
        capture_output=True,
        text=True,
        check=True,
    )
    for case, what in zip(made, json.loads(done.stdout), strict=True):
        if case in TAKEN:
            assert what is None, (case, what)
        else:
            with pytest.raises(IntegrityError) as refusal:
                admit(made[case])
            assert refusal.value.what == what, case


def odd(path: Path, comment: bytes = b"", tail: bytes = b"") -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = comment
    path.write_bytes(path.read_bytes() + tail)
    return path


@pytest.mark.parametrize(
    ("comment", "tail", "what"),
    [(b"made by hand", b"", "an archive comment (12 bytes)"), (b"", bytes(4), "4 NUL bytes after its end")],
)
def test_an_odd_archive_is_called_what_it_is_and_let_in_by_name(
    tmp_path: Path, comment: bytes, tail: bytes, what: str
) -> None:
    path = odd(make_wheel(tmp_path, "thing"), comment, tail)
    with pytest.raises(IntegrityError) as refusal:
        admit(path)
    assert refusal.value.what == "it has " + what
    assert "lax-archive" in refusal.value.next
    assert admit(path, lax=Lax(archive=True)).odd == (what,)


@pytest.mark.parametrize("comment", [b"PK\5\6" + bytes(18), b"x" * 40 + b"PK\6\6"])
def test_a_comment_that_may_be_an_end_record_is_not_let_in(tmp_path: Path, comment: bytes) -> None:
    path = odd(make_wheel(tmp_path, "thing"), comment)
    with pytest.raises(IntegrityError):
        admit(path, lax=Lax(archive=True))


def test_names_in_code_page_437_are_let_in_by_name_and_unmarked_utf8_is_not(tmp_path: Path) -> None:
    path = make_wheel(tmp_path / "1", "thing", files={"thing/AAAA.txt": ""})
    path.write_bytes(path.read_bytes().replace(b"AAAA.txt", b"\x82AAA.txt"))
    with pytest.raises(IntegrityError, match="code page 437"):
        admit(path, lax=Lax(record=True))
    assert "code page 437" in admit(path, lax=Lax(record=True, archive=True)).odd[0]
    path = make_wheel(tmp_path / "2", "thing", files={"thing/AAAA.txt": ""})
    path.write_bytes(path.read_bytes().replace(b"AAAA.txt", "éAA.txt".encode()))
    with pytest.raises(IntegrityError, match="UTF-8 without saying so"):
        admit(path, lax=Lax(record=True, archive=True))


def test_the_version_is_the_one_that_metadata_gives(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, "thing", "2.8.3")
    local = path.rename(tmp_path / "thing-2.8.3+cu12torch2.10-py3-none-any.whl")
    assert str(admit(local).version) == "2.8.3"
    with pytest.raises(IntegrityError, match="another distribution"):
        admit(local.rename(tmp_path / "thing-2.8.4+cu12-py3-none-any.whl"))
