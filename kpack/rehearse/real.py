"""Base packages that are installed really, from the index or pip's cache, at the versions of the image."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack import tether
from kpack.errors import MachineError, NetworkError, NoSolution

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

_NETWORK = ("connection", "timed out", "temporary failure", "name resolution", "max retries", "ssl")


def closure(
    names: Collection[str], pins: Mapping[str, str], python: Path, *, indexes: Sequence[tuple[str, str]] = ()
) -> dict[str, str]:
    """Return what ``names`` and their requirements are in the image: normalised name to the URL that pip chose.

    Raises:
        NoSolution: the image's versions do not go together on the index, or one is not there.
        NetworkError: the index cannot be reached.

    """
    report = _pip(
        ["install", "--dry-run", "--ignore-installed", "--report", "-", *_asked(names, pins)],
        python,
        constraints=_constraints(pins, python),
        indexes=indexes,
    )
    chosen: dict[str, Any] = json.loads(report)
    found = {}
    for item in chosen["install"]:
        name = canonicalize_name(item["metadata"]["name"])
        if name in pins:
            info = item["download_info"]
            digest = info.get("archive_info", {}).get("hashes", {}).get("sha256")
            found[str(name)] = info["url"] + (f"#sha256={digest}" if digest else "")
    return found


def install(
    names: Collection[str],
    pins: Mapping[str, str],
    python: Path,
    *,
    into: Path | None = None,
    indexes: Sequence[tuple[str, str]] = (),
) -> None:
    """Install ``names`` and what they need for the interpreter ``python``, the image's versions where it has them.

    ``into`` is a new folder beside the environment; it appears when everything is in it.

    Raises:
        NoSolution: no versions go together.
        NetworkError: the index cannot be reached.

    """
    where = into.with_name(into.name + ".part") if into is not None else None
    target = ["--target", str(where), "--upgrade"] if where is not None else []
    _pip(
        ["install", "--ignore-installed", *target, *_asked(names, pins)],
        python,
        constraints=_constraints(pins, python),
        indexes=indexes,
    )
    if into is not None and where is not None:
        where.rename(into)


def install_exactly(urls: Collection[str], python: Path) -> None:
    """Install these wheels and nothing else into the environment of ``python``.

    Raises:
        NetworkError: one cannot be fetched.

    """
    if urls:
        _pip(["install", "--no-deps", "--ignore-installed", *urls], python)


def _asked(names: Collection[str], pins: Mapping[str, str]) -> list[str]:
    return [f"{name}=={_public(pins[name])}" if name in pins else name for name in sorted(names)]


def _public(version: str) -> str:
    """Return a version without its local part: the index has ``torch 2.10.0``, the image ``2.10.0+cu128``."""
    return Version(version).public


def _constraints(pins: Mapping[str, str], python: Path) -> Path:
    path = python.parent.parent / "kpack-image.txt"
    path.write_text("".join(f"{name}=={_public(version)}\n" for name, version in pins.items()), encoding="utf-8")
    return path


def _pip(
    words: Sequence[str], python: Path, *, constraints: Path | None = None, indexes: Sequence[tuple[str, str]] = ()
) -> str:
    """Run kpack's pip for another interpreter and return its stdout."""
    options = ["--disable-pip-version-check", "--no-input", "--quiet", "--only-binary=:all:"]
    if constraints is not None:
        options += ["--constraint", str(constraints)]
    # URLs may hold passwords, and anybody on this machine may read a command line.
    variables = dict(os.environ)
    if index := os.environ.get("KPACK_INDEX_URL"):
        variables["PIP_INDEX_URL"] = index
    for option, name in (("--extra-index-url", "PIP_EXTRA_INDEX_URL"), ("--find-links", "PIP_FIND_LINKS")):
        if ours := [url for said, url in indexes if said == option]:
            variables[name] = " ".join([*variables.get(name, "").split(), *ours])
    done = tether.run([sys.executable, "-m", "pip", "--python", str(python), *words, *options], env=variables)
    if done.returncode:
        raise _failed(done.stderr)
    return done.stdout


def _failed(said: str) -> MachineError | NetworkError | NoSolution:
    stripped = (row.strip() for row in said.splitlines())
    rows = [row for row in stripped if row and not row.startswith("WARNING: ")]
    text = "; ".join(row.removeprefix("ERROR: ") for row in rows[-4:])
    what = f"the image's packages cannot be installed here: {text}"
    if any(word in said.lower() for word in _NETWORK):
        return NetworkError(what, next="try again, or rehearse with stubs alone (without --real and --notebook)")
    if "No matching distribution" in said or "ResolutionImpossible" in said or "conflict" in said:
        return NoSolution(what, next="name fewer packages with --real, or rehearse on Kaggle itself (--kaggle)")
    return MachineError(what, next="rehearse with stubs alone, or on Kaggle itself (--kaggle)")
