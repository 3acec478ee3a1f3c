"""What runs inside a sandbox's namespaces: builds ``/kaggle``, enters it, and executes ``notebook.ipynb``."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def enter(folder: Path) -> None:
    """Make a root that is this one plus ``/kaggle``, and go there; the machine's own root is left as it is."""
    mount("--make-rprivate", "/")
    root = folder / "root"
    root.mkdir()
    mount("-t", "tmpfs", "none", str(root))
    for entry in sorted(Path("/").iterdir()):
        place = root / entry.name
        if entry.is_symlink():
            place.symlink_to(entry.readlink())
        elif entry.is_dir() and entry.name != "kaggle":
            place.mkdir()
            mount("--rbind", str(entry), str(place))
    for name in ("input", "working"):
        place = root / "kaggle" / name
        place.mkdir(parents=True)
        mount("--bind", str(folder / name), str(place))
    mount("-o", "remount,bind,ro", str(root / "kaggle" / "input"))
    (root / "kaggle" / "tmp").mkdir()
    os.chroot(root)
    os.chdir("/kaggle/working")


def loopback_up() -> None:
    """The kernel and its client talk over loopback, which is down in a new network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        request = struct.pack("16sh22x", b"lo", 0x1 | 0x40)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(sock.fileno(), 0x8914, request)  # SIOCSIFFLAGS


def main(folder: Path) -> int:
    enter(folder)
    if not os.environ.pop("SANDBOX_NET"):
        loopback_up()
    import nbclient
    import nbformat
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager

    python = str(folder / "python" / "bin" / "python")
    notebook = nbformat.reads((folder / "notebook.ipynb").read_text(encoding="utf-8"), as_version=4)
    nbformat.validate(notebook)
    begun = time.monotonic()

    class Manager(AsyncKernelManager):
        @property
        def kernel_spec(self) -> Any:
            return KernelSpec(
                argv=[python, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                display_name="kaggle",
                language="python",
            )

    with (folder / "log.jsonl").open("a", encoding="utf-8") as log:

        def note(stream: str, text: str) -> None:
            event = {"stream_name": stream, "time": round(time.monotonic() - begun, 3), "data": text}
            log.write(json.dumps(event) + "\n")
            log.flush()

        class Client(nbclient.NotebookClient):  # type: ignore[misc]
            def process_message(self, message: Any, cell: Any, cell_index: int) -> Any:
                content = message["content"]
                if message["msg_type"] == "stream":
                    note(content["name"], content["text"])
                return super().process_message(message, cell, cell_index)

        client = Client(notebook, timeout=None, kernel_manager_class=Manager)
        try:
            client.execute(cwd="/kaggle/working")
        except nbclient.exceptions.CellExecutionError as error:
            note("stderr", f"{error.traceback}\n{error.ename}: {error.evalue}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
