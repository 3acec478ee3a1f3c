"""What a resolution found, as JSON: where each distribution comes from, what it asks for, what the user should hear."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pip._vendor.packaging.requirements import InvalidRequirement, Requirement
from pip._vendor.packaging.utils import canonicalize_name

from kpack.resolve.worker import direct, seams
from kpack.resolve.worker.provided import HOST
from kpack.resolve.worker.requirements import bare

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.resolve.worker.files import File
    from kpack.resolve.worker.solve import Session


def row(session: Session, ireq: Any) -> dict[str, Any]:
    """Describe one resolved distribution: where it comes from, and what it asks for on this target."""
    finder = session.finder
    name = str(canonicalize_name(ireq.name))
    extras = sorted(canonicalize_name(extra) for extra in ireq.extras)
    url = ireq.link.url_without_fragment
    found: dict[str, Any] = {"name": name, "version": next(iter(ireq.req.specifier)).version, "extras": extras}
    if url.startswith(HOST):
        requires = finder.kernel.fetched(name).requires if extras and not finder.kernel.knows_extras(name) else None
        lines = finder.kernel.metadata(name).requires if requires is None else requires
        active = [line for extra in extras for line in lines if session.markers.holds(line, extra)]
        plain = {line for line in lines if session.markers.holds(line)}
        found["kernel"] = True
        found["asks"] = _asks(line for line in dict.fromkeys(active) if line not in plain)
        return found
    file = finder.files.get(url)
    metadata = finder.metadata(file) if file is not None and file.is_wheel else finder.seen[url]
    found["requires_dist"] = list(metadata.requires)
    found["asks"] = _asks(session.markers.active(metadata.requires, extras))
    if file is not None and "sha256" not in file.hashes:
        file.hashes["sha256"], file.size = session.web.digest(file.url)
        session.notes.append(f"the index gives no sha256 for {file.filename}: it was computed from the download")
    if file is None:
        found["direct"] = True
        found["file"], found["source"] = direct.from_record(url, finder.direct[url])
    elif file.is_wheel:
        found["file"] = file_row(file)
    else:
        found["source"] = direct.from_sdist(file)
    return found


def requests(session: Session, found: list[Any]) -> list[dict[str, str]]:
    """Return the requests with the names that they turned out to have."""
    by_url = {ireq.link.url_without_fragment: str(canonicalize_name(ireq.name)) for ireq in found}
    named = []
    for item in session.request.asked:
        try:
            name = str(canonicalize_name(Requirement(item.line).name))
            text = item.line
        except InvalidRequirement:
            link = seams.requirement(item.line, comes_from=item.text).link
            name, text = by_url[link.url_without_fragment], item.text
        named.append({"name": name, "requirement": text})
    return named


def misnamed(named: list[dict[str, str]], found: list[Any]) -> dict[str, Any] | None:
    """Return the ``error`` object for a request whose URL gives a distribution of another name, or None."""
    by_url = {ireq.link.url_without_fragment: str(canonicalize_name(ireq.name)) for ireq in found}
    for item in named:
        if item["name"] not in by_url.values():
            link = seams.requirement(item["requirement"], comes_from=item["requirement"]).link
            other = by_url.get(link.url_without_fragment) if link is not None else None
            return {
                "kind": "no-solution",
                "text": f"{item['requirement']} gives {other or 'another distribution'}, not {item['name']}",
                "next": f"write {other or 'its name'} @ …, or another URL",
            }
    return None


def _asks(lines: Iterable[str]) -> list[dict[str, Any]]:
    asks = []
    for line in lines:
        requirement = bare(line)
        asks.append(
            {
                "name": str(canonicalize_name(requirement.name)),
                "extras": sorted(canonicalize_name(extra) for extra in requirement.extras),
                "requirement": str(requirement),
            }
        )
    return asks


def notes(session: Session, rows: list[dict[str, Any]]) -> list[str]:
    """Return what the user should hear of although it is no error."""
    finder, told = session.finder, session.notes
    for item in rows:
        name, asked = item["name"], set(item["extras"])
        url = item.get("file", {}).get("url") if item.get("file") else None
        file = finder.files.get(url) if url else None
        if file is not None and file.yanked is not None:
            reason = f": {file.yanked}" if file.yanked else ""
            told.append(f"{name} {item['version']} was yanked from its index{reason}")
        if item.get("kernel") and name in finder.kernel.unknown_extras:
            told.append(f"{name} {item['version']}: what [{', '.join(item['extras'])}] adds could not be found out")
            continue
        missing = sorted(asked - set(_provided_extras(session, item, file))) if asked else []
        if missing:
            told.append(f"{name} {item['version']} has no extra {', '.join(missing)}")
    told += [
        f"{line!r} depends on the kernel's release, which is not known: taken as empty"
        for line in session.markers.unknowable
    ]
    return told


def _provided_extras(session: Session, item: dict[str, Any], file: File | None) -> tuple[str, ...]:
    finder, name = session.finder, item["name"]
    if item.get("kernel"):
        metadata = finder.kernel.metadata(name) if finder.kernel.knows_extras(name) else finder.kernel.fetched(name)
        return metadata.extras
    if file is not None:
        return finder.metadata(file).extras
    return next((seen.extras for seen in finder.seen.values() if canonicalize_name(seen.name) == name), ())


def file_row(file: File) -> dict[str, Any]:
    """Return what a lock keeps of a file."""
    return {
        "filename": file.filename,
        "url": file.url,
        "sha256": file.hashes.get("sha256"),
        "size": file.size,
        "upload_time": file.upload_time,
        "index": file.index,
    }
