"""System packages of a pack, installed by dpkg: in a copy-on-write view of this machine's root, without network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.restore.test_system import pack
from tests.support.debs import Deb
from tests.support.long import listed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_ENTER = """
set -e
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/upper",workdir="$1/work" "$1/root"
mount -t proc proc "$1/root/proc"
mount --rbind /dev "$1/root/dev"
mkdir -p "$1/root$2"
mount --bind "$2" "$1/root$2"
root=$1; shift 2
exec chroot "$root/root" "$@"
"""
GOOD = Deb(
    name="kpack-test-good",
    files={"usr/bin/kpack-test*": b"#!/bin/sh\necho works\n"},
    scripts={"postinst": "touch /kpack-test-configured", "postrm": "rm -f /kpack-test-configured"},
)
BAD = Deb(name="kpack-test-bad", scripts={"postinst": "echo told; exit 3"})
UNMET = Deb(name="kpack-test-unmet", fields={"Depends": "kpack-test-nowhere"})


def missing(folder: Path) -> str:
    if sys.platform != "linux" or os.geteuid() != 0 or shutil.which("dpkg") is None:
        return "needs root and dpkg"
    command = ["unshare", "--net", "--mount", "sh", "-c", _ENTER, "x", str(folder), str(folder.parent), "true"]
    return (
        "" if subprocess.run(command, capture_output=True, check=False).returncode == 0 else "overlays are refused here"
    )


@pytest.fixture
def wrap(tmp_path: Path) -> Iterator[list[str]]:
    """Yield the words before a command that runs in a root of its own; the test's folder is the real one."""
    place = tmp_path / "overlay"
    place.mkdir()
    if reason := missing(place):
        pytest.skip(reason)
    yield ["unshare", "--net", "--mount", "sh", "-c", _ENTER, "x", str(place), str(tmp_path)]
    assert not os.path.lexists("/kpack-test-configured")


PYTHON = os.path.realpath(sysconfig.get_config_var("BINDIR") + f"/python{sys.version_info[0]}.{sys.version_info[1]}")


def test_dpkg_installs_and_configures_them_once(tmp_path: Path, wrap: list[str]) -> None:
    made = pack(tmp_path / "p", GOOD, apt="dpkg")
    again = kit.RUN.replace("import json, os, sys\n", "").replace("exec(after)", "")
    look = (
        "import subprocess as s; print(s.run('kpack-test', stdout=-1).stdout, os.path.exists('/kpack-test-configured'))"
    )
    after = f"{look}\n{again}"
    done = kit.good(PYTHON, made.path, after=after, wrap=wrap)
    assert done.report["system"] == [{"name": "kpack-test-good", "version": "1.0", "by": "dpkg"}]
    assert done.printed[0] == r"b'works\n' True"
    assert '"changed": false' in done.printed[1]


@pytest.mark.parametrize(
    ("item", "code", "what"), listed([(BAD, 7, "told"), (UNMET, 6, "kpack-test-nowhere")], lambda case: case[0] is BAD)
)
def test_what_dpkg_refuses_is_taken_back_with_the_rest(
    tmp_path: Path, wrap: list[str], item: Deb, code: int, what: str
) -> None:
    made = pack(tmp_path / "p", GOOD, item, apt="dpkg")
    script = tmp_path / "both.sh"
    script.write_text(
        '"$@"\ncode=$?\ndpkg-query -W "kpack-test-*" 2>/dev/null\nls /kpack-test-configured 2>/dev/null\nexit $code\n'
    )
    done = kit.restore(PYTHON, made.path, wrap=[*wrap, "sh", str(script)])
    assert done.code == code, done.out + done.err
    assert what in done.error["what"]
    assert done.printed == []
