"""Datasets and models of Kaggle, through its own client ``kagglehub`` (extra ``kaggle``), in a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import tether
from kpack.checkpoints import clients
from kpack.claims import locked
from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, UsageError
from kpack.fetch import Fetched, Finished, Started
from kpack.fetch.content import HEAD, Facts, instead
from kpack.fetch.decision import not_offline
from kpack.files import open_regular, sha256_of, vacate
from kpack.hubs import is_plain
from kpack.urls import redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kpack.cache import Cache
    from kpack.fetch import Download, Fetcher
    from kpack.hubs import KaggleAddress

# The client keeps what it gets in a folder of its own, prints progress and warnings, and reads its settings at
# import: a process apart keeps all that away from the caller. The client takes a part of a file for the whole one.
_CHILD = """
import json, sys
import kagglehub, requests
from requests.adapters import HTTPAdapter
send = HTTPAdapter.send
def whole(adapter, request, *rest, **settings):
    answer = send(adapter, request, *rest, **settings)
    if answer.status_code == 206 and "Range" not in request.headers:
        raise requests.exceptions.InvalidHeader("the server answered with a part of what was asked for")
    return answer
HTTPAdapter.send = whole
kind, handle, path = json.load(sys.stdin)
get = {"datasets": kagglehub.dataset_download, "models": kagglehub.model_download}[kind]
broken = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
try:
    answer = {"found": get(handle, path=path)}
except Exception as error:
    answer = {"error": " ".join(f"{type(error).__name__}: {error}".split()), "broken": isinstance(error, broken)}
