"""One target's resolution: from a `Question` to the `Answer`, or the `Failure` that tells why there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import DistributionNotFound, InstallationError, PipError, UnsupportedPythonVersion
from pip._vendor.requests import RequestException

from kpack import urls
from kpack.resolve.wire import Answer, Failure, Figures, Obstacle
from kpack.resolve.worker import answer, failures, seams, stepwise
from kpack.resolve.worker.diagnose import Diagnosis
from kpack.resolve.worker.distribution import NoVersion
from kpack.resolve.worker.held_back import Comparison
from kpack.resolve.worker.requirements import UrlDependency
from kpack.resolve.worker.seams import ROUNDS, Lost
from kpack.resolve.worker.search import Search
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from kpack.resolve.wire import FoundFile, Resolved
    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.readers import Readers


NO_SOLUTION = (DistributionNotFound, UnsupportedPythonVersion, InstallationError)
"""What pip raises when the requests, and not the network or kpack, are at fault."""


def run(readers: Readers, course: Course | None = None) -> Answer | Failure:
    """Answer the question of ``readers``; ``course`` hears how far it is."""
    try:
        return _run(Search(readers, course))
    except Unreachable as error:
        return failures.unreachable(error)
    except UrlDependency as error:
        return _url_dependency(error)
    except NoVersion as error:
        return Failure(kind="integrity", text=str(error), next="take another file or version of it")
    except seams.OldPip:
        return Failure(kind="old-pip")


def _run(search: Search) -> Answer | Failure:
    request = search.request
    asked = [(item.line, item.text) for item in request.asked]
    accelerator = search.web.pool.submit(_accelerator, search) if request.accelerator else None
    try:
        found = _resolve_with_pins(search, asked)
    except (PipError, RequestException) as error:
        if fetch := failures.network(error, [line for line, _ in asked]):
            return fetch
        if wrong := failures.digest(error):
            return wrong
        if not isinstance(error, NO_SOLUTION):
            raise
        return Diagnosis(search, asked).failure(error)
    except stepwise.Unsolvable as part:
        return Diagnosis(search, part.asked).failure(part.error)
    except stepwise.Stuck as stuck:
        return _no_answer(search, asked, stuck.last)
    named = answer.requests(search, found)
    if other := answer.misnamed(named, found):
        return other
    computed = answer.digests(search, found)
    rows = [answer.row(search, ireq, computed) for ireq in found]
    barred = next((row for row in rows if row.direct and search.finder.kernel.fixed(row.name)), None)
    if barred is not None:
        return _over_the_kernel(search, barred)
    return Answer(
        asked=tuple(named),
        resolved=tuple(rows),
        held_back=tuple(Comparison(search.finder, search.markers, rows).list(named)),
        accelerator=accelerator.result() if accelerator else None,
        notes=tuple(answer.notes(search, found, rows, computed)),
        figures=Figures(requests=search.web.requests, metadata=search.finder.metadata.reads),
    )


def _over_the_kernel(search: Search, row: Resolved) -> Failure:
    """Return the failure for a direct URL or folder of what the kernel has already."""
    has = search.finder.kernel.provided[row.name]
    return Failure(
        kind="no-solution",
        text=f"kaggle-env.toml brings {row.name} {row.version} of its own, but {has.by} has {row.name} {has.version}",
        name=row.name,
        because="kernel",
        obstacles=(Obstacle(name=row.name, requirement=row.name, request=row.name, kind="kernel"),),
    )


def _url_dependency(error: UrlDependency) -> Failure:
    shown = urls.redacted(error.requirement)
    return Failure(
        kind="no-solution",
        text=f"{error.by} needs {shown}, and only kaggle-env.toml may take something from a URL",
        next=f'if you trust it, add "{shown}" to packages yourself',
        name=error.requirement.partition(" ")[0],
        because="url",
    )


def _no_answer(search: Search, asked: list[tuple[str, str]], last: str) -> Failure:
    if search.request.rounds < ROUNDS:
        # Who looks for words can do something about what the newest versions meet.
        first, obstacles = Diagnosis(search, asked).newest()
        text = "no versions that fit together were found in the time that words are given"
        return Failure(
            kind="no-solution",
            text="\n".join(filter(None, [first, text])),
            because="too-many-tries",
            obstacles=obstacles,
        )
    return Failure(
        kind="no-solution",
        text=f"no versions that fit together were found in {ROUNDS:,} tries once {last} was added to the requests",
        next="give it, or what it needs, a tighter range of versions; or put it in an environment of its own",
        because="too-many-tries",
    )


def _resolve_with_pins(search: Search, asked: list[tuple[str, str]]) -> list[Any]:
    if search.request.rounds < ROUNDS:  # words are being tried: they are given up sooner than requests
        try:
            return search.resolve(asked, search.request.pins)
        except Lost as error:
            raise stepwise.Stuck(asked[-1][1]) from error
    try:
        return search.resolve(asked, search.request.pins)
    except Lost:
        return stepwise.resolve(search, asked, NO_SOLUTION)
    except DistributionNotFound:
        if not search.request.pins:
            raise
    try:
        return search.resolve(asked, {})
    except Lost:
        return stepwise.resolve(search, asked, NO_SOLUTION)


def _accelerator(search: Search) -> FoundFile | None:
    """Return the newest final wheel of the accelerator that fits; None when there is none or its index is silent."""
    try:
        best = search.finder.pages.best(search.request.accelerator)
    except Unreachable:
        return None
    fitting = [
        version
        for version, file in best.items()
        if file.is_wheel and file.yanked is None and not version.is_prerelease and file.hashes.get("sha256")
    ]
    return answer.found_file(best[max(fitting)]) if fitting else None
