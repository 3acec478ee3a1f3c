"""The floor: inflate and write with the standard library, in parallel, with nothing checked.

``python floor.py threads|processes PACK TARGET`` reads the wheels of a pack in place. No digest, no RECORD, no
scripts, no metadata beyond what the wheels hold: what is left is the work that no restore can do without.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import sys
import threading
import zlib
from pathlib import Path
from typing import Any

BLOCK = 512


def jobs_of(pack: str) -> list[tuple[int, list[tuple[int, int, int, int, str]]]]:
    """Return, heaviest first, the parts of wheels of about 8 MB: (bytes, [(offset, packed, size, method, name)])."""
    with open(pack, "rb") as stream:
        length = int(stream.read(BLOCK)[124:135], 8)
        start = BLOCK + (length + BLOCK - 1) // BLOCK * BLOCK
        stream.seek(start)
        size = int(stream.read(BLOCK)[124:135], 8)
        manifest = json.loads(stream.read(size))
        origin = start + BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
        wanted = {item["wheel"] for item in manifest["targets"][0]["distributions"]}
        found = []
        for member in manifest["members"]:
            if member["path"] in wanted:
                found += parts(stream, origin + member["offset"], member["size"])
    return sorted(found, reverse=True)


def parts(stream: Any, base: int, size: int) -> list[tuple[int, list[tuple[int, int, int, int, str]]]]:
    stream.seek(base + size - 22)
    count, length, start = struct.unpack("<HLL", stream.read(22)[10:20])
    stream.seek(base + start)
    tail = stream.read(length)
    entries = []
    position = 0
    for _ in range(count):
        fields = struct.unpack_from("<4s4B4HL2L5H2L", tail, position)
        method, packed, unpacked, name_length, extra, comment, offset = (
            fields[6], fields[10], fields[11], fields[12], fields[13], fields[14], fields[18],
        )  # fmt: skip
        name = tail[position + 46 : position + 46 + name_length].decode()
        position += 46 + name_length + extra + comment
        if not name.endswith("/"):
            entries.append((base + offset, packed, unpacked, method, name))
    found: list[tuple[int, list[tuple[int, int, int, int, str]]]] = []
    group: list[tuple[int, int, int, int, str]] = []
    weight = 0
    for entry in sorted(entries):
        group.append(entry)
        weight += entry[1]
        if weight > 8 << 20:
            found.append((weight, group))
            group, weight = [], 0
    return [*found, (weight, group)] if group else found


def work(pack: str, target: str, jobs: list[Any], take: Any) -> None:
    made: set[str] = set()
    descriptor = os.open(pack, os.O_RDONLY)
    while (index := take()) < len(jobs):
        group = jobs[index][1]
        first = group[0][0]
        last = group[-1][0] + group[-1][1] + 30 + 2 * 65535
        data = memoryview(os.pread(descriptor, last - first, first))
        for offset, packed, size, method, name in group:
            at = offset - first
            begin = at + 30 + struct.unpack_from("<H", data, at + 26)[0] + struct.unpack_from("<H", data, at + 28)[0]
            content: Any = data[begin : begin + packed]
            if method:
                content = zlib.decompress(content, -15, size or 1)
            path = f"{target}/{name}"
            folder = path.rpartition("/")[0]
            if folder not in made:
                os.makedirs(folder, exist_ok=True)
                made.add(folder)
            out = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
            os.write(out, content)
            os.close(out)
    os.close(descriptor)


def main() -> None:
    kind, pack, target = sys.argv[1:]
    Path(target).mkdir(parents=True)
    jobs = jobs_of(pack)
    count = len(os.sched_getaffinity(0))
    if kind == "threads":
        numbers = iter(range(len(jobs) + count))
        threads = [threading.Thread(target=work, args=(pack, target, jobs, numbers.__next__)) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    context = multiprocessing.get_context("fork")
    shared = context.Value("i", 0)

    def take() -> int:
        with shared.get_lock():
            shared.value += 1
            return int(shared.value) - 1

    children = [context.Process(target=work, args=(pack, target, jobs, take)) for _ in range(count)]
    for child in children:
        child.start()
    for child in children:
        child.join()


if __name__ == "__main__":
    main()
