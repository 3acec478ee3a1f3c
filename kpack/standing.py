"""What Kaggle has of a dataset, asked in a process of its own: an answer in a few seconds, or none.

``python -m kpack.standing PACK REF`` prints one JSON object, the answer or ``{"error": one sentence}``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kpack import tether
from kpack.errors import KpackError

PATIENCE = 8.0
"""Seconds that Kaggle may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetAnswer:
    """What came back; with ``error`` nothing else is known."""

    exists: bool = False
    version: int = 0
    id: str | None = None
    """Of the pack in that version, as far as Kaggle shows it."""
    ready: bool = False
    """A notebook can mount that version."""
    error: str | None = None


def ask(pack: Path, ref: str, patience: float = PATIENCE) -> DatasetAnswer:
    """Ask Kaggle what it has of the dataset ``ref``; ``patience`` in seconds."""
    try:
        done = tether.run([sys.executable, "-P", "-m", "kpack.standing", str(pack), ref], timeout=patience)
        return DatasetAnswer(**json.loads(done.stdout))
    except subprocess.TimeoutExpired:
        return DatasetAnswer(error=f"Kaggle did not answer within {patience:g} s")
    except (ValueError, TypeError):
        return DatasetAnswer(error="Kaggle's client failed")


def main(pack: str, ref: str) -> dict[str, object]:
    """Return the answer of Kaggle as the fields of `DatasetAnswer`."""
    from kpack.publish import client, dataset

    try:
        found = dataset.look(client.connect(), ref, dataset.parcel(Path(pack)))
    except KpackError as error:
        return {"error": error.what}
    return {
        "exists": found.exists,
        "version": found.version,
        "id": found.id,
        "ready": found.exists and found.status == "ready",
    }


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))  # noqa: T201 - the answer of this process
