"""What apt, in a root of its own, adds to an image."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kpack.debian.model import SystemImage
from kpack.debian.solve import settle
from kpack.environment import UNSIGNED, AptSource
from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, NoSolution, UsageError
from tests.support.debs import Deb, key, make_archive, needs_apt
from tests.support.long import listed, long_list

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kpack.debian.model import Settled

pytestmark = needs_apt

DEBS = (
    Deb(name="tool", version="2:1.0-1", fields={"Depends": "libtool5 (>= 1.5), perl:any"}),
    Deb(name="libtool5", version="1.5", fields={"Multi-Arch": "same"}),
    Deb(name="perl", version="5.1", fields={"Multi-Arch": "allowed", "Depends": "perl-base (= 5.1)"}),
    Deb(name="perl-base", version="5.1"),
    Deb(name="early", fields={"Pre-Depends": "first"}),
    Deb(name="first", fields={"Depends": "second"}),
    Deb(name="second"),
    Deb(name="torn", fields={"Depends": "nowhere (>= 3)"}),
    Deb(name="rival", fields={"Conflicts": "perl-base"}),
    Deb(name="newperl", fields={"Depends": "perl-base (>= 6)"}),
)
IMAGE = {"perl": "5.0", "perl-base": "5.0"}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    return make_archive(tmp_path_factory.mktemp("archive"), DEBS)


def source(url: str, signed_by: str | None = None, suite: str = "stable") -> AptSource:
    return AptSource(url=url, suites=(suite,), signed_by=signed_by or str(key("kpack")[1]))


def settled(
    asked: Sequence[str], archive: AptSource, tmp_path: Path, image: Mapping[str, str] = IMAGE, day: int | None = None
) -> Settled:
    here = SystemImage(label="image", os="Ubuntu 22.04", machine="x86_64", packages=image)
    moment = datetime(2026, 1, day, tzinfo=UTC) if day else None
    return settle(asked, [archive], [here], moment=moment, folder=tmp_path, scratch=tmp_path / "apt")["image"]


def test_adds_what_the_image_lacks_with_size_and_digest_of_the_signed_index(archive: str, tmp_path: Path) -> None:
    found = settled(["tool", "perl"], source(archive), tmp_path)
    assert [(item.name, item.version) for item in found.packages] == [("libtool5", "1.5"), ("tool", "2:1.0-1")]
    data = DEBS[0].build()
    tool = found.packages[1]
    assert (tool.size, tool.filename, tool.url) == (
        len(data),
        "tool_1.0-1_amd64.deb",
        f"{archive}/pool/{tool.filename}",
    )
    assert [item.needed_by for item in found.packages] == [("tool",), ()]
    assert found.notes == ("perl 5.0 is in image already",)


def test_puts_what_must_be_configured_first_into_an_earlier_stage(archive: str, tmp_path: Path) -> None:
    found = settled(["early"], source(archive), tmp_path)
    assert [(item.name, item.stage) for item in found.packages] == [("second", 0), ("first", 0), ("early", 1)]


@pytest.mark.parametrize(
    ("asked", "what", "advice"),
    # Each starts apt some six times.
    listed(
        [
            ("torn", "torn : Depends: nowhere (>= 3)", "[[apt-sources]]"),
            ("newperl", "Depends: perl-base (>= 6)", "another version"),
            ("tol", "there is no package tol", "'tool'"),
            ("perl=4", "perl 4 is asked for, and image has the newer 5.0", '"perl"'),
            ("tool=3", "Version '3' for 'tool' was not found", "another version"),
            ("rival", "take away what the image has: perl-base", "conflicts"),
        ],
        lambda case: case[0] in {"torn", "perl=4"},
    ),
)
def test_says_what_stands_in_the_way(archive: str, tmp_path: Path, asked: str, what: str, advice: str) -> None:
    with pytest.raises(NoSolution) as caught:
        settled([asked], source(archive), tmp_path)
    assert what in caught.value.what
    assert advice in caught.value.next


@long_list
def test_says_which_package_of_the_image_is_renewed_with_its_siblings(archive: str, tmp_path: Path) -> None:
    image = {"perl": "5.0", "perl-base": "5.0"}
    found = settled(["perl=5.1"], source(archive), tmp_path, image)
    assert [item.name for item in found.packages] == ["perl-base", "perl"]
    assert "perl 5.0 of image becomes 5.1" in found.notes


@pytest.mark.parametrize(
    ("signed_by", "keys", "error"),
    listed(
        [("stranger", "kpack", IntegrityError), (None, "kpack", IntegrityError), (None, UNSIGNED, None)],
        lambda case: case[0] is not None,
    ),
)
def test_takes_no_index_that_the_named_keys_have_not_signed(
    tmp_path: Path, signed_by: str | None, keys: str, error: type[KpackError] | None
) -> None:
    url = make_archive(tmp_path / "archive", DEBS[1:2], signed_by=signed_by)
    place = source(url, keys if keys == UNSIGNED else None)
    if error is None:
        assert "nobody has signed" in settled(["libtool5"], place, tmp_path).notes[0]
        return
    with pytest.raises(error, match="cannot be trusted"):
        settled(["libtool5"], place, tmp_path)


@long_list
def test_takes_no_list_of_packages_that_the_signed_index_does_not_name(tmp_path: Path) -> None:
    url = make_archive(tmp_path / "archive", DEBS[1:2])
    place = tmp_path / "archive/dists/stable/main/binary-amd64/Packages"
    place.write_text(place.read_text().replace("1.5", "1.6"))
    with pytest.raises(IntegrityError, match="cannot be trusted"):
        settled(["libtool5"], source(url), tmp_path)


@long_list
@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("SHA256:", "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC\nSHA256:", "is not of today.*is expired"),
        ("2026", "2126", "is not of today.*not valid yet"),
        ("SHA256:", "SHA1:", "cannot be trusted.*weak security"),
    ],
)
def test_takes_no_index_of_another_day_or_of_weak_sums(tmp_path: Path, old: str, new: str, what: str) -> None:
    url = make_archive(tmp_path / "archive", DEBS[1:2], release_as=lambda text: text.replace(old, new))
    with pytest.raises(IntegrityError, match=what):
        settled(["libtool5"], source(url), tmp_path)


@long_list
def test_says_that_an_index_calls_itself_another_suite(tmp_path: Path) -> None:
    url = make_archive(tmp_path / "archive", DEBS[1:2], release_as=lambda text: text.replace("ame: stable", "ame: old"))
    assert settled(["libtool5"], source(url), tmp_path).notes == ()
    other = make_archive(tmp_path / "other", DEBS[1:2], release_as=lambda text: text.replace(": stable", ": old"))
    (tmp_path / "apt").rename(tmp_path / "apt-before")
    assert settled(["libtool5"], source(other), tmp_path).notes[0].endswith("/other for stable calls itself old")


@long_list
@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("Architecture: amd64\n", "", "odd: '' is no architecture"),
        ("Version: 1.5", "Version: 1.5_x", "odd: '1.5_x' is no version"),
        ("SHA256: ", "SHA512: ", "has no SHA256 for it"),
        ("Package: ", "<html>", "cannot be trusted"),
    ],
)
def test_an_index_of_odd_words_is_refused_and_named(tmp_path: Path, old: str, new: str, what: str) -> None:
    url = make_archive(tmp_path / "archive", DEBS[1:2], index_as=lambda text: text.replace(old, new))
    with pytest.raises(IntegrityError, match=what):
        settled(["libtool5"], source(url), tmp_path)


@long_list
def test_a_name_that_several_packages_provide_is_told_with_them(tmp_path: Path) -> None:
    names = ("tool", "tool2")
    url = make_archive(tmp_path / "archive", [Deb(name=name, fields={"Provides": "thing"}) for name in names])
    with pytest.raises(NoSolution, match=r"thing is no package of its own: tool.*, tool.* provide it"):
        settled(["thing"], source(url), tmp_path)


@long_list
def test_an_archive_that_is_not_there_is_the_networks_fault(tmp_path: Path) -> None:
    with pytest.raises(NetworkError, match="cannot be had"):
        settled(["tool"], source((tmp_path / "nowhere").as_uri()), tmp_path)


@long_list
def test_a_snapshot_is_the_one_of_that_moment(tmp_path: Path) -> None:
    make_archive(tmp_path / "20260103T000000Z", DEBS[1:2])
    found = settled(["libtool5"], source(f"{tmp_path.as_uri()}/{{snapshot}}"), tmp_path, day=3)
    assert "/20260103T000000Z/pool/" in found.packages[0].url
    assert found.notes == ()


def test_needs_to_know_what_the_image_has(archive: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="which system packages image has is not known"):
        settled(["tool"], source(archive), tmp_path, image={})


@long_list
def test_names_the_keyring_that_is_missing(archive: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nokeys\.gpg: No such file"):
        settled(["tool"], source(archive, "nokeys.gpg"), tmp_path)


def test_says_that_apt_is_not_here(archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MachineError, match="not on this machine"):
        settled(["tool"], source(archive), tmp_path)
