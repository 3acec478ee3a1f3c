"""What one shared object asks for and does not get."""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from packaging.utils import canonicalize_name

from kpack.base.native import DRIVER
from kpack.native import names
from kpack.native.elf import COUNTED
from kpack.native.glibc import STANDS_FOR
from kpack.native.wheels import Located, NativeWheel, Shelf, outside

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.native.kernel import NativeKernel

TORCH = canonicalize_name("torch")

_OTHER_LIBC = re.compile(r"(libc\.musl-\w+|ld-musl-\w+)\.so(\.\d+)?|libc\.so", re.ASCII)
_ONE_STRING = (2, 7)
"""Since that release all builds of torch are of the std::string that GCC 5 brought."""
_OLD_STRING = (2, 5)
"""Up to that release those of the index and of PyTorch's own are of the one before."""


class Trouble(NamedTuple):
    """Something that a file wants and does not get, or of which nobody knows."""

    verb: str
    wants: str
    has: str
    """What there is instead, as in `kpack.native.misfit.Misfit`."""
    certain: bool | None
    """Whether the file surely cannot be loaded; None when nobody knows what the image has."""
    next: str = ""
    apt: str = ""
    """The system package that has it."""
    instead: bool = False
    """Another version of what it wants is there."""
    unless: str = ""
    """A folder of the machine that the file searches, too, and of which nothing is known."""
    sibling: str = ""
    """What a distribution of the same project for what is there would be called; there may be none."""


class Surroundings:
    """All that files of a target find: its kernel, and the packed wheels."""

    def __init__(self, kernel: NativeKernel, wheels: Sequence[NativeWheel]) -> None:
        self.kernel = kernel
        self.shelf = Shelf(wheels)
        self.going = frozenset(wheel.name for wheel in wheels)
        """Names of all that is packed: of what the image has under these names nothing stays."""
        packed = next((wheel.version for wheel in wheels if wheel.name == TORCH), None)
        self.torch = packed or kernel.facts.torch
        """The torch that is imported; None when there is none, or none that is known."""
        self._missing: dict[str, Trouble | None] = {}

    def brings(self, soname: str) -> bool:
        """Tell whether a distribution of the image that stays brings ``soname``."""
        return any(name not in self.going for name in self.kernel.facts.wheels(soname))

    @cached_property
    def _there(self) -> dict[str, list[str]]:
        """Names of libraries that are there or packed, by their stems."""
        facts = self.kernel.facts
        found: dict[str, list[str]] = {}
        brought = (name for name in facts.brought if self.brings(name))
        for name in sorted({*brought, *(facts.cached or ()), *self.shelf.names()}):
            found.setdefault(names.stem(name), []).append(name)
        return found

    def near(self, soname: str) -> list[str]:
        """Return other versions of a library that are there or packed."""
        found = {
            name for name in self._there.get(names.stem(soname), ()) if name.startswith(f"{names.stem(soname)}.so.")
        }
        number = re.search(r"(\d{1,2})$", soname)
        if names.is_cuda(soname) and number is not None:
            others = range(max(0, int(number[1]) - 3), int(number[1]) + 4)
            guesses = (f"{soname[: number.start()]}{other}" for other in others)
            found |= {name for name in guesses if self.kernel.facts.library(name).there}
        return sorted(found - {soname})

    def missing(self, soname: str) -> Trouble | None:
        """Return what is the matter with a library that no packed wheel brings; None for nothing."""
        if soname not in self._missing:
            self._missing[soname] = _missing(soname, self)
        return self._missing[soname]


def foreign(located: Located, kernel: NativeKernel) -> str:
    """Return for what else than this kernel a file is; empty when it is for this one."""
    item = located.object
    bits = 64 if kernel.machine.endswith("64") else item.bits
    if item.machine != kernel.machine or item.bits != bits:
        return item.machine + (f" of {item.bits} bits" if item.machine == kernel.machine else "")
    if any(_OTHER_LIBC.fullmatch(soname) for soname in item.needed):
        return "another C library than glibc"
    return ""


def troubles(located: Located, around: Surroundings) -> Iterator[Trouble]:
    """Yield what ``located``, a file for this kernel, does not get."""
    for soname in () if around.shelf.blind else located.object.needed:
        if around.shelf.find(soname, located) or (found := around.missing(soname)) is None:
            continue
        if soname in located.object.guessed and found.certain:
            found = found._replace(certain=False)
        folders = outside(located.object) if found.certain else ()
        yield found._replace(certain=False, unless=folders[0]) if folders else found
    for library, version in located.object.versions:
        if (trouble := _version(library, version, located, around)) is not None:
            yield trouble
    if (trouble := _strings(located, around)) is not None:
        yield trouble


