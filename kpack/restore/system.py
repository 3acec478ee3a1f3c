"""System packages of a pack: installed by dpkg where the machine is disposable, else unpacked to a folder of their own.

dpkg's own database is the journal of the first road: it is consistent whenever dpkg is killed, and a later run installs
what it does not list as whole. The folder of the second is filled beside and renamed, so that it is there whole or not.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Dict, FrozenSet, Iterator, List, NamedTuple, Tuple

from . import check, prefix, temporary
from .errors import MACHINE, MISFIT, RestoreError, machine_error
from .report import printable, show

if TYPE_CHECKING:
    from .manifest import Manifest, PackedSystem, PackTarget
    from .pack import Pack
    from .scheme import Scheme

DPKG, PREFIX = "dpkg", "prefix"

_DATABASE = "/var/lib/dpkg"
_PATIENCE = 600.0
"""Seconds to wait for another dpkg."""
_OPTIONS = ("--force-unsafe-io", "--force-confdef", "--force-confold")
_WHOLE, _SETTINGS = "i", "c"
"""States of dpkg's: installed whole; gone but for its settings."""
_HOLD = "h"
"""What is wanted of a package that is to stay as it is (apt-mark(8)); dpkg itself does not keep to it."""
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_SAID = 12
"""Lines of dpkg's that an error repeats."""


class SystemPlan(NamedTuple):
    """What a restore does about system packages."""

    road: str
    """`DPKG` or `PREFIX`."""
    install: List[PackedSystem]
    """In the order in which they are installed."""
    there: Dict[str, str]
    """Version by name of what dpkg knows to be installed, whole or not, of the packages to install."""
    settings: FrozenSet[str]
    """Those to install of which dpkg keeps the settings, since they were removed."""
    folder: str
    """The folder to unpack to, absolute; empty for `DPKG`."""
    notes: List[str]

    @property
    def unpacked(self) -> int:
        """Bytes to be written."""
        return sum(item.unpacked for item in self.install)

    @property
    def variables(self) -> Dict[str, List[str]]:
        """Folders to put before what variables of the environment hold, for packages in a folder of their own."""
        return prefix.variables(self.folder) if self.folder else {}


class _Known(NamedTuple):
    """What dpkg knows of a package."""

    state: str
    """As dpkg-query(1) abbreviates it: one or two letters, empty for none."""
    version: str
    held: bool


_UNKNOWN = _Known("", "", False)


def plan(manifest: Manifest, target: PackTarget, scheme: Scheme, *, kaggle: bool, disposable: bool) -> SystemPlan:
    """Find out what is missing here, and how it is installed.

    ``disposable`` says that the machine's own packages may be changed when the pack asks for it.
    Raises RestoreError (code 7) when it must be dpkg and may not be, or when another dpkg does not end.
    """
    notes: List[str] = []
    road = _road(manifest, scheme, kaggle=kaggle, disposable=disposable, notes=notes)
    if road == DPKG:
        _wait()
    known = _installed()
    install = []
    for item in target.system:
        state, version, held = known.get(item.name, _UNKNOWN)
        if state == _WHOLE and (version == item.version or _newer(version, item.version)):
            if version != item.version:
                notes.append("{} {} is there and stays; the pack brings {}".format(item.name, version, item.version))
        else:
            install.append(item)
            if held and road == DPKG:
                notes.append(
                    "{} {} is on hold and is replaced all the same; that ends the hold".format(item.name, version)
                )
    there = {item.name: known[item.name].version for item in install if _counts(known, item.name)}
    settings = frozenset(item.name for item in install if known.get(item.name, _UNKNOWN).state == _SETTINGS)
    folder = ""
    if road == PREFIX and install:
        members = [manifest.member(item.member) for item in install]
        folder = prefix.place(scheme, manifest.name, [member.sha256 for member in members])
        if prefix.whole(folder):
            install = []
    return SystemPlan(road, install, there, settings, folder, notes)


