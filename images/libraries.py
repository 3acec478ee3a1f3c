"""Write down the shared libraries of wheels that others link to: ``python -m images.libraries``.

For the images' distributions whose names begin as `NAMES`, the list of files of their wheel is read from the index by
Range; ``kpack/base/libraries.tsv`` is what came out.
"""

from __future__ import annotations

import argparse
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import InvalidVersion, Version

from images.facts import Index, Remote
from images.make import HERE, default_index, table
from kpack.target import supported_tags

# fmt: off
NAMES = (
    "cupy-", "intel-cmplr", "intel-openmp", "jaxlib", "libcu", "libkv", "libr", "libuc", "lightgbm", "mkl", "nvidia-",
    "onnxruntime", "pyarrow", "tbb", "tcmlib", "tensorflow", "torch", "triton", "umf", "xgboost",
)
# fmt: on
TABLE = HERE.parent / "kpack/base/libraries.tsv"
LIBRARY = re.compile(r"(?:.*/)?(lib(?!.*cpython-)[^/]*\.so(?:\.\d+)?)", re.ASCII)
GPU = re.compile(r"cuda|nvrtc|nvshmem|nccl", re.ASCII)
HEAD = """\
# Shared libraries that distributions of the shipped images bring and others link to: name, version, file names. Read
# from the wheels on the index by images/libraries.py; a build that the index does not have has those of its release,
# one for the processor without those of CUDA.
"""


def main() -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/kpack-images")
    parser.add_argument("--index", help="a Simple index; pip's default without it")
    chosen = parser.parse_args()
    index = Index(chosen.index or default_index(), chosen.cache)
    wanted: dict[tuple[str, str], str] = {}
    for path in sorted((HERE / "lists").glob("*.tsv")):
        series = re.search(r"py3(\d+)", path.name)
        assert series is not None
        for row in table(path):
            if row["version"] != "?" and row["name"].startswith(NAMES):
                wanted.setdefault((row["name"], row["version"]), f"3.{series[1]}")
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda key: libraries(index, *key, python=wanted[key]), wanted)
        rows = sorted((*key, " ".join(names)) for key, names in zip(wanted, found, strict=True) if names)
    TABLE.write_text(HEAD + "".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} of {len(wanted)} distributions bring libraries")


def libraries(index: Index, name: str, version: str, *, python: str) -> list[str]:
    """Return the shared libraries of a wheel, those that auditwheel grafted and renamed left out."""
    wheel = _wheel(index, name, version, python)
    if wheel is None:
        return []
    with zipfile.ZipFile(Remote(index, wheel)) as archive:
        names = [item for item in archive.namelist() if ".libs/" not in item]
    found = {match[1] for item in names if (match := LIBRARY.fullmatch(item))}
    if (Version(version).local or "").startswith("cpu"):
        found = {item for item in found if not GPU.search(item)}
    return sorted(found)


def _wheel(index: Index, name: str, version: str, python: str) -> str | None:
    """Return the URL of the wheel that fits best."""
    tags = supported_tags(python, "x86_64", (2, 35))
    rank = {tag: place for place, tag in enumerate(tags)}
    found = []
    for row in index.page(name):
        try:
            _, has, _, tagged = parse_wheel_filename(row["filename"])
        except (InvalidWheelFilename, InvalidVersion):
            continue
        place = min(rank.get(tag, len(rank)) for tag in tagged)
        if has.public == Version(version).public and place < len(rank):
            found.append((has != Version(version), place, row["url"]))
    return min(found)[2] if found else None


if __name__ == "__main__":
    main()
