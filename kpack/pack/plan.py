"""The plan of a whole pack, made at home by the planner that travels with it.

It is a function of the wheels alone: their directories are read, and the folders that they would go to are names. What
the kernel would refuse is refused here, and what it would note is said here in the same words.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

from kpack.errors import IntegrityError, MachineError
from kpack.files import open_regular
from kpack.positioned import pread
from kpack.restore.errors import RestoreError
from kpack.restore.inflate import Inflater
from kpack.restore.manifest import Member, Span
from kpack.restore.modules import outermost
from kpack.restore.scheme import Scheme
from kpack.restore.search import siblings
from kpack.restore.shared import Digests, listed, share_files, shown
from kpack.restore.wheels import METADATA, RECORD, archive_of, plan_wheel
from kpack.restore.wheelzip import DEFLATED, LOCAL_HEADER, data_offset, find_directory, read_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from kpack.base import BaseImage
    from kpack.restore.manifest import PackedDistribution, PackTarget
    from kpack.restore.pack import Pack
    from kpack.restore.wheels import Archive, WheelPlan
    from kpack.restore.wheelzip import Entry

_EXTRA = 0xFFFF
"""Bytes that the extra field of a local header may have."""


def key(targets: Iterable[PackTarget], digests: Iterable[str], bases: Iterable[BaseImage], lock: str) -> str:
    """Return a digest of all that `notes` goes by: the targets, the wheels' own digests, the images' files.

    ``lock`` is the text of the lock, by which the wheels' own metadata is judged.
    """
    images = [
        [base.name, [[item.name, item.top_level, item.outside] for item in base.distributions.values()]]
        for base in bases
    ]
    known = [list(targets), sorted(digests), images, lock]
    return hashlib.sha256(json.dumps(known, default=str).encode()).hexdigest()


def notes(
    targets: Iterable[PackTarget],
    wheels: Mapping[str, Path],
    bases: Iterable[BaseImage],
    archives: Mapping[str, Archive] = MappingProxyType({}),
) -> tuple[str, ...]:
    """Plan every target and return what a user should know of it, each sentence once.

    ``wheels`` gives the files that are at hand by member (``wheels/…whl``); others are left out. ``bases`` are the
    images that targets name. Of the ``archives`` that were read already no file is opened.

    Raises:
        IntegrityError: something cannot be restored: one wheel has a file where another needs a folder.

    """
    images = {base.name: base for base in bases}
    said: list[str] = []
    shelf = _Shelf(wheels, archives)
    for target in targets:
        items = [item for item in target.distributions if item.wheel in wheels]
        try:
            said += _planned(target, items, shelf, images.get(target.base or ""))
        except RestoreError as error:
            where = f"{target.label}: {shown(error.where, _scheme(target.python))}"
            raise IntegrityError(error.what, where=where, next=error.next) from error
    return tuple(dict.fromkeys(said))


def _planned(
    target: PackTarget, items: list[PackedDistribution], shelf: _Shelf, base: BaseImage | None
) -> Iterator[str]:
    scheme = _scheme(target.python)
    planned = [plan_wheel(item, *shelf.read_wheel(item.wheel), scheme) for item in items]
    digests = Digests(cast("Pack", shelf), Inflater())  # it reads parts of members, no more
    yield from share_files(planned, scheme, digests).notes
    yield from siblings(planned, {wheel.name: outermost(wheel) for wheel in planned})
    if base is not None:
        yield from _of_the_image(planned, scheme, base)


def _scheme(python: str) -> Scheme:
    """Return the folders of no machine in particular, laid out as those of a kernel."""
    lib = f"/kernel/lib/python{python}/site-packages"
    return Scheme(lib, lib, "/kernel/bin", "/kernel", f"/kernel/include/python{python}")


def _of_the_image(planned: list[WheelPlan], scheme: Scheme, base: BaseImage) -> Iterator[str]:
    """Yield what is known to be in the way in the image."""
    going = {wheel.name for wheel in planned}
    staying = [item for name, item in base.distributions.items() if name not in going]
    if staying and all(item.top_level is None for item in staying):
        yield (
            f"{base.name} does not list the image's files, so that only the kernel can say which ones are in the way "
            "(they are overwritten, as by pip); a probe of your own lists them"
        )
        return
    folders: dict[str, str] = {}
    files: dict[str, str] = {}
    for item in staying:
        folders |= dict.fromkeys(item.top_level or (), str(item.name))
        files |= dict.fromkeys((path for path in item.outside or () if not path.endswith("/")), str(item.name))
    for wheel in planned:
        inside: dict[tuple[str, str], int] = defaultdict(int)
        hit: dict[str, list[str]] = defaultdict(list)
        for file in wheel.files:
            if file.kind in (METADATA, RECORD):
                continue
            path = shown(file.path, scheme)
            top = path.partition("/")[0]
            if path in files:
                hit[files[path]].append(path)
            elif top != path and top in folders:
                inside[folders[top], top] += 1
        for owner, paths in hit.items():
            yield f"{wheel.name} overwrites {listed(paths)} of the image's {owner}, as by pip"
        for (owner, top), count in inside.items():
            yield (
                f"{wheel.name} brings {count} files into {top}, which the image's {owner} has as its own: where both "
                f"have a file, that of {wheel.name} stays, as by pip"
            )


class _Shelf:
    """Wheels that are not packed yet, as members of a pack that has no more than their RECORDs."""

    def __init__(self, wheels: Mapping[str, Path], archives: Mapping[str, Archive]) -> None:
        self._paths = wheels
        self._archives = dict(archives)

    def read_wheel(self, name: str) -> tuple[Member, Archive]:
        """Return a wheel as a member of a pack, and what its archive says."""
        if name not in self._archives:
            self._archives[name] = _archive(self._paths[name], name.rpartition("/")[2])
        archive = self._archives[name]
        record = next(entry for entry, _, rest in archive.landings if rest == f"{archive.info}/RECORD")
        span = Span(record.offset, LOCAL_HEADER + len(record.raw_name) + _EXTRA + record.compressed, "")
        return Member(name, 0, "", 0, (span,)), archive

    def read(self, member: Member, spans: tuple[Span, ...]) -> bytes:
        """Return the bytes of a span; that the file is the locked one is shown where it is packed."""
        with open_regular(self._paths[member.path]) as stream:
            return pread(stream.fileno(), spans[0].size, spans[0].offset)


def _archive(path: Path, filename: str) -> Archive:
    odd: list[str] = []  # whether the archive may be odd is the gate's to say
    inflater = Inflater()
    try:
        with open_regular(path) as stream:
            descriptor = stream.fileno()
            size = os.fstat(descriptor).st_size

            def at(count: int, offset: int) -> bytes:
                return pread(descriptor, count, offset)

            def content(entry: Entry) -> bytes:
                local = at(LOCAL_HEADER + len(entry.raw_name) + _EXTRA, entry.offset)
                raw = at(entry.compressed, entry.offset + data_offset(local, entry, filename))
                return inflater.whole(raw, entry.size, entry.name) if entry.method == DEFLATED else raw

            start = find_directory(size, at, filename, odd)
            entries = sorted(read_directory(at(size - start, start), start, filename, odd), key=attrgetter("offset"))
            return archive_of(entries, filename, content)
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", where=str(path)) from error
    except RestoreError as error:
        raise IntegrityError(error.what, where=filename, next=error.next) from error
