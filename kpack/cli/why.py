"""``kpack why``: who asked for a distribution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpack import project as projects
from kpack.cli.session import Session, answer, human_size, json_option, tell
from kpack.errors import MachineError, UsageError

if TYPE_CHECKING:
    from kpack.lock import Lock
    from kpack.lock.why import Answer


@click.command()
@click.argument("name")
@json_option
@click.pass_obj
def why(session: Session, name: str, *, as_json: bool) -> None:
    r"""Say who asked for a distribution, for which target, and what would change if it were excluded.

    \b
    kpack why tokenizers
    """
    from packaging.utils import canonicalize_name

    from kpack.lock import why as reasons

    project = projects.Project.find(session.config)
    if project.lock is None:
        raise MachineError("there is no lock", where=str(project.lock_path), next="make it with `kpack lock`")
    wanted = canonicalize_name(name)
    if wanted not in (known := reasons.names(project.lock)):
        raise _unknown(wanted, known, project.lock)
    answers = reasons.why(project.lock, wanted)
    if as_json:
        answer({"name": wanted, "targets": [_row(item) for item in answers]})
        return
    for item in answers:
        _tell(wanted, item)


def _unknown(wanted: str, known: set[str], lock: Lock) -> UsageError:
    import difflib

    near = difflib.get_close_matches(wanted, sorted(known), n=1)
    bases = ", ".join(target.label for target in lock.targets)
    return UsageError(
        f"the lock says nothing of {wanted!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
        next=f"nothing that is locked needs it: it is not packed, and nothing leans on it in {bases}",
    )


def _tell(wanted: str, item: Answer) -> None:
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


def _row(item: Answer) -> dict[str, object]:
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
