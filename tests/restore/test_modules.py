"""What an import would find, worked out without importing; what of a pack would be hidden, and what it would hide."""

from __future__ import annotations

import os
import random
import shutil
import sys
import zipfile
from importlib.machinery import PathFinder
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from kpack.restore import modules
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

HERE = ["{}.{}".format(*sys.version_info[:2])]


def by_importlib(name: str, folders: list[str]) -> tuple[int, list[str]]:
    """Return what the interpreter itself finds, in the words of `modules`."""
    where = folders
    for part in name.split("/"):
        spec = PathFinder.find_spec(part, where)
        if spec is None:
            return modules.NOTHING, []
        where = list(spec.submodule_search_locations or ())
        kind = (
            modules.SPACE
            if spec.origin is None
            else modules.PACKAGE
            if spec.submodule_search_locations
            else modules.MODULE
        )
        found = where if kind == modules.SPACE else [str(spec.origin).removesuffix(".py").removesuffix("/__init__")]
    return kind, found


def grow(folder: Path, dice: random.Random, depth: int = 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a", "b"):
        if dice.random() < 0.3:
            (folder / f"{name}.py").touch()
        if dice.random() < 0.6 and depth:
            grow(folder / name, dice, depth - 1)
            if dice.random() < 0.4:
                (folder / name / "__init__.py").touch()


def test_names_are_found_as_the_interpreter_finds_them(tmp_path: Path) -> None:
    for seed in range(12):
        folders = [tmp_path / str(seed) / name for name in ("one", "two", "three")]
        for number, folder in enumerate(folders):
            grow(folder, random.Random(f"{seed} {number}"))
        there = [str(folder) for folder in folders]
        if seed % 2:  # zipimport
            there[seed % 3] = shutil.make_archive(there[seed % 3] + "-", "zip", there[seed % 3])
        finder = modules.ModuleFinder(there, {})
        for name in ("a", "b", "a/a", "a/b", "b/a", "a/a/b", "b/b/b", "a/b/a"):
            assert finder.find(name) == by_importlib(name, there), (seed, name)


def test_what_a_wheel_brings_counts_as_there_and_what_leaves_as_gone(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/__init__.py").touch()
    (tmp_path / "gone.py").touch()
    lib = str(tmp_path)
    finder = modules.ModuleFinder(
        [lib], {f"{lib}/new/inner": modules.PACKAGE}, {f"{lib}/gone/__init__.py", f"{lib}/gone.py"}
    )
    assert finder.find("new") == (modules.SPACE, [f"{lib}/new"])
    assert finder.find("new/inner") == (modules.PACKAGE, [f"{lib}/new/inner"])
    assert finder.find("gone") == (modules.SPACE, [f"{lib}/gone"])


def test_the_outermost_names_of_a_wheel() -> None:
    paths = [
        "one.py",
        "two/__init__.py",
        "two/three.py",
        "ns/deep/pkg/__init__.py",
        "ns/deep/pkg/x.py",
        "ns/deep/mod.py",
        "fast.abi3.so",
        "no-name/x.py",
        "data/readme.txt",
        "both.py",
        "both/__init__.py",
    ]
    wheel = SimpleNamespace(lib="/lib", payload=[SimpleNamespace(path=f"/lib/{path}") for path in paths])
    assert modules.outermost(wheel) == {  # type: ignore[arg-type]
        "one": modules.MODULE,
        "two": modules.PACKAGE,
        "ns/deep/pkg": modules.PACKAGE,
        "ns/deep/mod": modules.MODULE,
        "fast": modules.MODULE,
        "both": modules.PACKAGE,
    }


@pytest.mark.parametrize("way", ["PYTHONPATH", "pth, later", "the same folder", "one level down"])
def test_a_shared_folder_that_a_package_hides_is_known_before_anything_is_written(
    way: str, kernel: Path, tmp_path: Path
) -> None:
    lib = kit.purelib(kernel)
    other = lib if way == "the same folder" else tmp_path / "other"
    other.mkdir(exist_ok=True)
    if way == "one level down":
        (other / "ns/part").mkdir(parents=True)
        (other / "ns/part/__init__.py").touch()
    elif way == "the same folder":
        (other / "ns.py").touch()
    else:
        (other / "ns").mkdir()
        (other / "ns/__init__.py").touch()
    if way == "pth, later":
        (lib / "other.pth").write_text(f"{other}\n")
    env = {"PYTHONPATH": str(other)} if way in ("PYTHONPATH", "one level down") else {}
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "ns-part", files={"ns/part/tool.py": "X = 1\n"})])
    before = kit.listing(lib)
    done = kit.restore(kernel, pack.path, env=env)
    assert done.code == 6, done.out
    name = "part" if way == "one level down" else "ns"
    folder = other / "ns" if way == "one level down" else other
    assert done.error["what"].endswith(
        f"{name} in {folder} is no folder that others share, so that ns.part.tool of ns-part 1.0 would not be found"
    )
    assert kit.listing(lib) == before
    noted = kit.good(kernel, pack.path, env={**env, "KPACK_DRIFT": "note"})
    assert any(str(folder) in note for note in noted.report["notes"])


