"""Native code that does not fit the image, from the lock to the pack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.elf import make_elf
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from http.server import BaseHTTPRequestHandler
    from pathlib import Path

    from tests.e2e.conftest import Workshop

IMAGE = "kaggle-gpu-py312-2026-08"
WANTS = "ext 1.0: ext_cuda.cpython-312-x86_64-linux-gnu.so needs libcudart.so.13"
MISFIT = f"{WANTS}; {IMAGE} has libcudart.so.12: it cannot be imported there"


def extension(folder: Path, version: str = "1.0", **asks: list[str]) -> Path:
    files = {"ext_cuda.cpython-312-x86_64-linux-gnu.so": make_elf(**asks)}  # type: ignore[arg-type]
    return make_wheel(folder, "ext", version, files=files, tag="cp312-cp312-manylinux_2_17_x86_64", purelib=False)


def write(workshop: Workshop, more: str = "") -> None:
    workshop.write(
        f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["./ext-1.0-cp312-cp312-manylinux_2_17_x86_64.whl"]\n{more}'
    )


def test_a_cuda_that_the_image_has_not_ends_the_lock(workshop: Workshop) -> None:
    extension(workshop.folder, needed=["libcudart.so.13"])
    write(workshop)
    done = workshop.kpack("lock", "--json")
    assert done.code == 3
    assert done.json["error"]["what"] == MISFIT
    assert done.json["error"]["next"] == (
        "take a build for CUDA 12, or add the package that brings libcudart.so.13, or let it pass by "
        'allow-native = ["ext"] in kaggle-env.toml'
    )
    assert not workshop.lock.exists()


def test_what_is_allowed_is_said_by_lock_build_and_verify(workshop: Workshop) -> None:
    extension(workshop.folder, needed=["libcudart.so.13"])
    write(workshop, 'allow-native = ["ext"]\n')
    locked = workshop.good("lock", "--json")
    assert MISFIT in locked.err
    assert [(item["package"], item["wants"], item["has"], item["sure"]) for item in locked.json["native"]] == [
        ("ext", "libcudart.so.13", "libcudart.so.12", True)
    ]
    assert any(MISFIT in note for note in workshop.good("build", "--json").json["notes"])
    verified = workshop.good("verify", workshop.pack, "--json").json
    assert any(MISFIT in note for note in verified["notes"])
    assert verified["native"][0]["allowed"]


def test_what_fits_is_no_word_worth(workshop: Workshop) -> None:
    extension(workshop.folder, needed=["libcudart.so.12", "libc.so.6", "libtorch.so"])
    write(workshop)
    assert workshop.good("lock", "--json").json["native"] == []
    assert not [note for note in workshop.good("build", "--json").json["notes"] if "ext" in note]


def test_a_lock_sees_what_is_not_in_the_cache_yet_and_a_build_need_not_fetch_it_again(workshop: Workshop) -> None:
    wheel = workshop.index.add(extension(workshop.folder / "wheels", needed=["libcudart.so.13"]))
    workshop.write(f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["ext"]\n')
    assert MISFIT in workshop.kpack("lock").err
    workshop.write(f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["ext"]\nallow-native = ["ext"]\n')
    assert MISFIT in workshop.good("lock").err
    workshop.good("build")
    assert workshop.index.requests.count(f"/files/{wheel.name}") == 1


def test_a_build_refuses_what_the_lock_could_not_see(workshop: Workshop) -> None:
    wheel = workshop.index.add(extension(workshop.folder / "wheels", needed=["libcudart.so.13"]))
    workshop.write(f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["ext"]\n')

    def busy(handler: BaseHTTPRequestHandler) -> bool:
        if handler.path == f"/files/{wheel.name}":
            handler.send_error(503)
            return True
        return False

    workshop.index.intercept = busy
    assert "native code that kpack build will look at: ext (status 503" in workshop.good("lock").err
    workshop.index.intercept = None
    done = workshop.kpack("build")
    assert done.code == 5
    assert MISFIT in done.err
    assert not workshop.pack.exists()


def test_an_older_version_that_fits_is_what_to_write(workshop: Workshop) -> None:
    for version, asks in {"1.0": ["libcudart.so.12"], "1.1": ["libcudart.so.13"], "1.2": ["libcudart.so.13"]}.items():
        workshop.index.add(extension(workshop.folder / "wheels", version, needed=asks))
    workshop.write(f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["ext"]\n')
    said = workshop.kpack("lock", "--json").json["error"]["next"]
    assert said.startswith('write "ext<1.1" in packages, which gives 1.0: its native code fits, or take a build for')
    workshop.write(f'name = "tiny"\nbase = "{IMAGE}"\npackages = ["ext<1.1"]\n')
    workshop.good("lock")


def test_of_several_builds_in_a_folder_that_one_is_told_which_is_for_the_torch_of_the_image(workshop: Workshop) -> None:
    for build in ("1.0+cu13torch2.10", "1.0+cu12torch2.9", "1.0+cu12torch2.10"):
        extension(workshop.folder / "wheels", build, needed=["libc.so.6"])
    text = 'name = "tiny"\nbase = "{}"\npackages = ["{}"]\n\n[[indexes]]\nname = "mine"\nurl = "./wheels"\n'
    workshop.write(text.format(IMAGE, "ext"))
    wanted = "ext==1.0+cu12torch2.10"
    (row,) = workshop.good("lock", "--json").json["native"]
    assert row["next"] == f'write "{wanted}" for "ext" in packages, which gives {wanted[5:]}: its native code fits'
    workshop.write(text.format(IMAGE, wanted))
    assert workshop.good("lock", "--json").json["native"] == []
