"""Ctrl-C: the command unwinds, and what does not let go in time is left behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

from kpack import claims
from kpack.cli.session import SCREEN

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = 128 + signal.SIGINT
"""The exit code of a command that was stopped."""

GRACE = 0.25
"""Seconds that a command has to unwind; threads that wait for a server may take a minute."""

_SHOW_CURSOR = "\x1b[?25h"


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a command that can say how to go on: ``next``."""

    def __init__(self, next: str) -> None:  # noqa: A002 - what errors call it
        super().__init__(next)
        self.next = next


@contextmanager
def stoppable(going_on: str) -> Iterator[None]:
    """Let Ctrl-C end this command within `GRACE`, however its threads are busy; ``going_on`` says what to do then.

    For commands whose files may be left by a process that is killed: the next one takes them up or removes them, and
    what they started ends with them. Only the main thread can do this; elsewhere Ctrl-C stays as it was.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_signal: int, _frame: object) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        SCREEN.volume = min(SCREEN.volume, -1)  # what other threads still notice is no news any more
        timer = threading.Timer(GRACE, _end, [going_on])
        timer.daemon = True
        timer.start()
        raise Interrupted(going_on)

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    except Interrupted:
        raise  # a second Ctrl-C changes nothing: the end is near
    except BaseException:
        signal.signal(signal.SIGINT, before)
        raise
    else:
        signal.signal(signal.SIGINT, before)


_told = threading.Lock()


def first() -> bool:
    """Tell whether nobody has said yet that the command was stopped; who asks says it."""
    return _told.acquire(blocking=False)


def _end(going_on: str) -> NoReturn:
    if first():
        # A thread may hold the locks of sys.stdout and sys.stderr.
        with suppress(OSError):  # nobody reads it any more
            if "--json" in sys.argv:
                error = {"code": CODE, "what": "stopped", "where": "", "next": going_on}
                os.write(1, json.dumps({"error": error}).encode() + b"\n")
            else:
                shown = f"\r{_SHOW_CURSOR}" if os.isatty(2) else ""
                os.write(2, f"{shown}kpack: stopped\n  → {going_on}\n".encode())
    cleaning = threading.Thread(target=claims.drop, daemon=True)
    cleaning.start()
    cleaning.join(GRACE / 2)
    os._exit(CODE)
