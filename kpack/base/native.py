"""What native code finds in an image: system libraries, symbol versions, torch, CUDA.

For whoever judges the shared objects of a wheel. Every answer has three values, for much is not known of an image
that nobody has probed: `Library.there` and `Level.has` are None where nobody can say.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from importlib import resources
from typing import TYPE_CHECKING

from packaging.utils import NormalizedName, canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from packaging.version import Version

    from kpack.base.model import BaseImage

DRIVER = ("libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-ptxjitcompiler.so.1", "libcudadebugger.so.1")
"""Libraries that come with the machine's driver, not with the image: there in a session with a GPU."""

_RELEASES = {
    (2, 31): ("Ubuntu 20.04", "3.4.28", "1.3.12"),
    (2, 35): ("Ubuntu 22.04", "3.4.30", "1.3.13"),
    (2, 36): ("Debian GNU/Linux 12", "3.4.30", "1.3.13"),
    (2, 39): ("Ubuntu 24.04", "3.4.33", "1.3.15"),
    (2, 41): ("Debian GNU/Linux 13", "3.4.33", "1.3.15"),
}
"""glibc → the distribution that has it, and GLIBCXX and CXXABI of its libstdc++ (the releases' shlibs and symbols)."""

_LIBSTDCXX = {
    9: ("3.4.28", "1.3.12"),
    10: ("3.4.28", "1.3.12"),
    11: ("3.4.29", "1.3.13"),
    12: ("3.4.30", "1.3.13"),
    13: ("3.4.32", "1.3.14"),
    14: ("3.4.33", "1.3.15"),
    15: ("3.4.34", "1.3.16"),
}
"""GCC release of libstdc++6 → GLIBCXX and CXXABI (the libstdc++ manual, "ABI Policy and Guidelines")."""

