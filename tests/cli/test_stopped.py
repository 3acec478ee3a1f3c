"""Ctrl-C while a server sends nothing more: the end comes without it, in order, and the next run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from kpack import claims
from kpack.__main__ import main
from tests.cli.conftest import SERIES
from tests.support.terminal import ROOT
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.cli.conftest import Desk


def test_a_build_that_is_stopped_leaves_nothing_half_and_goes_on_later(desk: Desk) -> None:
    wheel = make_wheel(desk.folder / "wheels", "alpha", "1.0", files={"alpha.bin": "x" * 5000})
    desk.index.add(wheel)
    config = desk.folder / "kaggle-env.toml"
    config.write_text(f'name = "tiny"\npython = "{SERIES}"\npackages = ["alpha"]\n')
    desk("lock")
    asked = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> bool:
        if not handler.path.endswith(".whl"):
            return False
        handler.send_response(200)
        handler.send_header("Content-Length", str(wheel.stat().st_size))  # another would be refused, maybe first
        handler.end_headers()
        handler.wfile.write(b"PK")
        handler.wfile.flush()
        asked.set()
        threading.Event().wait(300)
        return True

    desk.index.intercept = stall
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "KPACK_FETCH_SLOWEST": "0"}
    command = [sys.executable, "-m", "kpack", "build", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True) as build:
        assert asked.wait(120)
        build.send_signal(signal.SIGINT)
        out, err = build.communicate(timeout=60)
    assert build.returncode == 130, err
    error = json.loads(out)["error"]
    assert (error["what"], "kpack build goes on" in error["next"]) == ("stopped", True)
    assert "Traceback" not in err
    assert not list(desk.folder.glob("dist/*"))
    assert not list((desk.folder / "cache").rglob("*.claim"))
    desk.index.intercept = None
    assert "built" in desk("build")


def test_ctrl_c_before_the_command_is_loaded_has_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def pressed(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("kpack.shortcut.plain_restore", pressed)
    with pytest.raises(SystemExit) as caught:
        main()
    assert (caught.value.code, capsys.readouterr().err) == (130, "kpack: stopped\n")


def test_an_end_without_order_takes_the_temporary_files_along(tmp_path: Path) -> None:
    file = tmp_path / "half"
    file.write_text("x")
    with claims.folder(tmp_path / "scratch") as place, claims.held(file):
        claims.drop()
        assert not place.exists()
        assert not file.exists()
