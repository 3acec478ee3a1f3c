"""How pip is told to make the metadata of a source: by another interpreter, or with other build requirements.

What is told stays with pip's requirement, as an attribute of it; `prepare_metadata` stands for pip's own method.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pip._internal.distributions.sdist import SourceDistribution
from pip._internal.exceptions import DiagnosticPipError, InstallationError
from pip._vendor.pyproject_hooks import BackendUnavailable

from kpack.resolve.worker.failed_build import InvalidProject, lacks_requirements

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ADMIT_BUILD = "_kpack_admit_build"
"""An attribute of pip's requirement: called with what [build-system] requires, before anything of that is fetched."""

_MAKE_METADATA = "_kpack_make_metadata"
"""An attribute of pip's requirement: makes the metadata folder in pip's place and returns its path, or None."""


def make_metadata_by(ireq: Any, make: Callable[[], str | None]) -> None:
    """Let ``make`` make the metadata folder of a requirement that is unpacked, and return it; None leaves it to pip."""
    setattr(ireq, _MAKE_METADATA, make)


def admit_build_by(ireq: Any, admit: Callable[[Sequence[str]], list[str]]) -> None:
    """Let ``admit`` say what is built with, given what [build-system] requires, before anything of that is fetched."""
    setattr(ireq, _ADMIT_BUILD, admit)


_PIPS_PREPARE_METADATA = SourceDistribution.prepare_distribution_metadata


def prepare_metadata(own: Any, *args: Any, **more: Any) -> None:
    """Stand for `SourceDistribution.prepare_distribution_metadata`."""
    make = getattr(own.req, _MAKE_METADATA, None)
    folder = make() if make is not None else None
    if folder is None:
        _prepare_in_isolation(own, *args, **more)
        return
    own.req.metadata_directory = folder
    if not own.req.name:
        own.req._set_requirement()  # noqa: SLF001


def _prepare_in_isolation(own: Any, *args: Any, **more: Any) -> None:
    admit = getattr(own.req, _ADMIT_BUILD, None)
    if admit is None:
        _prepare(own, *args, **more)
        return
    try:
        own.req.load_pyproject_toml()
    except (DiagnosticPipError, ValueError, RecursionError) as error:  # no TOML, or not as PEP 518 has it
        said = str(getattr(error, "context", None) or error).strip().rpartition("\n")[2]
        raise InvalidProject(f"its pyproject.toml is not valid: {said}") from error
    asked = list(own.req.pyproject_requires or ())
    admitted = own.req.pyproject_requires = admit(asked)
    own.req.load_pyproject_toml = lambda: None  # pip would read it again
    try:
        _prepare(own, *args, **more)
    except InstallationError as error:
        if admitted == asked or not lacks_requirements(error):
            raise
        # What else it requires does not go with the image's versions.
        own.req.pyproject_requires = asked
        _prepare(own, *args, **more)


def _prepare(own: Any, *args: Any, **more: Any) -> None:
    try:
        _PIPS_PREPARE_METADATA(own, *args, **more)
    except BackendUnavailable as error:  # pip 26.2 and older let it through
        raise InstallationError("its build backend cannot be imported") from error
