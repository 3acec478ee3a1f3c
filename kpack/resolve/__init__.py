"""Resolving: from an `Environment` and its `Target`s to pins, files, who needs whom and what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.resolve.child import Workers
    from kpack.resolve.model import Resolution, Source
    from kpack.target import Target

T = TypeVar("T")


def resolve(
    environment: Environment,
    targets: Sequence[Target],
    *,
    pins: Mapping[str, Mapping[NormalizedName, Version]] | None = None,
    sources: Mapping[str, Mapping[NormalizedName, Source]] | None = None,
    upgrade: bool | frozenset[NormalizedName] = False,
    cache_dir: Path | None,
    index_url: str | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
    workers: Workers | None = None,
) -> Resolution:
    """Return what each target gets.

    ``pins`` gives the old lock's versions by target label; they are kept where they fit. ``sources`` gives what they
    were made from, for those that have a source: a branch stays at its commit. ``upgrade`` lets go of all of them
    (True) or of the named ones. ``cache_dir`` keeps pages and metadata between runs (None: nothing is kept).
    ``index_url`` takes the place of the default index, as ``KPACK_INDEX_URL`` does. ``on_event`` is called from
    other threads with ``{"target": label, "event": ..., ...}``. ``workers`` are processes that were started before, to
    load while the caller was busy.

    Raises:
        NoSolution: the requests conflict with each other, with the base or with what the index has.
        IntegrityError: a file is not what its URL in ``packages`` says with ``#sha256=``.
        NetworkError: an index did not answer.
        UsageError: an index URL names an environment variable that is not set.

    """
    # Imported here because the worker, which imports this package, must start fast.
    from kpack.resolve.child import Workers

    with workers or Workers(len(targets)) as running:
        return _resolve(
            environment, targets, pins or {}, sources or {}, upgrade, cache_dir, index_url, on_event, running
        )


def _resolve(
    environment: Environment,
    targets: Sequence[Target],
    old: Mapping[str, Mapping[NormalizedName, Version]],
    sources: Mapping[str, Mapping[NormalizedName, Source]],
    upgrade: bool | frozenset[NormalizedName],
    cache_dir: Path | None,
    index_url: str | None,
    on_event: Callable[[dict[str, Any]], None] | None,
    workers: Workers,
) -> Resolution:
    from kpack.resolve.ask import question
    from kpack.resolve.assemble import assemble
    from kpack.resolve.model import Resolution

    def kept(by_label: Mapping[str, Mapping[NormalizedName, T]], target: Target) -> dict[NormalizedName, T]:
        if upgrade is True:
            return {}
        return {name: item for name, item in by_label.get(target.label, {}).items() if name not in (upgrade or ())}

    requests = []
    for target in targets:
        requires = _base_requires(environment, target, cache_dir, index_url, on_event)
        requests.append(
            question(
                environment,
                target,
                pins=kept(old, target),
                sources=kept(sources, target),
                cache_dir=cache_dir,
                index_url=index_url,
                requires=requires,
            )
        )
    answers = workers.ask(requests, on_event)
    return Resolution(
        targets=tuple(
            assemble(environment, target, answer, kept(sources, target))
            for target, answer in zip(targets, answers, strict=True)
        )
    )


def _base_requires(
    environment: Environment,
    target: Target,
    cache_dir: Path | None,
    index_url: str | None,
    on_event: Callable[[dict[str, Any]], None] | None,
) -> Mapping[NormalizedName, tuple[str, ...]]:
    """Return Requires-Dist of the base packages, read from the index where the snapshot has none.

    Only ``replace`` needs them: base packages that stay have a say in what takes the place of others.
    """
    if target.base is None or not environment.replace:
        return {}
    distributions = target.base.distributions.values()
    if on_event is not None:
        unknown = sum(item.requires_dist is None for item in distributions)
        on_event({"target": target.label, "event": "base-requires", "count": unknown})
    from kpack.base.metadata import RequiresDist

    with RequiresDist.of(environment, cache_dir, index_url=index_url) as requires_of:
        return requires_of.all_of(distributions)
