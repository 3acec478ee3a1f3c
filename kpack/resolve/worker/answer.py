"""What a resolution found: where each distribution comes from, what it asks for, what the user should hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack import urls
from kpack.resolve.wire import Ask, Failure, FoundFile, FoundSource, Request, Resolved
from kpack.resolve.worker import direct
from kpack.resolve.worker.files import DIGESTS, HashedContent
from kpack.resolve.worker.provided import HOST
from kpack.resolve.worker.requirements import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.readers import Readers
    from kpack.resolve.worker.requirements import Markers


class Chosen(NamedTuple):
    """One distribution of a solution."""

    name: str
    """Normalised."""
    version: str
    extras: tuple[str, ...]
    """Those that are asked for, normalised and sorted."""
    url: str
    """Of its file, repository or folder, without fragment; that of a synthetic wheel for what the kernel has."""


class WrongDigest(Exception):
    """A file is not the one that its index describes."""

    def __init__(self, filename: str, algorithm: str, found: str, given: str) -> None:
        super().__init__(f"{algorithm} of {filename} is {found}, its index says {given[:130]}")


def digests(readers: Readers, found: Iterable[Chosen]) -> dict[str, HashedContent]:
    """Download every file whose index gives no sha256, and return what it is, by URL.

    Raises:
        Unreachable: one could not be read.
        WrongDigest: one has not the digest that its index gives in place of a sha256.

    """
    files = [file for pin in found if (file := readers.files.get(pin.url)) and "sha256" not in file.hashes]
    return {file.url: _hashed(readers, file) for file in files}


def _hashed(readers: Readers, file: IndexFile) -> HashedContent:
    beside = next((name for name in DIGESTS if name in file.hashes), "")
    sha256, size, other = readers.web.digest(file.url, beside)
    if beside and other != file.hashes[beside]:
        raise WrongDigest(file.filename, beside, other, file.hashes[beside])
    return HashedContent(sha256, size)


def row(readers: Readers, pin: Chosen, computed: Mapping[str, HashedContent]) -> Resolved:
    """Describe one resolved distribution: where it comes from, and what it asks for on this target."""
    markers = readers.markers
    name, version, extras, url = pin
    if url.startswith(HOST):
        kernel = readers.kernel
        known = kernel.metadata(name) if not extras or kernel.knows_extras(name) else kernel.published(name)
        lines = known.requires if known is not None and name not in markers.no_deps else ()
        active = [line for extra in extras for line in lines if markers.holds(line, extra)]
        plain = {line for line in lines if markers.holds(line)}
        asks = _asks(markers, (line for line in dict.fromkeys(active) if line not in plain))
        return Resolved(name=name, version=version, extras=extras, asks=asks, kernel=True)
    file = readers.files.get(url)
    metadata = readers.metadata(file) if file is not None and file.is_wheel else readers.seen[url]
    got: FoundFile | None
    source: FoundSource | None
    if file is None:
        got, source = direct.from_record(url, readers.direct[url], readers.fetched.get(url))
    elif file.local:
        got, source = direct.from_folder(file, computed[file.url])
    elif file.is_wheel:
        got, source = found_file(file, computed.get(file.url)), None
    else:
        got, source = None, direct.from_sdist(file, computed.get(file.url))
    return Resolved(
        name=name,
        version=version,
        extras=extras,
        asks=_asks(markers, markers.active(metadata, extras)),
        direct=file is None,
        requires_dist=metadata.requires,
        license=metadata.license,
        file=got,
        source=source,
    )


def requests(readers: Readers, found: Sequence[Chosen]) -> list[Request]:
    """Return the requests with the names that they turned out to have."""
    by_url = {pin.url: pin.name for pin in found}
    named = []
    for item in readers.request.asked:
        try:
            name = str(canonicalize_name(Requirement(item.line).name))
            text = item.line
        except InvalidRequirement:
            name, text = by_url[direct.address(item.line)], item.text
        named.append(Request(name=name, requirement=text, hashes=item.hashes))
    return named


def misnamed(named: Sequence[Request], found: Sequence[Chosen]) -> Failure | None:
    """Return the failure for a request whose URL gives a distribution of another name, or None."""
    by_url = {pin.url: pin.name for pin in found}
    for item in named:
        if item.name not in by_url.values():
            other = by_url.get(direct.address(item.requirement))
            return Failure(
                kind="no-solution",
                text=f"{item.requirement} gives {other or 'another distribution'}, not {item.name}",
                next=f"write {other or 'its name'} @ …, or another URL",
                name=item.name,
            )
    return None


def _asks(markers: Markers, lines: Iterable[str]) -> tuple[Ask, ...]:
    return tuple(
        Ask(
            name=str(canonicalize_name(markers.asked(line).name)),
            extras=tuple(sorted(canonicalize_name(extra) for extra in bare(line).extras)),
            requirement=str(bare(line)),
        )
        for line in lines
    )


def notes(
    readers: Readers, found: Sequence[Chosen], rows: Sequence[Resolved], computed: Mapping[str, HashedContent]
) -> Iterator[str]:
    """Yield what the user should hear of although it is no error."""
    files = {pin.name: file for pin in found if (file := readers.files.get(pin.url)) is not None}
    for each in files.values():
        if urls.signed(each.url):
            yield (
                f"the URL of {each.filename} on its index is signed, and the lock keeps it without: if its server "
                "wants a signature at build, "
                + (
                    "the index is asked for a fresh one"
                    if each.index and each.filename.endswith(".whl")
                    else "put a URL with a fresh one in KPACK_URLS"
                )
            )
    for file in map(readers.files.__getitem__, computed):
        if not file.local:
            yield f"the index gives no sha256 for {file.filename}: it was computed from the download"
    hashed = {item.name for item in requests(readers, found) if item.hashes}
    for item in rows:
        name, asked = item.name, set(item.extras)
        if item.kernel and name in hashed:
            yield f"{name} {item.version} is the image's own: there is no file whose --hash could be checked"
        file = files.get(name)
        if file is not None and file.yanked is not None:
            reason = f": {file.yanked}" if file.yanked else ""
            yield f"{name} {item.version} was yanked from its index{reason}"
        if not asked:
            continue
        provided = _provided_extras(readers, item, files.get(name))
        # What nobody knows is a matter of the last look at all that the kernel has.
        if provided is not None and (missing := sorted(asked - set(provided))):
            has = f"it has {', '.join(sorted(provided))}" if provided else "it has none"
            yield f"{name} {item.version} has no extra {', '.join(missing)}, so that nothing comes with it ({has})"
    for line in readers.markers.unknowable:
        yield f"{line!r} depends on the kernel's release, which is not known: taken as empty"


def _provided_extras(readers: Readers, item: Resolved, file: IndexFile | None) -> tuple[str, ...] | None:
    """Return the extras that a distribution has, None when nobody knows."""
    name = item.name
    if item.kernel:
        metadata = (
            readers.kernel.metadata(name) if readers.kernel.knows_extras(name) else readers.kernel.published(name)
        )
        return None if metadata is None else metadata.extras
    if file is not None and file.is_wheel:
        return readers.metadata(file).extras
    return next((seen.extras for seen in readers.seen.values() if canonicalize_name(seen.name) == name), ())


def found_file(file: IndexFile, content: HashedContent | None = None) -> FoundFile:
    """Return what a lock keeps of a file; ``content`` is what was computed where the index says nothing."""
    return FoundFile(
        filename=file.filename,
        url=urls.stable(file.url),
        sha256=content.sha256 if content else file.hashes.get("sha256"),
        size=content.size if content else file.size,
        upload_time=file.upload_time,
        index=file.index,
    )
