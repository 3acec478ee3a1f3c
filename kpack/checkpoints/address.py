"""Addresses of checkpoints: ``hf://`` and ``kaggle://`` taken apart, names that carry a digest."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from kpack.checkpoints import HUB_FOLDER
from kpack.errors import UsageError

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HF = re.compile(
    r"hf://(?:(?P<type>datasets|spaces)/|(?!(?:datasets|spaces)/))(?P<repo>[^/@\s?#]+/[^/@\s?#]+)"
    r"(?:@(?P<revision>[^/@\s?#]+))?(?:/(?P<path>[^?#]*))?(?:#(?P<asked>.+))?"
)
_KAGGLE = re.compile(
    r"kaggle://(?P<handle>datasets/[^/@\s]+/[^/@\s]+|models/[^/@\s]+/[^/@\s]+/[^/@\s]+/[^/@\s]+)"
    r"(?:@(?P<version>[0-9]+))?(?:/(?P<path>[^?#]*))?(?:#(?P<asked>.+))?"
)
_DIGEST_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAddress:
    """``hf://[datasets/|spaces/]org/repo[@revision][/path]``.

    In a lock the revision is the commit, and the fragment keeps the revision that was asked for.
    """

    kind: Literal["model", "dataset", "space"]
    repo: str
    revision: str
    """A branch, tag or commit; ``%2F`` in it stands for a slash."""
    path: str
    """Of one file, or of a folder (ends with a slash, or empty for the whole repository)."""
    asked: str | None = None

    @property
    def pinned(self) -> bool:
        """The revision is a commit."""
        return _COMMIT.fullmatch(self.revision) is not None

    @property
    def is_file(self) -> bool:
        """The address names one file."""
        return bool(self.path) and not self.path.endswith("/")

    @property
    def wanted(self) -> str:
        """The revision as it was asked for."""
        return self.asked or self.revision

    def at(self, commit: str, path: str) -> HubAddress:
        """Return the address of one file at a commit."""
        return replace(self, revision=commit, path=path, asked=None if self.wanted == commit else self.wanted)

    def cached(self, name: str) -> str:
        """Return the path of a file of the repository in the cache layout."""
        return f"{HUB_FOLDER}/{self.kind}s--{self.repo.replace('/', '--')}/{name}"

    def __str__(self) -> str:
        kind = "" if self.kind == "model" else f"{self.kind}s/"
        asked = f"#{quote(self.asked, safe='')}" if self.asked else ""
        return f"hf://{kind}{self.repo}@{quote(self.revision, safe='')}/{quote(self.path)}{asked}"


@dataclass(frozen=True, slots=True, kw_only=True)
class KaggleAddress:
    """``kaggle://datasets/owner/slug[@version][/path]`` or ``kaggle://models/owner/model/framework/variation…``."""

    handle: str
    """With its first word, ``datasets`` or ``models``."""
    version: int | None
    path: str
    asked: str | None = None
    """``newest`` when the version was found at lock time."""

    @property
    def is_file(self) -> bool:
        """The address names one file."""
        return bool(self.path) and not self.path.endswith("/")

    def at(self, version: int, path: str) -> KaggleAddress:
        """Return the address of one file of a version."""
        return replace(self, version=version, path=path, asked="newest" if self.version is None else self.asked)

    def __str__(self) -> str:
        version = "" if self.version is None else f"@{self.version}"
        asked = f"#{self.asked}" if self.asked else ""
        return f"kaggle://{self.handle}{version}/{quote(self.path)}{asked}"


def hub_address(url: str) -> HubAddress:
    """Take an ``hf://`` URL apart; without a revision it is ``main``."""
    match = _HF.fullmatch(url)
    if match is None:
        raise UsageError(f"not complete: {url}", next="write hf://org/repo@revision/path")
    kinds: dict[str | None, Literal["model", "dataset", "space"]] = {"datasets": "dataset", "spaces": "space"}
    return HubAddress(
        kind=kinds.get(match["type"], "model"),
        repo=match["repo"],
        revision=unquote(match["revision"] or "main"),
        path=_relative(unquote(match["path"] or "")),
        asked=unquote(match["asked"]) if match["asked"] else None,
    )


def kaggle_address(url: str) -> KaggleAddress:
    """Take a ``kaggle://`` URL apart."""
    match = _KAGGLE.fullmatch(url)
    if match is None:
        raise UsageError(f"not complete: {url}", next="write kaggle://datasets/owner/slug@version/path")
    return KaggleAddress(
        handle=match["handle"],
        version=int(match["version"]) if match["version"] else None,
        path=_relative(unquote(match["path"] or "")),
        asked=match["asked"],
    )


def _relative(path: str) -> str:
    """Return ``path`` if it stays below its folder."""
    if path and {"", ".", ".."} & set(path.removesuffix("/").split("/")):
        raise UsageError(f"not a plain path: {path!r}", next="write it without . and .. and double slashes")
    return path


def digest_in_name(url: str) -> str | None:
    """Return the start of a SHA-256 that a file name carries by the torch hub convention, ``name-c1212f89.ckpt``.

    A name whose digits could as well be a date or a number of steps (decimal only) says nothing.
    """
    match = _DIGEST_IN_NAME.search(posixpath.basename(urlsplit(url).path))
    return match[1] if match and not match[1].isdecimal() else None