def _road(manifest: Manifest, scheme: Scheme, *, kaggle: bool, disposable: bool, notes: List[str]) -> str:
    if manifest.apt == PREFIX or scheme.target is not None:
        return PREFIX
    # A virtual environment is somebody's, on a machine that is somebody's: a kernel has the system's Python.
    disposable = disposable and sys.prefix == sys.base_prefix
    able = os.geteuid() == 0 and shutil.which("dpkg") is not None
    if manifest.apt != DPKG:
        return DPKG if able and kaggle and disposable else PREFIX
    if not disposable:
        notes.append("this machine's own packages are left alone: system packages are unpacked to a folder")
        return PREFIX
    if not able:
        raise RestoreError(
            MACHINE,
            "system packages are to be installed by dpkg, which {}".format(
                "needs root" if os.geteuid() else "is not on this machine"
            ),
            where="[restore] apt",
            next='write apt = "prefix" in [restore] and build again',
        )
    return DPKG


@contextlib.contextmanager
def installing(planned: SystemPlan, pack: Pack, scheme: Scheme) -> Iterator[None]:
    """Install before the block; when that raises, what this run has added is taken away again.

    Raises RestoreError: code 5 for damage, 6 when dpkg finds something unfit, 7 when the machine refuses.
    """
    home = scheme.purelib if planned.road == PREFIX else "/usr"
    check.refuse_unwritable([home])
    check.refuse_too_full({home: (planned.unpacked, 0)})
    folder, held = temporary.make()
    try:
        debs = ((item, _extracted(pack, item, folder)) for item in planned.install)
        if planned.road == PREFIX:
            prefix.fill(planned.folder, debs)
        else:
            _by_dpkg(planned, list(debs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)
    try:
        yield
    except BaseException:
        if planned.road == PREFIX:
            prefix.remove_tree(planned.folder)
        else:
            _purge(planned)
        raise
    if planned.road == PREFIX:
        prefix.remove_others(planned.folder)


def _extracted(pack: Pack, item: PackedSystem, folder: str) -> str:
    """Write a package's verified bytes to a file and return its path."""
    member = pack.manifest.member(item.member)
    path = os.path.join(folder, os.path.basename(item.member))
    buffer = memoryview(bytearray(max((span.size for span in member.spans), default=0)))
    try:
        with open(path, "xb") as stream:
            stream.writelines(pack.read_into(member, span, buffer)[0] for span in member.spans)
    except OSError as error:
        raise machine_error(error, "write", path) from error
    return path


def _by_dpkg(planned: SystemPlan, debs: List[Tuple[PackedSystem, str]]) -> None:
    try:
        for stage in sorted({item.stage for item, _ in debs}):
            _dpkg([path for item, path in debs if item.stage == stage])
    except BaseException as error:
        lost = _purge(planned)
        if lost and isinstance(error, RestoreError):
            error.next = "{}; {}".format(lost, error.next)
        raise


def _dpkg(paths: List[str]) -> None:
    done = _run(["dpkg", "--install", *_OPTIONS, *paths])
    if done.returncode:
        raise _refused(done.stdout.decode("utf-8", "replace"))


def _purge(planned: SystemPlan) -> str:
    """Remove what this run has installed; return what could not be put back."""
    known = _installed()
    ours = [item.name for item in planned.install if item.name not in planned.there and _counts(known, item.name)]
    # Settings that were there before stay, as somebody may have written them.
    for action, names in (
        ("--remove", [name for name in ours if name in planned.settings]),
        ("--purge", [name for name in ours if name not in planned.settings]),
    ):
        if names:
            _run(["dpkg", action, "--force-depends", *reversed(names)])
    now = _installed()
    left = sorted(name for name in ours if _counts(now, name))
    renewed = [
        "{} {}".format(name, known[name].version)
        for name, version in planned.there.items()
        if _counts(known, name) and known[name].version != version
    ]
    said = ["{} could not be removed again".format(", ".join(left))] if left else []
    said += ["{} took the place of an older one and stays".format(", ".join(renewed))] if renewed else []
    return "; ".join(said)


def _refused(said: str) -> RestoreError:
    lines = [line for line in said.split("\n") if line.strip() and not line.startswith(("(Reading", "Selecting"))]
    unfit = "dependency problems" in said or "conflict" in said
    return RestoreError(
        MISFIT if unfit else MACHINE,
        "dpkg did not install the system packages: " + " / ".join(line.strip() for line in lines[-_SAID:]),
        where="dpkg",
        next="lock for this image (a probe knows its packages) and build again"
        if unfit
        else 'see what dpkg says, or write apt = "prefix" in [restore] and build again',
    )


def _run(words: List[str]) -> subprocess.CompletedProcess[bytes]:
    environ = dict(os.environ, DEBIAN_FRONTEND="noninteractive", LC_ALL="C")
    environ.pop("LD_LIBRARY_PATH", None)  # of packages that are unpacked somewhere
    environ["PATH"] = os.pathsep.join([environ.get("PATH", os.defpath), "/usr/sbin", "/sbin", "/usr/bin", "/bin"])
    program = shutil.which(words[0], path=environ["PATH"])
    if program is None:
        raise RestoreError(MACHINE, "{} is not on this machine".format(words[0]), where="PATH")
    try:
        # No pipe: a service that a maintainer script has started keeps it open, and who reads it waits for ever.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env=environ,
                check=False,
            )
            said.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, said.read())
    except OSError as error:
        raise machine_error(error, "run", program) from error


