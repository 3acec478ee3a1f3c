"""Requires-Dist of base distributions whose snapshot has none: asked of the resolver's worker once, kept for good.

A version on the index never changes its metadata, so what was read is cached by index, name and version without
an end. That an index has no wheel of a version is kept, too: a release of months ago gets none any more. That it
could not be asked, or that a wheel could not be read, is not.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from typing import TYPE_CHECKING

from kpack import urls
from kpack.files import keep, recalled
from kpack.resolve.wire import Named, Owners, RequiresQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.base.model import BaseDistribution
    from kpack.environment.model import Environment
    from kpack.resolve.child import Workers
    from kpack.resolve.wire import IndexAddress


class RequiresDist:
    """Answers what distributions of the base image require.

    ``workers`` read what is not known yet from ``indexes`` (the default one first); ``cache_dir`` is where answers
    stay, None keeps them in this object alone.
    """

    def __init__(self, workers: Workers, cache_dir: Path | None, indexes: Sequence[IndexAddress]) -> None:
        self._workers = workers
        self._http_dir = cache_dir
        self._folder = cache_dir / "requires-dist" if cache_dir else None
        self._indexes = tuple(indexes)
        self._owners = Owners(indexes)
        self._known: dict[tuple[NormalizedName, Version], tuple[str, ...] | None] = {}
        self._one_at_a_time = threading.Lock()

    @classmethod
    def of(
        cls, environment: Environment, workers: Workers, cache_dir: Path | None, *, index_url: str | None = None
    ) -> RequiresDist:
        """Return one that looks where ``environment`` says; ``index_url`` is another default index.

        Raises:
            UsageError: an index URL names an environment variable that is not set.

        """
        from kpack.resolve.ask import address

        return cls(workers, cache_dir, address(environment, index_url))

    def __call__(self, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        """Return the Requires-Dist lines of that version, or None when nobody knows them.

        A local version (``2.10.0+cu128``) that the index does not have is answered by its public version.

        Raises:
            NetworkError: the index cannot be reached, or refuses.

        """
        with self._one_at_a_time:
            self._learn([(name, version)])
        return self._known[name, version]

    def all_of(self, distributions: Iterable[BaseDistribution]) -> Mapping[NormalizedName, tuple[str, ...]]:
        """Return what is known of all of them, those that the snapshot does not know read at once.

        Raises:
            NetworkError: the index cannot be reached, or refuses.

        """
        items = list(distributions)
        with self._one_at_a_time:
            self._learn([(item.name, item.version) for item in items if item.requires_dist is None])
        found = {
            item.name: self._known[item.name, item.version] if item.requires_dist is None else item.requires_dist
            for item in items
        }
        return {name: lines for name, lines in found.items() if lines is not None}

    def _learn(self, wanted: Sequence[tuple[NormalizedName, Version]]) -> None:
        """Find out about all of ``wanted``: from this object, from the cache, and the rest in one question."""
        unknown = []
        for name, version in wanted:
            if (name, version) not in self._known and not self._recall(name, version):
                unknown.append((name, version))
        if not unknown:
            return
        answer = self._workers.requires(
            RequiresQuestion(
                label="the base image",
                distributions=tuple(Named(name=name, version=str(version)) for name, version in unknown),
                indexes=self._indexes,
                cache_dir=str(self._http_dir) if self._http_dir else "",
            )
        )
        unread = frozenset(answer.unread)
        for name, version in unknown:
            lines = self._known[name, version] = answer.found.get(name)
            path = self._path(name, version)
            if path is not None and name not in unread:
                keep(path, json.dumps({"requires-dist": lines}, indent=1) + "\n")

    def _recall(self, name: NormalizedName, version: Version) -> bool:
        """Take what an earlier run found out; False when there is nothing that can be read."""
        path = self._path(name, version)
        if path is None:
            return False
        with contextlib.suppress(ValueError, KeyError, TypeError):
            kept = recalled(path)["requires-dist"]
            self._known[name, version] = None if kept is None else tuple(map(str, kept))
            return True
        return False

    def _path(self, name: NormalizedName, version: Version) -> Path | None:
        if self._folder is None:
            return None
        location = urls.shown(self._owners.index_of(name).url.rstrip("/")) or "default"
        place = hashlib.sha256(location.encode()).hexdigest()[:16]
        return self._folder / place / name / f"{version}.json"
