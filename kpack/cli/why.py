"""``kpack why``: who asked for a distribution, and what the image has of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpack import project as projects
from kpack.cli import complete, system_packages
from kpack.cli.session import Session, answer, human_size, json_option, say, tell
from kpack.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from kpack.base import BaseImage
    from kpack.base.dependents import Dependent
    from kpack.lock import Lock
    from kpack.lock.why import Explanation

_SHOWN = 8
"""Packages of the image that are listed; the rest is counted."""


@click.command()
@click.argument("name", shell_complete=complete.known)
@json_option
@click.pass_obj
def why(session: Session, name: str, *, as_json: bool) -> None:
    r"""Say who asked for a distribution, what the image has of it, and what would change if it were not so.

    For any package of the image, too: its version and how certain that is, who needs it there, what a replace would
    have to respect. System packages are known as well. Without the network, and with or without a lock.

    \b
    kpack why tokenizers
    kpack why numpy --json
    """
    from kpack.lock import why as reasons

    project = projects.Project.find(session.config)
    lock = project.lock
    wanted = _meant(name, lock)
    known = reasons.names(lock) if lock is not None else set()
    bases = _bases(project, needed=lock is None)
    images = [base for base in bases if wanted in base.distributions or wanted in base.unknown]
    system = system_packages.rows(name, lock, bases)
    if wanted not in known and not images and not system:
        raise _unknown(name, wanted, known, project, bases)
    told = lock is not None and (wanted in known or not (images or system))
    answers = reasons.why(lock, wanted) if lock is not None and told else ()
    if as_json:
        answer({
            "name": wanted,
            "targets": [_row(item) for item in answers],
            "images": [_image_row(base, wanted) for base in images],
            "apt": [row.to_dict() for row in system],
        })  # fmt: skip
        return
    for item in answers:
        _tell(wanted, item)
    for base in images:
        _tell_image(wanted, base, told=any(item.target.base == base.name and item.use for item in answers))
    for row in system:
        tell(row.sentence)
    if lock is None:
        say("There is no lock yet: kpack lock says what a pack would bring.")


def _meant(word: str, lock: Lock | None) -> NormalizedName:
    """Return the name that a word is for: of a package, in a requirement, or of what an entry of packages brings.

    Raises:
        UsageError: it is none of these.

    """
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    from kpack.restore.deb import NAME

    if NAME.match(word):  # libstdc++6 is no name of a distribution
        return canonicalize_name(word)
    for pin in (pin for target in (lock.targets if lock is not None else ()) for pin in target.packed):
        if any(need.requirement.rstrip("/") == word.rstrip("/") for need in pin.needed_by if not need.by):
            return pin.name
    try:
        return canonicalize_name(Requirement(word).name)
    except InvalidRequirement as error:
        raise UsageError(
            f"{word!r:.80} is neither the name of a distribution nor an entry of packages",
            next="write a name (numpy), or an entry as it stands in kaggle-env.toml and its lock",
        ) from error


def _bases(project: projects.Project, *, needed: bool) -> Sequence[BaseImage]:
    """Return the images; where the lock can answer without them, one that cannot be read is a word on the side."""
    try:
        return project.bases
    except (UsageError, MachineError) as error:
        if needed:
            raise
        say(f"The image is left out: {error}")
        return ()


def _unknown(
    name: str, wanted: NormalizedName, known: set[str], project: projects.Project, bases: Sequence[BaseImage]
) -> UsageError | MachineError:
    import difflib

    from kpack.base.dependents import modules

    lock = project.lock
    owners = sorted({owner for base in bases for owner in modules(base, name)})
    if owners:
        return UsageError(
            f"no distribution is called {wanted!r}; the module {name!r} is of {', '.join(owners)}",
            next=f"kpack why {owners[0]}",
        )
    if lock is None and not bases:
        return MachineError("there is no lock", where=str(project.lock_path), next="make it with `kpack lock`")
    there = {str(item) for base in bases for item in (*base.distributions, *base.unknown)}
    near = difflib.get_close_matches(wanted, sorted(known | there), n=1, cutoff=0.75)
    targets = lock.targets if lock is not None else ()
    places = ", ".join([base.name for base in bases] or [target.label for target in targets])
    if lock is None:
        places += "; there is no lock"
    return UsageError(
        f"neither the lock nor the image says anything of {wanted!r}"
        + (f"; did you mean {near[0]!r}?" if near else ""),
        next=f"nothing that is locked needs it, and it is not in {places}; kpack add {wanted} asks for it",
    )


def _tell(wanted: str, item: Explanation) -> None:
    place = f"in {item.target.label}"
    if item.pin is not None:
        size = f", {human_size(item.pin.wheel.size)}" if item.pin.wheel.size is not None else ""
        replaces = f", in place of the image's {item.pin.replaces}" if item.pin.replaces is not None else ""
        tell(f"{wanted} {item.pin.version} {place}: packed ({item.pin.wheel.filename}{size}){replaces}")
    elif item.use is not None:
        tell(f"{wanted} {item.use.version} {place}: in the image, not packed")
    elif item.state == "excluded":
        tell(f"{wanted} {place}: left out, because of exclude")
    else:
        tell(f"{wanted} {place}: not needed")
    if item.chain:
        tell(f"  asked for:  {' → '.join(item.chain)}")
    for need in item.needed_by:
        tell(f"  needed by:  {need.by or 'kaggle-env.toml'} ({need.requirement})")
    if item.held_back is not None:
        tell(f"  held back:  the newest is {item.held_back.newest}; {item.held_back.because}")
    if item.without is not None:
        names = ", ".join(str(pin.name) for pin in item.without.packed)
        tell(f"  if excluded: the pack loses {names} ({human_size(item.without.size)})")
        if item.without.leans:
            tell(f"               and leans no more on {', '.join(str(use.name) for use in item.without.leans)}")


def _tell_image(wanted: NormalizedName, base: BaseImage, *, told: bool) -> None:
    """Say what an image has of a name; ``told``: its version and that it is there were said already."""
    from kpack.base.dependents import dependents

    item = base.distributions.get(wanted)
    if item is None:
        tell(f"{wanted} in {base.name}: in the image, in a version that nobody wrote down (kpack probe finds it out)")
    elif not told:
        tell(f"{wanted} {item.version} in {base.name}: in the image")
    if item is not None and item.doubt:
        tell(f"  certainty:  {item.version} is {item.doubt} ({base.provenance.get(item.provenance, item.provenance)})")
    if module := base.preloaded_by.get(wanted):
        tell(f"  preloaded:  {module} is imported before the first cell; a replace also needs allow-preloaded")
    _tell_needs(base, dependents(base, wanted))


def _tell_needs(base: BaseImage, found: Sequence[Dependent]) -> None:
    """Say who in the image needs it, and what that asks of a replace."""
    always = [one for one in found if not one.extra]
    bound = [one for one in always if one.bound and one.holds]
    free = [str(one.name) for one in always if not one.bound]
    if bound:
        tell("  a replace must respect, or the image's own break:")
        for one in sorted(bound, key=_strictness)[:_SHOWN]:
            tell(f"    {one.name} {one.version} needs {one.requirement}")
        if len(bound) > _SHOWN:
            tell(f"    and {len(bound) - _SHOWN} more; --json lists all")
    if free:
        tell(f"  needed in the image, in any version, by: {_listed(free)}")
    for one in always:
        if not one.holds:
            tell(f"  broken in the image already: {one.name} {one.version} needs {one.requirement}")
    if extra := list(dict.fromkeys(f"{one.name}[{one.extra}]" for one in found if one.extra)):
        tell(f"  needed by extras of the image's packages: {_listed(extra)}")
    if not found:
        unread = sum(each.requires_dist is None for each in base.distributions.values())
        more = f" ({unread} of them do not say what they need)" if unread else ""
        tell(f"  needed by:  nothing in the image{more}")


def _strictness(one: Dependent) -> tuple[bool, str]:
    """Sort what has an upper bound first: that is what a newer version breaks."""
    return not any(sign in one.requirement for sign in ("<", "==", "~=", "!=")), str(one.name)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _image_row(base: BaseImage, wanted: NormalizedName) -> dict[str, object]:
    from kpack.base.dependents import dependents

    item = base.distributions.get(wanted)
    return {
        "base": base.name,
        "version": None if item is None else str(item.version),
        "certainty": None if item is None else item.certainty,
        "provenance": None if item is None else item.provenance,
        "preloaded": base.preloaded_by.get(wanted),
        "needed_by": [
            {
                "by": one.name,
                "version": str(one.version),
                "requirement": one.requirement,
                "extra": one.extra or None,
                "holds": one.holds,
            }
            for one in dependents(base, wanted)
        ],
    }


def _row(item: Explanation) -> dict[str, object]:
    pin, use, held, without = item.pin, item.use, item.held_back, item.without
    version = pin.version if pin else use.version if use else None
    return {
        "target": item.target.label,
        "base": item.target.base,
        "python": item.target.python,
        "state": item.state,
        "version": None if version is None else str(version),
        "file": pin.wheel.filename if pin else None,
        "size": pin.wheel.size if pin else None,
        "replaces": str(pin.replaces) if pin and pin.replaces is not None else None,
        "needed_by": [{"by": need.by, "requirement": need.requirement} for need in item.needed_by],
        "chain": list(item.chain),
        "held_back": {"newest": str(held.newest), "because": held.because} if held else None,
        "if_excluded": {
            "packed": [str(gone.name) for gone in without.packed],
            "size": without.size,
            "leans": [str(gone.name) for gone in without.leans],
        }
        if without
        else None,
    }
