"""From a lock to its pack: fetched, judged while it is fetched, planned, written."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from kpack import source
from kpack.errors import IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from kpack.debian.content import DebContent
    from kpack.fetch import Download, Fetched, Fetcher
    from kpack.lock import Lock
    from kpack.pack import BuiltPack
    from kpack.pack.wheel import Admitted
    from kpack.project import Project


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
    fetcher = replace(fetcher, credentials=project.credentials)
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
