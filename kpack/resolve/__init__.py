"""Resolving: from an `Environment` and its `Target`s to pins, files, who needs whom and what is held back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.resolve.child import Workers
    from kpack.resolve.model import Resolution, Source, TargetResolution
    from kpack.resolve.wire import Unisolated
    from kpack.target import Target

T = TypeVar("T")


def resolve(
    environment: Environment,
    targets: Sequence[Target],
    *,
    pins: Mapping[str, Mapping[NormalizedName, Version]] | None = None,
    sources: Mapping[str, Mapping[NormalizedName, Source]] | None = None,
    unisolated: Mapping[str, Unisolated] | None = None,
    upgrade: bool | frozenset[NormalizedName] = False,
    cache_dir: Path | None,
    index_url: str | None = None,
    workers: Workers | None = None,
) -> Resolution:
    """Return what each target gets, held together with its base by `kpack.resolve.consistency`.

    ``pins`` gives the old lock's versions by target label; they are kept where they fit. ``sources`` gives what they
    were made from, for those that have a source: a branch stays at its commit. ``unisolated`` says, by target label,
    with which interpreter the packages of ``no-build-isolation`` are built. ``upgrade`` lets go of all of them
    (True) or of the named ones. ``cache_dir`` keeps pages and metadata between runs (None: nothing is kept).
    ``index_url`` takes the place of the default index, as ``KPACK_INDEX_URL`` does. ``workers`` are processes that
    were started before, to load while the caller was busy; they stay with the caller.

    Raises:
        NoSolution: the requests conflict with each other, with the base or with what the index has. What it says to
            write was tried.
        IntegrityError: a file is not what its URL in ``packages`` says with ``#sha256=``.
        NetworkError: an index did not answer.
        UsageError: an index URL names an environment variable that is not set.

    """
    # Imported here because the worker, which imports this package, must start fast.
    from kpack.resolve.child import Workers

    def kept(old: Mapping[str, Mapping[NormalizedName, T]] | None) -> dict[str, dict[NormalizedName, T]]:
        if upgrade is True:
            return {}
        return {
            label: {name: item for name, item in items.items() if name not in (upgrade or ())}
            for label, items in (old or {}).items()
        }

    if workers is not None:
        return _resolve(
            environment, targets, kept(pins), kept(sources), unisolated or {}, cache_dir, index_url, workers
        )
    with Workers(len(targets)) as running:
        return _resolve(
            environment, targets, kept(pins), kept(sources), unisolated or {}, cache_dir, index_url, running
        )


def _resolve(
    environment: Environment,
    targets: Sequence[Target],
    pins: Mapping[str, Mapping[NormalizedName, Version]],
    sources: Mapping[str, Mapping[NormalizedName, Source]],
    unisolated: Mapping[str, Unisolated],
    cache_dir: Path | None,
    index_url: str | None,
    workers: Workers,
) -> Resolution:
    from kpack.resolve.model import Resolution
    from kpack.resolve.requires_dist import RequiresDist
    from kpack.resolve.trial import Refusal, Trials

    trials = Trials(
        workers=workers,
        requires_of=RequiresDist.of(environment, workers, cache_dir, index_url=index_url),
        pins=pins,
        sources=sources,
        unisolated=unisolated,
        cache_dir=cache_dir,
        index_url=index_url,
    )
    found = []
    for target, outcome in zip(targets, trials.first(environment, targets), strict=True):
        if isinstance(outcome, Refusal):
            from kpack.resolve.advice import Advice

            raise Advice(trials, environment, targets, target).error(outcome)
        if any(each.candidate for each in outcome.older):
            from kpack.resolve.fallback import explained

            outcome = explained(trials, environment, targets, outcome)
        found.append(_noted(environment, outcome))
    return Resolution(targets=tuple(found), notes=(*_needless(environment, found), *_idle(environment, targets)))


def _noted(environment: Environment, found: TargetResolution) -> TargetResolution:
    """Return ``found`` with what there is to say of names that are asked for."""
    base = found.target.base
    if base is None or not found.packed:
        return found
    from kpack.resolve import names

    said = names.doubtful(environment, base, {pin.name for pin in found.packed})
    return replace(found, notes=(*found.notes, *said))


def _needless(environment: Environment, found: Sequence[TargetResolution]) -> Iterator[str]:
    """Yield a note for every name that `replace` and `allow-broken` need not have."""
    from kpack.resolve import consistency

    if not environment.replace and not environment.allow_broken:
        return
    moved = {name for target in found for name in consistency.replaced(target)}
    blind = {name for target in found if target.target.base for name in target.target.base.unknown}
    for name in environment.replace:
        if name not in moved and name not in blind:
            yield f"replace has {name}, and nothing needs it to move: it stays as it is in the image"
    broken = {name for target in found for name in target.broken}
    for name in environment.allow_broken:
        if name not in broken:
            yield f"allow-broken has {name}, and nothing breaks it"


def _idle(environment: Environment, targets: Sequence[Target]) -> Iterator[str]:
    """Yield a note for every requirement whose marker, and that of each of its name, lets it into no kernel."""
    from packaging.utils import canonicalize_name

    from kpack.resolve.ask import applies

    asked = [package.requirement for package in environment.packages if package.requirement is not None]
    counting = {canonicalize_name(each.name) for each in asked if any(applies(each, target) for target in targets)}
    for each in asked:
        if canonicalize_name(each.name) not in counting:
            labels = " and ".join(target.label for target in targets)
            yield f"the marker of {str(each)!r} does not hold in {labels}: nothing comes of it"
