"""Resolving: from an `Environment` and its `Target`s to pins, files, who needs whom and what is held back."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.resolve.child import Workers
    from kpack.resolve.model import Resolution, Source
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
    """Return what each target gets.

    ``pins`` gives the old lock's versions by target label; they are kept where they fit. ``sources`` gives what they
    were made from, for those that have a source: a branch stays at its commit. ``unisolated`` says, by target label,
    with which interpreter the packages of ``no-build-isolation`` are built. ``upgrade`` lets go of all of them
    (True) or of the named ones. ``cache_dir`` keeps pages and metadata between runs (None: nothing is kept).
    ``index_url`` takes the place of the default index, as ``KPACK_INDEX_URL`` does. ``workers`` are processes that
    were started before, to load while the caller was busy; they stay with the caller.

    Raises:
        NoSolution: the requests conflict with each other, with the base or with what the index has.
        IntegrityError: a file is not what its URL in ``packages`` says with ``#sha256=``.
        NetworkError: an index did not answer.
        UsageError: an index URL names an environment variable that is not set.

    """
    # Imported here because the worker, which imports this package, must start fast.
    from kpack.resolve.child import Workers

    old = _Old(pins or {}, sources or {}, upgrade)
    if workers is not None:
        return _resolve(environment, targets, old, unisolated or {}, cache_dir, index_url, workers)
    with Workers(len(targets)) as running:
        return _resolve(environment, targets, old, unisolated or {}, cache_dir, index_url, running)


class _Old(NamedTuple):
    """What an earlier lock says, by target label, and how much of it is let go of."""

    pins: Mapping[str, Mapping[NormalizedName, Version]]
    sources: Mapping[str, Mapping[NormalizedName, Source]]
    upgrade: bool | frozenset[NormalizedName]

    def kept(self, by_label: Mapping[str, Mapping[NormalizedName, T]], target: Target) -> dict[NormalizedName, T]:
        if self.upgrade is True:
            return {}
        gone = self.upgrade or ()
        return {name: item for name, item in by_label.get(target.label, {}).items() if name not in gone}


def _resolve(
    environment: Environment,
    targets: Sequence[Target],
    old: _Old,
    unisolated: Mapping[str, Unisolated],
    cache_dir: Path | None,
    index_url: str | None,
    workers: Workers,
) -> Resolution:
    from kpack.resolve.ask import question
    from kpack.resolve.assemble import assemble
    from kpack.resolve.model import Resolution
    from kpack.resolve.requires_dist import RequiresDist

    requires_of = RequiresDist.of(environment, workers, cache_dir, index_url=index_url)
    questions = []
    for target in targets:
        # Only `replace` needs them: base packages that stay have a say in what takes the place of others. A shipped
        # snapshot has all that an index could say.
        asks = target.base is not None and not target.base.shipped and environment.replace
        needed = target.base.distributions.values() if target.base and asks else ()
        questions.append(
            question(
                environment,
                target,
                pins=old.kept(old.pins, target),
                sources=old.kept(old.sources, target),
                cache_dir=cache_dir,
                index_url=index_url,
                requires=requires_of.all_of(needed),
                unisolated=unisolated.get(target.label),
            )
        )
    answers = workers.ask(questions)
    return Resolution(
        targets=tuple(
            assemble(environment, target, answer, old.kept(old.sources, target))
            for target, answer in zip(targets, answers, strict=True)
        )
    )
