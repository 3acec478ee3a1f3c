"""The places where pip and pip-tools are told about the target: every use of their internals that can break is here.

pip's resolver asks two things of the outside world: which candidates a name has (`PackageFinder.find_best_candidate`),
and what a candidate's metadata is (`RequirementPreparer.prepare_linked_requirement`). Both are answered by the
worker's own readers; version choice, backtracking, pre-releases and yanked files stay pip's. The rest of this module
hands the target's Python version and tags to the parts that look at them.
"""

from __future__ import annotations

import os
import re
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import piptools.repositories.pypi as piptools_repository
from pip._internal.cli import cmdoptions
from pip._internal.commands.install import InstallCommand
from pip._internal.distributions.sdist import SourceDistribution
from pip._internal.exceptions import InstallationError, MetadataInconsistent
from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._internal.models.target_python import TargetPython
from pip._internal.operations import prepare as pip_prepare
from pip._internal.req.constructors import install_req_from_line
from pip._internal.resolution.resolvelib import resolver as pip_resolver
from pip._internal.resolution.resolvelib.candidates import LinkCandidate
from pip._internal.utils.subprocess import format_command_args
from pip._internal.vcs.git import Git
from pip._vendor.packaging.tags import Tag
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version
from pip._vendor.pyproject_hooks import BackendUnavailable
from piptools.repositories.pypi import PyPIRepository
from piptools.resolver import BacktrackingResolver

from kpack import licenses, urls
from kpack.git import GitAccess, access
from kpack.resolve.worker.distribution import TargetDistribution
from kpack.resolve.worker.failed_build import projects_below
from kpack.resolve.worker.files import HashedContent
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.requirements import Markers, Metadata, Needs, invalid
from kpack.resolve.worker.unisolated import admit_build, metadata_folder, with_versions_of_the_image

try:
    from pip._internal.build_env import installer as pip_installer
except ImportError:  # pip 26.2 and older
    from pip._internal import build_env as pip_installer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pip._vendor.packaging.specifiers import SpecifierSet

    from kpack.resolve.wire import Question, Unisolated
    from kpack.resolve.worker.course import Course
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.metadata import MetadataStore
    from kpack.resolve.worker.pages import TargetPages
    from kpack.resolve.worker.provided import ProvidedDistributions
    from kpack.resolve.worker.sdist import SdistMetadata


UPLOADED_PRIOR_TO = hasattr(cmdoptions, "uploaded_prior_to")
"""pip 26.0 and newer: hides files from the isolated build environment that are too new."""


DIRECT_REFERENCES = hasattr(pip_prepare, "check_pypi_direct_references")
"""pip 26.3 and newer: looks for URLs in Requires-Dist, whatever their markers say."""

_ADMIT_BUILD = "_kpack_admit_build"
"""An attribute of pip's requirement: called with what [build-system] requires, before anything of that is fetched."""

_MAKE_METADATA = "_kpack_make_metadata"
"""An attribute of pip's requirement: makes the metadata folder in pip's place, and returns its path."""

_LEADING_NAME = re.compile(r"[\s\[@;]")

ROUNDS = 3000
"""Rounds (one distribution chosen, or one choice taken back) that a search is granted; real ones need a few hundred."""


BUILT = 2
"""Versions of one name that are built to know what they require; then texts are read, and what is taken is built."""

LOOKED = 12
"""Sdists of one name that are looked at: each has to come whole, and what twelve releases lack the older ones lack."""


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


class OldPip(Exception):
    """This pip cannot keep newer files out of build environments."""


class Choice(Sequence[InstallationCandidate]):
    """Candidates of one name, least preferred first; each is made when it is looked at: most never are."""

    def __init__(self, name: str, versions: Sequence[Version], make: Callable[[Version], Link]) -> None:
        self.name = name
        self.versions = versions
        self.make = make

    def __len__(self) -> int:
        return len(self.versions)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Choice(self.name, self.versions[place], self.make)
        version = self.versions[place]
        return InstallationCandidate(self.name, str(version), self.make(version))

    @property
    def applicable_candidates(self) -> Choice:
        """What pip's BestCandidateResult calls it."""
        return self

    def iter_applicable(self) -> Iterator[InstallationCandidate]:
        """Do the same for pip 24.3 and older."""
        return iter(self)


