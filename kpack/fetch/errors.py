"""What a failed fetch says: which file of which URL, and which of several mirrors' failures to tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError
from kpack.urls import shown

if TYPE_CHECKING:
    from kpack.fetch.model import Download


def where(download: Download, url: str) -> str:
    """Return how a message names a file and its URL."""
    return f"{download.name} ({shown(url)})"


def mismatch(download: Download, url: str, what: str) -> IntegrityError:
    """Return the error for bytes that are not the ones wanted."""
    return IntegrityError(
        what,
        where=where(download, url),
        next="the file was altered on the way or replaced at its source: find out which before you lock it anew "
        f"({download.anew or 'kpack lock --upgrade'})",
    )


def verdict(failures: list[KpackError]) -> KpackError:
    """Choose what to say when every mirror failed: wrong bytes weigh more than none."""
    for kind in (IntegrityError, NetworkError, MachineError):
        chosen = [failure for failure in failures if isinstance(failure, kind)]
        if chosen:
            others = [failure for failure in failures if failure is not chosen[0]]
            if others:
                chosen[0].what += "".join(f"; {failure.where}: {failure.what}" for failure in others)
            return chosen[0]
    raise AssertionError("only these kinds are collected")
