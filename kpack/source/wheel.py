"""Normalise a built wheel: the same content gives the same bytes, whatever zip library, clock and umask made it."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.tags import parse_tag
from packaging.utils import parse_wheel_filename

from kpack.errors import IntegrityError
from kpack.restore.headers import headers
from kpack.restore.rules import LIMITS, fits, identity, told
from kpack.source.tree import UNREADABLE

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.tags import Tag
    from packaging.utils import NormalizedName
    from packaging.version import Version

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time of every entry: the first that a zip can hold."""

_UNSIGNED = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True, slots=True, kw_only=True)
class WheelFacts:
    """What a wheel says about itself."""

    name: NormalizedName
    version: Version
    tags: frozenset[Tag]
    requires_dist: tuple[str, ...]

    @property
    def pure(self) -> bool:
        """It holds nothing that was made for one platform."""
        return all(tag.platform == "any" for tag in self.tags)


def facts(path: Path) -> WheelFacts:
    """Read name, version, tags and Requires-Dist of a wheel.

    Raises:
        IntegrityError: it is not a wheel.

    """
    try:
        name, version, _, tags = parse_wheel_filename(path.name)
        with zipfile.ZipFile(path) as archive:
            info = _dist_info(archive)
            metadata = headers(_read(archive, info, "METADATA").decode("utf-8"))
            _read(archive, info, "WHEEL")
    except (ValueError, KeyError, *UNREADABLE) as error:
        raise IntegrityError(f"not a wheel: {error}", where=path.name) from error
    found = identity(metadata)
    if found is None or found[0] != name or not fits(found[1], str(version)):
        raise IntegrityError(
            f"its METADATA says {told(metadata)}, its file name {name} {version}",
            where=path.name,
            next="give the file the name that its METADATA says, or take another file",
        )
    requires = tuple(" ".join(line.split()) for line in metadata.get("requires-dist", ()))
    return WheelFacts(name=name, version=version, tags=tags, requires_dist=requires)


def normalise(wheel: Path, out: Path) -> None:
    """Write to ``out`` a wheel with the content of ``wheel`` and nothing of the circumstances of its making.

    Entries are sorted (the dist-info folder last, RECORD at the end), stored, of one time, with mode 0644 or 0755;
    RECORD is written anew; folders, signatures and byte code are left out.

    Raises:
        IntegrityError: ``wheel`` is not a wheel, or holds a name twice.

    """
    try:
        with zipfile.ZipFile(wheel) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
            info = _dist_info(archive)
            record = f"{info}/RECORD"
            entries = {entry.filename: entry for entry in archive.infolist() if _kept(entry, info)}
            if len(entries) != len([entry for entry in archive.infolist() if _kept(entry, info)]):
                raise IntegrityError("a name stands in it twice", where=wheel.name)
            rows = io.StringIO()
            writer = csv.writer(rows, lineterminator="\n")
            for name in sorted(entries, key=lambda item: (item.startswith(f"{info}/"), item)):
                digest = _copy(archive, entries[name], target)
                writer.writerow((name, f"sha256={digest}", entries[name].file_size))
            writer.writerow((record, "", ""))
            target.writestr(_entry(record, executable=False), rows.getvalue().encode())
    except (KeyError, *UNREADABLE) as error:
        raise IntegrityError(f"not a wheel: {error}", where=wheel.name) from error


def differing(one: Path, other: Path) -> tuple[str, ...]:
    """Return the names of the files that are not the same in two wheels, sorted; RECORD only if nothing else."""
    with zipfile.ZipFile(one) as first, zipfile.ZipFile(other) as second:
        left = {entry.filename: (entry.CRC, entry.file_size) for entry in first.infolist()}
        right = {entry.filename: (entry.CRC, entry.file_size) for entry in second.infolist()}
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return tuple(name for name in names if not name.endswith(".dist-info/RECORD")) or tuple(names)


def tags_of(filename: str) -> frozenset[Tag]:
    """Return the tags of a wheel's file name."""
    return parse_tag("-".join(filename.removesuffix(".whl").split("-")[-3:]))


def _read(archive: zipfile.ZipFile, info: str, name: str) -> bytes:
    """Return a file of the metadata, which has a limit that is asked before memory is taken."""
    size = archive.getinfo(f"{info}/{name}").file_size
    if size > LIMITS[name]:
        raise zipfile.BadZipFile(f"{info}/{name} has {size} bytes, {LIMITS[name]} are allowed")
    return archive.read(f"{info}/{name}")


def _dist_info(archive: zipfile.ZipFile) -> str:
    found = {name.split("/")[0] for name in archive.namelist() if name.split("/")[0].endswith(".dist-info")}
    if len(found) != 1:
        raise zipfile.BadZipFile(f"{len(found)} dist-info folders")
    return found.pop()


def _kept(entry: zipfile.ZipInfo, info: str) -> bool:
    name = entry.filename
    if entry.is_dir() or "__pycache__" in name.split("/") or name.endswith(".pyc"):
        return False
    return name not in {f"{info}/RECORD", *(f"{info}/{signature}" for signature in _UNSIGNED)}


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: zipfile.ZipFile) -> str:
    """Copy one entry and return its digest as RECORD writes it."""
    mode = entry.external_attr >> 16
    copied = _entry(entry.filename, executable=bool(mode & 0o111) or "/scripts/" in entry.filename)
    copied.file_size = entry.file_size
    hasher = hashlib.sha256()
    with archive.open(entry) as source, target.open(copied, "w") as sink:
        while data := source.read(1 << 20):
            hasher.update(data)
            sink.write(data)
    return base64.urlsafe_b64encode(hasher.digest()).rstrip(b"=").decode()


def _entry(name: str, *, executable: bool) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EPOCH)
    entry.create_system = 3  # Unix, on any system: the modes count
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    return entry
