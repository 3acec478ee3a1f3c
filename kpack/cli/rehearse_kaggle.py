"""``kpack rehearse --kaggle``: what is attached, what it runs in, and the run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kpack.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpack.pack import ReadPack
    from kpack.project import Project
    from kpack.publish.client import Kaggle
    from kpack.rehearse import Rehearsal


def on_kaggle(
    pack: ReadPack,
    project: Project | None,
    *,
    notebook: Path | None,
    skip: frozenset[str],
    builder: bool,
    dataset: str | None,
    accelerator: str | None,
    image: str | None,
    minutes: float,
    on_phase: Callable[[str], None],
) -> Rehearsal:
    """Rehearse a pack on Kaggle, with the dataset, or with the builder's output, attached.

    Raises:
        UsageError: no dataset is named.
        CheckFailed: Kaggle does not have this pack, or cannot mount it yet.

    """
    from kpack.notebook import gather
    from kpack.publish import client
    from kpack.publish.kernel import image_reference
    from kpack.publish.names import slug_of
    from kpack.rehearse.kaggle import Wanted, rehearse_on_kaggle

    machine = accelerator or (gather.accelerator_of(project) if project else "cpu")
    pinned = image_reference(image, machine) if image else gather.image_of(project, machine) if project else None
    ref = dataset or (project.environment.dataset if project else None)
    if ref is None and not builder:
        raise UsageError("no dataset is named", next="say --dataset owner/slug, or --builder for the builder's output")
    kinds = gather.attached(project.environment) if project else {}
    kaggle = client.connect()
    on_phase("looking at what Kaggle has")
    if not builder:
        assert ref is not None
        _has(kaggle, ref, pack)
    wanted = Wanted(
        datasets=tuple(dict.fromkeys((*kinds.get("dataset", ()), *((ref,) if ref and not builder else ())))),
        notebooks=(f"{kaggle.username}/{slug_of(pack.manifest.name)}-builder",) if builder else (),
        models=kinds.get("model", ()),
        competitions=kinds.get("competition", ()),
        accelerator=machine,
        image=pinned,
        notebook=notebook,
        skip=skip,
        patience=minutes * 60,
    )
    return rehearse_on_kaggle(kaggle, pack, wanted, on_phase=on_phase)


def _has(kaggle: Kaggle, ref: str, pack: ReadPack) -> None:
    """Refuse to rehearse with a dataset that would mount another pack."""
    from kpack.publish import dataset as datasets

    standing = datasets.look(kaggle, ref, datasets.parcel(pack.path))
    if standing.holds:
        return
    if not standing.exists:
        what = "there is no such dataset on Kaggle, or this account cannot see it"
    elif standing.id is None:
        what = f"version {standing.version} does not have the pack"
    else:
        what = f"version {standing.version} has pack {standing.id[:12]}, not {pack.id[:12]}"
    raise CheckFailed(what, where=ref, next="run kpack push first: it waits until the version can be mounted")
