"""``kpack restore --json``: one object on stdout, whatever the interpreter prints; and whose code runs."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from kpack import pack as packs
from kpack.errors import IntegrityError
from kpack.pack import line, verification
from kpack.restoring import EngineOptions, run_engine
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def cli(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kpack", *map(str, words)], capture_output=True, text=True, check=False, timeout=120
    )


def test_what_the_interpreter_prints_at_its_start_is_not_in_the_answer(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)
    (lib / "sitecustomize.py").write_text("print('hello')\n")
    (lib / "noise.pth").write_text("import sys; sys.stdout.write('pth\\n')\n")
    wheel = make_wheel(tmp_path, "loud", files={"loud.py": "", "loud.pth": "import sys; print('loud')\n"})
    pack = kit.make_pack(tmp_path / "pack", [wheel]).path
    for _ in range(2):
        done = cli("restore", pack, "--python", kernel, "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["installed"] == [{"name": "loud", "version": "1.0"}]
        assert "hello" in done.stderr
    (lib / "ends.pth").write_text("import sys; sys.exit(9)\n")
    done = cli("restore", pack, "--python", kernel, "--json")
    assert done.returncode == 7, done.stdout
    assert "before the restore began" in json.loads(done.stdout)["error"]["what"]


NOISE = {
    "at the end": "import atexit; atexit.register(print, 'bye')",
    "from a thread": """
import threading
def speak():
    while True:
        print("x", flush=True)
threading.Thread(target=speak, daemon=True).start()
""",
    "whenever a file is opened": """
import builtins
first = builtins.open
def opened(*words, **more):
    print("{opened}")
    return first(*words, **more)
builtins.open = opened
""",
    "nothing, without stdout": "import os, sys; sys.stdout = None",
}


@pytest.mark.parametrize("when", NOISE)
def test_what_the_interpreter_prints_later_is_not_in_the_answer(kernel: Path, tmp_path: Path, when: str) -> None:
    lib = kit.purelib(kernel)
    (lib / "sitecustomize.py").write_text(NOISE[when])
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    done = cli("restore", pack, "--python", kernel, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["installed"] == [{"name": "thing", "version": "1.0"}]
    (lib / "other-1.0.dist-info").mkdir()
    (lib / "other-1.0.dist-info/METADATA").write_text("Name: other\nVersion: 1.0\n")
    other = kit.make_pack(tmp_path / "other", [make_wheel(tmp_path, "other", "2.0")]).path
    done = cli("restore", other, "--python", kernel, "--json")
    assert json.loads(done.stdout)["error"]["code"] == done.returncode == 6


@pytest.mark.parametrize("ends", ["sys.exit(9)", "sys.exit(0)", "os._exit(0)", "os.kill(os.getpid(), 9)"])
@pytest.mark.parametrize("answer", [(), ("--json",)], ids=["text", "json"])
def test_an_interpreter_that_ends_at_its_start_is_no_success_and_not_silent(
    kernel: Path, tmp_path: Path, ends: str, answer: tuple[str, ...]
) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    lib = kit.purelib(kernel)
    (lib / "ends.pth").write_text(f"import os, sys; {ends}\n")
    done = cli("restore", pack, "--python", kernel, *answer)
    assert done.returncode == 7, done.stdout + done.stderr
    said = json.loads(done.stdout)["error"]["what"] if answer else done.stderr
    assert "before the restore began; nothing was changed" in said
    assert not (lib / "thing.py").exists()


def test_an_interpreter_that_is_ended_by_what_the_pack_brings_is_no_success(kernel: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "quits", files={"quits.py": "", "quits.pth": "import os; os._exit(0)\n"})
    done = cli("restore", kit.make_pack(tmp_path / "pack", [wheel]).path, "--python", kernel)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "exit code 0 while the restore ran" in done.stderr


def changed(pack: Path) -> Path:
    """Change the trust code of a pack, keeping its size and every digest that it states."""
    data = pack.read_bytes()
    at = data.index(b"The trust code of a pack")
    copy = pack.with_name("changed.kpack.bin")
    copy.write_bytes(data[:at] + b"THE" + data[at + 3 :])
    return copy


def test_code_that_is_not_kpacks_own_is_told_and_not_run(kernel: Path, tmp_path: Path) -> None:
    good = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    assert packs.verify(packs.read(good)) == ()
    bad = changed(good)
    found = packs.read(bad)
    (problem,) = packs.verify(found)
    assert problem.where == "bootstrap.py"
    assert "not the code of kpack" in problem.what
    assert packs.verify(found, proven=True) == ()
    with pytest.raises(IntegrityError, match="is not the code of kpack"):
        run_engine(bad, EngineOptions(python=str(kernel)))
    assert (
        run_engine(bad, EngineOptions(python=str(kernel)), expect=found.id, as_json=True, capture=True).returncode == 0
    )
    assert line.parse(packs.bootstrap_of(found), "").manifest_size


def test_code_of_another_version_is_said_not_to_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")]).path
    monkeypatch.setattr(verification, "__version__", "99.0")
    notes: list[str] = []
    assert packs.verify(packs.read(good), on_note=notes.append) == ()
    assert len(notes) == 1
    assert "cannot compare" in notes[0]
