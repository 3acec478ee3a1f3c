"""From names to pinned packages: what an image lacks of them and of what they need."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from kpack import urls
from kpack.debian import apt, sources, status
from kpack.debian.model import ARCHITECTURES, Settled, SystemImage, SystemPackage
from kpack.environment import UNSIGNED
from kpack.errors import IntegrityError, NoSolution, UsageError
from kpack.files import is_sha256

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from kpack.debian.status import Stanza
    from kpack.environment import AptSource

_INST = re.compile(r"(Inst|Conf|Remv) ([a-z0-9][a-z0-9+.-]+)(?::\S+)?(?: \[[^]]*\])? ?(?:\((\S+))?")
_URI = re.compile(r"'([^']+)' (\S+) (\d+)")


def settle(
    asked: Sequence[str],
    archives: Sequence[AptSource],
    images: Sequence[SystemImage],
    *,
    moment: datetime | None,
    folder: Path,
    scratch: Path,
) -> dict[str, Settled]:
    """Return, by label, what has to be packed so that each image has the packages ``asked`` for.

    ``asked`` are names, or ``name=version``; ``folder`` is that of kaggle-env.toml, ``scratch`` an empty one;
    ``moment`` is that of ``exclude-newer``.

    Raises:
        UsageError: nobody knows what an image has, or where packages come from.
        NoSolution: they do not go together with each other or with an image.
        IntegrityError: an index is not signed by the keys that were named.
        NetworkError: an archive cannot be reached.
        MachineError: apt is not on this machine.

    """
    roots: dict[tuple[tuple[AptSource, ...], str], tuple[apt.AptRoot, tuple[str, ...]]] = {}
    found = {}
    for image in images:
        architecture = ARCHITECTURES.get(image.machine)
        if not image.packages or architecture is None:
            raise UsageError(
                f"which system packages {image.label} has is not known, so that nobody can say what it lacks",
                where="apt",
                next='probe your own kernel (kpack probe --help) and write base = "./kaggle-base.json"',
            )
        there = tuple(archives) or sources.of_image(image.sources, image.os) or sources.own(image.os)
        if (there, architecture) not in roots:
            root = apt.AptRoot(scratch / str(len(roots)), architecture)
            text = sources.written(
                there, os=image.os, architecture=architecture, moment=moment, folder=folder, keys=root.keys
            )
            root.sources.write_text(text, encoding="utf-8")
            roots[there, architecture] = root, root.update()
        root, odd = roots[there, architecture]
        settled = _settled(asked, image, root, architecture)
        found[image.label] = replace(settled, notes=(*_notes(there, moment), *odd, *settled.notes))
    return found


def _settled(asked: Sequence[str], image: SystemImage, root: apt.AptRoot, architecture: str) -> Settled:
    notes = []
    wanted = []
    for text in asked:
        name, _, version = text.partition("=")
        there = image.packages.get(name)
        if there is None or (version and apt.newer(version, there)):
            wanted.append(text)
        elif version and version != there:
            raise NoSolution(
                f"{name} {version} is asked for, and {image.label} has the newer {there}",
                where="apt",
                next=f'write "{name}" to take what the image has',
            )
        else:
            notes.append(f"{name} {there} is in {image.label} already")
    if not wanted:
        return Settled(packages=(), notes=tuple(notes))
    index = status.stanzas(root.show(list(image.packages)))
    root.status.write_text(status.status(image.packages, index, architecture), encoding="utf-8")
    packages = tuple(_packages(root, wanted, image))
    notes += [
        f"{item.name} {image.packages[item.name]} of {image.label} becomes {item.version}"
        for item in packages
        if item.name in image.packages
    ]
    return Settled(packages=packages, notes=tuple(notes))


def _notes(archives: Sequence[AptSource], moment: datetime | None) -> Iterator[str]:
    for source in archives:
        shown = urls.stable(source.url)
        if source.signed_by == UNSIGNED:
            yield f'nobody has signed the index of {shown} (signed-by = "{UNSIGNED}")'
        if moment is not None and "{snapshot}" not in source.url:
            yield f"exclude-newer does not hold for {shown}, which has no {{snapshot}} in its url"


def _packages(root: apt.AptRoot, wanted: Sequence[str], image: SystemImage) -> Iterator[SystemPackage]:
    # To apt a version that the archive describes otherwise is another one, be it called the same.
    order = {
        (name, version): stage
        for (name, version), stage in _order(root.install(wanted, "-s")).items()
        if image.packages.get(name) != version
    }
    uris = [match for line in root.install(wanted, "--print-uris").split("\n") if (match := _URI.match(line))]
    rows = status.stanzas(root.show([f"{name}={version}" for name, version in order]))
    needs = status.needs([row for row in rows if (row.get("Package", ""), row.get("Version", "")) in order])
    for (name, version), stage in order.items():
        row, url = _found(name, version, rows, [(match[1], int(match[3])) for match in uris])
        digest = row.get("SHA256", "").lower()
        if not is_sha256(digest):
            raise IntegrityError(
                "the archive's index has no SHA256 for it",
                where=f"{name} {version}",
                next="take it from another archive",
            )
        found = SystemPackage(
            name=name,
            version=version,
            architecture=row.get("Architecture", ""),
            url=urls.stable(re.sub(r"^file:(?=/(?!//))", "file://", url)),
            size=int(row["Size"]),
            sha256=digest,
            stage=stage,
            needed_by=needs.get(name, ()),
        )
        if problem := found.problem():
            raise IntegrityError(
                f"the archive's index is odd: {problem}", where=f"{name} {version}", next="take it from another archive"
            )
        yield found


def _order(said: str) -> dict[tuple[str, str], int]:
    """Return name and version of what apt would install, in its order, and the stage of each.

    Where it configures something before it unpacks the next, that may need the first one configured (Pre-Depends).
    """
    found: dict[tuple[str, str], int] = {}
    stage, configured = 0, False
    for match in map(_INST.match, said.split("\n")):
        if match is None:
            continue
        word, name, version = match.groups()
        if word == "Remv":
            raise NoSolution(
                f"it would take {name} away, which the image has",
                where="apt",
                next="leave out what conflicts with the image, or ask for another version",
            )
        if word == "Conf":
            configured = True
            continue
        stage, configured = stage + configured, False
        found[name, version] = stage
    return found


def _found(name: str, version: str, rows: Sequence[Stanza], uris: Sequence[tuple[str, int]]) -> tuple[Stanza, str]:
    for row in rows:
        if row.get("Package") == name and row.get("Version") == version and "Filename" in row:
            tail = "/" + row["Filename"].removeprefix("./")
            for url, size in uris:
                if size == int(row["Size"]) and unquote(urlsplit(url).path).endswith(tail):
                    return row, url
    raise IntegrityError(
        "apt would install it, and no index says from which file", where=f"{name} {version}", next="try again"
    )
