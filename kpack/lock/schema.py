"""The JSON Schema of ``[tool.kpack]`` and of ``[packages.tool.kpack]``, kept in ``schemas/lock.schema.json``.

The tests hold it against what `kpack.lock.dumps` writes and what `kpack.lock.loads` refuses.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kpack.environment.keys import DOCUMENT, RESTORE
from kpack.lock.model import FORMAT
from kpack.lock.requests import kept

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.environment.rows import Row

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_NAME: Schema = {
    "type": "string",
    "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$",
    "description": "A distribution's normalised name.",
}
_VERSION: Schema = {"type": "string", "minLength": 1, "description": "A version after PEP 440."}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_SIZE: Schema = {"type": "integer", "minimum": 0, "description": "Bytes."}
_TIME: Schema = {"type": "string", "format": "date-time", "description": "An offset date-time of TOML, in UTC."}


def _list(items: Schema, description: str) -> Schema:
    return {"type": "array", "items": items, "description": description}


def _table(description: str, required: tuple[str, ...], **properties: Schema) -> Schema:
    return {
        "type": "object",
        "description": description,
        "additionalProperties": False,
        "required": list(required),
        "properties": {key.replace("_", "-"): value for key, value in properties.items()},
    }


def _said(schema: Schema, description: str) -> Schema:
    return {**schema, "description": description}


_NEEDS = _list(
    _table(
        "One requirement.",
        ("by", "requirement"),
        by=_said(_TEXT, "Name of the distribution that asks; the empty string for kaggle-env.toml."),
        requirement=_said(_TEXT, "In its words, without marker."),
    ),
    "Who asked for it.",
)

_FILE = _table(
    "A wheel that is not one of `packages`.",
    ("name", "sha256"),
    name=_said(_TEXT, "File name."),
    upload_time=_TIME,
    url=_TEXT,
    index=_said(_TEXT, "Simple index that listed it."),
    size=_SIZE,
    sha256=_SHA256,
)

_PIN = _table(
    "A distribution that goes into the pack for this target.",
    ("name", "version", "wheel"),
    name=_NAME,
    version=_VERSION,
    wheel=_said(_TEXT, "File name of the wheel among those of `packages`."),
    extras=_list(_TEXT, "Extras that were asked for."),
    replaces=_said(_VERSION, "The base's version that it takes the place of."),
    needed_by=_NEEDS,
)

_LEAN = _table(
    "A distribution of the base that the lock leans on.",
    ("name", "version"),
    name=_NAME,
    version=_VERSION,
    needed_by=_NEEDS,
)

_HELD_BACK = _table(
    "A distribution that is older than the newest one.",
    ("name", "version", "newest", "because"),
    name=_NAME,
    version=_VERSION,
    newest=_VERSION,
    because=_TEXT,
)

_SYSTEM = _table(
    "A package of Debian or Ubuntu.",
    ("name", "version", "architecture", "url", "size", "sha256"),
    name={"type": "string", "pattern": "^[a-z0-9][a-z0-9+.-]{1,199}$"},
    version=_said(_TEXT, "As Debian Policy spells it."),
    architecture={"enum": ["amd64", "arm64", "all"]},
    url=_TEXT,
    size=_SIZE,
    sha256=_SHA256,
    stage=_said(_SIZE, "What is of one stage is unpacked, then configured, before the next one; 0 when absent."),
    needed_by=_list(_TEXT, "Packed system packages that depend on it, sorted."),
)

_TARGET = _table(
    "One interpreter on one platform.",
    ("python", "python-full-version", "machine", "glibc", "marker"),
    base=_said(_TEXT, "The base image's name; missing for a bare Python."),
    fingerprint=_said(_SHA256, "Of what a resolution sees of the base image."),
    python={"type": "string", "pattern": "^3\\.[0-9]{1,2}$"},
    python_full_version=_VERSION,
    machine=_TEXT,
    glibc={"type": "string", "pattern": "^[0-9]{1,3}\\.[0-9]{1,3}$"},
    marker=_said(_TEXT, "The environment marker that tells this target from the others."),
    packages=_list(_PIN, "Sorted by name."),
    leans=_list(_LEAN, "Sorted by name."),
    held_back=_list(_HELD_BACK, "Sorted by name."),
    dropped=_list(_NAME, "Resolved, then left out because of `exclude`."),
    notes=_list(_TEXT, "Sentences for the user."),
    preloaded=_list(_TEXT, "Modules that the image imports before the first cell."),
    accelerator=_said(_FILE, "The wheel that inflates faster during a restore."),
    system_asked=_said(_SHA256, "Of the system packages asked for, their archives, and what the image has of them."),
    system=_list(_SYSTEM, "System packages that the image lacks, in the order in which they are installed."),
) | {"dependentRequired": {"base": ["fingerprint"], "fingerprint": ["base"], "system": ["system-asked"]}}

_KEPT: dict[str, Schema] = {
    "text": _TEXT,
    "texts": {"type": "array", "items": _TEXT},
    "names": {"type": "array", "items": _NAME},
    "flag": {"const": True},
    "moment": _TIME,
    "mapping": {"type": "object", "additionalProperties": _TEXT},
}
"""The schema of each way in which a lock keeps what a row holds."""


def _kept_table(description: str, rows: Iterable[Row]) -> Schema:
    return _table(
        description, (), **{row.word: _said(_KEPT[row.kind.kept or ""], row.description) for row in kept(rows)}
    )


_CHECKPOINT = _table(
    "One file that a restored environment has.",
    ("path", "sha256", "size"),
    path=_TEXT,
    urls=_list(_TEXT, "Tried in order."),
    sha256=_SHA256,
    size=_SIZE,
    attached=_said(_TEXT, "Where the file is mounted already, /kaggle/input for anywhere below; it is not packed."),
)

_SOURCE = _table(
    "What kpack built a wheel from.",
    ("kind", "url"),
    kind={"enum": ["sdist", "archive", "vcs", "directory", "wheel"]},
    url=_said(_TEXT, "Without credentials; a folder relative to kaggle-env.toml."),
    sha256=_SHA256,
    commit=_TEXT,
    revision=_TEXT,
    subdirectory=_TEXT,
    built_on=_said(_TEXT, "The host that built it, when the wheel is not pure."),
    build_requires=_list(_FILE, "The build environment."),
)

_TOOL = _table(
    "[tool.kpack]",
    ("digest", "format", "name", "meaning", "requests", "targets"),
    digest=_said(_SHA256, "SHA-256 of the whole file without this line."),
    format={"const": FORMAT},
    name={"type": "string", "pattern": "^[A-Za-z0-9._-]{1,40}$", "description": "The pack's name."},
    meaning=_said(_SHA256, "SHA-256 of what kaggle-env.toml means."),
    notes=_list(_TEXT, "Sentences for the user."),
    requests=_kept_table("What kaggle-env.toml asked for.", DOCUMENT.rows),
    restore=_kept_table("[restore] of kaggle-env.toml.", RESTORE.rows),
    checkpoints=_list(_CHECKPOINT, "Sorted by path."),
    targets=_list(_TARGET, "In the order of the file's bases.") | {"minItems": 1},
)

SCHEMA: Schema = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "What kpack adds to a lock file of PEP 751",
    "type": "object",
    "required": ["lock-version", "created-by", "packages", "tool"],
    "properties": {
        "lock-version": {"const": "1.0"},
        "created-by": _TEXT,
        "packages": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "tool": _table(
                        "Beside a package.",
                        ("kpack",),
                        kpack=_table("Of a wheel that kpack built.", ("source",), source=_SOURCE),
                    )
                },
            },
        },
        "tool": _table("Tools.", ("kpack",), kpack=_TOOL),
    },
}
"""The schema as a value."""


def dumps() -> str:
    """Return the text of ``schemas/lock.schema.json``."""
    return json.dumps(SCHEMA, indent=2) + "\n"
