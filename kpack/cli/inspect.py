"""``kpack inspect``: what is in a pack, for whom, and what it leans on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import pack
from kpack.cli.session import answer, human_size, json_option, tell

if TYPE_CHECKING:
    from kpack.restore.manifest import PackTarget


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@json_option
def inspect(path: Path, *, as_json: bool) -> None:
    r"""List what a pack holds, for which kernels, and what it leans on there.

    \b
    kpack inspect dist/toxic-comments.kpack.bin
    """
    found = pack.read(path)
    manifest = found.manifest
    startup = pack.startup_files(found)
    if as_json:
        answer(
            {
                "pack": str(path),
                "id": found.id,
                "name": manifest.name,
                "kpack": manifest.kpack,
                "size": found.size,
                "targets": [
                    {
                        "label": target.label,
                        "base": target.base,
                        "python": target.python,
                        "machine": target.machine,
                        "packed": [item._asdict() for item in target.distributions],
                        "leans": [{"name": lean.name, "version": lean.version} for lean in target.leans],
                    }
                    for target in manifest.targets
                ],
                "checkpoints": [item._asdict() for item in manifest.checkpoints],
                "env": sorted(manifest.env),
                "startup": {wheel: list(names) for wheel, names in startup.items()},
            }
        )
        return
    tell(f"{manifest.name}: {human_size(found.size)}, id {found.id}, made by kpack {manifest.kpack}")
    for target in manifest.targets:
        _tell_target(found, target)
    for item in manifest.checkpoints:
        place = f" attached at {item.attached}" if item.attached else ""
        tell(f"  checkpoint {item.path}  {human_size(item.size)}{place}  sha256 {item.sha256[:12]}…")
    for wheel, names in startup.items():
        tell(f"  runs code at every start of Python: {', '.join(names)} of {wheel}")


def _tell_target(found: pack.ReadPack, target: PackTarget) -> None:
    tell(f"{target.label} (Python {target.python}, {target.machine}, glibc {'.'.join(map(str, target.glibc))}):")
    for item in target.distributions:
        size = human_size(found.manifest.member(item.wheel).size)
        tell(f"  {item.name} {item.version}  {size}" + (f"  replaces {item.replaces}" if item.replaces else ""))
    if target.leans:
        tell("  leans on " + ", ".join(f"{lean.name} {lean.version}" for lean in target.leans))
