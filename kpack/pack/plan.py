"""The plan of a whole pack, made at home by the planner that travels with it.

It is a function of the wheels alone: their directories are read, and the folders that they would go to are names. What
the kernel would refuse is refused here, and what it would note is said here in the same words.
"""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING, cast

from kpack.errors import IntegrityError, MachineError
from kpack.positioned import pread
from kpack.restore.errors import RestoreError
from kpack.restore.inflate import Inflater
from kpack.restore.manifest import Member, Span
from kpack.restore.modules import outermost
from kpack.restore.plan import plan_wheels
from kpack.restore.scheme import Scheme
from kpack.restore.search import siblings
from kpack.restore.shared import Digests, listed, share_files, shown
from kpack.restore.wheels import METADATA, RECORD
from kpack.restore.wheelzip import find_directory, read_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from kpack.base import BaseImage
    from kpack.restore.manifest import PackedDistribution, PackTarget
    from kpack.restore.pack import Pack
    from kpack.restore.wheels import WheelPlan


def notes(targets: Iterable[PackTarget], wheels: Mapping[str, Path], bases: Iterable[BaseImage]) -> tuple[str, ...]:
    """Plan every target and return what a user should know of it, each sentence once.

    ``wheels`` gives the files that are at hand by member (``wheels/…whl``); others are left out. ``bases`` are the
    images that targets name.

    Raises:
        IntegrityError: something cannot be restored: one wheel has a file where another needs a folder.

    """
    images = {base.name: base for base in bases}
    said: list[str] = []
    shelf = _Shelf(wheels)
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
    pack = cast("Pack", shelf)  # the planner asks for members and their bytes, no more
    scheme = _scheme(target.python)
    inflater = Inflater()
    planned = plan_wheels(pack, items, scheme, inflater)
    yield from share_files(planned, scheme, Digests(pack, inflater)).notes
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
    """Wheels that are not packed yet, as members of a pack whose spans are single entries."""

    def __init__(self, wheels: Mapping[str, Path]) -> None:
        self._paths = wheels
        self.members = {name: self._member(name, path) for name, path in wheels.items()}

    def _member(self, name: str, path: Path) -> Member:
        filename = name.rpartition("/")[2]
        odd: list[str] = []  # whether the archive may be odd is the gate's to say
        try:
            with path.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size

                def at(count: int, offset: int) -> bytes:
                    return pread(stream.fileno(), count, offset)

                start = find_directory(size, at, filename, odd)
                entries = read_directory(at(size - start, start), start, filename, odd)
        except OSError as error:
            raise MachineError(f"cannot read: {error.strerror}", where=str(path)) from error
        except RestoreError as error:
            raise IntegrityError(error.what, where=filename, next=error.next) from error
        cuts = sorted({0, start, *(entry.offset for entry in entries)})
        spans = tuple(Span(a, b - a, "") for a, b in zip(cuts, [*cuts[1:], size], strict=True))
        return Member(name, size, "", 0, spans)

    def read(self, member: Member, spans: tuple[Span, ...]) -> bytes:
        """Return the bytes of neighbouring spans; that the file is the locked one is shown where it is packed."""
        first, last = spans[0].offset, spans[-1].offset + spans[-1].size
        with self._paths[member.path].open("rb") as stream:
            return pread(stream.fileno(), last - first, first)
