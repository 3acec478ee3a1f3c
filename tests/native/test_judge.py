from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.base.native import Level, NativeFacts
from kpack.native import Certainty, NativeKernel, NativeReport, NativeWheel, judge, of_platform, sentences
from kpack.native.devices import gpu_of
from kpack.native.elf import SharedObject, read
from kpack.native.names import build_of
from tests.support.elf import AARCH64, I386, containers, make_elf

if TYPE_CHECKING:
    from collections.abc import Mapping

CP312 = "cpython-312-x86_64-linux-gnu.so"

FACTS = NativeFacts(
    image="an-image",
    os="Ubuntu 22.04",
    glibc=Level("GLIBC", "2.35", None, exact=True),
    glibcxx=Level("GLIBCXX", "3.4.30", None, exact=True),
    cxxabi=Level("CXXABI", "1.3.13", None, exact=True),
    cuda="12.8",
    torch=Version("2.10.0+cu128"),
    torch_cuda="12.8",
    accelerator="gpu",
    packages={"libc6": "2.35", "libstdc++6": "12.3.0", "cuda-cudart-12-8": "12.8.90-1", "libcublas-12-8": "12.8"},
    cached=None,
    brought={
        name: (canonicalize_name(owner),)
        for name, owner in {
            "libtorch.so": "torch",
            "libc10.so": "torch",
            "libtorch_cuda.so": "torch",
            "libcudnn.so.9": "nvidia-cudnn-cu12",
        }.items()
    },
)
"""An image of which much is known."""


def wheel(name: str, files: Mapping[str, bytes], version: str = "1.0") -> NativeWheel:
    objects = (read(data, path) for path, data in files.items())
    return NativeWheel(canonicalize_name(name), Version(version), tuple(item for item in objects if item is not None))


def lint(*wheels: NativeWheel, allowed: tuple[str, ...] = (), **facts: Any) -> NativeReport:
    kernel = NativeKernel("an-image", "3.12", "x86_64", replace(FACTS, **facts), known=True)
    return judge(kernel, wheels, [canonicalize_name(name) for name in allowed])


def module(**wants: Any) -> bytes:
    return make_elf(needed=["libc.so.6", *wants.pop("needed", ())], **wants)


def told(report: NativeReport) -> list[tuple[str, str, Certainty]]:
    return [(item.wants, item.has, item.certainty) for item in report.findings]


def test_what_the_image_has_is_no_finding() -> None:
    fits = module(needed=["libcudart.so.12", "libcudnn.so.9", "libtorch.so", "libcuda.so.1"])
    fits_too = module(versions={"libc.so.6": ["GLIBC_2.35"], "libstdc++.so.6": ["GLIBCXX_3.4.30", "CXXABI_1.3.13"]})
    assert lint(wheel("fits", {f"fits/a.{CP312}": fits, "fits/b.abi3.so": fits_too})) == NativeReport()


def test_a_cuda_that_the_image_has_not_is_sure_where_no_module_is_left() -> None:
    report = lint(wheel("ext", {f"ext_cuda.{CP312}": module(needed=["libcudart.so.13"])}))
    assert told(report) == [("libcudart.so.13", "libcudart.so.12", Certainty.SURE)]
    assert report.notes == ()
    assert report.stopping[0].next == "take a build for CUDA 12, or add the package that brings libcudart.so.13"


