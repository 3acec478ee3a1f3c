"""Repositories of the Hugging Face Hub, through its own client ``huggingface_hub`` (extra ``hf``)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kpack.checkpoints import clients
from kpack.errors import IntegrityError, NetworkError
from kpack.files import is_sha256
from kpack.hosts import certificate_trouble
from kpack.hubs import is_commit
from kpack.urls import redacted

if TYPE_CHECKING:
    from kpack.hubs import HubAddress

_OF_NOTHING = hashlib.sha256().hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A file of a repository, as the Hub lists it."""

    path: str
    size: int | None
    """Bytes."""
    sha256: str | None
    """Known for files in large-file storage; None for those in git, and where the Hub says what is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubListing:
    """The files of a repository at one commit, sorted by path."""

    commit: str
    files: tuple[HubFile, ...]


def listing(address: HubAddress) -> HubListing:
    """Ask the Hub which commit a revision is and which files it has.

    Raises:
        UsageError: ``huggingface_hub`` is not installed.
        NetworkError: the Hub cannot be reached, or does not show that repository or revision.
        IntegrityError: it answers for another commit than the one that is asked for, or for none.

    """
    try:
        import huggingface_hub
    except ImportError:
        raise clients.missing("hf") from None
    try:
        info = huggingface_hub.HfApi().repo_info(
            address.repo, repo_type=address.kind, revision=address.revision, files_metadata=True, timeout=30
        )
    except Exception as error:  # its own errors, and those of whichever HTTP client its version uses
        raise NetworkError(
            f"the Hub does not answer for it: {type(error).__name__}: {_words(error)}",
            where=str(address),
            next=_advice(error),
        ) from error
    files = [
        HubFile(
            path=sibling.rfilename,
            size=_size(sibling),
            sha256=_sha256(sibling),
        )
        for sibling in info.siblings or ()
    ]
    commit = str(info.sha)
    if not is_commit(commit) or (address.pinned and commit != address.revision):
        raise IntegrityError(
            f"the Hub answers with commit {commit!r:.60} for {address.revision}",
            where=str(address),
            next="ask the Hub itself: a mirror (HF_ENDPOINT) that does so is of no use",
        )
    return HubListing(commit=commit, files=tuple(sorted(files, key=lambda file: file.path)))


def _words(error: Exception) -> str:
    """Return the first line of an error, and what the server itself said."""
    first = str(error).strip().partition("\n")[0]
    said = " ".join(str(getattr(error, "server_message", None) or "").split())[:300]
    return redacted(f"{first} {said}" if said and said not in first else first) or type(error).__name__


def _advice(error: Exception) -> str:
    older = type(error).__module__.startswith("requests.")  # before 1.0
    variable = "REQUESTS_CA_BUNDLE" if older else "SSL_CERT_FILE"
    if (trouble := certificate_trouble(error, variable=variable)) is not None:
        return trouble.next if older else f"{trouble.next} (the Hub's client looks at SSL_CERT_FILE alone)"
    status = getattr(getattr(error, "response", None), "status_code", 0)
    if type(error).__name__ == "RevisionNotFoundError":
        return "name a branch, tag or commit that is there; a slash in its name is written %2F"
    if type(error).__name__ == "JSONDecodeError":
        return "what answers is not the Hub: see HF_ENDPOINT, the proxy, or a page of the network to sign in at"
    if status >= 500:
        return "the Hub has trouble of its own: try again later"
    if status == 429:
        return "the Hub limits how often it is asked: wait some minutes; who is signed in may ask more often"
    return "check the name and the network; a private or gated repository needs `hf auth login` or HF_TOKEN"


def _size(sibling: Any) -> int | None:
    """Return a file's size; a Hub that lists none of a file in large-file storage (0) does not know it."""
    if sibling.lfs is None:
        return sibling.size  # type: ignore[no-any-return]
    size: int | None = sibling.lfs.size
    return None if size == 0 and _sha256(sibling) != _OF_NOTHING else size


def _sha256(sibling: Any) -> str | None:
    """Return a file's SHA-256 if that is what is listed; else (a blob of git, nothing) it has to be fetched."""
    listed = str(sibling.lfs.sha256).lower() if sibling.lfs is not None else ""
    return listed if is_sha256(listed) else None


def request(address: HubAddress) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return the URL from which one file is fetched, and the headers (with the user's token, if any) to send.

    Raises:
        UsageError: ``huggingface_hub`` is not installed.

    """
    try:
        import huggingface_hub
        from huggingface_hub.utils import build_hf_headers
    except ImportError:
        raise clients.missing("hf") from None
    url = huggingface_hub.hf_hub_url(
        address.repo,
        address.path,
        repo_type=address.kind,
        revision=address.revision,
        endpoint=huggingface_hub.HfApi().endpoint,
    )
    headers = build_hf_headers(library_name="kpack")
    return str(url), tuple(sorted((str(key), str(value)) for key, value in headers.items()))
