from __future__ import annotations

import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.native import elf
from kpack.native.elf import ElfReader, SharedObject, read
from tests.support.elf import AARCH64, CUDA, I386, containers, make_elf
from tests.support.long import ALL

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = make_elf(
    needed=["libcudart.so.13", "libc.so.6"],
    soname="libx.so.1",
    runpath="$ORIGIN/../lib:/opt/lib",
    versions={"libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.38", "GLIBC_2.4"], "libx.so": ["X_1", "X_2"]},
    defines=["MINE_1.0"],
    symbols=["PyInit_x"],
)


def found(data: bytes) -> SharedObject:
    item = read(data, "x.so")
    assert item is not None
    return item


def test_all_that_a_loader_goes_by_is_read() -> None:
    assert read(FULL, "pkg/x.so", executable=True) == SharedObject(
        path="pkg/x.so",
        machine="x86_64",
        executable=True,
        soname="libx.so.1",
        needed=("libcudart.so.13", "libc.so.6"),
        search=("$ORIGIN/../lib", "/opt/lib"),
        versions=(("libc.so.6", "GLIBC_2.38"), ("libx.so", "X_1"), ("libx.so", "X_2")),
        defines=("MINE_1.0",),
        module=True,
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
def test_every_class_and_byte_order_is_read(bits: int, order: str) -> None:
    item = found(make_elf(needed=["liba.so"], versions={"liba.so": ["A_1"]}, bits=bits, order=order, machine=I386))
    assert (item.bits, item.needed, item.versions) == (bits, ("liba.so",), (("liba.so", "A_1"),))


def test_a_version_that_is_wanted_weakly_is_not_wanted() -> None:
    data = make_elf(versions={"libc.so.6": ["GLIBC_2.4", "GLIBC_2.99"]}, weak=["GLIBC_2.99"])
    assert found(data).versions == (("libc.so.6", "GLIBC_2.4"),)


def test_runpath_counts_and_rpath_only_without_it() -> None:
    assert found(make_elf(rpath="/a", runpath="/b")).search == ("/b",)
    assert found(make_elf(rpath="/a:")).search == ("/a",)


def test_a_program_is_told_by_its_interpreter() -> None:
    assert found(make_elf(program=True)).program
    assert not found(make_elf()).program


@pytest.mark.parametrize(("symbol", "strings"), [("RKSs", "pre-cxx11"), ("RKNSt7__cxx1112basic_stringIcEE", "cxx11")])
def test_calls_of_torch_tell_of_which_string_they_are(symbol: str, strings: str) -> None:
    assert found(make_elf(symbols=[f"_ZN3c106detail14torchCheckFailEPKcS2_j{symbol}"])).strings == strings


@pytest.mark.parametrize("data", [b"", b"\x7fEL", b"text", make_elf(machine=CUDA), make_elf(kind=1)])
def test_what_no_loader_takes_is_nothing(data: bytes) -> None:
    assert read(data, "x") is None


def test_the_machine_is_named() -> None:
    assert found(make_elf(machine=AARCH64)).machine == "aarch64"


@pytest.mark.parametrize("size", [1, 3, 64, 100_000])
def test_pieces_of_any_size_make_the_same(size: int) -> None:
    reader = ElfReader("x.so")
    for at in range(0, len(FULL), size):
        reader.feed(FULL[at : at + size])
    assert reader.finish() == read(FULL, "x.so")


def test_of_a_very_large_file_begin_and_end_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "HEAD", 1000)
    monkeypatch.setattr(elf, "TAIL", 5000)
    for gap, behind, fault in ((0, 0, ""), (50_000, 0, ""), (0, 50_000, "")):
        data = make_elf(needed=["liba.so"], gap=gap) + bytes(behind)
        reader = ElfReader("x.so")
        for at in range(0, len(data), 100):
            reader.feed(data[at : at + 100])
        item = reader.finish()
        assert item is not None
        assert (item.fault, item.needed) == (fault, ("liba.so",))
    reader = ElfReader("x.so")
    data = make_elf(needed=[f"lib{number}.so" for number in range(50)], gap=50_000) + bytes(50_000)
    for at in range(0, len(data), 100):
        reader.feed(data[at : at + 100])
    item = reader.finish()
    assert item is not None
    assert item.fault == "its tables lie in the middle of a very large file"


