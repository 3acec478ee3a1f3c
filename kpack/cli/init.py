"""``kpack init``: a first kaggle-env.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli.session import Session, answer, json_option, say, tell
from kpack.environment import FILE_NAME, parse
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from kpack.base import SnapshotInfo
    from kpack.environment.importing import Harvest

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--name", help="Name of the pack; default: the notebook's or the folder's.")
@click.option("--base", "bases", multiple=True, metavar="NAME", help="The kernel's image; may be given more than once.")
@click.option("--python", metavar="3.N", help="Python of a kernel without a known image.")
@click.option("--from-notebook", "notebooks", multiple=True, type=_FILE, help="Take the pip lines of a notebook.")
@click.option("--from-requirements", "lists", multiple=True, type=_FILE, help="Take the lines of a requirements file.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@json_option
@click.pass_obj
def init(
    session: Session,
    name: str | None,
    bases: tuple[str, ...],
    python: str | None,
    notebooks: tuple[Path, ...],
    lists: tuple[Path, ...],
    *,
    force: bool,
    as_json: bool,
) -> int:
    r"""Write a commented kaggle-env.toml to start from.

    \b
    kpack init
    kpack init --from-notebook inference.ipynb
    kpack init --from-requirements requirements.txt --base kaggle-cpu-py312-2026-08
    """
    from kpack.environment import importing, template
    from kpack.files import write_text

    path = session.config or Path(FILE_NAME)
    if path.exists() and not force:
        raise UsageError("the file is there already", where=str(path), next="edit it, or write it anew with --force")
    if bases and python:
        raise UsageError("--base and --python exclude each other", next="give one of them")
    harvest = importing.Harvest(folder=path.absolute().parent)
    for notebook in notebooks:
        importing.from_notebook(notebook, harvest)
    for requirements in lists:
        importing.from_requirements(requirements, harvest)
    if not bases and not python:
        bases = (_base(harvest),)
    title = name or template.pack_name(notebooks[0].stem if notebooks else path.absolute().parent.name)
    packages = list(harvest.packages.values())
    text = template.render(title, bases=bases, python=python or "", packages=packages)
    parse(text, path)
    _known(bases, path)
    write_text(path, text)
    if as_json:
        answer(
            {
                "config": str(path),
                "name": title,
                "base": list(bases),
                "python": python,
                "packages": packages,
                "notes": harvest.notes,
            }
        )
        return int(ExitCode.DONE)
    for note in harvest.notes:
        say(f"note: {note}")
    found = f", {len(packages)} packages" if notebooks or lists else ""
    tell(f"{path}: written for {', '.join(bases) or f'Python {python}'}{found}. Next: kpack lock")
    return int(ExitCode.DONE)


def _known(bases: tuple[str, ...], path: Path) -> None:
    """Refuse a base that cannot be read before a file names it."""
    from kpack import base

    for ref in bases:
        base.load(ref, path.absolute().parent)


def _base(harvest: Harvest) -> str:
    """Return the newest shipped image that has the notebook's Python and accelerator; else the newest for GPUs."""
    from kpack import base

    def rank(info: SnapshotInfo) -> tuple[bool, bool]:
        python = harvest.python is None or info.python.startswith(f"{harvest.python}.")
        return python, info.accelerator in ("any", "cpu" if harvest.accelerator is False else "gpu")

    shipped = base.shipped()
    best = max(shipped, key=rank)
    if harvest.python is not None and not rank(best)[0]:
        harvest.note(f"no known image has the notebook's Python {harvest.python}; {best.name} was chosen")
    return best.name
