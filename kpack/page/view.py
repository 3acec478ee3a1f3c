"""What the page shows of a pack, worked out from its manifest and the inventory of what it holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from kpack.inventory import inventory
from kpack.pack import startup_files
from kpack.page.treemap import Rectangle, squarified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.inventory import Distribution
    from kpack.pack import ReadPack
    from kpack.restore.manifest import Lean, PackedDistribution, PackTarget

ASPECT = 2.2
"""Width of the map by its height."""
_SMALLEST = 0.0025
"""Part of the map below which a tile cannot be hit; what is smaller shares one."""


class PackageRow(NamedTuple):
    """A package, for all targets that have this version of it."""

    anchor: str
    name: str
    version: str
    size: int
    """Bytes of the wheel."""
    targets: tuple[str, ...]
    """Labels; empty when all have it."""
    replaces: str | None
    needed_by: tuple[str, ...]
    """Names; empty for what only kaggle-env.toml asks for."""
    asked: bool
    """kaggle-env.toml asks for it."""
    brings: tuple[str, ...]
    startup: tuple[str, ...]
    summary: str
    licence: str
    """An SPDX expression, or what the metadata has in its place; empty when it says nothing."""


class Tile(NamedTuple):
    """A rectangle of the map."""

    id: str
    kind: str
    """``asked``, ``brought``, ``checkpoint`` or ``rest``."""
    label: str
    size: int
    href: str
    place: Rectangle


class CheckpointRow(NamedTuple):
    """A model file."""

    anchor: str
    path: str
    size: int
    sha256: str
    attached: str | None


class TargetView(NamedTuple):
    """A kernel that the pack is for."""

    label: str
    python: str
    machine: str
    glibc: str
    packages: int
    size: int
    leans: tuple[Lean, ...]


class LicenceRow(NamedTuple):
    """A licence, in the words of those who use it."""

    name: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackPage:
    """All that the page shows."""

    name: str
    id: str
    kpack: str
    size: int
    line: str
    targets: tuple[TargetView, ...]
    rows: tuple[PackageRow, ...]
    checkpoints: tuple[CheckpointRow, ...]
    tiles: tuple[Tile, ...]
    licences: tuple[LicenceRow, ...]
    env: tuple[tuple[str, str], ...]
    note: str
    """Why something of it is not known; empty when all is."""


def page_of(pack: ReadPack) -> PackPage:
    """Return what there is to show of ``pack``.

    Raises:
        IntegrityError: a wheel's directory is not what the manifest says.

    """
    manifest = pack.manifest
    members = {member.path: member for member in manifest.members}
    held = inventory(pack, lenient=True)
    rows = _rows(manifest.targets, held.distributions, startup_files(pack))
    checkpoints = tuple(
        CheckpointRow(f"c{number}", item.path, item.size, item.sha256, item.attached)
        for number, item in enumerate(manifest.checkpoints)
    )
    return PackPage(
        name=manifest.name,
        id=pack.id,
        kpack=manifest.kpack,
        size=pack.size,
        line=pack.line,
        targets=tuple(
            TargetView(
                label=target.label,
                python=target.python,
                machine=target.machine,
                glibc=".".join(map(str, target.glibc)),
                packages=len(target.distributions),
                size=sum(members[item.wheel].size for item in target.distributions),
                leans=target.leans,
            )
            for target in manifest.targets
        ),
        rows=rows,
        checkpoints=checkpoints,
        tiles=_tiles(rows, checkpoints),
        licences=_licences(rows),
        env=tuple(sorted(manifest.env.items())),
        note=f"Who asked for what is not known: {held.unknown}." if held.unknown else "",
    )


def _rows(
    targets: Sequence[PackTarget], distributions: Sequence[Distribution], startup: Mapping[str, Sequence[str]]
) -> tuple[PackageRow, ...]:
    held = {item.wheel: item for item in distributions}
    found: dict[tuple[str, str, str], tuple[PackedDistribution, list[str]]] = {}
    for target in targets:
        for item in target.distributions:
            found.setdefault((item.name, item.version, item.wheel), (item, []))[1].append(target.label)
    rows = []
    for number, ((_, _, wheel), (item, labels)) in enumerate(sorted(found.items())):
        known = held[wheel.removeprefix("wheels/")]
        rows.append(
            PackageRow(
                anchor=f"p{number}",
                name=item.name,
                version=item.version,
                size=known.size,
                targets=() if len(labels) == len(targets) else tuple(labels),
                replaces=item.replaces,
                needed_by=known.needed_by,
                asked=known.requested,
                brings=tuple(sorted({other.name for other in distributions if known.name in other.needed_by})),
                startup=tuple(startup.get(known.wheel, ())),
                summary=" ".join(known.summary.split()),
                licence=known.license.expression or known.license.said,
            )
        )
    return tuple(sorted(rows, key=lambda row: (-row.size, row.name)))


def _tiles(rows: Sequence[PackageRow], checkpoints: Sequence[CheckpointRow]) -> tuple[Tile, ...]:
    wanted = [("asked" if row.asked else "brought", row.name, row.size, f"#{row.anchor}") for row in rows]
    wanted += [
        ("checkpoint", item.path.rpartition("/")[2], item.size, f"#{item.anchor}")
        for item in checkpoints
        if item.attached is None
    ]
    total = sum(size for _, _, size, _ in wanted)
    large = [item for item in wanted if item[2] > total * _SMALLEST]
    small = [item for item in wanted if 0 < item[2] <= total * _SMALLEST]
    if len(small) == 1:
        large, small = large + small, []
    if small:
        large.append(("rest", f"{len(small)} smaller ones", sum(item[2] for item in small), "#packages"))
    large.sort(key=lambda item: -item[2])
    places = squarified([item[2] for item in large], aspect=ASPECT)
    return tuple(
        Tile(f"t{number}", kind, label, size, href, place)
        for number, ((kind, label, size, href), place) in enumerate(zip(large, places, strict=True))
    )


def _licences(rows: Sequence[PackageRow]) -> tuple[LicenceRow, ...]:
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.licence, []).append(row.name)
    return tuple(
        LicenceRow(name or "not stated", tuple(sorted(set(names))))
        for name, names in sorted(found.items(), key=lambda item: (not item[0], -len(item[1]), item[0]))
    )
