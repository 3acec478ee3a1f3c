"""Packs that anybody may have made, given to every command that reads one: a sentence, never a fault or a wait."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack import cli
from kpack.pack import line, tarfmt
from kpack.pack.tarfmt import BOOTSTRAP, MANIFEST
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DIGITS = "9" * 5000
HEAD = tarfmt.BLOCK


def block(path: str, data: bytes) -> bytes:
    return tarfmt.header(path, len(data)) + data + bytes(tarfmt.padding(len(data)))


def signed(good: bytes, raw: bytes, *, size: str = "") -> bytes:
    """Return a pack whose bootstrap pins ``raw`` as its manifest, in front of the members of a good one."""
    code = line.generate(kit.sha256(raw), len(raw))
    code = code.replace(f", {len(raw)})\n".encode(), f", {size})\n".encode()) if size else code
    return block(BOOTSTRAP, code) + block(MANIFEST, raw) + good[origin(good) :]


def origin(good: bytes) -> int:
    first = tarfmt.first_size(good[:HEAD]) or 0
    after = HEAD + first + tarfmt.padding(first)
    second = tarfmt.first_size(good[after : after + HEAD]) or 0
    return after + HEAD + second + tarfmt.padding(second)


def manifest(good: bytes) -> dict[str, Any]:
    first = tarfmt.first_size(good[:HEAD]) or 0
    after = HEAD + first + tarfmt.padding(first)
    size = tarfmt.first_size(good[after : after + HEAD]) or 0
    found: dict[str, Any] = json.loads(good[after + HEAD : after + HEAD + size])
    return found


def said(*keys: Any, value: Any) -> Callable[[bytes], bytes]:
    """Return the damage of another value at one place of the manifest, which is pinned as it then is."""

    def damage(good: bytes) -> bytes:
        raw = manifest(good)
        place = raw
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = value
        return signed(good, json.dumps(raw).encode())

    return damage


def pinned(raw: bytes, **facts: str) -> Callable[[bytes], bytes]:
    return lambda good: signed(good, raw, **facts)


def spelled(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return the damage of other bytes in the text of the manifest."""
    return lambda good: signed(good, json.dumps(manifest(good)).encode().replace(old, new, 1))


TAR: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda _: bytes(4096),
    "text": lambda _: b"a page" * 200,
    "one block": lambda good: good[:HEAD],
    "cut in the bootstrap": lambda good: good[:2000],
    "cut in the manifest": lambda good: good[: origin(good) - 600],
    "a letter as size": lambda good: good[:124] + b"z" * 12 + good[136:],
    "a size in base 256": lambda good: good[:124] + b"\xff" * 12 + good[136:],
    "8 GB": lambda good: good[:124] + b"77777777777\0" + good[136:],
    "a link": lambda good: good[:156] + b"2" + good[157:],
    "another name": lambda good: b"x" + good[1:],
    "no pin": lambda good: good[:HEAD] + good[HEAD:].replace(b"\nrun(PACK", b"\nrun(PICK", 1),
}
PINNED: dict[str, Callable[[bytes], bytes]] = {
    "no JSON": pinned(b"{"),
    "deep": pinned(b"[" * 100_000),
    "deep objects": pinned(b'{"a":' * 100_000),
    "digits": pinned(b'{"format": ' + DIGITS.encode() + b"}"),
    "not ASCII": pinned("{'ü'}".encode()),
    "a list": pinned(b"[]"),
    "nothing": pinned(b""),
    "a size of many digits": pinned(b"{}", size=DIGITS),
    "a size of a terabyte": pinned(b"{}", size="1099511627776"),
    "another size": pinned(b"{}", size="7"),
    "format": said("format", value=99),
    "format true": said("format", value=True),
    "format text": said("format", value="1"),
    "name": said("name", value="a" * 5000),
    "name with a quote": said("name", value="a'b"),
    "name of a path": said("name", value="../x"),
    "name nul": said("name", value="a\0b"),
    "name surrogate": spelled(b'"name": "tiny"', rb'"name": "\ud800"'),
    "twice": spelled(b'"name"', b'"name": "tiny", "name"'),
    "no targets": said("targets", value=None),
    "targets of text": said("targets", value=["x"]),
    "glibc": said("targets", 0, "glibc", value=[int("9" * 300), 0]),
    "glibc text": said("targets", 0, "glibc", value=["2", "17"]),
    "a gap": said("members", 0, "offset", value=1 << 40),
    "a size": said("members", 0, "size", value=1 << 61),
    "a negative size": said("members", 0, "size", value=-1),
    "a size of a float": spelled(b'"size": ', b'"size": 1e999, "sise": '),
    "a path outside": said("members", 0, "path", value="../x"),
    "a long path": said("members", 0, "path", value="a/" * 50_000 + "b"),
    "no members": said("members", value=[]),
    "engine": said("engine", value="wheels/nothing.whl"),
    "spans": said("members", 0, "spans", value=[[0, 1, "x"]]),
    "env": said("restore", "env", value=["x"]),
}
VERIFIED: dict[str, Callable[[bytes], bytes]] = {
    "another engine": said("engine", value="wheels/thing-1.0-py3-none-any.whl"),
    "a wheel that is none": said("targets", 0, "distributions", 0, "wheel", value="pylock.kaggle-env.toml"),
    "version": said("targets", 0, "distributions", 0, "version", value="1." + DIGITS),
    "no version": said("targets", 0, "distributions", 0, "version", value="x y"),
    "no name": said("targets", 0, "distributions", 0, "name", value=""),
    "variable": said("restore", "env", value={"A=B": "x"}),
    "a checkpoint outside": said(
        "checkpoints", value=[{"path": "../../x", "sha256": "0" * 64, "size": 1 << 61, "attached": "/kaggle/input"}]
    ),
    "members that are cut": lambda good: good[:-4096],
    "more behind": lambda good: good + b"x",
    "member bytes": lambda good: good[:-3000] + b"\xff" * 100 + good[-2900:],
}
"""What the head of a pack may say, and no restore can do."""

