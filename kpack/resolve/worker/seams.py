"""The places where pip and pip-tools are told about the target.

Every use of their internals that can break is here and in the modules that this one puts in: `finder` answers pip's
questions, `candidates` is what it goes through, `pip_builds` makes metadata of sources, `quiet` keeps secrets off
command lines. Version choice, backtracking, pre-releases and yanked files stay pip's. What is left hands the target's
Python version and tags to the parts that look at them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import piptools.repositories.pypi as piptools_repository
from pip._internal.commands.install import InstallCommand
from pip._internal.distributions.sdist import SourceDistribution
from pip._internal.models.target_python import TargetPython
from pip._internal.operations import prepare as pip_prepare
from pip._internal.req.constructors import install_req_from_line
from pip._internal.resolution.resolvelib import resolver as pip_resolver
from pip._internal.resolution.resolvelib.candidates import LinkCandidate
from pip._vendor.packaging.tags import Tag
from piptools.repositories.pypi import PyPIRepository
from piptools.resolver import BacktrackingResolver

from kpack.resolve.worker import quiet
from kpack.resolve.worker.finder import UPLOADED_PRIOR_TO
from kpack.resolve.worker.pip_builds import prepare_metadata

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.resolve.wire import Question
    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.finder import Finder

DIRECT_REFERENCES = hasattr(pip_prepare, "check_pypi_direct_references")
"""pip 26.3 and newer: looks for URLs in Requires-Dist, whatever their markers say."""

ROUNDS = 3000
"""Rounds (one distribution chosen, or one choice taken back) that a search is granted; real ones need a few hundred."""


class Lost(TimeoutError):
    """The search went on for more rounds than it was granted."""


class _Counting(pip_resolver.PipReporter):  # type: ignore[misc] # pip is not typed
    """Ends a search that lost its way, and tells how far one is."""

    course: Course | None = None
    rounds = ROUNDS
    until: float | None = None
    """Moment of `time.monotonic` at which words that are being tried are given up."""

    def starting_round(self, index: int) -> None:
        super().starting_round(index)
        if index > self.rounds or (self.until is not None and time.monotonic() > self.until):
            raise Lost

    def ending_round(self, index: int, state: Any) -> None:
        super().ending_round(index, state)
        if self.course is not None:
            self.course.known(len(state.mapping))

    def rejecting_candidate(self, _criterion: Any, candidate: Any) -> None:
        """Count it; pip's own method describes it for a log that nobody reads."""
        if self.course is not None:
            self.course.rejected(str(candidate.name))


class _Target(TargetPython):  # type: ignore[misc] # pip is not typed
    """A target whose tags are given, not computed: pip does not widen manylinux tags of foreign platforms."""

    __slots__ = ("_given", "_given_set")

    def __init__(self, version: tuple[int, ...], tags: list[Tag]) -> None:
        super().__init__(py_version_info=version)
        self._given = tags
        self._given_set = set(tags)

    def get_sorted_tags(self) -> list[Tag]:
        return self._given

    def get_unsorted_tags(self) -> set[Tag]:
        return self._given_set

    get_tags = get_sorted_tags


