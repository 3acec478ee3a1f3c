"""The real command line, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    """What one call of ``kpack`` did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one object on stdout."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The ``error`` object of a failed call with ``--json``."""
        held = self.json["error"]
        assert isinstance(held, dict)
        assert held["code"] == self.code
        return held


def kpack(folder: Path, *words: str, **environ: str) -> Done:
    """Run ``kpack`` in ``folder``; a traceback on either stream fails the test."""
    done = subprocess.run(
        [sys.executable, "-m", "kpack", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "NO_COLOR": "1", **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)
