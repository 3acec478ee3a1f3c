"""Runs the steps of a rehearsal behind walls: no network, ``/kaggle`` as Kaggle has it, no process that outlives it.

``python -I warden.py SPEC``, a process of its own, standard library only. The walls are Linux namespaces (user,
network, mount, PID), made by system calls, so that neither root nor a program of the host is needed; the machine's own
files are read-only behind them. Where the machine refuses some of them, the next weaker set is tried and said. It
prints one JSON object a line: first the walls ``{"kind": "walls", "network", "files", "processes", "why"}``, then for
each step its begin and end. In a container, whose walls stand already, ``own`` says that variables and packages are
those of its own interpreter (3.9 or newer).
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import time
import traceback
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x10000000, 0x20000000, 0x40000000
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
ST_TO_MS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""Flags of statvfs(3) that a bind mount inherits, and what mount(2) calls them."""
PR_SET_PDEATHSIG = 1
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
LEVELS = (("network", "files", "processes"), ("network",), ())
"""Sets of walls, the strongest first."""
HOST_TMP = "/tmp"  # noqa: S108 - this very folder gets a private one in its place
PRIVATE = (HOST_TMP, "/var/tmp", "/root")  # noqa: S108
"""Folders that a kernel may write, and that are others here than the machine's."""
LIVE = ("/dev", "/proc")
"""Folders of the machine that cannot be told that they are read-only."""
MOUNT_SETATTR, AT_FDCWD, AT_RECURSIVE, MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
OFTEN = 0.2
"""Seconds between two looks at what goes on."""
GENERATIONS = 20
"""Processes above an asking one that are told."""
RARELY = 10
"""A look at the disk may take one part in so many of the time."""

_libc = ctypes.CDLL(None, use_errno=True)


class NoWall(Exception):
    """The machine refuses a wall; says which and why."""


def call(name: str, result: int) -> None:
    """Raise `NoWall` for a system call that failed."""
    if result != 0:
        raise NoWall(f"{name}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    """Make a mount, by the system call of that name."""
    arguments = (
        source.encode(),
        target.encode(),
        kind.encode() if kind else None,
        ctypes.c_ulong(flags),
        data.encode(),
    )
    call(f"mount {target}", _libc.mount(*arguments))


def bind(source: str, target: str, *, readonly: bool = False) -> None:
    """Show ``source`` at ``target``, a folder or file that is made when missing."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "xb"):
            pass
    mount(source, target, None, MS_BIND | MS_REC)
    if readonly:
        close(target)


def close(target: str) -> None:
    """Make a mount read-only, with those below it; before Linux 5.12, which has no call for that, itself alone."""
    words = struct.pack("4Q", MOUNT_ATTR_RDONLY, 0, 0, 0)
    arguments = (MOUNT_SETATTR, AT_FDCWD, target.encode(), AT_RECURSIVE, words, ctypes.c_size_t(len(words)))
    if _libc.syscall(*arguments) != 0:
        inherited = os.statvfs(target).f_flag
        flags = sum(ms for st, ms in ST_TO_MS.items() if inherited & st)
        mount("none", target, None, MS_BIND | MS_REMOUNT | MS_RDONLY | flags)


def say(**row: Any) -> None:
    """Print one line of what happens."""
    os.write(1, (json.dumps(row) + "\n").encode())


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent and os.getppid() != 0:
        os._exit(1)


def main(spec: dict[str, Any]) -> int:
    """Run the steps behind the best walls that can be had."""
    die_with_parent(spec["parent"])
    refused: list[str] = []
    levels = [level for level in LEVELS if set(level) <= set(spec["walls"])]
    for walls in levels if spec["weaker"] else levels[:1]:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os._exit(behind(spec, walls, writer, refused))
        os.close(writer)
        with os.fdopen(reader) as stream:
            answer = stream.read()
        status = os.waitpid(child, 0)[1]
        if answer == "ready":
            return os.waitstatus_to_exitcode(status)
        refused.append(answer or "the process that makes the walls was killed")
    sys.stderr.write(refused[-1] + "\n")
    return 70


def behind(spec: dict[str, Any], walls: tuple[str, ...], writer: int, refused: list[str]) -> int:
    """Make the walls, say whether they stand, and run the steps in a child that is inside all of them."""
    parent = os.getppid()
    die_with_parent(parent)
    try:
        if walls:
            enter(walls)
        names = None
        if "network" in walls:
            loopback()
        if "files" in walls:
            furnish(spec)
            names = NameServer(spec["log"])
    except (NoWall, OSError) as error:
        os.write(writer, str(error).encode())
        return 1
    os.write(writer, b"ready")
    os.close(writer)
    say(kind="walls", **{name: name in walls for name in ("network", "files", "processes")}, why=refused)
    outside = os.getpid()
    child = os.fork()
    if child == 0:
        code = 70
        try:
            die_with_parent(outside)
            if "files" in walls:
                with contextlib.suppress(NoWall):  # a container hides parts of /proc; then the host's stays
                    mount("proc", "/proc", "proc", 0)
            run(spec, alone="processes" in walls)
            code = 0
        except BaseException:  # noqa: BLE001 - this fork must not run its parent's code
            traceback.print_exc()
        os._exit(code)
    done, status = 0, 0
    while not done:
        if names is not None:
            names.answer(OFTEN)
        done, status = os.waitpid(child, os.WNOHANG if names is not None else 0)
    if names is not None:
        names.look(last=True)
    return os.waitstatus_to_exitcode(status)


def enter(walls: tuple[str, ...]) -> None:
    """Leave the host's namespaces, as root of a user namespace where this process may not do it by itself."""
    flags = CLONE_NEWNET
    if "files" in walls:
        flags |= CLONE_NEWNS | CLONE_NEWPID
    user, group = os.getuid(), os.getgid()
    if user == 0 and _libc.unshare(flags) == 0:
        if "files" in walls:
            mount("none", "/", None, MS_REC | MS_PRIVATE)
        return
    call("unshare", _libc.unshare(flags | CLONE_NEWUSER))
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path("/proc/self", name).write_text(text, encoding="ascii")
    if "files" in walls:
        mount("none", "/", None, MS_REC | MS_PRIVATE)


def show_machine(spec: dict[str, Any], root: str) -> None:
    """Show the host's folders below ``root``, read-only, and the private ones in their places."""
    for entry in sorted(os.scandir("/"), key=lambda item: item.name):
        target = os.path.join(root, entry.name)
        if entry.path in ("/kaggle", *PRIVATE):
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.path), target)
        elif entry.is_dir() or entry.is_file():
            bind(entry.path, target, readonly=entry.path not in LIVE)
    for place in PRIVATE:
        if place == HOST_TMP or os.path.isdir(place):
            own = spec["tmp"] if place == HOST_TMP else f"{spec['work']}/own{place}"
            os.makedirs(own, exist_ok=True)
            bind(own, root + place)
    for path in spec["seen"]:
        if path.startswith(tuple(f"{place}/" for place in PRIVATE)):
            bind(path, root + path, readonly=True)
    os.makedirs(root + spec["work"], exist_ok=True)
    mount(spec["work"], root + spec["work"], None, MS_BIND)


