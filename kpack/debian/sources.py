"""Where system packages come from: archives of kaggle-env.toml, those of the image, or those of this machine."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import urls
from kpack.environment import UNSIGNED, AptSource
from kpack.errors import UsageError
from kpack.files import LARGEST, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

_CODENAMES = {
    "Ubuntu 20.04": "focal",
    "Ubuntu 22.04": "jammy",
    "Ubuntu 24.04": "noble",
    "Debian GNU/Linux 11": "bullseye",
    "Debian GNU/Linux 12": "bookworm",
    "Debian GNU/Linux 13": "trixie",
}
_KEYRINGS = Path("/usr/share/keyrings")


def of_image(rows: Sequence[str], os: str) -> tuple[AptSource, ...]:
    """Return the archives of the distribution ``os`` among those that an image's apt is set up for.

    ``rows`` are URL, suite and components each, as a probe wrote them. Archives that somebody added have keys of their
    own, which nobody here knows; they have a suite named like the release's, and no updates of it.
    """
    codename = _CODENAMES.get(os, "")
    words = [row.split(" ") for row in rows]
    updated = {url for url, suite, *_ in words if suite in {f"{codename}-updates", f"{codename}-security"}}
    return tuple(
        AptSource(url=url, suites=(suite,), components=tuple(components))
        for url, suite, *components in words
        if url in updated and re.split("[-/]", suite)[0] == codename
    )


def own(os: str, root: Path = Path("/")) -> tuple[AptSource, ...]:
    """Return the archives of the distribution ``os`` (``Ubuntu 22.04``) that this machine is set up for.

    Only its own suites count (``jammy``, ``jammy-updates``), not what somebody added. ``root`` is where ``etc`` lies.

    Raises:
        UsageError: the machine runs another distribution, or has none of its archives.

    """
    release = _pairs(_text(root / "etc/os-release"), "=")
    here = f"{release.get('NAME', '')} {release.get('VERSION_ID', '')}".strip()
    codename = _CODENAMES.get(os, "")
    advice = (
        f'write [[apt-sources]] with url = "…" (the archive of {os or "the image"}) and '
        f'suites = ["{codename or "…"}", "{codename or "…"}-updates"]'
    )
    if not os or here != os:
        raise UsageError(
            f"the image runs {os or 'a distribution that nobody knows'} and this machine {here or 'another system'}: "
            "whence system packages come must be said",
            where="apt",
            next=advice,
        )
    found = []
    for source in _configured(root / "etc/apt"):
        suites = tuple(suite for suite in source.suites if re.split("[-/]", suite)[0] == codename)
        if suites:
            found.append(replace(source, suites=suites))
    if not found:
        raise UsageError(f"this machine's apt has no archive of {os}", where=str(root / "etc/apt"), next=advice)
    return tuple(found)


def _configured(folder: Path) -> Iterator[AptSource]:
    """Yield what sources.list(5) files name, in both of their formats."""
    more = sorted((folder / "sources.list.d").glob("*"))
    for path in (folder / "sources.list", *more):
        if path.suffix == ".list":
            for line in _text(path).splitlines():
                row = re.match(r"\s*deb\s+(?:\[([^]]*)\]\s+)?(\S+)\s+(\S+)((?:\s+[^#\s]+)*)", line)
                if row:
                    options = dict(word.partition("=")[::2] for word in (row[1] or "").split())
                    yield AptSource(
                        url=row[2],
                        suites=(row[3],),
                        components=tuple(row[4].split()),
                        signed_by=options.get("signed-by"),
                    )
        elif path.suffix == ".sources":
            for block in re.split(r"\n\s*\n", _text(path)):
                table = _pairs(block, ":")
                if "deb" in table.get("Types", "").split() and table.get("Enabled", "yes") != "no":
                    signed = table.get("Signed-By", "")
                    for url in table.get("URIs", "").split():
                        yield AptSource(
                            url=url,
                            suites=tuple(table.get("Suites", "").split()),
                            components=tuple(table.get("Components", "").split()),
                            signed_by=signed if signed.startswith("/") else None,
                        )


def _text(path: Path) -> str:
    return read_bounded(path, LARGEST).decode("utf-8", "replace") if path.is_file() else ""


def _pairs(text: str, mark: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        key, found_mark, value = line.partition(mark)
        if found_mark and not key.startswith(("#", " ")):
            found[key.strip()] = value.strip().strip('"')
    return found


def written(
    sources: Sequence[AptSource],
    *,
    os: str,
    architecture: str,
    moment: datetime | None,
    folder: Path,
    keys: Path,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Return the text of a sources.list(5) file in deb822 style.

    ``folder`` is that of kaggle-env.toml, where keyrings of relative paths lie; the keyrings are copied to ``keys``.
    ``moment`` takes the place of ``{snapshot}``.

    Raises:
        UsageError: a keyring is missing, or a variable is not set.

    """
    blocks = []
    for number, source in enumerate(sources):
        url = urls.expanded(source.url, of=f"apt-sources[{number}]", environ=environ)
        frozen = "{snapshot}" in url and moment is not None
        if moment is not None:
            url = url.replace("{snapshot}", moment.strftime("%Y%m%dT%H%M%SZ"))
        if re.search(r"\s", url):
            raise UsageError("a variable puts white space into the URL", where=f"apt-sources[{number}].url")
        if source.signed_by == UNSIGNED:
            trust = "Trusted: yes"
        else:
            trust = f"Signed-By: {_keyring(source, os, folder, keys / str(number), number)}"
        for suites, components in _kinds(source):
            lines = ["Types: deb", f"URIs: {url}", f"Suites: {' '.join(suites)}"]
            lines += [f"Components: {' '.join(components)}"] if components else []
            lines += [f"Architectures: {architecture}", trust]
            # The index of a past day is what was asked for.
            lines += ["Check-Valid-Until: no"] if frozen else []
            blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def _kinds(source: AptSource) -> Iterable[tuple[tuple[str, ...], tuple[str, ...]]]:
    flat = tuple(suite for suite in source.suites if suite.endswith("/"))
    other = tuple(suite for suite in source.suites if not suite.endswith("/"))
    return [(suites, components) for suites, components in ((flat, ()), (other, source.components)) if suites]


