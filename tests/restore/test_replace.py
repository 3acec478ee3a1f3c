"""Making room for what the lock replaces, and for nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.restore.test_install import check_record
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

OLD = {
    "thing/__init__.py": "VERSION = 'old'\n",
    "thing/only_old.py": "",
    "thing_old_only/deep/x.py": "",
    "thing.data.txt": "old data\n",
}
NEW = {
    "thing/__init__.py": "VERSION = 'new'\ndef main():\n    print(VERSION)\n",
    "thing/only_new.py": "",
    "thing_new_only/y.py": "",
    "thing.data.txt": "new data\n",
}


def pip_install(python: Path, wheels: Sequence[Path], *words: str) -> None:
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            str(python),
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            *words,
            *map(str, wheels),
        ],
        check=True,
    )


def old(folder: Path) -> Path:
    return make_wheel(
        folder, "thing", "1.0", files=OLD, entry_points="[console_scripts]\nthing = thing:old\nthing-old = thing:old\n"
    )


def new(folder: Path) -> Path:
    return make_wheel(folder, "thing", "2.0", files=NEW, entry_points="[console_scripts]\nthing = thing:main\n")


def test_replaces_what_uv_installed(kernel: Path, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    if uv is None:
        pytest.skip("uv is not installed")
    subprocess.run(
        [uv, "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(kernel), str(old(tmp_path))],
        check=True,
        env={**os.environ, "UV_CACHE_DIR": str(tmp_path / "uv-cache")},
    )
    subprocess.run([kernel, "-c", "import thing, thing.only_old"], check=True)
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"})
    done = kit.good(kernel, pack.path, after="import thing; print(thing.VERSION)")
    assert done.printed == ["new"]
    lib = kit.purelib(kernel)
    assert not (lib / "thing/only_old.py").exists()
    assert not (lib / "thing_old_only").exists()
    assert not list((lib / "thing/__pycache__").glob("only_old*"))


@pytest.mark.parametrize("compiled", ["--compile", "--no-compile"])
def test_replaces_what_pip_installed_and_leaves_nothing_of_it(kernel: Path, tmp_path: Path, compiled: str) -> None:
    pip_install(kernel, [old(tmp_path)], compiled)
    fresh = kit.make_venv("3.12", tmp_path / "fresh") if "3.12" in str(kit.purelib(kernel)) else None
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"})
    done = kit.good(kernel, pack.path, after="import thing, thing.only_new; print(thing.VERSION)")
    assert done.report["replaced"] == [{"name": "thing", "from": "1.0", "to": "2.0"}]
    assert done.printed == ["new"]
    check_record(kit.purelib(kernel) / "thing-2.0.dist-info")
    ran = subprocess.run([kernel.parent / "thing"], capture_output=True, text=True, check=True)
    assert ran.stdout == "new\n"
    if fresh:
        kit.good(fresh, pack.path)
        caches = ["__pycache__"]
        mine = {name for name in kit.listing(kit.purelib(kernel)) if not any(part in name for part in caches)}
        theirs = {name for name in kit.listing(kit.purelib(fresh)) if not any(part in name for part in caches)}
        assert mine == theirs
        assert {path.name for path in kernel.parent.iterdir()} == {path.name for path in fresh.parent.iterdir()}


def test_another_version_that_is_not_named_is_an_error(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [old(tmp_path)])
    before = kit.listing(kernel.parents[1])
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path), make_wheel(tmp_path, "other")])
    done = kit.restore(kernel, pack.path)
    assert (done.code, done.error["code"]) == (6, 6)
    assert "thing 1.0 (the pack brings 2.0)" in done.error["what"]
    assert kit.listing(kernel.parents[1]) == before
    noted = kit.good(kernel, pack.path, env={"KPACK_DRIFT": "note"}, after="import thing, other; print(thing.VERSION)")
    assert noted.printed == ["old"]
    assert any("thing 1.0 is there and stays" in note for note in noted.report["notes"])


def test_the_same_version_is_left_alone(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [new(tmp_path)])
    before = kit.listing(kit.purelib(kernel))
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path), make_wheel(tmp_path, "other")])
    kit.good(kernel, pack.path, after="import other")
    after = kit.listing(kit.purelib(kernel))
    assert {name: after[name] for name in before} == before


def test_refuses_to_replace_what_has_no_record(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [old(tmp_path)])
    (kit.purelib(kernel) / "thing-1.0.dist-info" / "RECORD").unlink()
    before = kit.listing(kernel.parents[1])
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"})
    done = kit.restore(kernel, pack.path)
    assert (done.code, done.error["code"]) == (6, 6)
    assert "no list of its files" in done.error["what"]
    assert "uninstall it" in done.error["next"]
    assert kit.listing(kernel.parents[1]) == before


@pytest.mark.parametrize("content", [b"thing/gr\xf6\xdfe.txt,,\n", b"x" * (16 << 20) + b"\n"], ids=["latin-1", "huge"])
def test_refuses_to_replace_what_has_a_record_that_cannot_be_read(kernel: Path, tmp_path: Path, content: bytes) -> None:
    pip_install(kernel, [old(tmp_path)])
    with (kit.purelib(kernel) / "thing-1.0.dist-info/RECORD").open("ab") as stream:
        stream.write(content)
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"})
    before = kit.listing(kernel.parents[1])
    done = kit.restore(kernel, pack.path)
    assert (done.code, done.error["code"]) == (6, 6)
    assert "no list of its files that can be read" in done.error["what"]
    assert kit.listing(kernel.parents[1]) == before


def test_refuses_to_replace_what_is_imported(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [old(tmp_path)], "--no-compile")
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"})
    before = kit.listing(kit.purelib(kernel) / "thing", without=["__pycache__"])
    done = kit.restore(kernel, pack.path, before="import thing\n")
    assert (done.code, done.error["code"]) == (6, 6)
    assert "already imported what the pack replaces: thing" in done.error["what"]
    assert kit.listing(kit.purelib(kernel) / "thing", without=["__pycache__"]) == before
    noted = kit.good(
        kernel,
        pack.path,
        before="import thing\n",
        env={"KPACK_DRIFT": "note"},
        after="import subprocess, sys; print(thing_version())".replace(
            "print(thing_version())",
            "subprocess.run([sys.executable, '-c', 'import thing; print(thing.VERSION)'], check=True)",
        ),
    )
    assert noted.printed == ["new"]
    assert any("already imported" in note for note in noted.report["notes"])


def test_what_an_interpreter_has_imported_that_was_started_for_the_restore_is_no_obstacle(
    kernel: Path, tmp_path: Path
) -> None:
    pip_install(kernel, [old(tmp_path)], "--no-compile")
    (kit.purelib(kernel) / "early.pth").write_text("import thing\n")
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"}).path
    assert kit.restore(kernel, pack).code == 6
    assert kit.good(kernel, pack, obey_managed=True).report["notes"] == []


def test_the_stub_that_setuptools_has_in_every_interpreter_is_no_obstacle(kernel: Path, tmp_path: Path) -> None:
    def tools(version: str) -> Path:
        files = {
            "setuptools/__init__.py": f"VERSION = {version!r}\n",
            "_distutils_hack/__init__.py": f"def add_shim(): {version}\n",
            "distutils-precedence.pth": "import os; enabled = 1; enabled and __import__('_distutils_hack').add_shim();",
        }
        return make_wheel(tmp_path, "setuptools", version, files=files)

    pip_install(kernel, [tools("70.0")])
    pack = kit.make_pack(tmp_path / "pack", [tools("80.0")], replaces={"setuptools": "70.0"}).path
    done = kit.good(kernel, pack, after="import setuptools; print(setuptools.VERSION)")
    assert done.printed == ["80.0"]
    assert done.report["notes"] == []


@pytest.mark.parametrize("zipped", [False, True])
def test_an_egg_gives_way_as_a_whole(kernel: Path, tmp_path: Path, zipped: bool) -> None:
    lib = kit.purelib(kernel)
    egg = lib / "thing-1.0-py3.12.egg"
    files = {"thing/__init__.py": "VERSION = 'egg'\n", "EGG-INFO/PKG-INFO": "Name: thing\nVersion: 1.0\n"}
    if zipped:
        with zipfile.ZipFile(egg, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    for name, text in files.items() if not zipped else ():
        (egg / name).parent.mkdir(parents=True, exist_ok=True)
        (egg / name).write_text(text)
    (lib / "easy-install.pth").write_text("./thing-1.0-py3.12.egg\n")
    large: dict[str, bytes | str] = {"thing/__init__.py": "VERSION = 'new'\n", "big.bin": bytes(9 << 20)}
    wheel = make_wheel(tmp_path, "thing", "2.0", files=large, stored=True)
    pack = kit.make_pack(tmp_path / "pack", [wheel], replaces={"thing": "1.0"}).path
    before = kit.listing(lib)
    bad = tmp_path / "bad.kpack.bin"
    data = bytearray(pack.read_bytes())
    data[data.index(bytes(1 << 20)) + 100] = 1
    bad.write_bytes(data)
    assert kit.restore(kernel, bad).code == 5
    assert kit.listing(lib) == before
    done = kit.good(kernel, pack, after="import thing; print(thing.VERSION)")
    assert done.printed == ["new"]
    assert not egg.exists()
    assert not kit.good(kernel, pack).report["changed"]


def test_what_lists_the_interpreter_as_its_own_leaves_it(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [old(tmp_path)])
    with (kit.purelib(kernel) / "thing-1.0.dist-info/RECORD").open("a") as stream:
        stream.write("../../../bin/python,,\n../../../bin/python3.12,,\n../../../pyvenv.cfg,,\n../../../bin/pip-x,,\n")
    (kernel.parent / "pip-x").touch()
    kit.good(kernel, kit.make_pack(tmp_path / "pack", [new(tmp_path)], replaces={"thing": "1.0"}).path)
    assert kernel.exists()
    assert (kernel.parents[1] / "pyvenv.cfg").exists()
    assert not (kernel.parent / "pip-x").exists()


def test_a_namespace_that_is_loaded_for_others_is_no_obstacle(kernel: Path, tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "cloud-auth", "1.0", files={"cloud/auth/__init__.py": "V = 1\n"}),
        make_wheel(tmp_path, "cloud-storage", "1.0", files={"cloud/storage/__init__.py": ""}),
    ]
    pip_install(kernel, wheels)
    newer = make_wheel(tmp_path, "cloud-auth", "2.0", files={"cloud/auth/__init__.py": "V = 2\n"})
    pack = kit.make_pack(tmp_path / "pack", [newer], replaces={"cloud-auth": "1.0"})
    refused = kit.restore(kernel, pack.path, before="import cloud.auth\n")
    assert "imported what the pack replaces: cloud" in refused.error["what"]
    done = kit.good(kernel, pack.path, before="import cloud.storage\n", after="import cloud.auth; print(cloud.auth.V)")
    assert done.printed == ["2"]


def test_a_failure_puts_the_old_one_back(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [old(tmp_path)])
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path), make_wheel(tmp_path, "other")], replaces={"thing": "1.0"})
    before = kit.listing(kernel.parents[1])
    fail = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event == 'os.rename' and str(args[1]).endswith('other-1.0.dist-info'):\n"
        "        raise OSError(28, 'No space left on device', args[1])\n"
        "sys.addaudithook(hook)\n"
    )
    done = kit.restore(kernel, pack.path, before=fail)
    assert (done.code, done.error["code"]) == (7, 7), done.err
    assert kit.listing(kernel.parents[1]) == before
    kit.good(kernel, pack.path, after="import thing; print(thing.VERSION)")


KINDS = {
    "a package becomes a module": ({"thing/__init__.py": "V = 1\n", "thing/part.py": ""}, {"thing.py": "V = 2\n"}),
    "a module becomes a package": ({"thing.py": "V = 1\n"}, {"thing/__init__.py": "V = 2\n"}),
    "a folder becomes a file": (
        {"thing.py": "V = 1\n", "things/deep/er/x.txt": "", "things/y.py": ""},
        {"thing.py": "V = 2\n", "things": "a file"},
    ),
    "a file becomes a folder": (
        {"thing.py": "V = 1\n", "things": "a file"},
        {"thing.py": "V = 2\n", "things/deep/er/x.py": "", "things/y.txt": ""},
    ),
    "folders of .data change": (
        {"thing.py": "V = 1\n", "thing-1.0.data/data/share/thing": "", "thing-1.0.data/headers/h/x.h": ""},
        {"thing.py": "V = 2\n", "thing-2.0.data/data/share/thing/x": "", "thing-2.0.data/headers/h": ""},
    ),
}


@pytest.mark.parametrize("compiled", [False, True], ids=["", "compiled"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_was_a_folder_may_be_a_file_in_the_new_one_and_the_other_way_round(
    kernel: Path, tmp_path: Path, kind: str, compiled: bool
) -> None:
    before, after = KINDS[kind]
    pip_install(kernel, [make_wheel(tmp_path, "thing", "1.0", files=before)])
    wheel = make_wheel(tmp_path, "thing", "2.0", files=after)
    pack = kit.make_pack(tmp_path / "pack", [wheel], replaces={"thing": "1.0"})
    done = kit.good(kernel, pack.path, compile=compiled, after="import thing; print(thing.V)")
    assert done.printed == ["2"]
    check_record(kit.purelib(kernel) / "thing-2.0.dist-info")
    fresh = kit.make_venv("3.12", tmp_path / "fresh")
    kit.good(fresh, pack.path, compile=compiled, after="import thing")
    state = ["lib/python3.12/site-packages/.kpack"]
    found, expected = (kit.listing(python.parents[1], without=state) for python in (kernel, fresh))
    assert {name for name in found if "thing" in name} == {name for name in expected if "thing" in name}


def test_a_folder_of_the_old_one_may_be_a_file_of_another_new_one(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [make_wheel(tmp_path, "thing", "1.0", files={"a/x.py": "", "b": "", "thing.py": "V = 1\n"})])
    wheels = [make_wheel(tmp_path, "thing", "2.0"), make_wheel(tmp_path, "other", files={"a": "", "b/y.py": "Y = 1\n"})]
    pack = kit.make_pack(tmp_path / "pack", wheels, replaces={"thing": "1.0"})
    done = kit.good(kernel, pack.path, after="import b.y; print(b.y.Y)")
    assert done.printed == ["1"]
    assert (kit.purelib(kernel) / "a").is_file()
    assert not (kit.purelib(kernel) / ".kpack/journal.json").exists()


def test_a_folder_of_the_old_one_with_somebody_elses_file_is_no_place_for_a_file(kernel: Path, tmp_path: Path) -> None:
    pip_install(kernel, [make_wheel(tmp_path, "thing", "1.0", files={"things/x.txt": "", "thing.py": "V = 1\n"})])
    (kit.purelib(kernel) / "things/mine.txt").write_text("of the user")
    wheel = make_wheel(tmp_path, "thing", "2.0", files={"things": "", "thing.py": "V = 2\n"})
    before = kit.listing(kernel.parents[1])
    done = kit.restore(kernel, kit.make_pack(tmp_path / "pack", [wheel], replaces={"thing": "1.0"}).path)
    assert done.code == 6
    assert "a file belongs where a folder is" in done.error["what"]
    assert kit.listing(kernel.parents[1]) == before


def test_a_newer_pack_is_restored_over_an_older_one(kernel: Path, tmp_path: Path) -> None:
    first = kit.make_pack(tmp_path / "first", [old(tmp_path), make_wheel(tmp_path, "dropped")])
    kit.good(kernel, first.path)
    second = kit.make_pack(tmp_path / "second", [new(tmp_path)])
    done = kit.good(kernel, second.path, after="import thing; print(thing.VERSION)")
    assert done.printed == ["new"]
    assert done.report["replaced"] == [{"name": "thing", "from": "1.0", "to": "2.0"}]
    assert any(note.endswith("they stay: dropped") for note in done.report["notes"])
    assert not (kit.purelib(kernel) / "thing/only_old.py").exists()
    assert kit.restore(kernel, first.path, before="import thing\n").code == 6, "it is imported"
    back = kit.good(kernel, first.path, after="import thing; print(thing.VERSION)")
    assert back.printed == ["old"]


def test_a_damaged_installation_of_kpack_is_repaired(kernel: Path, tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [new(tmp_path), make_wheel(tmp_path, "other")])
    kit.good(kernel, pack.path)
    before = kit.listing(kernel.parents[1], without=["lib/python3.12/site-packages/.kpack"])
    (kit.purelib(kernel) / "thing/__init__.py").write_text("cut")
    (kit.purelib(kernel) / "thing/only_new.py").unlink()
    done = kit.good(kernel, pack.path, after="import thing; print(thing.VERSION)")
    assert done.report["changed"]
    assert done.printed == ["new"]
    after = kit.listing(kernel.parents[1], without=["lib/python3.12/site-packages/.kpack"])
    assert {name: value for name, value in after.items() if "__pycache__" not in name} == before


def test_files_in_the_way_are_taken_over_with_a_note_unless_they_are_the_same(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)
    (lib / "tests").mkdir()
    (lib / "tests" / "__init__.py").write_text("same\n")
    (lib / "tests" / "conftest.py").write_text("another\n")
    wheel = make_wheel(
        tmp_path, "messy", files={"messy.py": "", "tests/__init__.py": "same\n", "tests/conftest.py": "mine\n"}
    )
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    noted = kit.good(kernel, pack.path)
    assert (lib / "tests/conftest.py").read_text() == "mine\n"
    assert noted.report["notes"] == ["1 file was in the way and overwritten, as by pip: tests/conftest.py"]
    check_record(lib / "messy-1.0.dist-info")


def test_wheels_that_share_files_are_written_once(kernel: Path, tmp_path: Path) -> None:
    wheels = [
        make_wheel(
            tmp_path,
            "one",
            files={
                "one.py": "",
                "tests/__init__.py": "",
                "tests/a.py": "one, which is longer\n",
                "one-1.0.data/scripts/command": "#!python\nprint('a script of one')\n",
            },
            entry_points="[console_scripts]\nboth = one:main\n",
        ),
        make_wheel(
            tmp_path,
            "two",
            files={
                "two.py": "def main():\n    print('two')\n",
                "tests/__init__.py": "",
                "tests/a.py": "two\n",
            },
            entry_points="[console_scripts]\nboth = two:main\ncommand = two:main\n",
        ),
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels)
    done = kit.good(kernel, pack.path)
    lib = kit.purelib(kernel)
    assert (lib / "tests/a.py").read_text() == "two\n"
    assert any("one and two both bring" in note for note in done.report["notes"])
    for name in ("both", "command"):
        assert subprocess.run([kernel.parent / name], capture_output=True, check=True).stdout == b"two\n"
    check_record(lib / "one-1.0.dist-info")
    check_record(lib / "two-1.0.dist-info")
    assert not kit.good(kernel, pack.path).report["changed"]


@pytest.mark.parametrize("tolerant", [False, True])
def test_drift_that_breaks_is_an_error_and_other_drift_a_note(kernel: Path, tmp_path: Path, tolerant: bool) -> None:
    pip_install(kernel, [make_wheel(tmp_path, "base-one", "1.5"), make_wheel(tmp_path, "base-two", "3.0+cu128")])
    pack = kit.make_pack(
        tmp_path / "pack",
        [make_wheel(tmp_path, "packed")],
        leans={
            "base-one": ("1.4", [("packed", "base-one>=1.4,<2")]),
            "base-two": ("3.1+cu128", [("packed", "base-two>=3.1")]),
            "base-three": ("1.0", [("", "base-three")]),
        },
    )
    before = kit.listing(kernel.parents[1])
    done = kit.restore(kernel, pack.path, env={"KPACK_DRIFT": "note"} if tolerant else {})
    if tolerant:
        assert done.code == 0
        assert [(item["name"], item["found"], item["breaks"]) for item in done.report["drift"]] == [
            ("base-one", "1.5", False),
            ("base-two", "3.0+cu128", True),
            ("base-three", None, True),
        ]
        return
    assert (done.code, done.error["code"]) == (6, 6)
    assert "base-two 3.0+cu128 (locked against 3.1+cu128): packed wants base-two>=3.1" in done.error["what"]
    assert "base-three missing" in done.error["what"]
    assert "base-one" not in done.error["what"]
    assert kit.listing(kernel.parents[1]) == before
    target = kit.good(kernel, pack.path, target=str(tmp_path / "target"))
    assert len(target.report["drift"]) == 3


def test_a_file_where_another_wheel_needs_a_folder_is_refused(kernel: Path, tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "one", files={"shared": "a file"}),
        make_wheel(tmp_path, "two", files={"shared/deep/x.py": "in a folder"}),
    ]
    before = kit.listing(kernel.parents[1])
    done = kit.restore(kernel, kit.make_pack(tmp_path / "pack", wheels).path)
    assert (done.code, done.error["code"]) == (6, 6)
    assert done.error["what"] == "one brings a file where two needs a folder"
    assert kit.listing(kernel.parents[1]) == before


def test_what_others_list_is_found_among_many_names(kernel: Path, tmp_path: Path) -> None:
    """A distribution of many top-level names is told from others by first words of rows, not name by name."""
    many = {f"m{number}/x.py": "" for number in range(40)}
    shared = {"ns/x.py": "", 'q"uoted/x.py': "", "stays-1.0.data/scripts/both": "#!python\n"}
    pip_install(
        kernel,
        [
            make_wheel(
                tmp_path / "old", "thing", files={**many, **{k: v for k, v in shared.items() if "data" not in k}}
            ),
            make_wheel(tmp_path / "old", "stays", files=shared),
        ],
    )
    lib = kit.purelib(kernel)
    script = os.path.relpath(kernel.parent / "both", lib)
    with (lib / "thing-1.0.dist-info/RECORD").open("a") as stream:
        stream.write(f"{script},,\n")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing", "2.0")], replaces={"thing": "1.0"}).path
    kit.good(kernel, pack)
    check_record(lib / "stays-1.0.dist-info")
    assert not (lib / "m7").exists()
