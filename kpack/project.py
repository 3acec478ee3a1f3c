"""A project: one kaggle-env.toml, the lock beside it, the pack in ``dist``; and the two steps between them."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import environment as environments
from kpack import source
from kpack.errors import CheckFailed, IntegrityError, NoSolution, UsageError
from kpack.files import given_text, write_text
from kpack.lock import load as load_lock
from kpack.lock import stale

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.base import BaseImage
    from kpack.cache import Cache
    from kpack.debian import LockedSystem
    from kpack.debian.content import DebContent
    from kpack.environment import Environment
    from kpack.fetch import Download, Fetched, Fetcher
    from kpack.lock import Lock
    from kpack.native import Misfit
    from kpack.pack import BuiltPack
    from kpack.pack.difference import Change
    from kpack.pack.wheel import Admitted
    from kpack.resolve.child import Listener, Workers
    from kpack.resolve.model import Fallback, Source
    from kpack.target import Target


@dataclass(frozen=True)
class Project:
    """The files of one environment; reading them is put off until they are asked for."""

    config: Path
    """kaggle-env.toml."""

    @classmethod
    def find(cls, config: Path | None) -> Project:
        """Return the project of ``config``, or of the nearest kaggle-env.toml upwards.

        Raises:
            UsageError: there is none.

        """
        return cls(environments.find(Path.cwd()) if config is None else config)

    @cached_property
    def environment(self) -> Environment:
        """The checked kaggle-env.toml; raises UsageError with every mistake in it."""
        return environments.load(self.config)

    @cached_property
    def meaning(self) -> str:
        """SHA-256 of what the file means."""
        return environments.meaning_digest(self.environment)

    @cached_property
    def bases(self) -> tuple[BaseImage, ...]:
        """The base images that the file names."""
        from kpack import base

        return tuple(base.load(ref, self.config.parent) for ref in self.environment.bases)

    @property
    def lock_path(self) -> Path:
        """``pylock.<stem>.toml``."""
        return self.environment.lock_path

    @property
    def pack_path(self) -> Path:
        """``dist/<name>.kpack.bin``."""
        return self.config.parent / "dist" / f"{self.environment.name}.kpack.bin"

    @cached_property
    def lock(self) -> Lock | None:
        """The lock, or None when there is none; raises IntegrityError for one that kpack did not write."""
        return load_lock(self.lock_path) if self.lock_path.exists() else None

    def stale(self) -> tuple[str, ...]:
        """Return why the lock does not speak for the file any more; empty when it does."""
        if self.lock is None:
            return (f"there is no {self.lock_path.name}",)
        reasons = stale(self.lock, self.environment, self.bases, meaning=self.meaning)
        return (*reasons, *source.changed(self.lock, self.config.parent))

    def current_lock(self) -> Lock:
        """Return the lock that speaks for the file.

        Raises:
            UsageError: there is none.
            CheckFailed: it is stale.

        """
        if self.lock is None:
            raise UsageError("there is no lock", where=str(self.lock_path), next="run kpack lock first")
        if reasons := self.stale():
            raise CheckFailed(
                "the lock is stale: " + "; ".join(reasons), where=str(self.lock_path), next="run kpack lock, then build"
            )
        return self.lock


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


def unchanged(
    project: Project, *, upgrade: bool | frozenset[NormalizedName] = False, strict: bool = False
) -> Locked | None:
    """Return the lock that is there where it speaks for the file already, without the network; None where it does not.

    Raises:
        UsageError: kaggle-env.toml is wrong.
        IntegrityError: the lock is damaged.

    """
    if upgrade is True:
        return None
    old = project.lock
    if old is None or upgrade or strict or project.stale():
        return None
    return Locked(project.lock_path, old, changed=False)


def anew(
    project: Project,
    fetcher: Fetcher,
    *,
    upgrade: bool | frozenset[NormalizedName] = False,
    strict: bool = False,
    on_resolve: Listener | None = None,
    workers: Workers | None = None,
) -> Locked:
    """Bring the lock up to date and return it, whether or not the one that is there speaks for the file (`unchanged`).

    ``upgrade`` lets go of all old pins (True) or of the named ones; ``strict`` refuses checkpoints without sha256, and
    requests that fall back to a much older version.
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
    from kpack.checkpoints import clients
    from kpack.environment.checks import check_base_names, check_local_files, check_lock_name
    from kpack.lock import check_licenses, from_resolution, validated
    from kpack.resolve.child import Workers

    fetcher = _with_credentials(fetcher, environment)
    cache = fetcher.cache
    check_lock_name(environment)
    check_local_files(environment)
    clients.check(environment.checkpoints, {one.path for one in old.checkpoints} if old is not None else ())
    check_base_names(environment, {name for base in project.bases for name in (*base.distributions, *base.unknown)})
    with contextlib.ExitStack() as background:
        # The workers load while this process does; what comes after the resolution is imported meanwhile (`load`).
        with contextlib.ExitStack() as stack:
            scratch = stack.enter_context(cache.temporary())
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
                cache_dir=cache.http_dir,
                workers=workers,
            )
            fallbacks = tuple(each for found in resolution.targets for each in found.fallbacks)
            if strict and fallbacks:
                raise NoSolution(
                    "--strict wants new versions: " + "; ".join(map(str, fallbacks)),
                    where=str(project.config),
                    next="; ".join(filter(None, (each.words for each in fallbacks)))
                    or "ask for the older version outright, or lock without --strict",
                )
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
        )
        made = from_resolution(environment, resolution, meaning=project.meaning, checkpoints=found, system=system)
        license_notes = check_licenses(environment, resolution, made)
        text = validated(made, str(project.lock_path))
        there = project.lock_path.exists()
        changed = not there or given_text(project.lock_path, next="move it away: it is written anew") != text
        notes = (*said, *license_notes, *(item.note for item in found if item.note))
        native: tuple[Misfit, ...] = ()
        before = _before(project)
        changes: tuple[Change, ...] = ()
        if changed:
            from kpack.pack.difference import NOTHING, difference, of_lock

            changes = difference(NOTHING if before is None else of_lock(before), of_lock(made))
            notes += _planned(made, project, cache)
            report = lint.verdict(
                made,
                environment,
                targets,
                project.bases,
                reading,
                fetcher,
                where=str(project.config),
                on_resolve=on_resolve,
            )
            native = report.findings
            notes += report.notes
            write_text(project.lock_path, text)
    return Locked(
        project.lock_path,
        made,
        changed,
        notes=notes,
        native=native,
        fallbacks=fallbacks,
        changes=changes,
        before=before,
    )


