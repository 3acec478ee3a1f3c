"""Commands that are disturbed, a few times each; ``python -m tests.faults.run`` does it hundreds of times."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.faults import versions
from tests.faults.run import Runner
from tests.faults.scenes import ROOT
from tests.faults.table import SCENES
from tests.support.long import listed, long_list

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.mark.root
@pytest.mark.parametrize("command", listed(SCENES, lambda name: name == "record"))
def test_a_disturbed_command_loses_nothing_and_the_next_run_succeeds(command: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        runner = Runner(SCENES[command](tmp_path, stack), 0)
        ways = [way for way in runner.ways if command != "record" or way == "no room"]
        for way in ways:
            runner.disturb(way)
    assert runner.outcome.problems == []
    assert sum(runner.outcome.exits.values()) == len(ways)
    assert ways or not shutil.which("cc")


@long_list
def test_versions_of_kpack_do_not_hurt_each_other(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "kpack", tmp_path / "other/kpack")
    with ExitStack() as stack:
        both = versions.staged(tmp_path / "stage", stack, [tmp_path / "other", ROOT], seed=0)
        both.run(0, steps=6)
    assert both.problems == []
    assert both.exits.total() >= 6
