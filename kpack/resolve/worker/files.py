"""Files of a project page, and which of them a target may take."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack.files import open_regular

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpack.resolve.wire import Question

SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")
LONGEST = 1000
"""Characters of a version or of Requires-Python; Python itself reads no number of more than 4,300 digits."""
_LONGEST_NAME = 255
"""Characters of a file's name: the file systems of Linux take no more bytes."""
_LONGEST_BUILD = 18
"""Digits of a build number."""
_BUILD = re.compile(r"[A-Za-z0-9_.]+")
"""A build number (the specification has digits first); anything else in its place is no name of a wheel."""
_NAMES = re.compile(r"(?!.*__)[\w.]*")
"""A project as the file name of a wheel spells it."""
_LARGEST = 1 << 60
"""Bytes that a file may claim to have."""
DIGESTS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")
"""Digests that an index may give (PEP 503): the one that kpack locks by, and the others, the strongest first."""
_SHA256 = re.compile(r"[0-9a-f]{64}")

Row = dict[str, Any]
"""A file as its page describes it (PEP 691)."""


class RowPlaces(NamedTuple):
    """Where the rows of a page are, by parts of their file names: most rows of a long page are never read."""

    spelled: dict[str, list[int]]
    """By the part that mostly is a version; of all where only a reader can tell under ``""``."""
    tails: dict[str, list[int]]
    """By all behind the second dash, the same for many versions; empty for a row without file name."""

    @classmethod
    def of(cls, rows: Iterable[Row]) -> RowPlaces:
        """Return those of ``rows``."""
        spelled: dict[str, list[int]] = {}
        tails: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            filename = row.get("filename")
            parts = filename.split("-", 2) if type(filename) is str else [""]
            tail = parts[-1]
            version = ""
            if len(parts) == 2:  # an sdist whose name has no dash: most have none any more
                suffix = next((suffix for suffix in SDIST_SUFFIXES if tail.endswith(suffix)), "")
                version = tail[: -len(suffix)] if suffix else ""
            elif len(parts) == 3 and tail.endswith(".whl"):
                version = parts[1]
            spelled.setdefault(version, []).append(place)
            tails.setdefault(tail, []).append(place)
        return cls(spelled, tails)


@dataclass(slots=True)
class IndexFile:
    """One file of a page."""

    filename: str
    url: str
    """Absolute, without fragment and user; with the query that its index gives, which may be signed."""
    hashes: dict[str, str]
    size: int | None
    upload_time: str | None
    requires_python: str | None
    yanked: str | None
    """The reason (perhaps empty); None when it is not yanked."""
    metadata_hashes: dict[str, str] | None
    """Of the ``.metadata`` file; None when it is not announced, {} when it is without digest."""
    version: Version
    tags: str | None
    """``cp312-abi3-manylinux…`` as in the file name; None for an sdist."""
    build: tuple[int, str] = (0, "")
    index: str = ""
    """URL of the Simple index, as a lock keeps it."""
    flaw: str = ""
    """Why its row cannot be believed, in words that follow "name version"; empty for a row that can."""

    @property
    def local(self) -> bool:
        """It lies in a folder of this machine that is no Simple index."""
        return self.url.startswith("file:") and not self.index

    @property
    def is_wheel(self) -> bool:
        """Wheel, or else sdist."""
        return self.tags is not None


class HashedContent(NamedTuple):
    """What a file's bytes were found to be, where nobody says."""

    sha256: str
    size: int
    """Bytes."""

    @classmethod
    def at(cls, path: str, record: Any) -> HashedContent:
        """Return what lies at ``path``; where pip's ``record`` (PEP 610) has no sha256, it is read for it.

        A URL may have a digest of another algorithm, which pip has checked.
        """
        known = record.to_dict().get("archive_info", {}).get("hashes", {}).get("sha256")
        with open_regular(Path(path)) as stream:
            return cls(known or hashlib.file_digest(stream, "sha256").hexdigest(), stream.seek(0, 2))


@functools.cache
def version_of(text: str) -> Version | None:
    """Return the version that ``text`` spells, or None; one of more than `LONGEST` characters is none."""
    if len(text) > LONGEST:
        return None
    try:
        return Version(text)
    except ValueError:
        return None


@functools.cache
def _admits(requires_python: str, python: str) -> bool:
    return bool(specifiers(requires_python).contains(python, prereleases=True))


def specifiers(requires_python: str | None) -> SpecifierSet:
    """Return what Requires-Python asks for; what cannot be read asks for nothing, as in pip."""
    if not requires_python or len(requires_python) > LONGEST:
        return SpecifierSet()
    try:
        return SpecifierSet(requires_python)
    except ValueError:
        return SpecifierSet()


