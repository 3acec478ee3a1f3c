"""What names tell: of extension modules, of builds for a torch or a CUDA, of NVIDIA's libraries."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from packaging.tags import Tag

_TAGGED = re.compile(r"\.cpython-(\d)(\d+)(t?)d?-[^/]*\.so", re.ASCII)
_STABLE = re.compile(r"\.abi3t?\.so", re.ASCII)
_TORCH = re.compile(r"(?<![a-z])(?:torch|pt)\.?(\d)\.?(\d{1,2})", re.ASCII)
_CUDA = re.compile(r"(?<![a-z])cu(?:da)?(\d{2})", re.ASCII)
_NAMED_CUDA = re.compile(r"-cu(?:da)?(1[1-9])x?(?:-|$)", re.ASCII)
_CUDA_LIBRARY = re.compile(
    r"lib(cudart|cublas(Lt)?|cufftw?|curand|cusolver(Mg)?|cusparse(Lt)?|nvrtc(-builtins)?|nvJitLink|cupti|cufile(_rdma)?|"
    r"nvjpeg|npp[a-z]+|nvToolsExt|cudnn\w*|nccl|nvinfer\w*|nvonnxparser\w*|nvshmem_host|cutensor\w*)\.so(\.[\w.]+)?",
    re.ASCII,
)
_NUMBERED_AS_CUDA = re.compile(r"lib(cudart|cublas(Lt)?|nvrtc|nvJitLink)\.so\.(\d+)(\.\d+)*", re.ASCII)
_TORCH_LIBRARY = re.compile(r"lib(torch(_\w+)?|c10(_\w+)?|shm)\.so", re.ASCII)


class Build(NamedTuple):
    """What a version's local part tells of what a wheel was built for."""

    torch: tuple[int, int] | None
    cuda: int | None
    """Major."""
    strings: str
    """Of which std::string: ``cxx11``, ``pre-cxx11``; empty when it does not tell."""


def build_of(local: str | None) -> Build:
    """Read a local version: ``cu12torch2.10cxx11abitrue``, ``pt25cu124``, ``torch210.cu128``."""
    text = (local or "").lower()
    torch, cuda = _TORCH.search(text), _CUDA.search(text)
    release = None
    if torch is not None:
        minor = torch[2] if int(torch[2]) < 40 else torch[2][0]  # pt251 is torch 2.5.1
        release = (int(torch[1]), int(minor))
    strings = "cxx11" if "abitrue" in text else "pre-cxx11" if "abifalse" in text else ""
    return Build(release, int(cuda[1]) if cuda else None, strings)


def cuda_of_name(name: str) -> int | None:
    """Return the CUDA major that a distribution names (``cupy-cuda13x``, ``cudf-cu12``); None when it names none."""
    found = _NAMED_CUDA.search(name)
    return int(found[1]) if found else None


def for_cuda(name: str, major: int) -> str:
    """Return what a distribution that names its CUDA (``cupy-cuda13x``) would be called for another one."""
    return _NAMED_CUDA.sub(lambda found: found[0].replace(found[1], str(major)), name)


def python_of(path: str) -> str | None:
    """Return the Python that alone can import an extension module by its name (``3.12``, ``3.13t``); else None."""
    found = _TAGGED.search(path)
    return f"{found[1]}.{found[2]}{found[3]}" if found else None


def is_for_several(tags: Iterable[Tag]) -> bool:
    """Tell whether a wheel with these tags is for several Pythons."""
    return any(tag.abi == "abi3" or tag.interpreter.startswith("py") for tag in tags)


def is_module(path: str, *, initialiser: bool) -> bool:
    """Tell whether Python imports a file by this name, given whether it has an initialiser."""
    name = path.rpartition("/")[2]
    if _TAGGED.search(name) or _STABLE.search(name):
        return True
    return initialiser and name.endswith(".so")


def is_copied(path: str) -> bool:
    """Tell whether a tool that makes wheels portable copied a library there (``numpy.libs/``)."""
    return ".libs/" in path


def cuda_major(soname: str) -> int | None:
    """Return the CUDA release that a library belongs to, where its number is that of CUDA."""
    found = _NUMBERED_AS_CUDA.fullmatch(soname)
    return int(found[3].partition(".")[0]) if found and int(found[3]) < 100 else None


def is_cuda(soname: str) -> bool:
    """Tell whether it is one of the libraries that NVIDIA gives beside its driver."""
    return _CUDA_LIBRARY.fullmatch(soname) is not None


def is_torch(soname: str) -> bool:
    """Tell whether it is one of torch's own libraries."""
    return _TORCH_LIBRARY.fullmatch(soname) is not None


def stem(soname: str) -> str:
    """Return a library's name without its version: ``libcudart``."""
    return soname.partition(".so")[0]


def variant(path: str) -> str:
    """Return a path without its digits: what builds of one library for several systems have in common."""
    return re.sub(r"[0-9]+", "", path)
