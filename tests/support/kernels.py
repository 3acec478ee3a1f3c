"""Base images, targets and resolutions from a few words, for tests."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.base import BaseDistribution, BaseImage
from kpack.environment.model import Environment, Package
from kpack.resolve.model import BaseUse, Need, Pin, Resolution, TargetResolution, Wheel
from kpack.target import Target, marker_environment, supported_tags

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def base(
    distributions: Mapping[str, str | tuple[str, Sequence[str] | None]],
    *,
    name: str = "image",
    python: str = "3.12.13",
    machine: str = "x86_64",
    preloaded: Mapping[str, Sequence[str]] | None = None,
    unknown: Sequence[str] = (),
) -> BaseImage:
    """Make an image of ``{name: version}`` (metadata unknown) or ``{name: (version, requires_dist)}``."""
    found = {}
    for key, value in distributions.items():
        version, requires = (value, None) if isinstance(value, str) else value
        found[canonicalize_name(key)] = BaseDistribution(
            name=canonicalize_name(key),
            version=Version(version),
            requires_dist=None if requires is None else tuple(requires),
        )
    owners = {canonicalize_name(o): module for module, names in (preloaded or {}).items() for o in names}
    return BaseImage(
        name=name,
        python_full_version=python,
        machine=machine,
        glibc=(2, 35),
        environment=marker_environment(python, machine),
        distributions=found,
        preloaded=tuple(preloaded or ()),
        certainty="a test",
        fingerprint=hashlib.sha256(repr(sorted(distributions.items())).encode()).hexdigest(),
        preloaded_by=owners,
        unknown=tuple(canonicalize_name(item) for item in unknown),
    )


def target(image: BaseImage | None = None, *, python: str = "3.12.13", machine: str = "x86_64") -> Target:
    """Make the target of an image, or of a bare Python."""
    full = image.python_full_version if image else python
    machine = image.machine if image else machine
    series = ".".join(full.split(".")[:2])
    return Target(
        base=image,
        python_version=series,
        python_full_version=full,
        machine=machine,
        glibc=(2, 35),
        environment=marker_environment(full, machine),
        tags=supported_tags(series, machine, (2, 35)),
    )


def environment(*packages: str, path: Path = Path("kaggle-env.toml"), **facts: Any) -> Environment:
    """Make an environment that asks for ``packages``."""
    return Environment(
        path=path,
        name=facts.pop("name", "tiny"),
        bases=facts.pop("bases", ("image",)),
        packages=tuple(Package(text=text, requirement=Requirement(text)) for text in packages),
        **facts,
    )


def wheel(filename: str, **facts: Any) -> Wheel:
    """Make a wheel whose digest follows from its name."""
    return Wheel(
        **{
            "filename": filename,
            "sha256": hashlib.sha256(filename.encode()).hexdigest(),
            "size": len(filename),
            "url": f"http://127.0.0.1/files/{filename.replace('+', '%2B')}",
            "index": "http://127.0.0.1/simple",
            **facts,
        }
    )


def pin(name: str, version: str, *, tag: str = "py3-none-any", by: str = "", **facts: Any) -> Pin:
    """Make a pin of an index wheel."""
    return Pin(
        **{
            "name": canonicalize_name(name),
            "version": Version(version),
            "wheel": wheel(f"{name.replace('-', '_')}-{version}-{tag}.whl"),
            "needed_by": (Need(by=by, requirement=name),),
            **facts,
        }
    )


def use(name: str, version: str, *needs: tuple[str, str]) -> BaseUse:
    """Make a leaning on the base: ``use("torch", "2.10", ("lightning", "torch>=2"))``."""
    return BaseUse(
        name=canonicalize_name(name),
        version=Version(version),
        needed_by=tuple(Need(by=by, requirement=requirement) for by, requirement in needs),
    )


def resolution(*answers: tuple[Target, Sequence[Pin]], **facts: Any) -> Resolution:
    """Make a resolution; ``facts`` are fields of every `TargetResolution`."""
    return Resolution(
        targets=tuple(
            TargetResolution(**{"target": where, "packed": tuple(pins), "from_base": (), **facts})
            for where, pins in answers
        )
    )
