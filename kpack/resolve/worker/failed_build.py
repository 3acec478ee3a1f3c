"""Why a source gives no metadata: what pip says, the last words of its build, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pip._internal.exceptions import InstallationError, InstallationSubprocessError
from pip._vendor.packaging.utils import canonicalize_name
from pip._vendor.pyproject_hooks import BackendUnavailable

from kpack.resolve.build_system import OTHER, PREBUILT
from kpack.resolve.import_names import IMPORT_NAMES
from kpack.resolve.wire import Failure
from kpack.resolve.worker.recipe import OF_SETUPTOOLS
from kpack.resolve.worker.unisolated import Unbuildable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.resolve.worker.provided import ProvidedDistributions

LAST_WORDS = 4
"""Lines of a failed build that are shown."""
PROJECT_FILES = ("pyproject.toml", "setup.py")

_TEMPORARY = re.compile(r" (?:of|from|in) \S*[/\\]pip-[^/\\\s]+[/\\]\S+")
"""Where pip works: of no use to the reader."""
_NO_PROJECT = re.compile(r"does not appear to be a Python project")
_CLASH = re.compile(r"Cannot install (.+?) because these package versions have conflict")
_NOWHERE = re.compile(r"No matching distribution found for (.+)")
_FRAME = re.compile(r'File "(?!<string>)[^"]+", line \d+')
_FRAMING = re.compile(
    r"\"\"\"$|Traceback \(most recent|[\s~^]*$|exec\(code, locals\(\)\)|(?:During handling|The above exc)"
)
_WISH = re.compile(
    r"\b(?:install|requires?)\s+['\"`]?([a-z_][\w-]*)"
    r"|\b([a-z_][\w-]*)['\"`]?\s+(?:is not installed|is required|must be installed|needs to be installed)",
    re.IGNORECASE,
)
"""What authors of a setup.py say where something is missing."""
_NO_MODULE = re.compile(r"No module named '?([A-Za-z_]\w*)")


class InvalidProject(InstallationError):  # type: ignore[misc] # pip is not typed
    """A source's pyproject.toml is no TOML, or not as PEP 518 has it."""


def projects_below(folder: str | None) -> tuple[str, ...]:
    """Return the folders of ``folder`` (as pip unpacked it) that are projects, those next to the top first."""
    if folder is None:
        return ()
    top = Path(folder)
    found = {path.parent.relative_to(top) for name in PROJECT_FILES for path in top.glob(f"*/{name}")}
    found = found or {path.parent.relative_to(top) for name in PROJECT_FILES for path in top.glob(f"*/*/{name}")}
    return tuple(sorted(path.as_posix() for path in found))


def failure(
    error: Exception,
    building: str,
    kernel: ProvidedDistributions,
    *,
    inner: Sequence[str] = (),
    own: bool = False,
) -> Failure:
    """Describe trouble with the source of ``building``, a name or a URL.

    ``inner`` are projects below its top; ``own`` says that it is a folder of the user's, who can mend it.
    """
    if _NO_PROJECT.search(str(error)):
        return _no_project(building, inner)
    if isinstance(error, Unbuildable):
        return Failure(kind="no-solution", text=str(error), next=error.next, name=building, because="source")
    output = _output(error)
    if odd := _odd_requires(output, building, own=own):
        return odd
    missing = next((found[1] for line in reversed(output) if (found := _NO_MODULE.search(line))), "")
    if missing:
        return _undeclared(missing, building, kernel, own=own)
    if wished := _wished(output, kernel):
        name, line = wished
        return _undeclared(name, building, kernel, own=own, how=f"asks for {name} ({line[:200]})")
    said = _TEMPORARY.sub("", str(error)).strip()
    named = f"{building}: {said}" if building and building not in said else said
    source = "name a wheel, or a folder, repository, .zip or .tar.gz with a pyproject.toml or setup.py at its top"
    mend = "mend its build: these are its last words" if output else "correct its pyproject.toml"
    another = mend if own else OTHER
    return Failure(
        kind="no-solution",
        text="\n".join([named, *(f"  {line}" for line in _telling(output)[-LAST_WORDS:])]),
        next=another if output or isinstance(error, InvalidProject) else source,
    )


