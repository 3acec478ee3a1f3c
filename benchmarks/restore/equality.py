"""``python -m benchmarks.restore.equality --wheels FOLDER``: 150 real wheels restored equal 150 installed by pip.

Compared are the trees of ``--target``, file by file with their permissions; then, in virtual environments, what
``pip check`` says and what ``pip uninstall`` leaves behind.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.utils import parse_wheel_filename

from benchmarks.restore import packs
from tests.restore import kit
from tests.restore.test_install import compare_with_pip


def pip(python: Path, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), *words], capture_output=True, text=True, check=False
    )
    return done.stdout


def environments(wheels: list[Path], place: Path) -> list[str]:
    """Restore into one environment, let pip install into another; return what differs for pip."""
    ours, theirs = (kit.make_venv(packs.SERIES, place / name) for name in ("venv-ours", "venv-theirs"))
    before = set(kit.listing(ours.parents[1], without=["lib64"]))
    pack = kit.make_pack(place / "venv-pack", wheels, series=[packs.SERIES])
    report = kit.good(ours, pack.path).report
    pip(theirs, "install", "--no-index", "--no-deps", "--no-compile", *map(str, wheels))
    problems = []
    if sorted(pip(ours, "check").splitlines()) != sorted(pip(theirs, "check").splitlines()):
        problems.append("pip check says something else")
    listed, expected = (json.loads(pip(python, "list", "--format=json")) for python in (ours, theirs))
    if listed != expected:
        problems.append("pip list says something else")
    print(f"  restored {len(report['installed'])} in {report['seconds']} s; pip lists {len(listed)}")
    pip(ours, "uninstall", "--yes", *(item["name"] for item in listed))
    left = {name for name in set(kit.listing(ours.parents[1], without=["lib64"])) - before if not name.endswith("/")}
    left = {name for name in left if "/.kpack/" not in name and "__pycache__" not in name}
    return problems + [f"left behind by pip uninstall: {name}" for name in sorted(left)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True, help="folder that keeps the wheels")
    parser.add_argument("--place", type=Path, help="where to install")
    options = parser.parse_args()
    wheels = packs.fetch(sorted({*packs.SEVENTY_FIVE, *packs.MORE}), options.wheels)
    with tempfile.TemporaryDirectory(prefix="kpack-equality-", dir=options.place) as name:
        place = Path(name)
        compared = compare_with_pip(wheels, place)
        files, _, unpacked = packs.sizes(wheels)
        print(f"{len(wheels)} wheels, {files} entries, {unpacked / 1e9:.2f} GB: {compared} paths equal pip's")
        problems = environments([path for path in wheels if parse_wheel_filename(path.name)[0] != "pip"], place)
    for problem in problems:
        print("  " + problem)
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
