from __future__ import annotations

import dataclasses
import json
import re
import runpy
from pathlib import Path

import pytest

from kpack.base import load, loads, probe, shipped
from kpack.base.native import Level, NativeFacts, facts_of, packages_of, table, wheel_libraries
from tests.base.test_snapshot import snapshot

HERE = Path(__file__).parent


def facts(name: str) -> NativeFacts:
    return facts_of(load(name, HERE))


def probed(**native: object) -> NativeFacts:
    return facts_of(loads(json.dumps(snapshot(native=native, system=["libgl1 1.6.0-1"])), Path("kernel.json")))


def test_a_package_list_says_which_libraries_are_there_and_which_are_surely_not() -> None:
    gpu = facts("kaggle-gpu-py312-2026-08")
    gl, vips, other = gpu.library("libGL.so.1"), gpu.library("libvips.so.42"), gpu.library("libnobody-knows.so.7")
    assert (gl.there, gl.because, gl.package) == (True, "libgl1 1.4.0-1", "libgl1")
    assert (vips.there, vips.package) == (False, "libvips42")
    assert (other.there, other.package) == (None, "libnobody-knows7")
    assert gpu.library("libMagickWand-6.Q16.so.6").because == "libmagickwand-6.q16-6"  # in a version nobody wrote down


def test_system_packages_of_a_pack_bring_their_libraries() -> None:
    gpu = facts("kaggle-gpu-py312-2026-08")
    named = dataclasses.replace(gpu, added={"libvips42": "8.12.1-1build1", "odd": "1"})
    assert named.library("libvips.so.42").because == "libvips42 8.12.1-1build1 is packed with it"
    read = dataclasses.replace(named, added_libraries={"libother.so.7": "odd"})
    assert read.library("libother.so.7").package == "odd"
    # Names follow Debian's rules, mostly: before the files are read nobody can say what a probe's loader will not find.
    kernel = probed(libraries=["libc.so.6"])
    assert kernel.library("libother.so.7").there is False
    assert dataclasses.replace(kernel, added={"odd": "1"}).library("libother.so.7").there is None


def test_cuda_of_the_image_is_told_from_the_next_one() -> None:
    gpu, cpu = facts("kaggle-gpu-py312-2026-08"), facts("kaggle-cpu-py312-2026-08")
    assert (gpu.cuda, gpu.torch_cuda, str(gpu.torch)) == ("12.8", "12.8", "2.10.0+cu128")
    assert (cpu.cuda, cpu.torch_cuda) == (None, "")
    assert [gpu.library(f"libcudart.so.{major}").there for major in (12, 13)] == [True, False]
    assert gpu.library("libcudart.so.12").package == "cuda-cudart-12-8"
    assert gpu.wheels("libcudart.so.12") == ("nvidia-cuda-runtime-cu12",)
    assert [each.library("libcuda.so.1").there for each in (gpu, cpu)] == [True, False]
    assert (gpu.wheels("libc10_cuda.so"), cpu.wheels("libc10_cuda.so")) == (("torch",), ())
    assert cpu.wheels("libtorch_cpu.so") == ("torch",)


def test_what_is_inferred_alone_is_neither_there_nor_absent() -> None:
    new = facts("kaggle-gpu-py313-2026-10-estimate")
    assert [new.glibc.has(version) for version in ("2.9", "2.35", "2.36", "2.39", "2.40")] == [
        True, True, None, None, False,
    ]  # fmt: skip
    assert str(new.glibc) == "GLIBC 2.35, probably 2.39"
    assert (new.glibcxx.sure, new.glibcxx.likely) == ("3.4.30", "3.4.33")
    assert new.library("libGL.so.1").there is None
    assert new.library("libm.so.6").there is True


def test_what_is_not_known_is_said_in_a_sentence_each() -> None:
    libraries, symbols = facts("kaggle-gpu-py313-2026-10-estimate").unknown
    assert "which system libraries" in libraries
    assert "GLIBC 2.35, probably 2.39, GLIBCXX 3.4.30, probably 3.4.33" in symbols
    assert facts("kaggle-gpu-py312-2026-08").unknown == ()
    assert probed(libraries=[], glibcxx="3.4.30", cxxabi="1.3.13").unknown == ()


