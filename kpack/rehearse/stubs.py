"""The base's distributions as stubs: metadata that drift, pip and ``importlib.metadata`` see, and nothing to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from kpack.base import BaseImage
    from kpack.restore.manifest import PackTarget

INSTALLER = "kpack-rehearsal"
"""What INSTALLER of a stub says."""

MODULES = {
    "absl-py": ("absl",),
    "antlr4-python3-runtime": ("antlr4",),
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "gdal": ("osgeo",),
    "gitpython": ("git",),
    "ipython": ("IPython",),
    "google-api-core": ("google.api_core",),
    "google-auth": ("google.auth", "google.oauth2"),
    "grpcio": ("grpc",),
    "lightgbm": ("lightgbm",),
    "opencv-contrib-python": ("cv2",),
    "opencv-python": ("cv2",),
    "opencv-python-headless": ("cv2",),
    "pillow": ("PIL",),
    "protobuf": ("google.protobuf",),
    "pymupdf": ("fitz", "pymupdf"),
    "pyopenssl": ("OpenSSL",),
    "python-dateutil": ("dateutil",),
    "pyjwt": ("jwt",),
    "pyyaml": ("yaml",),
    "pyzmq": ("zmq",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "setuptools": ("setuptools", "pkg_resources"),
    "umap-learn": ("umap",),
}
"""Modules of distributions that are called otherwise, where the base does not record them."""


@dataclass(frozen=True, slots=True)
class Stub:
    """A distribution of the base."""

    name: str
    """Normalised."""
    version: str
    requires_dist: tuple[str, ...] | None
    """None when nobody recorded them."""
    modules: tuple[str, ...]
    """What it lets one import, as far as known or guessed."""


def stubs_of(target: PackTarget, base: BaseImage | None) -> tuple[Stub, ...]:
    """Return what stands for the base of ``target``: the whole image, or what the pack leans on when it is unknown."""
    if base is None:
        leans = {canonicalize_name(lean.name): lean.version for lean in target.leans}
        return tuple(Stub(name, version, None, modules(name)) for name, version in sorted(leans.items()))
    return tuple(
        Stub(
            str(item.name),
            str(item.version),
            item.requires_dist,
            modules(item.name) if item.top_level is None else tuple(name.partition(".")[0] for name in item.top_level),
        )
        for item in sorted(base.distributions.values(), key=lambda item: item.name)
    )


def modules(name: str) -> tuple[str, ...]:
    """Return the modules that a distribution most likely has."""
    plain = name.replace("-", "_")
    return MODULES.get(name) or tuple(dict.fromkeys((plain, plain.removeprefix("python_"))))


def write(stubs: Iterable[Stub], folder: Path, *, without: Collection[str] = ()) -> dict[str, str]:
    """Write the metadata of ``stubs`` to ``folder``, but of those in ``without``; return their modules and owners."""
    owners: dict[str, str] = {}
    for stub in stubs:
        if stub.name in without:
            continue
        info = folder / f"{stub.name.replace('-', '_')}-{stub.version}.dist-info"
        info.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {stub.name}", f"Version: {stub.version}"]
        lines += [f"Requires-Dist: {line}" for line in stub.requires_dist or ()]
        lines.append("Summary: stands for a package of the Kaggle image in a rehearsal")
        files = {"METADATA": "\n".join(lines) + "\n", "INSTALLER": INSTALLER + "\n"}
        for name, text in files.items():
            (info / name).write_text(text, encoding="utf-8")
        rows = [f"{info.name}/{name},,\n" for name in (*files, "RECORD")]
        (info / "RECORD").write_text("".join(rows), encoding="utf-8")
        owners.update(dict.fromkeys(stub.modules, stub.name))
    return owners


def owner_of(missing: str, owners: Mapping[str, str]) -> str | None:
    """Return the stub that would bring a module, asked for by any name at or below it."""
    parts = missing.split(".")
    for depth in range(len(parts), 0, -1):
        if owner := owners.get(".".join(parts[:depth])):
            return owner
    return None
