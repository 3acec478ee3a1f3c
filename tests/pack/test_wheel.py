"""The gate for wheels: what other installers let through stops here."""

from __future__ import annotations

import binascii
import io
import itertools
import random
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpack.errors import IntegrityError
from kpack.pack.manifest import SPAN
from kpack.pack.wheel import Lax, admit, cuts
from kpack.pack.window import Window
from kpack.restore.wheelzip import Entry
from tests.support.long import examples
from tests.support.wheels import make_wheel, record_digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

FILES = {"thing/__init__.py": "x = 1\n", "thing/data.bin": bytes(range(256)) * 64}


def wheel(folder: Path, **options: object) -> Path:
    return make_wheel(folder, "thing", "1.0", **{"files": FILES, **options})  # type: ignore[arg-type]


def rewritten(path: Path, change: Callable[[zipfile.ZipInfo, bytes], tuple[zipfile.ZipInfo, bytes] | None]) -> Path:
    """Write the wheel again with each entry passed through ``change``."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for info, data in entries:
            if (kept := change(info, data)) is not None:
                archive.writestr(*kept)
    return path


def with_entry(path: Path, name: str, data: bytes = b"", mode: int = 0o100644) -> Path:
    with zipfile.ZipFile(path, "a") as archive:
        info = zipfile.ZipInfo(name)
        info.external_attr = mode << 16
        archive.writestr(info, data)
    return path


def test_admits_a_good_wheel_and_says_what_it_is(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    found = admit(path)
    assert (found.name, str(found.version), found.size) == ("thing", "1.0", path.stat().st_size)
    assert found.files == len(FILES) + 3
    assert found.lax == ()


@pytest.mark.parametrize("stored", [True, False])
def test_admits_stored_and_deflated(tmp_path: Path, stored: bool) -> None:
    assert admit(wheel(tmp_path, stored=stored)).unpacked > 256 * 64


def test_admits_entries_with_data_descriptors(tmp_path: Path) -> None:
    class Unseekable(io.RawIOBase):
        def __init__(self, stream: io.BufferedWriter) -> None:
            self.stream = stream

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            return self.stream.write(data)  # type: ignore[arg-type]

    path = wheel(tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with path.open("wb") as stream, zipfile.ZipFile(Unseekable(stream), "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    assert admit(path).files == len(FILES) + 3


def test_admits_zip64_entries(tmp_path: Path) -> None:
    path = wheel(tmp_path)
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            with archive.open(name, "w", force_zip64=True) as entry:
                entry.write(data)
    assert admit(path).files == len(FILES) + 3


def test_admits_folders_and_non_ascii_names(tmp_path: Path) -> None:
    path = wheel(tmp_path, files={**FILES, "thing/größe-数据.txt": "ü"})
    with_entry(path, "thing/", mode=0o40755)
    assert admit(path).files == len(FILES) + 4


def test_admits_extra_fields_that_say_nothing_new(tmp_path: Path) -> None:
    def change(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        raw = info.filename.encode()
        path = struct.pack("<BL", 1, binascii.crc32(raw)) + raw
        info.extra = struct.pack("<2H", 0x7075, len(path)) + path + b"\0\0\0"
        return info, data

    path = rewritten(wheel(tmp_path, files={**FILES, "thing/größe.txt": "ü"}), change)
    assert admit(path).files == len(FILES) + 4
    path.write_bytes(path.read_bytes().replace(b"\1" + struct.pack("<L", binascii.crc32(b"thing/data.bin")), b"\1abcd"))
    with pytest.raises(IntegrityError, match="gives it another name"):
        admit(path)


def test_folders_in_record_are_a_note(tmp_path: Path) -> None:
    nothing = record_digest(b"")
    rows = [f"thing/,{nothing},0\n", "thing-1.0.dist-info/,,\n"]
    assert admit(broken_record(lambda lines: [*rows, *lines])(tmp_path)).notes == (
        "in its RECORD folders stand like files: thing/ and 1 more",
    )
    for row in (f"other/,{nothing},0\n", f"thing/,{record_digest(b'x')},0\n", f"thing/,{nothing},1\n"):
        with pytest.raises(IntegrityError, match="is not in the wheel"):
            admit(broken_record([row].__add__)(tmp_path))


def broken_record(lines: Callable[[list[str]], list[str]]) -> Callable[[Path], Path]:
    def change(info: zipfile.ZipInfo, data: bytes) -> tuple[zipfile.ZipInfo, bytes]:
        if info.filename.endswith("/RECORD"):
            data = "".join(lines(data.decode().splitlines(keepends=True))).encode()
        return info, data

    return lambda folder: rewritten(wheel(folder), change)


RECORDS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a wrong digest": (
        broken_record(lambda rows: [rows[0].replace(rows[0].split(",")[1], record_digest(b"other")), *rows[1:]]),
        "does not have the recorded digest",
    ),
    "an unlisted file": (broken_record(lambda rows: rows[1:]), "thing/__init__.py is not listed"),
    "a row without a file": (
        broken_record(lambda rows: [f"ghost.py,{record_digest(b'')},0\n", *rows]),
        "ghost.py is not in the wheel",
    ),
    "no digest": (broken_record(lambda rows: ["thing/__init__.py,,\n", *rows[1:]]), "no digest of sha256 or better"),
    "a weak digest": (
        broken_record(lambda rows: ["thing/__init__.py,md5=rL0Y20zC-Fzt72VPzMSk2A,6\n", *rows[1:]]),
        "no digest of sha256 or better",
    ),
    "a wrong size": (
        broken_record(lambda rows: [rows[0].rsplit(",", 1)[0] + ",7\n", *rows[1:]]),
        "has 6 bytes, 7 are recorded",
    ),
    "a row twice": (broken_record(lambda rows: ["thing/__init__.py,,\n", *rows]), "stands twice"),
    "a long row": (broken_record(lambda rows: [rows[0].strip() + ",more\n", *rows[1:]]), "a row has 4 fields"),
    "a line that some readers break": (broken_record(lambda rows: [*rows, "a\u2028b,,\n"]), "readers break lines"),
    "nothing in it": (broken_record(lambda _: []), "is not listed"),
    "a short row": (broken_record(lambda rows: ["thing/__init__.py\n", *rows[1:]]), "a row has 1 fields"),
}


@pytest.mark.parametrize("case", RECORDS)
def test_refuses_a_record_with(case: str, tmp_path: Path) -> None:
    make, message = RECORDS[case]
    path = make(tmp_path)
    with pytest.raises(IntegrityError, match=message):
        admit(path)
    assert admit(path, lax=Lax(record=True)).lax, "let in by name, but never silently"


def raw(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = wheel(folder, stored=True)
        path.write_bytes(change(path.read_bytes()))
        return path

    return make


def patched_directory(data: bytes, name: bytes, offset: int, form: str, value: int) -> bytes:
    """Change one field of the central directory entry of ``name``."""
    position = data.rindex(b"PK\1\2", 0, data.rindex(name, data.rindex(b"thing/__init__.py")))
    assert data[position + 46 : position + 46 + len(name)] == name
    buffer = bytearray(data)
    struct.pack_into(form, buffer, position + offset, value)
    return bytes(buffer)


NAME = b"thing/data.bin"
ATTACKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "bytes before it": (raw(lambda data: b"#!/bin/sh\n" + data), "before or after"),
    "bytes after it": (raw(lambda data: data + b"tail"), "4 bytes after its end"),
    "a comment": (raw(lambda data: data[:-2] + b"\x04\0PK\5\6"), "no end record"),
    "a truncated end": (raw(lambda data: data[:-7]), "no end record"),
    "a parent folder": (lambda folder: with_entry(wheel(folder), "../evil.py"), "not a plain relative path"),
    "an inner parent folder": (lambda folder: with_entry(wheel(folder), "thing/../../evil"), "not a plain relative"),
    "an absolute name": (lambda folder: with_entry(wheel(folder), "/etc/evil"), "not a plain relative path"),
    "a drive": (lambda folder: with_entry(wheel(folder), "C:/evil"), "not a plain relative path"),
    "a backslash": (raw(lambda data: data.replace(NAME, b"thing\\data.bin")), "with a backslash"),
    "a backslash that climbs": (
        raw(lambda data: data.replace(NAME, b"..\\ng\\data.bin")),
        "not a plain relative path",
    ),
    "a NUL in a name": (raw(lambda data: data.replace(NAME, b"thing/da\0a.bin")), "not a plain relative path"),
    "a link": (lambda folder: with_entry(wheel(folder), "thing/link", b"/etc", 0o120777), "is a link"),
    "a device": (lambda folder: with_entry(wheel(folder), "thing/null", b"", 0o20644), "is a link, a device"),
    "a file that is a folder": (
        lambda folder: with_entry(wheel(folder), "thing/__init__.py/x", b""),
        "is a file and a folder",
    ),
    "encryption": (raw(lambda data: patched_directory(data, NAME, 8, "<H", 1)), "no need of"),
    "an unknown method": (raw(lambda data: patched_directory(data, NAME, 10, "<H", 12)), "no need of"),
    "another size in the directory": (
        raw(lambda data: patched_directory(data, NAME, 24, "<L", 5)),
        "sizes that contradict",
    ),
    "another crc in the directory": (
        raw(lambda data: patched_directory(data, NAME, 16, "<L", 5)),
        "contradicts the directory",
    ),
    "another offset in the directory": (
        raw(lambda data: patched_directory(data, NAME, 42, "<L", 3)),
        "contradicts|belong|ends at|local header",
    ),
    "another name in the local header": (
        raw(lambda data: data.replace(NAME, b"thing/evil.bin", 1)),
        "contradicts the directory",
    ),
    "damaged content": (raw(lambda data: data.replace(b"x = 1\n", b"x = 2\n")), "is damaged"),
    "no metadata": (
        lambda folder: rewritten(wheel(folder), lambda i, d: None if i.filename.endswith("METADATA") else (i, d)),
        "has no thing-1.0.dist-info/METADATA",
    ),
    "two metadata folders": (
        lambda folder: with_entry(wheel(folder), "other-1.0.dist-info/METADATA", b""),
        "2 .dist-info folders",
    ),
    "sitecustomize": (
        lambda folder: wheel(folder, files={**FILES, "sitecustomize.py": "evil()"}),
        "would run at every start",
    ),
    "usercustomize in .data": (
        lambda folder: wheel(folder, files={**FILES, "thing-1.0.data/purelib/usercustomize.py": "evil()"}),
        "would run at every start",
    ),
    "an unknown scheme": (
        lambda folder: wheel(folder, files={**FILES, "thing-1.0.data/root/etc/passwd": ""}),
        "'root' of .* is no scheme",
    ),
    "another distribution's .data": (
        lambda folder: wheel(folder, files={**FILES, "other-1.0.data/purelib/x.py": ""}),
        "another distribution's",
    ),
    "a script that climbs": (
        lambda folder: wheel(folder, entry_points="[console_scripts]\n../../bin/sh = thing:main\n"),
        "would be written elsewhere",
    ),
    "a file of another name": (
        lambda folder: wheel(folder).rename(folder / "thing-2.0-py3-none-any.whl"),
        "another distribution",
    ),
    "METADATA that is not UTF-8": (
        lambda folder: wheel(folder, metadata=b"Name: thing\nVersion: 1.0\n\ngr\xf6\xdfe\n"),
        "METADATA is not UTF-8",
    ),
    "two names": (lambda folder: wheel(folder, metadata="Name: thing\nName: other\nVersion: 1.0\n"), "thing and other"),
    "a space behind its name": (lambda folder: wheel(folder, metadata="Name: thing \nVersion: 1.0\n"), "METADATA says"),
    "its name on the next line": (
        lambda folder: wheel(folder, metadata="Name:\n thing\nVersion: 1.0\n"),
        "METADATA says",
    ),
    "no wheel name": (lambda folder: wheel(folder).rename(folder / "thing.whl"), "thing.whl"),
    "nothing in it": (raw(lambda _: b""), "is empty"),
}


@pytest.mark.parametrize("case", ATTACKS)
def test_refuses_a_wheel_with(case: str, tmp_path: Path) -> None:
    make, message = ATTACKS[case]
    path = make(tmp_path)
    with pytest.raises(IntegrityError, match=message) as refusal:
        admit(path, lax=Lax(record=True))
    assert refusal.value.next


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_refuses_a_name_that_stands_twice(tmp_path: Path) -> None:
    path = with_entry(wheel(tmp_path), "thing/__init__.py", b"evil()")
    with pytest.raises(IntegrityError, match="stands twice"):
        admit(path)


def test_refuses_a_bomb_at_its_declared_size(tmp_path: Path) -> None:
    path = wheel(tmp_path, files={"thing/__init__.py": "", "thing/data.bin": bytes(1 << 22)})
    data = path.read_bytes()
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        position = data.rindex(signature, 0, data.rindex(NAME) if signature == b"PK\1\2" else data.index(NAME))
        data = data[: position + offset] + struct.pack("<L", 100) + data[position + offset + 4 :]
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="does not inflate to the 100 bytes"):
        admit(path)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(position=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_damage_anywhere_is_an_integrity_error_or_harmless(tmp_path: Path, position: int, flip: int) -> None:
    path = wheel(tmp_path / "w")
    data = bytearray(path.read_bytes())
    data[position % len(data)] ^= flip
    path.write_bytes(data)
    try:
        found = admit(path)
    except IntegrityError:
        return
    assert (found.name, found.files) == ("thing", len(FILES) + 3), "only times and versions of zip may differ"


@settings(max_examples=examples(200))
@given(st.lists(st.one_of(st.integers(1, 1000), st.integers(SPAN // 2, 3 * SPAN)), max_size=12))
def test_spans_end_at_entries_and_stay_small(sizes: list[int]) -> None:
    entries, offset = [], 0
    for number, size in enumerate(sizes):
        entries.append(Entry(f"f{number}", b"", 0, 0, 0, size, size, offset, 0))
        offset += size
    found = cuts(entries, offset)
    assert found[-1] == offset
    assert list(found) == sorted(set(found))
    assert all(end - begin <= SPAN for begin, end in itertools.pairwise(found))
    starts = {entry.offset for entry in entries} | {offset}
    for begin, end in itertools.pairwise(found):
        inside = [e for e in entries if e.offset < end and e.offset + e.size > begin]
        assert len(inside) == 1 or (begin in starts and end in starts), "an entry that is cut shares no span"


def test_window_reads_what_the_file_holds(tmp_path: Path) -> None:
    chance = random.Random(0)
    data = chance.randbytes(300_000)
    path = tmp_path / "file"
    path.write_bytes(b"before" + data + b"behind")
    with path.open("rb") as stream:
        window = Window(stream.fileno(), 6, len(data))
        for _ in range(3000):
            begin = chance.choice((chance.randrange(300_000), chance.randrange(70_000), 299_990))
            end = begin + chance.choice((-5, 0, 1, 30, 500, 32_768, 32_769, 65_536, 200_000))
            assert window[begin:end] == data[begin : max(begin, end)], (begin, end)
