"""The keys ``apt`` and ``[[apt-sources]]``: system packages, and the archives that they come from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpack.environment.errors import quoted
from kpack.environment.kinds import without_credentials
from kpack.environment.model import AptSource
from kpack.environment.rows import LONGEST_NAME, Kind, Text, Texts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.environment.positions import KeyPath
    from kpack.environment.rows import Reading


def _packages(entries: Sequence[str | None], at: KeyPath, reading: Reading) -> tuple[str, ...]:
    seen: dict[str, str] = {}
    for number, text in enumerate(entries):
        if text is None:
            continue
        name = text.partition("=")[0]
        if name in seen:
            reading.say((*at, number), f"{quoted(name)} stands there twice", "remove one")
        seen[name] = text
    return tuple(sorted(seen.values()))


PACKAGES = Kind(
    shape=Texts(
        item=Text(
            # Debian Policy 5.6.1 and 5.6.12.
            pattern=r"[a-z0-9][a-z0-9+.-]+(?:=(?:[0-9]+:)?[A-Za-z0-9][A-Za-z0-9.+~-]*)?",
            longest=LONGEST_NAME,
            advice='write the name of a package of Debian or Ubuntu ("ffmpeg"), or name=version',
        )
    ),
    read=_packages,
    kept="texts",
)
"""Names of system packages, some with a version."""


def sources(tables: Sequence[Mapping[str, Any]], at: KeyPath, reading: Reading) -> tuple[AptSource, ...]:
    """Read the tables; ``{snapshot}`` without ``exclude-newer``, and a release with no component, are mistakes."""
    good = []
    for number, table in enumerate(tables):
        url, suites = table.get("url"), tuple(text for text in table.get("suites") or () if text is not None)
        components = table.get("components")
        if url is not None and "{snapshot}" in url and reading.values.get("exclude_newer") is None:
            reading.say(
                (*at, number, "url"),
                "has {snapshot}, and there is no exclude-newer to say which",
                "write exclude-newer = 2026-11-01 at the top",
            )
        if components is not None and not components and not all(suite.endswith("/") for suite in suites):
            reading.say((*at, number, "components"), "must not be an empty array", 'write ["main"]')
        if url is not None and suites:
            good.append(
                AptSource(
                    url=url,
                    suites=suites,
                    components=("main",) if components is None else tuple(filter(None, components)),
                    signed_by=table.get("signed-by"),
                )
            )
    return tuple(good)


def meaning(source: AptSource) -> list[object]:
    """Return what the digest sees of a source: no credentials."""
    return [without_credentials(source.url), source.suites, source.components, source.signed_by]
