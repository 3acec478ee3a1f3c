"""What a person is told to write when there is no solution: words that were tried, or that there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from kpack.errors import NoSolution
from kpack.resolve import arbitrary, consistency, elsewhere, names
from kpack.resolve.amendment import Amendment, listed, pinned
from kpack.resolve.child import error_of
from kpack.resolve.explore import Exploration
from kpack.resolve.offer import Offer, Shopping
from kpack.resolve.other_image import ANYWHERE, OtherImage
from kpack.resolve.trial import JUDGED, Refusal
from kpack.resolve.wire import Failure, Unisolated

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from packaging.utils import NormalizedName

    from kpack.environment import Environment, Package
    from kpack.errors import KpackError
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.trial import Trials
    from kpack.resolve.wire import Obstacle
    from kpack.target import Target

HOPELESS = ANYWHERE | {"python", "interpreter", "glibc", "platform"}
"""Kinds of obstacles that no name in replace, allow-broken or allow-source takes away."""

SHOWN = 6
"""Names that are told in a sentence; what is to be written is always whole."""

LARGE = 500_000_000
"""Bytes of a pack that are worth a word."""


class Advice:
    """Finds the words for one target that was refused."""

    def __init__(self, trials: Trials, environment: Environment, targets: Sequence[Target], target: Target) -> None:
        self._trials = trials.limited()
        self._environment = environment
        self._targets = targets
        self._target = target

    def error(self, refusal: Refusal) -> KpackError:
        """Return the error to raise: what stands in the way, and what to write."""
        if refusal.failure is None:
            assert refusal.judgement is not None
            what, general, where = refusal.judgement.what, refusal.judgement.next, refusal.judgement.where
            obstacles: Sequence[Obstacle] = ()
        else:
            told = error_of(self._target.label, refusal.failure)
            if not isinstance(told, NoSolution):
                return told
            what, general, where = told.what, told.next, told.where
            obstacles = refusal.failure.obstacles
        # A source that is wrong in itself has neither obstacles nor causes.
        names_may_help = refusal.failure is None or bool(refusal.failure.causes and not obstacles)
        advice = list(self._advice(obstacles, names_may_help=names_may_help))
        if obstacles and all(each.kind == "none" for each in obstacles):
            # No image has a version that no index has, and the first line says so already.
            again = ": " + what.partition("\n")[0]
            advice = [words for words in advice if not words.endswith(again)] or advice
        if not advice and not general:
            general = elsewhere.unknown(obstacles) or "; or ".join(elsewhere.unfit(obstacles))
        return NoSolution(what, where=where, next="; or ".join(dict.fromkeys([*advice, *filter(None, [general])])))

    def words(self, refusal: Refusal, because: str) -> str:
        """Return the words that help, or what else can be done; ``because`` is what was said of it already."""
        failure = refusal.failure
        if failure is not None and failure.kind != "no-solution":
            return ""
        obstacles = failure.obstacles if failure is not None else ()
        if obstacles and all(each.kind in HOPELESS and not each.sdist for each in obstacles):
            return ""
        edit = self._offer()
        if isinstance(edit, Offer):
            return "; or ".join(self._words(edit))
        if not isinstance(edit, Failure):
            return ""
        ways = [self._impossible(edit), *self._of_builds(edit.obstacles), *_later(edit)]
        ways.append(self._other_image([*edit.obstacles, *obstacles]))
        return "; or ".join(words for words in ways if words and because not in words)

    def _advice(self, obstacles: Sequence[Obstacle], *, names_may_help: bool) -> Iterator[str]:
        """Yield what can be done, the least change first."""
        if known := self._target.unheard_of:
            yield f"kpack knows Python up to {known}: is {self._target.python_version} the series that you mean?"
        if meant := names.meant(obstacles, self._environment, self._target.base):
            yield meant
            return
        if published := list(elsewhere.of(obstacles)):
            yield from published
            return
        if loosened := arbitrary.words(self._trials, self._environment, self._targets, obstacles):
            yield loosened
            return
        edit: Offer | Failure | str = ""
        if names_may_help or any(each.kind not in HOPELESS or each.sdist for each in obstacles):
            edit = self._offer()
        if isinstance(edit, Offer):
            # An old version is what nobody wants: what gives the new one is told first.
            if edit.old:
                yield f"{edit.missed} cannot be had in {self._target.label}: {edit.why}{self._stays(edit.against)}"
                yield from filter(None, [self._other_image([*edit.against, *obstacles], alike=False)])
            yield from self._words(edit)
            yield from filter(None, [self._nearest(obstacles)])
            return
        against = edit.obstacles if isinstance(edit, Failure) else ()
        if all_the_same := self._yanked([*obstacles, *against]):
            yield all_the_same
            return
        yield from filter(None, [self._impossible(edit) if isinstance(edit, Failure) else edit])
        obstacles = obstacles or against
        # What was tried is told before what is left to a person.
        yield from filter(None, [self._nearest(obstacles), self._other_image([*obstacles, *against])])
        if isinstance(edit, Failure):
            yield from [*self._of_builds(against), *_later(edit)]
        yield from _apart([*against, *obstacles])
        yield from self._excluded(obstacles)
        if isinstance(edit, Failure) and (words := self._over_preloaded(edit)):
            yield words

    def _impossible(self, failure: Failure) -> str:
        """Return what stands against every set of names; empty where there is no image to name."""
        return "" if self._target.base is None else f"it cannot be had in {self._target.label}: {self._why(failure)}"

    def _yanked(self, obstacles: Sequence[Obstacle]) -> str:
        """Return the pins that take yanked files all the same (PEP 592: only ``==`` does), if that has an answer."""
        pins = {each.name: each.version for each in obstacles if each.kind == "yanked"}
        asked = self._environment
        for name, version in pins.items():
            asked = pinned(asked, canonicalize_name(name), version)
        if not pins:
            return ""
        words = " and ".join(f'"{name}=={version}"' for name, version in sorted(pins.items()))
        sentence = f"write {words} in packages to take what was yanked all the same"
        if not any(isinstance(self._trials.outcome(asked, target), Refusal) for target in self._targets):
            return sentence
        edit = Exploration(self._trials, asked, self._target).edit()
        if isinstance(edit, Failure) or any(
            isinstance(self._trials.outcome(edit.applied(asked), target, JUDGED), Refusal) for target in self._targets
        ):
            return ""
        return f"{sentence}, and write {edit.words(asked)}"

    def _of_builds(self, obstacles: Sequence[Obstacle]) -> Iterator[str]:
        """Yield the ways that exist for what cannot be built here, with the other words that they need.

        Nothing where a wheel would not be enough.
        """
        found = self._beside_the_image(obstacles)
        if found is None:
            return
        names, edit = found
        written = set(names) <= set(self._environment.no_build_isolation)
        quoted = ", ".join(f'"{name}"' for name in sorted({*self._environment.no_build_isolation, *names}))
        lines = [] if written else [f"no-build-isolation = [{quoted}]"]
        lines += [edit.words(self._environment)] if edit else []
        written_first = f"write {' and '.join(lines)} and " if lines else ""
        image = f"{written_first}build where the image is: kpack notebook --relock writes a builder notebook for Kaggle"
        wheel = f"give the URL or path of a prebuilt wheel of {listed(names)} in packages ({names[0]} @ https://….whl)"
        yield from [image, f"with the same {listed(edit.keys)}, {wheel}"] if edit else [wheel, image]

    def _beside_the_image(self, obstacles: Sequence[Obstacle]) -> tuple[list[NormalizedName], Amendment] | None:
        """Return what is to be built where the image is, and what else is to be written then; None: it has no answer.

        With what is built behind that, as far as the texts of sources tell.
        """
        stuck = _built(obstacles)
        if not stuck or any(each.kind in HOPELESS and not each.sdist for each in obstacles):
            return None
        trials = self._trials.briefly()
        while True:
            names = tuple(sorted({*self._environment.no_build_isolation, *stuck}))
            there = {self._target.label: Unisolated(names=names)}
            beside = replace(trials, unisolated={**trials.unisolated, **there})
            asked = replace(self._environment, no_build_isolation=names)
            found = Exploration(beside, asked, self._target).edit()
            if isinstance(found, Amendment):
                return sorted(stuck), found
            if found.because == "too-many-tries":
                has = self._target.base.distributions if self._target.base else {}
                return sorted(stuck), Amendment(replace=stuck & has.keys() - set(self._environment.replace))
            more = _built(found.obstacles) - stuck
            if not more or trials.over:
                return None
            stuck |= more

    def _excluded(self, obstacles: Sequence[Obstacle]) -> Iterator[str]:
        """Yield the pin of ``exclude`` that stands in the way, if there is an answer without it."""
        names = {canonicalize_name(each.name) for each in obstacles if each.kind == "kernel"}
        items = self._environment.exclude
        left = [item for item in items if item.version is not None and canonicalize_name(item.pattern) in names]
        asked = replace(self._environment, exclude=tuple(item for item in items if item not in left))
        if left and not any(isinstance(self._trials.outcome(asked, each), Refusal) for each in self._targets):
            quoted = listed(f'"{item.pattern}=={item.version}"' for item in left)
            yield f"take {quoted} out of exclude: there is an answer then"

    def _why(self, failure: Failure) -> str:
        """Return what stands against every set of names."""
        first = error_of(self._target.label, failure).what.partition("\n")[0]
        return f"{first}{self._stays(failure.obstacles)}"

    def _stays(self, obstacles: Sequence[Obstacle]) -> str:
        """Return why what the image has cannot give way, where that is the first of ``obstacles``; or nothing."""
        base = self._target.base
        told = obstacles[0] if obstacles else None
        name = canonicalize_name(told.name) if told is not None and told.kind == "kernel" else None
        if base is None or name is None or name not in base.distributions:
            return ""
        if name in base.preloaded_by:
            return ", which is imported before the first cell, so that nothing can take its place"
        why = consistency.stays(base, name)
        return f", and {why}" if why else ""

    def _over_preloaded(self, failure: Failure) -> str:
        """Return the words that replace a preloaded module all the same."""
        base = self._target.base
        loaded = {canonicalize_name(each.name) for each in failure.obstacles} & set(base.preloaded_by if base else ())
        if not loaded or self._trials.over or len(self._targets) > 1:
            return ""
        names = tuple(sorted({*self._environment.allow_preloaded, *loaded}))
        asked = replace(self._environment, allow_preloaded=names)
        edit = Exploration(self._trials, asked, self._target).edit()
        if isinstance(edit, Failure) or isinstance(self._trials.outcome(edit.applied(asked), self._target), Refusal):
            return ""
        quoted = ", ".join(f'"{name}"' for name in names)
        beside = f" with {edit.words(asked)}" if edit else ""
        return (
            f"where the kernel is restarted after the line (a batch run cannot), allow-preloaded = [{quoted}]{beside}"
        )

    def told(self, offer: Offer) -> str:
        """Return what to write for ``offer``."""
        return self._told(offer.edit, offer.gets)

    def _offer(self) -> Offer | Failure | str:
        return Shopping(self._trials, self._targets, self._target).offer(self._environment)

    def _words(self, offer: Offer) -> Iterator[str]:
        """Yield what to write for the newest that can be had, and for what can be had with less."""
        if offer.newer is not None:
            yield f"write {offer.newer.words(self._environment)} for the newest"
        yield self._told(offer.edit, offer.gets) + (f", which gives {offer.old} only" if offer.old else "")

    def _told(self, edit: Amendment, gets: Sequence[TargetResolution]) -> str:
        packed = {pin.name: pin for each in gets for pin in each.packed}
        moved = [f"{name} {packed[name].version}" for name in sorted(edit.replace) if name in packed]
        words = f"write {edit.words(self._environment)}"
        if moved:
            words += f" to pack {_shortened(moved)} in place of the kernel's"
        elif edit.allow_source:
            words += f" to let kpack build {'them' if len(edit.allow_source) > 1 else 'it'}"
        if edit.allow_broken:
            words += f" ({_shortened(sorted(edit.allow_broken))} will not work any more)"
        size = sum(pin.wheel.size or 0 for pin in packed.values() if pin.wheel is not None)
        return words + (f"; the pack will have about {size / 1e9:.1f} GB" if size > LARGE else "")

    def _other_image(self, obstacles: Sequence[Obstacle], *, alike: bool = True) -> str:
        """Return a sentence on a shipped image that has an answer; ``alike``: also one whose answer is old."""
        if len(self._targets) > 1:
            return ""
        return OtherImage(self._trials.prolonged(), self._environment, self._target).sentence(obstacles, alike=alike)

    def _nearest(self, obstacles: Sequence[Obstacle]) -> str:
        """Return what the requests that lead to ``obstacles`` get when they ask for no version, if anything."""
        texts = {each.request for each in obstacles} - {""}
        loose = tuple(
            _loosened(package) if package.text in texts else package for package in self._environment.packages
        )
        if loose == self._environment.packages:
            return ""
        changed = replace(self._environment, packages=loose)
        outcomes = [self._trials.outcome(changed, target) for target in self._targets]
        names = {
            canonicalize_name(after.requirement.name)
            for before, after in zip(self._environment.packages, loose, strict=True)
            if after != before and after.requirement is not None
        }
        if any(isinstance(each, Refusal) for each in outcomes):
            return self._nearest_with_words(changed, names)
        found = [each for each in outcomes if not isinstance(each, Refusal)]
        own = sorted({f"{use.name} {use.version}" for each in found for use in each.from_base if use.name in names})
        new = sorted({f"{pin.name} {pin.version}" for each in found for pin in each.packed if pin.name in names})
        if new:
            return f"the newest that fits is {listed([*new, *own])}"
        return f"request what the image has: {listed(own)}" if own else ""

    def _nearest_with_words(self, loose: Environment, names: set[NormalizedName]) -> str:
        """Return versions of ``names`` and what else is to be written, where neither is enough alone."""
        offer = Shopping(self._trials, self._targets, self._target).offer(loose)
        if not isinstance(offer, Offer) or offer.old:
            return ""
        packed = [(pin.name, str(pin.version)) for each in offer.gets for pin in each.packed]
        own = [(use.name, str(use.version)) for each in offer.gets for use in each.from_base]
        pins = {(name, version) for name, version in (*packed, *own) if name in names}
        edit = offer.edit | Amendment(packages=frozenset(pins))
        return self._told(edit, offer.gets) if pins else ""


def _built(obstacles: Sequence[Obstacle]) -> frozenset[NormalizedName]:
    """Return what cannot be built here."""
    return frozenset(canonicalize_name(each.name) for each in obstacles if each.kind == "build")


def _later(failure: Failure) -> Iterator[str]:
    """Yield the word for what is newer than ``exclude-newer``."""
    if failure.next and any(each.kind == "exclude-newer" for each in failure.obstacles):
        yield failure.next


def _apart(obstacles: Sequence[Obstacle]) -> Iterator[str]:
    """Yield what to do about two requests that no environment can have together."""
    clash = next((each for each in obstacles if each.against and each.request), None)
    if clash is not None and clash.against != clash.request:
        yield f"leave {clash.request} or {clash.against} out of packages: an environment of its own can have it"


def _loosened(package: Package) -> Package:
    requirement = package.requirement
    if requirement is None or requirement.url is not None or not requirement.specifier:
        return package
    loose = Requirement(str(requirement))
    loose.specifier = SpecifierSet()
    return replace(package, requirement=loose)


def _shortened(items: Sequence[str]) -> str:
    shown = items[:SHOWN]
    return listed(shown) if len(items) == len(shown) else f"{', '.join(shown)} and {len(items) - SHOWN} more"
