"""The private folder of a rehearsal: an environment with the base as stubs, and the files that its processes share."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack import tether
from kpack.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from kpack.cache import Cache
    from kpack.rehearse.interpreter import KernelPython

_FOLDERS = ("env", "home", "input", "kaggle-src", "kernel", "log", "out", "root", "tmp", "working")
_HOOK = "_kpack_rehearsal.pth"


class Stage:
    """The folder ``work`` and what lies in it."""

    def __init__(self, work: Path, interpreter: KernelPython) -> None:
        self.work = work
        self.interpreter = interpreter
        for name in _FOLDERS:
            (work / name).mkdir()
        self.env = work / "env"
        self.python = self.env / "bin" / "python"
        self.log = work / "log" / "network.jsonl"
        self.out = work / "out" / "line.jsonl"
        self.kernel = work / "kernel"
        self.working = work / "working"
        self.source = work / "kaggle-src"
        source = resources.files("kpack.rehearse").joinpath("kernel")
        for name in ("watch.py", "driver.py", "launch.py", "prepare.py"):
            (self.kernel / name).write_bytes(source.joinpath(name).read_bytes())
        (work / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:2 attempts:1\n", encoding="ascii")
        (work / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n", encoding="ascii")

    def make_environment(self) -> Path:
        """Make the environment, without pip, and return the folder of its packages.

        Raises:
            MachineError: the interpreter cannot make one.

        """
        words = ["-I", "-m", "venv", "--without-pip", "--symlinks", str(self.env)]
        made = tether.run([str(self.interpreter.path), *words])
        if made.returncode:
            raise MachineError(
                f"it cannot make a virtual environment: {made.stderr.strip().rpartition(chr(10))[2]}",
                where=str(self.interpreter.path),
                next="install its venv module (python3-venv on Debian), name another with --python, or let KPACK_CACHE "
                f"name a folder whose file system has links and permissions, if {self.env.parent} has none",
            )
        return next((self.env / "lib").glob("python3.*")) / "site-packages"

    def watch(self, packages: Path, owners: Mapping[str, str], *, refuse: bool) -> None:
        """Have every Python of the environment say who reaches for the network and which stub is imported."""
        absent = self.kernel / "absent.json"
        absent.write_text(json.dumps(dict(owners), sort_keys=True), encoding="utf-8")
        (packages / _HOOK).write_text(self.hook(absent, refuse=refuse), encoding="utf-8")

    def hook(self, absent: Path, *, refuse: bool = False) -> str:
        """Return the line of a ``.pth`` file that starts the watch; ``absent`` is the file of modules and stubs."""
        watch = str(self.kernel / "watch.py")
        facts = {"__name__": "_kpack_watch", "LOG": str(self.log), "ABSENT": str(absent), "REFUSE": refuse}
        code = f"exec(compile(open({watch!r}, encoding='utf-8').read(), {watch!r}, 'exec'), {facts!r})"
        return f"import sys; hasattr(sys, '_kpack_rehearsal') or {code}\n"  # a restore reads .pth files once more

    def unwatch(self, packages: Path) -> None:
        """Let an installer work in the environment unseen."""
        (packages / _HOOK).unlink()

    def variables(self, *, files: bool) -> dict[str, str]:
        """Return the environment variables of a kernel: none of the caller's."""
        variables = {
            "PATH": os.pathsep.join([str(self.env / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
            "HOME": str(self.work / "home"),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }
        if files:
            return {**variables, "KAGGLE_KERNEL_RUN_TYPE": "Batch"}
        return {**variables, "TMPDIR": str(self.work / "tmp"), "KPACK_INPUT": str(self.work / "input")}

    def show(self, inputs: Mapping[str, Path]) -> None:
        """Lay inputs out below ``KPACK_INPUT``, where the mounts of Kaggle cannot be had."""
        for name, source in inputs.items():
            place = self.work / "input" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(source)

    def seen(self, *more: Path) -> list[str]:
        """Return the folders and files that a private ``/tmp`` or ``/root`` must not hide."""
        package = Path(str(resources.files("kpack")))
        own = [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent]
        places = [self.work, self.interpreter.prefix, self.interpreter.path.parent, package, *own, *more]
        real = dict.fromkeys(str(path) for path in places if path.exists())
        return [path for path in real if not any(path != other and path.startswith(f"{other}/") for other in real)]


@contextmanager
def folder(cache: Cache, *, keep: bool) -> Iterator[Path]:
    """Yield a new private folder, removed at the end, or by the next rehearsal when this process is killed.

    With ``keep`` it lies among the system's temporary files, and stays.
    """
    if keep:
        yield Path(tempfile.mkdtemp(prefix="kpack-rehearse-")).resolve()
        return
    with cache.temporary() as work:
        try:
            yield work.resolve()
        finally:
            remove(work)


def remove(work: Path) -> None:
    """Remove a folder, also what a program in it made unreadable.

    Raises:
        MachineError: something stays.

    """

    def again(function: Callable[[str], Any], path: str, _: object) -> None:
        for place in (Path(path).parent, Path(path)):
            if place.is_dir() and not place.is_symlink():
                place.chmod(stat.S_IRWXU)
        try:
            if Path(path).is_dir() and not Path(path).is_symlink():
                shutil.rmtree(path)
            elif os.path.lexists(path):
                function(path)
        except OSError as error:
            raise MachineError(f"cannot remove: {error.strerror}", where=path) from error

    if sys.version_info >= (3, 12):
        shutil.rmtree(work, onexc=again)
    else:
        shutil.rmtree(work, onerror=again)