_SONAME = re.compile(r"(lib[^/]+?)\.so\.([0-9][\w.]*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Library:
    """Whether the loader of an image finds a library by itself, without a wheel's help."""

    soname: str
    there: bool | None
    """None: nobody knows."""
    because: str
    """For people: ``libgl1 1.7.0-1``, ``not in the image's linker cache``, …"""
    package: str = ""
    """The package of the image's distribution that has it or would bring it, as far as that is known."""


@dataclass(frozen=True, slots=True)
class Level:
    """The highest version of a set of symbols (``GLIBC``, ``GLIBCXX``, ``CXXABI``) that an image has."""

    name: str
    sure: str | None
    """``2.35``: at least that one is there; None when nothing is known."""
    likely: str | None
    """Inferred to be there beyond `sure`; None when there is no such inference."""
    exact: bool
    """`sure` is the highest: what is newer is not there."""

    def has(self, version: str) -> bool | None:
        """Tell whether symbols of that ``version`` (``2.38``) are there; None when nobody can say."""
        if self.sure is not None and _numbers(version) <= _numbers(self.sure):
            return True
        if self.exact:
            return False
        return False if self.likely is not None and _numbers(version) > _numbers(self.likely) else None

    def __str__(self) -> str:
        """Return it for people: ``GLIBC 2.35, probably 2.39``."""
        if self.sure is None:
            return f"{self.name} unknown"
        probably = f", probably {self.likely}" if self.likely is not None else ""
        return f"{self.name} {self.sure}{probably}" + ("" if self.exact or probably else " or newer")


@dataclass(frozen=True, slots=True, kw_only=True)
class NativeFacts:
    """What is known of an image's native side."""

    image: str
    os: str
    """``Ubuntu 22.04``; empty when it is not known."""
    glibc: Level
    glibcxx: Level
    cxxabi: Level
    cuda: str | None
    """Release of the CUDA runtime among the system's libraries, ``12.8``; None without one."""
    torch: Version | None
    torch_cuda: str | None
    """CUDA release that the image's torch was built for, ``12.8``; empty for the processor; None: unknown."""
    accelerator: str
    """``gpu``, ``cpu``, ``tpu``, ``any``; empty when it is not known."""
    packages: Mapping[str, str]
    """Version by name of the system packages; empty when they are not known."""
    cached: frozenset[str] | None
    """Names that the loader finds by itself, as a probe read them; None for a list that nobody probed."""
    brought: Mapping[str, tuple[NormalizedName, ...]]
    """Distributions of the image by the name of a library that they bring, wherever in them it lies."""
    added: Mapping[str, str] = field(default_factory=dict)
    """Version by name of system packages that a pack adds."""
    added_libraries: Mapping[str, str] = field(default_factory=dict)
    """The package among `added` by the name of a library that it brings, as far as their files were read."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody knows of the image, one sentence each, to be said once beside whatever is judged by it."""
        found = []
        if self.cached is None and not self.packages:
            found.append(f"which system libraries {self.image} has is not known")
        vague = [str(level) for level in (self.glibc, self.glibcxx, self.cxxabi) if not level.exact]
        if vague:
            found.append(f"the symbol versions of {self.image} are not certain: {', '.join(vague)}")
        return tuple(f"{sentence}; kpack probe finds out" for sentence in found)

    def library(self, soname: str) -> Library:
        """Tell whether the system provides ``soname``: what wheels bring does not count, see `wheels`."""
        names = tuple(packages_of(soname))
        if bringer := self.added_libraries.get(soname) or _installed(names, self.added):
            return Library(soname, True, f"{bringer} {self.added[bringer]} is packed with it", bringer)
        if soname in DRIVER and soname not in (self.cached or ()):
            there = {"gpu": True, "cpu": False, "tpu": False}.get(self.accelerator)
            return Library(soname, there, "it comes with the driver of a GPU, not with the image")
        if self.cached is not None:
            if soname in self.cached:
                return Library(soname, True, "the image's loader finds it", _installed(names, self.packages) or "")
            if self.added and not self.added_libraries and soname not in table():
                return Library(soname, None, "the packed system packages are not read yet", next(iter(names), ""))
            return Library(soname, False, "the image's loader does not find it", next(iter(names), ""))
        if found := _installed(names, self.packages):
            return Library(soname, True, f"{found} {self.packages[found]}".removesuffix(" ?"), found)
        if "libc6" in names or soname in ("libstdc++.so.6", "libgcc_s.so.1"):
            return Library(soname, True, "every such image has it", names[0])
        if not self.packages:
            return Library(soname, None, "the image's system packages are not known", next(iter(names), ""))
        if soname in table():
            return Library(soname, False, f"the image has no {' or '.join(names)}", names[0])
        return Library(soname, None, "no package of that name is in the image", next(iter(names), ""))

    def wheels(self, soname: str) -> tuple[NormalizedName, ...]:
        """Return the image's distributions that bring ``soname``; a loader finds it there by RPATH or once loaded."""
        return self.brought.get(soname, ())


def facts_of(base: BaseImage) -> NativeFacts:
    """Return what is known of ``base``."""
    recorded = base.native
    release = _RELEASES.get(base.glibc)
    likely = _RELEASES.get(base.glibc_inferred) if base.glibc_inferred else None
    compiler = re.match(r"(?:\d+:)?(\d+)", base.system.get("libstdc++6", ""))
    levels = _LIBSTDCXX.get(int(compiler[1])) if compiler else None
    glibcxx, cxxabi = recorded.glibcxx if recorded else "", recorded.cxxabi if recorded else ""
    exact = bool(glibcxx) or levels is not None
    if levels is None and release is not None:
        levels = release[1:]
    torch = base.distributions.get(canonicalize_name("torch"))
    return NativeFacts(
        image=base.name,
        os=(recorded.os if recorded else "") or (likely or release or ("",))[0],
        glibc=_level("GLIBC", _text(base.glibc), _text(base.glibc_inferred), exact=bool(recorded or base.system)),
        glibcxx=_level("GLIBCXX", glibcxx or (levels and levels[0]), likely and likely[1], exact=exact),
        cxxabi=_level("CXXABI", cxxabi or (levels and levels[1]), likely and likely[2], exact=exact),
        cuda=(recorded.cuda if recorded else "") or _cuda_of(base.system),
        torch=torch.version if torch else None,
        torch_cuda=_torch_cuda(base),
        accelerator=base.accelerator,
        packages=base.system,
        cached=frozenset(recorded.libraries) if recorded and recorded.libraries is not None else None,
        brought=_brought(base),
    )


@functools.cache
def table() -> Mapping[str, tuple[str, ...]]:
    """Return the packages by soname, where they are known by the distributions' own lists (``sonames.tsv``)."""
    text = resources.files("kpack.base").joinpath("sonames.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {soname: tuple(packages.split()) for soname, packages in rows}


@functools.cache
def wheel_libraries() -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return what wheels of shipped images bring, by name and version, as far as others link to it."""
    text = resources.files("kpack.base").joinpath("libraries.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {(name, version): tuple(libraries.split()) for name, version, libraries in rows}


def packages_of(soname: str) -> Iterator[str]:
    """Yield the names that a package of Debian or Ubuntu with ``soname`` would have, the likeliest first.

    Those of the table, else by Debian Policy 8.1; since Ubuntu 24.04 and Debian 13 many end with ``t64``.
    """
    if soname in table():
        yield from table()[soname]
        return
    found = _SONAME.fullmatch(soname)
    if found is None:
        return
    stem, version = found[1].lower().replace("_", "-"), found[2]
    for spelled in dict.fromkeys((stem, re.sub(r"-(?=\d)", "", stem, count=1))):
        name = f"{spelled}-{version}" if spelled[-1].isdigit() else f"{spelled}{version}"
        yield name
        yield f"{name}t64"


def _installed(names: tuple[str, ...], packages: Mapping[str, str]) -> str | None:
    for name in names:
        if name in packages:
            return name
        if "*" in name and (found := next((item for item in packages if fnmatchcase(item, name)), None)):
            return found
    return None


def _level(name: str, sure: str | None, likely: str | None, *, exact: bool) -> Level:
    beyond = likely if likely and sure and _numbers(likely) > _numbers(sure) else None
    return Level(name, sure or None, beyond, exact and beyond is None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _text(version: tuple[int, int] | None) -> str | None:
    return ".".join(map(str, version)) if version else None


def _cuda_of(packages: Mapping[str, str]) -> str | None:
    found = [match for name in packages if (match := re.fullmatch(r"cuda-cudart-(\d+)-(\d+)", name))]
    return max((f"{match[1]}.{match[2]}" for match in found), key=_numbers, default=None)


def _torch_cuda(base: BaseImage) -> str | None:
    torch = base.distributions.get(canonicalize_name("torch"))
    if torch is None:
        return None
    local = torch.version.local or ""
    if local.startswith("cpu"):
        return ""
    if match := re.fullmatch(r"cu(\d{2})(\d+)(_full)?", local.replace(".", "_")):
        return f"{match[1]}.{match[2]}"
    for name in ("nvidia-cuda-runtime", "nvidia-cuda-runtime-cu13", "nvidia-cuda-runtime-cu12"):
        if runtime := base.distributions.get(canonicalize_name(name)):
            return f"{runtime.version.major}.{runtime.version.minor}"
    return None


def _brought(base: BaseImage) -> dict[str, tuple[NormalizedName, ...]]:
    found: dict[str, list[NormalizedName]] = {}
    for name, item in base.distributions.items():
        known = item.libraries if item.libraries is not None else wheel_libraries().get((name, str(item.version)), ())
        for library in known:
            found.setdefault(library, []).append(name)
    return {library: tuple(sorted(names)) for library, names in found.items()}
