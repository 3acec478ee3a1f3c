"""The last look at a resolution: base and packed distributions together, judged by ``packaging`` alone.

The resolver is not trusted here. What this pass reads is what the wheels and the image say of themselves
(Requires-Dist, core metadata specification), evaluated in the target's marker environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

from kpack.base.model import Removal
from kpack.errors import NoSolution
from kpack.markers import counts
from kpack.resolve.ask import exclusion

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

    from kpack.base.model import BaseImage
    from kpack.environment.model import Environment
    from kpack.resolve.model import Resolution, TargetResolution

RequiresOf = Callable[[NormalizedName, Version], "tuple[str, ...] | None"]
"""Requires-Dist lines of a base distribution that the snapshot does not know; None when nobody does.

It is called from several threads.
"""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_OF_EXTRA = re.compile(r"""\bextra\s*==\s*['"]([^'"]+)['"]""")
_OR = re.compile(r"\bor\b")
_UNKNOWABLE = re.compile(r"\b(platform_release|platform_version)\b")
_LISTED = 12
_READERS = 16


def check(environment: Environment, resolution: Resolution, requires_of: RequiresOf) -> Resolution:
    """Return ``resolution`` with what there is to say added to the notes of its targets.

    For every target: each requirement of a packed distribution holds; each requirement of a base distribution on a
    replaced one that held in the base still holds (unless ``allow-broken``); no preloaded module is replaced (unless
    ``allow-preloaded``); what is replaced can be taken away, as far as the base knows. ``requires_of`` is asked only
    for what the snapshot does not have and the check needs.

    Raises:
        NoSolution: one of these is not so; names both sides, and the words that would change it.

    """
    return replace(resolution, targets=tuple(checked(environment, found, requires_of) for found in resolution.targets))


def replaced(found: TargetResolution) -> dict[NormalizedName, tuple[Version, Version]]:
    """Return the base distributions that the pack brings in another version: name → (the base's, the pack's)."""
    base = found.target.base
    if base is None:
        return {}
    return {
        pin.name: (base.distributions[pin.name].version, pin.version)
        for pin in found.packed
        if pin.name in base.distributions
    }


def checked(environment: Environment, found: TargetResolution, requires_of: RequiresOf) -> TargetResolution:
    """Do the same for one target."""
    _refuse_preloaded(environment, found)
    _refuse_immovable(found)
    world = _World(environment, found, requires_of)
    problems = [problem.words for problem in world.packed_problems()]
    if problems:
        raise NoSolution(
            f"what is locked for {found.target.label} does not fit together: " + "; ".join(problems),
            where=found.target.label,
            next="change the requests in packages, or open the base package that stands in the way with replace",
        )
    world.name_odd()
    permitted = world.check_base()
    notes = tuple(dict.fromkeys([*found.notes, *world.notes]))
    return replace(found, broken=tuple(sorted(permitted)), notes=notes)


def unmet(environment: Environment, found: TargetResolution) -> tuple[Unmet, ...]:
    """Return the requirements of what is packed that one target's kernel would not meet; nobody is asked for more."""
    return tuple(_World(environment, found, lambda *_: None).packed_problems())


def broken(environment: Environment, found: TargetResolution, requires_of: RequiresOf) -> frozenset[NormalizedName]:
    """Return the base distributions that stay and that what is replaced would break, those of ``allow-broken`` too."""
    return frozenset(name for name, *_ in _World(environment, found, requires_of).breaches())


def stays(image: BaseImage, name: NormalizedName) -> str | None:
    """Return why no other version may take the place of the base's ``name``, or None; what follows "name version"."""
    item = image.distributions[name]
    return {
        Removal.NONE: "nothing in the image lists its files (it has no RECORD or installed-files.txt that can be "
        "read), so that a restore cannot take them away",
        Removal.HIDES: f"it lies in {item.library}, which Python searches before the folder that a restore "
        "installs to: the old one would go on being imported",
    }.get(item.removal or Removal.RECORD)


