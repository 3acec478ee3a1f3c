"""kpack.json as it is written; `kpack.restore.manifest` reads it."""

from __future__ import annotations

import json
from typing import Any

from kpack.restore import manifest as model

SPAN = 1 << 23
"""Bytes that a span aims at (8 MiB)."""


def dumps(manifest: model.Manifest) -> bytes:
    """Return the canonical bytes of kpack.json: sorted keys, no spaces, ASCII, one line end."""
    raw: dict[str, Any] = {
        "format": model.FORMAT,
        "kpack": manifest.kpack,
        "name": manifest.name,
        "lock": manifest.lock,
        "engine": manifest.engine,
        "targets": [
            {
                "label": target.label,
                "base": target.base,
                "python": target.python,
                "machine": target.machine,
                "glibc": list(target.glibc),
                "distributions": [_distribution(item) for item in target.distributions],
                "leans": [
                    {
                        "name": lean.name,
                        "version": lean.version,
                        "specifiers": [item._asdict() for item in lean.specifiers],
                    }
                    for lean in target.leans
                ],
                "preloaded": list(target.preloaded),
                "accelerator": target.accelerator,
                **({"images": list(target.images)} if target.images else {}),
                **({"system": [_system(item) for item in target.system]} if target.system else {}),
            }
            for target in manifest.targets
        ],
        "checkpoints": [item._asdict() for item in manifest.checkpoints],
        "restore": {
            "directory": manifest.directory,
            "env": dict(manifest.env),
            **({"link": True} if manifest.link else {}),
            **({"apt": manifest.apt} if manifest.apt is not None else {}),
        },
        "members": [
            {
                "path": member.path,
                "size": member.size,
                "sha256": member.sha256,
                "offset": member.offset,
                "spans": [[span.offset, span.size, span.sha256] for span in member.spans],
            }
            for member in manifest.members
        ],
    }
    return (json.dumps(raw, sort_keys=True, separators=(",", ":")) + "\n").encode("ascii")


def _system(item: model.PackedSystem) -> dict[str, Any]:
    raw = item._asdict()
    if not item.stage:
        del raw["stage"]
    return raw


def _distribution(item: model.PackedDistribution) -> dict[str, Any]:
    raw = item._asdict()
    for flag in ("lax_record", "lax_archive"):
        if not raw[flag]:
            del raw[flag]
    return raw
