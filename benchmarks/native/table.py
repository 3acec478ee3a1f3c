"""``python -m benchmarks.native.table``: real compiled wheels against the native side of every shipped image.

Each request of ``wheels.txt`` (or of the command line) is chosen for each image and judged as ``kpack lock`` judges
what it has not fetched: by Range, a tenth of the wheel's bytes at most. A line for each wheel and verdict; at the end
the sums. Nothing is installed; about half a gigabyte is read.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

from benchmarks.native.choose import Choice, Index
from kpack import base
from kpack.fetch.client import Client
from kpack.lint.reading import budget, machine_of
from kpack.native import Certainty, judge, of_image, sentences
from kpack.native.remote import RemoteWheel, UnreadError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.native import NativeReport
    from kpack.native.elf import SharedObject

REQUESTS = Path(__file__).with_name("wheels.txt")
_MARKS = {Certainty.SURE: "cannot work", Certainty.LIKELY: "likely not", Certainty.ON_DEMAND: "in part"}


class Look(NamedTuple):
    """What reading a wheel told, and cost."""

    objects: tuple[SharedObject, ...] | None
    why: str
    received: int
    seconds: float


class Wheels:
    """Reads each wheel once."""

    def __init__(self) -> None:
        self.client = Client(connections=8)
        self.known: dict[str, Look] = {}

    def read(self, choices: Iterable[Choice]) -> None:
        """Read what is not known yet."""
        fresh = {choice.url: choice for choice in choices if choice.url not in self.known}
        with ThreadPoolExecutor(8) as pool:
            self.known |= dict(zip(fresh, pool.map(self._look, fresh.values()), strict=True))

    def _look(self, choice: Choice) -> Look:
        machine = machine_of(choice.filename)
        if machine is None:
            return Look((), "", 0, 0.0)
        remote = RemoteWheel(self.client, choice.url, choice.size)
        start = time.perf_counter()
        try:
            objects, why = remote.objects(budget(choice.filename, choice.size), machine), ""
        except UnreadError as error:
            objects, why = None, str(error)
        return Look(objects, why, remote.received, time.perf_counter() - start)


def verdict(report: NativeReport, choice: Choice) -> tuple[str, str]:
    """Return one word for a wheel, and the sentences about it."""
    found = [item for item in report.findings if item.package == choice.name]
    for certainty, mark in _MARKS.items():
        if worst := [item for item in found if item.certainty is certainty]:
            return mark, "; ".join(said for said, _ in sentences(worst))
    return "works", ""


def _cost(choice: Choice | None, wheels: Wheels) -> str:
    """Return what reading a wheel cost."""
    if choice is None:
        return ""
    look = wheels.known[choice.url]
    why = f", {look.why}" if look.why else ""
    return f"  [{look.received / 1e6:.1f} of {choice.size / 1e6:.1f} MB, {look.seconds:.2f} s{why}]"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("requests", nargs="*", help="requests instead of those of wheels.txt")
    parser.add_argument("--base", action="append", help="images, by a part of their names; default: all")
    options = parser.parse_args()
    lines = options.requests or REQUESTS.read_text(encoding="utf-8").splitlines()
    wanted = [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]
    names = [info.name for info in base.shipped()]
    images = [base.load(name, Path()) for name in names if not options.base or any(b in name for b in options.base)]
    index, wheels = Index(), Wheels()
    sums: dict[str, int] = defaultdict(int)
    done: dict[str, Choice] = {}
    for request in wanted:
        groups = {image.name: index.together(request, image) for image in images}
        wheels.read(choice for group in groups.values() for choice in group)
        rows: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for image in images:
            if not groups[image.name]:
                rows["", "no wheel for it", ""].append(image.name)
                continue
            first, *_ = group = groups[image.name]
            packed = [item.native(wheels.known[item.url].objects) for item in group]
            report = judge(of_image(image, image.name, ".".join(image.python_full_version.split(".")[:2])), packed)
            mark, said = verdict(report, first)
            more = f" + {len(group) - 1}" if len(group) > 1 else ""
            rows[f"{first.filename}{more}", mark, said.replace(image.name, "it")].append(image.name)
            sums[mark] += 1
            done[first.url] = first
        for (filename, mark, said), where in rows.items():
            choice = next((item for item in done.values() if filename.split(" ")[0] == item.filename), None)
            print(f"{request}: {filename or '-'}: {mark}: {', '.join(where)}{_cost(choice, wheels)}", flush=True)
            if said:
                print(f"    {said}")
    looks = [wheels.known[url] for url in done]
    total, received = sum(item.size for item in done.values()), sum(look.received for look in looks)
    seconds = statistics.median(look.seconds for look in looks)
    everything = sum(look.received for look in wheels.known.values())
    print(f"\n{len(done)} wheels ({total / 1e9:.2f} GB), {len(images)} images: {dict(sums)}")
    print(f"read {received / 1e6:.0f} MB, {100 * received / total:.1f} %; median {seconds:.2f} s a wheel")
    print(f"with what comes with them: {len(wheels.known)} wheels, {everything / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
