"""What a pack holds, for people and for other tools: distributions and files, who brought them, their licences."""

from __future__ import annotations

from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from kpack import licenses
from kpack.errors import IntegrityError, UsageError
from kpack.inventory.cards import license_of_card
from kpack.licenses import NOTHING, License
from kpack.lock import loads
from kpack.pack.wheel_metadata import wheel_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.checkpoints import LockedCheckpoint
    from kpack.lock import Lock
    from kpack.pack import ReadPack
    from kpack.resolve.model import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A packed distribution: one wheel, for one target or several."""

    name: str
    """Normalised."""
    version: str
    wheel: str
    """File name."""
    sha256: str
    size: int
    """Bytes of the wheel."""
    targets: tuple[str, ...]
    """Labels of the targets that install it; none for the accelerator, which the restore only uses."""
    license: License
    summary: str
    url: str | None
    """Where the wheel was fetched; None where that is not known, and for one that kpack built."""
    source: Source | None
    """What kpack built it from."""
    needed_by: tuple[str, ...]
    """Normalised names of distributions that ask for it, packed ones and the image's."""
    requested: bool
    """kaggle-env.toml asks for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A checkpoint."""

    path: str
    """Where it lands, as kaggle-env.toml and the lock write it."""
    sha256: str
    size: int
    """Bytes."""
    urls: tuple[str, ...]
    attached: bool
    """It is in an input of its own, and not in the pack."""
    license: License
    """What the model card says that came with it; nothing for most files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFile:
    """A packed system package."""

    name: str
    version: str
    """With its epoch and revision."""
    architecture: str
    sha256: str
    size: int
    """Bytes of the file."""
    targets: tuple[str, ...]
    """Labels of the targets that install it."""
    url: str | None
    """Where it was fetched; None where that is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """All of a pack."""

    name: str
    id: str
    distributions: tuple[Distribution, ...]
    """By name, version and file name."""
    system: tuple[SystemFile, ...]
    """By path in the pack."""
    model_files: tuple[ModelFile, ...]
    """By path."""
    unknown: str = ""
    """Why nothing of what only the lock tells is known: addresses, sources, who asked for what."""


def inventory(pack: ReadPack, addresses: Mapping[str, str] | None = None, *, lenient: bool = False) -> Holdings:
    """Return what ``pack`` holds; the bytes that this reads are verified, the rest of the pack is not read.

    ``addresses`` are URLs of wheels by their sha256: the lock in a pack names wheels by their place there, the one
    beside kaggle-env.toml by their address. With ``lenient`` a lock that cannot be read leaves open what only it
    tells, and `Holdings.unknown` says why.

    Raises:
        IntegrityError: they are not what the manifest says, or the lock in the pack is no lock of kpack's.

    """
    unknown, made = "", None
    try:
        made = loads(pack.data(pack.manifest.lock).decode("utf-8", "replace"), pack.manifest.lock)
    except (IntegrityError, UsageError) as error:
        if not lenient:
            raise
        unknown = f"the lock in the pack cannot be read ({error})"
    members = {member.path: member for member in pack.manifest.members}
    metadata = {path: HeaderParser().parsestr(raw.decode("utf-8", "replace")) for path, raw in wheel_metadata(pack)}
    distributions = []
    for path, headers in sorted(metadata.items()):
        filename = path.removeprefix("wheels/")
        facts = _facts(made, filename) if made is not None else _Facts()
        member = members[path]
        distributions.append(
            Distribution(
                name=facts.name or str(headers.get("Name", "")),
                version=facts.version or str(headers.get("Version", "")),
                wheel=filename,
                sha256=member.sha256,
                size=member.size,
                targets=facts.targets,
                license=licenses.read(licenses.headers((key, str(value)) for key, value in headers.items())),
                summary=str(headers.get("Summary", "")).strip(),
                url=(addresses or {}).get(member.sha256, facts.url),
                source=facts.source,
                needed_by=facts.needed_by,
                requested=facts.requested,
            )
        )
    checkpoints = made.checkpoints if made is not None else ()
    cards = _cards(pack, checkpoints)
    model_files = tuple(
        ModelFile(
            path=item.path,
            sha256=item.sha256,
            size=item.size,
            urls=item.urls,
            attached=item.attached is not None,
            license=next(
                (cards[repository] for url in item.urls if (repository := _repository(url)) in cards), NOTHING
            ),
        )
        for item in sorted(checkpoints, key=lambda item: item.path)
    )
    return Holdings(
        name=pack.manifest.name,
        id=pack.id,
        system=_system(pack, made, addresses or {}),
        distributions=tuple(sorted(distributions, key=lambda item: (item.name, item.version, item.wheel))),
        model_files=model_files,
        unknown=unknown,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    name: str = ""
    version: str = ""
    targets: tuple[str, ...] = ()
    url: str | None = None
    source: Source | None = None
    needed_by: tuple[str, ...] = ()
    requested: bool = False


def _facts(made: Lock, filename: str) -> _Facts:
    """Return what the lock says of a wheel, over all targets."""
    wheel = next(wheel for wheel in made.wheels() if wheel.filename == filename)
    pins = [(target, pin) for target in made.targets for pin in target.packed if pin.wheel.filename == filename]
    needs = [need for _, pin in pins for need in pin.needed_by]
    return _Facts(
        name=next((str(pin.name) for _, pin in pins), ""),
        version=next((str(pin.version) for _, pin in pins), ""),
        targets=tuple(target.label for target, _ in pins),
        url=wheel.url,
        source=next((pin.source for _, pin in pins if pin.source is not None), None),
        needed_by=tuple(sorted({need.by for need in needs if need.by})),
        requested=any(not need.by for need in needs),
    )


def _system(pack: ReadPack, made: Lock | None, addresses: Mapping[str, str]) -> tuple[SystemFile, ...]:
    urls = {item.sha256: item.url for item in (made.system() if made is not None else ())} | dict(addresses)
    found: dict[str, SystemFile] = {}
    for target in pack.manifest.targets:
        for item in target.system:
            member = pack.manifest.member(item.member)
            targets = (*found[item.member].targets, target.label) if item.member in found else (target.label,)
            found[item.member] = SystemFile(
                name=item.name,
                version=item.version,
                architecture=item.architecture,
                sha256=member.sha256,
                size=member.size,
                targets=targets,
                url=urls.get(member.sha256),
            )
    return tuple(found[path] for path in sorted(found))


def _repository(url: str) -> str:
    """Return ``hf://org/repo@revision`` of a file's URL; empty for any other."""
    return "/".join(url.split("/")[:4]) if url.startswith("hf://") else ""


def _cards(pack: ReadPack, checkpoints: Sequence[LockedCheckpoint]) -> Mapping[str, License]:
    """Return the licences that packed model cards name, by repository."""
    found = {}
    there = {member.sha256: member.path for member in pack.manifest.members}
    for item in checkpoints:
        for url in item.urls:
            path = there.get(item.sha256)
            is_card = url.partition("#")[0].removeprefix(_repository(url)) == "/README.md"
            if path is not None and is_card and item.attached is None:
                found[_repository(url)] = license_of_card(pack.data(path))
    return found
