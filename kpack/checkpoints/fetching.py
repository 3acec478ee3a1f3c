"""Locked checkpoints -> verified files on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from kpack.checkpoints import hub, kaggle
from kpack.errors import IntegrityError, MachineError, NetworkError, typed
from kpack.fetch import Download
from kpack.hubs import hub_address, kaggle_address
from kpack.urls import file_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from kpack.checkpoints import LockedCheckpoint
    from kpack.fetch import Fetched, Fetcher
    from kpack.hubs import KaggleAddress


def fetch(checkpoints: Iterable[LockedCheckpoint], fetcher: Fetcher, *, folder: Path) -> Mapping[str, Fetched]:
    """Have the file of every checkpoint that is packed (not ``attached``); the keys are their SHA-256.

    ``folder`` is that of kaggle-env.toml, where relative ``file:`` URLs start.

    Raises:
        IntegrityError, NetworkError, MachineError: as `kpack.fetch.Fetcher.fetch`.
        UsageError: the client that hf:// or kaggle:// needs is not installed.

    """
    locked = {checkpoint.sha256: checkpoint for checkpoint in checkpoints if checkpoint.attached is None}
    web: list[Download] = []
    mirrored: list[tuple[KaggleAddress, Download]] = []
    for checkpoint in locked.values():
        cached = fetcher.cache.find(checkpoint.sha256, checkpoint.size) is not None
        alone = urlsplit(checkpoint.urls[0]).scheme in {"http", "https", "file"}  # a repository is let go of as a whole
        file = download(
            checkpoint.path,
            checkpoint.urls,
            checkpoint.sha256,
            checkpoint.size,
            folder,
            cached=cached,
            anew=f"kpack lock -P {typed(checkpoint.path)}" if alone else None,
        )
        on_kaggle = [url for url in checkpoint.urls if urlsplit(url).scheme == "kaggle"]
        if on_kaggle and not cached:
            mirrored.append((kaggle_address(on_kaggle[0]), file))
        else:
            web.append(file)
    fetched = dict(fetcher.fetch(web))
    left = []
    for address, file in mirrored:
        try:
            fetched |= fetcher.fetch([file] if file.urls else [])
        except (NetworkError, IntegrityError, MachineError):
            left.append((address, file))  # the other mirrors failed; Kaggle has it too
        else:
            left += [(address, file)] if not file.urls else []
    fetched |= kaggle.fetch(left, fetcher)
    return {item.sha256: item for item in fetched.values()}


def download(
    name: str,
    urls: Iterable[str],
    sha256: str | None,
    size: int | None,
    folder: Path,
    *,
    cached: bool = False,
    anew: str | None = None,
) -> Download:
    """Return what to ask the fetcher for; URLs on Kaggle are left out.

    For a file that is ``cached`` no client of a hub is needed, and its hf:// URLs are left as they are.
    ``anew`` is as in `kpack.fetch.Download`.
    """
    plain: list[str] = []
    headers: list[tuple[str, str, str]] = []
    for url in urls:
        scheme = urlsplit(url).scheme
        if scheme == "hf" and not cached:
            address, sent = hub.request(hub_address(url))
            plain.append(address)
            headers += [(address, key, value) for key, value in sent]
        elif scheme == "file":
            plain.append((folder / file_path(url)).absolute().as_uri())
        elif scheme != "kaggle":
            plain.append(url)
    return Download(name=name, urls=tuple(plain), sha256=sha256, size=size, headers=tuple(headers), anew=anew)
