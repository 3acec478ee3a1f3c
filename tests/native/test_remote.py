from __future__ import annotations

import random
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from kpack.fetch.client import Client
from kpack.fetch.model import Patience
from kpack.native.elf import SharedObject
from kpack.native.remote import RemoteWheel, UnreadError
from tests.support.elf import make_elf
from tests.support.origin import Fault, Origin

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MODULE = make_elf(needed=["libcudart.so.13"], versions={"libcudart.so.13": ["libcudart.so.13"]}, late=10_000)
NOISE = random.Random(1).randbytes(1_500_000)
"""It does not compress."""
LARGE = make_elf(
    needed=["libcudart.so.13"],
    versions={"libc.so.6": ["GLIBC_2.2.5"], "libcudart.so.13": ["libcudart.so.13"]},
    late=8,
)


def archive(folder: Path, files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    path = folder / "wheel.whl"
    with zipfile.ZipFile(path, "w", method) as writer:
        for name, data in files.items():
            writer.writestr(name, data)
    return path.read_bytes()


def look(data: bytes, budget: int = 1 << 20, **faults: Any) -> tuple[dict[str, SharedObject], RemoteWheel]:
    patience = Patience(connect=5, stall=5, attempts=1)
    with Origin({"/w.whl": data}, **faults) as origin, Client(patience=patience) as client:
        remote = RemoteWheel(client, f"{origin.url}/w.whl", len(data))
        return {item.path: item for item in remote.objects(budget, "x86_64")}, remote


def test_small_members_are_read_whole_and_nothing_else_is(tmp_path: Path) -> None:
    data = archive(tmp_path, {"data.bin": NOISE, "a/b.so": MODULE, "more.bin": NOISE, "a/c.so.1": MODULE})
    found, remote = look(data)
    assert [item.needed for item in found.values()] == [("libcudart.so.13",)] * 2
    assert all(item.whole for item in found.values())
    assert remote.received < 200_000


def test_of_a_large_member_the_opening_is_read(tmp_path: Path) -> None:
    data = archive(tmp_path, {"big.abi3.so": LARGE + NOISE, "data.bin": NOISE})
    found, remote = look(data)
    assert set(found["big.abi3.so"].needed) == {"libc.so.6", "libcudart.so.13"}
    assert not found["big.abi3.so"].whole
    assert remote.received < 1_000_000


def test_of_a_large_member_whose_names_break_off_more_is_read(tmp_path: Path) -> None:
    symbols = [f"symbol_{random.Random(number).randbytes(20).hex()}" for number in range(60_000)]
    many = make_elf(symbols=symbols, versions={"libc.so.6": ["GLIBC_2.38"]}, late=8)
    found, remote = look(archive(tmp_path, {"big.abi3.so": many + NOISE, "data.bin": NOISE}))
    assert found["big.abi3.so"].versions == (("libc.so.6", "GLIBC_2.38"),)
    assert not found["big.abi3.so"].whole
    assert remote.received < 2_000_000


def test_of_a_stored_member_the_tables_are_read_wherever_they_are(tmp_path: Path) -> None:
    large = make_elf(needed=["libcudart.so.13"], gap=2_000_000, late=3_000_000)
    data = archive(tmp_path, {"big.abi3.so": large, "other.bin": NOISE}, zipfile.ZIP_STORED)
    found, remote = look(data)
    assert found["big.abi3.so"].needed == ("libcudart.so.13",)
    assert remote.received < 500_000


def test_what_there_is_no_room_for_is_known_by_its_name(tmp_path: Path) -> None:
    files = {"nvidia/lib/libbig.so.1": LARGE + NOISE, "m.abi3.so": MODULE, "x.libs/libz.so.1": MODULE}
    found, _ = look(archive(tmp_path, files), budget=5000)
    assert found["m.abi3.so"].whole
    assert found["nvidia/lib/libbig.so.1"] == SharedObject(path="nvidia/lib/libbig.so.1", machine="x86_64", whole=False)


@pytest.mark.parametrize(
    "server",
    [
        {"ranges": False},
        {"faults": [Fault(status=404)]},
        {"faults": [Fault(wrong_range=(0, 65535, 10_000_000))]},
        {"faults": [Fault(stop_after=100)]},
    ],
)
def test_a_server_that_gives_no_parts_is_no_error_of_the_wheel(tmp_path: Path, server: dict[str, Any]) -> None:
    with pytest.raises(UnreadError):
        look(archive(tmp_path, {"data.bin": NOISE, "a/b.so": MODULE}), **server)


def test_what_is_no_wheel_is_not_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadError, match="end record"):
        look(NOISE)


def test_a_member_that_grows_without_end_is_cut(tmp_path: Path) -> None:
    data = archive(tmp_path, {"bomb.abi3.so": MODULE + bytes(24 << 20), "data.bin": NOISE})
    found, _ = look(data)
    assert found["bomb.abi3.so"].path == "bomb.abi3.so"


def test_tables_of_any_size_are_not_followed(tmp_path: Path) -> None:
    large = make_elf(needed=["libcudart.so.13"], gap=100_000, symbols=["x" * (25 << 20)])
    with pytest.raises(UnreadError, match="more than 24 MB"):
        look(archive(tmp_path, {"big.abi3.so": large}, zipfile.ZIP_STORED))
