"""A lock as text: the project's own, the pack's, and a requirements.txt for pip."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from kpack.lock.model import FORMAT, listed_version
from kpack.lock.requests import requests_table, restore_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from packaging.version import Version

    from kpack.debian import SystemPackage
    from kpack.lock.model import Lock, LockedPin, LockedTarget
    from kpack.resolve.model import BaseUse, Need, Source, Wheel

DIGEST_LINE = re.compile(r'(?m)^digest = "([0-9a-f]{64})"\n')
"""The line in ``[tool.kpack]`` with the SHA-256 of the whole text without that line."""

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    return _ESCAPES.get(character) or f"\\u{ord(character):04X}"


def toml_value(value: object) -> str:
    """Return ``value`` as an inline TOML value; None inside a table leaves its key out."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + re.sub(r'["\\\x00-\x1f\x7f]', _escape, value) + '"'
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        return moment.isoformat().replace("+00:00", "Z")
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    raise TypeError(f"not for a lock: {value!r}")


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml_value(key)


def _lines(table: Mapping[str, object]) -> Iterator[str]:
    """Yield a table's ``key = value`` lines; a list has one item per line, what is None or empty is left out."""
    for key, value in table.items():
        if value is None or value in ((), {}):
            continue
        if isinstance(value, tuple):
            yield f"{_key(key)} = ["
            yield from (f"    {toml_value(item)}," for item in value)
            yield "]"
        else:
            yield f"{_key(key)} = {toml_value(value)}"


def dumps(lock: Lock) -> str:
    """Return the project's lock: wheels by URL, wheels that kpack built by ``path = "wheels/…"``.

    The same value gives the same text, on any machine. Valid after PEP 751.
    """
    return _text(lock, relative=False)


def relative(lock: Lock) -> str:
    """Return the lock that stands in the pack: every wheel by ``path = "wheels/…"``, none by URL."""
    return _text(lock, relative=True)


def _text(lock: Lock, *, relative: bool) -> str:
    markers = tuple(dict.fromkeys(target.marker for target in lock.targets))
    lines = list(
        _lines(
            {
                "lock-version": "1.0",
                "environments": markers,
                "requires-python": requires_python([target.python for target in lock.targets]),
                "created-by": "kpack",
            }
        )
    )
    if not any(target.packed for target in lock.targets):
        lines.append("packages = []")
    for pin, wheels, marker in entries(lock):
        lines += ["", "[[packages]]"]
        lines += _lines(
            {
                "name": pin.name,
                "version": str(listed_version(pin.wheel.filename, pin.version)),
                "marker": marker,
                "index": pin.wheel.index,
                "wheels": tuple(_wheel_table(wheel, relative=relative) for wheel in wheels),
            }
        )
        if pin.source is not None:
            lines += ["", "[packages.tool.kpack.source]", *_lines(_source_table(pin.source))]
    lines += ["", *_tool_lines(lock)]
    text = "\n".join(lines) + "\n"
    digest = digest_of(text)
    return text.replace("\n[tool.kpack]\n", f'\n[tool.kpack]\ndigest = "{digest}"\n', 1)


def digest_of(text: str) -> str:
    """Return the SHA-256 of a lock's text without its digest line."""
    return hashlib.sha256(text.encode()).hexdigest()


def requires_python(series: Sequence[str]) -> str:
    """Return the specifier that takes these series (``3.12``) and no other."""
    minors = sorted({int(text.partition(".")[2]) for text in series})
    if len(minors) == 1:
        return f"==3.{minors[0]}.*"
    holes = [minor for minor in range(minors[0], minors[-1]) if minor not in minors]
    return ",".join([f">=3.{minors[0]}", *(f"!=3.{minor}.*" for minor in holes), f"<3.{minors[-1] + 1}"])


def entries(lock: Lock) -> Iterator[tuple[LockedPin, tuple[Wheel, ...], str | None]]:
    """Yield a pin, its wheels and its marker for each entry of ``packages``, sorted by name and version.

    Targets that have one version of a distribution share an entry, with each one's wheel in it, as long as every
    target's own tags pick its own wheel out of them; else each has its entry. The marker is None when the entry is
    for every target.
    """
    groups: dict[tuple[object, ...], list[tuple[LockedTarget, LockedPin]]] = {}
    for target in lock.targets:
        for pin in target.packed:
            listed = listed_version(pin.wheel.filename, pin.version)
            key: tuple[object, ...] = (pin.name, pin.version, listed, pin.wheel.index, pin.source)
            members = groups.setdefault(key, [])
            if not _picks_own([*members, (target, pin)]):
                members = groups.setdefault((*key, pin.wheel.filename), [])
            members.append((target, pin))
    everywhere = {target.marker for target in lock.targets}
    rows = []
    for members in groups.values():
        markers = dict.fromkeys(target.marker for target, _ in members)
        wheels = {pin.wheel.filename: pin.wheel for _, pin in members}
        rows.append(
            (
                members[0][1],
                tuple(wheels[name] for name in sorted(wheels)),
                None if markers.keys() == everywhere else " or ".join(markers),
            )
        )
    yield from sorted(rows, key=lambda row: (row[0].name, row[0].version, row[1][0].filename))


