"""``python -m benchmarks.native.load --root DIR``: verdicts against what a loader really does, in a root file system.

``DIR`` is a root that has exactly the libraries that are to be there (``debootstrap --variant=minbase bookworm DIR``).
It is probed as a kernel is, each wheel is judged against that probe, by Range as a lock does and whole as a build does,
and then every extension module of it is opened by ``dlopen`` in the root. Needs root and about 300 MB of downloads.
Exit 1 when a verdict and the loader differ: a module that loads and was called impossible, or the other way round.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import requests
from packaging.requirements import Requirement

from benchmarks.native.choose import Choice, Index
from benchmarks.native.table import Wheels
from kpack import base
from kpack.base import BaseImage, probe_cell
from kpack.base.model import NativeRecord
from kpack.native import Certainty, judge, of_image
from kpack.native.names import is_module
from kpack.pack.wheel import Lax, admit

REQUESTS = (
    *("opencv-python<5", "opencv-python-headless<5", "opencv-python", "pyvips-binary", "rdkit", "lightgbm", "pyarrow"),
    *("soundfile", "psycopg2-binary", "lxml", "grpcio", "tokenizers", "safetensors", "sentencepiece", "shapely"),
    *("pyproj", "h5py", "pymupdf", "duckdb", "faiss-cpu", "decord", "av", "pygame", "llvmlite", "PyQt6", "vtk"),
    *("matplotlib", "scipy", "numba", "usearch", "netCDF4"),
)

_OPEN = """
import ctypes, json, os, sys
found = {}
left, before = [path for path in sys.argv[1:] if ".libs/" in path], -1
while left and len(left) != before:
    before, again = len(left), []
    for path in left:
        try:
            ctypes.CDLL(path, ctypes.RTLD_GLOBAL)
        except OSError:
            again.append(path)  # it may need another one of them that comes later
    left = again
for path in sys.argv[1:]:
    ours, theirs = os.pipe()
    if not os.fork():
        try:
            ctypes.CDLL(path)
        except OSError as error:
            os.write(theirs, str(error).encode()[:4000])
        os._exit(0)
    os.close(theirs)
    os.wait()
    found[path] = os.read(ours, 4096).decode()
    os.close(ours)
print(json.dumps(found))
"""


def inside(root: Path, python: Path, *words: str) -> str:
    """Run this Python's interpreter in ``root`` and return what it printed."""
    place = root / str(python.parents[1]).lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    script = 'mount --bind "$1" "$2"; root=$3; shift 3; exec chroot "$root" "$@"'
    command = ["unshare", "--mount", "sh", "-ec", script, "x", str(python.parents[1]), str(place), str(root)]
    return subprocess.run([*command, str(python), *words], capture_output=True, text=True, check=True).stdout


def probed(root: Path, python: Path) -> BaseImage:
    """Return what a probe of the root says of its native side."""
    (root / "tmp/probe.py").write_text(Path(probe_cell.__file__).read_text(encoding="utf-8"), encoding="utf-8")
    text = "import json, runpy; m = runpy.run_path('/tmp/probe.py', run_name='x'); print(json.dumps(m['native']()))"
    found = json.loads(inside(root, python, "-c", text))
    fields: dict[str, Any] = {"driver": "", "cuda": "", "glibcxx": "", "cxxabi": "", **found}
    lists = {key: tuple(value) for key, value in fields.items() if isinstance(value, list)}
    native = NativeRecord(**{**fields, **lists})
    release = inside(root, python, "-c", "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))").split()[-1].split(".")
    image = base.load("kaggle-cpu-py312-2026-08", Path())
    glibc = (int(release[0]), int(release[1]))
    return replace(image, name="root", native=native, distributions={}, system={}, glibc=glibc, glibc_inferred=None)


def opened(root: Path, python: Path, wheel: Path) -> dict[str, str]:
    """Return by path what the loader says of each shared object of a wheel, nothing where it loads."""
    place = root / "tmp/wheel"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    try:
        paths = [f"/tmp/wheel/{path.relative_to(place)}" for path in sorted(place.rglob("*.so*")) if path.is_file()]
        found = json.loads(inside(root, python, "-c", _OPEN, *paths))
        return {path.removeprefix("/tmp/wheel/"): said for path, said in found.items()}
    finally:
        shutil.rmtree(place)


def fetched(choice: Choice, folder: Path) -> Path:
    path = folder / choice.filename
    if not path.exists():
        path.write_bytes(requests.get(choice.url, timeout=300).content)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", nargs="*")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--python", type=Path, default=Path(sys.executable).resolve(), help="a CPython 3.12")
    options = parser.parse_args()
    image = probed(options.root, options.python)
    print(f"root: glibc {image.glibc}, {len(image.native.libraries or ()) if image.native else 0} libraries")
    kernel = of_image(image, "root", "3.12")
    index, wheels, wrong = Index(), Wheels(), 0
    with tempfile.TemporaryDirectory(prefix="kpack-load-") as name:
        for line in options.requests or REQUESTS:
            choice = index.best(Requirement(line), image)
            if choice is None:
                print(f"{line}: no wheel")
                continue
            wheels.read([choice])
            path = fetched(choice, Path(name))
            views = {
                "lock": wheels.known[choice.url].objects,
                "build": admit(path, lax=Lax(record=True, archive=True)).objects,
            }
            said = opened(options.root, options.python, path)
            # A symbol that another package must have loaded before is no question of libraries.
            said = {item: "" if "undefined symbol" in text else text for item, text in said.items()}
            path.unlink()
            modules = {item.path for item in views["build"] or () if is_module(item.path, initialiser=item.module)}
            broken = {item for item in modules if said.get(item)} if modules else {i for i in said if said[i]}
            for view, objects in views.items():
                report = judge(kernel, [choice.native(objects)])
                worst = next((c for c in Certainty if any(f.certainty is c for f in report.findings)), None)
                truth = (
                    "none loads"
                    if broken and broken == (modules or set(said))
                    else f"{len(broken)} fail"
                    if broken
                    else "loads"
                )
                bad = (worst is Certainty.SURE and truth != "none loads") or (
                    worst is None and bool(broken) and view == "build"
                )
                bad = bad or (worst is Certainty.LIKELY and not broken)
                wrong += bad
                print(f"{choice.filename}: {view}: {worst or 'works'}; really: {truth}{'  <-- DIFFERS' if bad else ''}")
                for finding in report.findings if view == "build" or bad else ():
                    print(f"    {finding.certainty}: {finding.files[:1]} {finding.verb} {finding.wants}; {finding.has}")
            for item in sorted(broken)[:3]:
                print(f"    really: {item}: {said[item][:160]}", flush=True)
    print(f"{wrong} verdicts differ from the loader's")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
