"""Real wheels of the index, of old and new generators, held against the gate.

``python -m tests.pack.real_wheels --folder DIR`` downloads what ``real_wheels.txt`` lists (into DIR, with pip; what is
there is not asked for again), runs the gate on every wheel of DIR, and has pip and uv install what it refuses. What
both take must be taken, or opened by a named word: else the exit code is 1.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from kpack.errors import KpackError
from kpack.pack import wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LISTED = Path(__file__).with_suffix(".txt")
AT_ONCE = 40
"""Wheels that one call of pip downloads."""


def listed() -> list[str]:
    """Return the file names of the list."""
    return LISTED.read_text(encoding="utf-8").split()


def download(names: Iterable[str], folder: Path) -> list[str]:
    """Have pip download wheels by file name; return the names that the index does not give any more."""
    groups: dict[tuple[str, ...], list[list[str]]] = {}
    for name in names:
        for batch in groups.setdefault(_tag_options(name), []):
            if len(batch) < AT_ONCE and not any(_project(name) == _project(other) for other in batch):
                batch.append(name)
                break
        else:
            groups[_tag_options(name)].append([name])
    lost = []
    for options, batches in groups.items():
        for batch in batches:
            if not _pip_download([_pin(name) for name in batch], options, folder):
                for name in batch:
                    _pip_download([_pin(name)], options, folder)
            lost += [name for name in batch if not (folder / name).exists()]
    return lost


def _pip_download(pins: Sequence[str], options: Sequence[str], folder: Path) -> bool:
    words = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
    words += [*options, "--dest", str(folder), *pins]
    return subprocess.run([sys.executable, "-m", "pip", *words], check=False, stderr=subprocess.DEVNULL).returncode == 0


def _project(name: str) -> str:
    return parse_wheel_filename(name)[0]


def _pin(name: str) -> str:
    project, version, _, _ = parse_wheel_filename(name)
    return f"{project}=={version}"


def _tag_options(name: str) -> tuple[str, ...]:
    """Return what makes pip take a wheel of these tags, whatever Python runs it."""
    python, abi, platform = name.removesuffix(".whl").rsplit("-", 3)[1:]
    if platform == "any":
        return ()
    digits = next((tag[2:] for tag in python.split(".") if tag.startswith("cp")), "311")
    words = ["--implementation", "cp", "--python-version", f"{digits[0]}.{digits[1:]}"]
    for word, tags in (("--abi", {*abi.split("."), "none"}), ("--platform", platform.split("."))):
        words += [part for tag in sorted(tags) for part in (word, tag)]
    return tuple(words)


def generator(path: Path) -> str:
    """Return what made a wheel, by its own word."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.count("/") == 1 and name.endswith(".dist-info/WHEEL"):
                rows = archive.read(name).decode("utf-8", "replace").splitlines()
                said = next((row.partition(":")[2].strip() for row in rows if row.startswith("Generator")), "")
                return " ".join(said.split()[:2]) or "unknown"
    return "unknown"


def installs(words: Sequence[str], path: Path) -> bool:
    """Tell whether an installer takes a wheel; it is given a name that fits every Python."""
    with tempfile.TemporaryDirectory() as folder:
        name = f"{'-'.join(path.name.split('-')[:2])}-py3-none-any.whl"
        copy = Path(folder) / name
        shutil.copyfile(path, copy)
        command = [*words, "--target", str(Path(folder) / "target"), str(copy)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


def neighbours(path: Path) -> dict[str, bool]:
    """Return which of pip and uv (where it is here) take a wheel."""
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--ignore-requires-python"]
    found = {"pip": installs(pip, path)}
    if uv := shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"):
        found["uv"] = installs([uv, "pip", "install", "--offline", "--no-index", "--no-deps", "--quiet"], path)
    return found


def let_in_by(path: Path) -> str:
    """Return the key of kaggle-env.toml that lets a wheel in; empty when none does."""
    for word, lax in (("lax-record", wheel.Lax(record=True)), ("lax-archive", wheel.Lax(archive=True))):
        try:
            wheel.admit(path, lax=lax)
        except KpackError:
            continue
        return word
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where the wheels are, or go")
    parser.add_argument("--no-download", action="store_true", help="take the wheels that are there")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    lost = []
    if not options.no_download:
        lost = download([name for name in listed() if not (options.folder / name).exists()], options.folder)
    made: Counter[str] = Counter()
    refused, false = 0, 0
    wheels = sorted(options.folder.glob("*.whl"))
    for path in wheels:
        try:
            wheel.admit(path)
            made[generator(path)] += 1
        except KpackError as error:
            refused += 1
            takers, word = neighbours(path), let_in_by(path)
            false += all(takers.values()) and not word
            said = ", ".join(f"{name} {'takes' if takes else 'refuses'} it" for name, takes in takers.items())
            print(f"refused: {path.name}: {error.what} ({said}; {word or 'no word'} lets it in)")
    print(f"{len(wheels)} wheels of {len(made)} generators: {refused} refused, {false} of them falsely")
    for name in lost:
        print(f"not had: {name}")
    return int(bool(false))


if __name__ == "__main__":
    sys.exit(main())