def _installed() -> Dict[str, _Known]:
    """Return, by name, the packages of this machine that dpkg knows.

    Those of another architecture, which dpkg may have beside them, serve other programs.
    """
    if shutil.which("dpkg-query") is None:
        return {}
    done = _run(["dpkg-query", "-W", "-f", "${Package}\\t${db:Status-Abbrev}\\t${Version}\\t${Architecture}\\n"])
    mine = (_ARCHITECTURES.get(os.uname().machine, ""), "all")
    rows: Dict[str, _Known] = {}
    for line in done.stdout.decode("utf-8", "replace").split("\n"):
        cells = line.split("\t")
        if len(cells) == 4 and cells[3] in mine:
            rows[cells[0]] = _Known(cells[1][1:].strip(), cells[2], cells[1].startswith(_HOLD))
    return rows


def _counts(known: Dict[str, _Known], name: str) -> bool:
    """Tell whether a package is installed, whole or not."""
    return known.get(name, _UNKNOWN).state not in ("", "n", _SETTINGS)


def _newer(left: str, right: str) -> bool:
    return _run(["dpkg", "--compare-versions", left, "gt", right]).returncode == 0


def _wait() -> None:
    """Wait for another dpkg, such as one that a killed restore has left behind. Raises RestoreError (code 7)."""
    end, told = time.monotonic() + _PATIENCE, ""
    while True:
        held = next(_held(), None)
        if held is None:
            return
        by = _holder(held)
        if by != told:
            text = "kpack: {} is at work on this machine's packages, and is waited for, {:.0f} s at most; nothing is "
            show((text + "begun yet, and Ctrl-C or the stop button ends the wait\n").format(by, _PATIENCE), sys.stderr)
            told = by
        if time.monotonic() > end:
            raise RestoreError(
                MACHINE,
                "{} has been at work for {:.0f} s".format(by, _PATIENCE),
                where=held,
                next="wait for it, or end it, and run this again",
            )
        time.sleep(0.2)


def _held() -> Iterator[str]:
    """Yield the lock files of dpkg's that another process holds."""
    import fcntl

    for name in ("lock-frontend", "lock"):
        path = os.path.join(_DATABASE, name)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise machine_error(error, "read", _DATABASE) from error
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield path
        finally:
            os.close(descriptor)


def _holder(path: str) -> str:
    """Return who holds the lock of a file, by what the kernel says (proc(5): locks), or else only what it must be."""
    with contextlib.suppress(OSError, ValueError):
        inode = str(os.stat(path).st_ino)
        with open("/proc/locks", encoding="ascii", errors="replace") as rows:
            for row in rows:
                cells = row.split()
                # A row that begins with "->" waits for the lock before it, and has one cell more.
                if len(cells) != 8 or cells[1] != "POSIX":
                    continue
                if cells[5].rpartition(":")[2] == inode and int(cells[4]) > 0:
                    with open("/proc/{}/comm".format(cells[4]), encoding="utf-8", errors="replace") as name:
                        return "{} (process {})".format(printable(name.read().strip()), cells[4])
    return "another dpkg or apt"
