"""The exact image, from Kaggle itself: a private notebook without internet runs the probe cell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.base import snapshot
from kpack.base.probe import cell
from kpack.errors import IntegrityError, MisfitError, UsageError
from kpack.files import parsed
from kpack.notebook.document import code, dumps, markdown
from kpack.publish import kernel as kernels

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.base import BaseImage
    from kpack.publish.client import Kaggle

NAME = "kaggle-base.json"
"""What the cell leaves."""

_LIMIT = 20_000_000
_LONGEST = 1800.0
"""Seconds that the notebook may run; the cell takes less than a minute."""

_ABOUT = 'Made by `kpack probe --kaggle`: it writes down what this image has, for `base = "./kaggle-base.json"`.'


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """A snapshot from Kaggle."""

    text: str
    """The JSON, with the image as Kaggle names it."""
    base: BaseImage
    image: str | None
    """Full reference, when Kaggle or the kernel said it."""


def notebook(owner: str, accelerator: str, image: str | None) -> kernels.Kernel:
    """Return the notebook to run."""
    return kernels.Kernel(
        ref=f"{owner}/kpack-probe-{accelerator}",
        source=dumps([markdown("kpack-about", _ABOUT), code("kpack-probe", cell())]),
        internet=False,
        accelerator=accelerator,
        image=image,
    )


def probe(
    kaggle: Kaggle,
    accelerator: str,
    *,
    image: str | None = None,
    patience: float = 3600.0,
    on_state: Callable[[str], None] | None = None,
) -> Probed:
    """Run the probe cell on Kaggle and return the snapshot.

    ``accelerator`` is ``cpu``, ``gpu`` or ``tpu``; ``image`` pins an image by its full reference; ``patience``
    (seconds) limits the wait.

    Raises:
        UsageError: who is signed in has no name, or Kaggle does not take the image.
        kernel.RunFailed: the notebook failed.
        NetworkError: Kaggle cannot be reached or refuses, or the notebook has not ended in time.
        MisfitError: another image ran than the one that was asked for.
        IntegrityError: what the notebook left is no snapshot.

    """
    if not kaggle.username:
        raise UsageError("Kaggle's client does not say who is signed in", next="set KAGGLE_USERNAME")
    asked = notebook(kaggle.username, accelerator, image)
    done = kernels.run(kaggle, asked, patience=patience, longest=_LONGEST, on_state=on_state)
    if not done.ok:
        raise kernels.RunFailed(done)
    try:
        text = kernels.fetch(kaggle, done, NAME, _LIMIT).decode("utf-8")
        data = parsed(text)
        said = data.get("image") or {}
        digest = said.get("digest")
    except (ValueError, AttributeError) as error:
        raise IntegrityError(f"{NAME} is not what the probe cell writes", where=done.ref) from error
    if image is not None and digest is not None and digest not in image:
        raise MisfitError(
            f"Kaggle ran {digest}, not {image}",
            where=done.ref,
            next="check the digest; Kaggle may have retired the image",
        )
    reference = said.get("reference") or kernels.image_of(kaggle, done.ref) or image
    if reference is not None and digest is not None and digest not in reference:
        reference = None  # a newer session of the same notebook: its image is not the one that was probed
    text = _told(text, {} if reference is None else {"reference": reference}, accelerator)
    return Probed(text=text, base=snapshot.loads(text, Path(NAME)), image=reference)


def _told(text: str, image: dict[str, str], accelerator: str) -> str:
    """Write into a snapshot what only Kaggle knows, and leave its one distribution a line."""
    head, mark, rows = text.partition(' "distributions": [')
    data = json.loads(head + mark + "]}")
    del data["distributions"]
    data["image"] = {**image, **(data.get("image") or {})}
    data["accelerator"] = accelerator
    return json.dumps(data, indent=1).removesuffix("\n}") + ",\n" + mark + rows
