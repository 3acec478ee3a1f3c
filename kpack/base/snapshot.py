"""Base images from JSON: shipped snapshots, the output of the probe cell, and ``pip inspect``.

kpack's own format is one JSON object::

    {"kpack-base": 1, "name", "taken", "certainty", "environment": {marker variables}, "glibc": "2.35",
     "preloaded": {module: [distributions that own it]}, "provenance": {word: meaning}, "default-from": word,
     "unknown": [names without a known version],
     "distributions": [{"name", "version", "from"?, "certainty"?, "requires-dist"?, "provides-extra"?}]}

Shipped ones are compressed (``.json.gz``; ``images/make.py`` makes them) and add ``accelerator``, ``glibc-inferred``,
``images`` (docker digests) and ``system`` (``name version`` of dpkg's packages). A probe adds ``tags``,
``scheme`` (the folders that pip installs to), ``image`` (docker digest, build date, commit), ``native`` (see
`kpack.base.model.NativeRecord`), ``system``, ``skipped`` (unreadable metadata) and ``kernel`` (false when no notebook
kernel ran it, so that nobody saw what one loads before the first cell), and to each distribution what is known of its
files: ``library`` (when it is not purelib), ``top-level``, ``outside``, ``removal`` and ``libraries``, as in
`kpack.base.model.BaseDistribution`.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack.base.model import BaseDistribution, BaseImage, NativeRecord, Removal
from kpack.base.pip_inspect import is_report, snapshot_of
from kpack.base.reader import Reader, parse, read
from kpack.base.shipped import names, nearest, place, preloaded_in
from kpack.errors import UsageError, installing

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from packaging.utils import NormalizedName

FORMAT = 1
"""The format number of snapshots."""

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
    "unknown", "distributions", "image", "scheme", "tags", "skipped", "accelerator", "glibc-inferred", "images",
    "system", "native", "kernel", "apt-sources",
})  # fmt: skip
_DISTRIBUTION_KEYS = frozenset({
    "name", "version", "from", "certainty", "requires-dist", "provides-extra", "library", "top-level",
    "outside", "removal", "libraries",
})  # fmt: skip
_REMOVALS = tuple(word.value for word in Removal)
_NATIVE = ("os", "libraries", "glibcxx", "cxxabi", "cuda", "driver")
_SCHEME = ("purelib", "platlib", "scripts", "data", "include")


def load(ref: str, relative_to: Path) -> BaseImage:
    """Return the base image that ``ref`` names.

    ``ref`` is the name of a shipped snapshot, or the path (absolute, or relative to the folder ``relative_to``)
    of a file made by the probe cell or by ``pip inspect``.

    Raises:
        UsageError: no snapshot has that name, or the file is no snapshot; says where in the file.
        MachineError: the file cannot be read.

    """
    known = place(ref)
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", ref) and not ref.endswith(".json") and known.is_file():
        return loads(read(known), known, shipped=True)
    path = relative_to / Path(ref).expanduser()
    if path.exists():
        return loads(read(path), path)
    if "/" in ref or "\\" in ref or ref.endswith(".json"):
        raise UsageError(
            f"there is no file {ref!r}",
            where=f"base = {ref!r}",
            next="run the cell that `kpack probe` prints in a notebook and save its output there, "
            "or name a shipped snapshot (`kpack probe --list`)",
        )
    raise _unknown_name(ref)


def _unknown_name(ref: str) -> UsageError:
    close = difflib.get_close_matches(ref, names(), n=1, cutoff=0.5)
    return UsageError(
        f"no base image is called {ref!r}" + (f"; did you mean {close[0]!r}?" if close else ""),
        where=f"base = {ref!r}",
        next=f"known names: {', '.join(names())}; or a path to the output of `kpack probe`",
    )


def loads(text: str, path: Path, *, shipped: bool = False) -> BaseImage:
    """Return the base image that ``text`` (the content of ``path``) describes.

    Raises:
        UsageError: the text is no snapshot; ``where`` names the file and the key path or line.

    """
    data = parse(text, path)
    reader = _Snapshot(path)
    if "kpack-base" in data:
        return reader.own(data, shipped=shipped)
    if is_report(data):
        return reader.own({"kpack-base": FORMAT, **snapshot_of(reader, data)}, shipped=False)
    raise reader.error("", "neither the output of the probe cell nor of `pip inspect`")


class _Snapshot(Reader):
    """Reads the snapshot format."""

    def own(self, data: dict[str, Any], *, shipped: bool) -> BaseImage:
        """Return the image that the parsed file describes."""
        if data["kpack-base"] != FORMAT or isinstance(data["kpack-base"], bool):
            raise UsageError(
                f"not a snapshot of format {FORMAT}, the one that this kpack reads",
                where=f"{self.path}: kpack-base",
                next=f"update kpack ({installing()}), or make the file anew with `kpack probe`",
            )
        for key in data:
            self.expect(key in _KEYS, key, "unknown key")
        environment = self.environment(data.get("environment"))
        abi = self.strings(data.get("tags", {}), "tags").get("abi", "")
        if abi.endswith("t"):
            raise self.error("tags.abi", f"a free-threaded interpreter ({abi!r:.20}) is nothing kpack locks for")
        self.expect(isinstance(data.get("kernel", True), bool), "kernel", "true or false is needed")
        self.texts(data.get("skipped", []), "skipped")
        scheme = self.scheme(data.get("scheme"))
        distributions = self.distributions(data, scheme)
        unknown = tuple(sorted({self.name(item, "unknown") for item in self.texts(data.get("unknown", []), "unknown")}))
        preloaded = self.table(data.get("preloaded", {}), "preloaded", "an object of module: [distributions] is needed")
        images = self.images(data)
        certainty = self.text(data, "certainty", "")
        if data.get("kernel") is False:
            there = {str(name): str(item.version) for name, item in distributions.items()}
            like = nearest(environment["python_full_version"], there.items(), "".join(images))
            preloaded = _present(preloaded_in(like), there) | preloaded
            certainty += f"; what a notebook kernel loads before the first cell was not seen, {like.name} has it"
        owners: dict[NormalizedName, str] = {}
        for module, distributed in preloaded.items():
            self.expect(module.isidentifier(), "preloaded", f"not the name of a module: {module!r:.80}")
            for name in self.texts(distributed, f"preloaded.{module}"):
                owners.setdefault(self.name(name, f"preloaded.{module}"), module)
        return BaseImage(
            name=self.text(data, "name") if shipped else self.path.stem,
            python_full_version=environment["python_full_version"],
            machine=environment["platform_machine"],
            glibc=self.glibc(data, "glibc"),
            environment=environment,
            distributions=distributions,
            preloaded=tuple(preloaded),
            certainty=certainty,
            fingerprint=fingerprint(environment, data["glibc"], preloaded, unknown, data["distributions"]),
            preloaded_by=owners,
            unknown=unknown,
            provenance=self.strings(data.get("provenance", {}), "provenance"),
            taken=self.text(data, "taken", ""),
            accelerator=self.text(data, "accelerator", ""),
            glibc_inferred=self.glibc(data, "glibc-inferred") if "glibc-inferred" in data else None,
            images=images,
            system=self.system(data.get("system", [])),
            apt_sources=self.apt_sources(data.get("apt-sources", [])),
            native=self.native(data["native"]) if "native" in data else None,
            scheme=scheme,
            shipped=shipped,
        )

    def images(self, data: dict[str, Any]) -> tuple[str, ...]:
        """Return the digests of the docker images that the file speaks of: a probe's own, or a shipped list's."""
        own = self.strings(data.get("image", {}), "image")
        found = re.findall(r"sha256:[0-9a-f]{64}", f"{own.get('digest', '')} {own.get('reference', '')}")
        return (*self.texts(data.get("images", []), "images"), *dict.fromkeys(found))

    def glibc(self, data: dict[str, Any], key: str) -> tuple[int, int]:
        """Return the glibc version under ``key``."""
        found = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", self.text(data, key), re.ASCII)
        if found is None:
            raise self.error(key, f"not a glibc version: {data[key]!r:.40}")
        return int(found[1]), int(found[2])

    def system(self, value: object) -> dict[str, str]:
        """Return the system packages, name to version."""
        rows = [row.partition(" ") for row in self.texts(value, "system")]
        self.expect(all(name and version for name, _, version in rows), "system", "rows of 'name version' are needed")
        return {name: version for name, _, version in rows}

    def apt_sources(self, value: object) -> tuple[str, ...]:
        """Return the archives that apt is set up for."""
        rows = self.texts(value, "apt-sources")
        plain = re.compile(r"(?:https?|file):/[^?#@\s]* [!-~]+(?: [!-~]+)*", re.ASCII)
        self.expect(all(map(plain.fullmatch, rows)), "apt-sources", "rows of 'URL suite components' are needed")
        return rows

    def native(self, value: object) -> NativeRecord:
        """Return what a probe wrote down of native libraries."""
        table = self.table(value, "native")
        for key in table:
            self.expect(key in (*_NATIVE, "gpus"), f"native.{key}", "unknown key")
        words = {key: self.text(table, key, "", at="native.") for key in _NATIVE if key != "libraries"}
        libraries = self.texts(table["libraries"], "native.libraries") if "libraries" in table else None
        return NativeRecord(libraries=libraries, gpus=self.texts(table.get("gpus", []), "native.gpus"), **words)

    def scheme(self, value: object) -> dict[str, str] | None:
        """Return the folders that the image's pip installs to."""
        if value is None:
            return None
        table = self.table(value, "scheme")
        for key in (*_SCHEME, *table):
            self.expect(key in _SCHEME, f"scheme.{key}", "unknown key")
            self.expect(key in table, f"scheme.{key}", "missing")
        return {key: self.folder(table[key], f"scheme.{key}") for key in _SCHEME}

    def environment(self, value: object) -> dict[str, str]:
        """Return the marker variables."""
        table = self.table(value, "environment", "the object of marker variables is missing")
        environment = {name: self.text(table, name, at="environment.") for name in MARKER_VARIABLES}
        if environment["sys_platform"] != "linux" or environment["implementation_name"] != "cpython":
            raise self.error(
                "environment",
                f"Kaggle's kernels are CPython on linux; this was taken on {environment['implementation_name']} "
                f"on {environment['sys_platform']}",
            )
        full = environment["python_full_version"].rstrip("+")
        release = self.version(full, "environment.python_full_version").release
        series = ".".join(map(str, release[:2]))
        self.expect(release[0] == 3, "environment.python_full_version", f"kpack locks for Python 3, not {full:.40}")
        self.expect(
            environment["python_version"] == series,
            "environment.python_version",
            f"{environment['python_version']!r:.40} is not the series of Python {full:.40}",
        )
        self.expect(
            re.fullmatch(r"[a-z0-9_]{1,40}", environment["platform_machine"]) is not None,
            "environment.platform_machine",
            f"not the name of a machine: {environment['platform_machine']!r:.40}",
        )
        return environment | {"python_full_version": full}

    def distributions(
        self, data: dict[str, Any], scheme: dict[str, str] | None
    ) -> dict[NormalizedName, BaseDistribution]:
        """Return the distributions by name."""
        default = self.text(data, "default-from", "")
        found: dict[NormalizedName, BaseDistribution] = {}
        for position, value in enumerate(self.items(data.get("distributions"), "distributions")):
            at = f"distributions[{position}]"
            row = self.table(value, at)
            for key in sorted(row.keys() - _DISTRIBUTION_KEYS):
                raise self.error(f"{at}.{key}", "unknown key")
            name = self.name(self.text(row, "name", at=f"{at}."), f"{at}.name")
            if name in found:
                raise self.error(at, f"{name} is listed twice")
            requires = row.get("requires-dist")
            extras = row.get("provides-extra")
            found[name] = BaseDistribution(
                name=name,
                version=self.version(self.text(row, "version", at=f"{at}."), f"{at}.version"),
                requires_dist=None if requires is None else self.texts(requires, f"{at}.requires-dist"),
                provides_extra=None if extras is None else self.texts(extras, f"{at}.provides-extra"),
                provenance=self.text(row, "from", default, at=f"{at}."),
                certainty=self.text(row, "certainty", "", at=f"{at}."),
                **self.files(row, at, scheme),
            )
        return found

    def files(self, row: dict[str, Any], at: str, scheme: dict[str, str] | None) -> dict[str, Any]:
        """Return what a row says of files, as the fields of a `BaseDistribution`."""
        tops, outside, removal = row.get("top-level"), row.get("outside"), row.get("removal")
        libraries = row.get("libraries")
        library = row.get("library", scheme["purelib"] if scheme else None)
        self.expect(
            removal is None or removal in _REMOVALS, f"{at}.removal", f"one of {', '.join(_REMOVALS)} is needed"
        )
        return {
            "library": None if library is None else self.folder(library, f"{at}.library"),
            "top_level": None if tops is None else self.places(tops, f"{at}.top-level"),
            "outside": None if outside is None else self.places(outside, f"{at}.outside"),
            "removal": None if removal is None else Removal(removal),
            "libraries": None if libraries is None else self.texts(libraries, f"{at}.libraries"),
        }


def _present(preloaded: Mapping[str, list[str]], there: Container[str]) -> dict[str, list[str]]:
    """Return those modules of another image that a distribution of this one owns, and those that nobody does."""
    owned = {module: [name for name in all_of if name in there] for module, all_of in preloaded.items()}
    return {module: owners for module, owners in owned.items() if owners or not preloaded[module]}


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
