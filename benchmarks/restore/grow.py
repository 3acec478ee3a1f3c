"""``python -m benchmarks.restore.grow``: what a restore costs, against the number of wheels, files and bytes.

Made-up wheels, one child process a point, the best of three; the plan alone is a dry run. ``--svg FILE`` draws it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

from benchmarks.restore import packs
from tests.support.wheels import make_wheel

DRY = "'OPTIONS': {'dry_run': True, "


def seconds(pack: Path, place: Path, *, dry: bool = False) -> float:
    """Return the seconds that the engine reports, best of three."""
    found = []
    for number in range(3):
        command = packs.command(pack, place / f"target-{pack.stem}-{number}")
        if dry:
            command = [word.replace("'OPTIONS': {", DRY) for word in command]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(float(json.loads(done.stdout)["seconds"]))
    return min(found)


def made(folder: Path, wheels: int, files: int, size: int) -> list[Path]:
    """Return wheels with so many files of so many bytes each, half of them random."""
    chance = random.Random(0)
    data = chance.randbytes(size // 2) + bytes(size - size // 2)
    return [
        make_wheel(folder, f"made{number}", files={f"made{number}/m{file}.py": data for file in range(files)})
        for number in range(wheels)
    ]


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Draw each curve in a panel of its own."""
    panels = []
    for index, (title, points) in enumerate(curves.items()):
        right, top = max(x for x, _ in points), max(y for _, y in points)
        line = " ".join(f"{60 + 260 * x / right:.1f},{170 - 130 * y / top:.1f}" for x, y in points)
        dots = "".join(
            f'<circle cx="{60 + 260 * x / right:.1f}" cy="{170 - 130 * y / top:.1f}" r="3"/>'
            f'<text x="{60 + 260 * x / right:.1f}" y="{160 - 130 * y / top:.1f}">{y:.2f}</text>'
            f'<text x="{60 + 260 * x / right:.1f}" y="188">{x:g}</text>'
            for x, y in points
        )
        panels.append(
            f'<g transform="translate({340 * index},0)"><text x="60" y="20">{title} (s)</text>'
            f'<path d="M60 30V170H330" fill="none" stroke="#888"/>'
            f'<polyline points="{line}" fill="none" stroke="#06c"/>{dots}</g>'
        )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{340 * len(curves) + 20}" height="200" '
        f'font-family="sans-serif" font-size="11">{"".join(panels)}</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--place", type=Path, default=Path("/dev/shm"))
    parser.add_argument("--svg", type=Path)
    options = parser.parse_args()
    curves: dict[str, list[tuple[float, float]]] = {
        "plan, by wheels": [],
        "by files of 4 kB": [],
        "by MB of one file": [],
    }
    with tempfile.TemporaryDirectory(prefix="kpack-bench-", dir=options.place) as name:
        place = Path(name)
        for count in (100, 300, 1000):
            pack = packs.pack(place / f"wheels{count}.kpack.bin", made(place / f"w{count}", count, 8, 1000))
            curves["plan, by wheels"].append((count, seconds(pack, place, dry=True)))
        for count in (1000, 5000, 20000):
            pack = packs.pack(place / f"files{count}.kpack.bin", made(place / f"f{count}", 10, count // 10, 4000))
            curves["by files of 4 kB"].append((count, seconds(pack, place)))
        for size in (50, 200, 800):
            pack = packs.pack(place / f"bytes{size}.kpack.bin", made(place / f"b{size}", 4, 1, size * 250_000))
            curves["by MB of one file"].append((size, seconds(pack, place)))
    for title, points in curves.items():
        print(title + ": " + ", ".join(f"{x:g} → {y:.3f} s" for x, y in points))
    if options.svg:
        draw(curves, options.svg)


if __name__ == "__main__":
    main()
