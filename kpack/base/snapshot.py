"""Base images from JSON: shipped snapshots, the output of the probe cell, and ``pip inspect``.

kpack's own format is one JSON object::

    {"kpack-base": 1, "name", "taken", "certainty", "environment": {marker variables}, "glibc": "2.35",
     "preloaded": {module: [distributions that own it]}, "provenance": {word: meaning}, "default-from": word,
     "unknown": [names without a known version],
     "distributions": [{"name", "version", "from"?, "colab"?, "requires-dist"?, "provides-extra"?}]}

``colab`` is the version that Colab's list names where Kaggle's own packages moved it. A probe adds ``tags``,
and for the reader of the file ``image`` (docker digest, build date, commit) and ``skipped`` (unreadable metadata).
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version

from kpack import DISTRIBUTION
from kpack.base.model import BaseDistribution, BaseImage, SnapshotInfo
from kpack.errors import MachineError, UsageError

FORMAT = 1
"""The format number of snapshots."""

SNAPSHOTS = Path(__file__).parent / "snapshots"

MARKER_VARIABLES = (
    "implementation_name",
    "implementation_version",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "python_full_version",
    "python_version",
    "sys_platform",
)
"""The variables of a marker environment without ``extra`` (dependency specifiers, "environment markers")."""

_KEYS = frozenset({
    "kpack-base", "name", "taken", "certainty", "environment", "glibc", "preloaded", "provenance", "default-from",
    "unknown", "distributions", "image", "tags", "skipped",
})  # fmt: skip
_DISTRIBUTION_KEYS = frozenset({"name", "version", "from", "colab", "requires-dist", "provides-extra"})
_HINT = "make the file anew with the cell that `kpack probe` prints"
_INSPECT_GLIBC = "2.35"


def load(ref: str, relative_to: Path) -> BaseImage:
    """Return the base image that ``ref`` names.

    ``ref`` is the name of a shipped snapshot, or the path (absolute, or relative to the folder ``relative_to``)
    of a file made by the probe cell or by ``pip inspect``.

    Raises:
        UsageError: no snapshot has that name, or the file is no snapshot; says where in the file.
        MachineError: the file cannot be read.

    """
    known = SNAPSHOTS / f"{ref}.json"
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", ref) and not ref.endswith(".json") and known.is_file():
        return loads(_read(known), known, shipped=True)
    path = relative_to / Path(ref).expanduser()
    if path.is_file():
        return loads(_read(path), path)
    if "/" in ref or "\\" in ref or ref.endswith(".json"):
        raise UsageError(
            f"there is no file {ref!r}",
            where=f"base = {ref!r}",
            next="run the cell that `kpack probe` prints in a notebook and save its output there, "
            "or name a shipped snapshot (`kpack probe --list`)",
        )
    raise _unknown_name(ref)


def _unknown_name(ref: str) -> UsageError:
    import difflib

    names = sorted(path.stem for path in SNAPSHOTS.glob("*.json"))
    close = difflib.get_close_matches(ref, names, n=1, cutoff=0.5)
    return UsageError(
        f"no base image is called {ref!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
        where=f"base = {ref!r}",
        next=f"known names: {', '.join(names)}; or a path to the output of `kpack probe`",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"not UTF-8 at byte {error.start}", where=str(path), next=_HINT) from error
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", where=str(path)) from error


def shipped() -> tuple[SnapshotInfo, ...]:
    """Return what `kpack probe --list` shows of each shipped snapshot, newest first."""
    infos = []
    for path in SNAPSHOTS.glob("*.json"):
        base = loads(_read(path), path, shipped=True)
        infos.append(
            SnapshotInfo(
                name=base.name,
                python=base.python_full_version,
                machine=base.machine,
                glibc=".".join(map(str, base.glibc)),
                taken=base.taken,
                distributions=len(base.distributions),
                unknown=len(base.unknown),
                certainty=base.certainty,
            )
        )
    return tuple(sorted(sorted(infos, key=lambda info: info.name), key=lambda info: info.taken, reverse=True))


def loads(text: str, path: Path, *, shipped: bool = False) -> BaseImage:
    """Return the base image that ``text`` (the content of ``path``) describes.

    Raises:
        UsageError: the text is no snapshot; ``where`` names the file and the key path or line.

    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}", next=_HINT) from error
    except RecursionError as error:
        raise UsageError("not a snapshot: nested too deeply", where=str(path), next=_HINT) from error
    reader = _Reader(path)
    reader.expect(isinstance(data, dict), "", "a snapshot is one JSON object")
    if "kpack-base" in data:
        return reader.own(data, shipped=shipped)
    if "installed" in data and "environment" in data:
        return reader.own(_from_inspect(reader, data), shipped=False)
    raise reader.error("", "neither the output of the probe cell nor of `pip inspect`")


