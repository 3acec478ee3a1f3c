"""Wheels as no build backend makes them: right and wrong in every way that a rule speaks of, drawn by hypothesis."""

from __future__ import annotations

import base64
import hashlib
import stat
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

NAME = "thing"

_PLAIN = st.sampled_from(
    ["a.py", "b.txt", "pkg/__init__.py", "pkg/c.py", "pkg/d/e.bin", "größe.py", "x y.py", "é/ü.txt"]
)
_ODD = st.sampled_from(
    [
        "sitecustomize.py",
        "sitecustomize/__init__.py",
        "sitecustomizer.py",
        "usercustomize.cpython-312-x86_64-linux-gnu.so",
        "pkg/sitecustomize.py",
        ".kpack/mark.json",
        ".kpackage/x",
        "run.pth",
        "pkg/run.pth",
        "pkg",
        "n" * 255,
        "n" * 256,
        "ü" * 127 + "n",
        "ü" * 128,
        "/".join("d" * 100),
        "/".join("d" * 101),
        "/".join(["p" * 200] * 5),
        "/".join(["p" * 200] * 6),
        "a\u2028b.py",
        "a\x0bb.py",
        "tab\there",
        'quote".py',
        "comma,.py",
        "__pycache__/a.cpython-312.pyc",
        "other-2.0.dist-info",
        "other-2.0.dist-info/METADATA",
        "old.egg-info/PKG-INFO",
        "x.data/y.py",
        "notes.data",
    ]
)
_REST = st.one_of(_PLAIN, _PLAIN, _PLAIN, _ODD)
_DOOR = st.sampled_from(
    [""] * 8
    + ["{data}/purelib/", "{data}/platlib/", "{data}/data/", "{data}/headers/", "{data}/scripts/", "{info}/"] * 2
    + [
        "{data}/data/lib/python3.12/site-packages/",
        "{data}/data/local/lib/python3.12/dist-packages/",
        "{data}/data/lib64/python3.12/",
        "{data}/data/share/thing/",
        "{data}/data/bin/",
        "{data}/root/",
        "{data}/",
        "{data}/purelib/{info}/",
        "Thing-1.0.data/purelib/",
        "other-1.0.data/purelib/",
    ]
)
_SCRIPT = st.sampled_from(["run", "run-two", "run.exe", "run-script.py", "python", "python3.12", "sub/run", "run.pya"])
_INFO_FILE = st.sampled_from(
    ["INSTALLER", "REQUESTED", "licenses/LICENSE", "RECORD.jws", "top_level.txt", "direct_url.json"]
)
_CONTENT = st.one_of(
    st.sampled_from(
        [b"", b"x = 1\n", b"#!python\nprint(1)\n", b"#!pythonw -u\r\nprint(2)\r\n", b"#!/bin/sh\necho\n", b"#!python"]
    ),
    st.binary(max_size=40),
    st.just(b"zeros" * 300),
)
_COMMAND = st.sampled_from(
    [
        "run",
        "run-two",
        "größe",
        ".hidden",
        "pip",
        "pip3",
        "python",
        "python3",
        "a b",
        "../up",
        "a/b",
        "a[b",
        "-",
        "e=q",
        "n" * 256,
    ]
)
_CALLED = st.one_of(
    st.sampled_from(["pkg:main", "pkg.c:main.now", "größe:haupt", "pkg:main [extra]", "pkg:main[a, b]", "1a:b"]),
    st.sampled_from(["pkg", "pkg:", "pkg : main", "pkg:main # why", "pkg:main()", "a:b:c", "", "a-b:c", "pkg:main []"]),
)
_GROUP = st.sampled_from(
    ["console_scripts", "gui_scripts", "other.group", "console_scripts", "DEFAULT", "Console_Scripts"]
)


