"""The pasted line: it finds the pack wherever Kaggle mounts it, runs nothing else, and says what it found instead."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from kpack.errors import IntegrityError
from kpack.pack.line import LIMIT, line
from tests.restore import kit
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.pack.writer import BuiltPack

PLACES = (
    ".",
    "my-env",
    "my-env/my-env",
    "my-env/sub",
    "my-env/dist",
    "datasets/me/my-env",
    "datasets/me/my-env/sub",
    "notebooks/me/builder",
    "notebooks/me/builder/dist",
    "model/pytorch/default/3",
    "model/pytorch/default/3/sub",
    "models/me/model/pytorch/default/3",
    "models/me/model/pytorch/default/3/sub",
    "competitions/some-cup",
)


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> BuiltPack:
    folder = tmp_path_factory.mktemp("pack")
    return kit.make_pack(folder / "pack", [make_wheel(folder, "thing")])


def paste(
    code: str, cwd: Path, *, python: str = sys.executable, after: str = "", wrap: tuple[str, ...] = (), **environ: str
) -> subprocess.CompletedProcess[str]:
    """Run the line as ``python -c``, with a folder of its own to restore to; more code may follow."""
    home = cwd / "home"
    home.mkdir(exist_ok=True)
    return subprocess.run(
        [*wrap, python, "-W", "error", "-W", "ignore::ResourceWarning", "-c", f"{code}\n{after}"],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def put(pack: Path, root: Path, place: str, name: str = "tiny.kpack.bin") -> Path:
    folder = root / place
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(pack.read_bytes())
    return folder / name


@pytest.mark.parametrize("place", PLACES)
def test_it_finds_the_pack_wherever_it_is_mounted(place: str, kernel: Path, pack: BuiltPack, tmp_path: Path) -> None:
    root = tmp_path / "input"
    for number in range(20):
        (root / "datasets" / "me" / f"other-{number}" / "images").mkdir(parents=True)
    put(pack.path, root, place)
    done = paste(
        pack.line, tmp_path, python=str(kernel), after="import thing; print(thing.VERSION)", KPACK_INPUT=str(root)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1.0"
    assert done.stderr == ""


def test_it_takes_the_folder_that_the_pack_became_and_prefers_the_right_version(
    series: str, pack: BuiltPack, tmp_path: Path
) -> None:
    other = kit.make_pack(tmp_path / "other", [make_wheel(tmp_path, "thing", "2.0")])
    put(other.path, tmp_path / "input", "datasets/me/a")
    with tarfile.open(pack.path) as archive:
        archive.extractall(tmp_path / "input/datasets/me/b/tiny.kpack", filter="data")
    python = kit.make_venv(series, tmp_path / "venv")
    done = paste(
        pack.line,
        tmp_path,
        python=str(python),
        after="import thing; print(thing.VERSION)",
        KPACK_INPUT=str(tmp_path / "input"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "1.0"


def test_a_large_input_is_not_walked_and_starves_no_other(kernel: Path, pack: BuiltPack, tmp_path: Path) -> None:
    root = tmp_path / "input"
    for cup in ("cup", "competitions/cup"):
        for patient in range(60):
            for part in range(6):
                (root / cup / "train" / f"p{patient}" / f"s{part}" / "x").mkdir(parents=True)
    for number in range(1500):
        (root / "cup" / f"{number}.png").touch()
    put(pack.path, root, "models/me/model/pytorch/default/3")
    # The line's own calls, counted: sys.addaudithook sees every os.scandir.
    count = "import sys; seen = []; sys.addaudithook(lambda e, a: seen.append(a) if e == 'os.scandir' else None)\n"
    done = paste(
        count + pack.line,
        tmp_path,
        python=str(kernel),
        after=f"print(len([a for a in seen if str(a[0]).startswith({str(root)!r})]))",
        KPACK_INPUT=str(root),
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < 300


def test_what_is_found_instead_is_listed_with_what_it_is(pack: BuiltPack, tmp_path: Path) -> None:
    other = kit.make_pack(tmp_path / "other", [make_wheel(tmp_path, "thing", "2.0")])
    root = tmp_path / "input"
    old = put(other.path, root, "datasets/me/old")
    cut = put(pack.path, root, "datasets/me/cut")
    os.truncate(cut, 3000)
    done = paste(pack.line, tmp_path, KPACK_INPUT=str(root))
    assert (done.returncode, done.stdout) == (5, "")
    assert sorted(done.stderr.splitlines()) == sorted([
        f"kpack: no tiny.kpack.bin of id {pack.id[:12]} in {root}",
        f"{old}: other pack, id {other.id[:12]}",
        f"{cut}: damaged",
        "attach or update it, or set KPACK_PACK",
    ])  # fmt: skip


@pytest.mark.parametrize("name", ["tiny.kpack (1).bin", "tiny-2.kpack.bin", "tiny.kpack.bin.part"])
def test_something_like_it_is_not_run_but_named_with_the_way_out(
    kernel: Path, pack: BuiltPack, tmp_path: Path, name: str
) -> None:
    like = put(pack.path, tmp_path / "input", "my-env", name)
    done = paste(pack.line, tmp_path, python=str(kernel), KPACK_INPUT=str(tmp_path / "input"))
    assert (done.returncode, done.stdout) == (7, "")
    assert f"{like}: id {pack.id[:12]}\n" in done.stderr
    assert "KPACK_PACK" in done.stderr
    done = paste(pack.line, tmp_path, python=str(kernel), KPACK_PACK=str(like), PYTHONPATH="/nowhere")
    assert done.returncode == 0, done.stderr
    assert "restored: 1 package" in done.stdout


def test_nothing_attached_is_said_so(pack: BuiltPack, tmp_path: Path) -> None:
    (tmp_path / "input" / "other").mkdir(parents=True)
    for root in (tmp_path / "input", tmp_path / "none"):
        done = paste(pack.line, tmp_path, KPACK_INPUT=str(root))
        assert done.returncode == 7
        assert done.stderr.splitlines() == [
            f"kpack: no tiny.kpack.bin of id {pack.id[:12]} in {root}",
            "attach or update it, or set KPACK_PACK",
        ]


def test_pipes_loops_and_folders_without_right_stop_nothing(kernel: Path, pack: BuiltPack, tmp_path: Path) -> None:
    root = tmp_path / "input"
    put(pack.path, root, "z/my-env")
    (root / "a").mkdir()
    os.mkfifo(root / "a" / "tiny.kpack.bin")
    (root / "b" / "tiny.kpack").mkdir(parents=True)
    os.mkfifo(root / "b" / "tiny.kpack" / "bootstrap.py")
    (root / "loop").symlink_to(root)
    (root / "dead").symlink_to(root / "nowhere")
    done = paste(pack.line, tmp_path, python=str(kernel), KPACK_INPUT=str(root))
    assert done.returncode == 0, done.stderr


def test_kpack_pack_names_a_file_under_any_name_or_a_folder_that_holds_the_pack(
    kernel: Path, pack: BuiltPack, tmp_path: Path
) -> None:
    named = put(pack.path, tmp_path, "x", "renamed.dat")
    folder = put(pack.path, tmp_path, "y/z").parents[1]
    for place in (os.path.relpath(named, tmp_path), str(folder)):
        done = paste(pack.line, tmp_path, python=str(kernel), KPACK_PACK=place)
        assert done.returncode == 0, done.stderr
    done = paste(pack.line, tmp_path, KPACK_PACK="x/none.bin")
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        7,
        f"kpack: no tiny.kpack.bin of id {pack.id:.12} in x/none.bin",
    )


def test_the_longest_line_survives_a_shell_and_stays_under_its_limit() -> None:
    text = line("N" * 40, "f" * 64, 9_999)
    assert len(text) < LIMIT
    assert not set(text) & set('"\\$`\n')
    # In double quotes as in single ones.
    said = subprocess.run(["bash", "-c", f'printf %s "{text}"'], capture_output=True, text=True, check=True).stdout
    assert said == text


@pytest.mark.parametrize(
    "name", ['a"b', "$HOME", "a`b", "a\\b", "a|b", "a'b", "{id}", "", "x" * 41, "a\nb", "é", "a/b"]
)
def test_a_name_that_no_line_can_carry_is_a_sentence(name: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        line(name, "f" * 64, 5000)
    assert "a pack cannot be called" in caught.value.what
    assert caught.value.next


ANYTHING = "raise RuntimeError(__file__)\n"


def shadowed(folder: Path, python: Path) -> Path:
    """Make a folder with a file for every module of the standard library that the interpreter starts without."""
    said = subprocess.run([python, "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    folder.mkdir()
    for name in (sys.stdlib_module_names | {"imp", "distutils"}) - set(said.stdout.split()) - {"logging"}:
        (folder / f"{name}.py").write_text(ANYTHING)
    (folder / "logging").mkdir()
    (folder / "logging" / "__init__.py").write_text(ANYTHING)
    return folder


def test_the_working_folder_provides_no_module_of_the_standard_library(
    series: str, pack: BuiltPack, tmp_path: Path
) -> None:
    python = kit.make_venv(series, tmp_path / "venv")
    put(pack.path, tmp_path / "input", "my-env")
    folder = shadowed(tmp_path / "work", python)
    done = paste(pack.line, folder, python=str(python), KPACK_INPUT=str(tmp_path / "input"))
    assert (done.returncode, done.stderr) == (0, "")
    script = folder / "script.py"
    script.write_text(f"import sys; before = sys.path[:]\n{pack.line}\nassert sys.path == before\n")
    done = subprocess.run(
        [python, script], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], "KPACK_INPUT": str(tmp_path / "input")},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "restored already" in done.stdout


def test_what_was_imported_from_there_before_is_named_and_stays_as_it_was(
    series: str, pack: BuiltPack, tmp_path: Path
) -> None:
    python = kit.make_venv(series, tmp_path / "venv")
    put(pack.path, tmp_path / "input", "my-env")
    work = tmp_path / "work"
    work.mkdir()
    (work / "csv.py").write_text("MINE = 1\n")
    (work / "pipes.py").write_text("MINE = 1\n")
    done = paste(
        "import sys; before = sys.path[:]; import csv, pipes\n" + pack.line,
        work,
        python=str(python),
        after="assert sys.path == before; import csv as now; print(now is csv, now.MINE, 'pipes' in sys.modules)",
        KPACK_INPUT=str(tmp_path / "input"),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "True 1 True"
    assert done.stderr == f"kpack: {work}/csv.py hides Python's own module csv: rename it\n"


def test_a_working_folder_that_is_the_root_or_gone_is_no_trouble(kernel: Path, pack: BuiltPack, tmp_path: Path) -> None:
    put(pack.path, tmp_path / "input", "my-env")
    root = str(tmp_path / "input")
    done = paste(f"import os; os.chdir('/')\n{pack.line}", tmp_path, python=str(kernel), KPACK_INPUT=root)
    assert (done.returncode, done.stderr) == (0, "")
    gone = tmp_path / "gone"
    gone.mkdir()
    leave = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r})"
    done = paste(f"{leave}\n{pack.line}", tmp_path, python=str(kernel), KPACK_INPUT=root)
    assert "Traceback" not in done.stderr


def test_what_is_no_text_in_the_module_path_is_passed_over_as_by_imports(
    kernel: Path, pack: BuiltPack, tmp_path: Path
) -> None:
    put(pack.path, tmp_path / "input", "my-env")
    odd = "import sys, pathlib; sys.path[1:1] = [pathlib.Path('utils')]; sys.path += [b'x', None, 3, 'a\\0b']\n"
    after = "assert sys.path == before\n"
    text = f"{odd}before = sys.path[:]\n{pack.line}\n{after}"
    done = paste(text, tmp_path, python=str(kernel), KPACK_INPUT=str(tmp_path / "input"))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_process_without_streams_is_restored_too(kernel: Path, pack: BuiltPack, tmp_path: Path) -> None:
    put(pack.path, tmp_path / "input", "my-env")
    text = f"import sys; sys.stdout = sys.stderr = None\n{pack.line}"
    done = paste(text, tmp_path, python=str(kernel), KPACK_INPUT=str(tmp_path / "input"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_standard_library_stays_reachable_from_its_own_folder(pack: BuiltPack, tmp_path: Path) -> None:
    put(pack.path, tmp_path / "input", "my-env")
    python = found().get("3.12", sys.executable)
    done = paste(
        "import os; os.chdir(os.path.dirname(os.__file__))\nimport sys; sys.path[0] = os.getcwd()\n" + pack.line,
        tmp_path,
        python=python,
        KPACK_INPUT=str(tmp_path / "none"),
    )
    assert done.returncode == 7, done.stderr