def _before(project: Project) -> Lock | None:
    """Return the lock that is about to be replaced; one that cannot be read is compared with nothing."""
    try:
        return project.lock
    except IntegrityError:
        return None


def load(project: Project) -> None:
    """Import what a lock needs once it is resolved; the first one reads wheels, most others know what is in them."""
    import kpack.checkpoints.locking
    import kpack.lint
    import kpack.pack.admission
    import kpack.pack.difference
    import kpack.pack.layout
    import kpack.pack.native

    if not project.lock_path.exists():
        import kpack.native.remote  # noqa: F401


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


def build(
    project: Project,
    fetcher: Fetcher,
    *,
    out: Path | None = None,
    take_from: Collection[Path] = (),
    on_bytes: Callable[[int], None] | None = None,
) -> BuiltPack:
    """Make the pack of the project's lock and return it.

    ``out`` is the file to write (default: ``dist/<name>.kpack.bin``); ``take_from`` are older packs whose files
    are used instead of the network.

    Raises:
        UsageError: there is no lock.
        CheckFailed: the lock is stale, or the pack would be larger than ``max-size``.
        NetworkError: a file cannot be fetched.
        IntegrityError: a file is not what the lock says, a wheel may not enter a pack, or requires by its own METADATA
            what the kernel would not have, the wheels cannot be restored together, or native code cannot work in an
            image.
        MachineError: no space, no permission.

    """
    from kpack import pack
    from kpack.checkpoints import fetching
    from kpack.debian.content import notes_of
    from kpack.pack import native, plan
    from kpack.pack.admission import Judges, Verdicts
    from kpack.pack.content import WheelFile
    from kpack.pack.copy import SpanMemory
    from kpack.pack.layout import content_of

    made = project.current_lock()
    fetcher = _with_credentials(fetcher, project.environment)
    cache = fetcher.cache
    for older in take_from:
        pack.take(pack.read(older), cache)
    built = source.rebuilt(made, project.environment, fetcher)
    verdicts = Verdicts(cache.root / "admitted")
    with Judges(verdicts) as judges:

        def judge(download: Download, file: Fetched) -> None:
            judges.add(WheelFile(filename=download.name, sha256=file.sha256, path=file.path), file.size)

        fetched = fetcher.fetch([*_downloads(made), *built], on_file=judge)
    files = {item.sha256: item.path for item in fetched.values()}
    weights = fetching.fetch(made.checkpoints, fetcher, folder=project.config.parent)
    files |= {digest: item.path for digest, item in weights.items()}
    images = {base.name: base.images for base in project.bases}
    debs = _debs(made, files)
    unpacked = {name: item.unpacked for name, item in debs.items()}
    content = content_of(made, project.lock_path.name, files, images, unpacked)
    wheels = {f"wheels/{wheel.filename}": wheel.path for wheel in content.wheels}

    def planned(said: Mapping[str, Admitted]) -> tuple[str, ...]:
        found = native.report(
            content.targets,
            {name: verdict.objects for name, verdict in said.items()},
            {base.name: base for base in project.bases},
            project.environment.allow_native,
            project.environment.accelerator,
            {f"debs/{name}": item.libraries for name, item in debs.items()},
        )
        if found.stopping:
            raise native.error(found.stopping, IntegrityError, str(project.config))
        key = plan.key(content.targets, (wheel.sha256 for wheel in content.wheels), project.bases, content.lock_text)
        archives = {f"wheels/{name}": verdict.archive for name, verdict in said.items() if verdict.archive is not None}

        def plan_notes() -> tuple[str, ...]:
            from kpack.lock import own_metadata  # not where it is known what they say
            from kpack.target import targets

            own_metadata.check(made, project.environment, targets(project.environment, project.bases), said)
            return plan.notes(content.targets, wheels, project.bases, archives)

        notes = verdicts.notes(key, plan_notes)
        return (*notes, *found.notes, *notes_of(debs, project.environment.restore.apt))

    return pack.write(
        content,
        out or project.pack_path,
        max_size=project.environment.max_size,
        on_bytes=on_bytes,
        admission=verdicts,
        memory=SpanMemory(cache.root / "spans"),
        plan=planned,
    )