class OwnFirst(Sequence[InstallationCandidate]):
    """The kernel's own version before all others; those are asked of the index when it does not do."""

    def __init__(self, own: InstallationCandidate, others: Callable[[], Choice]) -> None:
        self._own = own
        self._others = others

    def __len__(self) -> int:
        return 1 + len(self._others())

    def __getitem__(self, place: Any) -> Any:
        return [*self._others(), self._own][place]

    def __iter__(self) -> Iterator[InstallationCandidate]:
        """Yield all; pip looks through them for one that is not yanked, and the first is none."""
        yield self._own
        yield from self._others()

    def __reversed__(self) -> Iterator[InstallationCandidate]:
        """Yield the most preferred first."""
        yield self._own
        yield from reversed(self._others())

    @property
    def applicable_candidates(self) -> OwnFirst:
        """What pip's BestCandidateResult calls it."""
        return self

    def iter_applicable(self) -> Iterator[InstallationCandidate]:
        """Yield them for pip 24.3 and older, least preferred first."""
        return iter(self[:])


@dataclass
class Finder:
    """What pip's resolver is given instead of the network and the host."""

    request: Question
    pages: TargetPages
    metadata: MetadataStore
    sdists: SdistMetadata
    kernel: ProvidedDistributions
    markers: Markers
    files: dict[str, IndexFile]
    direct: dict[str, Any]
    fetched: dict[str, HashedContent]
    seen: dict[str, Metadata]
    """Those of `readers.Readers`."""
    on_metadata: Callable[[IndexFile], None] = lambda _file: None
    """Called before a wheel's metadata is handed out: the prefetcher looks ahead from there."""
    building: str = ""
    """What pip was last asked to prepare from source."""
    inner: tuple[str, ...] = ()
    """Folders of a source that are projects, where it is none at its top."""
    known: dict[str, Choice] = field(default_factory=dict)
    built: Counter[str] = field(default_factory=Counter)
    """How many versions of a name were built to know what they require."""
    looked: dict[str, set[str]] = field(default_factory=dict)
    """URLs of the sdists of a name that were looked at."""
    believed: set[str] = field(default_factory=set)
    """URLs of sdists of which only the texts were read since."""
    doubted: set[str] = field(default_factory=set)
    """Those of them that were taken: they are built after all."""
    on_build: Callable[[str, Sequence[str]], None] = lambda _name, _lines: None
    """Called with a source's name and what its build needs, before anything of that is fetched."""
    hindrances: dict[str, str] = field(default_factory=dict)
    """Why sdists of a name cannot be built here, as far as their texts tell."""

    def candidates(self, project_name: str) -> list[InstallationCandidate]:
        """Answer `PackageFinder.find_all_candidates`."""
        return list(self._choice(project_name))

    def choose(self, project_name: str, specifier: SpecifierSet, **_: Any) -> Choice | OwnFirst:
        """Answer `PackageFinder.find_best_candidate`, in pip's order: yanked files first, then by version.

        There is one file for every version already, the best of its tags, so pip's own sort by tag has nothing to do.
        """
        has = self.kernel.version(project_name) if self.kernel.first(project_name) else None
        if has is not None and specifier.contains(has, prereleases=True):
            own = InstallationCandidate(project_name, str(has), Link(self.kernel.url(project_name)))
            return OwnFirst(own, lambda: self._admitted(project_name, specifier, without=has))
        return self._admitted(project_name, specifier)

    def _admitted(self, name: str, specifier: SpecifierSet, *, without: Version | None = None) -> Choice:
        choice = self._choice(name)
        admitted = set(specifier.filter(choice.versions)) - {without}
        return Choice(choice.name, [version for version in choice.versions if version in admitted], choice.make)

    def _choice(self, name: str) -> Choice:
        found = self.known.get(name)
        if found is None:
            found = self.known[name] = self._find(name)
        return found

    def _find(self, name: str) -> Choice:
        has = self.kernel.version(name)
        if self.kernel.fixed(name):
            assert has is not None
            return Choice(name, [has], lambda _: Link(self.kernel.url(name)))
        best = dict(self.pages.best(name))
        if has is not None:
            # The kernel's own version is there already: its file is no other candidate.
            for version in (has, Version(has.public)):
                best.pop(version, None)
        versions = sorted(
            best if has is None else [*best, has], key=lambda v: (v not in best or best[v].yanked is None, v)
        )

        def link(version: Version) -> Link:
            if version not in best:
                return Link(self.kernel.url(name))
            file = best[version]
            self.files[file.url] = file
            return Link(file.url, yanked_reason=file.yanked, comes_from=file.index or None)

        return Choice(name, versions, link)

    def prepare(self, original: Callable[..., Any], ireq: Any) -> TargetDistribution:
        """Answer `RequirementPreparer.prepare_linked_requirement`; ``original`` is pip's own, for sources."""
        url = ireq.link.url_without_fragment
        name = self.kernel.name_of(url)
        if name is not None:
            return TargetDistribution(self.kernel.needs(name, self.markers))
        file = self.files.get(url)
        if file is None:
            metadata = self._of_source(original, ireq)
        elif file.is_wheel:
            metadata = self._of_wheel(ireq, file)
        else:
            metadata = self._of_sdist(original, ireq, file)
        return TargetDistribution(Needs(metadata, self.markers))

    def _of_wheel(self, ireq: Any, file: IndexFile) -> Metadata:
        self.on_metadata(file)
        try:
            return self.metadata(file)
        except BadMetadata as error:
            raise MetadataInconsistent(ireq, "METADATA", file.filename, str(error)) from error

    def _of_sdist(self, original: Callable[..., Any], ireq: Any, file: IndexFile) -> Metadata:
        looked = self.looked.setdefault(str(canonicalize_name(ireq.name)), set())
        if file.url not in looked and len(looked) >= LOOKED and not self.request.read_sources:
            words = f"none of {LOOKED} newer sdists does; the older ones are not looked at"
            raise MetadataInconsistent(ireq, "Requires-Dist", file.filename, words)
        looked.add(file.url)
        alone = self._unisolated(ireq) is None
        try:
            if self.request.read_sources:
                return self.read_source(str(canonicalize_name(ireq.name)), file)
            metadata = self.sdists.known(file) if alone else self.sdists.promised(file)
        except BadMetadata as error:
            raise MetadataInconsistent(ireq, "PKG-INFO", file.filename, str(error)) from error
        if metadata is None and alone:
            metadata = self._told(str(canonicalize_name(ireq.name)), file)
        if metadata is None:
            metadata = self._of_source(original, ireq)
            self.built[str(canonicalize_name(ireq.name))] += 1
            if alone:
                self.sdists.keep(file, metadata)
        self.seen[file.url] = metadata
        return metadata

    def _told(self, name: str, file: IndexFile) -> Metadata | None:
        """Return what the texts of an sdist say, once `BUILT` versions of its name were built and not taken."""
        if self.built[name] < BUILT or file.url in self.doubted:
            return None
        try:
            recipe = self.sdists.recipe(file)
        except BadMetadata:
            return None  # pip says what is wrong with it
        metadata = recipe.metadata(name, str(file.version)) if recipe.telling else None
        if metadata is None or invalid(metadata) is not None:
            return None
        self.believed.add(file.url)
        return metadata

    def read_source(self, name: str, file: IndexFile) -> Metadata:
        """Return what the texts of an sdist say that it requires, if a build of it can be had here.

        Raises:
            BadMetadata: it cannot, or it is no readable archive. The name's other sdists are taken to be no better.

        """
        if name not in self.hindrances:
            recipe = self.sdists.recipe(file)
            how = self.request.unisolated
            beside = how is not None and name in how.names
            why = how.unlike if how is not None and beside else recipe.hindrance(self.request, self.kernel)
            if not why:
                metadata = self.sdists.known(file) or recipe.metadata(name, str(file.version))
                self.seen[file.url] = metadata
                return metadata
            self.hindrances[name] = why
        raise BadMetadata(self.hindrances[name], kind="build")

    def _of_source(self, original: Callable[..., Any], ireq: Any) -> Metadata:
        """Let pip download, unpack and ask the build backend, in isolation or with what the target's Python has."""
        if self.request.exclude_newer and not UPLOADED_PRIOR_TO and not ireq.link.is_wheel:
            raise OldPip
        self.building = ireq.name or urls.shown(ireq.link.url_without_fragment)
        how = self._unisolated(ireq)
        if how is not None:
            setattr(ireq, _MAKE_METADATA, lambda: metadata_folder(how, ireq.unpacked_source_directory, self.building))
        else:
            setattr(ireq, _ADMIT_BUILD, self._admit)
        try:
            distribution = original(ireq, parallel_builds=True)
        except InstallationError:
            self.inner = projects_below(ireq.source_dir)  # pip takes it away soon
            raise
        headers = distribution.metadata
        metadata = Metadata(
            str(headers.get("Name")),
            str(headers.get("Version")),
            [str(line).strip() for line in headers.get_all("Requires-Dist", [])],
            [str(extra) for extra in headers.get_all("Provides-Extra", [])],
            headers.get("Requires-Python"),
            licenses.headers((key, str(value)) for key, value in headers.items()),
        )
        line = invalid(metadata)
        if line is not None:
            raise MetadataInconsistent(ireq, "Requires-Dist", "a valid requirement", line)
        url = ireq.link.url_without_fragment
        self.direct[url] = ireq.download_info
        if ireq.local_file_path and os.path.isfile(ireq.local_file_path):  # noqa: PTH113 - pip's own text
            self.fetched[url] = HashedContent.at(ireq.local_file_path, ireq.download_info)
        self.seen[url] = metadata
        return metadata

    def _admit(self, lines: Sequence[str]) -> list[str]:
        admit_build(self.building, lines, self.kernel, self.pages.best)
        self.on_build(self.building, lines)
        return with_versions_of_the_image(lines, self.kernel, self.pages.best)

    def _unisolated(self, ireq: Any) -> Unisolated | None:
        """Return how a source is built that ``no-build-isolation`` names, None for any other."""
        how = self.request.unisolated
        if how is None:
            return None
        name = ireq.name or next(
            (
                _LEADING_NAME.split(asked.text.strip(), maxsplit=1)[0]
                for asked in self.request.asked
                if asked.line == ireq.local_file_path
            ),
            "",
        )
        return how if canonicalize_name(name) in how.names else None


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