def _picks_own(members: Sequence[tuple[LockedTarget, LockedPin]]) -> bool:
    """Tell whether each target's tags pick its own wheel out of the wheels of all."""
    names = {pin.wheel.filename for _, pin in members}
    if len(names) == 1:
        return True
    tags = {name: parse_wheel_filename(name)[3] for name in names}
    for target, pin in members:
        rank = {tag: position for position, tag in enumerate(target.tags)}
        best = {name: min((rank[tag] for tag in tags[name] if tag in rank), default=len(rank)) for name in names}
        own = best.pop(pin.wheel.filename)
        if any(other <= own and other < len(rank) for other in best.values()):
            return False
    return True


def _wheel_table(wheel: Wheel, *, relative: bool) -> dict[str, object]:
    local = relative or wheel.url is None
    name = None
    if not local:
        from packaging.pylock import PackageWheel

        if PackageWheel(url=wheel.url, hashes={}).filename != wheel.filename:
            name = wheel.filename
    return {
        "name": name,
        "upload-time": None if local else wheel.upload_time,
        "url": None if local else wheel.url,
        "path": f"wheels/{wheel.filename}" if local else None,
        "size": wheel.size,
        "hashes": {"sha256": wheel.sha256},
    }


def _file_table(wheel: Wheel) -> dict[str, object]:
    """Return a wheel that is not one of ``packages``: an accelerator, or a part of a build environment."""
    return {
        "name": wheel.filename,
        "upload-time": wheel.upload_time,
        "url": wheel.url,
        "index": wheel.index,
        "size": wheel.size,
        "sha256": wheel.sha256,
    }


def _source_table(source: Source) -> dict[str, object]:
    return {
        "kind": source.kind,
        "url": source.url,
        "sha256": source.sha256,
        "commit": source.commit,
        "revision": source.revision,
        "subdirectory": source.subdirectory,
        "built-on": source.built_on,
        "build-requires": tuple(_file_table(wheel) for wheel in source.build_requires),
    }


def _needs(needs: Sequence[Need]) -> list[dict[str, str]]:
    return [{"by": need.by, "requirement": need.requirement} for need in needs]


def _tool_lines(lock: Lock) -> Iterator[str]:
    yield "[tool.kpack]"
    yield from _lines({"format": FORMAT, "name": lock.name, "meaning": lock.meaning, "notes": lock.notes})
    yield ""
    yield "[tool.kpack.requests]"
    yield from _lines(requests_table(lock.requests))
    if restore := restore_table(lock.restore):
        yield ""
        yield "[tool.kpack.restore]"
        yield from _lines(restore)
    for checkpoint in lock.checkpoints:
        yield ""
        yield "[[tool.kpack.checkpoints]]"
        yield from _lines(
            {
                "path": checkpoint.path,
                "urls": checkpoint.urls,
                "sha256": checkpoint.sha256,
                "size": checkpoint.size,
                "attached": checkpoint.attached,
            }
        )
    for target in lock.targets:
        yield ""
        yield "[[tool.kpack.targets]]"
        yield from _lines(_target_table(target))


def _target_table(target: LockedTarget) -> dict[str, object]:
    return {
        "base": target.base,
        "fingerprint": target.fingerprint,
        "python": target.python,
        "python-full-version": target.python_full_version,
        "machine": target.machine,
        "glibc": ".".join(map(str, target.glibc)),
        "marker": target.marker,
        "packages": tuple(_pin_table(pin) for pin in target.packed),
        "leans": tuple(_lean_table(use) for use in target.leans),
        "held-back": tuple(
            {
                "name": held.name,
                "version": str(held.version),
                "newest": str(held.newest),
                "because": held.because,
            }
            for held in target.held_back
        ),
        "dropped": target.dropped,
        "notes": target.notes,
        "preloaded": target.preloaded,
        "accelerator": None if target.accelerator is None else _file_table(target.accelerator),
        "system-asked": target.system.asked if target.system else None,
        "system": tuple(_system_table(item) for item in target.system.packages) if target.system else (),
    }


def _system_table(item: SystemPackage) -> dict[str, object]:
    return {
        "name": item.name,
        "version": item.version,
        "architecture": item.architecture,
        "url": item.url,
        "size": item.size,
        "sha256": item.sha256,
        "stage": item.stage or None,
        "needed-by": list(item.needed_by) or None,
    }


def _pin_table(pin: LockedPin) -> dict[str, object]:
    return {
        "name": pin.name,
        "version": str(pin.version),
        "wheel": pin.wheel.filename,
        "extras": list(pin.extras) or None,
        "replaces": _optional(pin.replaces),
        "needed-by": _needs(pin.needed_by),
    }


def _lean_table(use: BaseUse) -> dict[str, object]:
    return {"name": use.name, "version": str(use.version), "needed-by": _needs(use.needed_by)}


def _optional(version: Version | None) -> str | None:
    return None if version is None else str(version)


def requirements(lock: Lock) -> str:
    """Return the pack's requirements.txt.

    It is for ``pip install --no-index --no-deps --find-links wheels --require-hashes -r requirements.txt``.
    """
    lines = []
    for pin, wheels, marker in entries(lock):
        condition = f" ; {marker}" if marker else ""
        request = f"{pin.name}=={pin.version}"
        if listed_version(pin.wheel.filename, pin.version) != pin.version:
            request = f"./wheels/{pin.wheel.filename}"  # found by its name, pip refuses METADATA with another version
        hashes = [f"    --hash=sha256:{digest}" for digest in sorted({wheel.sha256 for wheel in wheels})]
        lines.append(" \\\n".join([f"{request}{condition}", *hashes]))
    return "".join(f"{line}\n" for line in lines)
