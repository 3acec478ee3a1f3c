"""``python -m benchmarks.restore.mount``: a pack with a large checkpoint on a mount that is slow for each handle.

Needs root and /dev/fuse (see `slowmount`). The mount is made anew for every run, so nothing is cached. ``cp`` of the
pack from the mount is the rival; kpack restores with 1, 2, 4, 8 and 16 readers and with as many as it finds right.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.restore import packs
from benchmarks.restore.slowmount import mounted

CHILD = """
import sys, time, resource
from kpack.restore import engine, install
from kpack.restore.manifest import loads
pack, readers, target = sys.argv[1], int(sys.argv[2]), sys.argv[3]
with open(pack, "rb") as stream:
    head = stream.read(1 << 20)
start = 512 + (int(head[124:135], 8) + 511) // 512 * 512
with open(pack, "rb") as stream:
    stream.seek(start)
    size = int(stream.read(512)[124:135], 8)
    manifest = loads(stream.read(size))
if readers:
    feed = install.Feed
    install.Feed = lambda pack: feed(pack, readers=readers)
engine.restore(pack, manifest, id="0" * 64, options=engine.Options(target=target))
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=float, default=3e9, help="bytes")
    parser.add_argument("--bandwidth", type=float, default=150e6, help="bytes per second of a handle")
    parser.add_argument("--latency", type=float, default=0.002, help="seconds of a request")
    parser.add_argument("--place", type=Path, default=Path("/dev/shm"), help="where everything lies")
    parser.add_argument("--wheels", type=Path, help="folder of wheels to pack besides")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kpack-bench-", dir=options.place) as name:
        place = Path(name)
        (place / "source").mkdir()
        checkpoint = place / "large.ckpt"
        with checkpoint.open("wb") as stream:
            piece = random.Random(0).randbytes(1 << 20)
            for number in range(int(options.checkpoint) >> 20):
                stream.write(number.to_bytes(8, "little") + piece[8:])
        wheels = sorted(options.wheels.glob("*.whl")) if options.wheels else []
        pack = packs.pack(place / "source" / "large.kpack.bin", wheels, checkpoints=[checkpoint])
        checkpoint.unlink()
        size = pack.stat().st_size

        def run(*command: str) -> tuple[float, float]:
            with mounted(place / "source", place / "mount", bandwidth=options.bandwidth, latency=options.latency):
                began = time.monotonic()
                done = subprocess.run(command, check=True, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)
                seconds = time.monotonic() - began
            shutil.rmtree(place / "target", ignore_errors=True)
            (place / "copy").unlink(missing_ok=True)
            return seconds, int(done.stdout or 0) / 1e3

        there = str(place / "mount" / pack.name)
        copied, _ = run("cp", there, str(place / "copy"))
        print(f"pack of {size / 1e9:.2f} GB; cp {copied:.1f} s ({size / copied / 1e6:.0f} MB/s)")
        print("| readers | s | MB/s | of cp | peak MB |\n| --- | --- | --- | --- | --- |")
        for readers in (1, 2, 4, 8, 16, 0):
            seconds, peak = run(sys.executable, "-c", CHILD, there, str(readers), str(place / "target"))
            label = readers or "as it finds right"
            print(
                f"| {label} | {seconds:.1f} | {size / seconds / 1e6:.0f} | {seconds / copied:.2f} | {peak:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
