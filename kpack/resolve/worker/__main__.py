"""The worker: a request on stdin, JSON lines on stdout (``python -m kpack.resolve.worker``)."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from typing import Any


def main() -> None:
    """Read the request, answer, and leave without waiting for guesses under way."""
    os.environ["PIP_CONFIG_FILE"] = os.devnull
    os.environ["PIP_DISABLE_PIP_VERSION_CHECK"] = "1"
    from kpack.resolve.worker.readers import Readers
    from kpack.resolve.worker.request import WorkerRequest

    request = WorkerRequest.loads(sys.stdin.read())
    answers, one_at_a_time = sys.stdout, threading.Lock()

    def emit(message: dict[str, Any]) -> None:
        with one_at_a_time:
            answers.write(json.dumps(message) + "\n")
            answers.flush()

    with contextlib.redirect_stdout(sys.stderr):
        readers = Readers(request, emit)
        readers.start()
        # pip's resolver takes its time to load; the first pages come meanwhile.
        from kpack.resolve.worker.solve import run

        emit({"answer": run(readers)})
    os._exit(0)


if __name__ == "__main__":
    main()
