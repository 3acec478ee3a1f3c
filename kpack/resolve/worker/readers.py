"""Everything that the worker reads with, and the guesses that it sends ahead."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.models.index import PyPI
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker.files import Fit
from kpack.resolve.worker.metadata import MetadataStore
from kpack.resolve.worker.pages import Pages
from kpack.resolve.worker.prefetch import Prefetcher
from kpack.resolve.worker.provided import Kernel
from kpack.resolve.worker.request import IndexAddress, WorkerRequest
from kpack.resolve.worker.requirements import Markers
from kpack.resolve.worker.sdist import SdistMetadata
from kpack.resolve.worker.session import open_session
from kpack.resolve.worker.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOLD_EVERY = 0.1
"""Seconds between two words on progress."""


class Readers:
    """pip's session, the pages and metadata read through it, and what the kernel has, for one target."""

    def __init__(self, request: WorkerRequest, emit: Callable[[dict[str, Any]], None]) -> None:
        self.request = request
        default = request.indexes[0] if request.indexes else IndexAddress(url="")
        indexes = [IndexAddress(url=default.url or PyPI.simple_url), *request.indexes[1:]]
        self.arguments = ["--index-url", indexes[0].url, "--no-input", "--retries", "2", "--timeout", "30"]
        for index in indexes[1:]:
            self.arguments += ["--extra-index-url", index.url]
        cache = ["--cache-dir", str(Path(request.cache_dir).absolute())] if request.cache_dir else ["--no-cache-dir"]
        self.arguments += cache
        self.session = open_session(self.arguments)
        self.web = Web(self.session, self._tell)
        self.markers = Markers(request.environment, _direct_names(request))
        self.pages = Pages(self.web, indexes, Fit(request))
        self.metadata = MetadataStore(self.web, request.cache_dir)
        self.sdists = SdistMetadata(self.web, request.cache_dir)
        self.kernel = Kernel(request.provided, self.pages, self.metadata)
        self.prefetcher = Prefetcher(self, self.web.pool.submit, dict(request.pins))
        self._emit = emit
        self._told = 0.0

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

    def _tell(self, requests: int) -> None:
        now = time.monotonic()
        if now - self._told > TOLD_EVERY:
            self._told = now
            self._emit({"event": "requests", "count": requests})


def _direct_names(request: WorkerRequest) -> Iterator[str]:
    for item in request.asked:
        with contextlib.suppress(InvalidRequirement):
            requirement = Requirement(item.line)
            if requirement.url:
                yield str(canonicalize_name(requirement.name))
