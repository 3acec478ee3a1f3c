"""The native code of a wheel on another machine, read by Range (RFC 9110, section 14): a small part tells the most.

The directory of the archive tells every file. Of those that look like shared objects, Python's extension modules come
first; a stored one is read where its tables are, of a compressed one the opening is inflated. What there is no room
for is known by its name alone, under which others find it.
"""

from __future__ import annotations

from bisect import bisect, insort
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from zlib_ng import zlib_ng as zlib  # as in the gate (kpack/pack/wheel.py): zlib's verdicts in half the time

from kpack.fetch.client import RangeTrouble, Refused, Transient
from kpack.native import names, opening
from kpack.native.elf import MAGIC, SharedObject, read, read_sparse
from kpack.restore.errors import RestoreError
from kpack.restore.wheelzip import LOCAL_HEADER, STORED, Entry, data_offset, find_directory, read_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpack.fetch.client import Client

_END = 1 << 17
"""Bytes of the first request: of most wheels the whole directory."""
_WHOLE = 1 << 20
"""Compressed bytes up to which a member is read to its end."""
_OPENING = 3 << 18
"""Compressed bytes that are read of a longer one."""
_LEAST = 1 << 17
"""An opening that is shorter tells too seldom."""
_INFLATED = 16 << 20
"""Bytes that these may become."""
_BESIDE = 1 << 18
"""Bytes between two members that cost less than another request."""
_REQUESTS = 12
"""Requests for the members of one wheel, at most."""
_EXTRA = 64
"""Bytes of a local header's extra field that are asked for with it."""
_BLOCK = 1 << 16
_MOST = 24 << 20
"""Bytes of one wheel, whatever its directory and its tables lead to."""


class UnreadError(Exception):
    """A wheel could not be read in parts: its server does not answer so, or it is no wheel; the words say why."""


class _Span(NamedTuple):
    begin: int
    end: int


Each: TypeAlias = "Callable[[Callable[[_Span], None], Sequence[_Span]], None]"


def _in_turn(call: Callable[[_Span], None], spans: Sequence[_Span]) -> None:
    for span in spans:
        call(span)


@dataclass(slots=True)
class RemoteWheel:
    """A wheel at a URL."""

    client: Client
    url: str
    """With credentials."""
    size: int
    """Bytes of the whole file."""
    each: Each = _in_turn
    """Calls for every item; where it does so from several threads, several parts are asked for at once."""
    _parts: list[tuple[int, bytes]] = field(default_factory=list)

    @property
    def received(self) -> int:
        """Bytes that came."""
        return sum(len(part) for _, part in self._parts)

    @property
    def requests(self) -> int:
        """How often something was asked for and came."""
        return len(self._parts)

    def objects(self, budget: int, machine: str) -> tuple[SharedObject, ...]:
        """Return the wheel's shared objects, for which about ``budget`` bytes may be read beside the directory.

        ``machine`` is the one that the wheel's tag names.

        Raises:
            UnreadError: nothing can be said of it.

        """
        try:
            entries = self._directory()
            chosen = _chosen(entries, budget)
            self.each(lambda span: self._fetch(*span), list(_spans(chosen)))
            return tuple(self._object(entry, chosen.get(entry, 0), machine) for entry in entries)
        except (RangeTrouble, Refused, Transient) as trouble:
            raise UnreadError(trouble.reason) from None
        except RestoreError as error:
            raise UnreadError(error.what) from None

    def _directory(self) -> list[Entry]:
        """Return the entries that look like shared objects, in the order of the archive."""
        self._fetch(max(0, self.size - _END), self.size)
        start = find_directory(self.size, self._read, "", [])
        entries = read_directory(self._read(self.size - start, start), start, "", [])
        found = [item for item in entries if ".so" in item.name.rpartition("/")[2] and item.size >= len(MAGIC)]
        return sorted(found, key=lambda item: item.offset)

    def _object(self, entry: Entry, count: int, machine: str) -> SharedObject:
        """Return what ``count`` compressed bytes of a member tell, or only its name."""
        unread = SharedObject(path=entry.name, machine=machine, executable=entry.executable, whole=False)
        if not count:
            return unread
        head = self._read(min(_header(entry), self.size - entry.offset), entry.offset)
        at = entry.offset + data_offset(head, entry)
        if entry.method == STORED:
            found = read_sparse(
                lambda size, offset: self._read(size, at + offset), entry.size, entry.name, executable=entry.executable
            )
            return found or unread
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            data = inflater.decompress(self._read(count, at), min(entry.size, _INFLATED))
        except zlib.error:  # type: ignore[misc] # its stub takes the class for an instance
            return unread  # who reads the whole wheel says so
        if len(data) == entry.size:
            return read(data, entry.name, executable=entry.executable) or unread
        found = opening.read(data, entry.name, executable=entry.executable)
        if found is None and opening.breaks_off(data):
            following = self._read(min(_OPENING, entry.compressed - count), at + count)
            try:
                data += inflater.decompress(inflater.unconsumed_tail + following, _INFLATED)
            except zlib.error:  # type: ignore[misc] # as above
                return unread
            found = opening.read(data, entry.name, executable=entry.executable)
        return found or unread

    def _read(self, size: int, offset: int) -> bytes:
        """Return ``size`` bytes at ``offset``, asked for if they are not there yet."""
        for start, part in self._parts:
            if start <= offset and offset + size <= start + len(part):
                return part[offset - start : offset - start + size]
        self._fetch(offset, min(self.size, offset + max(size, _BLOCK)))
        return self._read(size, offset)

    def _fetch(self, begin: int, end: int) -> None:
        if self.received + end - begin > _MOST:
            raise UnreadError(f"more than {_MOST >> 20} MB of it would have to be read")
        with self.client.open(self.url, first=begin, last=end - 1) as body:
            if not body.partial:
                raise RangeTrouble("the server does not answer to a Range")
            if (body.start, body.length, body.total) != (begin, end - begin, self.size):
                raise RangeTrouble("the server answers to a Range with another one, or has another file")
            found = body.content()
        self._parts.append((begin, found))


