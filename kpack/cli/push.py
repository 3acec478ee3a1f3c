"""``kpack push``: the pack as a dataset version on Kaggle, or the builder and inference notebooks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import project as projects
from kpack.cache import Cache
from kpack.cli.interrupt import stoppable
from kpack.cli.progress import counted, phases
from kpack.cli.session import MINUTES, Session, answer, human_size, json_option, remember, say, say_next, tell, warn
from kpack.errors import CheckFailed, UsageError
from kpack.ledger import Pushed

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.publish.dataset import Parcel, Published

GOING_ON = "run kpack push again: it goes on where the upload stopped"
_WAIT = 30
"""Minutes that a new version may take until it can be mounted."""

_RUNS = 180
"""Minutes that a notebook may wait in the queue and run."""


@click.command()
@click.argument("path", metavar="[PACK]", required=False, type=click.Path(path_type=Path))
@click.option("--dataset", metavar="OWNER/SLUG", help="The dataset; default: [publish] dataset of kaggle-env.toml.")
@click.option("--public", is_flag=True, help="Make a new dataset public; one that is there stays as it is.")
@click.option("--license", "license_name", metavar="NAME", default="other", show_default=True, help="Of a new dataset.")
@click.option(
    "--wait",
    "minutes",
    type=MINUTES,
    metavar="MINUTES",
    help=f"How long to wait for the version ({_WAIT}; 0: not at all), or for each notebook ({_RUNS}).",
)
@click.option("--notebooks", is_flag=True, help="Push and run the notebooks of kpack notebook instead of the pack.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where these notebooks are; default: notebooks.")
@click.option("--dry-run", is_flag=True, help="Look at what Kaggle has, and print the requests that would be sent.")
@json_option
@click.pass_obj
def push(
    session: Session,
    path: Path | None,
    dataset: str | None,
    license_name: str,
    minutes: float | None,
    folder: Path | None,
    *,
    public: bool,
    notebooks: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    r"""Make the pack a version of a Kaggle dataset, and wait until a notebook can mount it.

    The dataset is private unless you say --public. A pack that Kaggle has already is not sent again; an upload that
    broke goes on where it broke. Kaggle's own client signs in: kaggle auth login, or KAGGLE_API_TOKEN.

    \b
    kpack push
    kpack push dist/toxic-comments.kpack.bin --dataset me/toxic-comments-env
    kpack push --dry-run
    kpack push --notebooks          build there, and try the line offline
    """
    if notebooks:
        if path is not None or dataset is not None or public:
            raise click.UsageError("--notebooks takes no pack and no dataset: the pack is built on Kaggle")
        _push_notebooks(session, folder, _RUNS if minutes is None else minutes, dry_run=dry_run, as_json=as_json)
        return
    from kpack.publish import client, names
    from kpack.publish import dataset as datasets

    parcel, ref = _what(session, path, dataset)
    names.title_of(names.split(ref, "[publish] dataset")[1], "[publish] dataset")
    kaggle = client.connect()
    standing = datasets.look(kaggle, ref, parcel)
    if dry_run:
        planned = datasets.planned(standing, parcel, public=public, license_name=license_name)
        _tell_plan(ref, planned, as_json=as_json)
        return
    if public and standing.exists and standing.private:
        say(f"note: {ref} is there already and private; its page on Kaggle can make it public")
    with stoppable(GOING_ON), counted("uploading", parcel.pack.size) as on_bytes:
        done = datasets.push(
            kaggle,
            standing,
            parcel,
            memories=Cache().root / "uploads",
            public=public,
            license_name=license_name,
            patience=(_WAIT if minutes is None else minutes) * 60,
            on_bytes=on_bytes,
            on_state=lambda state: say(f"{ref}: {state}"),
        )
    seen = Pushed(id=parcel.pack.id, ref=done.dataset, version=done.version, mountable=done.mountable)
    remember(parcel.pack.path, seen)
    _tell_done(done, parcel, as_json=as_json)
    if not as_json and path is None:
        say_next(projects.Project.find(session.config))


def _what(session: Session, path: Path | None, dataset: str | None) -> tuple[Parcel, str]:
    """Return the pack to send and the dataset to send it to."""
    from kpack.publish.dataset import parcel

    if path is not None and dataset is not None:
        return parcel(path), dataset
    project = projects.Project.find(session.config)
    ref = dataset or project.environment.dataset
    if ref is None:
        raise UsageError(
            "no dataset is named",
            where=str(project.config),
            next='add to it:  [publish]\n            dataset = "owner/some-slug"\nor say --dataset owner/some-slug',
        )
    if path is not None:
        return parcel(path), ref
    found = parcel(project.pack_path)
    _of_this_lock(project, found)
    return found, ref


def _of_this_lock(project: projects.Project, found: Parcel) -> None:
    """Refuse a pack that the lock does not speak for any more: the line in the notebook would pin the old one."""
    from kpack.lock import relative

    manifest = found.pack.manifest
    made = project.current_lock()
    if found.pack.data(manifest.lock).decode("utf-8") != relative(made):
        raise CheckFailed(
            "the pack was built from another lock",
            where=str(project.pack_path),
            next="run kpack build, then kpack push; to push this very file, name it: kpack push FILE",
        )


def _tell_plan(ref: str, planned: list[dict[str, object]], *, as_json: bool) -> None:
    if as_json:
        answer({"dataset": ref, "changed": bool(planned), "requests": planned})
    elif planned:
        for request in planned:
            answer(request)
    else:
        tell(f"{ref} has this pack already: nothing would be sent")


def _tell_done(done: Published, parcel: Parcel, *, as_json: bool) -> None:
    from kpack.publish.dataset import attachments

    source: dict[str, object] = {"kind": "dataset", "ref": done.dataset, "version": done.version}
    attach = attachments(parcel, source)
    if as_json:
        answer({
            "dataset": done.dataset,
            "version": done.version,
            "changed": done.changed,
            "mountable": done.mountable,
            "id": parcel.pack.id,
            "line": parcel.pack.line,
            "attach": attach,
        })  # fmt: skip
        return
    if not done.changed:
        tell(f"{done.dataset}: version {done.version} is this pack already; nothing was sent")
    else:
        state = "can be mounted" if done.mountable else "is being processed; kpack push waits for it"
        tell(f"{done.dataset}: version {done.version}, {human_size(parcel.pack.size)}, {state}")
    tell("Attach to the notebook:")
    for item in attach:
        tell(f"  {item['kind']} {item['ref']}")
    tell("and paste this line as its first cell:")
    tell("")
    tell(parcel.pack.line, wrap=False)


def _of(name: str, on_phase: Callable[[str], None]) -> Callable[[str], None]:
    return lambda state: on_phase(f"{name}: {state}")


def show_log(log: str) -> None:
    """Write the end of a notebook's log on stderr."""
    for row in log.splitlines():
        warn(f"  | {row}")