def _missing(soname: str, around: Surroundings) -> Trouble | None:
    library = around.kernel.facts.library(soname)
    if library.there or around.brings(soname) or _by_file_name(soname, around):
        return None
    if names.is_torch(soname):
        return _of_torch(soname, around)
    if soname in DRIVER:
        # Where nobody knows, nothing is said: whoever packs code for a GPU takes a session with one.
        return None if library.there is None else Trouble("needs", soname, "no GPU, whose driver has it", certain=False)
    near = around.near(soname)
    has = " and ".join(near) or (f"no {library.package}" if library.package else "nothing of that name")
    if library.there is False or (names.is_cuda(soname) and near):
        certain = library.there is False
        advice = _other(soname, near, around.kernel.facts.cuda)
        apt = "" if names.is_cuda(soname) or "*" in library.package else library.package
        return Trouble("needs", soname, has, certain=certain, next=advice, instead=bool(near), apt=apt)
    return Trouble("needs", soname, has, certain=None)


def _by_file_name(soname: str, around: Surroundings) -> bool:
    """Tell whether it is the file (``libgomp.so.1.0.0``) behind a library that the system has: no cache lists it."""
    shorter, _, last = soname.rpartition(".")
    while last.isdigit():
        if around.kernel.facts.library(shorter).there:
            return True
        shorter, _, last = shorter.rpartition(".")
    return False


def _other(soname: str, near: list[str], cuda: str | None) -> str:
    if not names.is_cuda(soname):
        return "take a build that brings it along"
    majors = sorted({major for name in near if (major := names.cuda_major(name)) is not None})
    if near:
        other = f"CUDA {majors[-1]}" if majors else near[-1]
        return f"take a build for {other}, or add the package that brings {soname}"
    return f"add the package that brings {soname}" if cuda else "take a build for the processor, or an image with CUDA"


def _of_torch(soname: str, around: Surroundings) -> Trouble:
    """Judge a library of torch that neither the pack nor, as far as is known, the image brings."""
    facts = around.kernel.facts
    advice = "take a build for the processor" if "cuda" in soname else ""
    if TORCH in around.going:
        return Trouble("needs", soname, f"torch {around.torch} from the pack, without it", certain=False, next=advice)
    if facts.torch is not None and facts.wheels("libc10.so"):
        return Trouble("needs", soname, f"torch {facts.torch}, without it", certain=True, next=advice)
    if facts.torch is None and around.kernel.known:
        return Trouble("needs", soname, "no torch", certain=True, next="add torch")
    return Trouble("needs", soname, "", certain=None)


def _version(library: str, version: str, located: Located, around: Surroundings) -> Trouble | None:
    packed = around.shelf.find(library, located)
    if packed:
        if any(version in item.object.defines or not item.object.defines for item in packed):
            return None
        has = f"another {library}, of {packed[0].wheel} in the pack"
        return Trouble("needs", f"{version} of {library}", has, certain=False)
    facts = around.kernel.facts
    if library == "libstdc++.so.6" and around.brings(library):
        return None  # the image's wheels bring one of their own, and which is loaded first nobody can say
    name, _, number = STANDS_FOR.get(version, version).rpartition("_")
    if name not in COUNTED or not number[:1].isdigit():
        return None
    level = {"GLIBC": facts.glibc, "GLIBCXX": facts.glibcxx, "CXXABI": facts.cxxabi}[name]
    there = level.has(number)
    if there:
        return None
    advice = "take a version whose wheel asks for less, or build its sdist by allow-source"
    return Trouble("needs", f"{name} {number}", str(level), certain=None if there is None else True, next=advice)


def _strings(located: Located, around: Surroundings) -> Trouble | None:
    """Judge of which std::string the calls of torch are: torch has them of one kind only."""
    built, torch = located.object.strings, around.torch
    if not built or torch is None:
        return None
    local = torch.local or ""
    if torch.release[:2] >= _ONE_STRING:
        kind = "cxx11"
    elif torch.release[:2] <= _OLD_STRING and local.startswith(("cu", "cpu")):
        kind = "pre-cxx11"
    else:
        return None
    if kind == built:
        return None
    return Trouble(
        "is built for",
        f"a torch with cxx11abi={str(built == 'cxx11').upper()}",
        f"torch {torch} with cxx11abi={str(kind == 'cxx11').upper()}",
        certain=True,
        next=f"take a build for torch {torch.major}.{torch.minor} with cxx11abi{str(kind == 'cxx11').upper()}",
    )
