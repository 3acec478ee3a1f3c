"""Digests that people write: ``--hash=sha256:…`` behind a requirement, as pip has it, and ``#sha256=…`` in a URL."""

from __future__ import annotations

import re

_OPTION = re.compile(r"\s--hash[=\s]\s*(\S+)")
_FIRST = re.compile(r"\s--hash[=\s]")
_SHA256 = re.compile(r"[0-9a-f]{64}", re.IGNORECASE)


def split(written: str) -> tuple[str, tuple[str, ...]]:
    """Return an entry without its ``--hash`` options, and the SHA-256 digests in them, each once and sorted.

    Raises:
        ValueError: what stands there is no such option; its argument says so.

    """
    found = _FIRST.search(written)
    if found is None:
        return written, ()
    plain, options = written[: found.start()], written[found.start() :]
    if rest := _OPTION.sub("", options).strip():
        raise ValueError(f"{rest!r:.80} stands behind its --hash")
    digests = []
    for value in _OPTION.findall(options):
        algorithm, _, digest = value.partition(":")
        if algorithm.lower() != "sha256" or not _SHA256.fullmatch(digest):
            raise ValueError(f"{value!r:.100} is no SHA-256")
        digests.append(digest.lower())
    return plain.rstrip(), tuple(sorted(set(digests)))


def of_url(url: str) -> str | None:
    """Return the ``sha256`` of a URL's fragment, wherever in it, in lower case; None when there is none.

    Raises:
        ValueError: it is none of 64 hexadecimal digits, or there are two.

    """
    found = set()
    for part in url.partition("#")[2].split("&"):
        key, equals, digest = part.partition("=")
        if key.lower() == "sha256" and equals:
            if not _SHA256.fullmatch(digest):
                raise ValueError(f"{digest!r:.80} is no SHA-256")
            found.add(digest.lower())
    if len(found) > 1:
        raise ValueError("two different ones stand in it, and one file has one")
    return next(iter(found), None)


def in_lower_case(url: str) -> str:
    """Return ``url`` with the ``sha256`` of its fragment in lower case, as pip and a lock want it."""
    address, mark, fragment = url.partition("#")
    parts = (part.lower() if part.lower().startswith("sha256=") else part for part in fragment.split("&"))
    return address + mark + "&".join(parts)


def joined(plain: str, digests: tuple[str, ...]) -> str:
    """Return an entry with its digests behind it."""
    return " ".join([plain, *(f"--hash=sha256:{digest}" for digest in digests)])
