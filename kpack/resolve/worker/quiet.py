"""Users and passwords of URLs, kept off the command lines of pip and git that pip starts.

What stands on a command line is read by everyone on the machine; an environment variable is not.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from pip._internal.utils.subprocess import format_command_args
from pip._internal.vcs.git import Git

from kpack import urls
from kpack.git import GitAccess, access

try:
    from pip._internal.build_env import installer as pip_installer
except ImportError:  # pip 26.2 and older
    from pip._internal import build_env as pip_installer

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIPS_CALL = pip_installer.call_subprocess
_BY_VARIABLE = {"-i": "PIP_INDEX_URL", "--extra-index-url": "PIP_EXTRA_INDEX_URL", "--find-links": "PIP_FIND_LINKS"}


def _call_quietly(words: list[str], *args: Any, **more: Any) -> Any:
    """Stand for the call by which pip fills a build environment: URLs with a user go by its environment variables."""
    kept, given = quiet(words)
    return _PIPS_CALL(kept, *args, **{**more, "extra_environ": {**(more.get("extra_environ") or {}), **given}})


def quiet(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the words of a pip command without options whose URL has a user, and the variables that say the same."""
    kept: list[str] = []
    given: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        name = _BY_VARIABLE.get(word)
        if name is None:
            kept.append(word)
            continue
        url = next(rest)
        if urls.has_user(url):
            given[name] = f"{given.get(name, '')} {url}".strip()
        else:
            kept += [word, url]
    return kept, given


class _QuietGit:
    """Keeps the user and password of a repository's URL off pip's command lines of git."""

    how = GitAccess()
    """For the repository that pip has to do with."""

    read = Git.get_url_rev_and_auth
    run = Git.run_command

    @classmethod
    def get_url_rev_and_auth(cls, url: str) -> tuple[str, str | None, Any]:
        """Stand for `Git.get_url_rev_and_auth`, which pip asks before it does anything with a URL."""
        address, revision, user = cls.read(url)
        cls.how = access(address, os.environ)
        return cls.how.url, revision, user

    @classmethod
    def run_command(cls, words: list[Any], *args: Any, **more: Any) -> str:
        """Stand for `Git.run_command`."""
        more["extra_environ"] = {**(more.get("extra_environ") or {}), **cls.how.variables}
        more.setdefault("command_desc", format_command_args(["git", *words]))
        return str(cls.run([*cls.how.options, *words], *args, **more))


def install() -> None:
    """Let pip start git and itself so from now on."""
    pip_installer.call_subprocess = _call_quietly
    Git.get_url_rev_and_auth, Git.run_command = _QuietGit.get_url_rev_and_auth, _QuietGit.run_command