ODD: dict[str, Callable[[bytes], bytes]] = {
    "python": said("targets", 0, "python", value=DIGITS),
    "machine": said("targets", 0, "machine", value="x" * 5000),
    "the lock is a wheel": said("lock", value="wheels/thing-1.0-py3-none-any.whl"),
    "directory": said("restore", "directory", value="x" * 5000),
    "leans": said(
        "targets",
        0,
        "leans",
        value=[{"name": "x", "version": "y", "specifiers": [{"by": "a", "requirement": f"x>={DIGITS}"}]}],
    ),
    "nowhere": said("checkpoints", value=[{"path": "x", "sha256": "0" * 64, "size": 3, "attached": "a" * 5000}]),
    "no targets": said("targets", value=[]),
}

EVERYWHERE = (*TAR.values(), PINNED["a size of many digits"], PINNED["a long path"], PINNED["name with a quote"])
"""Tried with every command; of the others, all go through one reader."""

COMMANDS = (
    "inspect HOSTILE",
    "diff GOOD HOSTILE",
    "diff HOSTILE GOOD",
    "bootstrap HOSTILE",
    "drift HOSTILE --base kaggle-cpu-py312-2026-08",
    "restore HOSTILE --target there --dry-run",
    "push HOSTILE --dry-run --dataset me/x",
    "rehearse HOSTILE",
    "verify HOSTILE",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KPACK_CACHE", str(tmp_path / "cache"))
    (tmp_path / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\n')
    (tmp_path / "dist").mkdir()
    return tmp_path


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    made = tmp_path_factory.mktemp("good")
    return kit.make_pack(
        made, [make_wheel(made, "thing")], series=["{}.{}".format(*sys.version_info[:2])]
    ).path.read_bytes()


def run(capsys: pytest.CaptureFixture[str], folder: Path, words: str) -> tuple[int, str]:
    """Run a command line in this process; return its code and what it said."""
    hostile = str(folder / "dist/x.kpack.bin")
    code = cli.run(words.replace("HOSTILE", hostile).replace("GOOD", str(folder / "good.kpack.bin")).split())
    told = "".join(capsys.readouterr())
    assert "a fault in kpack" not in told, told[:500]
    assert len(told) < 20_000
    return code, told


@pytest.mark.parametrize("damage", [pytest.param(do, id=name) for name, do in {**TAR, **PINNED}.items()])
def test_a_head_that_kpack_did_not_write_is_refused_by_every_command(
    folder: Path, capsys: pytest.CaptureFixture[str], good: bytes, damage: Callable[[bytes], bytes]
) -> None:
    (folder / "good.kpack.bin").write_bytes(good)
    (folder / "dist/x.kpack.bin").write_bytes(damage(good))
    for words in COMMANDS if damage in EVERYWHERE else COMMANDS[-1:]:
        code, told = run(capsys, folder, words)
        assert code == 5, (words, told)
        assert "x.kpack.bin" in told
    assert run(capsys, folder, "status --offline")[0] == 0
    assert not (folder / "there").exists()


@pytest.mark.parametrize("damage", [pytest.param(do, id=name) for name, do in VERIFIED.items()])
def test_what_no_restore_can_do_is_refused_by_verify(
    folder: Path, capsys: pytest.CaptureFixture[str], good: bytes, damage: Callable[[bytes], bytes]
) -> None:
    (folder / "good.kpack.bin").write_bytes(good)
    (folder / "dist/x.kpack.bin").write_bytes(damage(good))
    for words in COMMANDS[:5]:
        assert run(capsys, folder, words)[0] in (0, 1, 5)
    assert run(capsys, folder, "verify HOSTILE")[0] == 5


@pytest.mark.parametrize("damage", [pytest.param(do, id=name) for name, do in ODD.items()])
def test_odd_words_in_a_manifest_are_no_fault(
    folder: Path, capsys: pytest.CaptureFixture[str], good: bytes, damage: Callable[[bytes], bytes]
) -> None:
    (folder / "good.kpack.bin").write_bytes(good)
    (folder / "dist/x.kpack.bin").write_bytes(damage(good))
    for words in (*COMMANDS[:5], "verify HOSTILE", "status --offline"):
        assert run(capsys, folder, words)[0] in (0, 1)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "link to nothing", "folder of fifos"])
def test_what_is_no_file_is_never_waited_for(
    folder: Path, capsys: pytest.CaptureFixture[str], good: bytes, kind: str
) -> None:
    (folder / "good.kpack.bin").write_bytes(good)
    place = folder / "dist/x.kpack.bin"
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "link to nothing":
        place.symlink_to("/nowhere")
    else:
        place.mkdir()
        for name in (BOOTSTRAP, MANIFEST) if kind == "folder of fifos" else ():
            os.mkfifo(place / name)
    for words in (*COMMANDS, "status --offline"):
        assert run(capsys, folder, words)[0] in ((0,) if "status" in words else (5, 7)), words