sys.stdout.flush()
print("\\n" + json.dumps(answer))
"""


_LOCK = ".lock"


@contextlib.contextmanager
def downloaded(address: KaggleAddress, cache: Cache) -> Iterator[tuple[int, Path]]:
    """Have the client bring a file or all files of an address; yield its version and the folder or file.

    What was brought is removed at the end; an interrupted download stays for the next try.

    Raises:
        UsageError: ``kagglehub`` is not installed.
        NetworkError: Kaggle cannot be reached, or does not show that dataset or model.

    """
    if clients.is_missing("kaggle"):
        raise clients.missing("kaggle")
    kind, _, handle = address.handle.partition("/")
    if address.version is not None:
        handle += f"/versions/{address.version}" if kind == "datasets" else f"/{address.version}"
    key = hashlib.sha256(f"{kind}/{handle}/{address.path}".encode()).hexdigest()[:24]
    folder = cache.parts_dir / f"kaggle-{key}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        vacate(folder / _LOCK)
        lock = (folder / _LOCK).open("ab")
    except OSError as error:
        raise MachineError(f"the cache cannot be used: {error.strerror or error}", where=str(folder)) from error
    with lock, locked(lock):
        begun = any(path.is_file() and path.name != _LOCK for path in folder.rglob("*"))
        question = json.dumps([kind, handle, address.path if address.is_file else None])
        answer = _ask(question, folder)
        if begun and "error" in answer and not answer.get("broken"):
            answer = _ask(question, folder)  # what was there was not the beginning of it
        if "error" in answer:
            raise NetworkError(
                f"kagglehub failed: {redacted(answer['error'])}",
                where=str(address),
                next="check the name and the network; what is private needs KAGGLE_USERNAME and KAGGLE_KEY",
            )
        found = Path(answer["found"])
        try:
            yield _version(address, found), found
        except KpackError:
            _clear(folder)  # what is not to be had must not be there again
            raise
        # Elsewhere it is the read-only mount of a Kaggle notebook.
        if found.is_relative_to(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _ask(question: str, folder: Path) -> dict[str, str]:
    """Return what the client said; of a failed download only what a broken connection left stays."""
    child = tether.run(
        [sys.executable, "-c", _CHILD],
        stdin=question,
        env={**os.environ, "KAGGLEHUB_CACHE": str(folder), "KAGGLEHUB_VERBOSITY": "error"},
    )
    rows = child.stdout.splitlines()
    answer: dict[str, str] = json.loads(rows[-1]) if child.returncode == 0 else {"error": _last(child.stderr)}
    if "error" in answer and not answer.get("broken"):
        _clear(folder)
    return answer


def _clear(folder: Path) -> None:
    """Remove what the client has brought; its folder stays, because it is locked by a file in it."""
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _last(text: str) -> str:
    return next((row.strip() for row in reversed(text.splitlines()) if row.strip()), "it said nothing")


def _version(address: KaggleAddress, found: Path) -> int:
    """Read the version off the place that the client chose: ``…/versions/3/…``, or ``…/variation/3/…``."""
    if address.version is not None:
        return address.version
    root = Path(str(found).removesuffix("/" + address.path)) if address.is_file else found
    if root.name.isdecimal():
        return int(root.name)
    raise UsageError(
        "the client does not say which version it brought", where=str(address), next="write the version: …@3"
    )


def refuse_odd(path: Path, name: str, address: KaggleAddress, cache: Cache) -> None:
    """Refuse what the client has brought as the file ``name`` where it is none that can be packed.

    Raises:
        IntegrityError: its name is no path below a folder, or it is a link.
        NetworkError: its bytes are those of a page or a pointer.

    """
    choose = "choose the files that you need with include = […]"
    if not is_plain(name):
        raise IntegrityError(
            f"it has a file {name!r:.200}, and that is no path below a folder", where=str(address), next=choose
        )
    if path.is_symlink() and path.is_relative_to(cache.root):
        raise IntegrityError(f"its {name} is a link, and no file of its own", where=str(address), next=choose)
    with open_regular(path) as stream:
        odd = instead(name, stream.read(HEAD), Facts())
    if odd is not None:
        raise NetworkError(f"its {name} cannot be taken: {odd}", where=str(address), next=choose)


def keep(path: Path, cache: Cache) -> str:
    """Bring a file that the client downloaded into the cache and return its SHA-256."""
    sha256 = sha256_of(path)
    if cache.find(sha256, path.stat().st_size) is None:
        with cache.temporary() as folder:
            copy = folder / "file"
            if path.is_relative_to(cache.root):
                shutil.move(path, copy)
            else:
                shutil.copyfile(path, copy)
            cache.adopt(copy, sha256)
    return sha256


def fetch(addresses: Iterable[tuple[KaggleAddress, Download]], fetcher: Fetcher) -> dict[Download, Fetched]:
    """Have every locked file, from the cache or from Kaggle.

    Raises:
        IntegrityError: a file is not the one that was locked.
        NetworkError: Kaggle cannot be reached, or the fetcher is offline and the cache does not have it.

    """
    cache = fetcher.cache
    done: dict[Download, Fetched] = {}
    missing: dict[KaggleAddress, list[tuple[KaggleAddress, Download]]] = {}
    for address, download in addresses:
        assert download.sha256 is not None
        path = cache.find(download.sha256, download.size)
        if path is not None:
            done[download] = Fetched(path=path, sha256=download.sha256, size=path.stat().st_size, hashed=False)
        elif fetcher.offline:
            raise not_offline(download, str(address))
        else:
            assert address.version is not None
            missing.setdefault(address.at(address.version, ""), []).append((address, download))
    for whole, wanted in missing.items():
        # One file is asked for alone; of several the client gets the archive of all.
        asked = wanted[0][0] if len(wanted) == 1 else whole
        for _, download in wanted:
            fetcher.tell(Started(download=download))
        with downloaded(asked, cache) as (_, found):
            for address, download in wanted:
                path = found if asked.is_file else found / address.path
                if not path.is_file():
                    raise IntegrityError("the file is not there any more", where=str(address))
                sha256 = keep(path, cache)
                if sha256 != download.sha256:
                    raise IntegrityError(
                        f"sha256 is {sha256}, not {download.sha256}",
                        where=str(address),
                        next="the file was altered on the way or at its source: find out before you lock it anew",
                    )
                place = cache.find(sha256)
                assert place is not None
                size = place.stat().st_size
                done[download] = Fetched(path=place, sha256=sha256, size=size, hashed=True)
                fetcher.tell(Finished(download=download, size=size))
    return done
