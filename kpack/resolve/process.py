"""The process that a worker is: this kpack with pip in it, away from pip's settings and Python's own variables.

Apart from what talks to it (`kpack.resolve.child`), so that it loads while that is loaded.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from kpack.errors import MachineError
from kpack.hosts import shown_to_servers, trusted

KEPT = frozenset({"PIP_CERT", "PIP_CLIENT_CERT", "PYTHONPATH"})
"""The only variables of pip's and Python's that reach the worker: certificates, and where modules are. Of pip's files
the same two values do."""

_PACKAGE = Path(__file__).resolve().parents[1]

_START = """
import importlib.util, sys
folder = sys.argv.pop(1)
spec = importlib.util.spec_from_file_location("kpack", folder + "/__init__.py", submodule_search_locations=[folder])
sys.modules["kpack"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules["kpack"])
from kpack.resolve.worker.__main__ import main
main()
"""

COMMAND = ("-P", "-c", _START, str(_PACKAGE))
"""How a worker starts: with this very kpack, wherever it lies, and nothing else added to the module search path."""


def surroundings() -> dict[str, str]:
    """Return the worker's environment variables: the process's own without what steers pip, uv and Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "UV_")) or name in KEPT
    }
    for variable, found in (("PIP_CERT", trusted()), ("PIP_CLIENT_CERT", shown_to_servers())):
        if found is not None and found.by not in os.environ:  # it stands in a file of pip's
            kept[variable] = found.path
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}


class StartedWorker:
    """One worker process, and the file that holds what it says on stderr."""

    def __init__(self, scratch: Path | None) -> None:
        """Start it, with its temporary files in ``scratch``.

        Raises:
            MachineError: it could not be started.

        """
        self._complaints = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115
        variables = surroundings()
        if scratch is not None:
            variables["TMPDIR"] = str(scratch)
        try:
            self.process = subprocess.Popen(
                [sys.executable, *COMMAND],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
                env=variables,
                text=True,
                encoding="utf-8",
                cwd=_PACKAGE,
                # A group of its own: what the worker starts (git, build backends) ends with it.
                start_new_session=True,
            )
        except OSError as error:
            self._complaints.close()
            what = f"the resolver could not be started: {error.strerror}"
            raise MachineError(what, where=sys.executable) from error

    def complaints(self) -> str:
        """Return what it has said on stderr."""
        self._complaints.seek(0)
        return self._complaints.read()

    def kill(self) -> None:
        """Stop it and what it has started, from any thread; whoever reads from it comes to the end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def dismiss(self) -> None:
        """Tell it that there are no more questions: it ends, once what it has read is kept."""
        with contextlib.suppress(OSError):  # BrokenPipeError: it is gone
            assert self.process.stdin is not None
            self.process.stdin.close()

    def end(self, patience: float = 0.0) -> None:
        """End it and what it has started, now or when it has not ended by itself in ``patience`` seconds."""
        self.dismiss()
        assert self.process.stdout is not None
        if patience:
            bound = threading.Timer(patience, self.kill)
            bound.start()
            with contextlib.suppress(OSError, ValueError):
                self.process.stdout.read()  # to its end, which is that of the process; only then nobody waits for it
            bound.cancel()
        self.kill()
        self.process.wait()
        self.process.stdout.close()
        self._complaints.close()
