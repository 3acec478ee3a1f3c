"""What pip's resolver is given instead of the network and the host.

It asks two things of the outside world: which candidates a name has (`PackageFinder.find_best_candidate`), and what a
candidate's metadata is (`RequirementPreparer.prepare_linked_requirement`). Both are answered by the worker's own
readers.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pip._internal.cli import cmdoptions
from pip._internal.exceptions import InstallationError, MetadataInconsistent
from pip._internal.models.candidate import InstallationCandidate
from pip._internal.models.link import Link
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.packaging.version import Version

from kpack import licenses, urls
from kpack.resolve.told_name import told_name
from kpack.resolve.worker.candidates import Choice, OwnFirst
from kpack.resolve.worker.distribution import NoRequirement, TargetDistribution
from kpack.resolve.worker.failed_build import projects_below
from kpack.resolve.worker.files import HashedContent
from kpack.resolve.worker.metadata import BadMetadata
from kpack.resolve.worker.pip_builds import admit_build_by, make_metadata_by
from kpack.resolve.worker.requirements import Markers, Metadata, Needs, invalid
from kpack.resolve.worker.unisolated import Unbuildable, admit_build, metadata_folder, with_versions_of_the_image

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pip._vendor.packaging.specifiers import SpecifierSet

    from kpack.resolve.wire import Question, Unisolated
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.metadata import MetadataStore
    from kpack.resolve.worker.pages import TargetPages
    from kpack.resolve.worker.provided import ProvidedDistributions
    from kpack.resolve.worker.sdist import SdistMetadata

UPLOADED_PRIOR_TO = hasattr(cmdoptions, "uploaded_prior_to")
"""pip 26.0 and newer: hides files from the isolated build environment that are too new."""

BUILT = 2
"""Versions of one name that are built to know what they require; then texts are read, and what is taken is built."""

LOOKED = 12
"""Sdists of one name that are looked at: each has to come whole, and what twelve releases lack the older ones lack."""


class OldPip(Exception):
    """This pip cannot keep newer files out of build environments."""


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
    own: bool = False
    """That is a folder of the user's, who can mend it."""
    inner: tuple[str, ...] = ()
    """Folders of a source that are projects, where it is none at its top."""
    beside: Unbuildable | None = None
    """Why it cannot be built with what the image has, where that was tried because nothing told its name."""
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
        wanted = str(canonicalize_name(ireq.name))  # pip goes by what a build says from now on
        anew = metadata is None
        if metadata is None:
            metadata = self._of_source(original, ireq)
        if canonicalize_name(metadata.name) != wanted:
            words = f"has a file {file.filename} which says that it is {metadata.name[:100]} {metadata.version[:100]}"
            self.seen.pop(file.url, None)
            self.sdists.refuse(file, words)
            raise MetadataInconsistent(ireq, "Name", file.filename, words)
        if anew:
            self.built[wanted] += 1
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
            if how is None or not beside:
                why = recipe.hindrance(self.request, self.kernel)
            else:
                why = f"is built with what the image has, and that is not here: {how.unlike}" if how.unlike else ""
            if not why:
                metadata = self.sdists.known(file) or recipe.metadata(name, str(file.version))
                if (line := invalid(metadata)) is not None:
                    raise BadMetadata(f"asks for {line[:200]!r}, which is no valid requirement")
                self.seen[file.url] = metadata
                return metadata
            self.hindrances[name] = why
        raise BadMetadata(self.hindrances[name], kind="build")

    def _of_source(self, original: Callable[..., Any], ireq: Any) -> Metadata:
        """Let pip download, unpack and ask the build backend, in isolation or with what the target's Python has."""
        if self.request.exclude_newer and not UPLOADED_PRIOR_TO and not ireq.link.is_wheel:
            raise OldPip
        self.beside = None
        self.building = ireq.name or self._as_asked(ireq.link.url_without_fragment)
        self.own = ireq.link.is_existing_dir()
        make_metadata_by(ireq, lambda: self._beside_the_image(ireq))
        admit_build_by(ireq, self._admit)
        try:
            distribution = original(ireq, parallel_builds=True)
        except InstallationError:
            self.inner = projects_below(ireq.source_dir)  # pip takes it away soon
            raise
        headers = distribution.metadata
        metadata = Metadata(
            str(headers.get("Name")),
            str(headers.get("Version")),
            [" ".join(map(str.strip, str(line).splitlines())).strip() for line in headers.get_all("Requires-Dist", [])],
            [str(extra) for extra in headers.get_all("Provides-Extra", [])],
            headers.get("Requires-Python"),
            licenses.headers((key, str(value)) for key, value in headers.items()),
        )
        line = invalid(metadata)
        url = ireq.link.url_without_fragment
        if line is not None and url not in self.files:  # it was asked for by URL or path: there is no other version
            asks = f"{metadata.name} {metadata.version} asks for {line[:200]!r} in its METADATA"
            raise NoRequirement(f"{asks}, which is no valid requirement")
        if line is not None:
            raise MetadataInconsistent(ireq, "Requires-Dist", "a valid requirement", line)
        self.direct[url] = ireq.download_info
        if ireq.local_file_path and os.path.isfile(ireq.local_file_path):  # noqa: PTH113 - pip's own text
            self.fetched[url] = HashedContent.at(ireq.local_file_path, ireq.download_info)
        self.seen[url] = metadata
        return metadata

    def _admit(self, lines: Sequence[str]) -> list[str]:
        admit_build(self.building, lines, self.kernel, self.pages.best)
        self.on_build(self.building, lines)
        return with_versions_of_the_image(lines, self.kernel, self.pages.best)

    def _as_asked(self, url: str) -> str:
        """Return the request of a source that has no name yet, as the user wrote it."""
        lines = (asked.text for asked in self.request.asked if asked.line.partition("[")[0] == url)
        return next(lines, None) or urls.shown(url)

    def _unisolated(self, ireq: Any) -> Unisolated | None:
        """Return how a source is built that ``no-build-isolation`` names, None for any other."""
        how = self.request.unisolated
        return how if how is not None and ireq.name and canonicalize_name(ireq.name) in how.names else None

    def _beside_the_image(self, ireq: Any) -> str | None:
        """Make the metadata folder of a source, unpacked now, that is built with what the target's Python has.

        Return None for one that is built in isolation. A folder or file of the user's has a name when its texts say
        one, or else when it turns out to be what ``no-build-isolation`` names.
        """
        project, how = ireq.unpacked_source_directory, self._unisolated(ireq)
        if ireq.name:
            return None if how is None else metadata_folder(how, project, self.building)
        told, how = told_name(Path(project)), self.request.unisolated
        if told is not None:
            self.building = told
            return metadata_folder(how, project, told) if how is not None and told in how.names else None
        if how is None or not how.python:
            return None
        try:
            made = metadata_folder(how, project, self.building)
        except Unbuildable as error:
            self.beside = error
            return None
        return made if told_name(Path(made)) in how.names else None
