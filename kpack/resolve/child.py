"""Runs worker processes, and turns what they say into values and errors."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kpack.errors import IntegrityError, KpackError, MachineError, MisfitError, NetworkError, NoSolution

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpack.resolve.worker.request import WorkerRequest

KEPT = frozenset({"PIP_CERT", "PIP_CLIENT_CERT", "PYTHONPATH"})
"""The only variables of pip's and Python's that reach the worker: certificates, and where modules are."""

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

_USERINFO = re.compile(r"(://)[^/@\s]*@")


def surroundings() -> dict[str, str]:
    """Return the worker's environment variables: the process's own without what steers pip, uv and Python."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PIP_", "PYTHON", "UV_")) or name in KEPT
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"}


class Workers:
    """Worker processes that load pip while there is no question for them yet; those not used are ended."""

    def __init__(self, count: int) -> None:
        """Start ``count`` of them.

        Raises:
            MachineError: a process could not be started.

        """
        self._idle = [_start() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._idle:
            child.kill()
            child.__exit__(None, None, None)
        self._idle.clear()

    def ask(
        self, requests: Sequence[WorkerRequest], on_event: Callable[[dict[str, Any]], None] | None = None
    ) -> list[dict[str, Any]]:
        """Return the answer to each request, in order; several run at the same time.

        Raises:
            NetworkError: an index or file host did not answer.
            NoSolution: there is no solution for a target (the first in order).
            MachineError: a worker ended without an answer.

        """
        children = [self._idle.pop() if self._idle else _start() for _ in requests]
        with ThreadPoolExecutor(max(1, len(requests))) as pool:
            answers = list(
                pool.map(lambda pair: _ask(pair[0], pair[1], on_event), zip(children, requests, strict=True))
            )
        for request, answer in zip(requests, answers, strict=True):
            if "error" in answer:
                raise error_of(request, answer["error"])
        return answers


def _start() -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [sys.executable, *COMMAND],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=surroundings(),
            text=True,
            encoding="utf-8",
            cwd=_PACKAGE,
        )
    except OSError as error:
        raise MachineError(f"the resolver could not be started: {error.strerror}", where=sys.executable) from error


def _ask(
    child: subprocess.Popen[str], request: WorkerRequest, on_event: Callable[[dict[str, Any]], None] | None
) -> dict[str, Any]:
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    with child, ThreadPoolExecutor(1) as pool:
        complaint = pool.submit(child.stderr.read)
        answer: dict[str, Any] | None = None
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended already: what it said on stderr tells why
                child.stdin.write(request.dumps())
                child.stdin.close()
            for line in child.stdout:
                message = json.loads(line)
                if "answer" in message:
                    answer = message["answer"]
                elif on_event is not None:
                    on_event({"target": request.label, **message})
        except BaseException:
            child.kill()
            raise
        code = child.wait()
    if answer is None:
        last = [line for line in complaint.result().splitlines() if line[:1].strip()][-1:]
        raise MachineError(
            f"the resolver ended without an answer (exit status {code}): {shown(''.join(last)) or 'it said nothing'}",
            where=request.label,
            next="run again with --debug and report it",
        )
    return answer


def error_of(request: WorkerRequest, error: dict[str, Any]) -> KpackError:
    """Return the error that the worker's ``error`` object stands for."""
    if error["kind"] == "network":
        return NetworkError(
            f"{error['host']}: {error['reason']}",
            where=request.label,
            next=error.get("next") or "check the network, the URL in [[indexes]] or KPACK_INDEX_URL, and try again",
        )
    if error["kind"] == "integrity":
        return IntegrityError(shown(error["text"]), where=request.label, next=shown(error["next"]))
    if error["kind"] == "old-pip":
        return MisfitError(
            "exclude-newer cannot be kept for the build dependencies of sdists by this pip",
            where=request.label,
            next="install pip 26.0 or newer beside kpack",
        )
    return NoSolution(shown(error["text"]), where=request.label, next=shown(error.get("next", "")))


def shown(text: str) -> str:
    """Return ``text`` as it may be shown: no credentials in its URLs, control characters escaped (line ends stay)."""
    plain = _USERINFO.sub(r"\1", text)
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in plain)
