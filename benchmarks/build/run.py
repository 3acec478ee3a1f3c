"""``python -m benchmarks.build.run cold|warm|memory|linear``: how long ``kpack build`` takes, beside pip and cp.

Whole processes, A B A B, medians. Ratios are what counts: the machine is whatever it is.

cold     kpack build of the wheels in ``--wheels`` from an empty cache, beside ``pip download`` of the same files from
         the same server, 30 ms per request
warm     kpack build with 2 GB of checkpoints in the cache, beside ``cp`` of the same bytes
memory   the peak resident size of kpack build with a 10 GB checkpoint (a sparse file), fetched over HTTP and from disk
linear   seconds for 1, 10, 100 wheels and 0.1, 1, 10 GB
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from kpack import environment as environments
from kpack import target as targets
from kpack.checkpoints import LockedCheckpoint
from kpack.files import sha256_of, write_text
from kpack.lock import dumps, from_resolution
from kpack.resolve.model import Need, Pin, Resolution, TargetResolution, Wheel
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
GB = 10**9


@dataclass(frozen=True)
class Timing:
    """One whole process."""

    seconds: float
    cpu: float
    """Seconds of all its threads, user and system: what a busy machine does not change."""
    peak: int
    """Bytes of resident memory."""


def clean(**more: str) -> dict[str, str]:
    """Return the process's environment without what steers pip or kpack, or keeps Python from its bytecode."""
    dropped = ("PIP_", "KPACK_", "UV_", "PYTHONDONTWRITEBYTECODE")
    kept = {
        key: value for key, value in os.environ.items() if not key.startswith(dropped) and "proxy" not in key.lower()
    }
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def timed(command: Sequence[str | Path], folder: Path, environment: dict[str, str]) -> Timing:
    """Run one process and return its wall seconds and peak memory."""
    began = time.perf_counter()
    with subprocess.Popen(
        [str(word) for word in command], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as child:
        assert child.stdout is not None
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - began
    if child.returncode:
        raise SystemExit(f"{command}: exit {child.returncode}\n{said.decode(errors='replace')[-4000:]}")
    return Timing(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@contextlib.contextmanager
def served(folder: Path, latency: float) -> Iterator[str]:
    """Serve a folder from a process of its own; yield the URL."""
    command = [sys.executable, "-m", "benchmarks.build.serve", str(folder), str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdin is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        server.stdin.close()


def project(folder: Path, url: str, wheels: Sequence[Path], checkpoints: Sequence[tuple[Path, str, str]] = ()) -> None:
    """Write kaggle-env.toml and its lock, for wheels and checkpoints (file, URL, sha256) at ``url``."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [str(parse_wheel_filename(path.name)[0]) for path in wheels]
    lines = ['name = "bench"', f'python = "{PYTHON}"', f"packages = {json.dumps(names)}"]
    lines.append(f"no-deps = {json.dumps(names)}")  # a folder of wheels has not all that they need
    for path, where, sha256 in checkpoints:
        lines += ["[[checkpoints]]", f'url = "{where}"', f'sha256 = "{sha256}"', f'path = "{path.name}"']
    (folder / "kaggle-env.toml").write_text("\n".join(lines) + "\n")
    environment = environments.load(folder / "kaggle-env.toml")
    (target,) = targets.targets(environment, ())
    pins = []
    for path in wheels:
        name, version, _, _ = parse_wheel_filename(path.name)
        wheel = Wheel(
            filename=path.name,
            sha256=sha256_of(path),
            size=path.stat().st_size,
            url=f"{url}/files/{path.name.replace('+', '%2B')}",
            index=f"{url}/simple/",
        )
        pins.append(Pin(name=name, version=version, wheel=wheel, needed_by=(Need(by="", requirement=str(name)),)))
    packed = tuple(sorted(pins, key=lambda pin: pin.name))
    found = Resolution(targets=(TargetResolution(target=target, packed=packed, from_base=()),))
    locked = [
        LockedCheckpoint(path=path.name, urls=(where,), sha256=sha256, size=path.stat().st_size)
        for path, where, sha256 in checkpoints
    ]
    made = from_resolution(environment, found, meaning=environments.meaning_digest(environment), checkpoints=locked)
    write_text(environment.lock_path, dumps(made))


def build(folder: Path, cache: Path) -> Timing:
    """Run ``kpack build`` into ``dist``, which is emptied before."""
    shutil.rmtree(folder / "dist", ignore_errors=True)
    return timed([sys.executable, "-m", "kpack", "build"], folder, clean(KPACK_CACHE=str(cache)))


def sparse(path: Path, size: int) -> Path:
    """Make a file of ``size`` bytes that takes no room."""
    with path.open("wb") as stream:
        stream.truncate(size)
    return path


def noise(path: Path, size: int) -> Path:
    """Make a file of ``size`` random bytes."""
    with path.open("wb") as stream:
        for _ in range(0, size, 10**7):
            stream.write(os.urandom(min(10**7, size)))
    return path


def show(name: str, timings: Sequence[Timing]) -> float:
    """Print the median of some runs and return its seconds."""
    seconds = statistics.median(item.seconds for item in timings)
    runs = " ".join(f"{item.seconds:.2f}" for item in timings)
    cpu = statistics.median(item.cpu for item in timings)
    peak = max(item.peak for item in timings) / 2**20
    print(f"  {name:<34} {seconds:8.2f} s   ({runs})   cpu {cpu:.2f} s   peak {peak:.0f} MiB")
    return seconds


def cold(folder: Path, wheels: Sequence[Path], rounds: int) -> None:
    """Compare with pip download."""
    print(f"cold: {len(wheels)} wheels, {sum(path.stat().st_size for path in wheels) / 1e6:.0f} MB, 30 ms per request")
    with served(wheels[0].parent, 0.03) as url:
        project(folder / "project", url, wheels)
        rows = []
        for path in wheels:
            distribution, version, _, _ = parse_wheel_filename(path.name)
            rows.append(f"{distribution}=={version} --hash=sha256:{sha256_of(path)}")
        (folder / "requirements.txt").write_text("\n".join(rows) + "\n")
        pip = [sys.executable, "-m", "pip", "--isolated", "download", "--no-deps", "--no-cache-dir", "--quiet"]
        pip += [
            "--disable-pip-version-check",
            "--index-url",
            f"{url}/simple/",
            "-r",
            "requirements.txt",
            "--dest",
            "out",
        ]
        ours, theirs = [], []
        for number in range(rounds):
            ours.append(build(folder / "project", folder / f"cache-{number}"))
            theirs.append(timed(pip, folder, clean(PIP_CONFIG_FILE=os.devnull)))
            shutil.rmtree(folder / "out")
            shutil.rmtree(folder / f"cache-{number}")
    ratio = show("kpack build", ours) / show("pip download", theirs)
    print(f"  ratio {ratio:.2f} (to reach: 0.4)")


def warm(folder: Path, rounds: int) -> None:
    """Compare with cp."""
    print("warm: 2 GB of checkpoints in the cache")
    files = folder / "files"
    files.mkdir()
    data = noise(files / "big.ckpt", 2 * GB)
    wheel = make_wheel(files, "tiny")
    with served(files, 0) as url:
        project(folder / "project", url, [wheel], [(data, f"{url}/files/big.ckpt", sha256_of(data))])
        build(folder / "project", folder / "cache")
        ours, theirs = [], []
        for _ in range(rounds):
            ours.append(build(folder / "project", folder / "cache"))
            (folder / "copy").unlink(missing_ok=True)
            theirs.append(timed(["cp", data, folder / "copy"], folder, clean()))
    ratio = show("kpack build", ours) / show("cp", theirs)
    print(f"  ratio {ratio:.2f} (to reach: 2)")


def memory(folder: Path) -> None:
    """Show the peak."""
    print("memory: a 10 GB checkpoint")
    files = folder / "files"
    files.mkdir()
    data = sparse(files / "big.ckpt", 10 * GB)
    sha256 = sha256_of(data)
    wheel = make_wheel(files, "tiny")
    with served(files, 0) as url:
        for name, where in (("from disk", data.as_uri()), ("over HTTP", f"{url}/files/big.ckpt")):
            project(folder / "project", url, [wheel], [(data, where, sha256)])
            peak = build(folder / "project", folder / "cache").peak
            print(f"  {name:<34} peak {peak / 2**20:.0f} MiB (to reach: 256)")


def linear(folder: Path) -> None:
    """Show that the cost is in bytes."""
    files = folder / "files"
    files.mkdir()
    content = {f"m{number}.bin": os.urandom(10**6) for number in range(3)}
    wheels = [make_wheel(files, f"wheel{number}", files=content) for number in range(100)]
    print("linear: wheels of 3 MB, cold and warm")
    with served(files, 0) as url:
        for count in (1, 10, 100):
            project(folder / "project", url, wheels[:count])
            first = build(folder / "project", folder / f"cache-{count}").seconds
            again = build(folder / "project", folder / f"cache-{count}").seconds
            print(f"  {count:>4} wheels {first:8.2f} s cold {again:8.2f} s warm")
        print("linear: one checkpoint from the cache")
        for size in (GB // 10, GB, 10 * GB):
            data = sparse(files / f"{size}.ckpt", size)
            project(folder / "project", url, wheels[:1], [(data, f"{url}/files/{data.name}", sha256_of(data))])
            first = build(folder / "project", folder / "cache").seconds
            again = build(folder / "project", folder / "cache").seconds
            print(f"  {size / GB:>4} GB     {first:8.2f} s cold {again:8.2f} s warm")


def main() -> None:
    """Read the words and run."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=["cold", "warm", "memory", "linear"])
    words.add_argument("--wheels", type=Path, help="folder of real wheels, for cold")
    words.add_argument("--work", type=Path, help="where to write (tmpfs or disk: say which)")
    words.add_argument("--rounds", type=int, default=3)
    given = words.parse_args()
    compileall.compile_dir(ROOT / "kpack", quiet=1)  # as pip does with what it installs
    with tempfile.TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        if given.what == "cold":
            if given.wheels is None:
                words.error("cold needs --wheels")
            cold(folder, sorted(given.wheels.glob("*.whl")), given.rounds)
        elif given.what == "warm":
            warm(folder, given.rounds)
        elif given.what == "memory":
            memory(folder)
        else:
            linear(folder)
    print(f"peak of this process's children {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024} MiB")


if __name__ == "__main__":
    main()
