"""A Debian binary package (deb(5)): an ar of ``debian-binary``, a control and a data archive; read as it streams.

Strict, and in bounded memory: what dpkg-deb does not write is refused. Both archives are read in the kernel by the
standard library; zstd, which Ubuntu's have and Python has since 3.14, by dpkg-deb where that is missing.
"""

from __future__ import annotations

import contextlib
import os
import re
import zlib
from typing import IO, Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

from . import deb_control
from .errors import INTEGRITY, MACHINE, RestoreError

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,199}\Z")
"""Of a package (Debian Policy 5.6.1)."""
VERSION = re.compile(r"(?:[0-9]{1,9}:)?[A-Za-z0-9][A-Za-z0-9.+~-]{0,199}\Z")
"""Of a package (Debian Policy 5.6.12), with its epoch."""

FILE, LINK, SYMLINK, FOLDER, OTHER = "file", "link", "symlink", "folder", "other"
"""What an entry is; `LINK` is a hard link, `OTHER` a device or a pipe."""

_MAGIC = b"!<arch>\n"
_FORMAT = re.compile(rb"2\.[0-9]+\n")
_ARCHIVES = {
    "control": re.compile(r"control\.tar(?:\.(?:gz|xz|zst))?\Z"),
    "data": re.compile(r"data\.tar(?:\.(?:gz|xz|zst|bz2|lzma))?\Z"),
}
"""Names of members that dpkg-deb reads."""
_ZSTD = b"\x28\xb5\x2f\xfd"
"""What a frame of zstd begins with (RFC 8878, section 3.1.1); without one dpkg-deb waits for ever."""
_HEAD = 60
_BLOCK = 512
_PIECE = 1 << 18
_LONGEST = 4096
"""Bytes of a path."""
_LONGEST_PLACE = 3072
"""Bytes of a path that is written: with the folder it lands in, and what dpkg adds, 4,095 are the most."""
_CONTROL = 1 << 20
"""Bytes of the file ``control``, at most."""
_SCRIPTS = ("preinst", "postinst", "prerm", "postrm", "config")


class DebEntry(NamedTuple):
    """One entry of a data archive."""

    path: str
    """Relative, in normal form."""
    kind: str
    mode: int
    size: int
    """Bytes."""
    target: str
    """Of a link: as written for a symbolic one, relative to the root for a hard one."""


class Control(NamedTuple):
    """What a package says of itself."""

    fields: Dict[str, str]
    scripts: Tuple[str, ...]
    """Names of its maintainer scripts."""


def filename(name: str, version: str, architecture: str) -> str:
    """Return the name of a package's file, as archives give it: without an epoch."""
    return "{}_{}_{}.deb".format(name, version.partition(":")[2] or version, architecture)


def control(path: str) -> Control:
    """Return what the package in the file ``path`` says of itself. Raises RestoreError as `entries`."""
    fields: Dict[str, str] = {}
    scripts = []
    with _archive(path, "control") as stream:
        for entry, read in _tar(stream, path):
            if "/" in entry.path or (entry.path and entry.kind != FILE):
                raise odd(path, "its control archive has {:.80}, which is no plain file".format(entry.path))
            if entry.path in _SCRIPTS:
                scripts.append(entry.path)
            if entry.path == "control":
                if entry.size > _CONTROL:
                    raise odd(path, "its control file has {} bytes".format(entry.size))
                fields.update(_fields(b"".join(read()).decode("utf-8", "replace"), path))
    if not fields:
        raise odd(path, "it has no control file")
    return Control(fields, tuple(sorted(scripts)))


def _fields(text: str, path: str) -> Dict[str, str]:
    try:
        return deb_control.fields(text)
    except ValueError as error:
        raise odd(path, "its control file {}".format(error)) from error


@contextlib.contextmanager
def entries(path: str) -> Iterator[Iterator[Tuple[DebEntry, Callable[[], Iterator[bytes]]]]]:
    """Give the entries of the data archive, each with a function that yields a file's bytes, once, before the next.

    Raises RestoreError: code 5 for what dpkg-deb would not have written, 7 when zstd cannot be read here.
    """
    with _archive(path, "data") as stream:
        yield _tar(stream, path)


def odd(path: str, what: str) -> RestoreError:
    """Return the error for a package, in the file ``path``, that dpkg-deb has not written."""
    return RestoreError(
        INTEGRITY,
        "{}: dpkg-deb does not write such a package".format(what),
        where=os.path.basename(path),
        next="take it from another archive, and lock again",
    )


