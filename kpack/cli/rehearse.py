"""``kpack rehearse``: the proof before Kaggle."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import ledger
from kpack.cli import complete
from kpack.cli.images import image_of, own_pack, project_of
from kpack.cli.progress import phases
from kpack.cli.session import MINUTES, Amount, Session, answer, human_size, json_option, remember, say_next, tell
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from kpack.base import BaseImage
    from kpack.project import Project
    from kpack.rehearse import Attempt, Rehearsal

_SLOW = 1.0
"""Seconds from which a module's import is worth a line."""
_SHOWN = 20
"""Rows of each list; ``--json`` has all."""


@click.command()
@click.argument("path", metavar="[PACK]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--base",
    metavar="NAME",
    help="The target of the pack; default: the first whose Python is here.",
    shell_complete=complete.images,
)
@click.option(
    "--python", metavar="PATH", help="An interpreter of the target's Python; default: from PATH, pyenv or uv."
)
@click.option(
    "--real",
    multiple=True,
    metavar="NAME",
    help="Install this base package, and what it needs, really; needed: all that the packed packages need or import.",
)
@click.option("--notebook", type=click.Path(path_type=Path), help="Run this notebook in a Jupyter kernel, too.")
@click.option("--script", type=click.Path(path_type=Path), help="Run this script, too.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="MOUNT=PATH",
    help="Show a file or folder below /kaggle/input, for example competitions/titanic=./data.",
)
@click.option("--container", metavar="IMAGE", help="Do it in a container of this image, by podman or docker.")
@click.option("--skip", multiple=True, metavar="MODULE", help="Do not import this module.")
@click.option(
    "--working",
    type=Amount(min=0, max=1_000_000),
    default=20.0,
    show_default=True,
    metavar="GB",
    help="What /kaggle/working holds.",
)
@click.option("--kaggle", is_flag=True, help="Rehearse on Kaggle itself, in a private notebook without internet.")
@click.option("--dataset", metavar="OWNER/SLUG", help="Where the pack is mounted; default: [publish] dataset.")
@click.option("--builder", is_flag=True, help="With --kaggle: attach the output of the builder of kpack notebook.")
@click.option("--accelerator", type=click.Choice(["cpu", "gpu", "tpu"]), help="With --kaggle; default: the base's.")
@click.option("--image", metavar="DIGEST", help="With --kaggle: pin the image; default: the one of the base.")
@click.option(
    "--wait",
    "minutes",
    type=MINUTES,
    default=180,
    show_default=True,
    metavar="MINUTES",
    help="With --kaggle: how long the notebook may wait and run.",
)
@click.option("--keep", is_flag=True, help="Leave the folder of the rehearsal, and say where it is.")
@json_option
@click.pass_obj
def rehearse(
    session: Session,
    path: Path | None,
    base: str | None,
    python: str | None,
    real: tuple[str, ...],
    notebook: Path | None,
    script: Path | None,
    inputs: tuple[str, ...],
    container: str | None,
    skip: tuple[str, ...],
    working: float,
    dataset: str | None,
    accelerator: str | None,
    image: str | None,
    minutes: float,
    *,
    kaggle: bool,
    builder: bool,
    keep: bool,
    as_json: bool,
) -> int:
    r"""Restore a pack by its line in a look-alike of the kernel, with the network cut, and import what is packed.

    The base's packages are there as metadata only, unless --real says otherwise. Says who reached for the network,
    and which variable of [restore] env would stop it.

    \b
    kpack rehearse
    kpack rehearse --real needed --notebook inference.ipynb
    kpack rehearse dist/toxic.kpack.bin --base kaggle-gpu-py312-2026-08 --json
    kpack rehearse --kaggle               the same proof in Kaggle's own kernel
    """
    from kpack import pack as packs
    from kpack.cache import Cache
    from kpack.cli.rehearse_kaggle import on_kaggle
    from kpack.rehearse import RehearsalOptions, rehearse_in
    from kpack.rehearse import rehearse as run

    here = {
        "--container": container,
        "--base": base,
        "--python": python,
        "--real": real,
        "--script": script,
        "--input": inputs,
        "--keep": keep,
    }
    there = {"--builder": builder, "--accelerator": accelerator, "--image": image}
    for name, value in (here if kaggle else there).items():
        if value:
            raise UsageError(f"{name} {'does not go' if kaggle else 'goes'} with --kaggle", next="see --help")
    project = project_of(session, needed=path is None)
    found = packs.read(path or _pack_of(project))
    options = RehearsalOptions(
        base=base,
        python=python,
        real=frozenset(real),
        notebook=notebook,
        script=script,
        dataset=dataset or (project.environment.dataset if project else None),
        inputs=dict(map(_input, inputs)),
        working=int(working * 1e9),
        skip=frozenset(skip),
        keep=keep,
        indexes=_indexes(project) if project else (),
    )

    def base_of(name: str) -> BaseImage | None:
        return image_of(project, name)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a rehearsal started must end with it
    with phases() as on_phase:
        if kaggle:
            outcome = on_kaggle(
                found,
                project,
                notebook=notebook,
                skip=frozenset(skip),
                builder=builder,
                dataset=dataset,
                accelerator=accelerator,
                image=image,
                minutes=minutes,
                on_phase=on_phase,
            )
        elif container is not None:
            outcome = rehearse_in(container, found, options, base_of=base_of, cache=Cache(), on_phase=on_phase)
        else:
            outcome = run(found, options, base_of=base_of, cache=Cache(), on_phase=on_phase)
    remember(found.path, ledger.Rehearsed(id=outcome.id, where=outcome.where, ok=outcome.ok))
    if as_json:
        answer(outcome.to_dict())
    else:
        show(outcome)
        if project is not None and found.path.resolve() == project.pack_path.resolve():
            say_next(project)
    return int(ExitCode.DONE if outcome.ok else ExitCode.CHECK_FAILED)


