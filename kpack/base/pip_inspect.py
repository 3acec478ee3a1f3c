"""The report of ``pip inspect`` (version 1) as a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kpack.base.reader import Reader

_GLIBC = "2.35"
"""The report does not say which; every image since 2025-01 has this one or a newer one."""


def is_report(data: dict[str, Any]) -> bool:
    """Tell whether a parsed file looks like such a report."""
    return "installed" in data and "environment" in data


def snapshot_of(reader: Reader, data: dict[str, Any]) -> dict[str, Any]:
    """Return the report in the snapshot format.

    Raises:
        UsageError: the report is none; says where in the file.

    """
    rows: dict[str, dict[str, Any]] = {}
    for position, item in enumerate(reader.items(data["installed"], "installed")):
        at = f"installed[{position}].metadata"
        metadata = reader.table(item.get("metadata") if isinstance(item, dict) else None, at)
        name = reader.name(reader.text(metadata, "name", at=f"{at}."), f"{at}.name")
        # pip lists a shadowed distribution after the one that the interpreter imports.
        rows.setdefault(
            name,
            {
                "name": name,
                "version": reader.text(metadata, "version", at=f"{at}."),
                "requires-dist": metadata.get("requires_dist", []),
                "provides-extra": metadata.get("provides_extra", []),
            },
        )
    return {
        "name": reader.path.stem,
        "certainty": "a report of `pip inspect`: exact for distributions; it does not say the glibc version "
        f"(taken as {_GLIBC}) nor what is imported before the first cell",
        "environment": data["environment"],
        "glibc": _GLIBC,
        "default-from": "pip inspect",
        "preloaded": {},
        "distributions": [rows[name] for name in sorted(rows)],
    }