_PIPS_PREPARE_METADATA = SourceDistribution.prepare_distribution_metadata


def _prepare_metadata(own: Any, *args: Any, **more: Any) -> None:
    """Stand for `SourceDistribution.prepare_distribution_metadata`."""
    make = getattr(own.req, _MAKE_METADATA, None)
    if make is None:
        admit = getattr(own.req, _ADMIT_BUILD, None)
        if admit is not None:
            own.req.load_pyproject_toml()
            own.req.pyproject_requires = admit(own.req.pyproject_requires or ())
            own.req.load_pyproject_toml = lambda: None  # pip would read it again
        try:
            _PIPS_PREPARE_METADATA(own, *args, **more)
        except BackendUnavailable as error:  # pip 26.2 and older let it through
            raise InstallationError("its build backend cannot be imported") from error
        return
    own.req.metadata_directory = make()
    if not own.req.name:
        own.req._set_requirement()  # noqa: SLF001


_PIPS_CALL = pip_installer.call_subprocess
_BY_VARIABLE = {"-i": "PIP_INDEX_URL", "--extra-index-url": "PIP_EXTRA_INDEX_URL", "--find-links": "PIP_FIND_LINKS"}


def _call_quietly(words: list[str], *args: Any, **more: Any) -> Any:
    """Stand for the call by which pip fills a build environment: URLs with a user go by its environment variables."""
    kept, given = quiet(words)
    return _PIPS_CALL(kept, *args, **{**more, "extra_environ": {**(more.get("extra_environ") or {}), **given}})


