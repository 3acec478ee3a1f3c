"""What the worker is asked, as one value that travels as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of kaggle-env.toml."""

    text: str
    """As the user wrote it."""
    line: str
    """What pip is given: a requirement without marker, or an absolute path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A distribution that the kernel has already."""

    name: str
    version: str
    requires_dist: tuple[str, ...] | None = None
    provides_extra: tuple[str, ...] | None = None
    opened: bool = False
    """The pack may bring another version (``replace``)."""
    by: str = "the base image"
    """Who says that it is there: ``the base image`` or ``exclude``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A requirement of a base package on an opened name, which the answer must respect."""

    by: str
    """``transformers 4.57.1``."""
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAddress:
    """One Simple index; the first of a request is the default one."""

    url: str
    """With credentials; empty for pip's own default."""
    packages: tuple[str, ...] = ()
    """Normalised names or patterns that belong to it; empty for the default index."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRequest:
    """One target's question."""

    label: str
    python_version: str
    python_full_version: str
    environment: dict[str, str]
    tags: tuple[str, ...]
    """``cp312-cp312-manylinux_2_35_x86_64``, best first."""
    asked: tuple[Asked, ...]
    provided: tuple[Provided, ...] = ()
    limits: tuple[Limit, ...] = ()
    pins: dict[str, str] = field(default_factory=dict)
    """Versions of the old lock, kept where they fit."""
    allow_source: tuple[str, ...] = ()
    exclude_newer: str | None = None
    """``2026-11-02T00:00:00``, UTC: files uploaded then or later do not exist."""
    indexes: tuple[IndexAddress, ...] = ()
    cache_dir: str = ""
    accelerator: str = "isal"
    """Name of the distribution whose best wheel is reported on the side; empty for none."""
    prefetch: bool = True
    explain: bool = True
    """Look for the words that would help when there is no solution."""

    def dumps(self) -> str:
        """Return the JSON text."""
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> WorkerRequest:
        """Read what `dumps` wrote."""
        data = json.loads(text)
        return cls(
            **{
                **data,
                "tags": tuple(data["tags"]),
                "asked": tuple(Asked(**item) for item in data["asked"]),
                "provided": tuple(_provided(item) for item in data["provided"]),
                "limits": tuple(Limit(**item) for item in data["limits"]),
                "allow_source": tuple(data["allow_source"]),
                "indexes": tuple(
                    IndexAddress(url=item["url"], packages=tuple(item["packages"])) for item in data["indexes"]
                ),
            }
        )


def _provided(item: dict[str, Any]) -> Provided:
    lists = {key: tuple(item[key]) for key in ("requires_dist", "provides_extra") if item[key] is not None}
    return Provided(**{**item, **lists})