def test_a_package_list_gives_symbol_versions_exactly() -> None:
    gpu = facts("kaggle-gpu-py312-2026-08")
    assert (gpu.glibc.has("2.36"), gpu.glibcxx.has("3.4.31"), gpu.cxxabi.has("1.3.14")) == (False, False, False)
    assert (gpu.glibc.has("2.4"), gpu.glibcxx.has("3.4.9"), gpu.cxxabi.has("1.3.13")) == (True, True, True)
    assert gpu.os == "Ubuntu 22.04"


def test_a_probe_beats_what_could_be_inferred() -> None:
    kernel = probed(os="Ubuntu 24.04", libraries=["libGL.so.1", "libcuda.so.1"], glibcxx="3.4.33", cxxabi="1.3.15")
    assert kernel.library("libGL.so.1").there
    assert kernel.library("libGL.so.1").package == "libgl1"
    assert kernel.library("libX11.so.6").there is False
    assert kernel.library("libcuda.so.1").there is True
    assert (kernel.glibcxx.sure, kernel.glibcxx.exact) == ("3.4.33", True)
    assert kernel.glibc.has("2.36") is False


def test_a_probe_whose_loader_could_not_be_listed_falls_back_on_the_packages() -> None:
    kernel = probed(os="Ubuntu 22.04")
    assert kernel.library("libGL.so.1").because == "libgl1 1.6.0-1"
    assert kernel.library("libvips.so.42").there is False


def test_a_list_that_says_nothing_of_the_system_leaves_everything_open() -> None:
    kernel = facts_of(loads(json.dumps(snapshot()), Path("kernel.json")))
    assert kernel.library("libGL.so.1").there is None
    assert kernel.glibc.has("2.99") is None
    assert kernel.glibc.has("2.35") is True
    assert Level("GLIBCXX", None, None, exact=False).has("3.4.1") is None


@pytest.mark.parametrize(
    ("soname", "package"),
    [
        ("libvips.so.42", "libvips42"),
        ("libxcb-dri2.so.0", "libxcb-dri2-0"),
        ("libjansson.so.4", "libjansson4"),
        ("libpcre2-8.so.0", "libpcre2-8-0"),
        ("libgdk_pixbuf-2.0.so.0", "libgdk-pixbuf-2.0-0"),
        ("libz.so.1", "zlib1g"),
        ("libgobject-2.0.so.0", "libglib2.0-0"),
    ],
)
def test_packages_are_named_after_sonames_as_debian_does(soname: str, package: str) -> None:
    assert next(packages_of(soname)) == package


@pytest.mark.parametrize("soname", ["", "libfoo.so", "not a library", "libfoo.so.", "../lib/libfoo.so.1"])
def test_a_name_without_a_version_has_no_package(soname: str) -> None:
    assert list(packages_of(soname)) == []
    assert facts("kaggle-gpu-py312-2026-08").library(soname).there is None


@pytest.mark.skipif(not Path("/var/lib/dpkg/status").is_file(), reason="not a system of dpkg")
def test_the_packages_of_this_system_account_for_its_libraries() -> None:
    cell = runpy.run_path(str(Path(probe.__file__).with_name("probe_cell.py")))
    here = cell["loadable"]() or {}
    mine = facts_of(loads(json.dumps(snapshot(system=cell["packages"]())), Path("here.json")))
    there = {name for name, path in here.items() if path.startswith(("/lib/", "/usr/lib/"))}
    denied = [name for name in there if mine.library(name).there is False]
    assert denied == [], "named in the table by another package, or it came without dpkg"
    imagined = [name for name in table() if name not in here and mine.library(name).there]
    assert imagined == []


def test_the_tables_are_rows_of_names() -> None:
    assert len(table()) > 300
    for soname, packages in table().items():
        assert re.fullmatch(r"(lib|ld-)[\w.+-]+\.so(\.[\w.]+)?", soname), soname
        assert packages
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9+.*-]+", package) for package in packages), soname
    for (name, version), libraries in wheel_libraries().items():
        assert libraries, (name, version)


def test_tables_speak_of_what_the_images_have() -> None:
    listed = {
        (str(name), str(item.version))
        for info in shipped()
        for name, item in load(info.name, HERE).distributions.items()
    }
    assert wheel_libraries().keys() <= listed
