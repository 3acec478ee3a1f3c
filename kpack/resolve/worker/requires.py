"""Requires-Dist of given versions, read from the index by the readers that resolve: for base packages of the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pip._vendor.packaging.version import Version

from kpack.resolve.wire import Failure, RequiresAnswer
from kpack.resolve.worker.files import version_of
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from kpack.resolve.wire import Named, RequiresQuestion
    from kpack.resolve.worker.connection import Connection
    from kpack.resolve.worker.files import IndexFile

TRIED = 2
"""Wheels of one version that are looked at."""


def run(question: RequiresQuestion, connection: Connection) -> RequiresAnswer | Failure:
    """Answer ``question``, many distributions at once."""
    reader = _LineReader(connection)
    try:
        lines = list(connection.web.pool.map(reader.requires, question.distributions))
    except Unreachable as error:
        return error.failure()
    found, absent, unread = {}, [], []
    for item, got in zip(question.distributions, lines, strict=True):
        if isinstance(got, BadMetadata):
            unread.append(item.name)
        elif got is None:
            absent.append(item.name)
        else:
            found[item.name] = got
    return RequiresAnswer(found=found, absent=tuple(absent), unread=tuple(unread))


class _LineReader:
    def __init__(self, connection: Connection) -> None:
        self._pages = connection.pages
        self._metadata = connection.metadata

    def requires(self, item: Named) -> tuple[str, ...] | BadMetadata | None:
        """Return the lines; None when the index has no wheel of that version, the trouble when it has none to read.

        A local version (``2.10.0+cu128``) that the index does not have is answered by its public version.

        Raises:
            Unreachable: the index or a file's host did not answer, or refused.

        """
        version = version_of(item.version)
        if version is None:
            return None
        trouble: BadMetadata | None = None
        for wanted in dict.fromkeys((version, Version(version.public))):
            for file in self._wheels(item.name, wanted):
                try:
                    return self._metadata.headers(file).requires
                except BadMetadata as error:
                    trouble = error
        return trouble

    def _wheels(self, name: str, version: Version) -> list[IndexFile]:
        """Return some wheels of that version, a pure one first, then by name: any host picks the same."""
        page = self._pages.page(name)
        files = [file for file in page.read(page.rows_of(version)) if file.version == version and not file.flaw]
        wheels = [file for file in files if file.is_wheel]
        return sorted(wheels, key=lambda file: (not file.filename.endswith("-none-any.whl"), file.filename))[:TRIED]
