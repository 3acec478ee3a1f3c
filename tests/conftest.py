"""What all tests share: property tests judge answers, not the speed of the machine; ``--json`` keeps to its schemas.

``KPACK_EXAMPLES`` says how many examples each property is tried with that has no number of its own; by itself it is
100 with the long list, 20 without.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.answers import watch
from tests.support.long import examples
from tests.support.measured import VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

settings.register_profile(
    "kpack",
    deadline=None,
    max_examples=int(os.environ.get("KPACK_EXAMPLES") or examples(100)),
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("kpack")
watch()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of who is started in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)

MEASURED = frozenset({"consistency", "resolve"})
"""The rooms whose tests are those of the resolver's worker, a process of its own."""


def _room(path: Path) -> str:
    """Return the folder of ``tests`` that a test is in."""
    parts = path.parts
    return parts[len(parts) - parts[::-1].index("tests")]


@pytest.fixture(autouse=True)
def unmeasured_processes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let coverage measure what a test starts in rooms that have no other way to be measured.

    A measured process takes twice the time, and most of what tests start is the same few processes again; with the
    real index as well.
    """
    if _room(request.path) not in MEASURED or request.node.get_closest_marker("index"):
        monkeypatch.delenv(VARIABLE, raising=False)
