"""git over HTTP with a user and password that stand on no command line and in no ``.git/config``.

Anybody on a machine may read the command lines of its processes, those of git's own helpers, too; and what a clone
keeps of its URL is there for the code that is built in it. So git is given the URL without them, and asks a credential
helper (gitcredentials(7)), which has them from its environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

_USERNAME, _PASSWORD = "GIT_USERNAME_FOR_KPACK", "GIT_PASSWORD_FOR_KPACK"
_HELPER = (
    f'!f() {{ if test "$1" = get; then printf "username=%s\\npassword=%s\\n" "${_USERNAME}" "${_PASSWORD}"; fi; }}; f'
)


class GitAccess(NamedTuple):
    """How git is called for a repository."""

    url: str = ""
    """As git is given it."""
    options: tuple[str, ...] = ()
    """Of git itself, before the command."""
    variables: Mapping[str, str] = {}
    """Of its environment, beside all others."""


def access(url: str, environ: Mapping[str, str]) -> GitAccess:
    """Return how git is called for ``url`` (without ``git+``) in an environment of ``environ``.

    A user without password is one whose password git's own helpers know: they are asked as ever (git 2.31 tells them
    the name). The user of a URL over ssh stays in it, its key is elsewhere.
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or parts.scheme not in {"http", "https"}:
        return GitAccess(url)
    name, colon, password = user.partition(":")
    plain = f"{parts.scheme}://{host}{url.partition('://')[2].removeprefix(parts.netloc)}"
    key = f"credential.{parts.scheme}://{host}"
    if colon:
        options = ("-c", f"{key}.helper=", "-c", f"{key}.helper={_HELPER}")  # the empty one takes those before it away
        return GitAccess(plain, options, {_USERNAME: unquote(name), _PASSWORD: unquote(password)})
    given = environ.get("GIT_CONFIG_COUNT", "")
    count = int(given) if given.isdecimal() else 0  # git refuses any other, and this one takes its place
    return GitAccess(
        plain,
        (),
        {
            "GIT_CONFIG_COUNT": str(count + 1),
            f"GIT_CONFIG_KEY_{count}": f"{key}.username",
            f"GIT_CONFIG_VALUE_{count}": unquote(name),
        },
    )
