"""What the wheels of a pack say of themselves: METADATA, from verified bytes, without reading the wheels whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError
from kpack.pack.read import MemberBytes
from kpack.pack.wheel import inflated
from kpack.restore import rules
from kpack.restore.errors import RestoreError
from kpack.restore.wheelzip import LOCAL_HEADER, data_offset, read_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kpack.pack.read import ReadPack
    from kpack.pack.window import Window
    from kpack.restore.manifest import Member


def wheel_metadata(pack: ReadPack) -> Iterator[tuple[str, bytes]]:
    """Yield the path of every wheel of ``pack`` (``wheels/…``), and its METADATA.

    Raises:
        IntegrityError: the bytes are not what the manifest says, or no wheel.

    """
    for member in pack.manifest.members:
        if member.path.startswith("wheels/"):
            with MemberBytes(pack, member) as window:
                yield member.path, _metadata(member, window)


def _metadata(member: Member, window: Window) -> bytes:
    directory = member.spans[-1].offset
    _check(member, window, directory, member.size)
    filename = member.path.removeprefix("wheels/")
    try:
        entries = read_directory(window[directory : member.size], directory, filename, odd=[])
        name = f"{rules.shape(entries, filename).info}/METADATA"
        entry = next(entry for entry in entries if entry.name == name)
        # The header has the name once more, and extra fields whose length only it tells.
        head = window[entry.offset : min(entry.offset + LOCAL_HEADER + (1 << 17), directory)]
        start = entry.offset + data_offset(head, entry, filename)
        _check(member, window, entry.offset, start + entry.compressed)
    except RestoreError as error:
        raise IntegrityError(error.what, where=filename, next="kpack verify says more") from error
    return b"".join(inflated(window, entry, start, filename))


def _check(member: Member, window: Window, start: int, end: int) -> None:
    """Verify the spans that hold the bytes from ``start`` to ``end``."""
    for span in member.spans:
        if span.offset < end and span.offset + span.size > start:
            data = window[span.offset : span.offset + span.size]
            if hashlib.sha256(data).hexdigest() != span.sha256:
                raise IntegrityError("it is damaged", where=member.path, next="kpack verify says more")
