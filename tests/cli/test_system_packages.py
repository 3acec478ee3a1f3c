from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kpack.cli.system_packages import rows
from kpack.debian import LockedSystem, SystemPackage
from kpack.lock.requests import Requests
from tests.lock.test_why import lock
from tests.support.kernels import base

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.lock import Lock

IMAGE = replace(base({}, name="image"), system={"libc6": "2.35", "libvips42": "8.0"})


def locked(*names: str, needed_by: Mapping[str, tuple[str, ...]] = MappingProxyType({})) -> Lock:
    facts: dict[str, Any] = {
        "version": "1:2",
        "architecture": "amd64",
        "url": "http://h/x.deb",
        "size": 2048,
        "sha256": "0" * 64,
    }
    packages = tuple(SystemPackage(name=name, needed_by=needed_by.get(name, ()), **facts) for name in names)
    made = lock()
    target = replace(made.targets[0], base="image", system=LockedSystem(asked="0" * 64, packages=packages))
    requests = Requests({**made.requests.values, "apt": ("ffmpeg", "libvips42=1:2")})
    return replace(made, requests=requests, targets=(target,))


def test_why_tells_who_asks_for_a_system_package_and_what_the_image_has() -> None:
    made = locked("ffmpeg", "libavcodec58", "libvips42")
    (direct,) = rows("ffmpeg", made, [IMAGE])
    assert direct.sentence == (
        "ffmpeg 1:2 in image: packed (ffmpeg_2_amd64.deb, 2.0 kB)\n  asked for:  apt asks for ffmpeg"
    )
    (needed,) = rows("libavcodec58", made, [IMAGE])
    assert "needed by what apt asks for: ffmpeg, libvips42=1:2" in needed.sentence
    (newer,) = rows("libvips42", made, [IMAGE])
    assert "in place of the image's 8.0\n  asked for:  apt asks for libvips42=1:2" in newer.sentence
    (there,) = rows("libc6", made, [IMAGE])
    assert there.sentence == "libc6 2.35 in image: a system package of the image"
    assert there.to_dict()["in_image"] == "2.35"
    assert not there.to_dict()["asked_for"]
    assert rows("nano", made, [IMAGE]) == []
    assert rows("libc6", None, [IMAGE]) == [there]


def test_why_tells_the_way_from_what_is_asked_for() -> None:
    needs = {
        "libavcodec58": ("ffmpeg", "libavdevice58"),
        "libx264-163": ("libavcodec58",),
        "libavdevice58": ("ffmpeg",),
    }
    made = locked(
        "ffmpeg", "libavdevice58", "libavcodec58", "libx264-163", "odd", needed_by={**needs, "odd": ("odd2",)}
    )
    (row,) = rows("libx264-163", made, [IMAGE])
    assert row.sentence.split("\n")[1:] == [
        "  asked for:  ffmpeg → libavcodec58 → libx264-163",
        "  needed by:  libavcodec58",
    ]
    assert row.to_dict()["chain"] == ["ffmpeg", "libavcodec58", "libx264-163"]
    assert row.to_dict()["needed_by"] == ["libavcodec58"]
    assert rows("odd", made, [IMAGE])[0].chain == ()
