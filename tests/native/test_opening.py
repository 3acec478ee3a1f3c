from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kpack.native import opening
from kpack.native.elf import read
from tests.support.elf import AARCH64, make_elf

NEEDED = ["libc10.so", "libcudart.so.13", "libstdc++.so.6", "libc.so.6"]
VERSIONS = {
    "libstdc++.so.6": ["GLIBCXX_3.4.29", "GLIBCXX_3.4.11"],
    "libcudart.so.13": ["libcudart.so.13"],
    "libc.so.6": ["GLIBC_2.2.5", "GLIBC_2.38"],
}
CHECK = "_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
PATH = "ext/_C.abi3.so"


def begin(late: int = 100_000, **more: Any) -> bytes:
    """Return what comes before the dynamic table of a library."""
    data = make_elf(needed=NEEDED, versions=VERSIONS, late=late, **more)
    return data[: len(data) - late // 2]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_opening_tells_what_the_whole_file_does(order: str, apart: bool) -> None:
    asks: dict[str, Any] = {
        "order": order,
        "apart": apart,
        "symbols": ["PyInit__C", CHECK],
        "runpath": "$ORIGIN/../torch/lib:/opt/lib",
    }
    found = opening.read(begin(**asks), PATH)
    whole = read(make_elf(needed=NEEDED, versions=VERSIONS, **asks), PATH)
    assert found is not None
    assert whole is not None
    assert sorted(found.needed) == sorted(whole.needed)
    assert found.guessed == ("libc10.so",)
    assert sorted(found.versions) == sorted(whole.versions)
    same = replace(found, needed=whole.needed, versions=whole.versions, guessed=(), whole=True)
    assert same == whole


@pytest.mark.parametrize("path", ["ext/_C.abi3.so", "data/libsndfile_x86_64.so", "data/libsndfile.so.1"])
def test_its_own_soname_is_not_what_a_file_needs(path: str) -> None:
    soname = "_C.so" if path == PATH else "libsndfile.so.1"
    found = opening.read(begin(soname=soname, defines=["libsndfile.so.1.0"] * (path != PATH)), path)
    assert found is not None
    assert not {soname, "libsndfile.so.1.0"} & set(found.needed)


def test_of_a_library_whose_own_name_is_not_to_be_told_few_names_are_believed() -> None:
    data = make_elf(needed=["libc10.so", "libodd.so.1"], soname="libother.so.2", versions=VERSIONS, late=100)
    found = opening.read(data[:-50], "data/libthis.so")
    assert found is not None
    assert found.guessed == ("libc10.so",)


def test_weak_versions_are_not_asked_for() -> None:
    found = opening.read(begin(weak=["GLIBC_2.38"]), PATH)
    assert found is not None
    assert ("libc.so.6", "GLIBC_2.2.5") in found.versions


def test_the_machine_is_told_although_it_is_a_foreign_one() -> None:
    found = opening.read(begin(machine=AARCH64), PATH)
    assert found is not None
    assert found.machine == "aarch64"


@pytest.mark.parametrize("data", [b"", b"\x7fELF", b"text" * 100, make_elf(machine=190, versions=VERSIONS)])
def test_what_is_no_shared_object_tells_nothing(data: bytes) -> None:
    assert opening.read(data, PATH) is None


def test_names_that_were_moved_to_the_end_tell_nothing() -> None:
    data = begin().replace(b"GLIBC_2.2.5", b"X" * 11).replace(b"GLIBC_2.38", b"X" * 10)
    data = data.replace(b"GLIBCXX_3.4.29", b"X" * 14).replace(b"GLIBCXX_3.4.11", b"X" * 14)
    assert opening.read(data.replace(b"\0libcudart.so.13", b"\0XXXcudart.so.13"), PATH) is None


@pytest.mark.parametrize("cut", range(64, 900, 7))
def test_a_cut_anywhere_is_no_error(cut: int) -> None:
    opening.read(begin()[:cut], PATH)
