"""From the worker's answer to a `TargetResolution`: who needs whom, what is dropped, what is packed."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack import licenses, urls
from kpack.errors import IntegrityError
from kpack.files import is_sha256
from kpack.resolve.ask import exclusion
from kpack.resolve.child import plain
from kpack.resolve.model import BaseUse, HeldBack, Need, Pin, Source, TargetResolution, Wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.environment import Environment
    from kpack.resolve.wire import Answer, FoundFile, FoundSource, Older, Resolved
    from kpack.target import Target


def assemble(
    environment: Environment, target: Target, answer: Answer, sources: Mapping[NormalizedName, Source]
) -> TargetResolution:
    """Return the resolution of ``target`` from the worker's ``answer``; ``sources`` as it was asked with.

    Raises:
        IntegrityError: a chosen file has no usable sha256.

    """
    rows = {row.name: row for row in answer.resolved}
    asked = [(canonicalize_name(item.name), _shown(item.requirement)) for item in answer.asked]
    _check_digests(answer, rows)
    base = target.base.distributions if target.base else {}
    kept = _reachable(rows, [name for name, _ in asked], environment)
    # What `replace` names takes part without being asked for; what had to move along is named by the file, too.
    along = sorted(name for name, row in rows.items() if not row.kernel and canonicalize_name(name) in base)
    along = [name for name in along if name not in kept]
    kept |= _reachable(rows, along, environment)
    needs: dict[str, list[Need]] = {name: [] for name in kept}
    for name in along:
        if name in kept:
            needs[name].append(Need(by="", requirement=name))
    for requested, text in asked:
        if requested in kept:
            needs[requested].append(Need(by="", requirement=text))
    for parent in sorted(kept):
        for ask in rows[parent].asks:
            if ask.name in kept and ask.name != parent:
                needs[ask.name].append(Need(by=parent, requirement=_shown(ask.requirement)))
    packed, from_base = [], []
    for name in sorted(kept):
        row = rows[name]
        needed_by = tuple(dict.fromkeys(needs[name]))
        normal = canonicalize_name(name)
        if row.kernel:
            from_base.append(BaseUse(name=normal, version=Version(row.version), needed_by=needed_by))
            continue
        replaced = base.get(normal)
        pin = _pin(environment, normal, row, needed_by, replaced.version if replaced else None)
        held, source = sources.get(normal), pin.source
        if held and source and (source.url, source.commit) == (held.url, held.commit):
            # It was asked for by its commit; what kaggle-env.toml says is still the branch.
            pin = replace(pin, source=replace(source, revision=held.revision))
        packed.append(pin)
    return TargetResolution(
        target=target,
        packed=tuple(packed),
        from_base=tuple(from_base),
        held_back=tuple(_held_back(answer.held_back, kept)),
        older=answer.held_back,
        dropped=tuple(canonicalize_name(name) for name in sorted(set(rows) - kept) if not rows[name].kernel),
        notes=tuple(map(_shown, answer.notes)),
        accelerator=wheel_of(answer.accelerator) if answer.accelerator else None,
    )


def _check_digests(answer: Answer, rows: Mapping[str, Resolved]) -> None:
    """Refuse a file with none of the digests that kaggle-env.toml gives for it; one that the kernel has is no file."""
    for item in answer.asked:
        row = rows.get(item.name)
        if not item.hashes or row is None or row.kernel:
            continue
        found = row.file or row.source
        digest = found.sha256 if found else None
        if digest not in item.hashes:
            raise IntegrityError(
                f"sha256 of {row.name} {row.version} is {digest}, kaggle-env.toml says {' or '.join(item.hashes)}",
                where=_shown(item.requirement),
                next="find out whether the file or the digest is the wrong one, and correct packages",
            )


def _reachable(rows: Mapping[str, Resolved], roots: Sequence[str], environment: Environment) -> set[str]:
    """Return what the requests lead to when excluded names (and what only they need) are left out."""
    reached: set[str] = set()
    waiting = list(roots)
    is_excluded = exclusion(environment)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in rows:
            continue
        if not rows[name].kernel and is_excluded(name):
            continue
        reached.add(name)
        waiting.extend(ask.name for ask in rows[name].asks)
    return reached


def _held_back(found: Sequence[Older], kept: set[str]) -> list[HeldBack]:
    return [
        HeldBack(
            name=canonicalize_name(item.name),
            version=Version(item.version),
            newest=Version(item.newest),
            because=_shown(item.because),
        )
        for item in sorted(found, key=lambda item: item.name)
        if item.name in kept
    ]


def _pin(
    environment: Environment,
    name: NormalizedName,
    row: Resolved,
    needed_by: tuple[Need, ...],
    replaces: Version | None,
) -> Pin:
    return Pin(
        name=name,
        version=Version(row.version),
        wheel=wheel_of(row.file) if row.file else None,
        needed_by=needed_by,
        extras=row.extras,
        requires_dist=row.requires_dist,
        license=licenses.read(row.license),
        source=_source(environment, row.source) if row.source else None,
        replaces=replaces,
    )


def _source(environment: Environment, found: FoundSource) -> Source:
    url = found.url
    if "://" not in url:
        url = Path(os.path.relpath(url, environment.path.parent.resolve())).as_posix()
    return Source(
        kind=found.kind,
        url=url,
        sha256=found.sha256,
        commit=found.commit,
        revision=found.revision,
        subdirectory=found.subdirectory,
    )


def wheel_of(file: FoundFile) -> Wheel:
    """Return a file that the worker found as a resolution has it.

    Raises:
        IntegrityError: it has no usable sha256.

    """
    digest = file.sha256 or ""
    if not is_sha256(digest):
        raise IntegrityError(
            f"there is no valid sha256 for {file.filename}",
            where=urls.shown(file.index or file.url or file.filename),
            next="kpack locks by sha256 only: ask the index's owner, or take the file from another index",
        )
    return Wheel(
        filename=file.filename,
        sha256=digest,
        size=file.size,
        url=file.url,
        upload_time=moment(file.upload_time),
        index=file.index or None,
    )


def _shown(text: str) -> str:
    return plain(urls.without_secrets(text))


def moment(text: str | None) -> datetime | None:
    """Return the upload time (PEP 700: ISO 8601, UTC) as an aware datetime, or None when it is none."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):  # 0001-01-01 in an eastern zone is before the first moment
        return None