def read_name(name: str, filename: str) -> tuple[Version, str | None, tuple[int, str]] | None:
    """Return version, tags (None for an sdist) and build tag of a file of project ``name``; None when it is neither.

    None, too, for a name that no file can have, in which a tag may have more digits than Python counts.
    """
    if len(filename) > _LONGEST_NAME:
        return None
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        if len(parts) not in (5, 6) or canonicalize_name(parts[0]) != name:
            return None
        version = version_of(parts[1])
        if version is None:
            return None
        build = (0, "")
        if len(parts) == 6:
            digits = len(parts[2]) - len(parts[2].lstrip("0123456789"))
            if not 0 < digits <= _LONGEST_BUILD or _BUILD.fullmatch(parts[2]) is None:
                return None
            build = (int(parts[2][:digits]), parts[2][digits:])
        return version, "-".join(parts[-3:]), build
    suffix = next((suffix for suffix in SDIST_SUFFIXES if filename.endswith(suffix)), None)
    if suffix is None:
        return None
    stem = filename[: -len(suffix)]
    for position, character in enumerate(stem):
        if character == "-" and canonicalize_name(stem[:position]) == name:
            version = version_of(stem[position + 1 :])
            return None if version is None else (version, None, (0, ""))
    return None


def read_file(name: str, row: Row, base: str, index: str) -> IndexFile | None:
    """Return the file of project ``name`` that ``row`` of a page at ``base`` describes; None for anything else."""
    if not isinstance(row.get("filename"), str) or not isinstance(row.get("url"), str):
        return None
    facts = read_name(name, row["filename"])
    if facts is None:
        return None
    version, tags, build = facts
    flaw = ""
    try:
        url = _absolute(base, row["url"])
    except ValueError:
        url, flaw = "", "has a URL on its index that cannot be read"
    if not flaw and tags is not None and (part := _odd_part(row["filename"], tags)):
        flaw = f"has a wheel whose file name is not valid ({part}): {row['filename']}"
    if not flaw and not _names(name, url, row["filename"], facts):
        flaw = "has a URL on its index that names another file"
    yanked = row.get("yanked")
    announced = row.get("core-metadata", row.get("dist-info-metadata"))
    size = row.get("size")
    hashes = _hashes(row.get("hashes"))
    if hashes is None or ("sha256" in hashes and not _SHA256.fullmatch(hashes["sha256"])):
        flaw, hashes = flaw or "has no valid sha256 on its index", {}
    return IndexFile(
        filename=row["filename"],
        url=url,
        hashes=hashes,
        size=size if type(size) is int and 0 <= size <= _LARGEST else None,
        upload_time=_text(row.get("upload-time")),
        requires_python=_text(row.get("requires-python")),
        yanked=(yanked if isinstance(yanked, str) else "") if yanked else None,
        metadata_hashes=(_hashes(announced) or {}) if announced else None,
        version=version,
        tags=tags,
        build=build,
        index=index,
        flaw=flaw,
    )


def _odd_part(filename: str, tags: str) -> str:
    """Return what of a wheel's file name `packaging`, and with it pip and every lock, does not read; or nothing."""
    if not _NAMES.fullmatch(filename.partition("-")[0]):
        return "the project in it"
    return "" if _readable(tags) else "its tags"


@functools.cache
def _readable(tags: str) -> bool:
    """Tell whether ``cp312.cp313-abi3-manylinux…`` are tags; in ``py3.10`` ``10`` is none."""
    interpreters, abis, platforms = (part.split(".") for part in tags.split("-"))
    return all(map(str.isidentifier, interpreters)) and all(abis) and all(platforms)


def _names(name: str, url: str, filename: str, facts: tuple[Version, str | None, tuple[int, str]]) -> bool:
    """Tell whether the file at ``url`` goes by its row's name: pip reads that off the URL."""
    last = url.partition("?")[0].rpartition("/")[2]
    return last == filename or read_name(name, urllib.parse.unquote(last)) == facts


def _absolute(base: str, url: str) -> str:
    """Return the URL of a row, absolute and without user and fragment.

    Raises:
        ValueError: it is none, or a page of another machine speaks of files of this one.

    """
    if not url.startswith(("https://", "http://")):
        url = urllib.parse.urljoin(base, url)
    url.encode()  # a page in JSON may spell half a character
    if not url.startswith(("https://", "http://")) and not (url.startswith("file:") and base.startswith("file:")):
        raise ValueError(url)
    if "@" in url or "#" in url or "[" in url:
        parts = urllib.parse.urlsplit(url)
        url = urllib.parse.urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    return url


