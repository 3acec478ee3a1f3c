"""Write a pack: every byte is hashed while it is copied, and the head is written last."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack import __version__
from kpack.errors import CheckFailed, IntegrityError
from kpack.files import replacing, sha256_of
from kpack.pack import line, tarfmt
from kpack.pack.copy import MemberCopy, SpanMemory, copy_all
from kpack.pack.engine import engine
from kpack.pack.manifest import SPAN, dumps
from kpack.pack.tarfmt import BOOTSTRAP, MANIFEST
from kpack.pack.wheel import Admitted, WrongRecord, admit
from kpack.positioned import pwrite
from kpack.restore import manifest as model
from kpack.restore.errors import RestoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from kpack.pack.content import Content, WheelFile

ENGINE = "restore.bin"

_NO_DIGEST = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPack:
    """A pack that was written or read."""

    path: Path
    name: str
    id: str
    """SHA-256 of its bootstrap.py: what the pasted line pins."""
    size: int
    """Bytes."""
    line: str
    """The line to paste."""
    notes: tuple[str, ...]
    """What is odd about wheels and did not keep them out, each with the wheel's name."""

    @property
    def sha256(self) -> str:
        """SHA-256 of the whole file, which is read for it: nothing in the chain of trust needs it."""
        return sha256_of(self.path)


@dataclass(frozen=True, slots=True)
class _Planned:
    """A member before its bytes were read: all but the digests is known."""

    path: str
    size: int
    cuts: tuple[int, ...]
    sha256: str | None
    """The digest it must have; None for what kpack makes itself."""
    source: Path | bytes

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """Begin and end of each span; an empty member has none."""
        return list(zip(self.cuts, (*self.cuts[1:], self.size), strict=True)) if self.cuts else []


def write(
    content: Content,
    out: Path,
    *,
    max_size: int | None = None,
    on_bytes: Callable[[int], None] | None = None,
    admission: Callable[[WheelFile], Admitted] | None = None,
    memory: SpanMemory | None = None,
    plan: Callable[[Mapping[str, Admitted]], Sequence[str]] | None = None,
    workers: int | None = None,
) -> BuiltPack:
    """Write the pack of ``content`` to ``out`` and return it.

    ``max_size`` (bytes) is how large the file may become. ``on_bytes`` is told how many bytes of members were just
    written. ``admission`` judges one wheel (by default `kpack.pack.wheel.admit`; a caller that remembers verdicts by
    digest may bring its own). ``memory`` keeps the span digests of checkpoints between builds. ``plan`` is asked, once
    the gate has let all wheels in and in another thread, whether they can be restored together, and what there is to
    say; it is given what the gate said by file name. Whatever stood at ``out`` stays until the new
    pack is whole. The bytes depend on ``content``, the engine's sources and kpack's version alone.

    Raises:
        CheckFailed: the pack would be larger than ``max_size``; the message names its ten largest members.
        IntegrityError: a file does not have the digest that ``content`` says, or a wheel may not enter a pack.
        MachineError: a file cannot be read, or ``out`` cannot be written.

    """
    judge = admission or (lambda wheel: admit(wheel.path, wheel.filename, wheel.lax))
    with ThreadPoolExecutor(workers or min(8, (os.cpu_count() or 1) + 1)) as pool:
        verdicts = _verdicts(content, judge, pool)
        content = _as_installed(content, verdicts)
        planned = _plan(content, verdicts)
        origin, offsets, total = _layout(content, planned)
        if max_size is not None and total > max_size:
            raise _too_large(planned, total, max_size)
        with replacing(out) as stream:
            descriptor = stream.fileno()
            os.truncate(descriptor, total)
            jobs = [
                MemberCopy(item.path, item.source, item.size, item.ranges, item.sha256, origin + offset)
                for item, offset in zip(planned, offsets, strict=True)
            ]
            saying = pool.submit(plan, verdicts) if plan is not None else None  # copying leaves Python time for it
            digests = copy_all(descriptor, jobs, pool, memory=memory, on_bytes=on_bytes)
            members = tuple(
                _member(item, offset, digests[item.path].sha256, digests[item.path].spans)
                for item, offset in zip(planned, offsets, strict=True)
            )
            said = saying.result() if saying is not None else ()
            manifest = _manifest(content, members)
            _read_back(manifest)
            head, code = _head(manifest)
            assert len(head) == origin
            for item, offset in zip(planned, offsets, strict=True):
                block = tarfmt.header(item.path, item.size)
                pwrite(descriptor, block, origin + offset - len(block))
            pwrite(descriptor, head, 0)
    identity = hashlib.sha256(code).hexdigest()
    return BuiltPack(
        path=out,
        name=content.name,
        id=identity,
        size=total,
        line=line.line(content.name, identity, len(code)),
        notes=(*(f"{name}: {text}" for name, found in verdicts.items() for text in found.remarks), *said),
    )


def _verdicts(
    content: Content, judge: Callable[[WheelFile], Admitted], pool: ThreadPoolExecutor
) -> dict[str, Admitted]:
    """Return what the gate says of every wheel; all that it refuses is told at once."""

    def verdict(wheel: WheelFile) -> Admitted | IntegrityError:
        try:
            return judge(wheel)
        except IntegrityError as error:
            return error

    found = dict(zip((wheel.filename for wheel in content.wheels), pool.map(verdict, content.wheels), strict=True))
    refused = [item for item in found.values() if isinstance(item, IntegrityError)]
    if refused:
        raise _all_of(refused)
    return {name: item for name, item in found.items() if isinstance(item, Admitted)}


