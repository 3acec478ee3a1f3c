"""Make the snapshots that kpack ships: ``python -m images.make [--cache FOLDER] [--index URL]``.

Reads images.toml, lists/, system/, digests.tsv and, from the index, what `facts` reads; writes
``kpack/base/snapshots/NAME.json.gz``, which are a pure function of these, and says what each image breaks itself.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import json
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import Version

from images.facts import Facts, Index
from kpack.base.shipped import SNAPSHOTS
from kpack.base.snapshot import FORMAT
from kpack.target import marker_environment, supported_tags

HERE = Path(__file__).parent
WORKERS = 16
RUNTIME = ("nvidia-", "cuda-", "triton", "pytorch-triton", "cupy-cuda")
"""How the names of what a GPU build of a package pins begin."""


def main() -> None:
    """Write all snapshots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache/kpack-images")
    parser.add_argument("--index", help="a Simple index; pip's default without it")
    chosen = parser.parse_args()
    index = Index(chosen.index or default_index(), chosen.cache)
    described = tomllib.loads((HERE / "images.toml").read_text(encoding="utf-8"))
    common = {key: described.pop(key) for key in ("provenance", "preloaded", "system")}
    for name, about in described.items():
        snapshot = _snapshot(name, about, common, index)
        _write(SNAPSHOTS / f"{name}.json.gz", snapshot)
        without = [row["name"] for row in snapshot["distributions"] if "requires-dist" not in row]
        print(f"{name}: {len(snapshot['distributions'])} distributions, {len(without)} without requirements")
        for package, line, found in violations(snapshot["distributions"], snapshot["environment"]):
            print(f"  {package} needs {line}, the image has {found}")


def default_index() -> str:
    """Return pip's default index."""
    from pip._internal.models.index import PyPI

    return str(PyPI.simple_url)


def _snapshot(name: str, about: dict[str, str], common: dict[str, Any], index: Index) -> dict[str, Any]:
    rows = table(HERE / "lists" / f"{name}.tsv")
    series = about["python"].rpartition(".")[0]
    tags = supported_tags(series, "x86_64", (2, 35))
    known = [row for row in rows if row["version"] != "?"]
    with ThreadPoolExecutor(WORKERS) as pool:
        facts = pool.map(lambda row: index.facts(row["name"], row["version"], tags), known)
        distributions = [_row(row, found) for row, found in zip(known, facts, strict=True)]
    there = {row["name"] for row in known}
    _drop_foreign_builds(distributions, there)
    environment = marker_environment(about["python"], "x86_64")
    preloaded = common["preloaded"]
    return {
        "kpack-base": FORMAT,
        "name": name,
        "taken": about["taken"],
        "certainty": about["certainty"],
        "accelerator": about["accelerator"],
        "environment": environment,
        "glibc": about["glibc"],
        **({"glibc-inferred": about["glibc-inferred"]} if "glibc-inferred" in about else {}),
        "images": [row["digest"] for row in table(HERE / "digests.tsv") if row["list"] == name],
        "preloaded": {module: owners for module, owners in preloaded.items() if not owners or there & set(owners)},
        "provenance": common["provenance"],
        "default-from": "colab-freeze",
        "unknown": sorted(row["name"] for row in rows if row["version"] == "?"),
        "distributions": distributions,
        "system": _system(name, common["system"]["added"]),
    }


def _system(name: str, added: list[str]) -> list[str]:
    """Return name and version of the system's packages, ``?`` for those whose version nobody wrote down."""
    path = HERE / "system" / f"{name}.txt"
    if not path.is_file():
        return []
    rows = dict(line.split(" ", 1) for line in path.read_text(encoding="utf-8").splitlines())
    return [f"{package} {version}" for package, version in sorted({**dict.fromkeys(added, "?"), **rows}.items())]


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a table whose first line names the columns."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))


def _row(row: dict[str, str], facts: Facts | None) -> dict[str, Any]:
    source = row["source"]
    words = {
        "uv-estimate": "uv-estimate",
        "dockerfile-forced-estimate": "uv-estimate",
        "dockerfile-unpinned": "uv-estimate",
        "dockerfile-range": "kaggle-range",
        "dockerfile-pin": "kaggle-pin",
        "kaggle": "kaggle-pin",
        "tpu-config-pin": "kaggle-pin",
        "base-image": "kaggle-pin",
        "git-head": "git-head",
        "follows-cuml": "other-index",
    }
    word = next((word for begin, word in words.items() if source.startswith(begin)), "colab-freeze")
    found: dict[str, Any] = {"name": row["name"], "version": row["version"]}
    if word != "colab-freeze":
        found["from"] = word
    if row["certainty"] != "high":
        found["certainty"] = row["certainty"].partition("(")[0]
    return found | (facts or {})


def _drop_foreign_builds(distributions: list[dict[str, Any]], there: set[str]) -> None:
    """Mend what the index says of a build that it does not have (``torch 2.11.0+cu128`` is there as another build).

    A build for the processor needs none of the GPU's runtime; another one needs what the image has of it, in a
    version that nobody wrote down.
    """
    for row in distributions:
        local = Version(row["version"]).local
        if not local or "requires-dist" not in row:
            continue
        kept = []
        for line in row["requires-dist"]:
            wanted = Requirement(line)
            if not wanted.name.startswith(RUNTIME):
                kept.append(line)
            elif not local.startswith("cpu") and wanted.name in there:
                kept.append(f"{wanted.name}; {wanted.marker}" if wanted.marker else wanted.name)
        row["requires-dist"] = kept


def violations(distributions: list[dict[str, Any]], environment: dict[str, str]) -> list[list[str]]:
    """Return what the image breaks itself: (package, requirement, version there or ``absent``)."""
    versions = {row["name"]: row["version"] for row in distributions}
    found = []
    for row in distributions:
        for line in row.get("requires-dist", []):
            try:
                wanted = Requirement(line)
            except InvalidRequirement:
                continue
            if wanted.marker is not None and not wanted.marker.evaluate({**environment, "extra": ""}):
                continue
            name = wanted.name.lower().replace("_", "-").replace(".", "-")
            has = versions.get(name)
            if has is None or not wanted.specifier.contains(has, prereleases=True):
                found.append([row["name"], f"{name}{_extras(wanted)}{wanted.specifier}", has or "absent"])
    return sorted(found)


def _extras(wanted: Requirement) -> str:
    return f"[{','.join(sorted(wanted.extras))}]" if wanted.extras else ""


def _write(path: Path, snapshot: dict[str, Any]) -> None:
    """Write a snapshot, one distribution a line, as gzip without name and time."""
    rows = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in snapshot["distributions"])
    head = {key: value for key, value in snapshot.items() if key != "distributions"}
    text = json.dumps(head, ensure_ascii=False, indent=1)[:-2] + f',\n "distributions": [\n  {rows}\n ]\n}}\n'
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=9, filename="", mtime=0) as stream:
        stream.write(text.encode("utf-8"))
    path.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
