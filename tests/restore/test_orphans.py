"""A restore ends with the kpack that started it, killed or not."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.restore import kit
from tests.support.wheels import make_wheel
from tests.test_tether import runs


def test_the_engine_of_a_killed_kpack_ends_and_the_next_run_finishes(tmp_path: Path) -> None:
    series = "{}.{}".format(*sys.version_info[:2])
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=[series]).path
    state = tmp_path / "target" / ".kpack"
    state.mkdir(parents=True)
    words = [sys.executable, "-m", "kpack", "restore", str(pack), "--target", str(tmp_path / "target")]
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the engine waits until this lets go
        parent = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
        assert parent.stderr is not None
        while "waiting for it" not in parent.stderr.readline():
            assert parent.poll() is None
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text(encoding="ascii").split()
        assert children
        parent.send_signal(signal.SIGKILL)
        parent.wait()
        parent.stderr.close()
        while any(map(runs, map(int, children))):
            time.sleep(0.02)
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0
    assert (tmp_path / "target" / "thing-1.0.dist-info" / "METADATA").is_file()
