"""The digest by which a lock knows whether it is stale."""

from __future__ import annotations

import hashlib
import json
import urllib.parse
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from kpack.environment.model import Environment, Package

_VERSION = 1
"""Raised when the meaning of a key changes, so that older locks count as stale."""


def meaning(environment: Environment) -> str:
    """Return the SHA-256 (64 hexadecimal digits) over everything in the file that a lock depends on.

    Comments, spelling, the order of keys and of names, ``[publish]``, ``max-size`` (which only a build looks at),
    credentials in URLs, and the file's own place do not change it; neither does what a local base file
    holds (a lock records the fingerprints of its bases).
    """
    canonical = json.dumps(_canonical(environment), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _canonical(environment: Environment) -> dict[str, object]:
    return {
        "meaning": _VERSION,
        "name": environment.name,
        "bases": environment.bases,
        "python": environment.python,
        "platform": None if environment.bases else environment.platform,
        "packages": sorted(_package(entry) for entry in environment.packages),
        "exclude": sorted(
            f"{one.pattern}=={one.version}" if one.version else one.pattern for one in environment.exclude
        ),
        "replace": sorted(environment.replace),
        "allow-source": sorted(environment.allow_source),
        "allow-broken": sorted(environment.allow_broken),
        "allow-preloaded": sorted(environment.allow_preloaded),
        "lax-record": sorted(environment.lax_record),
        "exclude-newer": environment.exclude_newer.isoformat() if environment.exclude_newer else None,
        "checkpoints": [
            {
                "urls": [_without_credentials(url) for url in one.urls],
                "path": one.path,
                "sha256": one.sha256,
                "attached": one.attached,
                "include": sorted(one.include),
            }
            for one in environment.checkpoints
        ],
        "indexes": sorted(
            ([index.name, _without_credentials(index.url), *sorted(index.packages)] for index in environment.indexes),
        ),
        "restore": {"directory": environment.restore.directory, "env": dict(environment.restore.env)},
    }


def _package(package: Package) -> str:
    requirement = package.requirement
    if requirement is None:
        return package.path or ""
    extras = ",".join(sorted(canonicalize_name(extra) for extra in requirement.extras))
    source = _without_credentials(requirement.url) if requirement.url else str(requirement.specifier)
    return f"{canonicalize_name(requirement.name)}[{extras}]{source};{requirement.marker or ''}"


def _without_credentials(url: str) -> str:
    """Return ``url`` without user name and password."""
    parts = urllib.parse.urlsplit(url)
    if "@" not in parts.netloc:
        return url  # as written: Pythons differ in how they spell a URL without a host again
    return urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
