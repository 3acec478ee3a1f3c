"""The steps of ``kpack lock``, loaded while its resolver is loading, too."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import TYPE_CHECKING

from kpack import locking
from kpack import project as projects
from kpack.base.about import about, days
from kpack.cli.session import SCREEN, answer, human_size, note, say, tell, warn
from kpack.errors import ExitCode, NoSolution, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.utils import NormalizedName

    from kpack.base import BaseImage
    from kpack.lock import LockedTarget
    from kpack.resolve.child import Workers


def lock(
    config: Path | None,
    names: tuple[str, ...],
    *,
    upgrade: bool,
    strict: bool,
    as_json: bool,
    workers: Workers | None = None,
) -> int:
    """Bring the lock of ``config`` up to date, and say what it holds; ``workers`` were started before."""
    project = projects.Project.find(config)
    if workers is not None:
        workers.meanwhile = partial(_load, project)
    packages, files = _let_go(project, names)
    renewed = upgrade or packages
    try:
        done = locking.unchanged(project, upgrade=renewed, renew=files, strict=strict)
        done = done or _anew(project, renewed, files, workers, strict=strict)
    except NoSolution:
        if not as_json:
            _say_images(project)  # a conflict with an image is as true as what is known of it
        raise
    if workers is not None:
        workers.dismiss()
    for fallback in done.fallbacks:
        warn(f"{fallback}" + (f"\n  → {fallback.words}" if fallback.words else ""))
    for text in done.notes:
        note(text)
    if as_json:
        from kpack.cli import changes

        answer(
            {
                "lock": str(done.path),
                "changed": done.changed,
                "images": [_image(base) for base in project.bases],
                "targets": [_target(target) for target in done.lock.targets],
                "checkpoints": [
                    {"path": c.path, "urls": list(c.urls), "sha256": c.sha256, "size": c.size, "attached": c.attached}
                    for c in done.lock.checkpoints
                ],
                "native": [item.to_dict() for item in done.native],
                "apt": [_system(target) for target in done.lock.targets if target.system],
                "changes": changes.objects(done.changes),
            }
        )
        return int(ExitCode.DONE)
    if not done.changed:
        tell(f"{done.path}: up to date")
        return int(ExitCode.DONE)
    from kpack.cli.table import print_lock
    from kpack.pack.engine import engine_size

    if SCREEN.volume >= 0:
        _say_changes(done)
        print_lock(done.lock)
    _say_images(project)
    size = human_size(done.lock.size + engine_size())
    tell(f"{done.path}: written; the pack will have about {size}. Next: kpack build")
    return int(ExitCode.DONE)


def _anew(
    project: projects.Project,
    upgrade: bool | frozenset[NormalizedName],
    renew: frozenset[str],
    workers: Workers | None,
    *,
    strict: bool,
) -> locking.Locked:
    """Lock, and show how far it is."""
    from kpack.cache import Cache
    from kpack.cli import progress
    from kpack.fetch import Fetcher

    with progress.locking() as (on_resolve, on_fetch):
        return locking.anew(
            project,
            Fetcher(Cache(), listener=on_fetch),
            upgrade=upgrade,
            renew=renew,
            strict=strict,
            on_resolve=on_resolve,
            workers=workers,
        )


def _load(project: projects.Project) -> None:
    """Import what is used once there is an answer, while the resolver is looking for it."""
    locking.load(project)
    import kpack.cli.table
    import kpack.pack.engine  # noqa: F401


def _say_changes(done: locking.Locked) -> None:
    """Say what differs from the lock that was there, before all that the new one holds."""
    if done.before is None:
        return
    if not done.changes:
        tell("since the last lock: the same packages and checkpoints")
        return
    from kpack.cli import changes
    from kpack.pack.difference import of_lock

    tell(f"since the last lock: {changes.total(of_lock(done.before), of_lock(done.lock))}")
    for row in changes.rows(done.changes):
        tell(f"  {row}")
    tell("")


def _let_go(project: projects.Project, names: tuple[str, ...]) -> tuple[frozenset[NormalizedName], frozenset[str]]:
    """Return packages and checkpoints whose pins are let go of; a name that has no pin is a slip of the pen."""
    from difflib import get_close_matches

    asked, files = locking.let_go(project, names) if names else (frozenset(), frozenset())
    targets = project.lock.targets if project.lock is not None else ()
    pinned = {pin.name for target in targets for pin in target.packed}
    paths = {name for each in project.environment.checkpoints for name in each.names} if names else set()
    for name in sorted(asked - pinned) if project.lock is not None else ():
        near = get_close_matches(name, sorted({*pinned, *paths}), 1)
        raise UsageError(
            f"{name!r} is not packed by the lock, so there is no pin to let go of",
            where=str(project.lock_path),
            next=f"did you mean {near[0]!r}?" if near else "kpack lock --upgrade lets go of all pins",
        )
    return asked, files


def check(config: Path | None, *, as_json: bool) -> int:
    """Say whether the lock of ``config`` is still true."""
    project = projects.Project.find(config)
    reasons = project.stale()
    if as_json:
        answer({"lock": str(project.lock_path), "ok": not reasons, "reasons": list(reasons)})
    elif reasons:
        if project.lock is None:
            warn(f"kpack: {project.lock_path}: there is no lock")
        else:
            warn(f"kpack: {project.lock_path}: stale")
            for reason in reasons:
                warn(f"  {reason}")
        warn("  → run kpack lock")
    else:
        tell(f"{project.lock_path}: up to date")
    return int(ExitCode.CHECK_FAILED if reasons else ExitCode.DONE)


def _say_images(project: projects.Project) -> None:
    for base in project.bases:
        say(f"image: {about(base, dt.datetime.now(dt.UTC).date())}")


def _image(base: BaseImage) -> dict[str, object]:
    return {
        "base": base.name,
        "shipped": base.shipped,
        "taken": base.taken or None,
        "days": days(base, dt.datetime.now(dt.UTC).date()),
        "certainty": base.certainty,
    }


def _target(target: LockedTarget) -> dict[str, object]:
    return {
        "base": target.base,
        "python": target.python,
        "packed": [
            {
                "name": pin.name,
                "version": str(pin.version),
                "file": pin.wheel.filename,
                "size": pin.wheel.size,
                "sha256": pin.wheel.sha256,
                "replaces": _text(pin.replaces),
                "needed_by": _needs(need.by for need in pin.needed_by),
            }
            for pin in target.packed
        ],
        "from_base": [
            {"name": use.name, "version": str(use.version), "needed_by": _needs(need.by for need in use.needed_by)}
            for use in target.leans
        ],
        "held_back": [
            {"name": held.name, "version": str(held.version), "newest": str(held.newest), "because": held.because}
            for held in target.held_back
        ],
        "dropped": list(target.dropped),
        "notes": list(target.notes),
    }


def _system(target: LockedTarget) -> dict[str, object]:
    packages = target.system.packages if target.system else ()
    return {
        "base": target.base,
        "packed": [
            {
                "name": item.name,
                "version": item.version,
                "file": item.filename,
                "url": item.url,
                "size": item.size,
                "sha256": item.sha256,
            }
            for item in packages
        ],
    }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _needs(names: Iterable[str]) -> list[str]:
    """Return who asks, kaggle-env.toml by its name."""
    return sorted({name or "kaggle-env.toml" for name in names})
