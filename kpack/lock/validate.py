"""A lock is tried before it is written: no lock takes its place that the build would refuse."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError, KpackError, installing
from kpack.lock.read import loads
from kpack.lock.write import dumps

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.lock.model import Lock


def validated(lock: Lock, where: str) -> str:
    """Return the text of ``lock``, read back as a build reads it; ``where`` is the file that it is for.

    It must be valid after PEP 751, pass kpack's own rules, and say the same again when it is written anew.

    Raises:
        IntegrityError: it does not; the message names the package or checkpoint, and nothing was written.

    """
    problem = _problem(lock)
    if problem is None:
        return dumps(lock)
    culprit, what = next(_culprits(lock), ("", problem))
    advice = f"ask for another version or another file of {culprit}" if culprit else "try again"
    raise IntegrityError(
        f"no build would take this lock, so it is not written: {what}",
        where=culprit or where,
        next=f"{advice}; the newest kpack ({installing()}) may know a way",
    )


def _problem(lock: Lock) -> str | None:
    """Return why a build would refuse the text of ``lock``; None when it would not."""
    try:
        text = dumps(lock)
        if dumps(loads(text, "")) != text:
            return "read back, it says another thing"
    except UnicodeEncodeError as error:
        return f"it holds the character U+{ord(error.object[error.start]):04X}, which no file can hold"
    except KpackError as error:
        return error.what
    return None


def _culprits(lock: Lock) -> Iterator[tuple[str, str]]:
    """Yield each package, base package or checkpoint with which alone a lock has a problem, and the problem."""
    bare = replace(
        lock,
        checkpoints=(),
        notes=(),
        targets=tuple(
            replace(target, packed=(), leans=(), held_back=(), notes=(), accelerator=None) for target in lock.targets
        ),
    )
    if _problem(bare):
        return
    for number, target in enumerate(lock.targets):
        own = bare.targets[number]
        alone = [(f"{pin.name} {pin.version}", replace(own, packed=(pin,))) for pin in target.packed]
        alone += [(f"{use.name} {use.version}", replace(own, leans=(use,))) for use in target.leans]
        alone += [(f"{held.name} {held.version}", replace(own, held_back=(held,))) for held in target.held_back]
        for culprit, one in alone:
            targets = (*bare.targets[:number], one, *bare.targets[number + 1 :])
            if problem := _problem(replace(bare, targets=targets)):
                yield culprit, problem
    for checkpoint in lock.checkpoints:
        if problem := _problem(replace(bare, checkpoints=(checkpoint,))):
            yield checkpoint.path, problem
