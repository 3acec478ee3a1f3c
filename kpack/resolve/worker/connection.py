"""What the worker reads with: one web, and what was read through it, for all questions on the same indexes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pip._internal.models.index import PyPI

from kpack.resolve.wire import IndexAddress
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.metadata import MetadataStore
from kpack.resolve.worker.pages import Pages
from kpack.resolve.worker.sdist import SdistMetadata
from kpack.resolve.worker.web import Web

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpack.resolve.worker.transport import Transport


class Connection(NamedTuple):
    """How the worker reaches its indexes; one for all its questions."""

    arguments: list[str]
    """pip's options that say the same."""
    web: Web
    pages: Pages
    metadata: MetadataStore
    sdists: SdistMetadata
    """What was read for one question is there for the next one."""


def connect(indexes: Sequence[IndexAddress], cache_dir: str, on_request: Callable[[int], None]) -> Connection:
    """Return what reads from ``indexes``; ``on_request`` is told how many requests were sent."""
    default = indexes[0] if indexes else IndexAddress(url="")
    indexes = [IndexAddress(url=default.url or PyPI.simple_url), *indexes[1:]]
    arguments = ["--index-url", indexes[0].url, "--no-input", "--retries", "2", "--timeout", "30"]
    for index in indexes[1:]:
        arguments += ["--find-links" if index.shape == "links" else "--extra-index-url", index.url]
    arguments += ["--cache-dir", str(Path(cache_dir).absolute())] if cache_dir else ["--no-cache-dir"]

    def open_it(count: Callable[[], None]) -> Transport:
        from kpack.resolve.worker.session import open_session
        from kpack.resolve.worker.transport import Transport

        return Transport(open_session(arguments), count)

    web = Web(open_it, on_request)
    return Connection(
        arguments,
        web,
        Pages(web, indexes, KeptPages(cache_dir)),
        MetadataStore(web, cache_dir),
        SdistMetadata(web, cache_dir),
    )