def _members(path: str) -> Dict[str, Tuple[int, int]]:
    """Return where the three members of the ar begin, and their sizes."""
    found: Dict[str, Tuple[int, int]] = {}
    with open(path, "rb") as stream:
        end = os.fstat(stream.fileno()).st_size
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise odd(path, "it does not begin as an ar archive")
        position = len(_MAGIC)
        while position < end:
            head = stream.read(_HEAD)
            digits = head[48:58].rstrip(b" ")
            if len(head) != _HEAD or head[58:] != b"`\n" or not digits.isdigit():
                raise odd(path, "the header at byte {} is none of an ar archive".format(position))
            name = head[:16].rstrip(b" ").rstrip(b"/").decode("ascii", "replace")
            size, position = int(digits), position + _HEAD
            if name in found or position + size > end:
                raise odd(path, "its member {!r} stands twice or is cut short".format(name))
            found[name] = (position, size)
            position += size + size % 2
            stream.seek(position)
        begin, size = found.get("debian-binary", (0, 0))
        stream.seek(begin)
        if not 0 < size < _BLOCK or not _FORMAT.match(stream.read(size)):
            raise odd(path, "its format is not 2")
    names = [name for name in found if not name.startswith("_")]
    if names[:1] != ["debian-binary"] or not all(
        pattern.match(name) for pattern, name in zip(_ARCHIVES.values(), names[1:])
    ):
        raise odd(path, "its members are {:.200}, in this order".format(", ".join(found)))
    return found


@contextlib.contextmanager
def _archive(path: str, which: str) -> Iterator[IO[bytes]]:
    """Open the ``control`` or ``data`` archive of a package, decompressed."""
    members = _members(path)
    names = [name for name in members if _ARCHIVES[which].match(name)]
    if len(names) != 1:
        raise odd(path, "it has {} {} archives".format(len(names), which))
    begin, size = members[names[0]]
    suffix = names[0].rpartition(".")[2]
    with contextlib.ExitStack() as stack:
        raw = _Part(stack.enter_context(open(path, "rb")), begin, size)
        stream: Any = raw
        if suffix == "zst":
            stream = stack.enter_context(_zstd(raw, path, which))
        elif suffix != "tar":
            import bz2
            import functools
            import gzip
            import lzma

            opened: Dict[str, Callable[[Any], Any]] = {
                "gz": lambda file: gzip.GzipFile(fileobj=file),
                "bz2": bz2.BZ2File,
                "xz": functools.partial(_OneStream, format=lzma.FORMAT_XZ),
                "lzma": functools.partial(_OneStream, format=lzma.FORMAT_ALONE),
            }
            stream = opened[suffix](raw)
        try:
            yield stream
        except (EOFError, zlib.error, ValueError) as error:
            raise odd(path, "its {} cannot be read ({})".format(names[0], error)) from error
        except OSError as error:
            if error.errno:  # one of the machine, not of the bytes
                raise
            raise odd(path, "its {} cannot be read ({})".format(names[0], error)) from error
        except Exception as error:
            if type(error).__name__ not in ("LZMAError", "ZstdError"):
                raise
            raise odd(path, "its {} cannot be read ({})".format(names[0], error)) from error


