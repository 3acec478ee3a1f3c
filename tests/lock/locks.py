"""Strategies for locks that a resolution can give."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from hypothesis import strategies as st
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.checkpoints import LockedCheckpoint
from kpack.debian import LockedSystem, SystemPackage
from kpack.environment.model import RestoreOptions
from kpack.lock import Lock, from_resolution
from kpack.resolve.model import BaseUse, HeldBack, Need, Pin, Resolution, Source, TargetResolution
from tests.support.kernels import base, environment, target, wheel

names = st.sampled_from(("a", "b2", "torch-xla", "tokenizers", "x-y-z", "lightning", "zope-interface"))
versions = st.sampled_from(("1", "1.0", "0.23.1", "2.10.0+cu128", "1!3.0", "4.0rc1", "4.0.post2", "5.dev3", "2024.9.0"))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="@"), max_size=6)
sentences = st.lists(texts.filter(bool), max_size=2).map(tuple)
digests = st.integers(0, 2**256 - 1).map("{:064x}".format)
times = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
needs = st.lists(st.builds(Need, by=st.one_of(st.just(""), names), requirement=texts), max_size=2, unique=True).map(
    lambda found: tuple(sorted(found, key=lambda need: (need.by, need.requirement)))
)
KINDS: tuple[Literal["sdist", "archive", "vcs", "directory", "wheel"], ...] = (
    "sdist",
    "archive",
    "vcs",
    "directory",
    "wheel",
)
KERNELS = (("3.11.13", "x86_64"), ("3.12.13", "x86_64"), ("3.13.15", "x86_64"), ("3.12.13", "aarch64"))


@st.composite
def sources(draw: st.DrawFn) -> Source:
    kind = draw(st.sampled_from(KINDS))
    return Source(
        kind=kind,
        url=draw(texts.filter(lambda text: "@" not in text)),
        sha256=draw(st.none() | digests),
        commit="c" * 40 if kind == "vcs" else None,
        revision=draw(st.none() | texts),
        subdirectory=draw(st.none() | texts),
        build_requires=tuple(wheel(f"setuptools-{n}-py3-none-any.whl") for n in range(draw(st.integers(0, 2)))),
        built_on=draw(st.none() | st.just("cp312-linux_x86_64")),
    )


@st.composite
def pins(draw: st.DrawFn, python: str, machine: str, name: str) -> Pin:
    version = draw(versions)
    tag = "cp" + "".join(python.split(".")[:2])
    kind = draw(
        st.sampled_from(("py3-none-any", f"{tag}-{tag}-manylinux_2_17_{machine}", f"cp39-abi3-manylinux2014_{machine}"))
    )
    source = draw(st.none() | sources())
    filename = f"{name.replace('-', '_')}-{version}-{kind}.whl"
    facts: dict[str, Any] = {"size": draw(st.none() | st.integers(0, 2**40)), "upload_time": draw(st.none() | times)}
    if source is not None:
        facts |= {"url": None, "index": None, "upload_time": None}
    return Pin(
        name=canonicalize_name(name),
        version=Version(version),
        wheel=wheel(filename, **facts),
        needed_by=draw(needs),
        extras=tuple(sorted(draw(st.sets(names, max_size=2)))),
        source=source,
        replaces=draw(st.none() | versions.map(Version)),
    )


@st.composite
def systems(draw: st.DrawFn) -> LockedSystem:
    packages = [
        SystemPackage(
            name=name,
            version=draw(st.sampled_from(("1", "2:1.0~rc1+b1", "7:4.4.2-0ubuntu0.22.04.1"))),
            architecture=draw(st.sampled_from(("amd64", "all"))),
            url=f"http://127.0.0.1/{name}.deb",
            size=draw(st.integers(0, 2**40)),
            sha256=f"{position:064x}",
            stage=draw(st.integers(0, 3)),
            needed_by=draw(st.sampled_from([(), ("ffmpeg",), ("ffmpeg", "libvips42")])),
        )
        for position, name in enumerate(("ffmpeg", "libstdc++6"))
        if draw(st.booleans())
    ]
    return LockedSystem(asked=draw(digests), packages=tuple(packages))


@st.composite
def locks(draw: st.DrawFn) -> Lock:
    """Draw a lock for one to three kernels that markers tell apart; kernels may share a version of a name."""
    answers = []
    shared: dict[str, Pin] = {}
    taken: set[str] = set()
    kernels = draw(st.lists(st.sampled_from(KERNELS), min_size=1, max_size=3, unique_by=lambda k: (k[0][:4], k[1])))
    for position, (python, machine) in enumerate(kernels):
        where = target(base({}, name=f"image-{position}", python=python, machine=machine, preloaded={"numpy": []}))
        packed = []
        for name in draw(st.lists(names, max_size=4, unique=True)):
            made = shared.get(name)
            if made is None or not draw(st.booleans()) or made.wheel is None or "none-any" not in made.wheel.filename:
                made = draw(pins(python, machine, name))
                assert made.wheel is not None
                if made.wheel.filename in taken:
                    continue
                taken.add(made.wheel.filename)
                shared[name] = made
            packed.append(made)
        answers.append(
            TargetResolution(
                target=where,
                packed=tuple(packed),
                from_base=tuple(
                    BaseUse(name=canonicalize_name(n), version=Version(draw(versions)), needed_by=draw(needs))
                    for n in draw(st.lists(names, max_size=2, unique=True))
                ),
                held_back=tuple(
                    HeldBack(name=canonicalize_name(n), version=Version("1"), newest=Version("2"), because=draw(texts))
                    for n in draw(st.lists(names, max_size=2, unique=True))
                ),
                dropped=tuple(map(canonicalize_name, draw(st.lists(names, max_size=2, unique=True)))),
                notes=draw(sentences),
                accelerator=draw(st.none() | st.just(wheel("isal-1.7-cp312-cp312-manylinux_2_17_x86_64.whl"))),
            )
        )
    return from_resolution(
        environment(
            *draw(st.lists(names, max_size=3)),
            path=Path("kaggle-env.toml"),
            bases=tuple(f"image-{n}" for n in range(len(kernels))),
            replace=tuple(map(canonicalize_name, draw(st.lists(names, max_size=2)))),
            exclude_newer=draw(st.none() | times),
            restore=RestoreOptions(
                directory=draw(st.none() | texts), env=draw(st.dictionaries(texts.filter(bool), texts, max_size=2))
            ),
        ),
        Resolution(targets=tuple(answers), notes=draw(sentences)),
        meaning="0" * 64,
        checkpoints=[
            LockedCheckpoint(
                path=f"checkpoints/{n}.ckpt",
                urls=tuple(f"https://host.example/{text}" for text in draw(st.lists(texts, min_size=1, max_size=2))),
                sha256=draw(digests),
                size=draw(st.integers(0, 2**45)),
                attached=draw(st.none() | st.just("/kaggle/input/w/w.ckpt")),
            )
            for n in range(draw(st.integers(0, 2)))
        ],
        system={"image-0": draw(systems())} if draw(st.booleans()) else {},
    )