def test_what_is_allowed_by_name_is_said_and_stops_nothing() -> None:
    report = lint(wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"])}), allowed=("Ext",))
    assert not report.stopping
    assert report.notes == (
        (
            f"ext 1.0: e.{CP312} needs libcudart.so.13; an-image has libcudart.so.12: it cannot be imported there → "
            "take a build for CUDA 12, or add the package that brings libcudart.so.13"
        ),
    )


def test_the_file_behind_a_library_of_the_system_is_there_although_no_cache_lists_it() -> None:
    cached = frozenset(["libc.so.6", "libgomp.so.1"])
    assert lint(wheel("x", {f"x.{CP312}": module(needed=["libgomp.so.1.0.0"])}), cached=cached) == NativeReport()
    assert len(lint(wheel("x", {f"x.{CP312}": module(needed=["libgomp.so.2.0.0"])}), cached=cached).stopping) == 1


def test_what_another_packed_wheel_brings_is_there() -> None:
    ext = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"], runpath="$ORIGIN/../nvidia/cu13/lib")})
    runtime = wheel("nvidia-cuda-runtime", {"nvidia/cu13/lib/libcudart.so.13": make_elf(soname="libcudart.so.13")})
    assert lint(ext, runtime) == NativeReport()


def test_a_stub_to_link_with_brings_nothing() -> None:
    ext = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"])})
    stubs = wheel("nvcc", {"nvidia/lib/stubs/libcudart.so.13": make_elf(soname="libcudart.so.13")})
    assert len(lint(ext, stubs).stopping) == 1


def test_what_a_replaced_package_of_the_image_brought_does_not_count() -> None:
    ext = wheel("ext", {f"e.{CP312}": module(needed=["libcudnn.so.9"])})
    other = wheel("nvidia-cudnn-cu12", {"nvidia/cudnn/lib/libcudnn.so.8": make_elf(soname="libcudnn.so.8")})
    packages = {**FACTS.packages, "libcudnn8": "8"}
    assert told(lint(ext, other, packages=packages)) == [("libcudnn.so.9", "libcudnn.so.8", Certainty.SURE)]


def test_a_library_deep_down_stops_the_modules_that_lean_on_it() -> None:
    files = {
        f"cv2/cv2.{CP312}": module(needed=["libqt.so"]),
        "cv.libs/libqt.so": make_elf(needed=["libGL.so.1"], soname="libqt.so"),
    }
    report = lint(wheel("cv", files))
    assert told(report) == [("libGL.so.1", "no libgl1", Certainty.SURE)]
    assert report.findings[0].files == ("cv.libs/libqt.so",)


def test_a_plugin_matters_on_demand_only() -> None:
    files = {
        f"ort/state.{CP312}": module(),
        "ort/libort_providers_cuda.so": make_elf(needed=["libcudart.so.13", "libnvinfer.so.10"]),
    }
    report = lint(wheel("ort", files))
    assert {certainty for _, _, certainty in told(report)} == {Certainty.ON_DEMAND}
    assert report.notes == (
        (
            "ort 1.0: ort/libort_providers_cuda.so needs libcudart.so.13, libnvinfer.so.10; an-image has "
            "libcudart.so.12, no libnvinfer10: that matters only to who uses this part → take a build for CUDA 12, or "
            "add the package that brings libcudart.so.13"
        ),
    )


def test_some_modules_that_fail_are_likely_where_another_version_is_there() -> None:
    files = {f"cupy/m{number}.{CP312}": module() for number in range(3)}
    files[f"cupy/blas.{CP312}"] = module(needed=["libcublas.so.13"])
    files[f"cupy/tensor.{CP312}"] = module(needed=["libcutensor.so.2"])
    assert told(lint(wheel("cupy", files))) == [
        ("libcublas.so.13", "libcublas.so.12", Certainty.LIKELY),
        ("libcutensor.so.2", "no libcutensor2", Certainty.ON_DEMAND),
    ]


def test_a_module_for_one_python_is_a_plugin_of_a_wheel_for_several() -> None:
    wants = module(needed=["libcudart.so.13"])
    files = {"ext/_C.abi3.so": module(), f"ext/_fp8.{CP312}": wants}
    several = replace(wheel("ext", files), several=True)
    assert told(lint(several)) == [("libcudart.so.13", "libcudart.so.12", Certainty.ON_DEMAND)]
    assert told(lint(wheel("ext", files)))[0][2] is Certainty.LIKELY
    twins = replace(wheel("ext", {**files, "ext/_fp8.cpython-311-x86_64-linux-gnu.so": wants}), several=True)
    assert told(lint(twins))[0][2] is Certainty.LIKELY  # each Python has its own


def test_of_builds_for_several_systems_one_that_fits_is_enough() -> None:
    files = {f"bnb/libbnb_cuda{n}.so": make_elf(needed=[f"libcudart.so.{n // 10}"]) for n in (110, 128, 130)}
    assert lint(wheel("bnb", files)) == NativeReport()
    del files["bnb/libbnb_cuda128.so"]
    assert len(lint(wheel("bnb", files)).findings) == 2


@pytest.mark.parametrize(
    ("library", "version", "wants", "has"),
    [
        ("libc.so.6", "GLIBC_2.38", "GLIBC 2.38", "GLIBC 2.35"),
        ("ld-linux-x86-64.so.2", "GLIBC_ABI_DT_RELR", "", ""),
        ("libstdc++.so.6", "GLIBCXX_3.4.32", "GLIBCXX 3.4.32", "GLIBCXX 3.4.30"),
        ("libstdc++.so.6", "CXXABI_1.3.15", "CXXABI 1.3.15", "CXXABI 1.3.13"),
        ("libstdc++.so.6", "CXXABI_FLOAT128", "", ""),
        ("libc.so.6", "GLIBC_PRIVATE", "", ""),
        ("libgcc_s.so.1", "GCC_14.0.0", "", ""),
    ],
)
def test_symbol_versions_are_held_against_the_image(library: str, version: str, wants: str, has: str) -> None:
    found = lint(wheel("x", {f"x.{CP312}": module(versions={library: [version]})}))
    if version == "GLIBC_ABI_DT_RELR":
        wants, has = "GLIBC 2.36", "GLIBC 2.35"
    assert told(found) == ([(wants, has, Certainty.SURE)] if wants else [])


def test_a_libstdcxx_that_the_wheel_brings_is_not_the_image_s() -> None:
    files = {
        f"x.{CP312}": module(needed=["libstdc++.so.6"], versions={"libstdc++.so.6": ["GLIBCXX_3.4.34"]}),
        "x.libs/libstdc++.so.6": make_elf(soname="libstdc++.so.6", defines=["GLIBCXX_3.4.34"]),
    }
    assert lint(wheel("x", files)) == NativeReport()
    files["x.libs/libstdc++.so.6"] = make_elf(soname="libstdc++.so.6", defines=["GLIBCXX_3.4.30"])
    assert [item.wants for item in lint(wheel("x", files)).findings] == ["GLIBCXX_3.4.34 of libstdc++.so.6"]


def test_what_nobody_knows_is_said_once() -> None:
    first = wheel("one", {f"one.{CP312}": module(needed=["libGL.so.1"], versions={"libc.so.6": ["GLIBC_2.38"]})})
    second = wheel(
        "two", {f"two.{CP312}": module(needed=["libGL.so.1"]), "two/plugin.so": make_elf(needed=["liby.so.9"])}
    )
    glibc = Level("GLIBC", "2.35", "2.39", exact=False)
    report = lint(first, second, packages={}, glibc=glibc)
    assert report.findings == ()
    assert report.notes == (
        (
            "it is not known whether an-image has GLIBC 2.38 (one), libGL.so.1 (one, two): a probe of your own kernel "
            "tells (kpack probe --help)"
        ),
    )


def test_a_platform_without_an_image_knows_its_glibc_at_least() -> None:
    kernel = of_platform("python-3.12", "3.12", "x86_64", (2, 28))
    fits = wheel("x", {f"x.{CP312}": module(versions={"libc.so.6": ["GLIBC_2.28"]})})
    assert judge(kernel, [fits]) == NativeReport()
    asks = wheel("x", {f"x.{CP312}": module(versions={"libc.so.6": ["GLIBC_2.34"]}, needed=["libtorch.so"])})
    assert "python-3.12 has GLIBC 2.34 (x), libtorch.so (x)" in judge(kernel, [asks]).notes[0]


def test_code_for_another_machine_is_sure_where_there_is_no_other() -> None:
    for foreign, named in ((make_elf(machine=AARCH64), "aarch64"), (make_elf(machine=I386, bits=32), "i386")):
        report = lint(wheel("x", {"x.abi3.so": foreign}))
        assert told(report) == [(named, "x86_64 with glibc", Certainty.SURE)]
        assert lint(wheel("x", {"x.abi3.so": module(), "x/attach.so": foreign})) == NativeReport()
    musl = make_elf(needed=["libc.musl-x86_64.so.1"])
    assert told(lint(wheel("x", {"x.abi3.so": musl}))) == [
        ("another C library than glibc", "x86_64 with glibc", Certainty.SURE)
    ]


def test_modules_of_another_python_are_told_where_there_are_no_others() -> None:
    other = {"x.cpython-311-x86_64-linux-gnu.so": module()}
    assert told(lint(wheel("x", other))) == [("Python 3.11", "Python 3.12", Certainty.LIKELY)]
    assert lint(wheel("x", {**other, f"x.{CP312}": module()})) == NativeReport()
    assert lint(wheel("x", {**other, "x.abi3.so": module()})) == NativeReport()


def test_a_module_of_another_python_is_not_asked_what_it_needs() -> None:
    files = {"x.cpython-311-x86_64-linux-gnu.so": module(needed=["libcudart.so.13"]), f"x.{CP312}": module()}
    assert lint(wheel("x", files)) == NativeReport()


def test_an_extension_of_another_torch_is_told_by_its_version() -> None:
    report = lint(wheel("flash-attn", {}, "2.8.3+cu13torch2.9cxx11abitrue"))
    assert [(item.wants, item.has) for item in report.findings] == [
        ("torch 2.9", "torch 2.10.0+cu128"),
        ("CUDA 13", "torch 2.10.0+cu128 for CUDA 12"),
    ]
    assert {item.next for item in report.findings} == {"take the build for torch 2.10 and CUDA 12"}
    assert lint(wheel("flash-attn", {}, "2.8.3+cu12torch2.10cxx11abitrue")) == NativeReport()
    packed = wheel("torch", {}, "2.9.1+cu130")
    assert lint(wheel("flash-attn", {}, "2.8.3+cu13torch2.9cxx11abitrue"), packed) == NativeReport()


def test_an_extension_of_the_other_string_cannot_be_imported() -> None:
    old = module(needed=["libc10.so"], symbols=["_ZN3c106detail14torchCheckFailEPKcS2_jRKSs"])
    new = module(needed=["libc10.so"], symbols=["_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_string"])
    assert lint(wheel("x", {f"x.{CP312}": new})) == NativeReport()
    found = lint(wheel("x", {f"x.{CP312}": old})).stopping[0]
    assert (found.wants, found.has) == ("a torch with cxx11abi=FALSE", "torch 2.10.0+cu128 with cxx11abi=TRUE")
    assert lint(wheel("x", {f"x.{CP312}": old}), torch=Version("2.5.1+cu121")) == NativeReport()
    assert lint(wheel("x", {f"x.{CP312}": new}), torch=Version("2.6.0+cu124")) == NativeReport()


def test_a_library_that_the_image_s_torch_has_not_is_missing() -> None:
    ext = wheel("x", {f"x.{CP312}": module(needed=["libtorch_cuda.so"])})
    brought = {"libc10.so": (canonicalize_name("torch"),)}
    found = lint(ext, torch=Version("2.10.0+cpu"), brought=brought)
    assert told(found) == [("libtorch_cuda.so", "torch 2.10.0+cpu, without it", Certainty.SURE)]
    assert told(lint(ext, torch=None, brought={})) == [("libtorch_cuda.so", "no torch", Certainty.SURE)]


def test_the_driver_is_not_the_image_s_to_have() -> None:
    ext = wheel("x", {f"x.{CP312}": module(needed=["libcuda.so.1"])})
    assert lint(ext, accelerator="any") == NativeReport()
    assert told(lint(ext, accelerator="cpu")) == [("libcuda.so.1", "no GPU, whose driver has it", Certainty.LIKELY)]


def test_a_folder_of_the_machine_may_have_what_is_missing() -> None:
    ext = wheel("x", {f"x.{CP312}": module(needed=["libcudart.so.13"], runpath="/opt/cuda/lib:$ORIGIN/../../../lib")})
    found = lint(ext)
    assert [item.certainty for item in found.findings] == [Certainty.LIKELY]
    assert "(unless it lies in /opt/cuda/lib, which the file names)" in found.notes[0]


def test_a_program_needs_its_bit() -> None:
    program = make_elf(program=True)
    said = lint(wheel("x", {"x/bin/ffmpeg": program, "x/bin/a": program})).notes
    assert said == (
        (
            "x 1.0: x/bin/ffmpeg and 1 more are a program without an executable bit: that matters only to "
            "who uses this part"
        ),
    )
    assert lint(wheel("x", {"x-1.0.data/scripts/ffmpeg": program, "x/lib/libx.so.1": program})) == NativeReport()


def test_gpu_code_for_other_gpus_is_told_where_the_session_names_one() -> None:
    library = make_elf(needed=["libcudart.so.12"], gpu=containers([(2, 75), (2, 90), (1, 90)]))
    xgboost = wheel("xgboost", {"xgboost/lib/libxgboost.so": library})

    def on(accelerator: str, *probed: str) -> tuple[str, ...]:
        gpu = gpu_of(accelerator, probed)
        kernel = NativeKernel("an-image", "3.12", "x86_64", FACTS, known=True, gpu=gpu)
        return judge(kernel, [xgboost]).notes

    said = (
        "xgboost 1.0: xgboost/lib/libxgboost.so has GPU code for sm_75, compute_90, sm_90; an-image has a P100 "
        "(sm_60): that matters only to who uses this part → take a version that is built for sm_60, too, or a "
        "session with another GPU"
    )
    assert on("P100") == (said,)
    assert on("T4") == on("H100") == on("RTX-PRO-6000") == on("") == ()
    assert on("", "Tesla P100-PCIE-16GB, 6.0") == (said.replace("a P100", "a Tesla P100-PCIE-16GB"),), "of a probe"
    assert on("T4", "Tesla P100-PCIE-16GB, 6.0") == on("", "Tesla T4, 7.5") == on("", "odd", "[N/A], [N/A]") == ()


def test_what_is_not_readable_is_a_note() -> None:
    said = lint(wheel("x", {"x/x.so": b"\x7fELF" + bytes(4)})).notes
    assert said == (
        "x 1.0: x/x.so is not readable ELF (it is cut off at byte 8): that matters only to who uses this part",
    )


@pytest.mark.parametrize(
    ("local", "build"),
    [
        ("cu12torch2.10cxx11abitrue", ((2, 10), 12, "cxx11")),
        ("cu12torch2.5cxx11abifalse", ((2, 5), 12, "pre-cxx11")),
        ("pt25cu124", ((2, 5), 12, "")),
        ("pt251cu124", ((2, 5), 12, "")),
        ("cu130torch210", ((2, 10), 13, "")),
        ("torch2.5.1.cu121", ((2, 5), 12, "")),
        ("cu128", (None, 12, "")),
        ("cpu", (None, None, "")),
        ("computer8", (None, None, "")),
        (None, (None, None, "")),
    ],
)
def test_local_versions_tell_what_a_wheel_was_built_for(local: str | None, build: tuple[object, ...]) -> None:
    assert tuple(build_of(local)) == build


def test_while_nobody_has_read_a_wheel_no_library_is_called_missing() -> None:
    ext = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"], versions={"libc.so.6": ["GLIBC_2.99"]})})
    unread = NativeWheel(canonicalize_name("nvidia-cuda-runtime"), Version("13.0"), None)
    assert told(lint(ext, unread)) == [("GLIBC 2.99", "GLIBC 2.35", Certainty.SURE)]


def test_a_name_that_may_be_a_remnant_is_never_sure() -> None:
    whole = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"])})
    assert whole.objects is not None
    begun = replace(whole.objects[0], whole=False, guessed=("libcudart.so.13",))
    assert told(lint(replace(whole, objects=(begun,)))) == [("libcudart.so.13", "libcudart.so.12", Certainty.LIKELY)]


def test_modules_that_nobody_has_read_keep_a_finding_from_being_sure() -> None:
    whole = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"])})
    assert whole.objects is not None
    unread = SharedObject(path=f"f.{CP312}", machine="x86_64", whole=False)
    found = told(lint(replace(whole, objects=(*whole.objects, unread))))
    assert found == [("libcudart.so.13", "libcudart.so.12", Certainty.LIKELY)]


def test_a_library_that_nobody_has_read_is_there_under_its_name() -> None:
    ext = wheel("ext", {f"e.{CP312}": module(needed=["libcudart.so.13"])})
    unread = SharedObject(path="nvidia/cu13/lib/libcudart.so.13", machine="x86_64", whole=False)
    assert (
        lint(ext, NativeWheel(canonicalize_name("nvidia-cuda-runtime"), Version("13.0"), (unread,))) == NativeReport()
    )


def test_a_name_that_tells_another_cuda_is_told_unless_the_pack_brings_it() -> None:
    files = {f"cupy/core.{CP312}": module()}
    found = lint(wheel("cupy-cuda13x", files))
    assert told(found) == [("CUDA 13", "CUDA 12.8", Certainty.LIKELY)]
    assert found.notes[0].startswith(
        "cupy-cuda13x 1.0: says in its name that it is for CUDA 13; an-image has CUDA 12.8"
    )
    runtime = wheel("nvidia-cuda-runtime", {"nvidia/cu13/lib/libcudart.so.13": make_elf(soname="libcudart.so.13")})
    blas = wheel("nvidia-cublas", {"nvidia/cu13/lib/libcublas.so.13": make_elf(soname="libcublas.so.13")})
    assert lint(wheel("cupy-cuda13x", files), runtime) == NativeReport()
    assert lint(wheel("cuml-cu13", files), blas) == NativeReport()
    assert lint(wheel("cupy-cuda12x", files)) == NativeReport()
    assert lint(wheel("cupy-cuda13x", files), cuda=None) == NativeReport()


def test_a_wheel_that_has_nothing_but_libraries_is_likely_broken_where_its_own_all_fail() -> None:
    files = {"tv/_C.so": module(needed=["libcudart.so.13"]), "tv.libs/libz.so.1": make_elf(soname="libz.so.1")}
    assert told(lint(wheel("tv", files))) == [("libcudart.so.13", "libcudart.so.12", Certainty.LIKELY)]


def test_a_library_copied_beside_a_module_that_nobody_has_read_is_taken_to_be_needed() -> None:
    whole = wheel("cv", {"cv.libs/libQt5Core.so.5": make_elf(needed=["libGL.so.1"], soname="libQt5Core.so.5")})
    assert whole.objects is not None
    unread = SharedObject(path="cv2/cv2.abi3.so", machine="x86_64", whole=False)
    assert told(lint(replace(whole, objects=(*whole.objects, unread)))) == [
        ("libGL.so.1", "no libgl1", Certainty.LIKELY)
    ]


def test_system_packages_that_bring_what_is_missing_are_named_at_once() -> None:
    packages = {**FACTS.packages, "libfoo1": "1"}
    asks = module(needed=["libGL.so.1", "libzbar.so.0"])
    (found,) = sentences(lint(wheel("cv", {f"cv.{CP312}": asks}), packages=packages).stopping)
    assert found[1] == 'write apt = ["libgl1", "libzbar0"] in kaggle-env.toml, or take a build that brings it along'
