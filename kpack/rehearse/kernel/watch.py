"""Watches, in every Python of a rehearsed environment, who reaches for the network and which stub is imported.

A ``.pth`` file of the environment runs this code with ``LOG`` (a file that gets one JSON object a line), ``ABSENT``
(a JSON file, module name to base distribution) and ``REFUSE`` (whether connections are refused here because the
machine could not cut the network) in its globals. Standard library only, CPython 3.8 or newer.
"""

from __future__ import annotations

import errno
import functools
import importlib.machinery
import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from typing import Any, Dict, List, Optional, Tuple

LOG = str(globals()["LOG"])
ABSENT = str(globals()["ABSENT"])
REFUSE = bool(globals()["REFUSE"])

NAMED = {"socket.getaddrinfo": 0, "socket.gethostbyname": 0, "socket.gethostbyaddr": 0}
"""Audit events that look a name up, and which of their arguments is the name."""
REACHING = ("socket.connect", "socket.sendto", "socket.sendmsg")
"""Audit events that send something: (socket, address)."""
DEEPEST = 60
"""Frames of a stack that are kept."""

_numbers = itertools.count()
_thread = threading.local()


class StubImportError(ImportError):
    """A base distribution that is only a stub in this rehearsal was imported."""


def write(row: Dict[str, Any]) -> None:
    """Add a line to the log; one write call, so that the lines of several processes do not mix."""
    data = (json.dumps(row) + "\n").encode()
    descriptor = os.open(LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, data)
    finally:
        os.close(descriptor)


def is_outside(host: object) -> bool:
    """Tell whether a name or address is another machine's."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if not isinstance(host, str):
        return False
    return host not in ("", "localhost", "::", "::1", "0.0.0.0", "<broadcast>", socket.gethostname()) and not (  # noqa: S104
        host.startswith("127.") or host.endswith(".localhost")
    )


def place(event: str, arguments: Tuple[Any, ...]) -> Optional[Tuple[str, Optional[int]]]:
    """Return (host, port) of an attempt to reach another machine, None for anything else."""
    if event in NAMED:
        host = arguments[NAMED[event]]
        port = arguments[1] if event == "socket.getaddrinfo" else None
    else:
        address = arguments[1] if len(arguments) > 1 else None
        if not isinstance(address, tuple) or len(address) < 2:
            return None
        host, port = address[:2]
    if not is_outside(host):
        return None
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    return str(host), int(str(port)) if str(port).isdigit() else None


def stack(frame: Any) -> List[Tuple[str, int, str]]:
    """Return (file, line, module) of each frame, innermost first, without the ones of this file and of the import."""
    rows: List[Tuple[str, int, str]] = []
    while frame is not None and len(rows) < DEEPEST:
        module = str(frame.f_globals.get("__name__", ""))
        if frame.f_globals is not globals() and not module.startswith("importlib._bootstrap"):
            rows.append((frame.f_code.co_filename, frame.f_lineno or 0, module))
        frame = frame.f_back
    return rows


def cells() -> Dict[str, int]:
    """Return the numbers of notebook cells by the file name that their code bears; empty where there are none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    known = getattr(getattr(shell, "compile", None), "_filename_map", {})
    return {str(name): int(number) for name, number in known.items()}


def hosts(words: List[str]) -> List[str]:
    """Return the hosts of other machines that a command names in URLs, or as git does (``git@host:path``)."""
    found = re.findall(r"(?:\b\w+://(?:[^/@\s]*@)?|\bgit@)([\w.-]+|\[[0-9a-fA-F:]+\])", " ".join(words))
    return sorted({host for host in found if is_outside(host)})


def begun(words: Any, *, becomes: bool = False) -> Optional[str]:
    """Write down that this process starts a program, by name and without its arguments; return the row's number."""
    if getattr(_thread, "noting", False):
        return None
    listed = [words] if isinstance(words, (str, bytes, os.PathLike)) else list(words)
    texts = [os.fsdecode(word) for word in listed]
    if len(texts) > 2 and os.path.basename(texts[0]) in ("sh", "bash", "dash") and texts[1].endswith("c"):
        texts = texts[2:]
    program = os.path.basename((texts[0].split() or [""])[0]) if texts else ""
    _thread.noting = True
    try:
        number = "{}-{}".format(os.getpid(), next(_numbers))
        row: Dict[str, Any] = {
            "kind": "program",
            "id": number,
            "program": program,
            "hosts": hosts(texts),
            "pid": os.getpid(),
        }
        row["becomes"] = becomes
        row.update(at=time.monotonic(), stack=stack(sys._getframe(2)))  # noqa: SLF001
        numbers = cells()
        row["cells"] = {place[0]: numbers[place[0]] for place in row["stack"] if place[0] in numbers}
        write(row)
    finally:
        _thread.noting = False
    return number


