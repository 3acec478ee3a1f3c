"""Addresses on the hubs of models, ``hf://`` and ``kaggle://``: files, folders and whole repositories."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote

from kpack.errors import UsageError
from kpack.urls import redacted

_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_HF = re.compile(
    rf"hf://(?:(?P<type>datasets|spaces)/|(?!(?:datasets|spaces)/))(?P<repo>{_PART}/{_PART})"
    r"(?:@(?P<revision>refs/(?:pr/[0-9]+|convert/[A-Za-z0-9_-]+)|[^/@\s?#]+))?(?:/(?P<path>[^?#]*))?(?:#(?P<asked>.+))?"
)
"""Two kinds of refs have slashes of their own, as for the Hub's client: those of pull requests and of conversions."""
_KAGGLE = re.compile(
    rf"kaggle://(?P<handle>datasets/{_PART}/{_PART}|models/{_PART}/{_PART}/{_PART}/{_PART})"
    r"(?:@(?P<version>[0-9]{1,18}))?(?:/(?P<path>[^?#]*))?(?:#(?P<asked>.+))?"
)


def is_commit(text: str) -> bool:
    """Tell whether ``text`` is a commit of the Hub, all 40 digits of it."""
    return _COMMIT.fullmatch(text) is not None


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
        return is_commit(self.revision)

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

    @property
    def folder(self) -> str:
        """The repository's folder in the cache of the Hub's own client."""
        return f"{self.kind}s--{self.repo.replace('/', '--')}"

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


def on_a_hub(url: str) -> HubAddress | KaggleAddress | None:
    """Return the address of a file, a folder or a whole repository on a hub of models; None for any other URL.

    Raises:
        UsageError: the URL has the scheme of a hub, but is not complete or names no plain path.

    """
    if url.startswith("hf://"):
        return hub_address(url)
    return kaggle_address(url) if url.startswith("kaggle://") else None


def hub_address(url: str) -> HubAddress:
    """Take an ``hf://`` URL apart; without a revision it is ``main``.

    Raises:
        UsageError: it is not complete, or names no plain path.

    """
    match = _HF.fullmatch(url)
    if match is None:
        raise UsageError(
            f"{redacted(url)} is not complete",
            next="write hf://org/repo@revision/path, or hf://org/repo@revision for all files",
        )
    kinds: dict[str | None, Literal["model", "dataset", "space"]] = {"datasets": "dataset", "spaces": "space"}
    return HubAddress(
        kind=kinds.get(match["type"], "model"),
        repo=match["repo"],
        revision=_revision(unquote(match["revision"] or "main")),
        path=_relative(unquote(match["path"] or "")),
        asked=_revision(unquote(match["asked"])) if match["asked"] else None,
    )


_PAGE = re.compile(
    r"https://(?:www\.)?huggingface\.co/(?P<type>datasets/|spaces/)?(?P<repo>[^/?#]+/[^/?#]+)"
    r"(?:/(?:tree|blob|resolve|raw)/(?P<revision>[^/?#]+)(?P<path>/[^?#]+)?)?/?(?:[?#].*)?"
)


def from_page(url: str) -> str:
    """Return the ``hf://`` address of what a page of the Hub shows; any other URL as it is.

    The branch ``main`` is what an address without a revision means.
    """
    match = _PAGE.fullmatch(url)
    if match is None or match["repo"].startswith(("api/", "docs/", "blog/", "collections/", "papers/")):
        return url
    revision = f"@{match['revision']}" if match["revision"] not in (None, "main") else ""
    folder = "/" if match["path"] and f"/tree/{match['revision']}/" in url and not match["path"].endswith("/") else ""
    return f"hf://{match['type'] or ''}{match['repo']}{revision}{match['path'] or ''}{folder}"


def of_shown_page(url: str) -> str | None:
    """Return the ``hf://`` address of what a page of the Hub shows, where no file lies at ``url`` itself."""
    address = from_page(url)
    return address if address != url and not re.search(r"/(?:resolve|raw)/", url) else None


def kaggle_address(url: str) -> KaggleAddress:
    """Take a ``kaggle://`` URL apart.

    Raises:
        UsageError: it is not complete, or names no plain path.

    """
    match = _KAGGLE.fullmatch(url)
    if match is None:
        raise UsageError(
            f"{redacted(url)} is not complete",
            next="write kaggle://datasets/owner/slug@version/path "
            "or kaggle://models/owner/model/framework/variation@version/path",
        )
    return KaggleAddress(
        handle=match["handle"],
        version=int(match["version"]) if match["version"] else None,
        path=_relative(unquote(match["path"] or "")),
        asked=match["asked"],
    )


def is_plain(path: str) -> bool:
    """Tell whether ``path`` names one place below its folder, as every file of a repository does."""
    return not _STEPS & set(path.split("/")) and _UNFIT.search(path) is None


_STEPS = frozenset({"", ".", ".."})
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")
"""What no path of a pack has: control characters, halves of characters, and what separates folders elsewhere."""


def _revision(text: str) -> str:
    """Return ``text`` if it is no way to another folder, as no branch or tag of git is."""
    return _relative(text if text.strip("/") == text else f"/{text}")


def _relative(path: str) -> str:
    """Return ``path`` if it stays below its folder; a folder's ends with a slash, and that of everything is empty."""
    if path and _STEPS & set(path.removesuffix("/").split("/")):
        raise UsageError(f"{path!r} does not name a plain path", next="write it without '.', '..' and double slashes")
    return path
