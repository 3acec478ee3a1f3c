"""The content-addressed cache: every file under its SHA-256, shared by projects and processes.

Who checks the bytes: a file enters only through `Cache.adopt`, after the bytes on disk were hashed. A hit is
handed out in one of two ways, and the name says which. `Cache.path` hashes the file in this process before it
returns. `Cache.find` and `Cache.open` look at the size only, for a consumer that hashes every byte it reads from
the open file itself, as the pack writer does; such a consumer calls `Cache.damaged` when the digest differs.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kpack import claims
from kpack.errors import IntegrityError, MachineError, UsageError, room_advice
from kpack.files import OddFileError, is_sha256, lenient, open_regular, permit, sha256_of, vacate

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator

_TOUCH_AFTER = 3600
"""Seconds: a file used again sooner keeps its time of last use."""

_YOUNG = 24 * 3600
"""Seconds during which a temporary file may still have a process that writes it."""

_PARTS_AND_TEMPORARIES = ("parts", "tmp")
_MEMORIES = ("http", "built", "admitted", "native", "spans", "uploads", "audit")
"""Folders of what can be found out again: pages, and notes that the source, pack, lint and publish rooms keep."""


def default_root() -> Path:
    """Return the cache folder: ``KPACK_CACHE``, else ``kpack`` in the user's cache folder (XDG base directories)."""
    if chosen := os.environ.get("KPACK_CACHE"):
        try:
            return Path(chosen).expanduser().absolute()
        except RuntimeError as error:
            what = "KPACK_CACHE begins with a home folder that nobody knows"
            raise MachineError(what, where=chosen, next="write the whole path of a folder") from error
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative value is invalid and to be ignored.
    if xdg and Path(xdg).is_absolute():
        return Path(xdg) / "kpack"
    if os.name == "nt" and (local := os.environ.get("LOCALAPPDATA")):
        return Path(local) / "kpack" / "cache"
    try:
        return Path.home() / ".cache" / "kpack"
    except RuntimeError as error:
        raise MachineError("no home folder to keep a cache in", next="set KPACK_CACHE to a folder") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSize:
    """What the cache holds, in files and bytes."""

    files: int
    bytes: int
    partial_bytes: int
    """Of interrupted downloads and temporary files."""
    http_bytes: int
    """Of index pages and metadata that the resolver keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A file of the cache whose bytes were not the ones of its name; it has been removed."""

    sha256: str
    found: str
    """The digest of what was there, or why it has none."""
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """What a `Cache.prune` removed."""

    files: int
    bytes: int


