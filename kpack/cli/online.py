"""What ``kpack verify --online`` adds: each locked sha256, asked of the index by another road."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack import lock as locks
from kpack.cli.session import say
from kpack.online import check

if TYPE_CHECKING:
    from kpack.pack.read import ReadPack


def problems_of(pack: ReadPack) -> list[dict[str, str]]:
    """Return a problem for every file of the pack's lock that its index reports otherwise.

    What was confirmed, and what nobody could be asked about, is said on stderr.

    Raises:
        NetworkError: an index cannot be reached.
        MachineError: hashin cannot be used.

    """
    name = pack.manifest.lock
    opinion = check(locks.loads(pack.data(name).decode("utf-8"), f"{pack.path}: {name}"))
    say(f"online: {len(opinion.confirmed)} of the files confirmed by the JSON API of their index")
    for item in opinion.unasked:
        say(f"note: {item.file}: not confirmed: {item.what}")
    return [{"where": item.file, "what": item.what} for item in opinion.doubts]