def _pack_of(project: Project | None) -> Path:
    assert project is not None
    return own_pack(project)


def _indexes(project: Project) -> tuple[tuple[str, str], ...]:
    folder = project.config.parent
    return tuple((index.option, index.location(folder)) for index in project.environment.indexes)


def _input(text: str) -> tuple[str, Path]:
    mount, equals, path = text.partition("=")
    parts = mount.strip("/").split("/")
    if not equals or not path or ".." in parts or not all(parts):
        raise UsageError(
            f"not an input: {text!r}", where="--input", next="write MOUNT=PATH, for example competitions/titanic=./data"
        )
    return mount, Path(path)


def show(outcome: Rehearsal) -> None:
    """Print an outcome on one screen."""
    for step in outcome.steps:
        took = f" in {step.seconds:.1f} s" if outcome.watched else ""
        tell(f"{step.name}: {'ran' if step.ok else 'FAILED'}{took}")
        for row in (step.error or "").splitlines():
            tell(f"    {row}")
    if outcome.watched:
        _show_watched(outcome)
    for row in outcome.warnings[:_SHOWN]:
        tell(f"warning: {row}")
    for row in outcome.notes:
        tell(f"note: {row}")
    if outcome.watched:
        memory, disk = human_size(outcome.peak_memory), human_size(outcome.peak_disk)
        tell(f"took {outcome.seconds:.1f} s, at most {disk} on disk and {memory} of memory (Python {outcome.python})")
    here = "on Kaggle" if outcome.where == "kaggle" else "here"
    verdict = f"it works {here}" if outcome.ok else "it does not work"
    if outcome.ok and outcome.unproven:
        names = sorted({item.stub for item in outcome.unproven if item.stub})
        verdict += f", as far as stubs can tell; kpack rehearse --real {' --real '.join(names)} tells more"
    tell(f"{outcome.target}, pack {outcome.id[:12]}: {verdict}")


def _show_watched(outcome: Rehearsal) -> None:
    """Print what was imported, and who reached for the network."""
    proven = [item for item in outcome.imports if item.ok]
    tell(f"imports: {len(proven)} of {len(outcome.imports)} modules")
    for item in [item for item in outcome.imports if item.failed][:_SHOWN]:
        tell(f"    FAILED {item.module} (of {item.distribution}): {item.error}")
    for item in outcome.unproven[:_SHOWN]:
        tell(f"    not proven: {item.module} (of {item.distribution}) {item.error}")
    for item in sorted(proven, key=lambda item: -item.seconds)[:3]:
        if item.seconds >= _SLOW:
            tell(f"    slow: {item.module} took {item.seconds:.1f} s")
    tell(f"network: {'nobody reached for it' if not outcome.network else ''}".rstrip())
    for attempt in outcome.network[:_SHOWN]:
        tell(f"    {_attempt(attempt)}")


def _attempt(attempt: Attempt) -> str:
    tries = "" if attempt.tries == 1 else f", {attempt.tries} tries"
    line = f" at {attempt.line}" if attempt.line else ""
    stops = f'; env = {{ {attempt.stops[0]} = "{attempt.stops[1]}" }} stops it' if attempt.stops else ""
    return f"{attempt.host} asked by {attempt.by}{line}{tries}, {attempt.seconds:.1f} s{stops}"
