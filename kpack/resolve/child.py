"""Runs workers: processes of this kpack with pip in them, away from pip's settings and Python's own variables."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Self

from kpack import urls
from kpack.errors import IntegrityError, KpackError, MachineError, MisfitError, NetworkError, NoSolution
from kpack.hosts import shown_to_servers, trusted
from kpack.resolve.wire import MARK, Answer, Failure, RequiresAnswer, Underway, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kpack.resolve.wire import Question, RequiresQuestion

    Listener = Callable[[str, Underway], object]
    """Called from other threads with a question's label and what its worker said on the way."""

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


class Workers:
    """Worker processes that load pip while there is no question for them yet; a context manager that ends them.

    They read questions from a pipe whose other end is here, so they end with this process, however that ends.
    ``on_event`` hears what they say on the way; ``scratch`` is the folder for their temporary files.
    """

    def __init__(self, count: int, on_event: Listener | None = None, *, scratch: Path | None = None) -> None:
        """Start ``count`` of them.

        Raises:
            MachineError: a process could not be started.

        """
        self.on_event = on_event
        self.meanwhile: Callable[[], object] | None = None
        """What the next wait for answers has time for: imports, say."""
        self._scratch = scratch
        self._idle: list[_Child] = []
        self.start(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for child in self._idle:
            child.end()
        self._idle.clear()

    def start(self, count: int) -> None:
        """Have ``count`` of them that are free.

        Raises:
            MachineError: a process could not be started.

        """
        while len(self._idle) < count:
            self._idle.append(_Child(self._scratch))

    def ask(self, questions: Sequence[Question]) -> list[Answer | Failure]:
        """Return the answer to each question, in order; several are worked on at the same time.

        Raises:
            MachineError: a worker ended without an answer.

        """
        children = [self._take() for _ in questions]
        with ThreadPoolExecutor(max(1, len(questions))) as pool:
            try:
                talks = [pool.submit(self._talk, *each) for each in zip(children, questions, strict=True)]
                if self.meanwhile is not None:
                    self.meanwhile()
                    self.meanwhile = None
                found = [talk.result() for talk in talks]
            except BaseException:  # Ctrl-C, or one of them failed: nobody waits for the others
                for child in children:
                    child.kill()
                raise
        assert all(isinstance(each, Answer | Failure) for each in found)
        return typing.cast("list[Answer | Failure]", found)

    def requires(self, question: RequiresQuestion) -> RequiresAnswer:
        """Return what distributions require.

        Raises:
            NetworkError: an index or file host did not answer, or refused.
            MachineError: the worker ended without an answer.

        """
        answer = self._talk(self._take(), question)
        if isinstance(answer, Failure):
            raise error_of(question.label, answer)
        assert isinstance(answer, RequiresAnswer)
        return answer

    def _take(self) -> _Child:
        return self._idle.pop() if self._idle else _Child(self._scratch)

    def _talk(self, child: _Child, question: Question | RequiresQuestion) -> Answer | RequiresAnswer | Failure:
        """Ask one worker; it is free again when it has answered."""
        answered = False
        try:
            child.say(question)
            for message in child.messages():
                if not isinstance(message, Underway):
                    answered = True
                    self._idle.append(child)
                    return message
                if self.on_event is not None:
                    self.on_event(question.label, message)
            raise child.silence(question.label)
        finally:
            if not answered:
                child.end()


class _Child:
    """One worker process, and the file that holds what it says on stderr."""

    def __init__(self, scratch: Path | None) -> None:
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

    def say(self, question: Question | RequiresQuestion) -> None:
        """Send ``question``."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it ended already: what it said on stderr tells why
            self.process.stdin.write(dumps(question) + "\n")
            self.process.stdin.flush()

    def messages(self) -> Iterator[Underway | Answer | RequiresAnswer | Failure]:
        """Yield what it sends, until it ends; what files of the interpreter print when it starts is none of it."""
        assert self.process.stdout is not None
        return (loads(line) for line in self.process.stdout if line.startswith(MARK))

    def silence(self, label: str) -> MachineError:
        """Return the error for a worker that ended without an answer to the question ``label``."""
        code = self.process.wait()
        self._complaints.seek(0)
        last = [line for line in self._complaints.read().splitlines() if line[:1].strip()][-1:]
        said = urls.redacted(plain("".join(last))) or "it said nothing"
        return MachineError(
            f"the resolver ended without an answer (exit status {code}): {said}",
            where=label,
            next="run again with --debug and report it",
        )

    def kill(self) -> None:
        """Stop it and what it has started, from any thread; whoever reads from it comes to the end."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self.process.pid, signal.SIGKILL)
            else:
                self.process.kill()

    def end(self) -> None:
        """End it and what it has started."""
        with contextlib.suppress(OSError):  # BrokenPipeError: it is gone
            assert self.process.stdin is not None
            self.process.stdin.close()
        self.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._complaints.close()


def error_of(label: str, failure: Failure) -> KpackError:
    """Return the error that a `Failure` stands for; ``label`` is that of the question."""
    what, next_ = urls.redacted(plain(failure.text)), urls.redacted(plain(failure.next))
    if failure.kind == "network":
        return NetworkError(
            f"{failure.host}: {what}",
            where=label,
            next=next_ or "check the network, the URL in [[indexes]] or KPACK_INDEX_URL, and try again",
        )
    if failure.kind == "integrity":
        return IntegrityError(what, where=label, next=next_)
    if failure.kind == "old-pip":
        return MisfitError(
            "exclude-newer cannot be kept for the build dependencies of sdists by this pip",
            where=label,
            next="install pip 26.0 or newer beside kpack",
        )
    return NoSolution(what, where=label, next=next_)


def plain(text: str) -> str:
    """Return ``text`` with control characters escaped; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
