"""System packages of a pack, installed by dpkg: in a copy-on-write view of this machine's root, without network."""

from __future__ import annotations

import dataclasses
import os
import random
import shutil
import subprocess
import sys
import sysconfig
from typing import TYPE_CHECKING

import pytest

from tests.restore import kit
from tests.restore.test_system import pack
from tests.support.debs import Deb
from tests.support.long import listed, long_list

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


SETTINGS = Deb(
    name="kpack-test-settings",
    version="2.0",
    files={"etc/kpack-test.conf": b"new\n"},
    papers={"conffiles": "/etc/kpack-test.conf\n"},
)
ASKING = Deb(
    name="kpack-test-asking",
    papers={
        "templates": "Template: kpack-test-asking/colour\nType: string\nDefault: blue\nDescription: Which colour?\n"
    },
    scripts={
        "config": ". /usr/share/debconf/confmodule\ndb_input critical kpack-test-asking/colour || true\ndb_go",
        "postinst": ". /usr/share/debconf/confmodule\ndb_get kpack-test-asking/colour\n"
        'echo "$RET" > /kpack-test-colour\ndb_stop',
    },
)
HEARING = Deb(
    name="kpack-test-hearing",
    papers={"triggers": "interest-noawait /usr/share/kpack-test\n"},
    scripts={"postinst": 'if [ "$1" = triggered ]; then echo "$2" > /kpack-test-heard; fi'},
)
DIVERTING = Deb(
    name="kpack-test-diverting",
    files={"usr/bin/kpack-test-tool*": b"#!/bin/sh\necho mine\n", "usr/share/kpack-test/x": b"x"},
    scripts={
        "preinst": "dpkg-divert --package kpack-test-diverting --add --rename "
        "--divert /usr/bin/kpack-test-tool.real /usr/bin/kpack-test-tool"
    },
)
LATE = Deb(name="kpack-test-late", scripts={"postinst": "test -e /kpack-test-may"})


def on_a_machine(tmp_path: Path, wrap: list[str], before: str, after: str) -> list[str]:
    """Return the words before a restore that stand between what somebody did before and what is looked at after."""
    script = tmp_path / "machine.sh"
    script.write_text(f'exec 3>&1 >&2\n{before}\n"$@" >&3\ncode=$?\nexec >&3\n{after}\nexit $code\n')
    return [*wrap, "sh", str(script)]


def test_packages_ask_hear_divert_and_leave_settings_as_on_any_machine(tmp_path: Path, wrap: list[str]) -> None:
    debs = (SETTINGS, ASKING, DIVERTING)
    made = pack(tmp_path / "p", *debs, apt="dpkg")
    old = dataclasses.replace(SETTINGS, version="1.0", files={"etc/kpack-test.conf": b"old\n"})
    theirs = Deb(name="kpack-test-theirs", files={"usr/bin/kpack-test-tool*": b"#!/bin/sh\necho theirs\n"})
    unmet = LATE.write(tmp_path / "before")
    there = " ".join(str(item.write(tmp_path / "before")) for item in (old, theirs, HEARING))
    before = (
        f"dpkg --install {there}\n"
        "echo edited > /etc/kpack-test.conf\necho kpack-test-settings hold | dpkg --set-selections\n"
        "dpkg-statoverride --add root root 0700 /usr/bin/kpack-test-tool\n"
        f"dpkg --install {unmet}"
    )
    after = (
        "cat /etc/kpack-test.conf /kpack-test-colour /kpack-test-heard; kpack-test-tool; kpack-test-tool.real\n"
        "stat -c %a /usr/bin/kpack-test-tool; dpkg-query -W -f '${Package} ${Status} ${Version}\\n' 'kpack-test-*'\n"
    )
    done = kit.restore(PYTHON, made.path, wrap=on_a_machine(tmp_path, wrap, before, after))
    assert done.code == 0, done.out + done.err
    assert done.printed == [
        *("edited", "blue", "/usr/share/kpack-test", "mine", "theirs", "700"),
        "kpack-test-asking install ok installed 1.0",
        "kpack-test-diverting install ok installed 1.0",
        "kpack-test-hearing install ok installed 1.0",
        "kpack-test-late install ok half-configured 1.0",
        "kpack-test-settings install ok installed 2.0",
        "kpack-test-theirs install ok installed 1.0",
    ]


SLOW = [
    Deb(
        name=f"kpack-test-slow{number}",
        files={f"usr/share/kpack-test/{number}-{file}": bytes([number]) * 100_000 for file in range(40)},
        scripts={"preinst": "sleep 0.05", "postinst": "sleep 0.1"},
        fields={"Depends": f"kpack-test-slow{number - 1}"} if number else {},
    )
    for number in range(4)
]


@long_list
@pytest.mark.parametrize("seed", range(40))
def test_after_a_kill_at_a_moment_the_next_restore_leaves_dpkg_whole(
    tmp_path: Path, wrap: list[str], seed: int
) -> None:
    chance = random.Random(seed)
    made = pack(tmp_path / "p", *SLOW, apt="dpkg")
    who = "-$pid" if seed % 2 else "$pid"  # with dpkg, or without it
    before = f'setsid "$@" > /dev/null &\npid=$!\nsleep {chance.uniform(0.1, 2.5):.3f}\nkill -9 -- {who}\nwait'
    after = "dpkg --audit; dpkg-query -W -f '${Package} ${Status}\\n' 'kpack-test-*'; ls /usr/share/kpack-test | wc -l"
    done = kit.restore(PYTHON, made.path, wrap=on_a_machine(tmp_path, wrap, before, after))
    assert done.code == 0, done.out + done.err
    assert done.printed == [*(f"{item.name} install ok installed" for item in SLOW), "160"]