def lacks_requirements(error: Exception) -> bool:
    """Tell whether a build ended because what it requires cannot be had, or not together."""
    return _odd_requires(_output(error), "") is not None or "conflict with the backend dependencies" in str(error)


def _odd_requires(output: Sequence[str], building: str, *, own: bool = False) -> Failure | None:
    """Say which build requirements cannot be had, where it is that what ended a build."""
    clash = next((found[1] for line in output if (found := _CLASH.search(line))), "")
    lacking = next((found[1] for line in output if (found := _NOWHERE.search(line))), "")
    if clash:
        what = f"its build requires {clash}, which no environment can have together"
    elif lacking:
        what = f"its build requires {lacking}, and no index here has a version of that for this Python"
    else:
        return None
    advice = "correct its [build-system]" if own else OTHER
    return Failure(kind="no-solution", text=f"{building}: {what}", next=advice, name=building, because="source")


def _telling(output: Sequence[str]) -> list[str]:
    """Return the lines of a build without the frames of Python's tracebacks, which tell of kpack's folders only."""
    found, frame = [], False
    for line in output:
        opened = _FRAME.match(line)
        if not (frame or opened or _FRAMING.match(line)):
            found.append(line)
        frame = opened is not None  # the next line is the code that stands there
    return list(dict.fromkeys(found)) or list(output)


def _no_project(building: str, inner: Sequence[str]) -> Failure:
    """Say that there is nothing to build at the top, and where there is."""
    if inner:
        shown = ", ".join(inner[:LAST_WORDS])
        what = f"projects below it: {shown}"
        advice = f"write #subdirectory={inner[0]} at the end of its URL (./FOLDER/{inner[0]} for a folder)"
    else:
        what = "nor in a folder below it"
        advice = "name a wheel, or a folder, repository, .zip or .tar.gz with a pyproject.toml or setup.py at its top"
    return Failure(
        kind="no-solution",
        text=f"{building}: no Python project: neither pyproject.toml nor setup.py is at its top; {what}",
        next=advice,
        name=building,
        because="source",
    )


def _output(error: BaseException) -> list[str]:
    """Return what a build printed before it failed; empty when none was under way."""
    step: BaseException | None = error
    while step is not None:
        if isinstance(step, InstallationSubprocessError):
            printed = [line.strip() for line in str(step.context or "").splitlines()]
            output = [line for line in printed if line and not line.endswith(("of output]", "[end of output]"))]
            if output:
                return output
        if isinstance(step, BackendUnavailable):
            return [line.strip() for line in str(step.traceback).splitlines() if line.strip()]
        step = step.__cause__ or step.__context__
    return []


def _wished(output: Sequence[str], kernel: ProvidedDistributions) -> tuple[str, str] | None:
    """Return what a build that failed says it cannot do without, if the image has it, and the line that says so."""
    tools = OF_SETUPTOOLS | {"pip", "python"}
    for line in reversed(_telling(output)[-LAST_WORDS:]):
        for found in _WISH.finditer(line):
            name = (found[1] or found[2]).lower()
            if name not in tools and canonicalize_name(IMPORT_NAMES.get(name, name)) in kernel.provided:
                return name, line
    return None


def _undeclared(module: str, building: str, kernel: ProvidedDistributions, *, own: bool, how: str = "") -> Failure:
    """Say that a build imports what its project does not name as a build requirement; ``how`` says it otherwise."""
    name = canonicalize_name(IMPORT_NAMES.get(module.lower(), module))
    text = f"{building}: its build {how or f'imports {module}'}, which its [build-system] does not require"
    prebuilt = PREBUILT
    ways = f"{prebuilt}, or take another version"
    if own:
        ways = prebuilt = (
            f'name "{name}" beside its build backend in requires of [build-system] of its pyproject.toml; or {prebuilt}'
        )
    has = kernel.provided.get(name)
    if has is None or "/" in building:
        return Failure(kind="no-solution", text=text, next=ways, because="source")
    return Failure(
        kind="no-solution",
        text=f"{text}; {has.by} has {name} {has.version}",
        next=f'{prebuilt}; or write no-build-isolation = ["{canonicalize_name(building)}"] and build it where the '
        "image is: kpack notebook --relock writes a builder notebook for Kaggle",
        name=building,
        because="source",
    )