class _Reader:
    """Checks a parsed file key by key; every complaint names the file and the key path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def error(self, key: str, what: str) -> UsageError:
        return UsageError(what, where=f"{self.path}: {key}" if key else str(self.path), next=_HINT)

    def expect(self, condition: bool, key: str, what: str) -> None:
        if not condition:
            raise self.error(key, what)

    def text(self, data: dict[str, Any], key: str, default: str | None = None, *, at: str = "") -> str:
        value = data.get(key, default)
        if not isinstance(value, str):
            raise self.error(f"{at}{key}", "missing" if value is None else f"a string is needed, not {value!r:.80}")
        return value

    def texts(self, value: object, key: str) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(key, "a list of strings is needed")
        return tuple(value)

    def version(self, text: str, key: str) -> Version:
        try:
            return Version(text)
        except InvalidVersion as error:
            raise self.error(key, f"not a version: {text!r:.80}") from error

    def own(self, data: dict[str, Any], *, shipped: bool) -> BaseImage:
        if data["kpack-base"] != FORMAT:
            raise UsageError(
                f"snapshot format {data['kpack-base']!r:.20}, and this kpack reads {FORMAT}",
                where=f"{self.path}: kpack-base",
                next=f"update kpack (pip install -U {DISTRIBUTION}), or make the file anew with `kpack probe`",
            )
        for key in data:
            self.expect(key in _KEYS, key, "unknown key")
        environment = self.environment(data.get("environment"))
        glibc = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", self.text(data, "glibc"))
        if glibc is None:
            raise self.error("glibc", f"not a glibc version: {data['glibc']!r:.40}")
        tags = data.get("tags", {})
        self.expect(isinstance(tags, dict), "tags", "an object is needed")
        if str(tags.get("abi", "")).endswith("t"):
            raise self.error(
                "tags.abi", f"a free-threaded interpreter ({tags['abi']!r:.20}) is nothing kpack locks for"
            )
        distributions = self.distributions(data)
        unknown = tuple(sorted({canonicalize_name(n) for n in self.texts(data.get("unknown", []), "unknown")}))
        preloaded = data.get("preloaded", {})
        self.expect(isinstance(preloaded, dict), "preloaded", "an object of module: [distributions] is needed")
        owners: dict[NormalizedName, str] = {}
        for module, names in preloaded.items():
            for name in self.texts(names, f"preloaded.{module}"):
                owners.setdefault(canonicalize_name(name), module)
        provenance = data.get("provenance", {})
        self.expect(
            isinstance(provenance, dict) and all(isinstance(v, str) for v in provenance.values()),
            "provenance",
            "an object of strings is needed",
        )
        return BaseImage(
            name=self.text(data, "name") if shipped else self.path.stem,
            python_full_version=environment["python_full_version"],
            machine=environment["platform_machine"],
            glibc=(int(glibc[1]), int(glibc[2])),
            environment=environment,
            distributions=distributions,
            preloaded=tuple(preloaded),
            certainty=self.text(data, "certainty", ""),
            fingerprint=fingerprint(environment, data["glibc"], preloaded, unknown, data["distributions"]),
            preloaded_by=owners,
            unknown=unknown,
            provenance=provenance,
            taken=self.text(data, "taken", ""),
            shipped=shipped,
        )

    def environment(self, value: object) -> dict[str, str]:
        self.expect(isinstance(value, dict), "environment", "the object of marker variables is missing")
        assert isinstance(value, dict)
        environment = {name: self.text(value, name, at="environment.") for name in MARKER_VARIABLES}
        if environment["sys_platform"] != "linux" or environment["implementation_name"] != "cpython":
            raise self.error(
                "environment",
                f"Kaggle's kernels are CPython on linux; this was taken on {environment['implementation_name']} "
                f"on {environment['sys_platform']}",
            )
        full = environment["python_full_version"].rstrip("+")
        self.version(full, "environment.python_full_version")
        return environment | {"python_full_version": full}

    def distributions(self, data: dict[str, Any]) -> dict[NormalizedName, BaseDistribution]:
        rows = data.get("distributions")
        if not isinstance(rows, list):
            raise self.error("distributions", "a list is needed")
        default = self.text(data, "default-from", "")
        found: dict[NormalizedName, BaseDistribution] = {}
        for position, row in enumerate(rows):
            at = f"distributions[{position}]"
            if not isinstance(row, dict) or not row.keys() <= _DISTRIBUTION_KEYS:
                self.expect(isinstance(row, dict), at, "an object is needed")
                raise self.error(f"{at}.{min(row.keys() - _DISTRIBUTION_KEYS)}", "unknown key")
            name = canonicalize_name(self.text(row, "name", at=f"{at}."))
            self.expect(name not in found, at, f"{name} is listed twice")
            requires = row.get("requires-dist")
            extras = row.get("provides-extra")
            found[name] = BaseDistribution(
                name=name,
                version=self.version(self.text(row, "version", at=f"{at}."), f"{at}.version"),
                requires_dist=None if requires is None else self.texts(requires, f"{at}.requires-dist"),
                provides_extra=None if extras is None else self.texts(extras, f"{at}.provides-extra"),
                provenance=self.text(row, "from", default, at=f"{at}."),
            )
        return found


def fingerprint(
    environment: dict[str, str],
    glibc: str,
    preloaded: dict[str, list[str]],
    unknown: tuple[str, ...],
    distributions: list[dict[str, Any]],
) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over what a resolution can see of an image.

    Names, dates, certainty and provenance are not part of it, nor are the kernel release and version of the
    machine that happened to run the probe, nor the order of the list.
    """
    seen = {
        "environment": {k: v for k, v in environment.items() if k not in ("platform_release", "platform_version")},
        "glibc": glibc,
        "preloaded": sorted((module, sorted(names)) for module, names in preloaded.items()),
        "unknown": unknown,
        "distributions": sorted(
            (row["name"], row["version"], row.get("requires-dist"), row.get("provides-extra")) for row in distributions
        ),
    }
    return hashlib.sha256(json.dumps(seen, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _from_inspect(reader: _Reader, data: dict[str, Any]) -> dict[str, Any]:
    """Turn the report of ``pip inspect`` (version 1) into the snapshot format."""
    installed = data["installed"]
    reader.expect(isinstance(installed, list), "installed", "a list is needed")
    rows: dict[str, dict[str, Any]] = {}
    for position, item in enumerate(installed):
        metadata = item.get("metadata") if isinstance(item, dict) else None
        if not isinstance(metadata, dict):
            raise reader.error(f"installed[{position}].metadata", "an object is needed")
        name = canonicalize_name(reader.text(metadata, "name", at=f"installed[{position}].metadata."))
        version = reader.text(metadata, "version", at=f"installed[{position}].metadata.")
        # pip lists a shadowed distribution after the one that the interpreter imports.
        rows.setdefault(
            name,
            {
                "name": name,
                "version": version,
                "requires-dist": metadata.get("requires_dist", []),
                "provides-extra": metadata.get("provides_extra", []),
            },
        )
    return {
        "kpack-base": FORMAT,
        "name": reader.path.stem,
        "certainty": "a report of `pip inspect`: exact for distributions; it does not say the glibc version "
        f"(taken as {_INSPECT_GLIBC}) nor what is imported before the first cell",
        "environment": data["environment"],
        "glibc": _INSPECT_GLIBC,
        "default-from": "pip inspect",
        "preloaded": {},
        "distributions": [rows[name] for name in sorted(rows)],
    }
