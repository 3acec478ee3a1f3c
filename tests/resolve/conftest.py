"""The scenario every test of this room starts from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self

import pytest

from kpack.resolve import child
from kpack.resolve.worker.request import WorkerRequest
from tests.resolve.scenario import Scenario
from tests.support.index import IndexServer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


class InProcess:
    """Answers like `child.Workers`, in this process: the same words travel, but pip is loaded once for all tests."""

    def __init__(self, _count: int) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def ask(self, requests: Sequence[WorkerRequest], on_event: Any = None) -> list[dict[str, Any]]:
        from kpack.resolve.worker.readers import Readers
        from kpack.resolve.worker.solve import run

        answers = []
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ:
                if name.startswith("PIP_"):
                    patch.delenv(name)
            patch.setenv("PIP_CONFIG_FILE", os.devnull)
            for request in requests:
                readers = Readers(WorkerRequest.loads(request.dumps()), on_event or (lambda _message: None))
                readers.start()
                answer = run(readers)
                if "error" in answer:
                    raise child.error_of(request, answer["error"])
                answers.append(answer)
        return answers


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