def test_what_was_not_kept_of_a_very_large_file_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "SOME", 1000)
    data = make_elf(needed=[f"lib{number}.so" for number in range(50)], gap=500_000) + bytes(500_000)
    rounds = []

    def again() -> Iterator[bytes]:
        rounds.append(0)
        return (data[at : at + 100] for at in range(0, len(data), 100))

    reader = ElfReader("x.so", again=again)
    for piece in again():
        reader.feed(piece)
    assert reader.finish() == read(data, "x.so")
    assert len(rounds) > 1


def test_tables_that_are_strewn_over_a_very_large_file_are_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "SOME", 1000)
    monkeypatch.setattr(elf, "_ROUNDS", 1)
    data = make_elf(needed=[f"lib{number}.so" for number in range(50)], gap=500_000) + bytes(500_000)
    reader = ElfReader("x.so", again=lambda: iter([data]))
    for at in range(0, len(data), 100):
        reader.feed(data[at : at + 100])
    item = reader.finish()
    assert item is not None
    assert item.fault == "its tables are strewn over a very large file"


def test_gpu_code_that_only_a_section_tells_of_is_looked_for_in_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elf, "SOME", 1000)
    data = make_elf(needed=["libm.so"], gpu=bytes(9000) + containers([(2, 75)], code=10) + bytes(9000))
    reader = ElfReader("x.so", again=lambda: iter([data]))
    for at in range(0, len(data), 100):
        reader.feed(data[at : at + 100])
    assert reader.finish() == read(data, "x.so")
    assert found(data).devices == ("sm_75",)


@pytest.mark.parametrize("size", [100, 100_000])
@pytest.mark.parametrize("kept", [100, 1000, 100_000])
def test_gpu_code_is_found_in_the_middle_of_a_very_large_file(
    monkeypatch: pytest.MonkeyPatch, kept: int, size: int
) -> None:
    monkeypatch.setattr(elf, "HEAD", 1000)
    monkeypatch.setattr(elf, "TAIL", kept)
    data = make_elf(symbols=["cudaMalloc"], gpu=bytes(3000) + containers([(2, 75)], code=10) + bytes(3000))
    reader = ElfReader("x.so")
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    item = reader.finish()
    assert item is not None
    assert item.devices == ("sm_75",)


def test_gpu_code_is_looked_for_only_where_a_section_is_named_after_it() -> None:
    assert found(make_elf() + containers([(2, 75)])).devices == ()


@given(st.binary(max_size=300), st.integers(0, 400), st.booleans())
def test_any_bytes_are_read_or_named(noise: bytes, at: int, begin: bool) -> None:
    data = (b"\x7fELF" if begin else b"") + noise
    for tried in (data, FULL[:at] + noise, FULL[:at] + noise + FULL[at + len(noise) :], FULL[:at]):
        item = read(tried, "x.so")
        assert item is None or bool(item.fault) != bool(item.machine)


def real() -> list[Path]:
    """Return a few shared objects of this Python: those that it was built with, and those of packages."""
    places = [Path(sysconfig.get_path("stdlib")) / "lib-dynload", *map(Path, sys.path)]
    found = [sorted(place.rglob("*.so")) for place in places if place.is_dir()]
    if ALL:
        return [path for paths in found for path in paths[:20]]
    return [path for paths in found for path in [one for one in paths if one.stat().st_size < 500_000][:4]]


@pytest.mark.skipif(sys.platform != "linux", reason="shared objects of this machine are read")
def test_pyelftools_reads_the_same_in_real_files() -> None:
    pytest.importorskip("elftools", reason="pyelftools is one of the tools for development")
    from elftools.elf.dynamic import DynamicSection
    from elftools.elf.elffile import ELFFile
    from elftools.elf.gnuversions import GNUVerNeedSection

    assert real()
    for path in real():
        mine = found(path.read_bytes())
        with path.open("rb") as stream:
            sections = list(ELFFile(stream).iter_sections())
            tags = [tag for item in sections if isinstance(item, DynamicSection) for tag in item.iter_tags()]
            wanted = {
                (version.name, aux.name)
                for item in sections
                if isinstance(item, GNUVerNeedSection)
                for version, auxiliaries in item.iter_versions()
                for aux in auxiliaries
                if not aux["vna_flags"] & 2
            }
        assert mine.needed == tuple(tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED")
        assert set(mine.versions) <= wanted
        assert {library for library, _ in mine.versions} == {library for library, _ in wanted}