def _push_notebooks(session: Session, folder: Path | None, minutes: float, *, dry_run: bool, as_json: bool) -> None:
    from kpack.notebook import gather, publish
    from kpack.publish import client
    from kpack.publish import kernel as kernels

    project = projects.Project.find(session.config)
    place = folder or project.config.parent / "notebooks"
    builder, inference = place / "builder", place / "inference"
    if dry_run:
        requests = [
            client.shown("kernels.KernelsApiService", "SaveKernel", kernels.request_of(kernels.read_folder(one)))
            for one in (builder, inference)
        ]
        answer({"requests": requests} if as_json else requests)
        return
    expect = gather.expected(kernels.read_folder(builder).source)
    kernels.read_folder(inference)
    kaggle = client.connect()
    patience = minutes * 60
    try:
        with phases() as on_phase:
            built = publish.build(kaggle, builder, expect=expect, patience=patience, on_state=_of("builder", on_phase))
        say(f"builder: {'made' if built.changed else 'has made already'} the pack of id {built.id}")
        with phases() as on_phase:
            told = _of("inference", on_phase)
            done = publish.infer(kaggle, inference, built.line, patience=patience, on_state=told)
    except kernels.RunFailed as failed:
        show_log(failed.log)
        raise
    if as_json:
        answer({
            "id": built.id,
            "line": built.line,
            "changed": built.changed,
            "attach": [{"kind": "notebook", "ref": built.run.ref}],
            "notebooks": [{"ref": run.ref, "version": run.version, "ok": run.ok} for run in (built.run, done)],
        })  # fmt: skip
        return
    tell(f"{built.run.ref}: built, id {built.id}")
    tell(f"{done.ref}: version {done.version} restored it without internet")
    tell("Attach to other notebooks:")
    tell(f"  notebook {built.run.ref}")
    tell("and paste this line as their first cell:")
    tell("")
    tell(built.line, wrap=False)
