"""pip's resolver, set up for one target and run as often as the answer needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker import seams
from kpack.resolve.worker.answer import Chosen
from kpack.resolve.worker.finder import Finder

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.readers import Readers


class Search:
    """The worker's readers and pip-tools' repository, open for one target."""

    def __init__(self, readers: Readers, course: Course | None = None) -> None:
        self.course = course
        self.request = readers.request
        self.web = readers.web
        self.markers = readers.markers
        self.finder = Finder(
            request=readers.request,
            pages=readers.pages,
            metadata=readers.metadata,
            sdists=readers.sdists,
            kernel=readers.kernel,
            markers=readers.markers,
            files=readers.files,
            direct=readers.direct,
            fetched=readers.fetched,
            seen=readers.seen,
        )
        self.repository = seams.open_repository(self.finder, readers.arguments, readers.web.session)
        seams.install()
        if self.request.prefetch:
            self.finder.on_metadata = readers.prefetcher.ahead
        if course is not None:
            self.finder.on_build = course.building

    def resolve(self, asked: Iterable[tuple[str, str]], pins: dict[str, str]) -> list[Chosen]:
        """Return pip-tools' pins for (line, comes_from) pairs, sorted by name."""
        constraints = [seams.requirement(line, comes_from=comes_from) for line, comes_from in asked]
        constraints += [
            seams.requirement(limit.requirement, comes_from=limit.by, constraint=True) for limit in self.request.limits
        ]
        # After the requests: what they want is settled first, and these move along.
        there = {canonicalize_name(ireq.name) for ireq in constraints if ireq.name and not ireq.constraint}
        constraints += [
            seams.requirement(name, comes_from="replace") for name in self.finder.kernel.moving() if name not in there
        ]
        existing = {
            name: seams.requirement(f"{name}=={version}", comes_from="the old lock", constraint=True)
            for name, version in sorted(pins.items())
        }
        while True:
            found = seams.solve(self.repository, constraints, existing, self.request, self.course)
            taken = {ireq.link.url_without_fragment for ireq in found if ireq.link} & self.finder.believed
            if not taken:
                return sorted(map(_pin, found))
            self.finder.doubted |= taken
            self.finder.believed -= taken


def _pin(ireq: Any) -> Chosen:
    return Chosen(
        name=str(canonicalize_name(ireq.name)),
        version=next(iter(ireq.req.specifier)).version,
        extras=tuple(sorted(canonicalize_name(extra) for extra in ireq.extras)),
        url=ireq.link.url_without_fragment,
    )