def watch_programs() -> None:
    """Write down which programs are started, and when the caller has waited for them."""
    start, wait, system = subprocess.Popen.__init__, subprocess.Popen.wait, os.system

    @functools.wraps(start)
    def starting(self: Any, args: Any, *rest: Any, **more: Any) -> None:
        number = begun(args)
        start(self, args, *rest, **more)
        self._kpack_number = number
        if number is not None:
            write({"kind": "started", "id": number, "pid": self.pid})

    @functools.wraps(wait)
    def waiting(self: Any, *rest: Any, **more: Any) -> Any:
        code = wait(self, *rest, **more)
        number = self.__dict__.pop("_kpack_number", None)
        if number is not None:
            write({"kind": "end", "id": number, "at": time.monotonic()})
        return code

    @functools.wraps(system)
    def calling(command: Any) -> int:
        number = begun(command)
        code = system(command)
        if number is not None:
            write({"kind": "end", "id": number, "at": time.monotonic()})
        return code

    subprocess.Popen.__init__ = starting  # type: ignore[method-assign]
    subprocess.Popen.wait = waiting  # type: ignore[method-assign]
    os.system = calling


def hook(event: str, arguments: Tuple[Any, ...]) -> None:
    """Note an attempt to reach another machine, and refuse it where the network could not be cut."""
    if event == "os.exec":
        begun(arguments[1], becomes=True)  # a fork that becomes a program: a notebook's !command
        return
    if event not in NAMED and event not in REACHING:
        return
    found = place(event, arguments)
    if found is None or getattr(_thread, "noting", False):
        return
    _thread.noting = True
    try:
        note(event, *found)
    finally:
        _thread.noting = False
    if REFUSE:
        if event in NAMED:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        raise OSError(errno.ENETUNREACH, "Network is unreachable")


def note(event: str, host: str, port: Optional[int]) -> None:
    """Write down one attempt."""
    number = "{}-{}".format(os.getpid(), next(_numbers))
    row: Dict[str, Any] = {
        "kind": "network",
        "id": number,
        "event": event,
        "host": host,
        "port": port,
        "at": time.monotonic(),
        "stack": stack(sys._getframe(2)),  # noqa: SLF001
    }
    numbers = cells()
    row["cells"] = {place[0]: numbers[place[0]] for place in row["stack"] if place[0] in numbers}
    current, main = threading.current_thread(), threading.main_thread()
    if current is not main:
        row["thread"] = current.name
        row["main"] = stack(sys._current_frames().get(main.ident or 0))  # noqa: SLF001
    write(row)
    if hasattr(_thread, "pending"):
        _thread.pending.append(number)


def timed(function: Any) -> Any:
    """Wrap a call so that the end of the attempts noted within it is written down."""

    @functools.wraps(function)
    def call(*arguments: Any, **keywords: Any) -> Any:
        if hasattr(_thread, "pending"):
            return function(*arguments, **keywords)
        _thread.pending = []
        try:
            return function(*arguments, **keywords)
        finally:
            done, now = _thread.pending, time.monotonic()
            del _thread.pending
            for number in done:
                write({"kind": "end", "id": number, "at": now})

    return call


class Absent:
    """The last finder: it finds a base distribution that is a stub here, and its import says so.

    ``importlib.util.find_spec`` answers as it would in the image; a real module of that name always wins.
    """

    def __init__(self, known: Dict[str, str]) -> None:
        self.known = known

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return a spec for a stub's module."""
        del path, target
        if name not in self.known:
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> None:
        """Let Python make the module."""
        del spec

    def exec_module(self, module: Any) -> None:
        """Refuse, with the distribution's name."""
        name = module.__spec__.name
        owner = self.known[name]
        write({"kind": "stub", "module": name, "distribution": owner, "stack": stack(sys._getframe(1))[:DEEPEST]})  # noqa: SLF001
        raise StubImportError("needs the real {}, which is a stub here: --real {}".format(owner, owner), name=name)


def start() -> None:
    """Begin to watch this process."""
    with open(ABSENT, encoding="utf-8") as stream:
        sys.meta_path.append(Absent(json.load(stream)))
    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr"):
        setattr(socket, name, timed(getattr(socket, name)))
    for name in ("connect", "connect_ex", "sendto"):
        setattr(socket.socket, name, timed(getattr(socket.socket, name)))
    watch_programs()
    sys.addaudithook(hook)
    sys._kpack_rehearsal = True  # type: ignore[attr-defined]  # noqa: SLF001 - said to the .pth file


start()