def _debs(made: Lock, files: Mapping[str, Path]) -> dict[str, DebContent]:
    """Return what is in the system packages of ``made``, by file name; ``files`` has their places by digest.

    Raises:
        IntegrityError: one is another package than the lock says, or none.

    """
    packages = made.system()
    if not packages:
        return {}
    from concurrent.futures import ThreadPoolExecutor

    from kpack.debian import content

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(lambda item: content.read(files[item.sha256], item), packages)
        return dict(zip((item.filename for item in packages), found, strict=True))


def _with_credentials(fetcher: Fetcher, environment: Environment) -> Fetcher:
    """Return the fetcher that knows what a lock of ``environment`` leaves out."""
    from kpack.environment.credentials import credentials_of

    return replace(fetcher, credentials=credentials_of(environment))


def _downloads(made: Lock) -> list[Download]:
    """Return what to fetch of indexes and archives."""
    from packaging.utils import parse_wheel_filename

    from kpack.fetch import Download

    return [
        Download(
            name=wheel.filename,
            urls=(wheel.url,),
            sha256=wheel.sha256,
            size=wheel.size,
            page=wheel.index and f"{wheel.index.rstrip('/')}/{parse_wheel_filename(wheel.filename)[0]}/",
        )
        for wheel in made.wheels()
        if wheel.url is not None
    ] + [Download(name=item.filename, urls=(item.url,), sha256=item.sha256, size=item.size) for item in made.system()]
