"""A read-only FUSE passthrough that gives each file handle a fixed bandwidth and latency, like Kaggle's input.

``with mounted(SOURCE, MOUNTPOINT, bandwidth=150e6, latency=0.002): ...`` needs root and /dev/fuse; it speaks the
kernel's protocol itself (``linux/fuse.h``, version 7.31) and uses nothing but the standard library.
``python slowmount.py SOURCE MOUNTPOINT [MB_PER_SECOND] [LATENCY]`` serves until it is interrupted.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import queue
import stat
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE, INIT = 1, 2, 3, 14, 15, 17, 18, 26
OPENDIR, READDIR, RELEASEDIR, BATCH_FORGET = 27, 28, 29, 42
_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")
_MAX_READ = 1 << 17
_ASYNC_READ = 1
_PARALLEL_DIROPS = 1 << 18


class Passthrough:
    """Serves the files of one folder; `bandwidth` in bytes per second of a handle, `latency` in seconds a request."""

    def __init__(self, source: Path, descriptor: int, bandwidth: float, latency: float) -> None:
        self.source = source
        self.descriptor = descriptor
        self.bandwidth = bandwidth
        self.latency = latency
        self.paths = {1: str(source)}
        self.nodes = {str(source): 1}
        self.handles: dict[int, tuple[int, list[float], threading.Lock]] = {}
        self.listings: dict[int, list[str]] = {}
        self.guard = threading.Lock()
        self.requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()

    def serve(self) -> None:
        """Answer until the mount is gone."""
        workers = [threading.Thread(target=self._worker, daemon=True) for _ in range(40)]
        for worker in workers:
            worker.start()
        while True:
            try:
                request = os.read(self.descriptor, 1 << 20)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.ENOENT):
                    continue
                break
            self.requests.put(request)
        for _ in workers:
            self.requests.put(None)

    def _worker(self) -> None:
        while (request := self.requests.get()) is not None:
            _, opcode, unique, node, *_ = _IN.unpack_from(request)
            if opcode in (FORGET, BATCH_FORGET):
                continue
            try:
                answer = self._answer(opcode, node, request[_IN.size :])
                head = _OUT.pack(_OUT.size + len(answer), 0, unique)
            except OSError as error:
                answer, head = b"", _OUT.pack(_OUT.size, -(error.errno or errno.EIO), unique)
            with contextlib.suppress(OSError):
                os.writev(self.descriptor, [head, answer])

    def _answer(self, opcode: int, node: int, body: bytes) -> bytes:
        if opcode == INIT:
            flags = _ASYNC_READ | _PARALLEL_DIROPS
            return struct.pack("<IIIIHHIIHHI28x", 7, 31, 1 << 17, flags, 64, 48, 4096, 1, 32, 0, 0)
        if opcode == LOOKUP:
            return self._lookup(node, body.rstrip(b"\0").decode())
        if opcode == GETATTR:
            return struct.pack("<QII", 60, 0, 0) + self._attributes(self.paths[node], node)
        if opcode in (OPEN, OPENDIR):
            return self._open(node, folder=opcode == OPENDIR)
        if opcode == READ:
            return self._read(*struct.unpack_from("<QQI", body))
        if opcode == READDIR:
            return self._list(*struct.unpack_from("<QQI", body))
        if opcode == STATFS:
            return struct.pack("<QQQQQIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0)
        if opcode in (RELEASE, RELEASEDIR):
            self._release(*struct.unpack_from("<Q", body))
            return b""
        raise OSError(errno.ENOSYS, "not served")

    def _node(self, path: str) -> int:
        with self.guard:
            if path not in self.nodes:
                self.nodes[path] = len(self.nodes) + 1
                self.paths[self.nodes[path]] = path
            return self.nodes[path]

    def _lookup(self, parent: int, name: str) -> bytes:
        time.sleep(self.latency)
        path = os.path.join(self.paths[parent], name)
        os.stat(path)
        node = self._node(path)
        return struct.pack("<QQQQII", node, 0, 60, 60, 0, 0) + self._attributes(path, node)

    def _attributes(self, path: str, node: int) -> bytes:
        found = os.stat(path)
        mode = (found.st_mode & ~0o777) | (0o555 if stat.S_ISDIR(found.st_mode) else 0o444)
        times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
        return struct.pack(
            "<QQQQQQIIIIIIIIII", node, found.st_size, found.st_blocks, *times, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0
        )

    def _open(self, node: int, *, folder: bool) -> bytes:
        time.sleep(self.latency)
        path = self.paths[node]
        with self.guard:
            handle = len(self.handles) + len(self.listings) + 1
            while handle in self.handles or handle in self.listings:
                handle += 1
            if folder:
                self.listings[handle] = [".", "..", *sorted(os.listdir(path))]
            else:
                self.handles[handle] = (os.open(path, os.O_RDONLY), [0.0], threading.Lock())
        return struct.pack("<QII", handle, 0, 0)

    def _read(self, handle: int, offset: int, size: int) -> bytes:
        descriptor, free_at, guard = self.handles[handle]
        data = os.pread(descriptor, size, offset)
        with guard:
            # The handle's line is busy until what was asked before has gone through.
            free_at[0] = max(free_at[0], time.monotonic()) + len(data) / self.bandwidth
            until = free_at[0] + self.latency
        while (left := until - time.monotonic()) > 0:
            time.sleep(left)
        return data

    def _list(self, handle: int, offset: int, size: int) -> bytes:
        found = b""
        for index, name in enumerate(self.listings[handle][offset:], offset):
            raw = os.fsencode(name)
            entry = struct.pack("<QQII", index + 1, index + 1, len(raw), 0) + raw
            entry += bytes(-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def _release(self, handle: int) -> None:
        with self.guard:
            self.listings.pop(handle, None)
            held = self.handles.pop(handle, None)
        if held is not None:
            os.close(held[0])


def mount(mountpoint: Path) -> int:
    """Mount a FUSE file system and return the descriptor that its requests come by."""
    descriptor = os.open("/dev/fuse", os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0,allow_other,max_read={_MAX_READ}".encode()
    flags = 1 | 2 | 4  # read-only, nosuid, nodev
    if libc.mount(b"kpack-slow", os.fsencode(mountpoint), b"fuse.kpack", flags, options):
        raise OSError(ctypes.get_errno(), "cannot mount", str(mountpoint))
    return descriptor


@contextlib.contextmanager
def mounted(source: Path, mountpoint: Path, *, bandwidth: float, latency: float) -> Iterator[Path]:
    """Serve ``source`` at ``mountpoint`` from a child process."""
    mountpoint.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, __file__, str(source), str(mountpoint), str(bandwidth / 1e6), str(latency)]
    with subprocess.Popen(command) as child:
        try:
            while not os.path.ismount(mountpoint):
                if child.poll() is not None:
                    raise OSError("the mount did not come up")
                time.sleep(0.02)
            yield mountpoint
        finally:
            subprocess.run(["umount", str(mountpoint)], check=True)
            child.wait(10)


def main() -> None:
    source, mountpoint = Path(sys.argv[1]), Path(sys.argv[2])
    bandwidth = float(sys.argv[3]) * 1e6 if len(sys.argv) > 3 else 150e6
    latency = float(sys.argv[4]) if len(sys.argv) > 4 else 0.0
    Passthrough(source, mount(mountpoint), bandwidth, latency).serve()


if __name__ == "__main__":
    main()