def _hashes(found: object) -> dict[str, str] | None:
    """Return the digests of a row in lower case, {} when it has none; None when they are no texts."""
    if not isinstance(found, dict):
        return {}
    if not all(type(key) is str and type(value) is str for key, value in found.items()):
        return None
    return {key.lower(): value.lower() for key, value in found.items()}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


_PLAIN_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z?")


def _utc(moment: str) -> str:
    """Return an upload time as ``2026-01-01T00:00:00`` in UTC; PEP 700 wants UTC, and some servers give an offset."""
    if _PLAIN_TIME.fullmatch(moment):
        return moment[:19]
    try:
        found = datetime.fromisoformat(moment)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return "9999"  # what cannot be read may be too new
    return found.replace(tzinfo=None).isoformat(timespec="seconds")


def _digests(request: Question) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each name of the requests whose file has to have one of some digests."""
    for item in request.asked:
        if item.hashes:
            with contextlib.suppress(InvalidRequirement):  # a path: its file is no index's
                yield str(canonicalize_name(Requirement(item.line).name)), frozenset(item.hashes)


class Fit:
    """Judges files for one target; the one place that knows tags, exclude-newer and allow-source."""

    def __init__(self, request: Question) -> None:
        self.ranks = {tag: rank for rank, tag in reversed(list(enumerate(request.tags)))}
        self.python = request.python_full_version
        self.cutoff = request.exclude_newer
        self.glibc_inferred = request.glibc_inferred
        self.sources = frozenset(request.allow_source)
        self._digests = dict(_digests(request))
        self._known: dict[str, int | None] = {}
        self._tails: dict[str, bool] = {}
        """Ends of file names, and whether a wheel with such a one fits."""

    def rank(self, tags: str) -> int | None:
        """Return the place (0 is best) of the best of ``cp312.cp313-abi3-manylinux…``; None when none fits."""
        if tags not in self._known:
            parts = [part.split(".") for part in tags.split("-")]
            found = []
            if len(parts) == 3:
                found = [
                    rank
                    for interpreter in parts[0]
                    for abi in parts[1]
                    for platform in parts[2]
                    if (rank := self.ranks.get(f"{interpreter}-{abi}-{platform}")) is not None
                ]
            self._known[tags] = min(found, default=None)
        return self._known[tags]

    def too_new(self, file: IndexFile) -> bool:
        """Tell whether ``exclude-newer`` hides the file; one without upload time is hidden too, unless it is local."""
        if self.cutoff is None or file.local:
            return False
        return file.upload_time is None or _utc(file.upload_time) >= self.cutoff[:19]

    def admitted(self, name: str, file: IndexFile) -> bool:
        """Tell whether the file may be one that a digest in kaggle-env.toml means; who says none may be it."""
        allowed, digest = self._digests.get(name), file.hashes.get("sha256")
        return allowed is None or digest is None or digest in allowed

    def python_fits(self, file: IndexFile) -> bool:
        """Tell whether Requires-Python admits the target; an invalid one counts as none, as in pip."""
        return not file.requires_python or _admits(file.requires_python, self.python)

    def usable(self, name: str, file: IndexFile) -> bool:
        """Tell whether the file may be chosen."""
        if file.flaw or not self.admitted(name, file):
            return False
        fits = name in self.sources if file.tags is None else self.rank(file.tags) is not None
        return fits and not self.too_new(file) and self.python_fits(file)

    def fitting(self, name: str, places: RowPlaces) -> list[int]:
        """Return the places of wheels of a fitting tag, and of sdists that may be built: the others are not read."""
        sources = name in self.sources
        found = []
        for tail, of_tail in places.tails.items():
            fits = self._tails.get(tail)
            if fits is None:
                fits = tail.endswith(".whl") and self.rank("-".join(tail[:-4].split("-")[-3:])) is not None
                self._tails[tail] = fits
            if fits or (sources and not tail.endswith(".whl")):
                found += of_tail
        return sorted(found)

    def best(self, name: str, files: Iterable[IndexFile]) -> dict[Version, IndexFile]:
        """Return the one file to take for every version: unyanked, then wheel, then tag, then build number."""
        chosen: dict[Version, tuple[tuple[object, ...], IndexFile]] = {}
        for file in files:
            if not self.usable(name, file):
                continue
            rank = None if file.tags is None else self.rank(file.tags)
            key = (file.yanked is not None, rank is None, rank or 0, (-file.build[0], file.build[1]), file.filename)
            if file.version not in chosen or key < chosen[file.version][0]:
                chosen[file.version] = (key, file)
        return {version: file for version, (_, file) in chosen.items()}
