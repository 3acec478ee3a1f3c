"""Finding an attached checkpoint by its size and digest, wherever Kaggle has mounted the input that holds it."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from itertools import islice
from typing import Deque, Dict, Iterable, Iterator, List, Tuple

from .errors import machine_error

ROOT = "/kaggle/input"
"""What the manifest names for a checkpoint that may be anywhere below it; ``KPACK_INPUT`` names another root."""

SHARES = 3000.0
"""How the search is bounded: a folder divides its share equally among the folders in it, and one with a share of 1 or
less is not listed. So no large input takes the share of another one, and about as many folders are listed at most."""

ENTRIES = 9_999
"""Entries of a folder that are looked at."""

FILES = 100_000
"""Files that are asked for their size in all."""

HASHED = 16
"""Files of the right size that are hashed for one checkpoint."""


def find(wanted: Iterable[Tuple[str, int, str]]) -> Dict[str, str]:
    """Return where checkpoints are, by digest; those that are nowhere are left out.

    ``wanted`` are (SHA-256, size in bytes, path where it lands). Only files of exactly that size are read: those of
    the same name first, then those nearer to the root. Raises RestoreError (code 7) when one cannot be read.
    """
    items = list(wanted)
    sizes: Dict[int, List[str]] = {size: [] for _, size, _ in items}
    if items:
        for path, size in islice(_files(os.environ.get("KPACK_INPUT") or ROOT), FILES):
            if size in sizes:
                sizes[size].append(path)
    found: Dict[str, str] = {}
    digests: Dict[str, str] = {}
    for digest, size, lands in items:
        name = os.path.basename(lands)
        for path in sorted(sizes[size], key=lambda path: os.path.basename(path) != name)[:HASHED]:
            if path not in digests:
                digests[path] = sha256_of(path)
            if digests[path] == digest:
                found[digest] = path
                break
    return found


def _files(root: str) -> Iterator[Tuple[str, int]]:
    """Yield (path, size in bytes) of the regular files below ``root``, folder by folder, those near to it first."""
    waiting: Deque[Tuple[float, str]] = deque([(SHARES, root)])
    while waiting:
        share, folder = waiting.popleft()
        folders = []
        try:
            with os.scandir(folder) as entries:
                for entry in sorted(islice(entries, ENTRIES), key=lambda entry: entry.name):
                    if entry.is_dir():
                        folders.append(entry.path)
                    elif entry.is_file():
                        yield entry.path, entry.stat().st_size
        except OSError:
            continue  # what cannot be listed holds nothing that could be restored
        share /= len(folders) + 0.5
        waiting.extend((share, path) for path in folders if share > 1)


def sha256_of(path: str) -> str:
    """Return the SHA-256 of a file. Raises RestoreError (code 7) when it cannot be read."""
    hasher = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    try:
        with open(path, "rb", buffering=0) as stream:
            while True:
                count = stream.readinto(buffer)
                if not count:
                    return hasher.hexdigest()
                hasher.update(buffer[:count])
    except OSError as error:
        raise machine_error(error, "read", path) from error
