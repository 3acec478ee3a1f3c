"""What a server says of its refusal, in the headers in which model hubs say it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from kpack.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 300
"""Characters of a server's words that are shown."""

_LOGIN = "run `hf auth login`, or set HF_TOKEN"
_ADVICE = {
    "GatedRepo": f"ask for access on its page on the Hub, then {_LOGIN} to a token that may read it",
    "RepoNotFound": f"check the name; a private repository needs a token: {_LOGIN}",
    "RevisionNotFound": "that commit is gone: kpack lock --upgrade takes what is there now",
    "EntryNotFound": "that file is gone: kpack lock --upgrade takes what is there now",
}
"""By the ``X-Error-Code`` of the Hugging Face Hub."""


class RefusedFile(NamedTuple):
    """Why a URL does not give its file."""

    what: str
    advice: str
    """What to do; empty where only the status tells."""


def refusal(status: int, reason: str, headers: Mapping[str, str]) -> RefusedFile:
    """Return what there is to say of an answer that is no file."""
    what = f"status {status} {reason}".strip()
    said = redacted(" ".join(headers.get("X-Error-Message", "").split()))[:_LONGEST]
    advice = _ADVICE.get(headers.get("X-Error-Code", ""), "")
    if said and not advice and status in (401, 403):
        advice = f"{_LOGIN} to a token that may read it"
    return RefusedFile(f"{what}: {said}" if said else what, advice)
