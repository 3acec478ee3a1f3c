"""``kpack init``: a first kaggle-env.toml, and a word on every line that it was made from."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli import complete
from kpack.cli.session import SCREEN, Session, answer, json_option, note, say, tell
from kpack.environment import FILE_NAME, parse
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.base import BaseImage
    from kpack.base.choice import ImageChoice
    from kpack.importing import Harvest

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--name", help="Name of the pack; default: the notebook's or the folder's.")
@click.option(
    "--base",
    "bases",
    multiple=True,
    metavar="NAME",
    help="The kernel's image; may be given more than once.",
    shell_complete=complete.images,
)
@click.option("--python", metavar="3.N", help="Python of a kernel without a known image.")
@click.option(
    "--from",
    "--from-notebook",
    "--from-requirements",
    "inputs",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Take over what a file says: .ipynb, .py, requirements (.txt), pyproject.toml, uv.lock, pylock.toml, "
    "poetry.lock, Pipfile, environment.yml. May be given more than once.",
)
@click.option("--extra", "extras", multiple=True, metavar="NAME", help="An extra of a project, or of its lock.")
@click.option("--group", "groups", multiple=True, metavar="NAME", help="A dependency group of one, likewise.")
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
@click.option("--schema", is_flag=True, help="Write only the schema for editors, beside a file that is there.")
@json_option
@click.pass_obj
def init(
    session: Session,
    name: str | None,
    bases: tuple[str, ...],
    python: str | None,
    inputs: tuple[Path, ...],
    extras: tuple[str, ...],
    groups: tuple[str, ...],
    *,
    force: bool,
    schema: bool,
    as_json: bool,
) -> int:
    r"""Write a commented kaggle-env.toml to start from.

    With --from, each line of the file is accounted for: what became of it, what is left to you, what the image has.
    Nothing in the file is run. A JSON Schema is written beside it, from which editors complete and explain its keys.

    \b
    kpack init
    kpack init --from inference.ipynb
    kpack init --from requirements.txt --base kaggle-cpu-py312-2026-08
    kpack init --from pyproject.toml --extra gpu --from inference.ipynb
    kpack init --schema
    """
    from kpack.base.about import about
    from kpack.cli.findings import print_findings
    from kpack.environment import template
    from kpack.files import write_text
    from kpack.importing import Harvest, read, settle
    from kpack.restore.errors import number_of

    path = session.config or Path(FILE_NAME)
    if schema:
        return _schema_only(path, as_json=as_json)
    if path.exists() and not force:
        raise UsageError("the file is there already", where=str(path), next="edit it, or write it anew with --force")
    if bases and python:
        raise UsageError("--base and --python exclude each other", next="give one of them")
    harvest = Harvest(folder=path.absolute().parent)
    for source in inputs:
        read(source, harvest, extras=extras, groups=groups)
    choice = None if bases or python else _choice(inputs, harvest)
    if choice is not None:
        bases = (choice.info.name,)
    first = next((source.stem for source in inputs if source.suffix == ".ipynb"), path.absolute().parent.name)
    title = name or template.pack_name(first)
    images = _images(bases, path)
    settle(harvest, images)
    text = template.render(
        title,
        bases=bases,
        python=python or "",
        packages=list(harvest.packages.values()),
        exclude=list(harvest.exclude),
        replace=list(harvest.replace),
        no_deps=list(harvest.no_deps),
        checkpoints=list(harvest.checkpoints.values()),
        indexes=list(harvest.indexes.values()),
        env=harvest.env,
        link=any(entry.path and entry.path[0] not in "/~" for entry in harvest.checkpoints.values()),
    )
    parse(text, path)
    write_text(path, text)
    beside = _write_schema(path)
    notes = [*_nothing(harvest, inputs), *(choice.notes if choice else ())]
    if as_json:
        said = {"config": str(path), "schema": str(beside), "name": title, "base": list(bases), "python": python}
        answer({**said, **_summary(harvest, notes), "because": choice.because if choice else None})
        return int(ExitCode.DONE)
    if inputs and SCREEN.volume >= 0:
        print_findings(harvest)
    for text in notes:
        note(text)
    for image in images:
        say(f"image: {about(image, dt.datetime.now(dt.UTC).date())}")
    if choice is not None:
        say(f"  chosen as {choice.because}; kpack probe --list shows the others")
    entries = len(harvest.packages) + len(harvest.checkpoints)
    following = "Next: kpack lock" if entries or not inputs else "It asks for nothing yet. Next: kpack add NAME"
    asked = [number_of(len(harvest.packages), "package"), number_of(len(harvest.checkpoints), "checkpoint")]
    counted = ", ".join(["", *asked]) if entries else ""
    tell(f"{path}: written for {', '.join(bases) or f'Python {python}'}{counted}. {following}")
    return int(ExitCode.DONE)


def _write_schema(path: Path) -> Path:
    """Write the schema where the file's first line says that it is."""
    from kpack.environment.schema import FILE_NAME as SCHEMA
    from kpack.environment.schema import dumps
    from kpack.files import write_text

    beside = path.parent / SCHEMA
    write_text(beside, dumps())
    return beside


def _schema_only(path: Path, *, as_json: bool) -> int:
    beside = _write_schema(path)
    line = f"#:schema ./{beside.name}"
    if as_json:
        answer({"config": str(path), "schema": str(beside), "line": line})
    else:
        tell(f"{beside}: written. Editors read it when {path} begins with this line: {line}")
    return int(ExitCode.DONE)


def _summary(harvest: Harvest, notes: list[str]) -> dict[str, object]:
    from kpack.importing import Outcome

    found: dict[str, object] = {
        str(verdict): [finding.to_dict() for finding in harvest.findings if finding.verdict is verdict]
        for verdict in Outcome
    }
    packages = list(harvest.packages.values())
    return {**found, "lines": harvest.counts(), "packages": packages, "notes": notes}


def _nothing(harvest: Harvest, inputs: tuple[Path, ...]) -> list[str]:
    """Say of each input that gave nothing that it did."""
    from kpack.environment.errors import shown_path

    told = {finding.place.file for finding in harvest.findings}
    where = [shown_path(source) for source in inputs]
    return [f"{name}: nothing in it installs, imports or fetches anything" for name in where if name not in told]


def _images(bases: tuple[str, ...], path: Path) -> list[BaseImage]:
    """Read the images before a file names them."""
    from kpack import base

    return [base.load(ref, path.absolute().parent) for ref in bases]


def _choice(inputs: Sequence[Path], harvest: Harvest) -> ImageChoice:
    """Return the image that the first input which speaks of one wishes for; the newest for a GPU without any."""
    from kpack.base.choice import Wish, choose, wish_of_notebook

    wishes = (wish_of_notebook(source) for source in inputs if source.suffix == ".ipynb")
    return choose(next((wish for wish in wishes if wish != Wish()), Wish(python=harvest.python)))