def _keyring(source: AptSource, os: str, folder: Path, copy: Path, number: int) -> Path:
    where = f"apt-sources[{number}].signed-by"
    if source.signed_by is not None:
        path = folder / source.signed_by
        advice = f'name a file of the archive\'s public keys, or write signed-by = "{UNSIGNED}" to trust it blindly'
    else:
        path = _KEYRINGS / f"{os.partition(' ')[0].lower() or 'debian'}-archive-keyring.gpg"
        advice = (
            "install that keyring (debian-archive-keyring, ubuntu-keyring or ubuntu-archive-keyring), or name the "
            "archive's keys by signed-by"
        )
    try:
        data = read_bounded(path, LARGEST)
    except OSError as error:
        raise UsageError(
            f"the keys that sign the archive cannot be read: {path}: {error.strerror}", where=where, next=advice
        ) from error
    place = copy.with_suffix(".gpg")
    try:
        place.write_bytes(_binary(data))
    except ValueError as error:
        raise UsageError(f"{path} holds no keys that can be read: {error}", where=where, next=advice) from error
    return place


def _binary(data: bytes) -> bytes:
    """Return keys as bytes, from ASCII armor (RFC 9580, section 6.2) or as they are."""
    if not data.lstrip().startswith(b"-----BEGIN PGP"):
        return data
    keys = b""
    for block in re.findall(rb"-----BEGIN PGP PUBLIC KEY BLOCK-----(.*?)-----END PGP", data, re.DOTALL):
        lines = block.replace(b"\r", b"").split(b"\n")
        body = lines[lines.index(b"", 1) + 1 :]
        keys += base64.b64decode(b"".join(line for line in body if not line.startswith(b"=")), validate=True)
    if not keys:
        raise ValueError("there is no public key block")
    return keys
