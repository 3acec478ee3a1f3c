"""A lock from text: strict, because everything after it trusts it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kpack.checkpoints import LockedCheckpoint
from kpack.environment import toml
from kpack.environment.checkpoints import Landed, normal_path
from kpack.errors import IntegrityError, MachineError, UsageError, installing
from kpack.files import OddFileError, read_bounded
from kpack.hubs import is_plain, on_a_hub
from kpack.lock.make import check_files
from kpack.lock.model import FORMAT, Lock, LockedPin, LockedTarget, listed_version
from kpack.lock.packages import Files, file_of, files_of
from kpack.lock.requests import read_requests, read_restore
from kpack.lock.table import Table
from kpack.lock.write import DIGEST_LINE, digest_of
from kpack.resolve.model import BaseUse, HeldBack, Need

if TYPE_CHECKING:
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.debian import LockedSystem

LARGEST = 16 << 20
"""Bytes of the largest lock that is read; one of 900 packages has about 2 MB."""

_SCHEMES = ("https", "http", "file", "data", "hf", "kaggle")
"""Where a checkpoint of a lock may come from."""

_AGAIN = "restore the file, or remove it and run `kpack lock`"


def load(path: Path) -> Lock:
    """Return the lock in the file ``path``.

    Raises:
        MachineError: there is no such file, or it cannot be read.
        IntegrityError, UsageError: as `loads`.

    """
    try:
        text = read_bounded(path, LARGEST).decode("utf-8")
    except FileNotFoundError as error:
        raise MachineError("there is no lock", where=str(path), next="make it with `kpack lock`") from error
    except OddFileError as error:
        raise IntegrityError(str(error), where=str(path), next=_AGAIN) from error
    except OSError as error:
        raise MachineError(f"cannot read: {error.strerror}", where=str(path)) from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise IntegrityError(
            f"not UTF-8: byte 0x{error.object[error.start]:02x}", where=f"{path}:{line}", next=_AGAIN
        ) from error
    return loads(text, str(path))


def loads(text: str, where: str) -> Lock:
    r"""Return the lock that ``text`` holds; ``where`` is the file's name for messages.

    ``\r\n`` line ends, as some version control systems make them, are taken as ``\n``.

    Raises:
        IntegrityError: half written, changed by hand, or not valid after PEP 751; ``where`` names line or key path.
        UsageError: a lock that another tool or a newer kpack wrote.

    """
    text = text.replace("\r\n", "\n")
    try:
        data = toml.loads(text)
    except toml.NotTomlError as error:
        if error.what == toml.CONFLICT:
            what, advice = error.what, "take one of them whole, as by git checkout --ours FILE, and run `kpack lock`"
        else:
            what, advice = f"{error.what} (perhaps half written)", _AGAIN
        raise IntegrityError(what, where=f"{where}:{error.line}", next=advice) from error
    root = Table(data, where)
    tool = data.get("tool", {})
    if not isinstance(tool, dict) or not isinstance(tool.get("kpack"), dict):
        raise UsageError(
            "there is no [tool.kpack] in it: not a lock of kpack's",
            where=where,
            next="move it away, or remove it, and run `kpack lock`",
        )
    table = Table(tool["kpack"], where, "tool.kpack")
    version = table.needed("format", int)
    if version != FORMAT:
        raise UsageError(
            f"lock format {version}, and this kpack reads {FORMAT}",
            where=f"{where}: tool.kpack.format",
            next=f"update kpack ({installing()}), or lock anew with `kpack lock`",
        )
    digest = table.sha256("digest")
    lock = _lock(table, files_of(data, where, root))
    check_files(lock, where)
    if digest_of(DIGEST_LINE.sub("", text, count=1)) != digest:
        raise root.error("the text does not match its own digest", "tool.kpack.digest")
    return lock


def _lock(table: Table, files: Files) -> Lock:
    name = table.text("name")
    if re.fullmatch(r"[A-Za-z0-9._-]{1,40}", name) is None:
        raise table.error(f"not a name for a pack: {name!r:.80}", "name")
    used: set[tuple[NormalizedName, Version, str]] = set()
    restore = table.table("restore")
    requests = table.table("requests")
    if requests is None:
        raise table.error("missing", "requests")
    lock = Lock(
        name=name,
        meaning=table.sha256("meaning"),
        notes=table.texts("notes"),
        requests=read_requests(requests),
        restore=read_restore(restore),
        checkpoints=_apart(table, tuple(_checkpoint(item) for item in table.tables("checkpoints"))),
        targets=tuple(_target(item, files, used) for item in table.tables("targets")),
    )
    if not lock.targets:
        raise table.error("no target", "targets")
    for unused in files.keys() - used:
        raise table.error(f"no target takes {unused[2]}", "targets")
    table.done()
    return lock


def _checkpoint(table: Table) -> LockedCheckpoint:
    checkpoint = LockedCheckpoint(
        path=_place(table, "path", table.text("path")),
        urls=table.texts("urls"),
        sha256=table.sha256("sha256"),
        size=table.needed_size("size"),
        attached=_place(table, "attached", found) if (found := table.optional("attached", str)) is not None else None,
    )
    for url in checkpoint.urls:
        if url.partition(":")[0] not in _SCHEMES:
            raise table.error(f"one of {', '.join(_SCHEMES)} is needed, not {url!r:.80}", "urls")
        try:
            on_a_hub(url)
        except UsageError as error:
            raise table.error(error.what, "urls") from error
    table.done()
    return checkpoint


def _place(table: Table, key: str, path: str) -> str:
    """Return a path in the kernel, in the one spelling that kpack writes and a restore takes."""
    try:
        normal = normal_path(path)
    except ValueError as error:
        raise table.error(f"{path!r:.200} {error}", key) from error
    if normal != path or not is_plain(path.lstrip("/")):
        raise table.error(f"not the plain path of a file: {path!r:.200}", key)
    return path


def _apart(table: Table, checkpoints: tuple[LockedCheckpoint, ...]) -> tuple[LockedCheckpoint, ...]:
    """Refuse checkpoints of which one needs a folder where another one is a file, or has the same path."""
    landed = Landed()
    for number, one in enumerate(checkpoints):
        clash = landed.clash(one.path)
        if clash is None:
            landed.add(one.path, number)
            continue
        outer, inner = sorted((clash, number), key=lambda each: len(checkpoints[each].path))
        file, path = checkpoints[outer].path, checkpoints[inner].path
        if file == path:
            what = f"the path {path!r:.200} stands there twice"
        else:
            what = f"{path!r:.200} needs a folder where the checkpoint {file!r:.200} is a file"
        raise table.error(what, f"checkpoints[{inner}].path")
    return checkpoints


def _target(table: Table, files: Files, used: set[tuple[NormalizedName, Version, str]]) -> LockedTarget:
    python = table.text("python")
    if re.fullmatch(r"3\.\d{1,2}", python) is None:
        raise table.error(f"not a Python series: {python!r:.40}", "python")
    glibc = re.fullmatch(r"(\d{1,3})\.(\d{1,3})", table.text("glibc"))
    if glibc is None:
        raise table.error("not a glibc version", "glibc")
    marker = table.text("marker")
    accelerator = table.table("accelerator")
    base = table.optional("base", str)
    target = LockedTarget(
        base=base,
        fingerprint=None if base is None else table.sha256("fingerprint"),
        python=python,
        python_full_version=str(table.version("python-full-version")),
        machine=table.text("machine"),
        glibc=(int(glibc[1]), int(glibc[2])),
        packed=tuple(_pin(item, files, used) for item in table.tables("packages")),
        leans=tuple(_lean(item) for item in table.tables("leans")),
        held_back=tuple(_held(item) for item in table.tables("held-back")),
        dropped=table.names("dropped"),
        notes=table.texts("notes"),
        preloaded=table.texts("preloaded"),
        accelerator=file_of(accelerator) if accelerator else None,
        system=_system(table) if table.has("system-asked") else None,
    )
    if marker != target.marker:
        raise table.error(f"{target.marker!r} is needed, not {marker!r:.200}", "marker")
    table.done()
    return target


def _system(table: Table) -> LockedSystem:
    from kpack.debian import LockedSystem, SystemPackage  # few locks have any, and each is read first of all

    asked = table.sha256("system-asked")
    packages = []
    for item in table.tables("system"):
        packages.append(
            SystemPackage(
                name=item.text("name"),
                version=item.text("version"),
                architecture=item.text("architecture"),
                url=item.text("url"),
                size=item.needed_size("size"),
                sha256=item.sha256("sha256"),
                stage=item.size("stage") or 0,
                needed_by=item.texts("needed-by"),
            )
        )
        item.done()
    return LockedSystem(asked=asked, packages=tuple(packages))


def _pin(table: Table, files: Files, used: set[tuple[NormalizedName, Version, str]]) -> LockedPin:
    name, version, filename = table.name("name"), table.version("version"), table.text("wheel")
    key = (name, listed_version(filename, version), filename)
    if key not in files:
        raise table.error(f"{filename} is not among the wheels of {name} {version}", "wheel")
    used.add(key)
    wheel, source = files[key]
    pin = LockedPin(
        name=name,
        version=version,
        wheel=wheel,
        source=source,
        extras=table.texts("extras"),
        replaces=table.optional_version("replaces"),
        needed_by=_needs(table),
    )
    table.done()
    return pin


def _lean(table: Table) -> BaseUse:
    use = BaseUse(name=table.name("name"), version=table.version("version"), needed_by=_needs(table))
    table.done()
    return use


def _held(table: Table) -> HeldBack:
    held = HeldBack(
        name=table.name("name"),
        version=table.version("version"),
        newest=table.version("newest"),
        because=table.text("because"),
    )
    table.done()
    return held


def _needs(table: Table) -> tuple[Need, ...]:
    needs = []
    for item in table.tables("needed-by"):
        needs.append(Need(by=item.text("by"), requirement=item.text("requirement")))
        item.done()
    return tuple(needs)
