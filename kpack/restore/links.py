"""``[restore] link``: checkpoints with a relative path are found from the working folder, too, by symbolic links."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, List, NamedTuple

from .errors import MISFIT, RestoreError, anyway, machine_error
from .journal import waiting

if TYPE_CHECKING:
    from .checkpoints import CheckpointPlan
    from .manifest import Manifest

_OF_THE_HUB = "huggingface/hub/"
"""What lies below is found by a variable."""


class Link(NamedTuple):
    """A symbolic link in the working folder."""

    path: str
    """Absolute."""
    target: str
    """Where the checkpoint is."""
    present: bool
    """Whether the link (or the very file) is there already."""
    occupied: bool
    """Whether something else is there."""


def plan(manifest: Manifest, planned: List[CheckpointPlan], folder: str, start: str) -> List[Link]:
    """Return the links for checkpoints whose relative path starts at ``start`` and not at the working ``folder``.

    ``planned`` says where each checkpoint of the manifest is, in its order.
    """
    if os.path.realpath(folder) == os.path.realpath(start):
        return []
    found = []
    for item, place in zip(manifest.checkpoints, planned):
        if item.path.startswith(("/", "~", _OF_THE_HUB)):
            continue
        path = os.path.normpath(os.path.join(folder, item.path))
        same = os.path.lexists(path) and os.path.realpath(path) == os.path.realpath(place.path)
        found.append(Link(path, place.path, same, not same and _in_the_way(path)))
    return found


def _in_the_way(path: str) -> bool:
    """Tell whether something is at a path, or a file where it needs a folder."""
    if os.path.lexists(path):
        return True
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    return not os.path.isdir(above)


def refuse_occupied(links: List[Link]) -> None:
    """Refuse to put a link where something else is. Raises RestoreError (code 6)."""
    paths = [link.path for link in links if link.occupied]
    if paths:
        raise RestoreError(
            MISFIT,
            "[restore] link wants a link to a checkpoint where something else is",
            items=paths,
            next="move it away, or build without link; " + anyway("keeps what is there"),
        )


def make(links: List[Link], run: str) -> None:
    """Make the links of a run; their folders are there. Raises RestoreError (code 7), also for what is there by now."""
    try:
        for link in links:
            part = waiting(link.path, run)
            os.symlink(link.target, part)
            if not os.path.lexists(link.path):
                os.rename(part, link.path)
            elif os.path.realpath(link.path) != os.path.realpath(part):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), part, None, link.path)
    except OSError as error:
        raise machine_error(error, "make a link", str(error.filename2 or "")) from error