@st.composite
def _entry_points(draw: st.DrawFn) -> bytes:
    lines = []
    for _ in range(draw(st.integers(0, 3))):
        lines.append(f"[{draw(_GROUP)}]")
        for _ in range(draw(st.integers(0, 3))):
            rarely = draw(st.integers(0, 24))
            indent = "  " if rarely == 1 else ""
            lines.append(
                f"{indent}{draw(_COMMAND)} = {draw(_CALLED)}" if rarely != 2 else draw(st.sampled_from(_LINES))
            )
    return "\n".join([*lines, ""]).encode()


_LINES = [
    *("# comment", "; comment", "", "novalue", "[broken", "x : a:b", "x = a:b\x0by = c:d", "\u2028"),
    *(
        "\x0c",
        "x = a:b\x0c",
        "\x0cx = a:b",
        "x\x0c= a:b",
        "# comment\x0cx = a:b",
        "x = a:b\ry = c:d",
        "x = a:b\x1c\x85",
    ),
]

_WHEEL = st.sampled_from(
    ["Wheel-Version: 1.0\nGenerator: odd\nRoot-Is-Purelib: true\nTag: py3-none-any\n"] * 12
    + ["Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n"] * 4
    + [
        "Wheel-Version: 1.0\nTag: py3-none-any\n",
        "Wheel-Version: 1.9\r\nRoot-Is-Purelib: TRUE\r\nTag: py3-none-any\r\n\r\nbody\r\n",
        "Wheel-Version: 1.0\nRoot-Is-Purelib: perhaps\n",
        "Wheel-Version: 1.0\nRoot-Is-Purelib:\n true\nTag: py3-none-any\n",
        "Wheel-Version: 1\nRoot-Is-Purelib: true\n",
        "Wheel-Version: 2.0\nRoot-Is-Purelib: true\n",
        "Root-Is-Purelib: true\n",
        "\nWheel-Version: 1.0\n",
        "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nRoot-Is-Purelib: false\n",
        "Wheel-Version: 1.0\nRoot-Is-Purelib: false\x0bX: y\n",
        "Wheel-Version: 1.0\nGenerator: a\n\tb\n c: d\nRoot-Is-Purelib: true\n",
        "Wheel-Version: 1.0 \nRoot-Is-Purelib: true \n",
        "Wheel-Version: 1.0\rRoot-Is-Purelib: true\rTag: py3-none-any\r\rRoot-Is-Purelib: false\r",
        "Wheel-Version: 0.1\nby hand\nRoot-Is-Purelib: true\n",
        "From me\n: x\nWheel-Version: 1.0\nWheel-Version: 9.0\nRoot-Is-Purelib: true\n more\n",
    ]
)
_FAULTS = (
    "twice",
    "twice and different",
    "missing",
    "more",
    "four",
    "two",
    "md5",
    "digest",
    "size",
    "broken",
    "latin",
    "empty",
)


@dataclass(frozen=True)
class OddWheel:
    """A wheel, and what was done to it that only a reading of every byte finds."""

    path: Path
    lax_record: bool
    lax_archive: bool
    bytes_differ: bool
    """METADATA or RECORD is wrong: what the gate sees and a planner does not look at."""