@pytest.mark.parametrize("words", ["__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n", None])
def test_a_package_that_takes_in_the_folders_of_its_name_hides_nothing(
    words: str | None, kernel: Path, tmp_path: Path
) -> None:
    (tmp_path / "other/ns").mkdir(parents=True)
    (tmp_path / "other/ns/mine.py").touch()
    if words:
        (tmp_path / "other/ns/__init__.py").write_text(words)
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "ns-part", files={"ns/part/tool.py": "X = 1\n"})])
    done = kit.good(
        kernel, pack.path, env={"PYTHONPATH": str(tmp_path / "other")}, after="import ns.mine, ns.part.tool"
    )
    assert done.report["notes"] == []


def test_what_a_package_of_the_pack_hides_is_a_note(kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "other/ns").mkdir(parents=True)
    (tmp_path / "other/ns/mine.py").touch()
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "ns", files={"ns/__init__.py": ""})])
    done = kit.good(kernel, pack.path, env={"PYTHONPATH": str(tmp_path / "other")})
    assert done.report["notes"] == [
        f"ns of ns 1.0 hides the modules in {tmp_path}/other/ns, which could be imported before"
    ]


@pytest.mark.parametrize(("hidden", "code"), [("tests", 0), ("thing", 6)])
def test_a_wheel_that_is_hidden_in_part_says_which(hidden: str, code: int, kernel: Path, tmp_path: Path) -> None:
    (tmp_path / "other" / hidden).mkdir(parents=True)
    (tmp_path / "other" / hidden / "__init__.py").touch()
    wheel = make_wheel(tmp_path, "thing", files={"thing/__init__.py": "", "tests/__init__.py": "", "tests/x.py": ""})
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    done = kit.restore(kernel, pack.path, env={"PYTHONPATH": str(tmp_path / "other")})
    assert done.code == code, done.out
    said = f"{hidden} in {tmp_path}/other comes before the one of thing 1.0"
    assert done.report["notes"] == [said] if code == 0 else said in done.error["what"]


def test_a_wheel_that_an_archive_on_the_path_hides_is_refused(kernel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        archive.writestr("lib/thing/__init__.py", "")
    (tmp_path / "none.zip").write_bytes(b"nothing of it")
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")])
    entries = [tmp_path / "none.zip", tmp_path / "old.zip/lib"]
    done = kit.restore(kernel, pack.path, env={"PYTHONPATH": os.pathsep.join(map(str, entries))})
    said = f"thing in {tmp_path}/old.zip/lib comes before the one of thing 1.0"
    assert (done.code, said in done.error["what"]) == (6, True)


def test_a_library_that_is_a_link_is_whole_the_second_time(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)
    lib.rename(tmp_path / "elsewhere")
    lib.symlink_to(tmp_path / "elsewhere")
    wheel = make_wheel(tmp_path, "thing", files={"thing-1.0.data/scripts/tool": "#!/bin/sh\n", "thing.py": ""})
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    assert kit.good(kernel, pack.path).report["changed"]
    assert not kit.good(kernel, pack.path).report["changed"]


def test_a_module_beside_a_package_of_its_name_would_not_be_found(kernel: Path, tmp_path: Path) -> None:
    lib = kit.purelib(kernel)
    (lib / "thing").mkdir()
    (lib / "thing/__init__.py").touch()
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")])
    done = kit.restore(kernel, pack.path)
    assert (done.code, f"thing in {lib} comes before the one of thing 1.0" in done.error["what"]) == (6, True)
