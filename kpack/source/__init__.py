"""Sources -> normalised wheels whose digest a second machine reproduces."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.fetch import Download, Fetcher
    from kpack.lock import Lock
    from kpack.resolve.model import Pin, Resolution
    from kpack.resolve.wire import Unisolated
    from kpack.source.build import Builder
    from kpack.source.built import BuiltWheel
    from kpack.target import Target


def unisolated(environment: Environment, targets: Sequence[Target]) -> dict[str, Unisolated]:
    """Return by target label how what ``no-build-isolation`` names is built; empty when it names nothing.

    Raises:
        MachineError: the interpreter that ``KPACK_PYTHON`` names cannot be run.

    """
    if not environment.no_build_isolation:
        return {}
    from kpack.resolve.wire import Unisolated
    from kpack.source import interpreter

    here = interpreter.running()
    names = tuple(sorted(environment.no_build_isolation))
    found = {}
    for target in targets:
        unlike = here.unlike(target)
        found[target.label] = Unisolated(
            names=names,
            python="" if unlike else here.executable,
            unlike=unlike,
            ways_out=interpreter.WAYS_OUT,
        )
    return found


def fill(environment: Environment, resolution: Resolution, fetcher: Fetcher) -> Resolution:
    """Return the resolution with the wheel of every pin that has a source: built, or found where the user put it.

    The source is filled in too (digest, build requirements, the host of a compiled wheel). What is worth saying is
    added to the notes.

    Raises:
        MisfitError: a compiled wheel does not fit a target; the error names the two ways out.
        NoSolution: one is built with what the image has, and that is not here; or a build requirement has no wheel.
        IntegrityError, MachineError, NetworkError, UsageError: a source cannot be had or built, or its wheel needs what
            nobody knew when versions were chosen.

    """
    if not any(pin.source for target in resolution.targets for pin in target.packed):
        return resolution
    image = _image(resolution)
    builder = _builder(environment, fetcher, image, {found.target.python_version for found in resolution.targets})
    built: dict[object, BuiltWheel] = {}
    targets = []
    for found in resolution.targets:
        filled = tuple(_filled(pin, found.target, builder, built, environment.no_deps) for pin in found.packed)
        targets.append(replace(found, packed=filled))
    notes = tuple(item.note for item in built.values() if item.note)
    packed = {pin.name: pin for target in targets for pin in target.packed}
    notes += tuple(note for pin in packed.values() for note in _unlike(pin, image))
    return replace(resolution, targets=tuple(targets), notes=resolution.notes + notes)


def _filled(
    pin: Pin, target: Target, builder: Builder, built: dict[object, BuiltWheel], free: Collection[str] = ()
) -> Pin:
    """Return ``pin`` with its wheel; of those in ``free`` it does not matter what they need."""
    from kpack.source import interpreter
    from kpack.source.build import check_target

    if pin.source is None:
        return pin
    alone = pin.name not in builder.unisolated or pin.source.kind == "wheel"
    if not alone and (unlike := interpreter.running().unlike(target)):
        raise interpreter.refusal(pin.name, unlike)
    if pin.source not in built:
        built[pin.source] = builder.build(pin.source, name=pin.name, version=pin.version)
    made = built[pin.source]
    check_target(made, target, name=pin.name)
    if not made.pure:
        interpreter.refuse_others(pin.name, made.against, target)
    if pin.source.kind == "sdist" and pin.name not in free:
        from kpack.source.promise import check_promise

        check_promise(pin, target, made.requires_dist)
    return replace(pin, wheel=made.wheel, source=made.source)


def rebuilt(made: Lock, environment: Environment, fetcher: Fetcher) -> tuple[Download, ...]:
    """Have every wheel of the lock that comes from a source in the cache, and return them as downloads that are hits.

    What the cache lacks is built again from the locked source with the locked build requirements.

    Raises:
        CheckFailed: a local folder or wheel changed since it was locked.
        IntegrityError: a source or the wheel made from it is not what the lock says.
        MisfitError, MachineError, NetworkError, NoSolution, UsageError: as `fill`.

    """
    from kpack.fetch import Download

    pins = {
        pin.wheel.filename: pin
        for target in made.targets
        for pin in target.packed
        if pin.source is not None and pin.wheel.url is None
    }
    if not pins:
        return ()
    builder = _builder(environment, fetcher)
    wanted = []
    for filename, pin in sorted(pins.items()):
        assert pin.source is not None
        built = builder.build(pin.source, name=pin.name, version=pin.version, expected=pin.wheel)
        wanted.append(Download(name=filename, urls=(), sha256=built.sha256, size=built.size))
    return tuple(wanted)


def changed(made: Lock, relative_to: Path) -> tuple[str, ...]:
    """Return a sentence for each local folder or wheel that is not the one that was locked any more."""
    local = {
        pin.source.url: (pin.source, pin.wheel)
        for target in made.targets
        for pin in target.packed
        if pin.source is not None and pin.source.kind in {"directory", "wheel"}
    }
    if not local:
        return ()
    from kpack.files import sha256_of
    from kpack.source.tree import digest_of_folder

    sentences = []
    for url, (source, wheel) in sorted(local.items()):
        path = relative_to / url
        if source.kind == "directory" and path.is_dir():
            same = digest_of_folder(path) == source.sha256
        elif source.kind == "wheel" and path.is_file():
            same = sha256_of(path) == wheel.sha256
        else:
            continue  # gone; the cache may still have the wheel, and build says so if not
        if not same:
            sentences.append(f"{url} changed")
    return tuple(sentences)


def _image(resolution: Resolution) -> dict[str, str]:
    """Return what the targets have; of several versions the oldest, as what is compiled for it works with newer."""
    found: dict[str, Version] = {}
    for target in resolution.targets:
        for name, item in (target.target.base.distributions if target.target.base else {}).items():
            found[name] = min(found.get(name, item.version), item.version)
    return {name: str(version) for name, version in found.items()}


def _unlike(pin: Pin, image: Mapping[str, str]) -> Iterator[str]:
    """Say with which compiled package of another version than the image's a wheel was built."""
    for wheel in pin.source.build_requires if pin.source else ():
        name, version, _, tags = parse_wheel_filename(wheel.filename)
        has = image.get(name)
        if has is not None and str(version) != has and all(tag.platform != "any" for tag in tags):
            yield (
                f"{pin.name} was built with {name} {version}, as its build requirements ask for; the image has {name} "
                f"{has}: see in a rehearsal that it works (kpack rehearse)"
            )


def _builder(
    environment: Environment,
    fetcher: Fetcher,
    image: Mapping[str, str] | None = None,
    pythons: Collection[str] = (),
) -> Builder:
    from kpack.resolve.ask import address
    from kpack.source.build import Builder
    from kpack.source.environment import Indexes

    return Builder(
        fetcher,
        relative_to=environment.path.parent,
        indexes=Indexes(addresses=address(environment, None), exclude_newer=environment.exclude_newer),
        unisolated=environment.no_build_isolation,
        image=image,
        pythons=pythons,
    )
