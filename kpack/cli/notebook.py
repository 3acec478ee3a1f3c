"""``kpack notebook``: the builder and the inference notebook of the chained road."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import DISTRIBUTION, __version__
from kpack import project as projects
from kpack.cli.session import Session, answer, json_option, say, tell
from kpack.errors import UsageError

if TYPE_CHECKING:
    from kpack.notebook import PairPlan


@click.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The folder to write; default: notebooks.")
@click.option("--relock", is_flag=True, help="Let the builder lock against the image that it runs in.")
@click.option("--owner", metavar="NAME", help="Your name on Kaggle; default: the owner of [publish] dataset.")
@click.option("--accelerator", type=click.Choice(["cpu", "gpu", "tpu"]), help="Default: what the base's name says.")
@click.option("--image", metavar="DIGEST", help="Pin the image; default: the one that the base was probed in.")
@click.option(
    "--kpack",
    "requirement",
    metavar="REQUIREMENT",
    default=f"{DISTRIBUTION}=={__version__}",
    show_default=True,
    help="How the builder gets kpack; another version builds another id.",
)
@json_option
@click.pass_obj
def notebook(
    session: Session,
    output: Path | None,
    owner: str | None,
    accelerator: str | None,
    image: str | None,
    requirement: str,
    *,
    relock: bool,
    as_json: bool,
) -> None:
    r"""Write a notebook that builds the pack on Kaggle, and one that restores it there.

    The builder has internet; its output is attached to the inference notebook, which has none. The pack never goes
    through your own connection. When a pack of this lock was built here, the builder must make the same one, and the
    line is known already; else kpack push --notebooks puts it in place when the builder has run.

    \b
    kpack notebook
    kpack notebook --relock --accelerator gpu
    kpack push --notebooks
    """
    from kpack.notebook import folder, pair

    project = projects.Project.find(session.config)
    plan = _plan(project, owner, accelerator, image, relock=relock)
    made = pair(replace(plan, kpack=requirement))
    if project.environment.dataset in (made.builder.ref, made.inference.ref):
        raise UsageError(
            f"a notebook and the dataset would both be called {project.environment.dataset}",
            where=str(project.config),
            next="Kaggle gives a name once: choose another slug for [publish] dataset",
        )
    place = output or project.config.parent / "notebooks"
    from kpack.notebook.pair import unknown_line

    builder, inference = folder.write(made, place, plan.line or unknown_line(plan.name))
    if as_json:
        answer({
            "builder": {"folder": str(builder), "ref": made.builder.ref},
            "inference": {"folder": str(inference), "ref": made.inference.ref},
            "image": plan.image,
            "id": plan.expect,
            "line": plan.line,
        })  # fmt: skip
        return
    for kernel, where in ((made.builder, builder), (made.inference, inference)):
        tell(f"{where / kernel.code_file}: {kernel.ref}, internet {'on' if kernel.internet else 'off'}")
    if plan.image is None:
        say("note: the image is not pinned: no base of yours was probed. kpack probe --kaggle does that.")
    if plan.line is None:
        say("The line is not known before the builder has run; kpack push --notebooks puts it in place.")
    tell("next: kpack push --notebooks")


def _plan(
    project: projects.Project, owner: str | None, accelerator: str | None, image: str | None, *, relock: bool
) -> PairPlan:
    from kpack.checkpoints import landing
    from kpack.notebook import PairPlan, gather
    from kpack.publish.kernel import image_reference

    environment = project.environment
    name = owner or (environment.dataset or "").partition("/")[0]
    if not name:
        raise UsageError(
            "whose notebooks these are is not known",
            where=str(project.config),
            next="say --owner NAME, your name on Kaggle, or name [publish] dataset",
        )
    files = gather.files(project, relock=relock)
    machine = accelerator or gather.accelerator_of(project)
    pack = None if relock else gather.pack_of(project)
    lock = None if relock else project.current_lock()
    kinds = gather.attached(environment)
    return PairPlan(
        owner=name,
        name=environment.name,
        files=files,
        config=project.config.name,
        relock=relock,
        expect=pack.id if pack else None,
        line=pack.line if pack else None,
        checkpoints=landing(lock.checkpoints, environment.restore.directory) if lock else {},
        accelerator=machine,
        image=image_reference(image, machine) if image else gather.image_of(project, machine),
        variables=gather.variables(environment),
        datasets=kinds.get("dataset", ()),
        models=kinds.get("model", ()),
        competitions=kinds.get("competition", ()),
    )
