"""pip's search for one target: what it finds, or the `Failure` that tells why it finds nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pip._internal.exceptions import DistributionNotFound, InstallationError, PipError, UnsupportedPythonVersion
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version
from pip._vendor.requests import RequestException

from kpack.resolve.wire import Failure
from kpack.resolve.worker import failures, stepwise
from kpack.resolve.worker.diagnose import Diagnosis
from kpack.resolve.worker.distribution import NoRequirement, NoVersion
from kpack.resolve.worker.finder import OldPip
from kpack.resolve.worker.requirements import UrlDependency
from kpack.resolve.worker.seams import ROUNDS, Lost
from kpack.resolve.worker.search import Search

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.resolve.worker.answer import Chosen
    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.readers import Readers

NO_SOLUTION = (DistributionNotFound, UnsupportedPythonVersion, InstallationError)
"""What pip raises when the requests, and not the network or kpack, are at fault."""


def pins(readers: Readers, course: Course | None = None) -> list[Chosen] | Failure:
    """Return pip's solution of the question of ``readers``, sorted by name; ``course`` hears how far it is.

    Raises:
        Unreachable: an index did not answer.
        UrlDependency: a distribution wants another from a URL, and nothing stands in the way of what is newer than it.

    """
    search = Search(readers, course)
    asked = [(item.line, item.text) for item in search.request.asked]
    try:
        return _resolve_with_pins(search, asked)
    except (NoVersion, NoRequirement) as error:
        return Failure(kind="integrity", text=str(error), next="take another file or version of it")
    except OldPip:
        return Failure(kind="old-pip")
    except (PipError, RequestException) as error:
        if fetch := failures.network(error, [line for line, _ in asked]):
            return fetch
        if wrong := failures.digest(error) or failures.broken(error):
            return wrong
        if not isinstance(error, NO_SOLUTION):
            raise
        return _diagnosed(search, asked, error)
    except UrlDependency as error:
        newer = _of_newer(search, asked, error)
        if newer is None:
            raise
        return newer
    except stepwise.Unsolvable as part:
        return _diagnosed(search, part.asked, part.error)
    except stepwise.Stuck as stuck:
        return _no_answer(search, asked, stuck.last)


def _diagnosed(search: Search, asked: Sequence[tuple[str, str]], error: Exception) -> Failure:
    diagnosis = Diagnosis(search, asked)
    return replace(diagnosis.failure(error), unbuilt=diagnosis.unbuilt())


def _of_newer(search: Search, asked: list[tuple[str, str]], error: UrlDependency) -> Failure | None:
    """Return what keeps newer versions away than the one that wants something from a URL; None where nothing does."""
    name, _, version = error.by.rpartition(" ")
    best = search.finder.pages.best(canonicalize_name(name))
    if not any(each > Version(version) and not each.is_prerelease for each in best):
        return None
    failure = _diagnosed(search, asked, DistributionNotFound())
    return replace(failure, text=f"{failure.text}\nolder: {error}") if failure.obstacles else None


def _no_answer(search: Search, asked: list[tuple[str, str]], last: str) -> Failure:
    if search.request.rounds < ROUNDS:
        # Who looks for words can do something about what the newest versions meet.
        diagnosis = Diagnosis(search, asked)
        first, obstacles = diagnosis.newest()
        text = "no versions that fit together were found in the time that words are given"
        return Failure(
            kind="no-solution",
            text="\n".join(filter(None, [first, text])),
            because="too-many-tries",
            obstacles=obstacles,
            unbuilt=diagnosis.unbuilt(),
        )
    return Failure(
        kind="no-solution",
        text=f"no versions that fit together were found in {ROUNDS:,} tries once {last} was added to the requests",
        next="give it, or what it needs, a tighter range of versions; or put it in an environment of its own",
        because="too-many-tries",
    )


def _resolve_with_pins(search: Search, asked: list[tuple[str, str]]) -> list[Chosen]:
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
