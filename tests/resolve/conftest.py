"""The scenario every test of this room starts from."""

from __future__ import annotations

import io
import os
import threading
from typing import TYPE_CHECKING, Any, Self

import pytest

from kpack.resolve import child
from kpack.resolve.wire import Failure, dumps, loads
from tests.resolve.scenario import Scenario
from tests.support.index import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from kpack.resolve.wire import Answer, Question, RequiresAnswer, RequiresQuestion


class InProcess:
    """Answers like `child.Workers`, in this process: the same words travel, but pip is loaded once for all tests."""

    def __init__(self, _count: int, _on_event: Any = None, *, scratch: Path | None = None) -> None:
        self.on_event = self.meanwhile = None

    def start(self, count: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, questions: Sequence[Question]) -> list[Answer | Failure]:
        return [self._answer(question) for question in questions]

    def requires(self, question: RequiresQuestion) -> RequiresAnswer:
        answer = self._answer(question)
        if isinstance(answer, Failure):
            raise child.error_of(question.label, answer)
        return answer  # type: ignore[no-any-return]

    def _answer(self, question: Question | RequiresQuestion) -> Any:
        from kpack.resolve.worker.__main__ import Answers, Worker

        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("PIP_"):
                    patch.delenv(name)
            patch.setenv("PIP_CONFIG_FILE", os.devnull)
            worker = Worker(Answers(said), threading.Lock())
            worker.answer(loads(dumps(question)))
            if worker._connection is not None:
                worker._connection.web.close()
        return loads(said.getvalue().splitlines()[-1])


@pytest.fixture
def real_worker() -> None:
    """Ask for this where the child process itself is what is tested."""


@pytest.fixture(autouse=True)
def _in_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "real_worker" not in request.fixturenames:
        monkeypatch.setattr(child, "Workers", InProcess)


@pytest.fixture
def scenario(tmp_path: Path) -> Iterator[Scenario]:
    """An empty index on loopback and a folder."""
    with IndexServer() as index:
        yield Scenario(tmp_path, index, cache=tmp_path / "cache")