def _refuse_preloaded(environment: Environment, found: TargetResolution) -> None:
    base = found.target.base
    if base is None:
        return
    for name, (old, new) in sorted(replaced(found).items()):
        module = base.preloaded_by.get(name)
        if module is None or name in environment.allow_preloaded:
            continue
        raise NoSolution(
            f"{name} {old} would be replaced by {new}, but {base.name} imports {module!r} before the first cell: the "
            "old code in memory and the new files on disk would mix, and a batch run cannot restart its kernel",
            where=f"{name} in {base.name}",
            next=f"take {name} out of replace and request what works with {name} {old}; "
            f'if nothing loaded matters to you, say allow-preloaded = ["{name}"]',
        )


def _refuse_immovable(found: TargetResolution) -> None:
    base = found.target.base
    if base is None:
        return
    for name, (old, new) in sorted(replaced(found).items()):
        why = stays(base, name)
        if why is not None:
            raise NoSolution(
                f"{name} {old} cannot be replaced by {new}: {why}",
                where=f"{name} in {base.name}",
                next=f'take "{name}" out of replace and request what works with {name} {old}',
            )


@dataclass
class _World:
    """Everything that one restored kernel has."""

    environment: Environment
    found: TargetResolution
    requires_of: RequiresOf
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        base = self.found.target.base
        self.base = base.distributions if base else {}
        self.shipped = base is not None and base.shipped
        self.unknown = frozenset(base.unknown) if base else frozenset()
        self._excluded = exclusion(self.environment)
        self.packed = {pin.name: pin for pin in self.found.packed}
        self.versions: dict[NormalizedName, Version] = {name: item.version for name, item in self.base.items()}
        for item in self.environment.exclude:
            if item.version is not None:
                self.versions[canonicalize_name(item.pattern)] = Version(item.version)
        self.versions |= {name: pin.version for name, pin in self.packed.items()}

    def left_out(self, name: str) -> bool:
        """Tell whether ``exclude`` says that the kernel has ``name``, in a version that nobody named."""
        if name in self.found.dropped:
            return True
        return self._excluded(name)

    def named(self, requirement: Requirement) -> NormalizedName:
        """Return the name that a request, or a requirement of what is packed, counts for."""
        name = canonicalize_name(requirement.name)
        return name if requirement.url else self.environment.substitute.get(name, name)

    def requires(self, name: NormalizedName) -> tuple[str, ...] | None:
        """Return the Requires-Dist lines of a distribution of this kernel, None when nobody knows them."""
        if name in self.packed:
            return self.packed[name].requires_dist
        item = self.base.get(name)
        if item is None:
            return None
        if item.requires_dist is not None or self.shipped:
            return item.requires_dist  # of a shipped snapshot's the index was asked when it was made
        return self.requires_of(name, item.version)

    def requirements(
        self, name: NormalizedName, extra: str, of: Container[NormalizedName] | None = None
    ) -> Iterator[Requirement]:
        """Yield what ``name`` asks for in this target with ``extra`` ("" for none); nothing but ``of``, if given."""
        lines = self.requires(name)
        if lines is None:
            self.notes.append(
                f"{name} {self.versions[name]} is in the image and its requirements are not known: "
                f"what {name}[{extra}] needs was not checked"
            )
            return
        for line in lines:
            # Few lines count, and reading all takes its time.
            if (of is not None and _named(line) not in of) or _of_another_extra(line, extra):
                continue
            try:
                requirement = Requirement(line)
                plain = counts(requirement, self.found.target.environment)
            except ValueError:  # InvalidRequirement, OddMarker
                self.notes.append(f"{name} {self.versions[name]} has a requirement that cannot be read: {line!r:.100}")
                continue
            marker = requirement.marker
            if marker is None:
                if not extra:
                    yield requirement
                continue
            if asked := _UNKNOWABLE.search(str(marker)):
                self.notes.append(
                    f"{name} {self.versions[name]} asks for {asked[1]} in a marker, which cannot be known before the "
                    f"kernel runs; it was taken as empty: {line!r:.100}"
                )
            if plain == (not extra) and (plain or counts(requirement, self.found.target.environment, extra)):
                yield requirement

    def wanted(self) -> list[tuple[NormalizedName, str]]:
        """Return what is packed or asked for, each name with each extra, and with the empty string for none."""
        waiting = [(pin.name, extra) for pin in self.found.packed for extra in ("", *pin.extras)]
        for package in self.environment.packages:
            asked = package.requirement
            if asked is not None and counts(asked, self.found.target.environment):
                waiting += [(self.named(asked), extra) for extra in asked.extras]
        return list(dict.fromkeys((name, canonicalize_name(extra)) for name, extra in waiting))

    def packed_problems(self) -> Iterator[Unmet]:
        """Follow every requirement of what is packed, extras of base distributions included.

        What is missing by ``no-deps`` is a note.
        """
        waiting = self.wanted()
        seen = set(waiting)
        missing: dict[str, list[str]] = {}
        while waiting:
            name, extra = waiting.pop()
            if name not in self.packed and name not in self.base:
                continue
            for requirement in self.requirements(name, extra):
                problem = self.judge(name, requirement)
                if name in self.environment.no_deps:
                    missing.setdefault(name, []).extend([problem] if problem else [])
                    continue
                if problem:
                    yield Unmet(name, requirement, problem)
                other = self.named(requirement)
                for more in map(canonicalize_name, requirement.extras):
                    if (other, more) not in seen:
                        seen.add((other, more))
                        waiting.append((other, more))
        self.notes += [f"no-deps leaves open: {_list(items, '; ')}" for items in missing.values() if items]

    def name_odd(self) -> None:
        """Note what is packed beside a version of the image that nobody knows, and names of no-deps without effect."""
        for pin in self.found.packed:
            if pin.name in self.unknown and pin.name in self.environment.replace:
                self.notes.append(
                    f"{pin.name} {pin.version} takes the place of the image's own, whose version the list does not know"
                )
            elif pin.name in self.unknown:
                self.notes.append(
                    f"{pin.name} {pin.version} is packed, and the image has it too, in a version that the list does "
                    f'not know: a restore stops if it is another one. Write replace = ["{pin.name}"] to let it take '
                    "the other's place, or probe your own kernel with `kpack probe`"
                )
        idle = [name for name in self.environment.no_deps if name not in self.packed]
        if idle:
            self.notes.append(f"no-deps names what is not packed, without effect: {_list(idle)}")

    def judge(self, name: NormalizedName, requirement: Requirement) -> str | None:
        """Return what is wrong with a requirement of ``name`` in this kernel, or None."""
        other = self.named(requirement)
        wanted = _words(requirement)
        if other != canonicalize_name(requirement.name):
            wanted += f" ({other} stands for it)"
        version = self.versions.get(other)
        if version is None:
            if other in self.unknown:
                self.notes.append(
                    f"{name} {self.versions[name]} needs {wanted}; the image has {other} in a version that the list "
                    "does not know (probe your own kernel with `kpack probe`)"
                )
            elif not self.left_out(other):
                return f"{name} {self.versions[name]} needs {wanted}, which is neither packed nor in the base"
            return None
        if not _holds(requirement, version):
            whose = "packed" if other in self.packed else "in the base" if other in self.base else "named in exclude"
            doubt = self.base[other].doubt if whose == "in the base" else ""
            return f"{name} {self.versions[name]} needs {wanted}, and {other} {version} is {whose}" + (
                f" ({doubt})" if doubt else ""
            )
        return None

    def check_base(self) -> set[NormalizedName]:
        """Check what base distributions ask of the replaced ones; return those that may be broken, and are."""
        changed = replaced(self.found)
        permitted = set()
        broken: dict[NormalizedName, list[str]] = {}
        for breach in self.breaches():
            says = f"the base's {self.shown(breach.by)} needs {breach.wants}"
            old, new = changed[breach.of]
            if breach.by in self.environment.allow_broken:
                permitted.add(breach.by)
                self.notes.append(
                    f"{says}, and {breach.of} {new} takes the place of {old}: broken, as allow-broken permits"
                )
            else:
                broken.setdefault(breach.by, []).append(
                    f"{says}, and replace brings {breach.of} {new} in place of {old}"
                )
        if broken:
            raise NoSolution(
                "; ".join(problem for problems in broken.values() for problem in problems),
                where=self.found.target.label,
                next=f"if you do not use {_list(list(broken))}, allow-broken takes the name",
            )
        return permitted

    def breaches(self) -> Iterator[Breach]:
        """Yield what base distributions that stay ask of the replaced ones, and do not get any more."""
        changed = replaced(self.found)
        if not changed:
            return
        unknown: list[str] = []
        others = sorted(self.base.keys() - self.packed.keys())
        # Most of the time of a callback is waiting for the index.
        with ThreadPoolExecutor(_READERS, thread_name_prefix="kpack-requires") as pool:
            known = dict(zip(others, pool.map(self.requires, others), strict=True))
        for name in others:
            lines = known[name]
            if lines is None:
                unknown.append(f"{name} {self.versions[name]}")
                continue
            for requirement in self.requirements(name, "", of=changed):
                other = canonicalize_name(requirement.name)
                if not _holds(requirement, changed[other][1]):
                    yield from self._breach(name, requirement, *changed[other])
        if unknown:
            self.notes.append(
                f"nobody knows what {len(unknown)} of the base's packages require, so that nobody checked whether they "
                f"go with {', '.join(f'{n} {new}' for n, (_, new) in sorted(changed.items()))}; rehearse what you use "
                f"of them (kpack rehearse --kaggle): {_list(unknown)}"
            )

    def shown(self, name: NormalizedName) -> str:
        """Return name and version of a base distribution, with what makes it doubtful."""
        doubt = self.base[name].doubt
        return f"{name} {self.versions[name]}" + (f" ({doubt})" if doubt else "")

    def _breach(self, name: NormalizedName, requirement: Requirement, old: Version, new: Version) -> Iterator[Breach]:
        other, wants = canonicalize_name(requirement.name), _words(requirement)
        if _holds(requirement, old):
            yield Breach(name, wants, other)
        else:
            self.notes.append(
                f"the base's {self.shown(name)} needs {wants}: "
                f"broken in the base already ({other} {old}), and still so with {other} {new}"
            )


