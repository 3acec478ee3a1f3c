"""From kaggle-env.toml to its lock: nothing to do, or resolved, judged and written anew."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from kpack import source
from kpack.errors import IntegrityError, NoSolution
from kpack.files import given_text, write_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.cache import Cache
    from kpack.debian import LockedSystem
    from kpack.fetch import Fetcher
    from kpack.lock import Lock
    from kpack.native import Misfit
    from kpack.pack.difference import Change
    from kpack.project import Project
    from kpack.resolve.child import Listener, Workers
    from kpack.resolve.model import Fallback, Source
    from kpack.target import Target


@dataclass(frozen=True, slots=True)
class Locked:
    """What `lock` did."""

    path: Path
    lock: Lock
    changed: bool
    """The file was written anew."""
    notes: tuple[str, ...] = ()
    """What was found out on the way and is not kept in the lock."""
    native: tuple[Misfit, ...] = ()
    """What native code of wheels wants and an image does not have, as far as it was read (`kpack.lint`)."""
    fallbacks: tuple[Fallback, ...] = ()
    """Requests that got a version much older than the newest one."""
    changes: tuple[Change, ...] = ()
    """What differs from the lock that was there."""
    before: Lock | None = None
    """The lock that was there; None for the first one, and for one that could not be read."""


def let_go(project: Project, names: Collection[str]) -> tuple[frozenset[NormalizedName], frozenset[str]]:
    """Return which packages and which ``[[checkpoints]]`` these names mean, for ``upgrade`` and ``renew``.

    A checkpoint is meant by its path or its URL.

    Raises:
        UsageError: kaggle-env.toml is wrong.

    """
    from packaging.utils import canonicalize_name

    files = frozenset(name for each in project.environment.checkpoints for name in each.names)
    return frozenset(canonicalize_name(name) for name in names if name not in files), files & frozenset(names)


def unchanged(
    project: Project,
    *,
    upgrade: bool | frozenset[NormalizedName] = False,
    renew: frozenset[str] = frozenset(),
    strict: bool = False,
) -> Locked | None:
    """Return the lock that is there where it speaks for the file already, without the network; None where it does not.

    Raises:
        UsageError: kaggle-env.toml is wrong.
        IntegrityError: the lock is damaged.

    """
    if upgrade is True:
        return None
    old = project.lock
    if old is None or upgrade or renew or strict or project.stale():
        return None
    return Locked(project.lock_path, old, changed=False)


def anew(
    project: Project,
    fetcher: Fetcher,
    *,
    upgrade: bool | frozenset[NormalizedName] = False,
    renew: frozenset[str] = frozenset(),
    strict: bool = False,
    on_resolve: Listener | None = None,
    workers: Workers | None = None,
) -> Locked:
    """Bring the lock up to date and return it, whether or not the one that is there speaks for the file (`unchanged`).

    ``upgrade`` lets go of all old pins (True) or of the named ones, ``renew`` of those of checkpoints (`let_go`);
    ``strict`` refuses checkpoints without sha256, and requests that fall back to a much older version.
    ``workers`` were started before, to load while the caller did; they stay with the caller.
    The ``fetcher`` is given the credentials that the file and its environment hold.

    Raises:
        UsageError: kaggle-env.toml is wrong.
        CheckFailed: a distribution's licence is not among those of ``[licenses] allow``.
        NoSolution: the requirements conflict, or native code of a wheel cannot work in an image.
        NetworkError: an index or a checkpoint's server failed.
        IntegrityError: a checkpoint is not what its sha256 says, the old lock is damaged, or no build would take the
            new one; the old one stays.

    """
    environment = project.environment
    old = project.lock if upgrade is not True else None
    from kpack.lock import check_licenses, from_resolution, validated
    from kpack.resolve.child import Workers

    fetcher = replace(fetcher, credentials=project.credentials)
    _check(project, old)
    with contextlib.ExitStack() as background:
        # The workers load while this process does; what comes after the resolution is imported meanwhile (`load`).
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(fetcher.cache.temporary())
            if workers is None:
                workers = stack.enter_context(Workers(0, scratch=scratch))
            workers.on_event = on_resolve
            workers.meanwhile = workers.meanwhile or partial(load, project)
            workers.start(max(1, len(environment.bases)))
            from kpack import resolve, target

            targets = target.targets(environment, project.bases)
            resolution = resolve.resolve(
                environment,
                targets,
                pins=_pins(old),
                sources=_sources(old),
                unisolated=source.unisolated(environment, targets),
                upgrade=upgrade,
                cache_dir=fetcher.cache.http_dir,
                workers=workers,
            )
            fallbacks = tuple(each for found in resolution.targets for each in found.fallbacks)
            if strict and fallbacks:
                raise _too_old(fallbacks, project)
            from kpack import lint

            reading = background.enter_context(lint.WheelReading(fetcher))
            reading.start(pin.wheel for found in resolution.targets for pin in found.packed if pin.wheel is not None)
            from kpack.checkpoints import locking

            resolution = source.fill(environment, resolution, fetcher)
            system, said = _system(project, targets, None if upgrade is True else old, fetcher)
        found = locking.lock(
            environment.checkpoints,
            fetcher,
            folder=project.config.parent,
            strict=strict,
            known=() if old is None or upgrade is True else old.checkpoints,
            renew=renew if old is None else renew.union(project.changed_checkpoints),
        )
        made = from_resolution(environment, resolution, meaning=project.meaning, checkpoints=found, system=system)
        license_notes = check_licenses(environment, resolution, made)
        text = validated(made, str(project.lock_path))
        there = project.lock_path.exists()
        changed = not there or given_text(project.lock_path, next="move it away: it is written anew") != text
        notes = (*said, *license_notes, *(item.note for item in found if item.note))
        before = _before(project)
        done = Locked(project.lock_path, made, changed, notes=notes, fallbacks=fallbacks, before=before)
        if not changed:
            return done
        from kpack.pack.difference import NOTHING, difference, of_lock

        changes = difference(NOTHING if before is None else of_lock(before), of_lock(made))
        planned = _planned(made, project, fetcher.cache)
        where = str(project.config)
        report = lint.verdict(
            made, environment, targets, project.bases, reading, fetcher, where=where, on_resolve=on_resolve
        )
        write_text(project.lock_path, text)
        return replace(done, changes=changes, native=report.findings, notes=(*notes, *planned, *report.notes))


def _check(project: Project, old: Lock | None) -> None:
    """Refuse what can be known to be wrong before anything is asked of the network."""
    from kpack.checkpoints import clients
    from kpack.environment.checks import check_base_names, check_local_files, check_lock_name

    environment = project.environment
    check_lock_name(environment)
    check_local_files(environment)
    clients.check(environment.checkpoints, {one.path for one in old.checkpoints} if old is not None else ())
    check_base_names(environment, {name for base in project.bases for name in (*base.distributions, *base.unknown)})


def _too_old(fallbacks: Sequence[Fallback], project: Project) -> NoSolution:
    return NoSolution(
        "--strict wants new versions: " + "; ".join(map(str, fallbacks)),
        where=str(project.config),
        next="; ".join(filter(None, (each.words for each in fallbacks)))
        or "ask for the older version outright, or lock without --strict",
    )


def _before(project: Project) -> Lock | None:
    """Return the lock that is about to be replaced; one that cannot be read is compared with nothing."""
    try:
        return project.lock
    except IntegrityError:
        return None


def load(project: Project) -> None:
    """Have ready what a lock needs once it is resolved; the first reads wheels, most others know what is in them."""
    import kpack.checkpoints.locking
    import kpack.lint
    import kpack.pack.admission
    import kpack.pack.difference
    import kpack.pack.layout
    import kpack.pack.native

    if not project.lock_path.exists():
        import kpack.native.remote
    kpack.pack.admission.judge_digest()  # what was judged before is asked for by it, and it takes its time


def _system(
    project: Project, targets: Sequence[Target], old: Lock | None, fetcher: Fetcher
) -> tuple[dict[str, LockedSystem], tuple[str, ...]]:
    """Return the system packages of every target, by label, and what there is to say of them."""
    if not project.environment.apt:
        return {}, ()
    from kpack.debian import locking

    fetcher.check_online("apt")
    with fetcher.cache.temporary() as scratch:
        return locking.lock(
            project.environment,
            {target.label: target.base for target in targets},
            markers={target.label: target.marker for target in targets},
            known={} if old is None else {target.label: target.system for target in old.targets if target.system},
            scratch=scratch,
        )


def _planned(made: Lock, project: Project, cache: Cache) -> tuple[str, ...]:
    """Return what the plan of the wheels says that are in the cache already.

    Raises:
        IntegrityError: they cannot be restored together.

    """
    there = {wheel.filename: cache.find(wheel.sha256, wheel.size) for wheel in made.wheels()}
    wheels = {f"wheels/{name}": path for name, path in there.items() if path is not None}
    if not wheels:
        return ()
    from kpack.pack import plan
    from kpack.pack.layout import target_of

    return plan.notes([target_of(target) for target in made.targets], wheels, project.bases)


def _pins(old: Lock | None) -> Mapping[str, Mapping[NormalizedName, Version]]:
    if old is None:
        return {}
    return {target.label: {pin.name: pin.version for pin in target.packed} for target in old.targets}


def _sources(old: Lock | None) -> Mapping[str, Mapping[NormalizedName, Source]]:
    if old is None:
        return {}
    return {
        target.label: {pin.name: pin.source for pin in target.packed if pin.source is not None}
        for target in old.targets
    }
