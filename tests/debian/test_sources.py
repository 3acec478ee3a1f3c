"""Where system packages come from when kaggle-env.toml does not say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.debian.sources import of_image, own
from kpack.environment import AptSource
from kpack.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def machine(root: Path, **files: str) -> Path:
    (root / "etc/apt/sources.list.d").mkdir(parents=True)
    (root / "etc/os-release").write_text('NAME="Ubuntu"\nVERSION_ID="22.04"\n')
    for name, text in files.items():
        (root / "etc/apt/sources.list.d" / name.replace("_", ".")).write_text(text)
    return root


def test_the_machines_own_archives_of_the_distribution_count_and_no_others(tmp_path: Path) -> None:
    root = machine(
        tmp_path,
        a_list="# deb http://h/no jammy main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://h/u jammy-updates main universe\n"
        "deb-src http://h/u jammy main\ndeb https://other/apt sdk-jammy main\n",
        b_sources="Types: deb deb-src\nURIs: http://h/s\nSuites: jammy jammy-security nodistro\nComponents: main\n\n"
        "Types: deb\nURIs: http://h/off\nSuites: jammy\nComponents: main\nEnabled: no\n",
        c_save="deb http://h/old jammy main\n",
    )
    assert own("Ubuntu 22.04", root) == (
        AptSource(url="http://h/u", suites=("jammy-updates",), components=("main", "universe"), signed_by="/k.gpg"),
        AptSource(url="http://h/s", suites=("jammy", "jammy-security"), components=("main",)),
    )


def test_another_distribution_must_be_told_where_the_images_archive_is(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"the image runs Debian GNU/Linux 12 and this machine Ubuntu 22\.04"
    ) as caught:
        own("Debian GNU/Linux 12", machine(tmp_path))
    assert 'suites = ["bookworm", "bookworm-updates"]' in caught.value.next


def test_a_machine_without_archives_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no archive of Ubuntu 22\.04"):
        own("Ubuntu 22.04", machine(tmp_path))


def test_the_images_own_archives_count_without_what_somebody_added() -> None:
    rows = [
        "http://h/ubuntu jammy main universe",
        "http://h/ubuntu jammy-updates main",
        "http://s/ubuntu jammy-security main",
        "https://ppa.h/deadsnakes/ubuntu jammy main",
        "https://other/ubuntu jammy-other/",
    ]
    assert of_image(rows, "Ubuntu 22.04") == (
        AptSource(url="http://h/ubuntu", suites=("jammy",), components=("main", "universe")),
        AptSource(url="http://h/ubuntu", suites=("jammy-updates",), components=("main",)),
        AptSource(url="http://s/ubuntu", suites=("jammy-security",), components=("main",)),
    )
    assert of_image(rows, "Ubuntu 24.04") == ()
    assert of_image([], "") == ()