class Unmet(NamedTuple):
    """A requirement of what is packed, or of an extra of the base's, that the kernel would not meet."""

    by: NormalizedName
    requirement: Requirement
    words: str


class Breach(NamedTuple):
    """A requirement that held in the base and does not hold in the kernel that a restore would leave."""

    by: NormalizedName
    wants: str
    of: NormalizedName


def _of_another_extra(line: str, extra: str) -> bool:
    """Tell whether a line surely counts for other extras only; one that there is more to say of is not judged here."""
    marker = line.partition(";")[2]
    found = _OF_EXTRA.search(marker)
    if found is None or _OR.search(marker) or _UNKNOWABLE.search(marker):
        return False
    return canonicalize_name(found[1]) != extra


def _named(line: str) -> NormalizedName | None:
    """Return the name that a Requires-Dist line begins with."""
    found = _NAME.match(line)
    return canonicalize_name(found[0]) if found else None


def _holds(requirement: Requirement, version: Version) -> bool:
    """Tell whether ``version`` is what is asked for; a pre-release that is there counts, and so does any URL."""
    return requirement.url is not None or requirement.specifier.contains(version, prereleases=True)


def _words(requirement: Requirement) -> str:
    """Return a requirement without its marker and without a URL, which may hold credentials."""
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{canonicalize_name(requirement.name)}{extras}{requirement.specifier}"


def _list(items: Sequence[str], between: str = ", ") -> str:
    shown = between.join(items[:_LISTED])
    return shown if len(items) <= _LISTED else f"{shown} and {len(items) - _LISTED} more"
