"""System packages from kaggle-env.toml to a restored folder, by the real command line and apt."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.e2e.test_native import IMAGE, extension
from tests.support.debs import Deb, key, make_archive, needs_apt
from tests.support.elf import make_elf
from tests.support.long import long_list

if TYPE_CHECKING:
    from tests.e2e.conftest import Workshop

pytestmark = needs_apt

CUDART = Deb(
    name="cuda-cudart-13-0",
    version="13.0~b+1",
    files={"usr/lib/x86_64-linux-gnu/libcudart.so.13.0": make_elf(soname="libcudart.so.13")},
    links={"usr/lib/x86_64-linux-gnu/libcudart.so.13": "libcudart.so.13.0"},
    scripts={"postinst": "ldconfig"},
)
TOOL = Deb(
    name="tool",
    files={"usr/bin/tool*": b"#!/bin/sh\necho works\n"},
    fields={"Depends": "cuda-cudart-13-0, libc6, bash"},
)


@pytest.fixture
def archive(workshop: Workshop) -> str:
    return make_archive(workshop.folder / "archive", [CUDART, TOOL])


def write(workshop: Workshop, archive: str, apt: str) -> None:
    extension(workshop.folder, needed=["libcudart.so.13"])
    workshop.write(
        f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["./ext-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]\n'
        f'apt = ["{apt}"]\n[[apt-sources]]\nurl = "{archive}"\nsuites = ["stable"]\nsigned-by = "{key("kpack")[1]}"\n'
    )


def test_what_the_image_lacks_is_locked_packed_and_counts_for_native_code(workshop: Workshop, archive: str) -> None:
    write(workshop, archive, "tool")
    locked = workshop.good("lock", "--json").json
    packed = locked["apt"][0]["packed"]
    assert [(item["name"], item["version"]) for item in packed] == [("cuda-cudart-13-0", "13.0~b+1"), ("tool", "1.0")]
    assert locked["native"] == []
    first = workshop.good("build", "--json").json
    assert any("maintainer scripts of cuda-cudart-13-0" in note for note in first["notes"])
    assert not any("libcudart" in note and "needs" in note for note in first["notes"])
    assert workshop.good("verify", workshop.pack, "--json").json["ok"]
    assert workshop.good("build", "--check", "--json").json["id"] == first["id"]
    shown = workshop.good("inspect", workshop.pack, "--json").json["targets"][0]["system"]
    assert shown[1] == {"name": "tool", "version": "1.0", "architecture": "amd64"}
    bill = json.loads(workshop.good("inspect", workshop.pack, "--format", "cyclonedx").out)
    (tool,) = (item for item in bill["components"] if item["name"] == "tool")
    assert (tool["hashes"][0]["content"], tool["externalReferences"][0]["url"]) == (
        packed[1]["sha256"],
        packed[1]["url"],
    )
    # While nothing has changed, the archive is not asked.
    (workshop.folder / "archive").rename(workshop.folder / "gone")
    assert not workshop.good("lock", "--json").json["changed"]


@long_list
def test_a_package_that_is_not_the_one_of_the_index_ends_the_build(workshop: Workshop, archive: str) -> None:
    write(workshop, archive, "cuda-cudart-13-0")
    workshop.good("lock")
    file = workshop.folder / "archive/pool" / CUDART.filename
    file.write_bytes(file.read_bytes().replace(b"2.0\n", b"2.1\n", 1))
    done = workshop.kpack("build", "--json")
    assert done.code == 5
    assert CUDART.filename in json.dumps(done.json["error"])


@long_list
def test_system_packages_are_among_what_a_lock_changed(workshop: Workshop, archive: str) -> None:
    write(workshop, archive, "cuda-cudart-13-0")
    workshop.good("lock")
    write(workshop, archive, "tool")
    (change,) = workshop.good("lock", "--json").json["changes"]
    assert (change["kind"], change["name"], change["before"]) == ("system", "tool", None)
