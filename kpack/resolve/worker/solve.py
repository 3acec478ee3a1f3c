"""One target's resolution: from a `Question` to the `Answer`, or the `Failure` that tells why there is none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.resolve.wire import Answer, Failure, Figures, Obstacle
from kpack.resolve.worker import answer, straight
from kpack.resolve.worker.held_back import Comparison
from kpack.resolve.worker.requirements import UrlDependency
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.resolve.wire import FoundFile, Resolved
    from kpack.resolve.worker.answer import Chosen
    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.readers import Readers


LISTED = 4
"""Names that a sentence has at most."""


def run(readers: Readers, course: Course | None = None) -> Answer | Failure:
    """Answer the question of ``readers``; ``course`` hears how far it is."""
    request = readers.request
    accelerator = readers.web.pool.submit(_accelerator, readers) if request.accelerator else None
    try:
        found: Sequence[Chosen] | Failure | None = straight.pins(readers, course)
        if found is None:
            from kpack.resolve.worker.resolution import pins

            found = pins(readers, course)
        if isinstance(found, Failure):
            return replace(found, text="\n".join([found.text, *endless(readers)])) if found.text else found
        told = _told(readers, found)
    except Unreachable as error:
        return error.failure()
    except UrlDependency as error:
        return _url_dependency(error)
    except answer.WrongDigest as error:
        return Failure(
            kind="integrity",
            text=str(error),
            next="the file was altered on the way or at its source: find out which, or take another version",
        )
    if isinstance(told, Failure) or accelerator is None:
        return told
    return replace(told, accelerator=accelerator.result())


def _told(readers: Readers, found: Sequence[Chosen]) -> Answer | Failure:
    """Return the answer that ``found`` is, but for the accelerator."""
    named = answer.requests(readers, found)
    if other := answer.misnamed(named, found):
        return other
    computed = answer.digests(readers, found)
    rows = [answer.row(readers, pin, computed) for pin in found]
    barred = next((row for row in rows if row.direct and readers.kernel.fixed(row.name)), None)
    if barred is not None:
        return _over_the_kernel(readers, barred)
    return Answer(
        asked=tuple(named),
        resolved=tuple(rows),
        held_back=tuple(Comparison(readers, rows).list(named)),
        notes=(*answer.notes(readers, found, rows, computed), *endless(readers)),
        figures=Figures(requests=readers.web.requests, metadata=readers.metadata.reads),
    )


def endless(readers: Readers) -> Iterator[str]:
    """Yield a sentence on every host of which nobody can tell whether its answers are whole."""
    for host, names in readers.web.endless.items():
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        yield (
            f"{host} does not say how long its answers are ({', '.join(names[:LISTED])}{more}): one that broke off "
            "would look whole, with versions missing; #sha256=… behind a URL in packages tells"
        )


def _over_the_kernel(readers: Readers, row: Resolved) -> Failure:
    """Return the failure for a direct URL or folder of what the kernel has already."""
    has = readers.kernel.provided[row.name]
    return Failure(
        kind="no-solution",
        text=f"kaggle-env.toml brings {row.name} {row.version} of its own, but {has.by} has {row.name} {has.version}",
        name=row.name,
        because="kernel",
        obstacles=(Obstacle(name=row.name, requirement=row.name, request=row.name, kind="kernel"),),
    )


def _url_dependency(error: UrlDependency) -> Failure:
    return Failure(
        kind="no-solution",
        text=str(error),
        next=f'if you trust it, add "{error.requirement}" to packages yourself',
        name=error.requirement.partition(" ")[0],
        because="url",
    )


def _accelerator(readers: Readers) -> FoundFile | None:
    """Return the newest final wheel of the accelerator that fits; None when there is none or its index is silent."""
    try:
        best = readers.pages.best(readers.request.accelerator)
    except Unreachable:
        return None
    fitting = [
        version
        for version, file in best.items()
        if file.is_wheel and file.yanked is None and not version.is_prerelease and file.hashes.get("sha256")
    ]
    return answer.found_file(best[max(fitting)]) if fitting else None
