"""Metadata of a source whose build needs what the target's interpreter has installed (``no-build-isolation``)."""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pip._internal.exceptions import InstallationError
from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.specifiers import SpecifierSet
from pip._vendor.packaging.utils import canonicalize_name

from kpack.errors import UsageError
from kpack.resolve.build_system import PREBUILT, build_system

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pip._vendor.packaging.version import Version

    from kpack.resolve.wire import Unisolated
    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.provided import ProvidedDistributions

LAST_WORDS = 4
"""Lines of a failed build that are shown."""

# PEP 517: hooks run in a process of their own, in the source tree, with backend-path in front of sys.path. A backend
# without the optional hook builds the wheel.
_HOOK = """
import importlib, json, os, sys, zipfile
name, paths, out = json.load(sys.stdin)
sys.path[:1] = paths
module, _, thing = name.partition(":")
backend = importlib.import_module(module)
for part in filter(None, thing.split(".")):
    backend = getattr(backend, part)
hook = getattr(backend, "prepare_metadata_for_build_wheel", None)
if hook:
    made = hook(out, {})
else:
    with zipfile.ZipFile(os.path.join(out, backend.build_wheel(out, {}))) as wheel:
        rows = [row for row in wheel.namelist() if row.partition("/")[0].endswith(".dist-info")]
        wheel.extractall(out, rows)
    made = rows[0].partition("/")[0]
sys.stdout.flush()
print("\\n" + json.dumps(made))
"""


class Unbuildable(InstallationError):  # type: ignore[misc] # pip is not typed
    """It cannot be built here; pip's search ends with it."""

    def __init__(self, what: str, next: str) -> None:  # noqa: A002 - as `kpack.errors` names it
        super().__init__(what)
        self.next = next


def admit_build(
    building: str,
    lines: Iterable[str],
    kernel: ProvidedDistributions,
    usable: Callable[[str], Mapping[Version, IndexFile]],
) -> None:
    """Refuse a build in isolation whose requirements the image alone has; nothing of them was fetched yet.

    ``lines`` are those of [build-system]; ``usable`` gives what the indexes have of a name. A torch of the index is
    gigabytes, and another one than the image's ``2.10.0+cu128``: what is compiled against it does not fit.

    Raises:
        Unbuildable: one of them is in the image in a build of its own.

    """
    for line in lines:
        try:
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate():
                continue
        except ValueError:  # InvalidRequirement, and a marker that compares what cannot be compared
            continue  # pip says what is wrong with it
        name = str(canonicalize_name(requirement.name))
        has = kernel.version(name)
        if has is None or not has.local or has in usable(name):
            continue
        raise Unbuildable(
            f"{building}: its build needs {name}, and the image has {name} {has}, which no index here has: what is "
            "built with another one may not work there",
            f'{PREBUILT}; or write no-build-isolation = ["{building}"] '
            "and build it where the image is: kpack notebook --relock writes a builder notebook for Kaggle",
        )


def with_versions_of_the_image(
    lines: Iterable[str], kernel: ProvidedDistributions, usable: Callable[[str], Mapping[Version, IndexFile]]
) -> list[str]:
    """Return the requirements of a build, held to the versions that the image has, as the build itself will be.

    So a setup.py that imports pkg_resources meets the setuptools of the image, and not one that has it no more. Only
    what a wheel for every Python has is held so: this Python is not the target's.
    """
    return [_held(line, kernel, usable) for line in lines]


def _held(line: str, kernel: ProvidedDistributions, usable: Callable[[str], Mapping[Version, IndexFile]]) -> str:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return line  # pip says what is wrong with it
    name = str(canonicalize_name(requirement.name))
    has = kernel.version(name)
    if has is None or requirement.url or not requirement.specifier.contains(has, prereleases=True):
        return line
    file = usable(name).get(has)
    if file is None or file.tags is None or not file.tags.endswith("-none-any"):
        return line
    requirement.specifier &= SpecifierSet(f"=={has}")
    return str(requirement)


def metadata_folder(how: Unisolated, project: str, name: str) -> str:
    """Have the interpreter's own build backend make the ``.dist-info`` folder of ``project``; return its path.

    Raises:
        Unbuildable: there is no such interpreter, or the build fails.

    """
    if not how.python:
        raise Unbuildable(
            f"{name}: no-build-isolation: it is built with what the image has, and that is not here: {how.unlike}",
            how.ways_out,
        )
    try:
        system = build_system(Path(project), name=name)
    except UsageError as error:
        raise Unbuildable(f"{name}: {error.what}", "take another version of it") from error
    out = tempfile.mkdtemp(prefix="kpack-metadata-")
    asked = [system.backend, [str(Path(project, path).resolve()) for path in system.backend_path], out]
    done = subprocess.run(
        [how.python, "-c", _HOOK],
        input=json.dumps(asked),
        cwd=project,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = [row for row in (done.stdout + done.stderr).splitlines() if row.strip()][-LAST_WORDS:]
        raise Unbuildable(
            "\n".join([f"{name}: it cannot be built with what {how.python} has:", *(f"  {row}" for row in said)]),
            how.ways_out,
        )
    return str(Path(out, json.loads(done.stdout.splitlines()[-1])))
