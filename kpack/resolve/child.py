"""Asks workers, processes of their own (`kpack.resolve.process`), and makes errors of what they could not do."""

from __future__ import annotations

import contextlib
import typing
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from kpack import urls
from kpack.errors import IntegrityError, KpackError, MachineError, MisfitError, NetworkError, NoSolution
from kpack.resolve.process import StartedWorker
from kpack.resolve.wire import KEEPING, MARK, Answer, Failure, RequiresAnswer, Underway, dumps, loads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from kpack.resolve.wire import Question, RequiresQuestion

    Listener = Callable[[str, Underway], object]
    """Called from other threads with a question's label and what its worker said on the way."""


class Workers:
    """Worker processes that load pip while there is no question for them yet; a context manager that ends them.

    They read questions from a pipe whose other end is here, so they end with this process, however that ends.
    ``on_event`` hears what they say on the way; ``scratch`` is the folder for their temporary files.
    """

    def __init__(
        self,
        count: int,
        on_event: Listener | None = None,
        *,
        scratch: Path | None = None,
        begun: StartedWorker | None = None,
    ) -> None:
        """Have ``count`` of them; ``begun`` is one that was started before.

        Raises:
            MachineError: a process could not be started.

        """
        self.on_event = on_event
        self.meanwhile: Callable[[], object] | None = None
        """What the next wait for answers has time for: imports, say."""
        self._scratch = scratch
        self._idle = [] if begun is None else [_Child(begun)]
        self.start(count)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for child in self._idle:
            child.end(KEEPING if kind is None and child.answered else 0.0)
        self._idle.clear()

    def dismiss(self) -> None:
        """Say that nothing more will be asked: they end while the caller does something else."""
        for child in self._idle:
            child.dismiss()

    def start(self, count: int) -> None:
        """Have ``count`` of them that are free.

        Raises:
            MachineError: a process could not be started.

        """
        while len(self._idle) < count:
            self._idle.append(_Child(StartedWorker(self._scratch)))

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
        return self._idle.pop() if self._idle else _Child(StartedWorker(self._scratch))

    def _talk(self, child: _Child, question: Question | RequiresQuestion) -> Answer | RequiresAnswer | Failure:
        """Ask one worker; it is free again when it has answered."""
        child.answered = False
        try:
            child.say(question)
            for message in child.messages():
                if not isinstance(message, Underway):
                    child.answered = True
                    self._idle.append(child)
                    return message
                if self.on_event is not None:
                    self.on_event(question.label, message)
            raise child.silence(question.label)
        finally:
            if not child.answered:
                child.end()


class _Child:
    """One worker process, and the messages that go to it and come from it."""

    def __init__(self, started: StartedWorker) -> None:
        self._started = started
        self.process = started.process
        self.kill, self.dismiss, self.end = started.kill, started.dismiss, started.end
        self.answered = False
        """Its last question; what it has read for that may still be on its way to the disk."""

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
        last = [line for line in self._started.complaints().splitlines() if line[:1].strip()][-1:]
        said = urls.redacted(plain("".join(last))) or "it said nothing"
        return MachineError(
            f"the resolver ended without an answer (exit status {code}): {said}",
            where=label,
            next="run again with --debug and report it",
        )


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
