"""``kpack init``: a first kaggle-env.toml."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli.session import Session, answer, json_option, say, tell
from kpack.environment import FILE_NAME, parse
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.base import BaseImage
    from kpack.base.choice import ImageChoice

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
    from kpack.base.about import about
    from kpack.environment import importing, template
    from kpack.files import write_text

    path = session.config or Path(FILE_NAME)
    if path.exists() and not force:
        raise UsageError("the file is there already", where=str(path), next="edit it, or write it anew with --force")
    if bases and python:
        raise UsageError("--base and --python exclude each other", next="give one of them")
    choice: ImageChoice | None = None
    harvest = importing.Harvest(folder=path.absolute().parent)
    for notebook in notebooks:
        importing.from_notebook(notebook, harvest)
    for requirements in lists:
        importing.from_requirements(requirements, harvest)
    if not bases and not python:
        choice = _choice(notebooks)
        bases = (choice.info.name,)
        for note in choice.notes:
            harvest.note(note)
    title = name or template.pack_name(notebooks[0].stem if notebooks else path.absolute().parent.name)
    packages = list(harvest.packages.values())
    text = template.render(title, bases=bases, python=python or "", packages=packages)
    parse(text, path)
    images = _images(bases, path)
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
                "because": choice.because if choice else None,
            }
        )
        return int(ExitCode.DONE)
    for note in harvest.notes:
        say(f"note: {note}")
    for image in images:
        say(f"image: {about(image, dt.datetime.now(dt.UTC).date())}")
    if choice is not None:
        say(f"  chosen as {choice.because}; kpack probe --list shows the others")
    found = f", {len(packages)} packages" if notebooks or lists else ""
    tell(f"{path}: written for {', '.join(bases) or f'Python {python}'}{found}. Next: kpack lock")
    return int(ExitCode.DONE)


def _images(bases: tuple[str, ...], path: Path) -> list[BaseImage]:
    """Read the images before a file names them."""
    from kpack import base

    return [base.load(ref, path.absolute().parent) for ref in bases]


def _choice(notebooks: Sequence[Path]) -> ImageChoice:
    """Return the image that the first notebook which speaks of one wishes for; the newest for a GPU without any."""
    from kpack.base.choice import Wish, choose, wish_of_notebook

    wishes = (wish_of_notebook(notebook) for notebook in notebooks)
    return choose(next((wish for wish in wishes if wish != Wish()), Wish()))
