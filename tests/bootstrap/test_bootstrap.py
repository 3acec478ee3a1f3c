"""The trust code: nothing of a pack is used before its digest was seen to fit."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from kpack.pack.engine import PACKAGE, engine
from tests.restore import kit
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.pack.writer import BuiltPack

SOURCE = kit.REPOSITORY / "kpack" / "bootstrap.py"


@pytest.fixture
def pack(tmp_path: Path) -> BuiltPack:
    return kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")])


def member(pack: Path, name: str) -> tuple[int, int]:
    """Return (offset, size) of a member."""
    with tarfile.open(pack) as archive:
        info = archive.getmember(name)
        return info.offset_data, info.size


@pytest.mark.parametrize("name", ["kpack.json", "restore.bin"])
@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_nothing_of_a_changed_manifest_or_engine_is_run(
    tmp_path: Path, pack: BuiltPack, name: str, part: float
) -> None:
    offset, size = member(pack.path, name)
    data = bytearray(pack.path.read_bytes())
    data[offset + int(size * part)] ^= 1
    pack.path.write_bytes(data)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (5, 5)
    assert name in done.error["what"]
    assert "is damaged: sha256 is" in done.error["what"]
    assert not (tmp_path / "target").exists()


def test_a_changed_engine_in_the_folder_is_not_run(tmp_path: Path, pack: BuiltPack) -> None:
    folder = tmp_path / "tiny.kpack"
    with tarfile.open(pack.path) as archive:
        archive.extractall(folder, filter="data")
    (folder / "restore.bin").write_bytes((folder / "restore.bin").read_bytes() + b"\0")
    done = kit.restore(sys.executable, folder, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (5, 5)
    (folder / "restore.bin").unlink()
    done = kit.restore(sys.executable, folder, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (7, 7)


def test_a_truncated_pack_is_said_to_be_damaged(tmp_path: Path, pack: BuiltPack) -> None:
    offset, size = member(pack.path, "kpack.json")
    os.truncate(pack.path, offset + size // 2)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (5, 5)


def test_text_goes_to_the_right_stream_and_there_is_no_traceback(tmp_path: Path, pack: BuiltPack) -> None:
    done = kit.restore(sys.executable, pack.path, json=False, target=str(tmp_path / "target"))
    assert done.code == 0
    assert done.out.startswith(f"kpack: tiny {pack.id[:12]} restored: 1 package (")
    assert done.out.count("\n") == 1
    assert done.err == ""
    again = kit.restore(sys.executable, pack.path, json=False, target=str(tmp_path / "target"))
    assert again.out == f"kpack: tiny {pack.id[:12]} is restored already: 1 package\n"
    offset, _ = member(pack.path, "wheels/thing-1.0-py3-none-any.whl")
    data = bytearray(pack.path.read_bytes())
    data[offset + 40] ^= 1
    pack.path.write_bytes(data)
    bad = kit.restore(sys.executable, pack.path, json=False, target=str(tmp_path / "other"))
    assert (bad.code, bad.out) == (5, "")
    assert bad.err.startswith("kpack: wheels/thing-1.0-py3-none-any.whl: ")
    assert "next: the pack is damaged" in bad.err
    assert "Traceback" not in bad.err


def test_nothing_stays_in_the_process_or_on_the_disk(series: str, tmp_path: Path, pack: BuiltPack) -> None:
    python = kit.make_venv(series, tmp_path / "venv")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    after = (
        "import json\n"
        "print(json.dumps([[n for n in sys.modules if 'kpack' in n], [p for p in sys.path if 'kpack-' in p],"
        " os.listdir(os.environ['TMPDIR']), [p for p in sys.path_importer_cache if 'kpack-' in p]]))"
    )
    done = kit.good(python, pack.path, after="import os, sys\n" + after, env={"TMPDIR": str(scratch)})
    assert json.loads(done.printed[0]) == [[], [], [], []]


@pytest.mark.parametrize("event", ["open", "tempfile.mkdtemp"])
def test_no_room_for_temporary_files_is_not_blamed_on_the_input(tmp_path: Path, pack: BuiltPack, event: str) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    full = (
        "import os, sys\n"
        "def hook(event, args):\n"
        f"    if event == {event!r} and (event != 'open' or str(args[0]).endswith('restore.zip')):\n"
        "        raise OSError(28, 'No space left on device')\n"
        "sys.addaudithook(hook)\n"
    )
    done = kit.restore(sys.executable, pack.path, before=full, env={"TMPDIR": str(scratch)}, target=str(tmp_path / "t"))
    assert (done.code, done.error["code"]) == (7, 7)
    assert done.error["where"] == str(scratch)
    assert "No space left" in done.error["what"]
    assert "TMPDIR" in done.error["next"]
    assert list(scratch.iterdir()) == []


def test_a_limit_on_the_size_of_files_is_not_called_a_full_disk(tmp_path: Path, pack: BuiltPack) -> None:
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))\n"
    done = kit.restore(sys.executable, pack.path, before=limit, target=str(tmp_path / "t"))
    assert (done.code, done.error["code"]) == (7, 7)
    assert "ulimit -f" in done.error["next"]


def test_two_packs_in_one_process_bring_their_own_engines(tmp_path: Path, pack: BuiltPack) -> None:
    other = kit.make_pack(tmp_path / "other", [make_wheel(tmp_path, "more")], name="other")
    code = kit.RUN + f"\nsys.argv[1] = {str(other.path)!r}\n" + kit.RUN + "\nimport thing, more; print(more.VERSION)"
    options = json.dumps({"json": True, "target": str(tmp_path / "target")})
    ran = subprocess.run(
        [sys.executable, "-c", code, str(pack.path), options, ""], capture_output=True, text=True, check=True
    )
    assert ran.stdout.splitlines()[-1] == "1.0"
    assert sorted(path.name for path in (tmp_path / "target/.kpack").iterdir()) == [
        "lock",
        "mark-other.json",
        "mark-tiny.json",
    ]


def test_engine_modules_are_named_as_zipimport_names_them(tmp_path: Path, series: str) -> None:
    archive = tmp_path / "restore.zip"
    archive.write_bytes(engine())
    code = (
        "import sys, zipimport\n"
        "sys.path.insert(0, sys.argv[1]); import bootstrap\n"
        "for place, name in ((sys.argv[2], PACKAGE), (sys.argv[2] + '/' + PACKAGE, PACKAGE + '.main')):\n"
        "    names = [kind(place).get_filename(name) for kind in (bootstrap.Sources, zipimport.zipimporter)]\n"
        "    assert names[0] == names[1], names\n"
    ).replace("PACKAGE", repr(PACKAGE))
    subprocess.run([found()[series], "-c", code, str(SOURCE.parent), str(archive)], check=True)


def test_trust_code_is_small_and_uses_only_the_standard_library() -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 205
    tree = ast.parse(text, feature_version=(3, 8))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "." * node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names


def test_engine_imports_only_itself_and_the_standard_library() -> None:
    known = sys.stdlib_module_names | {"compression"}  # of Python 3.14
    for path in sorted((kit.REPOSITORY / "kpack" / "restore").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                assert {alias.name.partition(".")[0] for alias in node.names} <= known, path
            if isinstance(node, ast.ImportFrom):
                assert node.level == 1 or (node.module or "").partition(".")[0] in known, path


def test_an_old_python_is_told_so(tmp_path: Path, pack: BuiltPack) -> None:
    before = "import sys; sys.version_info = (3, 7, 16); sys.version = '3.7.16 (old)'\n"
    done = kit.restore(sys.executable, pack.path, before=before, target=str(tmp_path / "target"))
    assert "needs Python 3.8" in done.error["what"]
    assert done.code == 6


@pytest.mark.parametrize("digits", [b"00000000009", b"77777777777", b"00000000000", bytes(11), b"00000000777"])
def test_a_damaged_first_header_is_found(tmp_path: Path, pack: BuiltPack, digits: bytes) -> None:
    # The pasted line has checked the code by its digest and knows where it lies; the header it does not look at.
    data = bytearray(pack.path.read_bytes())
    length = int(data[124:135], 8)
    data[124:135] = digits
    pack.path.write_bytes(data)
    line = (
        "import sys, json\n"
        f"text = open(sys.argv[1], 'rb').read()[512:512 + {length}]\n"
        "exec(compile(text, 'bootstrap.py', 'exec'), {'PACK': sys.argv[1], '__name__': 'kpack_bootstrap', "
        "'OPTIONS': {'json': True, 'target': sys.argv[2]}})"
    )
    done = subprocess.run(
        [sys.executable, "-c", line, str(pack.path), str(tmp_path / "target")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert json.loads(done.stdout)["error"]["code"] == 5
