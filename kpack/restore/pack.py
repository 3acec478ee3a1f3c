"""Reading a pack by position: members of the file, or of the folder that it became."""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from typing import Dict, Optional, Tuple

from .errors import INTEGRITY, MACHINE, RestoreError, machine_error
from .manifest import Manifest, Member, Span, padded

BLOCK = 512
"""Bytes of a tar header."""


class Pack:
    """Members of a pack at known offsets.

    Every thread reads through descriptors of its own, because network mounts give each handle its own bandwidth.
    Nothing that this class returns without a digest having been checked leaves its private methods.
    """

    def __init__(self, path: str, manifest: Manifest) -> None:
        self.path = path
        self.manifest = manifest
        self.members: Dict[str, Member] = {member.path: member for member in manifest.members}
        self._folder = os.path.isdir(path)
        self._origin = 0 if self._folder else origin_of(path)
        self._local = threading.local()
        self._opened: Dict[int, int] = {}
        self._guard = threading.Lock()

    def close(self) -> None:
        """Close every descriptor that any thread opened."""
        with self._guard:
            for descriptor in self._opened:
                os.close(descriptor)
            self._opened.clear()
            self._local = threading.local()

    def read_into(self, member: Member, span: Span, buffer: memoryview) -> Tuple[memoryview, float]:
        """Read a span of a member into ``buffer``; return the filled part of it, verified, and the seconds of reading.

        Raises RestoreError: code 5 when the bytes are not those that the manifest names, 7 when they cannot be read.
        """
        descriptor, base = self._descriptor(member)
        view = buffer[: span.size]
        began = time.monotonic()
        self._fill(descriptor, view, base + span.offset, member)
        seconds = time.monotonic() - began
        if hashlib.sha256(view).hexdigest() != span.sha256:
            raise damaged(member, span)
        return view, seconds

    def read(self, member: Member, spans: Tuple[Span, ...]) -> bytes:
        """Return the bytes of neighbouring spans of a member, verified; for small parts.

        Raises RestoreError as `read_into`.
        """
        first, last = spans[0].offset, spans[-1].offset + spans[-1].size
        data = bytearray(last - first)
        descriptor, base = self._descriptor(member)
        view = memoryview(data)
        self._fill(descriptor, view, base + first, member)
        for span in spans:
            part = view[span.offset - first : span.offset - first + span.size]
            if hashlib.sha256(part).hexdigest() != span.sha256:
                raise damaged(member, span)
        return bytes(data)

    def _fill(self, descriptor: int, view: memoryview, position: int, member: Member) -> None:
        done = 0
        while done < len(view):
            try:
                count = os.preadv(descriptor, [view[done:]], position + done)
            except OSError as error:
                raise machine_error(error, "read the pack", "{}: {}".format(self.path, member.path)) from error
            if not count:
                raise RestoreError(
                    INTEGRITY,
                    "it ends {} bytes too early".format(len(view) - done),
                    where="{}: {}".format(self.path, member.path),
                    next="the pack is truncated: upload or copy it again",
                )
            done += count

    def _descriptor(self, member: Member) -> Tuple[int, int]:
        """Return this thread's descriptor for a member and where the member begins behind it."""
        held: Optional[Tuple[str, int]] = getattr(self._local, "held", None)
        name = member.path if self._folder else ""
        if held is None or held[0] != name:
            if held is not None:
                with self._guard:
                    del self._opened[held[1]]
                    os.close(held[1])
                self._local.held = None
            descriptor = self._open(member)
            with self._guard:
                self._opened[descriptor] = 1
            self._local.held = held = (name, descriptor)
        return held[1], (0 if self._folder else self._origin + member.offset)

    def _open(self, member: Member) -> int:
        if not self._folder:
            path = self.path
        else:
            path = os.path.join(self.path, *member.path.split("/"))
            if not os.path.isfile(path):
                # Kaggle strips these two from file names; the digest tells whether it is the right file.
                path = os.path.join(self.path, *member.path.replace("+", "").replace("~", "").split("/"))
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe is not waited for
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                return descriptor
        except OSError as error:
            raise machine_error(error, "read the pack", path) from error
        os.close(descriptor)
        raise RestoreError(INTEGRITY, "it is not a regular file", where=path, next="upload or copy the pack again")


def damaged(member: Member, span: Span) -> RestoreError:
    """Return the error for a span whose bytes have another digest."""
    return RestoreError(
        INTEGRITY,
        "bytes {} to {} are not those that the pack was built with".format(span.offset, span.offset + span.size),
        where=member.path,
        next="the pack is damaged: upload or copy it again",
    )


def origin_of(path: str) -> int:
    """Return where the members after the manifest begin in the pack file (bytes).

    The two headers that are read for it are not verified; a wrong answer makes every digest fail.
    """
    try:
        with open(path, "rb") as stream:
            position = 0
            for _ in range(2):
                stream.seek(position)
                digits = stream.read(BLOCK)[124:136].rstrip(b"\0 ")
                position += BLOCK + padded(int(digits, 8))
    except OSError as error:
        raise machine_error(error, "read the pack", path) from error
    except ValueError as error:
        raise RestoreError(MACHINE, "it is no pack", where=path, next="name a .kpack.bin file") from error
    return position