@contextlib.contextmanager
def _zstd(raw: "_Part", path: str, which: str) -> Iterator[Any]:
    if not raw.goes_on_with(_ZSTD):
        raise odd(path, "its {}.tar.zst is not compressed with zstd".format(which))
    try:
        from compression.zstd import ZstdFile  # type: ignore[import-not-found]  # Python 3.14
    except ImportError:
        pass
    else:
        with ZstdFile(raw) as stream:
            yield stream
        return
    import shutil
    import subprocess

    program = shutil.which("dpkg-deb")
    if program is None:
        raise RestoreError(
            MACHINE,
            "it is compressed with zstd, which needs dpkg-deb or Python 3.14",
            where=os.path.basename(path),
            next="use a machine with dpkg (any Debian or Ubuntu, Kaggle's kernels among them)",
        )
    option = "--ctrl-tarfile" if which == "control" else "--fsys-tarfile"
    process = subprocess.Popen([program, option, path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield process.stdout
    except BaseException:
        process.kill()
        raise
    finally:
        process.stdout.close()
        code = process.wait()
    if code:
        raise odd(path, "its {}.tar.zst is damaged".format(which))


class _Part:
    """Some bytes of a file, as a file."""

    def __init__(self, stream: IO[bytes], begin: int, size: int) -> None:
        self._stream, self._left = stream, size
        stream.seek(begin)

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(data)
        return data

    def goes_on_with(self, data: bytes) -> bool:
        """Tell whether ``data`` is what will be read next."""
        found = self._stream.read(min(len(data), self._left))
        self._stream.seek(-len(found), os.SEEK_CUR)
        return found == data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False


class _OneStream:
    """What one stream of xz or lzma holds; dpkg-deb reads no second one, and nothing but zeros may stand behind it."""

    def __init__(self, raw: _Part, format: int) -> None:  # noqa: A002 - as lzma calls it
        import lzma

        self._raw, self._decoder = raw, lzma.LZMADecompressor(format=format)

    def read(self, size: int) -> bytes:
        while not self._decoder.eof:
            piece = self._raw.read(_PIECE) if self._decoder.needs_input else b""
            if not piece and self._decoder.needs_input:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            data = self._decoder.decompress(piece, size)
            if data:
                return data
        rest = self._decoder.unused_data
        while rest:
            if rest.strip(b"\0"):
                raise ValueError("something stands behind its one stream")
            rest = self._raw.read(_PIECE)
        return b""


def _tar(stream: IO[bytes], path: str) -> Iterator[Tuple[DebEntry, Callable[[], Iterator[bytes]]]]:
    """Yield the entries of a tar of GNU or POSIX headers, without pax records, which dpkg does not take either."""
    names: Dict[bytes, str] = {}
    while True:
        head = _exactly(stream, _BLOCK, path)
        if not head.strip(b"\0"):
            while stream.read(_PIECE):  # to the end, so that what decompresses ends well
                pass
            return
        kind, size = head[156:157], _number(head[124:136], path)
        _check_sum(head, path)
        if kind in (b"L", b"K"):
            if size > _LONGEST:
                raise odd(path, "a path of it has {} bytes".format(size))
            names[kind] = _text(_exactly(stream, _padded(size), path)[:size].split(b"\0")[0], path)
            continue
        name, target = names.pop(b"L", ""), names.pop(b"K", "")
        if not name:
            name = _text(head[:100].split(b"\0")[0], path)
            if head[257:263] == b"ustar\0" and head[345:346] != b"\0":
                name = _text(head[345:500].split(b"\0")[0], path) + "/" + name
        target = target or _text(head[157:257].split(b"\0")[0], path)
        kinds = {b"0": FILE, b"\0": FILE, b"7": FILE, b"1": LINK, b"2": SYMLINK, b"5": FOLDER}
        kinds.update({b"3": OTHER, b"4": OTHER, b"6": OTHER})
        if kind not in kinds:
            raise odd(path, "{!r} is an entry of kind {!r}".format(name, kind))
        what = kinds[kind]
        if what != FILE:
            size = 0
        place = plain(name, path)
        if len(place.encode("utf-8")) > _LONGEST_PLACE:
            raise odd(path, "a path of it has {} bytes".format(len(place.encode("utf-8"))))
        if what == LINK:
            target = plain(target, path)
        body = _Body(stream, size, path)
        yield DebEntry(place, what, _number(head[100:108], path), size, target), body.pieces
        body.skip()


class _Body:
    """The bytes of one entry."""

    def __init__(self, stream: IO[bytes], size: int, path: str) -> None:
        self._stream, self._left, self._padding, self._path = stream, size, _padded(size) - size, path

    def pieces(self) -> Iterator[bytes]:
        while self._left:
            piece = self._stream.read(min(self._left, _PIECE))
            if not piece:
                raise odd(self._path, "an archive in it is cut short")
            self._left -= len(piece)
            yield piece

    def skip(self) -> None:
        for _ in self.pieces():
            pass
        _exactly(self._stream, self._padding, self._path)


def plain(name: str, package: str) -> str:
    """Return a path of an archive in normal form, ``""`` for the root. Raises RestoreError (code 5) for one outside."""
    parts: List[str] = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or any(ord(letter) < 32 for letter in name):
        raise odd(package, "it would write to {!r:.200}".format(name))
    return "/".join(parts)


def _text(raw: bytes, path: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise odd(path, "a path of it is not UTF-8") from error


def _exactly(stream: IO[bytes], size: int, path: str) -> bytes:
    data = b""
    while len(data) < size:
        piece = stream.read(size - len(data))
        if not piece:
            raise odd(path, "an archive in it is cut short")
        data += piece
    return data


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK


def _number(field: bytes, path: str) -> int:
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b"\0 ")
    if not re.match(rb"[0-7]*\Z", digits):
        raise odd(path, "a number in its archive is none")
    return int(digits or b"0", 8)


def _check_sum(head: bytes, path: str) -> None:
    if _number(head[148:156], path) != sum(head[:148]) + 8 * 32 + sum(head[156:]):
        raise odd(path, "a header in its archive is damaged")
