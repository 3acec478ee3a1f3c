"""The pair on Kaggle: the builder runs, its line goes into the inference notebook, and that one runs offline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.errors import IntegrityError
from kpack.files import is_sha256, parsed
from kpack.notebook.folder import set_line
from kpack.notebook.pair import ANSWER
from kpack.publish import kernel as kernels

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpack.publish.client import Kaggle
    from kpack.publish.kernel import FinishedRun

_ANSWER_LIMIT = 10_000_000


@dataclass(frozen=True, slots=True)
class Built:
    """What a builder made."""

    run: FinishedRun
    id: str
    line: str
    changed: bool
    """It ran now; False when an earlier run had made this very pack."""


def build(
    kaggle: Kaggle,
    folder: Path,
    *,
    expect: str | None,
    patience: float,
    on_state: Callable[[str], None] | None = None,
) -> Built:
    """Run the builder in ``folder``, unless its newest run made the pack of id ``expect`` already.

    Raises:
        UsageError: its metadata is wrong, or Kaggle does not take it.
        kernel.RunFailed: it failed.
        NetworkError: Kaggle cannot be reached or refuses, or it has not ended in time (``patience``, seconds).
        IntegrityError: it made another pack, or left none.

    """
    kernel = kernels.read_folder(folder)
    if expect is not None:
        before = kernels.last_run(kaggle, kernel.ref)
        if before is not None and ANSWER in before.outputs:
            identity, line = _answer(kaggle, before)
            if identity == expect:
                return Built(before, identity, line, changed=False)
    done = kernels.run(kaggle, kernel, patience=patience, on_state=on_state)
    if not done.ok:
        raise kernels.RunFailed(done)
    identity, line = _answer(kaggle, done)
    if expect is not None and identity != expect:
        raise IntegrityError(f"the builder made {identity}, {expect} was expected", where=done.ref)
    return Built(done, identity, line, changed=True)


def _answer(kaggle: Kaggle, run: FinishedRun) -> tuple[str, str]:
    """Return id and line of the pack that a builder says it made."""
    data = kernels.fetch(kaggle, run, ANSWER, _ANSWER_LIMIT)
    try:
        said = parsed(data)
        identity, line = str(said["id"]), str(said["bootstrap"])
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{ANSWER} is not what kpack build writes", where=run.ref) from error
    if not is_sha256(identity) or identity not in line or "\n" in line:
        raise IntegrityError(f"{ANSWER} names no pack", where=run.ref)
    return identity, line


def infer(
    kaggle: Kaggle, folder: Path, line: str, *, patience: float, on_state: Callable[[str], None] | None = None
) -> FinishedRun:
    """Put ``line`` in the inference notebook in ``folder`` and run it.

    Raises:
        UsageError: its metadata is wrong, or Kaggle does not take it.
        kernel.RunFailed: it failed.
        NetworkError: Kaggle cannot be reached or refuses, or it has not ended in time.

    """
    set_line(folder / kernels.read_folder(folder).code_file, line)
    done = kernels.run(kaggle, kernels.read_folder(folder), patience=patience, on_state=on_state)
    if not done.ok:
        raise kernels.RunFailed(done)
    return done
