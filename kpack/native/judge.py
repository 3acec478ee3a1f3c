"""The verdict on the native code of all wheels of a target together."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from kpack.native import names
from kpack.native.builds import built_for_another, named_for_another
from kpack.native.devices import runs
from kpack.native.misfit import Certainty, Misfit, NativeReport
from kpack.native.troubles import Surroundings, Trouble, foreign, troubles

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from packaging.utils import NormalizedName

    from kpack.native.kernel import NativeKernel
    from kpack.native.wheels import Located, NativeWheel

_TOLD = 12
"""Names in the one sentence on what is not known."""


def judge(
    kernel: NativeKernel, wheels: Sequence[NativeWheel], allowed: Collection[NormalizedName] = ()
) -> NativeReport:
    """Hold what the wheels' native code wants against what they bring themselves and what ``kernel`` has.

    ``allowed`` are the packages whose findings stop nothing. A wheel that nobody has read yet is judged by its name.
    """
    return _Judge(Surroundings(kernel, wheels), frozenset(allowed)).report(wheels)


class _Judge:
    """One target; what is found out of one file may matter for all that lean on it."""

    def __init__(self, around: Surroundings, allowed: frozenset[NormalizedName]) -> None:
        self.around = around
        self.allowed = allowed
        self.unknown: dict[str, set[NormalizedName]] = defaultdict(set)
        self._reach: dict[Located, frozenset[Located]] = {}

    def report(self, wheels: Sequence[NativeWheel]) -> NativeReport:
        found = [finding for wheel in wheels for finding in self._wheel(wheel)]
        return NativeReport(tuple(found), tuple(self._unknown()))

    def _wheel(self, wheel: NativeWheel) -> Iterator[Misfit]:
        for trouble in (*built_for_another(wheel, self.around), *named_for_another(wheel, self.around)):
            yield self._misfit(wheel, trouble, (), Certainty.LIKELY)
        readable = [item for item in self.around.shelf.of(wheel.name) if not item.object.fault]
        for item in self.around.shelf.of(wheel.name):
            if item.object.fault:
                trouble = Trouble("is", f"not readable ELF ({item.object.fault})", "", certain=False)
                yield self._misfit(wheel, trouble, (item.object.path,), Certainty.ON_DEMAND)
        at_home = [item for item in readable if not foreign(item, self.around.kernel)]
        yield from self._foreign(wheel, readable, at_home)
        yield from self._python(wheel, at_home)
        usable = [item for item in at_home if self._imports(item)]
        yield from self._missing(wheel, usable)
        yield from self._bits(wheel, usable)
        yield from self._devices(wheel, usable)

    def _foreign(self, wheel: NativeWheel, readable: list[Located], at_home: list[Located]) -> Iterator[Misfit]:
        """Tell of a wheel all of whose code is for another machine; a few such files beside others are its plug-ins."""
        if at_home or not readable:
            return
        machine = self.around.kernel.machine
        modules = [item for item in readable if self._module(item)]
        trouble = Trouble(
            "is code for",
            foreign(readable[0], self.around.kernel),
            f"{machine} with glibc",
            certain=True,
            next=f"take a wheel of {wheel.name} for {machine}",
        )
        files = tuple(item.object.path for item in modules or readable)
        yield self._misfit(wheel, trouble, files, Certainty.SURE if modules else Certainty.LIKELY)

    def _python(self, wheel: NativeWheel, at_home: list[Located]) -> Iterator[Misfit]:
        """Tell of a wheel whose extension modules are all for other Pythons."""
        modules = [item for item in at_home if self._module(item)]
        if not modules or any(self._imports(item) for item in modules):
            return
        found = sorted({str(names.python_of(item.object.path)) for item in modules})
        trouble = Trouble(
            "is for",
            f"Python {', '.join(found)}",
            f"Python {self.around.kernel.python}",
            certain=False,
            next=f"take a wheel of {wheel.name} for Python {self.around.kernel.python}",
        )
        yield self._misfit(wheel, trouble, tuple(item.object.path for item in modules), Certainty.LIKELY)

    def _missing(self, wheel: NativeWheel, usable: list[Located]) -> Iterator[Misfit]:
        grouped: dict[Trouble, list[Located]] = defaultdict(list)
        for item in usable:
            for trouble in troubles(item, self.around):
                grouped[trouble].append(item)
        failing = {item for trouble, items in grouped.items() if trouble.certain is not None for item in items}
        fit = {names.variant(item.object.path) for item in usable if item not in failing and not self._module(item)}
        modules = [item for item in usable if self._module(item) and not self._spare(wheel, item)]
        for trouble, items in grouped.items():
            # Of a library that lies there in builds for several systems, one that fits is enough.
            files = [item for item in items if self._module(item) or names.variant(item.object.path) not in fit]
            if not files:
                continue
            certainty = self._certainty(trouble, files, modules, usable)
            if trouble.certain is not None:
                yield self._misfit(wheel, trouble, tuple(item.object.path for item in files), certainty)
            elif certainty is not Certainty.ON_DEMAND:
                self.unknown[trouble.wants].add(wheel.name)

    def _certainty(
        self, trouble: Trouble, files: list[Located], modules: list[Located], usable: list[Located]
    ) -> Certainty:
        """Tell what it means for a package that some of its files do not get what they want.

        Python's extension modules are what is imported. Where none is left, nothing works; where a few of many are
        hit, they may be optional, and are taken to be so unless the image has another version of what they want.
        """
        hit = sum(1 for item in modules if not self._reached(item).isdisjoint(files))
        if trouble.certain and modules and not hit and all(item.object.unread for item in modules):
            # What was copied beside modules that nobody has read is there because one of them needs it.
            copied = any(names.is_copied(item.object.path) for item in files)
            return Certainty.LIKELY if copied else Certainty.ON_DEMAND
        if modules and hit == len(modules):
            return Certainty.SURE if trouble.certain else Certainty.LIKELY
        if 2 * hit > len(modules) or (hit and trouble.instead):
            return Certainty.LIKELY
        own = [item for item in usable if not names.is_copied(item.object.path)]
        return Certainty.LIKELY if not modules and set(own) <= set(files) else Certainty.ON_DEMAND

    def _bits(self, wheel: NativeWheel, usable: list[Located]) -> Iterator[Misfit]:
        """Tell of programs that nobody can run: an installer gives the bit in scripts, elsewhere the wheel must."""
        files = [
            item.object.path
            for item in usable
            if item.object.program
            and not item.object.executable
            and ".so" not in item.object.path.rpartition("/")[2]
            and ".data/scripts/" not in item.object.path
        ]
        if files:
            trouble = Trouble("is", "a program without an executable bit", "", certain=False)
            yield self._misfit(wheel, trouble, tuple(files), Certainty.ON_DEMAND)

    def _devices(self, wheel: NativeWheel, usable: list[Located]) -> Iterator[Misfit]:
        """Tell of a wheel whose GPU code, all of it, is for other GPUs than the session's."""
        gpu = self.around.kernel.gpu
        items = [item for item in usable if item.object.devices]
        built = tuple(dict.fromkeys(device for item in items for device in item.object.devices))
        if gpu is None or not items or not all(item.object.whole for item in usable) or runs(built, gpu.capability):
            return
        wants = ", ".join(sorted(built, key=lambda device: int(device.partition("_")[2])))
        trouble = Trouble(
            "has GPU code for",
            wants,
            f"a {gpu.name} (sm_{gpu.capability})",
            certain=False,
            next=f"take a version that is built for sm_{gpu.capability}, too, or a session with another GPU",
        )
        yield self._misfit(wheel, trouble, tuple(item.object.path for item in items), Certainty.ON_DEMAND)

    def _module(self, item: Located) -> bool:
        return names.is_module(item.object.path, initialiser=item.object.module)

    def _spare(self, wheel: NativeWheel, item: Located) -> bool:
        """Tell whether a wheel for several Pythons does without a file: for one of them, and no other is like it."""
        if not wheel.several or names.python_of(item.object.path) is None:
            return False
        kind = names.variant(item.object.path)
        return sum(names.variant(other.object.path) == kind for other in self.around.shelf.of(wheel.name)) == 1

    def _imports(self, item: Located) -> bool:
        """Tell whether the kernel's Python could import it, as far as its name goes."""
        tagged = names.python_of(item.object.path)
        return tagged is None or tagged == self.around.kernel.python

    def _reached(self, item: Located) -> frozenset[Located]:
        """Return a file and all packed ones that are loaded with it."""
        if item not in self._reach:
            seen = {item}
            rest = [item]
            while rest:
                for soname in rest.pop().object.needed:
                    fresh = set(self.around.shelf.find(soname, item)[:1]) - seen
                    seen |= fresh
                    rest += fresh
            self._reach[item] = frozenset(seen)
        return self._reach[item]

    def _misfit(self, wheel: NativeWheel, trouble: Trouble, files: tuple[str, ...], certainty: Certainty) -> Misfit:
        return Misfit(
            package=wheel.name,
            version=str(wheel.version),
            image=self.around.kernel.image,
            files=files,
            verb=trouble.verb,
            wants=trouble.wants,
            has=trouble.has,
            certainty=certainty,
            unless=trouble.unless,
            next=trouble.next,
            apt=trouble.apt,
            other=trouble.instead and names.is_cuda(trouble.wants),
            sibling=trouble.sibling,
            allowed=wheel.name in self.allowed,
        )

    def _unknown(self) -> Iterable[str]:
        if not self.unknown:
            return
        parts = [f"{what} ({', '.join(sorted(who))})" for what, who in sorted(self.unknown.items())]
        more = f" and {len(parts) - _TOLD} more" if len(parts) > _TOLD else ""
        yield (
            f"it is not known whether {self.around.kernel.image} has {', '.join(parts[:_TOLD])}{more}: "
            "a probe of your own kernel tells (kpack probe --help)"
        )
