"""pip's resolver, set up for one target and run as often as the answer needs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from kpack.resolve.worker import seams

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpack.resolve.worker.readers import Readers


class Search:
    """The worker's readers and pip-tools' repository, open for one target."""

    def __init__(self, readers: Readers) -> None:
        self.request = readers.request
        self.web = readers.web
        self.markers = readers.markers
        self.finder = seams.Finder(
            readers.request, readers.pages, readers.metadata, readers.sdists, readers.kernel, readers.markers
        )
        self.repository = seams.open_repository(self.finder, readers.arguments, readers.session)
        seams.install()
        if self.request.prefetch:
            self.finder.on_metadata = readers.prefetcher.ahead

    def resolve(
        self,
        asked: Iterable[tuple[str, str]],
        pins: dict[str, str],
        *,
        until: float | None = None,
        limited: bool = True,
    ) -> list[Any]:
        """Return pip-tools' pins for (line, comes_from) pairs, sorted by name.

        Without ``limited`` what the base asks of opened names does not count.

        Raises:
            TimeoutError: it was not done by ``until`` (a moment of `time.monotonic`).

        """
        self.finder.until = until
        constraints = [seams.requirement(line, comes_from=comes_from) for line, comes_from in asked]
        constraints += [
            seams.requirement(limit.requirement, comes_from=limit.by, constraint=True)
            for limit in self.request.limits
            if limited
        ]
        existing = {
            name: seams.requirement(f"{name}=={version}", comes_from="the old lock", constraint=True)
            for name, version in sorted(pins.items())
        }
        return sorted(seams.solve(self.repository, constraints, existing), key=lambda ireq: str(ireq.name))

    @contextlib.contextmanager
    def opening(self, names: Iterable[str]) -> Iterator[None]:
        """Let the pack bring other versions of ``names``, too, while the block runs."""
        kernel, before = self.finder.kernel, self.finder.kernel.opened
        kernel.opened = before | frozenset(names)
        self.finder.known.clear()
        try:
            yield
        finally:
            kernel.opened = before
            self.finder.known.clear()
