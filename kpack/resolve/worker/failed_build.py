"""Why a source gives no metadata: what pip says, the last words of its build, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pip._internal.exceptions import InstallationSubprocessError
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.wire import Failure
from kpack.resolve.worker.unisolated import Unbuildable

if TYPE_CHECKING:
    from kpack.resolve.worker.provided import ProvidedDistributions

LAST_WORDS = 4
"""Lines of a failed build that are shown."""
IMPORT_NAMES = {
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "faiss": "faiss-cpu",
    "fitz": "pymupdf",
    "osgeo": "gdal",
    "pil": "pillow",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose distribution has another name, for "did you mean"."""

_TEMPORARY = re.compile(r" (?:of|from|in) \S*[/\\]pip-[^/\\\s]+[/\\]\S+")
"""Where pip works: of no use to the reader."""
_NO_MODULE = re.compile(r"No module named '?([A-Za-z_]\w*)")


def failure(error: Exception, building: str, kernel: ProvidedDistributions) -> Failure:
    """Describe trouble with the source of ``building``, a name or a URL."""
    if isinstance(error, Unbuildable):
        return Failure(kind="no-solution", text=str(error), next=error.next, name=building, because="source")
    output = _output(error)
    missing = next((found[1] for line in reversed(output) if (found := _NO_MODULE.search(line))), "")
    if missing:
        return _undeclared(missing, building, kernel)
    said = _TEMPORARY.sub("", str(error)).strip()
    named = f"{building}: {said}" if building and building not in said else said
    source = "name a wheel, or a folder, repository, .zip or .tar.gz with a pyproject.toml or setup.py at its top"
    return Failure(
        kind="no-solution",
        text="\n".join([named, *(f"  {line}" for line in output[-LAST_WORDS:])]),
        next="take another version or file of it" if output else source,
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
        step = step.__cause__ or step.__context__
    return []


def _undeclared(module: str, building: str, kernel: ProvidedDistributions) -> Failure:
    """Say that a build imports what its project does not name as a build requirement."""
    name = canonicalize_name(IMPORT_NAMES.get(module.lower(), module))
    text = f"{building}: its build imports {module}, which its [build-system] does not require"
    prebuilt = "give the URL or path of a prebuilt wheel of it in packages"
    has = kernel.provided.get(name)
    if has is None or "/" in building:
        return Failure(kind="no-solution", text=text, next=f"{prebuilt}, or take another version", because="source")
    return Failure(
        kind="no-solution",
        text=f"{text}; {has.by} has {name} {has.version}",
        next=f'{prebuilt}; or write no-build-isolation = ["{canonicalize_name(building)}"] and build it where the '
        "image is: kpack notebook --relock writes a builder notebook for Kaggle",
        name=building,
        because="source",
    )
