"""uv's answer to the same question: the base as stub wheels that only uv sees, pinned by constraints.

Every base distribution becomes a wheel without requirements, under a local version (``2.0.2+kernel``) that no index
has, so that uv can neither fetch it nor look at what it requires: the view of the kernel that kpack's resolver has.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from uv import find_uv_bin

from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.target import Target


class NoAnswer(Exception):
    """uv found no solution, or could not look for one; the text is its own."""


def ask_uv(target: Target, packages: Sequence[str], *, exclude_newer: str | None = None) -> dict[str, str]:
    """Return name and version of what uv would install beside the base of ``target``, from wheels only."""
    assert target.base is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        stubs, pins = folder / "stubs", []
        for item in target.base.distributions.values():
            version = str(item.version) if item.version.local else f"{item.version}+kernel"
            make_wheel(stubs, item.name, version, files={})
            pins.append(f"{item.name}=={version}")
        (folder / "base.txt").write_text("\n".join(pins))
        (folder / "requests.txt").write_text("\n".join(packages))
        command = [find_uv_bin(), "pip", "compile", "-q", "--no-header", "--no-annotate", "--only-binary", ":all:"]
        command += ["--python-version", target.python_full_version, "--python-platform"]
        command += [f"{target.machine}-manylinux_{target.glibc[0]}_{target.glibc[1]}"]
        command += ["--find-links", str(stubs), "--constraint", "base.txt", "requests.txt"]
        command += ["--exclude-newer", exclude_newer] if exclude_newer else []
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoAnswer(done.stderr)
    found = {}
    for line in done.stdout.splitlines():
        match = re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?==(\S+)", line)
        if match and canonicalize_name(match[1]) not in target.base.distributions:
            found[str(canonicalize_name(match[1]))] = match[2]
    return found
