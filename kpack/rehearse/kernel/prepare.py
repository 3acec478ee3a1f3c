"""Prepares the interpreter of a container: stubs for what it lacks of the base, and the watch.

``prepare.py FOLDER HOOK``: ``FOLDER`` holds the metadata folders of all stubs and ``owners.json`` (module to
distribution); what is left of that is written to ``absent.json`` beside. ``HOOK`` is the line of the ``.pth`` file.
Prints ``{"stubs": number}``. Standard library only, CPython 3.8 or newer.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sys
import sysconfig
from importlib import metadata


def main(folder: str, hook: str) -> int:
    """Lay the stubs out."""
    packages = sysconfig.get_path("purelib")
    os.makedirs(packages, exist_ok=True)
    for place in ("/kaggle/tmp", "/kaggle/temp"):
        os.makedirs(place, exist_ok=True)
    found = (item.metadata["Name"] for item in metadata.distributions())
    installed = {re.sub(r"[-_.]+", "-", name).lower() for name in found if name}
    missing = set()
    for entry in os.listdir(folder):
        name = entry.partition("-")[0].replace("_", "-")
        if entry.endswith(".dist-info") and name not in installed:
            shutil.copytree(os.path.join(folder, entry), os.path.join(packages, entry))
            missing.add(name)
    with open(os.path.join(folder, "owners.json"), encoding="utf-8") as stream:
        owners = json.load(stream)
    with open(os.path.join(folder, "absent.json"), "w", encoding="utf-8") as stream:
        json.dump({module: owner for module, owner in owners.items() if owner in missing}, stream)
    with open(os.path.join(packages, "_kpack_rehearsal.pth"), "w", encoding="utf-8") as stream:
        stream.write(hook)
    sys.stdout.write(json.dumps({"stubs": len(missing)}) + "\n")
    return 0


def release(work: str) -> int:
    """Let whoever started the container remove what its root made."""
    for place, folders, _ in os.walk(work):
        for name in folders:
            with contextlib.suppress(OSError):  # a mount, or the user's own
                os.chmod(os.path.join(place, name), 0o777)  # noqa: S103 - below a folder that is its owner's alone
    return 0


if __name__ == "__main__":
    sys.exit(release(sys.argv[1]) if len(sys.argv) == 2 else main(sys.argv[1], sys.argv[2]))