def _header(entry: Entry) -> int:
    return LOCAL_HEADER + len(entry.raw_name) + _EXTRA


def _chosen(entries: Sequence[Entry], budget: int) -> dict[Entry, int]:
    """Return how many compressed bytes to read of which members: extension modules first, the small before the large.

    Libraries that a tool copied beside come last: they were chosen to need nothing special.
    """
    found: dict[Entry, int] = {}
    taken: list[_Span] = []
    requests = 0
    for entry in sorted(entries, key=lambda item: (*_rank(item), item.compressed)):
        if entry.method == STORED:
            count = min(entry.compressed, _BLOCK)
        elif entry.compressed <= min(_WHOLE, budget):
            count = entry.compressed
        else:
            count = min(entry.compressed, _OPENING, max(budget, _LEAST))
        if count > budget:
            continue
        span = _span(entry, count)
        further = _further(taken, span)
        if requests + further <= _REQUESTS:
            found[entry] = count
            insort(taken, span)
            requests += further
            budget -= count
    return found


def _further(taken: Sequence[_Span], span: _Span) -> int:
    """Return how many more requests ``span`` takes beside those for what is ``taken``, in order."""
    place = bisect(taken, span)
    before, after = taken[max(0, place - 1) : place], taken[place : place + 1]
    joined = sum(_near(*pair) for pair in pairwise((*before, span, *after)))
    together = sum(_near(*pair) for pair in pairwise((*before, *after)))
    return 1 + together - joined


def _rank(entry: Entry) -> tuple[bool, bool]:
    return names.is_copied(entry.name), not names.is_module(entry.name, initialiser=False)


def _spans(chosen: dict[Entry, int]) -> Iterator[_Span]:
    """Yield what to ask for: members near each other at once."""
    begin = end = -1
    for span in sorted(_span(entry, count) for entry, count in chosen.items()):
        if end >= 0 and _near(_Span(begin, end), span):
            end = max(end, span.end)
            continue
        if end >= 0:
            yield _Span(begin, end)
        begin, end = span
    if end >= 0:
        yield _Span(begin, end)


def _span(entry: Entry, count: int) -> _Span:
    """Return where ``count`` compressed bytes of a member lie, with what stands before them."""
    return _Span(entry.offset, entry.offset + _header(entry) + min(count, entry.compressed))


def _near(first: _Span, second: _Span) -> bool:
    return second.begin <= first.end + _BESIDE
