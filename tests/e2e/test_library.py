"""kpack from Python: four steps, frozen answers, nothing printed, nothing imported too soon."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kpack
from kpack import library
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from tests.e2e.conftest import Workshop


@pytest.fixture
def folder(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project whose index and cache are those of the workshop."""
    monkeypatch.setenv("KPACK_INDEX_URL", workshop.index.url)
    monkeypatch.setenv("KPACK_CACHE", str(workshop.folder / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(workshop.folder)
    return workshop.folder


def test_the_four_steps_from_python(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    locked = kpack.lock("kaggle-env.toml", cache=tmp_path / "own")
    assert locked.changed
    assert locked.path == folder / "pylock.kaggle-env.toml"
    assert [pin.name for pin in locked.lock.targets[0].packed] == ["alpha", "beta"]
    assert not kpack.lock(cache=tmp_path / "own").changed
    assert not (folder / "cache").exists()

    pack = kpack.build(folder / "kaggle-env.toml")
    assert pack.path == folder / "dist" / "tiny.kpack.bin"
    assert pack.id in pack.line
    assert kpack.build(out=tmp_path / "again.bin", offline=True).sha256 == pack.sha256

    for name in ("kaggle-env.toml", "pylock.kaggle-env.toml"):
        shutil.copy(folder / name, folder / name.replace("kaggle-env", "other"))
    with pytest.raises(kpack.UsageError, match=r"made from pylock\.kaggle-env\.toml, .* pylock\.other\.toml") as twins:
        kpack.build("other.toml")
    assert twins.value.where == str(pack.path)
    (folder / "pylock.other.toml").unlink()

    verified = kpack.verify(pack.path)
    assert (verified.ok, verified.id, verified.problems) == (True, pack.id, ())

    planned = kpack.restore(pack.path, target=tmp_path / "env", dry_run=True)
    assert planned.installed == (("alpha", "1.0"), ("beta", "1.5"))
    assert not (tmp_path / "env" / "beta").exists()
    restored = kpack.restore(str(pack.path), target=str(tmp_path / "env"), expect=pack.id)
    assert restored.changed
    assert restored.id == pack.id
    assert (tmp_path / "env" / "beta" / "__init__.py").exists()
    assert [path.read_bytes() for path in restored.checkpoints] == [b"weights" * 5000]
    assert not kpack.restore(pack.path, target=tmp_path / "env").changed
    assert capfd.readouterr() == ("", "")


def test_what_goes_wrong_is_raised_and_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(kpack.UsageError, match="there is no lock") as usage:
        kpack.build()
    assert usage.value.next == "run kpack lock first"
    assert usage.value.exit_code is kpack.ExitCode.USAGE
    kpack.lock()
    pack = kpack.build()
    with pytest.raises(kpack.UsageError, match="which interpreter"):
        kpack.restore(pack.path)
    with pytest.raises(kpack.IntegrityError, match="was expected"):
        kpack.restore(pack.path, target=tmp_path / "env", expect="0" * 64)
    with pytest.raises(kpack.MachineError):
        kpack.verify(folder / "nothing.kpack.bin")
    data = bytearray(pack.path.read_bytes())
    data[-2000] ^= 1
    pack.path.write_bytes(data)
    assert not kpack.verify(pack.path).ok
    with pytest.raises(kpack.IntegrityError) as engines:
        kpack.restore(pack.path, target=tmp_path / "env")
    assert engines.value.next
    assert not list((tmp_path / "env").glob("beta"))


def test_importing_kpack_imports_nothing_of_it() -> None:
    code = """
        import sys
        before = set(sys.modules)
        import kpack
        new = set(sys.modules) - before
        print([name for name in new if name.split(".")[0] not in sys.stdlib_module_names])
        print(sorted(kpack.__all__) == dir(kpack), kpack.verify.__name__, "kpack.library" in sys.modules)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.splitlines() == ["['kpack']", "True verify True"]


def test_a_step_stays_a_step_when_the_room_of_its_name_is_imported() -> None:
    for name in ("lock", "restore"):
        room = importlib.import_module(f"kpack.{name}")
        assert inspect.ismodule(room)
        assert getattr(kpack, name) is getattr(library, name)


def test_all_that_is_offered_is_documented_typed_and_frozen() -> None:
    assert {*library.__all__, "DISTRIBUTION", "__version__"} == set(kpack.__all__)
    for name in library.__all__:
        offered = getattr(kpack, name)
        assert inspect.getdoc(offered), name
        if inspect.isfunction(offered):
            signature = inspect.signature(offered)
            parts = [*(one.annotation for one in signature.parameters.values()), signature.return_annotation]
            assert inspect.Signature.empty not in parts, name
        elif dataclasses.is_dataclass(offered):
            assert offered.__dataclass_params__.frozen, name  # type: ignore[union-attr]
    with pytest.raises(AttributeError, match="no attribute 'unpack'"):
        kpack.unpack  # noqa: B018


def test_the_example_notebook_runs_from_its_first_cell_to_its_last(
    folder: Path, workshop: Workshop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    example = Path(__file__).parents[2] / "examples" / "from-python" / "environment.ipynb"
    workshop.index.add(make_wheel(folder / "served", "tabulate", "0.9.0"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    scope: dict[str, object] = {"__name__": "__main__"}
    for cell in json.loads(example.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), cell["id"], "exec"), scope)
    sys.modules.pop("tabulate")
    said = capsys.readouterr()
    assert "tabulate None -> 0.9.0" in said.out
    assert str(Path("env", "tabulate.py")) in said.out
    assert "there is no such file | none.toml" in said.out
    assert scope["pack"].line in said.out  # type: ignore[attr-defined]
    assert said.err == ""
    assert (folder / "dist" / "from-python.ipynb").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not delete it")
def test_a_working_folder_that_was_deleted_is_an_error_of_kpacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for step in (
        lambda: kpack.lock(),
        lambda: kpack.build("kaggle-env.toml"),
        lambda: kpack.verify("x.kpack.bin"),
        lambda: kpack.restore("x.kpack.bin", target="out"),
    ):
        with pytest.raises(kpack.MachineError) as told:
            step()
        assert told.value.next
    with pytest.raises(kpack.MachineError, match="the working folder of this process was deleted"):
        kpack.lock()