class Cache:
    """A folder of files named by their SHA-256.

    ``root`` is made on first use; None for `default_root`. All methods may be called from several threads and
    processes at once. Digests are 64 lower-case hexadecimal digits; anything else is a `UsageError`.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root.absolute() if root is not None else default_root()

    def __repr__(self) -> str:
        return f"Cache({str(self.root)!r})"

    @property
    def http_dir(self) -> Path:
        """The folder of the resolver's HTTP cache."""
        return self.root / "http"

    @property
    def parts_dir(self) -> Path:
        """The folder of interrupted downloads."""
        return self.root / "parts"

    @property
    def built_dir(self) -> Path:
        """The folder that remembers which wheel was built from which source."""
        return self.root / "built"

    def find(self, sha256: str, size: int | None = None) -> Path | None:
        """Return where the file is, or None; only its size is compared, so the consumer must hash what it reads.

        A file of another size than ``size`` (bytes) is damaged: it is removed and None returned.
        """
        path = self._place(sha256)
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unusable(error) from error
        if not stat.S_ISREG(status.st_mode):
            vacate(path)
            return None
        if size is not None and status.st_size != size:
            self._remove(path)
            return None
        if abs(time.time() - status.st_mtime) > _TOUCH_AFTER:
            with contextlib.suppress(OSError):  # somebody else's file in a shared cache: its age is their business
                os.utime(path)
        return path

    def path(self, sha256: str) -> Path:
        """Return where the file is, after hashing all of it.

        Raises:
            MachineError: the cache does not have it.
            IntegrityError: the bytes were damaged; the file has been removed.

        """
        path = self.find(sha256)
        if path is None:
            raise self._absent(sha256)
        found = sha256_of(path)
        if found != sha256:
            raise self.damaged(sha256, found)
        return path

    def open(self, sha256: str) -> IO[bytes]:
        """Open the file for a consumer that hashes it.

        Raises:
            MachineError: the cache does not have it.

        """
        path = self.find(sha256)
        if path is None:
            raise self._absent(sha256)
        try:
            return open_regular(path)
        except FileNotFoundError as error:
            raise self._absent(sha256) from error
        except OSError as error:
            raise self._unusable(error) from error

    def damaged(self, sha256: str, found: str) -> IntegrityError:
        """Remove the file whose bytes hash to ``found``, and return the error to raise."""
        path = self._place(sha256)
        self._remove(path)
        return IntegrityError(
            f"a cached file was damaged: sha256 is {found}, not {sha256}",
            where=str(path),
            next="the damaged copy has been removed; run the command again and it is fetched anew",
        )

    @contextlib.contextmanager
    def temporary(self) -> Iterator[Path]:
        """Yield a new private folder inside the cache, removed at the end: write there, then `adopt`.

        What killed processes left there is removed.
        """
        with contextlib.ExitStack() as stack:
            try:
                place = stack.enter_context(claims.folder(self.root / "tmp"))
            except OSError as error:
                raise self._unusable(error) from error
            yield place

    def adopt(self, temporary: Path, sha256: str, *, hashed: bool = False) -> Path:
        """Move ``temporary`` (a file below the cache's root) to its place and return that place.

        The file is hashed here, unless the caller says by ``hashed`` that it hashed the bytes as it wrote them.

        Raises:
            IntegrityError: the bytes are not those of ``sha256``; ``temporary`` stays for the caller.
            MachineError: the cache cannot be written.

        """
        place = self._place(sha256)
        if not hashed and (found := sha256_of(temporary)) != sha256:
            raise IntegrityError(f"sha256 is {found}, not {sha256}", where=temporary.name)
        try:
            permit(temporary, 0o444)
            with lenient():
                os.utime(temporary)
            for _ in range(3):
                place.parent.mkdir(parents=True, exist_ok=True)
                vacate(place)
                # Another process's prune may take the empty folder away between the two calls.
                with contextlib.suppress(FileNotFoundError):
                    os.replace(temporary, place)  # noqa: PTH105 - the atomic one on every system
                    return place
            os.replace(temporary, place)  # noqa: PTH105
        except OSError as error:
            raise self._unusable(error) from error
        return place

    def add(self, data: bytes) -> str:
        """Keep ``data`` and return its SHA-256."""
        with self.temporary() as folder:
            path = folder / "data"
            path.write_bytes(data)
            sha256 = sha256_of(path)
            self.adopt(path, sha256, hashed=True)
        return sha256

    def size(self) -> CacheSize:
        """Count what is there."""
        kept = [status.st_size for _, status in self._walk("files")]
        partial = sum(status.st_blocks * 512 for name in _PARTS_AND_TEMPORARIES for _, status in self._walk(name))
        return CacheSize(
            files=len(kept),
            bytes=sum(kept),
            partial_bytes=partial,
            http_bytes=sum(status.st_size for _, status in self._walk("http")),
        )

    def prune(self, *, unused_for: float = 0, keep: Container[str] = ()) -> Pruned:
        """Remove what nobody used for ``unused_for`` seconds, apart from the digests in ``keep``.

        Interrupted downloads and temporary files go when they are older than that, and at least a day old
        (a running process may still write them). What a clock dated to the future counts as used now.
        """
        files = total = 0
        now = time.time()
        horizon = now - unused_for
        for path, status in self._walk("files"):
            if self._used(path, status, now) <= horizon and path.name not in keep:
                files, total = files + 1, total + status.st_size
                self._remove(path)
        horizon = min(horizon, now - _YOUNG)
        for name in (*_PARTS_AND_TEMPORARIES, *_MEMORIES):
            for path, status in self._walk(name):
                if self._used(path, status, now) <= horizon:
                    files, total = files + 1, total + status.st_blocks * 512
                    self._remove(path)
        self._remove_empty_folders()
        return Pruned(files=files, bytes=total)

    def verify(self, on_file: Callable[[int, int], None] | None = None) -> tuple[Damaged, ...]:
        """Hash every file, remove the damaged ones and return them.

        ``on_file`` is told after each file how many bytes are done and how many there are.
        """
        damaged = []
        files = list(self._walk("files"))
        total, done = sum(status.st_size for _, status in files), 0
        for path, status in files:
            try:
                found = sha256_of(path)
            except OddFileError as error:
                found = str(error)
            except FileNotFoundError:  # pruned by another process meanwhile
                continue
            except OSError as error:
                raise self._unusable(error) from error
            if found != path.name:
                damaged.append(Damaged(sha256=path.name, found=found, size=status.st_size))
                self._remove(path)
            done += status.st_size
            if on_file is not None:
                on_file(done, total)
        return tuple(damaged)

    def _place(self, sha256: str) -> Path:
        if not is_sha256(sha256):
            raise UsageError(
                f"not a SHA-256 digest: {sha256!r}", next="a digest is written as 64 lower-case hexadecimal digits"
            )
        return self.root / "files" / sha256[:2] / sha256

    def _walk(self, name: str) -> Iterator[tuple[Path, os.stat_result]]:
        for folder, folders, names in os.walk(self.root / name):
            folders.sort()
            for entry in sorted(names):
                path = Path(folder) / entry
                with contextlib.suppress(FileNotFoundError):  # moved or removed by another process meanwhile
                    yield path, path.lstat()

    def _used(self, path: Path, status: os.stat_result, now: float) -> float:
        """Return when a file was used last; one of the future is dated anew, or it would be young for ever."""
        if status.st_mtime <= now:
            return status.st_mtime
        with contextlib.suppress(OSError):  # somebody else's file in a shared cache
            os.utime(path, (now, now))
        return now

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable(error) from error

    def _remove_empty_folders(self) -> None:
        horizon = time.time() - _YOUNG
        for name in (*_PARTS_AND_TEMPORARIES, *_MEMORIES, "files"):
            for folder, _, _ in os.walk(self.root / name, topdown=False):
                with contextlib.suppress(OSError):  # not empty: that is the test
                    if Path(folder).stat().st_mtime < horizon:
                        Path(folder).rmdir()

    def _absent(self, sha256: str) -> MachineError:
        return MachineError(
            f"the cache has no file with sha256 {sha256}",
            where=str(self.root),
            next="run kpack build without --offline",
        )

    def _unusable(self, error: OSError) -> MachineError:
        room = f"{found}, or " if (found := room_advice(error)) else ""
        return MachineError(
            f"the cache cannot be used: {error.strerror or error}",
            where=str(error.filename or self.root),
            next=f"{room}set KPACK_CACHE to a folder that can be written",
        )