def quiet(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a pip command without options whose URL has a user, and the variables that say the same."""
    kept: list[str] = []
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name = _BY_VARIABLE.get(word)
        if name is None:
            kept.append(word)
            continue
        url = next(rest)
        if urls.has_user(url):
            given[name] = f"{given.get(name, '')} {url}".strip()
        else:
            kept += [word, url]
    return kept, given


class _QuietGit:
    """Keeps the user and password of a repository's URL off pip's command lines of git."""

    how = GitAccess()
    """For the repository that pip has to do with."""

    read = Git.get_url_rev_and_auth
    run = Git.run_command

    @classmethod
    def get_url_rev_and_auth(cls, url: str) -> tuple[str, str | None, Any]:
        """Stand for `Git.get_url_rev_and_auth`, which pip asks before it does anything with a URL."""
        address, revision, user = cls.read(url)
        cls.how = access(address, os.environ)
        return cls.how.url, revision, user

    @classmethod
    def run_command(cls, words: list[Any], *args: Any, **more: Any) -> str:
        """Stand for `Git.run_command`."""
        more["extra_environ"] = {**(more.get("extra_environ") or {}), **cls.how.variables}
        more.setdefault("command_desc", format_command_args(["git", *words]))
        return str(cls.run([*cls.how.options, *words], *args, **more))


def install() -> None:
    """Apply what cannot be handed in.

    pip checks each candidate's metadata by evaluating every requirement under every extra, twice; the worker's own
    readers checked name, version and requirements already, so that pass is left out. And pip would go on for
    200,000 rounds. What ``no-build-isolation`` names is built by another interpreter than pip's; for what is built in
    isolation nothing is fetched that only the image has. pip 26.3 refuses an
    sdist of its own index for a URL behind any extra; here a URL counts when the target asks for it
    (`UrlDependency`).
    """
    SourceDistribution.prepare_distribution_metadata = _prepare_metadata
    pip_installer.call_subprocess = _call_quietly
    Git.get_url_rev_and_auth, Git.run_command = _QuietGit.get_url_rev_and_auth, _QuietGit.run_command
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
    """Return pip's InstallRequirement of a requirement line or an absolute path."""
    return install_req_from_line(line, comes_from=comes_from, constraint=constraint)


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
