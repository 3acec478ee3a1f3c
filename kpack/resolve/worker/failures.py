"""What pip says when a direct URL or a repository cannot be fetched, told apart from what cannot be solved."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from pip._internal.exceptions import HashMismatch, InstallationSubprocessError, InvalidWheel, NetworkConnectionError
from pip._vendor.requests import RequestException, utils

from kpack import urls
from kpack.hosts import certificate_trouble, proxy_trouble
from kpack.resolve.wire import Failure

if TYPE_CHECKING:
    from collections.abc import Iterable

_URL = re.compile(r"[a-z+]+://[^\s;\"'<>]+")
_FATAL = re.compile(r"^(?:fatal|error|ERROR): (.+)$", re.MULTILINE)
"""The row in which git says why it stops."""
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:#|\Z)")
_LET_GO = "; if the repository has lost that commit, let go of it: kpack lock --upgrade-package NAME"


def network(error: BaseException, asked: Iterable[str]) -> Failure | None:
    """Return the failure for a fetch that failed, or None when ``error`` is of another kind.

    ``asked`` are the requested lines: pip's words do not always name the URL.
    """
    found = next((each for each in _chain(error) if _is_network(each)), None)
    if found is None:
        return None
    named = [match[0] for line in asked for match in _URL.finditer(line)]
    words = " ".join(str(each) for each in _chain(error))
    url = next((url for url in named if urls.host(url) in words), named[0] if named else "")
    trouble = proxy_trouble(url.removeprefix("git+"), found, utils) if url else None
    if trouble is not None:
        return Failure(kind="network", host=urls.shown(url), text=trouble.what, next=trouble.next)
    certificate = certificate_trouble(found)
    return Failure(
        kind="network",
        host=urls.shown(url) if url else "the index",
        text=certificate.what if certificate else _reason(found),
        status=getattr(getattr(found, "response", None), "status_code", None),
        next=certificate.next
        if certificate
        else "check the URL in packages and the network, and try again" + (_LET_GO if _COMMIT.search(url) else ""),
    )


def digest(error: BaseException) -> Failure | None:
    """Return the failure for a file that is not what ``#sha256=`` in its URL says, or None."""
    found = next((each for each in _chain(error) if isinstance(each, HashMismatch)), None)
    if found is None:
        return None
    got = ", ".join(f"{name} is {hasher.hexdigest()}" for name, hasher in sorted(found.gots.items()))
    allowed = " or ".join(value for _, values in sorted(found.allowed.items()) for value in values)
    name = getattr(found.req, "name", None) or "a file"
    return Failure(
        kind="integrity",
        text=f"{name}: {got}, its URL in packages says {allowed}",
        next="find out whether the file or the digest is the wrong one, and correct packages",
    )


def broken(error: BaseException) -> Failure | None:
    """Return the failure for a direct URL or a path that gives no wheel although its name says so, or None."""
    found = next((each for each in _chain(error) if isinstance(each, InvalidWheel)), None)
    if found is None:
        return None
    return Failure(
        kind="integrity",
        text=f"{found.name}: {posixpath.basename(str(found.location))} is no wheel: no zip archive, or a cut one",
        next="look at what its URL gives (a server may send a page that asks who you are), or bring the file again",
    )


def _chain(error: BaseException) -> Iterable[BaseException]:
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        seen.append(at)
        at = at.__cause__ or at.__context__
    return seen


def _is_network(error: BaseException) -> bool:
    if isinstance(error, InstallationSubprocessError):
        return str(error.command_description).startswith("git ")
    # pip 26 has a module of exceptions for this, older ones have one class and let those of requests through.
    return isinstance(error, (NetworkConnectionError, RequestException)) or type(error).__module__.endswith(
        "exceptions.network"
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, InstallationSubprocessError):
        command = " ".join(error.command_description.split()[:2])
        said = _FATAL.search(str(getattr(error.context, "plain", error.context)))
        why = f": {urls.redacted(said[1].strip())}" if said else f" (exit status {error.exit_code})"
        return f"{command} failed{why}"
    context = getattr(error, "context", None)
    words = str(getattr(context, "plain", context) or error)
    return urls.redacted(words.splitlines()[0] if words else type(error).__name__)
