"""From a lock, and the files it names on this machine, to the content of a pack."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from kpack.checkpoints import variables
from kpack.lock import relative, requirements
from kpack.pack.content import BlobFile, Content, DebFile, WheelFile
from kpack.pack.order import installation_order
from kpack.pack.wheel import STRICT, Lax
from kpack.restore.manifest import (
    Lean,
    PackedCheckpoint,
    PackedDistribution,
    PackedSystem,
    PackTarget,
    Requirer,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kpack.lock import Lock, LockedTarget


def content_of(
    lock: Lock,
    lock_name: str,
    files: Mapping[str, Path],
    images: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    unpacked: Mapping[str, int] = MappingProxyType({}),
) -> Content:
    """Return the content of the pack of ``lock``.

    ``lock_name`` is the lock's file name; ``files`` maps the sha256 of every wheel and packed checkpoint to its place,
    ``images`` a base's name to the digests of the docker images that it stands for, ``unpacked`` the file name of a
    system package to the bytes of its files.
    """
    let_in = _let_in(lock)
    blobs = {item.sha256: item for item in lock.checkpoints if item.attached is None}
    return Content(
        name=lock.name,
        lock_name=lock_name,
        lock_text=relative(lock),
        requirements=requirements(lock),
        targets=tuple(
            target_of(target, let_in, unpacked)._replace(images=images.get(target.label, ())) for target in lock.targets
        ),
        wheels=wheel_files(lock, files),
        blobs=tuple(BlobFile(sha256=item.sha256, size=item.size, path=files[item.sha256]) for item in blobs.values()),
        checkpoints=tuple(
            PackedCheckpoint(path=item.path, sha256=item.sha256, size=item.size, attached=item.attached)
            for item in lock.checkpoints
        ),
        directory=lock.restore.directory,
        env={**variables(lock.checkpoints), **lock.restore.env},
        link=lock.restore.link,
        debs=tuple(
            DebFile(filename=item.filename, sha256=item.sha256, size=item.size, path=files[item.sha256])
            for item in lock.system()
        ),
        apt=lock.restore.apt,
    )


def _system(target: LockedTarget, unpacked: Mapping[str, int]) -> tuple[PackedSystem, ...]:
    return tuple(
        PackedSystem(
            name=item.name,
            version=item.version,
            architecture=item.architecture,
            member=f"debs/{item.filename}",
            unpacked=unpacked.get(item.filename, 0),
            stage=item.stage,
        )
        for item in (target.system.packages if target.system else ())
    )


def wheel_files(lock: Lock, files: Mapping[str, Path]) -> tuple[WheelFile, ...]:
    """Return the wheels of ``lock`` that ``files`` has the places of, with what is let in by name."""
    let_in = _let_in(lock)
    names = {pin.wheel.filename: pin.name for target in lock.targets for pin in target.packed}
    return tuple(
        WheelFile(
            filename=wheel.filename,
            sha256=wheel.sha256,
            path=files[wheel.sha256],
            lax=let_in.get(names.get(wheel.filename, wheel.filename), STRICT),
        )
        for wheel in lock.wheels()
        if wheel.sha256 in files
    )


def _let_in(lock: Lock) -> dict[str, Lax]:
    record, archive = (lock.requests.names(key) for key in ("lax-record", "lax-archive"))
    return {
        pin.name: Lax(record=pin.name in record, archive=pin.name in archive)
        for target in lock.targets
        for pin in target.packed
    }


def target_of(
    target: LockedTarget,
    let_in: Mapping[str, Lax] = MappingProxyType({}),
    unpacked: Mapping[str, int] = MappingProxyType({}),
) -> PackTarget:
    """Return a target as the manifest says it, from the lock; ``let_in`` says by distribution what was let in by name.

    ``unpacked`` has the bytes of the files of a system package by its file name, as far as they were read.

    A version is the file name's here; the pack's writer puts in its place what METADATA says.
    """
    return PackTarget(
        label=target.label,
        base=target.base,
        python=target.python,
        machine=target.machine,
        glibc=target.glibc,
        distributions=tuple(
            PackedDistribution(
                name=pin.name,
                version=str(pin.version),
                wheel=f"wheels/{pin.wheel.filename}",
                replaces=str(pin.replaces) if pin.replaces is not None else None,
                lax_record=let_in.get(pin.name, STRICT).record,
                lax_archive=let_in.get(pin.name, STRICT).archive,
            )
            for pin in installation_order(target)
        ),
        leans=tuple(
            Lean(
                name=use.name,
                version=str(use.version),
                specifiers=tuple(Requirer(by=need.by, requirement=need.requirement) for need in use.needed_by),
            )
            for use in target.leans
        ),
        preloaded=target.preloaded,
        accelerator=f"wheels/{target.accelerator.filename}" if target.accelerator else None,
        system=_system(target, unpacked),
    )
