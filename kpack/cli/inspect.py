"""``kpack inspect``: what is in a pack, for whom, and what it leans on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import pack
from kpack.checkpoints import landing as places
from kpack.checkpoints.loading import loading
from kpack.cli.images import pack_path
from kpack.cli.session import Session, answer, human_size, json_option, plain, tell
from kpack.files import write_text

if TYPE_CHECKING:
    from kpack.restore.manifest import PackTarget


_SHOWN = 8
"""Checkpoints whose code is shown."""


@click.command()
@click.argument("path", metavar="[PACK]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "cyclonedx"]),
    default="text",
    show_default=True,
    help="cyclonedx: a software bill of materials, with licences, hashes and addresses.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write one page that shows all of it: sizes, who brings what, licences; it fetches nothing.",
)
@json_option
@click.pass_obj
def inspect(session: Session, path: Path | None, html: Path | None, *, form: str, as_json: bool) -> None:
    r"""List what a pack holds, for which kernels, and what it leans on there.

    \b
    kpack inspect
    kpack inspect --html pack.html
    kpack inspect dist/toxic-comments.kpack.bin --format cyclonedx > bom.json
    """
    if form == "cyclonedx" and (as_json or html is not None):
        raise click.UsageError("--format cyclonedx is an answer of its own: neither --json nor --html goes with it")
    found = pack.read(pack_path(session, path))
    if html is not None:
        _write_page(found, html, as_json=as_json)
        return
    if form == "cyclonedx":
        from kpack.inventory import inventory
        from kpack.inventory.cyclonedx import bill_of_materials

        click.echo(bill_of_materials(inventory(found, _addresses(session))), nl=False)
        return
    manifest = found.manifest
    startup = pack.startup_files(found)
    loads = loading(places(manifest.checkpoints, manifest.directory))
    if as_json or form == "json":
        answer(
            {
                "pack": str(found.path),
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
                        "system": [
                            {"name": item.name, "version": item.version, "architecture": item.architecture}
                            for item in target.system
                        ],
                        "leans": [{"name": lean.name, "version": lean.version} for lean in target.leans],
                    }
                    for target in manifest.targets
                ],
                "checkpoints": [item._asdict() for item in manifest.checkpoints],
                "loads": [{"path": one.path, "code": list(one.code)} for one in loads],
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
    for one in loads[:_SHOWN]:
        tell(f"  loads {one.path} in the kernel: {'; '.join(one.code)}")
    if len(loads) > _SHOWN:
        tell(f"  and {len(loads) - _SHOWN} more, see --json")
    for wheel, names in startup.items():
        tell(f"  runs code at every start of Python: {', '.join(names)} of {wheel}")


def _addresses(session: Session) -> dict[str, str]:
    """Return the URLs, by sha256, that the lock beside kaggle-env.toml has; none where there is no such file."""
    from kpack.errors import UsageError
    from kpack.project import Project

    try:
        project = Project.find(session.config)
    except UsageError:
        return {}  # a pack alone, as somebody got it from somewhere
    made = project.lock
    if made is None:
        return {}
    return {wheel.sha256: wheel.url for wheel in made.wheels() if wheel.url} | {
        package.sha256: package.url for package in made.system()
    }


def _write_page(found: pack.ReadPack, html: Path, *, as_json: bool) -> None:
    from kpack.page import page_of, render

    write_text(html, render(page_of(found), plain=plain, size=human_size))
    if as_json:
        answer({"pack": str(found.path), "id": found.id, "html": str(html)})
    else:
        tell(f"{html}: written, {human_size(html.stat().st_size)}; it opens in any browser, without the network")


def _tell_target(found: pack.ReadPack, target: PackTarget) -> None:
    tell(f"{target.label} (Python {target.python}, {target.machine}, glibc {'.'.join(map(str, target.glibc))}):")
    for item in target.distributions:
        size = human_size(found.manifest.member(item.wheel).size)
        tell(f"  {item.name} {item.version}  {size}" + (f"  replaces {item.replaces}" if item.replaces else ""))
    for package in target.system:
        size = human_size(found.manifest.member(package.member).size)
        tell(f"  {package.name} {package.version} ({package.architecture}, a system package)  {size}")
    if target.leans:
        tell("  leans on " + ", ".join(f"{lean.name} {lean.version}" for lean in target.leans))