class _Opening:
    """Makes pip's install command for the target."""

    def __init__(self, own: Finder, session: Any) -> None:
        request = own.request
        version = tuple(int(part) for part in request.python_full_version.split(".")[:3])
        target = _Target(version, [Tag(*tag.split("-")) for tag in request.tags])

        class TargetCommand(InstallCommand):  # type: ignore[misc] # pip is not typed
            """pip-tools hands neither target_python to the finder nor py_version_info to the resolver."""

            def _build_session(self, *_: Any, **_more: Any) -> Any:
                return session

            def _build_package_finder(self, options: Any, session: Any, *_: Any, **more: Any) -> Any:
                more["target_python"] = target
                finder = super()._build_package_finder(options, session, **more)
                finder.find_all_candidates = own.candidates
                finder.find_best_candidate = own.choose
                return finder

            @classmethod
            def make_requirement_preparer(cls, *args: Any, **more: Any) -> Any:
                preparer = super().make_requirement_preparer(*args, **more)
                original = preparer.prepare_linked_requirement
                preparer.prepare_linked_requirement = lambda ireq, **_more: own.prepare(original, ireq)
                # pip 25.2 and older downloads every pin at the end of resolve().
                preparer.prepare_linked_requirements_more = lambda *_args, **_more: None
                return preparer

            @classmethod
            def make_resolver(cls, *args: Any, **more: Any) -> Any:
                more["py_version_info"] = version
                more["wheel_cache"] = None  # of wheels that pip built for the host
                return super().make_resolver(*args, **more)

        self.command = lambda *_args, **_more: TargetCommand("install", "install")


def install() -> None:
    """Apply what cannot be handed in.

    pip checks each candidate's metadata by evaluating every requirement under every extra, twice; the worker's own
    readers checked name, version and requirements already, so that pass is left out. And pip would go on for
    200,000 rounds. What ``no-build-isolation`` names is built by another interpreter than pip's; for what is built in
    isolation nothing is fetched that only the image has. pip 26.3 refuses an
    sdist of its own index for a URL behind any extra; here a URL counts when the target asks for it
    (`UrlDependency`).
    """
    SourceDistribution.prepare_distribution_metadata = prepare_metadata
    quiet.install()
    LinkCandidate._check_metadata_consistency = lambda *_: None  # noqa: SLF001
    pip_resolver.PipReporter = _Counting
    if DIRECT_REFERENCES:
        pip_prepare.check_pypi_direct_references = lambda *_: None


def open_repository(own: Finder, arguments: list[str], session: Any) -> PyPIRepository:
    """Return pip-tools' repository for the target; ``arguments`` are pip's options, ``session`` is pip's."""
    request = own.request
    if request.exclude_newer and UPLOADED_PRIOR_TO:
        arguments = [*arguments, "--uploaded-prior-to", f"{request.exclude_newer}+00:00"]
    opening = _Opening(own, session)
    original = piptools_repository.create_command
    piptools_repository.create_command = opening.command
    try:
        return PyPIRepository(arguments, cache_dir=request.cache_dir)
    finally:
        piptools_repository.create_command = original


def requirement(line: str, *, comes_from: str, constraint: bool = False) -> Any:
    """Return pip's InstallRequirement of a requirement line, or of a ``file:`` URL with ``[extras]`` behind it.

    As a path, pip would take a ``;`` in a folder's name for the beginning of a marker.
    """
    if not line.startswith("file:"):
        return install_req_from_line(line, comes_from=comes_from, constraint=constraint)
    url, _, extras = line.partition("[")
    found = install_req_from_line(url, comes_from=comes_from, constraint=constraint)
    found.extras = {extra for extra in extras.rstrip("]").split(",") if extra}
    return found


def solve(
    repository: PyPIRepository,
    asked: Iterable[Any],
    pins: dict[str, Any],
    request: Question,
    course: Course | None = None,
) -> set[Any]:
    """Run pip-tools' backtracking resolver and return its pinned InstallRequirements; ``course`` hears how far it is.

    Raises:
        DistributionNotFound: there is no solution; ``__cause__`` is resolvelib's ResolutionImpossible.
        Lost: none was found in as many rounds or seconds as ``request`` grants.

    """
    _Counting.course = course
    _Counting.rounds = request.rounds
    _Counting.until = time.monotonic() + request.seconds if request.seconds else None
    resolver = BacktrackingResolver(
        constraints=list(asked),
        existing_constraints=pins,
        repository=repository,
        allow_unsafe=True,
        unsafe_packages=set(),
    )
    found: set[Any] = resolver.resolve(max_rounds=len(pins) + 2)
    return found
