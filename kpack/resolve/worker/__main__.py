"""The worker: questions on stdin, answers on stdout, a line each (``python -m kpack.resolve.worker``)."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING

from kpack.resolve.wire import KEEPING, Question, RequiresQuestion, dumps, loads
from kpack.resolve.worker.course import Course

if TYPE_CHECKING:
    from kpack.resolve.wire import Answer, Failure, Message, RequiresAnswer
    from kpack.resolve.worker.connection import Connection

_YOUNG = 1_000_000
"""Objects that are made before the collector looks for garbage in circles: those of modules and pages live on."""
_PERHAPS = (
    "pip._vendor.urllib3",
    "pip._vendor.requests",
    "pip._internal.cli.cmdoptions",
    "pip._internal.cli.base_command",
    "kpack.resolve.worker.session",
    "kpack.resolve.worker.transport",
)
"""What only a request or a search needs, in the order in which it is wanted: in steps, a question waits for no more
than one."""


def main() -> None:
    """Answer questions until there are no more, and leave without waiting for guesses under way."""
    gc.set_threshold(_YOUNG, 20, 20)
    os.environ["PIP_CONFIG_FILE"] = os.devnull
    os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    questions: queue.SimpleQueue[str] = queue.SimpleQueue()
    keeping = threading.Lock()
    threading.Thread(target=_listen, args=(questions, keeping), daemon=True).start()
    sys.stdout.write("\n")  # ends what a file of the interpreter may have printed before this
    with contextlib.redirect_stdout(sys.stderr):
        _load(questions)
        worker = Worker(Answers(sys.__stdout__), keeping)
        while True:
            worker.answer(loads(questions.get()))


def _load(questions: queue.SimpleQueue[str]) -> None:
    """Import what any answer needs, and then, while whoever asks is loading, what one may need."""
    import kpack.resolve.worker.connection
    import kpack.resolve.worker.solve  # noqa: F401

    for module in _PERHAPS:
        if not questions.empty():
            return
        importlib.import_module(module)


def _listen(questions: queue.SimpleQueue[str], keeping: threading.Lock) -> None:
    """Take questions in; the end of them, which is also what a parent's death looks like, ends everything at once.

    Only the pages that were read for an answer are kept before, which takes a part of a second.
    """
    for line in sys.stdin:
        questions.put(line)
    keeping.acquire(timeout=KEEPING)  # no longer: whoever asked may be dead
    _end()


def _end() -> None:
    """End this process, and what it has started (git, build backends), which is of its group."""
    if os.name == "posix" and os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


class Answers:
    """Writes messages, from whichever thread, one at a time."""

    def __init__(self, stream: object) -> None:
        self._stream = stream
        self._one_at_a_time = threading.Lock()

    def send(self, message: Message) -> None:
        """Write ``message``."""
        with self._one_at_a_time:
            self._stream.write(dumps(message) + "\n")  # type: ignore[attr-defined]
            self._stream.flush()  # type: ignore[attr-defined]


class Worker:
    """Answers one question after another; those that ask the same indexes share connections."""

    def __init__(self, answers: Answers, keeping: threading.Lock) -> None:
        self._answers = answers
        self._keeping = keeping
        self._course = Course(answers.send)
        self._connection: Connection | None = None
        self._connected: object = None

    def answer(self, question: Question | RequiresQuestion) -> None:
        """Find the answer and send it."""
        connection = self._connect(question)
        found: Answer | RequiresAnswer | Failure
        self._course.begin(trying=isinstance(question, Question) and question.read_sources)
        if isinstance(question, RequiresQuestion):
            from kpack.resolve.worker import requires

            found = requires.run(question, connection)
        else:
            from kpack.resolve.worker.readers import Readers

            readers = Readers(question, connection)
            readers.start()
            from kpack.resolve.worker.solve import run

            found = run(readers, self._course)
        with self._keeping:  # before whoever hears the answer can say that it was the last one
            self._answers.send(found)
            connection.pages.kept.write()

    def _connect(self, question: Question | RequiresQuestion) -> Connection:
        from kpack.resolve.worker.connection import connect

        wanted = (question.indexes, question.cache_dir)
        if self._connection is None or self._connected != wanted:
            self._connection = connect(question.indexes, question.cache_dir, self._course.requested)
            self._connected = wanted
        return self._connection


if __name__ == "__main__":
    main()