def furnish(spec: dict[str, Any]) -> None:
    """Make a root that shows the host's folders, those that are private, and ``/kaggle``, and go there."""
    root = spec["root"]
    mount("tmpfs", root, "tmpfs", 0, "mode=755")
    show_machine(spec, root)
    os.mkdir(root + "/kaggle")
    mount("tmpfs", root + "/kaggle", "tmpfs", 0, "mode=755")
    os.makedirs(root + "/kaggle/input")
    mount("tmpfs", root + "/kaggle/input", "tmpfs", 0, "mode=755,size=16m")
    for path, source in spec["inputs"].items():
        bind(source, f"{root}/kaggle/input/{path}", readonly=True)
    mount("tmpfs", root + "/kaggle/input", "tmpfs", MS_REMOUNT | MS_RDONLY, "mode=755,size=16m")
    os.mkdir(root + "/kaggle/working")
    mount("tmpfs", root + "/kaggle/working", "tmpfs", 0, f"mode=777,size={spec['working_bytes']}")
    for name in ("tmp", "temp", "src"):
        os.makedirs(f"{spec['work']}/kaggle-{name}", exist_ok=True)
        bind(f"{spec['work']}/kaggle-{name}", f"{root}/kaggle/{name}")
    os.chroot(root)
    os.chdir("/")
    for name in ("resolv.conf", "nsswitch.conf"):
        # NameServer are asked of nobody, not of a resolver of the host behind a socket file.
        if os.path.exists(f"/etc/{name}"):
            bind(f"{spec['work']}/{name}", f"/etc/{name}")


