"""Ctrl-C ends ``kpack lock`` in whichever phase it is: exit 130, one sentence, no process and no file left over."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.index import IndexServer
from tests.support.lasting import ON_TERMINAL, make_lasting_sdist
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ROOT = Path(__file__).parents[2]
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Desk:
    """A project in front of an index that can be made to stall."""

    def __init__(self, folder: Path, index: IndexServer) -> None:
        self.folder = folder
        self.index = index
        self.stalled = threading.Event()
        self._free = threading.Event()

    def wants(self, text: str) -> None:
        """Write kaggle-env.toml."""
        head = f'name = "tiny"\npython = "{SERIES}"\n'
        (self.folder / "kaggle-env.toml").write_text(head + text, encoding="utf-8")

    def stall(self, part: str) -> None:
        """Answer no request whose path has ``part`` in it, beyond its first bytes."""

        def intercept(handler: BaseHTTPRequestHandler) -> bool:
            if part not in handler.path or self._free.is_set():
                return False
            handler.send_response(200)
            handler.send_header("Content-Length", "1000000")
            handler.end_headers()
            if handler.command == "GET":
                handler.wfile.write(b"x")
                self.stalled.set()
                self._free.wait(120)
            return True

        self.index.intercept = intercept

    def let_go(self) -> None:
        """Answer everything again."""
        self._free.set()

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("KPACK", "PIP_"))}
        return {
            **kept,
            "KPACK_CACHE": str(self.folder / "cache"),
            "KPACK_INDEX_URL": self.index.url,
            "NO_COLOR": "1",
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm",
        }

    def interrupted(self, reached: Callable[[], bool], shown: str = "") -> tuple[int, str]:
        """Lock on a terminal, press Ctrl-C once ``reached``, and return the exit code and what the screen got.

        ``shown`` is what the screen has to show before.
        """
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env=self.environ,
            start_new_session=True,
        )
        os.close(theirs)
        screen = bytearray()
        reading = threading.Thread(target=_read, args=(ours, screen), daemon=True)
        reading.start()
        deadline = time.monotonic() + 120
        while not (reached() and shown.encode() in screen):
            assert process.poll() is None, screen.decode(errors="replace")
            assert time.monotonic() < deadline, screen.decode(errors="replace")
            time.sleep(0.01)
        os.write(ours, b"\x03")
        code = process.wait(60)
        reading.join(10)
        os.close(ours)
        return code, screen.decode(errors="replace")

    def processes(self) -> list[str]:
        """Return the command lines of processes that know of this desk's cache by their variables."""
        mark, found = f"{self.folder}/cache".encode(), []
        for each in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (each / "environ").read_bytes():
                    found.append((each / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return found


def _read(terminal: int, screen: bytearray) -> None:
    with contextlib.suppress(OSError):  # the other end is closed
        while chunk := os.read(terminal, 4096):
            screen += chunk


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with IndexServer() as index:
        desk = Desk(tmp_path, index)
        yield desk
        desk.let_go()


def ended_well(desk: Desk, code: int, screen: str) -> None:
    """Hold what every phase has to show."""
    assert code == 130, screen
    assert screen.count("kpack: stopped") == 1, screen
    assert screen.count("run kpack lock again") == 1
    assert "Traceback" not in screen
    assert "trying again" not in screen
    deadline = time.monotonic() + 20
    while desk.processes() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert desk.processes() == []
    assert not (desk.folder / "pylock.kaggle-env.toml").exists()


def test_index_that_stalls(desk: Desk) -> None:
    desk.index.add(make_wheel(desk.folder / "wheels", "top", "1.0", requires=["below"]))
    desk.index.add(make_wheel(desk.folder / "wheels", "below", "1.0"))
    desk.wants('packages = ["top"]\n')
    desk.stall("/simple/below/")
    code, screen = desk.interrupted(desk.stalled.is_set, shown="resolving")
    ended_well(desk, code, screen)
    assert list((desk.folder / "cache" / "tmp").iterdir()) == []
    desk.let_go()
    again = subprocess.run([sys.executable, "-m", "kpack", "lock"], cwd=desk.folder, env=desk.environ, check=False)
    assert again.returncode == 0


def test_checkpoint_that_stalls(desk: Desk) -> None:
    desk.wants(f'[[checkpoints]]\nurl = "{desk.index.root}/weights.bin"\npath = "weights.bin"\n')
    desk.stall("/weights.bin")
    code, screen = desk.interrupted(desk.stalled.is_set, shown="fetching")
    ended_well(desk, code, screen)


def test_build_that_takes_long(desk: Desk) -> None:
    reached = desk.folder / "reached"
    desk.index.add(make_lasting_sdist(desk.folder, reached))
    desk.wants('packages = ["top"]\nallow-source = ["top"]\n')
    code, screen = desk.interrupted(reached.exists)
    ended_well(desk, code, screen)
