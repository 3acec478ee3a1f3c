"""What a resolution found: where each distribution comes from, what it asks for, what the user should hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack import urls
from kpack.resolve.wire import Ask, Failure, FoundFile, Request, Resolved
from kpack.resolve.worker import direct, seams
from kpack.resolve.worker.provided import HOST
from kpack.resolve.worker.requirements import bare

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kpack.resolve.worker.files import IndexFile
    from kpack.resolve.worker.requirements import Markers
    from kpack.resolve.worker.search import Search


class HashedContent(NamedTuple):
    """What a file's bytes were found to be, where its index does not say."""

    sha256: str
    size: int
    """Bytes."""


def digests(search: Search, found: Iterable[Any]) -> dict[str, HashedContent]:
    """Download every file whose index gives no sha256, and return what it is, by URL.

    Raises:
        Unreachable: one could not be read.

    """
    urls = [ireq.link.url_without_fragment for ireq in found]
    files = [file for url in urls if (file := search.finder.files.get(url)) and "sha256" not in file.hashes]
    return {file.url: HashedContent(*search.web.digest(file.url)) for file in files}


def row(search: Search, ireq: Any, computed: Mapping[str, HashedContent]) -> Resolved:
    """Describe one resolved distribution: where it comes from, and what it asks for on this target."""
    finder, markers = search.finder, search.markers
    name, version = str(canonicalize_name(ireq.name)), next(iter(ireq.req.specifier)).version
    extras = tuple(sorted(canonicalize_name(extra) for extra in ireq.extras))
    url = ireq.link.url_without_fragment
    if url.startswith(HOST):
        kernel = finder.kernel
        known = kernel.metadata(name) if not extras or kernel.knows_extras(name) else kernel.published(name)
        lines = known.requires if known is not None and name not in markers.no_deps else ()
        active = [line for extra in extras for line in lines if markers.holds(line, extra)]
        plain = {line for line in lines if markers.holds(line)}
        asks = _asks(markers, (line for line in dict.fromkeys(active) if line not in plain))
        return Resolved(name=name, version=version, extras=extras, asks=asks, kernel=True)
    file = finder.files.get(url)
    metadata = finder.metadata(file) if file is not None and file.is_wheel else finder.seen[url]
    if file is None:
        got, source = direct.from_record(url, finder.direct[url], finder.sizes.get(url))
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


def requests(search: Search, found: Sequence[Any]) -> list[Request]:
    """Return the requests with the names that they turned out to have."""
    by_url = {ireq.link.url_without_fragment: str(canonicalize_name(ireq.name)) for ireq in found}
    named = []
    for item in search.request.asked:
        try:
            name = str(canonicalize_name(Requirement(item.line).name))
            text = item.line
        except InvalidRequirement:
            link = seams.requirement(item.line, comes_from=item.text).link
            name, text = by_url[link.url_without_fragment], item.text
        named.append(Request(name=name, requirement=text, hashes=item.hashes))
    return named


def misnamed(named: Sequence[Request], found: Sequence[Any]) -> Failure | None:
    """Return the failure for a request whose URL gives a distribution of another name, or None."""
    by_url = {ireq.link.url_without_fragment: str(canonicalize_name(ireq.name)) for ireq in found}
    for item in named:
        if item.name not in by_url.values():
            link = seams.requirement(item.requirement, comes_from=item.requirement).link
            other = by_url.get(link.url_without_fragment) if link is not None else None
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
    search: Search, found: Sequence[Any], rows: Sequence[Resolved], computed: Mapping[str, HashedContent]
) -> Iterator[str]:
    """Yield what the user should hear of although it is no error."""
    finder = search.finder
    files = {
        str(canonicalize_name(ireq.name)): file
        for ireq in found
        if (file := finder.files.get(ireq.link.url_without_fragment)) is not None
    }
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
    for file in map(finder.files.__getitem__, computed):
        if not file.local:
            yield f"the index gives no sha256 for {file.filename}: it was computed from the download"
    hashed = {item.name for item in requests(search, found) if item.hashes}
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
        provided = _provided_extras(search, item, files.get(name))
        # What nobody knows is a matter of the last look at all that the kernel has.
        if provided is not None and (missing := sorted(asked - set(provided))):
            has = f"it has {', '.join(sorted(provided))}" if provided else "it has none"
            yield f"{name} {item.version} has no extra {', '.join(missing)}, so that nothing comes with it ({has})"
    for line in search.markers.unknowable:
        yield f"{line!r} depends on the kernel's release, which is not known: taken as empty"


def _provided_extras(search: Search, item: Resolved, file: IndexFile | None) -> tuple[str, ...] | None:
    """Return the extras that a distribution has, None when nobody knows."""
    finder, name = search.finder, item.name
    if item.kernel:
        metadata = finder.kernel.metadata(name) if finder.kernel.knows_extras(name) else finder.kernel.published(name)
        return None if metadata is None else metadata.extras
    if file is not None:
        return finder.metadata(file).extras
    return next((seen.extras for seen in finder.seen.values() if canonicalize_name(seen.name) == name), ())


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
