"""Everything that the worker reads with, and the guesses that it sends ahead."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker.files import Fit
from kpack.resolve.worker.pages import TargetPages
from kpack.resolve.worker.prefetch import Prefetcher
from kpack.resolve.worker.provided import ProvidedDistributions
from kpack.resolve.worker.requirements import Markers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.resolve.wire import Question
    from kpack.resolve.worker.connection import Connection
    from kpack.resolve.worker.files import HashedContent, IndexFile
    from kpack.resolve.worker.requirements import Metadata


class Readers:
    """The pages and metadata that are read for one target, and what the kernel has."""

    def __init__(self, request: Question, connection: Connection) -> None:
        self.request = request
        self.arguments, self.web = connection.arguments, connection.web
        self.metadata, self.sdists = connection.metadata, connection.sdists
        self.metadata.unread = frozenset(request.no_deps)
        self.markers = Markers(
            request.environment, _direct_names(request), no_deps=request.no_deps, substitute=request.substitute
        )
        self.pages = TargetPages(connection.pages, Fit(request))
        self.kernel = ProvidedDistributions(request.provided, self.pages, self.metadata)
        self.files: dict[str, IndexFile] = {}
        """Every file that became a candidate, by URL."""
        self.direct: dict[str, Any] = {}
        """pip's record (PEP 610) of what was prepared from source or a direct URL, by URL."""
        self.fetched: dict[str, HashedContent] = {}
        """The files that pip has got for that, by URL."""
        self.seen: dict[str, Metadata] = {}
        """Metadata of what pip prepared itself, by URL."""
        self.prefetcher = Prefetcher(self, self.web.pool.submit, dict(request.pins))

    def start(self) -> None:
        """Send the first guesses ahead: what the requests lead to, and pages that the held-back list will look at."""
        if not self.request.prefetch:
            return
        for item in self.request.asked:
            with contextlib.suppress(InvalidRequirement):
                requirement = Requirement(item.line)
                self.prefetcher.want(requirement)
                name = str(canonicalize_name(requirement.name))
                if self.kernel.fixed(name):
                    self.web.pool.submit(self.pages.page, name)


def _direct_names(request: Question) -> Iterator[str]:
    for item in request.asked:
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(item.line)
            if requirement.url:
                yield str(canonicalize_name(requirement.name))
