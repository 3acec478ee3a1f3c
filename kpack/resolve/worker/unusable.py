"""Why a version cannot be taken, in words: the file-level reasons that conflicts and held-back lists share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pip._vendor.packaging.version import Version

    from kpack.resolve.worker.files import Fit, IndexFile
    from kpack.resolve.worker.pages import Page

_GLIBC = re.compile(r"manylinux_(\d+)_(\d+)_")
LISTED = 4
"""Tags named at most in one sentence."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why no file of one version is usable."""

    version: Version
    kind: str
    """``damaged`` or ``invalid`` (its row or metadata), ``digest`` (not one that was asked for), ``exclude-newer``,
    ``python``, ``sdist``, ``interpreter``, ``glibc``, ``platform`` or ``yanked``."""
    words: str
    """What follows "name version": ``needs Python >=3.13, the target has 3.12.13``."""
    sdist: bool = False
    """An sdist of that version exists that the target's Python admits."""


class Reasons:
    """Says for one target why it cannot take a version."""

    def __init__(self, fit: Fit, tags: Sequence[str]) -> None:
        self._fit = fit
        parts = [tag.split("-") for tag in tags]
        self._interpreters = {(interpreter, abi) for interpreter, abi, _ in parts}
        self._own = parts[0][0] if parts else ""
        self._machine = parts[0][2].partition("_2_")[2].partition("_")[2] if parts else ""
        levels = [tuple(map(int, found.groups())) for _, _, platform in parts if (found := _GLIBC.match(platform))]
        self._glibc = ".".join(map(str, max(levels))) if levels else ""

    def versions(self, page: Page, above: Version | None = None) -> dict[Version, list[IndexFile]]:
        """Return the files of every version (or of those above one), newest first."""
        rows = page.rows if above is None else page.rows_above(above)
        found: dict[Version, list[IndexFile]] = {}
        for file in page.read(rows):
            if above is None or file.version > above:
                found.setdefault(file.version, []).append(file)
        return {version: found[version] for version in sorted(found, reverse=True)}

    def why(self, name: str, version: Version, files: Iterable[IndexFile]) -> Unusable | None:
        """Return why no file of ``version`` is usable; None when one is."""
        files = list(files)
        usable = [file for file in files if self._fit.usable(name, file)]
        if usable:
            if any(file.yanked is None for file in usable):
                return None
            reason = f" ({usable[0].yanked})" if usable[0].yanked else ""
            return Unusable(version, "yanked", f"was yanked{reason}")
        if all(file.flaw for file in files):
            return Unusable(version, "damaged", files[0].flaw)
        files = [file for file in files if not file.flaw and self._fit.admitted(name, file)]
        if not files:
            return Unusable(version, "digest", "has no file with a sha256 that kaggle-env.toml gives for it")
        old = [file for file in files if not self._fit.too_new(file)]
        if not old:
            times = sorted(file.upload_time for file in files if file.upload_time)
            if not times:
                return Unusable(version, "exclude-newer", "has no upload time on its index, which exclude-newer needs")
            return Unusable(version, "exclude-newer", f"was uploaded on {times[0][:10]}, after exclude-newer")
        admitted = [file for file in old if self._fit.python_fits(file)]
        if not admitted:
            wanted = sorted({file.requires_python for file in old if file.requires_python})
            words = f"needs Python {' or '.join(wanted)}, the target has {self._fit.python}"
            return Unusable(version, "python", words)
        sdist = any(not file.is_wheel for file in admitted)
        wheels = [file for file in admitted if file.is_wheel]
        if not wheels:
            return Unusable(version, "sdist", "exists as an sdist only", sdist=True)
        kind, words = self._tags(wheels)
        return Unusable(version, kind, words + (", and an sdist" if sdist else ""), sdist=sdist)

    def _tags(self, wheels: Sequence[IndexFile]) -> tuple[str, str]:
        ours = [wheel for wheel in wheels if self._interpreter_fits(wheel)]
        if not ours:
            names = _listed(sorted({name for wheel in wheels for name in _part(wheel, 0)}, key=_natural))
            return "interpreter", f"has wheels for {names} but none for {self._own}"
        platforms = {platform for wheel in ours for platform in _part(wheel, 2)}
        levels = [
            (int(found[1]), int(found[2]))
            for platform in platforms
            if (found := _GLIBC.match(platform)) and platform.endswith(self._machine)
        ]
        if levels and self._glibc:
            lowest = min(levels)
            has, probably = self._glibc, self._fit.glibc_inferred
            if probably and lowest <= tuple(map(int, probably.split("."))):
                has += f" for sure and probably {probably} (a probe of your own kernel, kpack probe, would allow them)"
            return "glibc", f"has wheels that need glibc {'.'.join(map(str, lowest))}, the target has {has}"
        return "platform", f"has wheels for {_listed(sorted(platforms))} only, none for Linux on {self._machine}"

    def _interpreter_fits(self, wheel: IndexFile) -> bool:
        return any(
            (interpreter, abi) in self._interpreters for interpreter in _part(wheel, 0) for abi in _part(wheel, 1)
        )


def _part(wheel: IndexFile, place: int) -> list[str]:
    """Return interpreters (0), ABIs (1) or platforms (2) of a wheel."""
    return (wheel.tags or "--").split("-")[place].split(".")


def _listed(names: Sequence[str]) -> str:
    more = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {more} more" if more > 0 else "")


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", text)]