def loopback() -> None:
    """Bring the loopback interface up, which a new network namespace has down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


class NameServer:
    """A name server on the loopback interface that knows nobody, and writes down who was asked for.

    Code that is not Python's asks it, too. The answer is SERVFAIL, which glibc gives on as "Temporary failure in name
    resolution", the words of a kernel without internet (RFC 1035, section 4.1).
    """

    def __init__(self, log: str) -> None:
        self.log = log
        self.asking: dict[int, float] = {}
        """Processes that asked and have not ended yet."""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 53))

    def answer(self, seconds: float) -> None:
        """Answer one question, if one comes within that time."""
        self.socket.settimeout(seconds)
        try:
            data, asker = self.socket.recvfrom(4096)
        except OSError:
            self.look()
            return
        host, end = self.host(data)
        if host:
            asking = ancestry(owner(asker[1]))
            self.note(kind="lookup", host=host, at=time.monotonic(), asking=asking)
            if asking:
                self.asking[asking[0][0]] = time.monotonic()
            reply = data[:2] + b"\x81\x82" + data[4:6] + bytes(6) + data[12 : end + 4]
            with contextlib.suppress(OSError):  # the asker is gone
                self.socket.sendto(reply, asker)

    def look(self, *, last: bool = False) -> None:
        """Note which of the processes that asked have ended meanwhile, or all of them at the last look."""
        for pid in [pid for pid in self.asking if last or not os.path.exists(f"/proc/{pid}")]:
            del self.asking[pid]
            self.note(kind="gone", pid=pid, at=time.monotonic())

    def note(self, **row: Any) -> None:
        """Add a row to the log; one write call, so that it does not mix with those of the steps' processes."""
        with open(self.log, "ab", buffering=0) as stream:
            stream.write((json.dumps(row) + "\n").encode())

    @staticmethod
    def host(data: bytes) -> tuple[str, int]:
        """Return the name that is asked for and where it ends; no name for what is no question."""
        labels, position = [], 12
        while position < len(data) and data[position]:
            size = data[position]
            labels.append(data[position + 1 : position + 1 + size].decode("ascii", "replace"))
            position += 1 + size
        return ".".join(labels), position + 1


def owner(port: int) -> int:
    """Return the process that has the UDP port of a question open; 0 when it cannot be told."""
    wanted = None
    for table in ("/proc/1/net/udp", "/proc/self/net/udp"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            for row in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = row.split()
                if int(words[1].rpartition(":")[2], 16) == port:
                    wanted = f"socket:[{words[9]}]"
    for pid in filter(str.isdigit, os.listdir("/proc")) if wanted else ():
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            folder = f"/proc/{pid}/fd"
            if any(os.readlink(os.path.join(folder, name)) == wanted for name in os.listdir(folder)):
                return int(pid)
    return 0


def ancestry(pid: int) -> list[tuple[int, str]]:
    """Return process number and program of ``pid`` and of those that started it, innermost first."""
    found: list[tuple[int, str]] = []
    while pid > 1 and len(found) < GENERATIONS:
        try:
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            break
        found.append((pid, name))
        pid = next((int(row.split()[1]) for row in status.splitlines() if row.startswith("PPid:")), 0)
    return found


def used(folders: list[str]) -> int:
    """Return the bytes of files below the folders, as the disk holds them."""
    total = 0
    for folder in folders:
        for place, _, names in os.walk(folder):
            for name in names:
                with contextlib.suppress(OSError):  # gone meanwhile
                    total += os.lstat(os.path.join(place, name)).st_blocks * 512
    return total


class Disk:
    """How much is written below some folders, looked at now and then."""

    def __init__(self, folders: list[str]) -> None:
        self.folders = [folder for folder in folders if os.path.isdir(folder)]
        self.start = used(self.folders)
        self.peak = 0
        self.pause = OFTEN
        """Seconds until the next look."""

    def look(self) -> None:
        """Measure, and put the next look off by what this one cost."""
        begun = time.monotonic()
        self.peak = max(self.peak, used(self.folders) - self.start)
        self.pause = max(OFTEN, RARELY * (time.monotonic() - begun))


def run(spec: dict[str, Any], *, alone: bool) -> None:
    """Run the steps one after the other; ``alone`` says that every other process in sight is a step's."""
    own = [sysconfig.get_path("purelib")] if spec["own"] else []
    disk = Disk([*spec["measured"], *own])
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    for step in spec["steps"]:
        say(kind="step", name=step["name"])
        begun = time.monotonic()
        with open(step["stdout"], "wb") as out, open(step["stderr"], "wb") as err:
            child = subprocess.Popen(
                step["argv"],
                cwd=step["cwd"],
                env={**os.environ, **step["env"]} if spec["own"] else step["env"],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
                preexec_fn=prepare,  # this process has one thread
            )
            status, memory = wait(child.pid, disk)
            child.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.monotonic() - begun
        leave(child.pid, alone=alone)
        say(kind="done", name=step["name"], code=child.returncode, seconds=seconds, memory=memory)
        if step["needed"] and child.returncode:
            break
    disk.look()
    say(kind="disk", peak=disk.peak)


def prepare() -> None:
    """Make a step's process die with this one."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGCHLD])
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def wait(child: int, disk: Disk) -> tuple[int, int]:
    """Wait for ``child``, and for orphans meanwhile; return its status and the peak memory in bytes of one process."""
    peak = 0
    while True:
        signal.sigtimedwait([signal.SIGCHLD], disk.pause)
        found = -1
        while found:
            found, status, usage = os.wait4(-1, os.WNOHANG)
            if found:
                peak = max(peak, usage.ru_maxrss * 1024)
            if found == child:
                return status, peak
        disk.look()


def leave(group: int, *, alone: bool) -> None:
    """End what a step left running."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if alone and os.getpid() == 1:
            os.kill(-1, signal.SIGKILL)
        else:
            os.killpg(group, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, 0)[0] and alone:
            pass


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
