from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.native.devices import DeviceScan, runs
from tests.support.elf import containers

DATA = (
    b"\x7fELF" + bytes(999) + containers([(2, 75), (1, 90)], [(2, 80), (8, 0x50)]) + bytes(77) + containers([(2, 100)])
)
FOUND = ("sm_75", "sm_80", "compute_90", "sm_100")


def scan(data: bytes, size: int) -> tuple[str, ...]:
    found = DeviceScan()
    for at in range(0, len(data), size):
        found.feed(data[at : at + size])
    return found.names


@given(st.integers(1, len(DATA)))
def test_architectures_are_found_whatever_the_pieces(size: int) -> None:
    assert scan(DATA, size) == FOUND


def test_code_that_is_longer_than_a_piece_is_passed_over() -> None:
    assert scan(containers([(2, 60), (2, 70)], code=100_000), 1000) == ("sm_60", "sm_70")


@given(st.binary(max_size=200), st.integers(0, len(DATA)), st.integers(1, 300))
def test_any_bytes_are_scanned(noise: bytes, at: int, size: int) -> None:
    scan(DATA[:at] + noise + DATA[at:], size)
    scan(noise + DATA[at:], size)


@pytest.mark.parametrize(
    ("names", "capability", "fits"),
    [
        (("sm_75",), 75, True),
        (("sm_80",), 89, True),
        (("sm_89",), 80, False),
        (("sm_75",), 80, False),
        (("sm_70",), 75, True),
        (("compute_70",), 120, True),
        (("compute_90",), 75, False),
        (("sm_100", "sm_90"), 90, True),
    ],
)
def test_code_runs_on_its_generation_and_assembly_on_what_is_newer(
    names: tuple[str, ...], capability: int, *, fits: bool
) -> None:
    assert runs(names, capability) is fits
