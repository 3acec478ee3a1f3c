"""A restore may die or fail at any moment; what it leaves is never a mixture that passes for whole."""

from __future__ import annotations

import bisect
import json
import os
import random
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.restore import kills, kit
from tests.support.long import ALL
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> kills.Scene:
    return kills.stage(tmp_path_factory.mktemp("scene"))


def sample(count: int, *, last: int = 130) -> list[int]:
    """Return numbers of changes, spread over the run; the count of changes is above ``last``."""
    return sorted(random.Random(4).sample(range(1, last), count))


@pytest.fixture(scope="module")
def last(scene: kills.Scene) -> int:
    """Return the number of the last change before the mark."""

    def marked(number: int) -> bool:
        scene.reset()
        scene.restore(number)
        return (scene.target / ".kpack/mark-scene.json").exists()

    return bisect.bisect_left(range(1, scene.changes + 1), True, key=marked)


def test_the_scene_has_as_many_changes_as_the_samples_think(scene: kills.Scene) -> None:
    assert scene.changes > 100


@pytest.mark.parametrize("number", sample(10 if ALL else 5))
def test_killed_at_any_change_the_next_run_finishes(scene: kills.Scene, number: int) -> None:
    number = min(number, scene.changes)
    scene.reset()
    assert scene.restore(number).returncode == -signal.SIGKILL
    assert scene.wrong() == []
    if number % 2 == 0:  # and once more, while it cleans up
        scene.restore(number // 2)
        assert scene.wrong() == []
    assert scene.unfinished() == []


@pytest.mark.parametrize("number", [2, 4, 8, 16, 24, 32] if ALL else [4, 24])
def test_killed_while_it_takes_back_what_was_nearly_done_nothing_passes_for_whole(
    scene: kills.Scene, last: int, number: int
) -> None:
    """Every metadata folder is in place already: each has to lose its METADATA before any of its files."""
    scene.reset()
    assert scene.restore(last).returncode == -signal.SIGKILL
    assert len([*scene.target.glob("*.dist-info/METADATA")]) == 4
    assert scene.restore(number).returncode == -signal.SIGKILL
    assert scene.wrong() == []
    assert scene.unfinished() == []


@pytest.mark.parametrize("number", sample(8 if ALL else 4))
def test_a_refusal_of_the_system_at_any_change_takes_everything_back(scene: kills.Scene, number: int) -> None:
    number = min(number, scene.changes)
    scene.reset()
    done = scene.restore(number, kills.REFUSE)
    if done.returncode == 0:  # the last steps, after the mark, only tidy up
        assert kills.files(kit.listing(scene.target, without=[".kpack"])) == kills.files(scene.after)
        return
    assert done.returncode == 7, done.stdout + done.stderr
    assert kit.listing(scene.target) == scene.before
    assert scene.unfinished() == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("it needs root to mount a small file system")
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("mounting is not allowed here")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.root
def test_a_disk_too_small_is_refused_before_the_first_byte(small_disk: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "big", files={"big.bin": random.Random(0).randbytes(5_000_000)})
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    done = kit.restore(sys.executable, pack.path, target=str(small_disk / "env"))
    assert (done.code, done.error["code"]) == (7, 7)
    assert "are needed" in done.error["what"]
    assert list(small_disk.iterdir()) == []


@pytest.mark.root
@pytest.mark.parametrize("what", ["wheel", "checkpoint"])
def test_a_disk_that_fills_up_on_the_way_takes_everything_back(small_disk: Path, tmp_path: Path, what: str) -> None:
    data = random.Random(0).randbytes(5_000_000)
    files: dict[str, bytes | str] = {"big/a.bin": data if what == "wheel" else b"", "big/b.py": ""}
    wheel = make_wheel(tmp_path, "big", files=files)
    pack = kit.make_pack(tmp_path / "pack", [wheel], checkpoints={"a.ckpt": data} if what == "checkpoint" else {})
    lie = (
        "import os\nreal = os.statvfs\n"
        "def lying(path):\n"
        "    found = list(real(path)); found[4] = 10**9; return os.statvfs_result(found)\n"
        "os.statvfs = lying\n"
    )
    done = kit.restore(sys.executable, pack.path, target=str(small_disk / "env"), before=lie)
    assert (done.code, done.error["code"]) == (7, 7), done.err
    assert "No space left" in done.error["what"]
    assert list(small_disk.iterdir()) == []


@pytest.mark.root
def test_a_read_only_place_is_refused_with_what_to_do(tmp_path: Path) -> None:
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("it needs root for a read-only mount")
    place = tmp_path / "place"
    place.mkdir()
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")])
    wrap = ["unshare", "-m", "sh", "-ec", 'mount -t tmpfs -o ro none "$1"; shift; exec "$@"', "sh", str(place)]
    done = kit.restore(sys.executable, pack.path, wrap=wrap, target=str(place / "env"))
    assert (done.code, done.error["code"]) == (7, 7), done.err
    assert str(place) in done.error["where"]
    assert "--target" in done.error["next"]


def test_two_restores_at_the_same_time_give_one_good_environment(tmp_path: Path) -> None:
    scene = kills.stage(tmp_path, large=3_000_000)
    scene.reset()
    children = [
        subprocess.Popen(scene.command(""), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    said = [child.communicate(timeout=120) for child in children]
    assert [child.returncode for child in children] == [0] * 4, said
    assert kit.listing(scene.target, without=[".kpack"]) == scene.after
    changed = [json.loads(out)["changed"] for out, _ in said]
    assert sorted(changed) == [False, False, False, True]


def test_an_interrupt_takes_everything_back(tmp_path: Path) -> None:
    scene = kills.stage(tmp_path, large=1_000_000)
    scene.reset()
    done = scene.restore(40, "import _thread; _thread.interrupt_main()")
    assert done.returncode not in (0, 7)
    assert "KeyboardInterrupt" in done.stderr
    assert kit.listing(scene.target) == scene.before


def test_what_another_installer_put_there_since_is_not_taken_back(tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path / "wheels", "one", files={"one.py": "X = 1\n"}),
        *kit.rich_wheels(tmp_path / "wheels"),
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels, series=[kills.series()])
    target = tmp_path / "target"
    # Die when the first metadata folder is about to be moved into place.
    before = (
        "import os, signal, sys\n"
        "def hook(event, args):\n"
        "    if event == 'os.rename' and str(args[1]).endswith('.dist-info'):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(hook)\n"
    )
    assert kit.restore(sys.executable, pack.path, target=str(target), before=before).code == -signal.SIGKILL
    assert (target / "one.py").exists()
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--upgrade",
            "--target",
            str(target),
            str(wheels[0]),
        ],
        check=True,
    )
    done = kit.good(sys.executable, pack.path, target=str(target))
    assert (target / "one-1.0.dist-info/INSTALLER").read_text() == "pip\n"
    assert (target / "one.py").read_text() == "X = 1\n"
    assert done.report["changed"]