def _all_of(refused: list[IntegrityError]) -> IntegrityError:
    if len(refused) == 1:
        return refused[0]
    if all(isinstance(item, WrongRecord) for item in refused):
        names = sorted({canonicalize_name(item.where.partition("-")[0]) for item in refused})
        way = f"report it to the projects, or let them in by name: lax-record = {json.dumps(names)} in kaggle-env.toml"
    else:
        way = "\n".join(f"{item.where}: {item.next}" for item in refused)
    return IntegrityError(
        f"{len(refused)} wheels may not enter a pack:" + "".join(f"\n  {item.where}: {item.what}" for item in refused),
        next=way,
    )


def _as_installed(content: Content, verdicts: Mapping[str, Admitted]) -> Content:
    """Return the content with the versions that METADATA gives: what an installed distribution says of itself."""

    def version(item: model.PackedDistribution) -> str:
        verdict = verdicts.get(item.wheel.removeprefix("wheels/"))
        return item.version if verdict is None or Version(item.version) == verdict.version else str(verdict.version)

    targets = tuple(
        target._replace(distributions=tuple(item._replace(version=version(item)) for item in target.distributions))
        for target in content.targets
    )
    return replace(content, targets=targets)


def _too_large(planned: list[_Planned], total: int, max_size: int) -> CheckFailed:
    largest = sorted(planned, key=lambda item: -item.size)[:10]
    rows = "".join(f"\n  {item.size:>14,} {item.path}" for item in largest)
    return CheckFailed(
        f"the pack would have {total:,} bytes, max-size allows {max_size:,}; the largest members are{rows}",
        next="exclude what the kernel has already, attach a checkpoint as its own dataset, or raise max-size",
    )


def _plan(content: Content, verdicts: Mapping[str, Admitted]) -> list[_Planned]:
    planned = [
        _generated(path, data)
        for path, data in (
            (ENGINE, engine()),
            (content.lock_name, content.lock_text.encode()),
            ("requirements.txt", content.requirements.encode()),
        )
    ]
    for wheel in sorted(content.wheels, key=lambda item: item.filename):
        verdict = verdicts[wheel.filename]
        planned.append(_Planned(f"wheels/{wheel.filename}", verdict.size, verdict.cuts, wheel.sha256, wheel.path))
    planned += [
        _Planned(f"debs/{deb.filename}", deb.size, tuple(range(0, deb.size, SPAN)), deb.sha256, deb.path)
        for deb in sorted(content.debs, key=lambda item: item.filename)
    ]
    for blob in sorted(content.blobs, key=lambda item: item.sha256):
        cuts = tuple(range(0, blob.size, SPAN))
        planned.append(_Planned(f"checkpoints/{blob.sha256}", blob.size, cuts, blob.sha256, blob.path))
    return planned


def _generated(path: str, data: bytes) -> _Planned:
    return _Planned(path, len(data), tuple(range(0, len(data), SPAN)), None, data)


def _layout(content: Content, planned: list[_Planned]) -> tuple[int, list[int], int]:
    """Return (origin, offset of each member's data from it, size of the whole file), in bytes."""
    offsets = []
    end = 0
    for item in planned:
        start = end + len(tarfmt.header(item.path, item.size))
        offsets.append(start)
        end = start + model.padded(item.size)
    draft = tuple(
        _member(item, offset, _NO_DIGEST, [_NO_DIGEST] * len(item.cuts))
        for item, offset in zip(planned, offsets, strict=True)
    )
    origin = len(
        _head(_manifest(content, draft))[0]
    )  # digests all have the same length, so the draft has the final size
    return origin, offsets, origin + end + len(tarfmt.END)


def _member(item: _Planned, offset: int, sha256: str, digests: Sequence[str]) -> model.Member:
    return model.Member(
        path=item.path,
        size=item.size,
        sha256=sha256,
        offset=offset,
        spans=tuple(
            model.Span(begin, end - begin, digest) for (begin, end), digest in zip(item.ranges, digests, strict=True)
        ),
    )


def _manifest(content: Content, members: tuple[model.Member, ...]) -> bytes:
    return dumps(
        model.Manifest(
            kpack=__version__,
            name=content.name,
            lock=content.lock_name,
            engine=ENGINE,
            targets=content.targets,
            checkpoints=content.checkpoints,
            members=members,
            directory=content.directory,
            env=content.env,
            link=content.link,
            apt=content.apt,
        )
    )


def _read_back(manifest: bytes) -> None:
    """Refuse to write what the engine would not read in the kernel."""
    try:
        model.loads(manifest)
    except RestoreError as error:
        raise IntegrityError(
            f"no restore would take this pack, so it is not written: {error.what}",
            where=error.where,
            next="change what kaggle-env.toml or the base image says there, and lock again",
        ) from error


def _head(manifest: bytes) -> tuple[bytes, bytes]:
    """Return (both first members with headers and padding, the code of bootstrap.py)."""
    code = line.generate(hashlib.sha256(manifest).hexdigest(), len(manifest))
    parts = []
    for path, data in ((BOOTSTRAP, code), (MANIFEST, manifest)):
        parts += [tarfmt.header(path, len(data)), data, bytes(tarfmt.padding(len(data)))]
    return b"".join(parts), code
