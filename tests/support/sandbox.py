"""A notebook run as Kaggle runs it: ``/kaggle/input`` read-only, ``/kaggle/working`` kept, the network cut or not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNNER = Path(__file__).with_name("sandboxed.py")


def missing() -> str:
    """Return what this machine lacks for a sandbox; empty when it lacks nothing."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root for network and mount namespaces"
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return "needs unshare and mount"
    done = subprocess.run(["unshare", "--net", "--mount", "true"], capture_output=True, check=False)
    return "" if done.returncode == 0 else "namespaces are not allowed here"


@dataclass
class Ran:
    """What came of a run."""

    ok: bool
    failure: str = ""
    log: list[dict[str, object]] = field(default_factory=list)
    outputs: dict[str, Path] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The log as a person reads it."""
        return "".join(str(event["data"]) for event in self.log)


class Sandbox:
    """One session: mount inputs, then run one notebook with an interpreter that nothing else uses.

    ``image`` is what its site-packages have beside what the tests' own have: text by path.
    """

    def __init__(self, folder: Path, image: Mapping[str, str] | None = None) -> None:
        self.image = image or {}
        self.folder = Path(tempfile.mkdtemp(prefix="session-", dir=folder))
        self.input = self.folder / "input"
        self.working = self.folder / "working"
        self.python = self.folder / "python"

    def __enter__(self) -> Self:
        self.input.mkdir()
        self.working.mkdir()
        subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", "--symlinks", str(self.python)], check=True, timeout=60
        )
        site = next(self.python.glob("lib/python*/site-packages"))
        # What the image has: the packages of the tests' own interpreter, which stay as they are.
        site.joinpath("image.pth").write_text(sysconfig.get_path("purelib") + "\n")
        for name, text in self.image.items():
            (site / name).parent.mkdir(exist_ok=True)
            (site / name).write_text(text)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.python, ignore_errors=True)

    def mount(self, where: str, content: bytes | Path) -> None:
        """Put a file where ``/kaggle/input/<where>`` will be."""
        place = self.input / where
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            place.write_bytes(content)
        else:
            shutil.copyfile(content, place)

    def run(self, notebook: str, *, internet: bool, environment: dict[str, str], longest: float) -> Ran:
        """Execute every cell in a Jupyter kernel until one fails."""
        (self.folder / "notebook.ipynb").write_text(notebook, encoding="utf-8")
        home = self.folder / "home"
        home.mkdir()
        keep = {key: os.environ[key] for key in ("LANG", "LC_ALL", "SSL_CERT_FILE") if key in os.environ}
        command = ["unshare", "--mount", *([] if internet else ["--net"]), "--", sys.executable, "-I", str(RUNNER)]
        try:
            done = subprocess.run(
                [*command, str(self.folder)],
                env={
                    **keep,
                    "PATH": f"{self.python / 'bin'}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}/usr/local/bin"
                    f"{os.pathsep}/usr/sbin{os.pathsep}/usr/bin{os.pathsep}/sbin{os.pathsep}/bin",
                    "HOME": str(home),
                    "SANDBOX_NET": "1" if internet else "",
                    **environment,
                },
                capture_output=True,
                text=True,
                errors="replace",
                timeout=longest,
                check=False,
            )
            code, failure = done.returncode, done.stderr[-2000:]
        except subprocess.TimeoutExpired:
            code, failure = 1, f"the notebook ran for longer than the allowed {longest:.0f} seconds"
        rows = self.folder / "log.jsonl"
        log = [json.loads(row) for row in rows.read_text().splitlines()] if rows.exists() else []
        outputs = {
            path.relative_to(self.working).as_posix(): path for path in self.working.rglob("*") if path.is_file()
        }
        if code:
            log.append({"stream_name": "stderr", "time": 0.0, "data": failure + "\n"})
        return Ran(ok=code == 0, failure=failure if code else "", log=log, outputs=outputs)