@dataclass(frozen=True)
class Recipe:
    """How to make an odd wheel."""

    version: str
    metadata: str
    info: str
    files: dict[str, bytes]
    modes: dict[str, tuple[int, int]]
    fault: str
    comment: bytes
    nul: int
    stored: bool
    lax_record: bool
    lax_archive: bool

    def make(self, folder: Path) -> OddWheel:
        """Write it below ``folder``."""
        path = folder / f"{NAME}-{self.version}-py3-none-any.whl"
        record = f"{self.info}.dist-info/RECORD"
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in [*self.files.items(), (record, _record(self.files, record, self.fault))]:
                entry = zipfile.ZipInfo(name, (2020, 2, 2, 0, 0, 0))
                system, mode = self.modes.get(name, (3, stat.S_IFREG | 0o644))
                entry.create_system, entry.external_attr = system, mode << 16
                entry.compress_type = zipfile.ZIP_STORED if self.stored else zipfile.ZIP_DEFLATED
                archive.writestr(entry, data)
            archive.comment = self.comment
        if self.nul:
            with path.open("ab") as stream:
                stream.write(bytes(self.nul))
        # A broken line of RECORD is the gate's to see as well: the planner does not read RECORD at all.
        differ = self.metadata not in (self.version, self.version.partition("+")[0]) or self.fault not in ("", "twice")
        return OddWheel(path, self.lax_record, self.lax_archive, differ)


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    """Draw a wheel of which most is right."""
    version = draw(st.sampled_from(["1.0", "1.0", "1.0", "1.0+cu1"]))
    public = version.partition("+")[0]
    rare = st.integers(0, 11)
    metadata = (
        draw(st.sampled_from([version, public])) if draw(rare) else draw(st.sampled_from(["1.1", "1.0+cu9", "no"]))
    )
    stem = draw(st.sampled_from([version, public] * 6 + ["1.0.0", "1.0_cu1", "9.9"]))
    info = draw(st.sampled_from([NAME] * 10 + ["Thing", "other"])) + "-" + stem
    places = {"info": f"{info}.dist-info", "data": f"{info}.data"}
    files: dict[str, bytes] = {}
    for _ in range(draw(st.integers(0, 6))):
        door = draw(_DOOR)
        rest = draw(_SCRIPT if door.endswith(("scripts/", "bin/")) else _INFO_FILE if door == "{info}/" else _REST)
        files[door.format(**places) + rest] = draw(_CONTENT)
    files = _apart(files)
    if draw(st.booleans()):
        files[f"{info}.dist-info/entry_points.txt"] = draw(_entry_points())
    files[f"{info}.dist-info/METADATA"] = f"Metadata-Version: 2.1\nName: {NAME}\nVersion: {metadata}\n".encode()
    files[f"{info}.dist-info/WHEEL"] = draw(_WHEEL).encode()
    modes = {
        name: (draw(st.sampled_from([0, 3])), draw(st.sampled_from([0, 0o100755, 0o100644, 0o755, 0o100600])))
        for name in files
        if not draw(st.integers(0, 3))
    }
    return Recipe(
        version=version,
        metadata=metadata,
        info=info,
        files=files,
        modes=modes,
        fault="" if draw(rare) else draw(st.sampled_from(_FAULTS)),
        comment=b"" if draw(rare) else draw(st.sampled_from([b"made by hand", b"PK\5\6" + bytes(18), b"x\0\0"])),
        nul=0 if draw(rare) else draw(st.sampled_from([1, 4, 512])),
        stored=draw(st.booleans()),
        lax_record=draw(st.booleans()),
        lax_archive=draw(st.booleans()),
    )


def _apart(files: dict[str, bytes]) -> dict[str, bytes]:
    """Leave out what zip itself cannot hold apart: a file where another has a folder."""
    kept: dict[str, bytes] = {}
    for name, data in files.items():
        if not any(other.startswith(name + "/") or name.startswith(other + "/") for other in kept):
            kept[name] = data
    return kept


def _record(files: dict[str, bytes], record: str, fault: str) -> bytes:
    rows = [[name, _digest(data), str(len(data))] for name, data in files.items()]
    changes = {
        "twice": lambda: rows.append(list(rows[0])),
        "twice and different": lambda: rows.append([rows[0][0], "", ""]),
        "missing": lambda: rows.pop(0),
        "more": lambda: rows.append(["gone.py", _digest(b""), "0"]),
        "four": lambda: rows[0].append("more"),
        "two": lambda: rows[0].pop(),
        "md5": lambda: rows[0].__setitem__(1, "md5=abc"),
        "digest": lambda: rows[0].__setitem__(1, _digest(b"other")),
        "size": lambda: rows[0].__setitem__(2, "999"),
        "broken": lambda: rows.append(["a\u2028b", "", ""]),
        "empty": rows.clear,
    }
    changes.get(fault, list)()
    text = "".join(
        ",".join(['"' + row[0].replace('"', '""') + '"', *row[1:]]) + "\n" for row in [*rows, [record, "", ""]]
    )
    return text.encode() + (b"\xe9,,\n" if fault == "latin" else b"")


def _digest(data: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
