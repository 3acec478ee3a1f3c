"""The ``packages`` of a lock (PEP 751), read back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from packaging.pylock import Pylock, PylockUnsupportedVersionError, PylockValidationError

from kpack.errors import UsageError, installing
from kpack.files import is_sha256
from kpack.lock.make import WHEEL_NAME
from kpack.lock.table import Table
from kpack.resolve.model import Source, Wheel

if TYPE_CHECKING:
    from packaging.pylock import Package, PackageWheel
    from packaging.utils import NormalizedName
    from packaging.version import Version

Files = dict[tuple["NormalizedName", "Version", str], tuple[Wheel, "Source | None"]]
"""The wheels of ``packages`` by name, listed version and file name."""

_KINDS = ("sdist", "archive", "vcs", "directory", "wheel")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""What names a commit of git, whichever digest its repository uses."""

_ROOT_KEYS = ("lock-version", "environments", "requires-python", "created-by", "packages", "tool")
_PACKAGE_KEYS = ("name", "version", "marker", "index", "wheels", "tool")


def files_of(data: dict[str, Any], where: str, root: Table) -> Files:
    """Return the wheels of a parsed lock.

    Raises:
        IntegrityError: not valid after PEP 751, or nothing that kpack would have written.
        UsageError: a newer version of PEP 751.

    """
    try:
        pylock = Pylock.from_dict(data)
    except PylockUnsupportedVersionError as error:
        raise UsageError(str(error), where=where, next=f"update kpack ({installing()}), or lock anew") from error
    except PylockValidationError as error:
        raise root.error(f"not valid after PEP 751: {error.message}", error.context or "") from error
    _only(data, _ROOT_KEYS, root, "")
    _only(data["tool"], ("kpack",), root, "tool.")
    files: Files = {}
    for position, package in enumerate(pylock.packages):
        at = f"packages[{position}]"
        _only(data["packages"][position], _PACKAGE_KEYS, root, f"{at}.")
        if package.version is None or not package.wheels:
            raise root.error("a version and wheels are needed", at)
        source = _source(package, where, at)
        for number, wheel in enumerate(package.wheels):
            place = f"{at}.wheels[{number}]"
            identity = (package.name, package.version, wheel.filename)
            if identity in files:
                raise root.error(f"{wheel.filename} is listed twice", place)
            files[identity] = (_wheel(wheel, package.index, root, place), source)
    return files


def _only(data: dict[str, Any], keys: tuple[str, ...], root: Table, prefix: str) -> None:
    for key in data:
        if key not in keys:
            raise root.error("unknown key: kpack writes no such thing", f"{prefix}{key}")


def _wheel(wheel: PackageWheel, index: str | None, root: Table, place: str) -> Wheel:
    if set(wheel.hashes) != {"sha256"}:
        raise root.error("one sha256 is needed, nothing else", f"{place}.hashes")
    if not is_sha256(wheel.hashes["sha256"]):
        raise root.error("sha256 is 64 lower-case hexadecimal digits", f"{place}.hashes.sha256")
    if WHEEL_NAME.fullmatch(wheel.filename) is None:
        raise root.error(f"not the file name of a wheel: {wheel.filename!r:.120}", place)
    if wheel.path is not None and (wheel.url is not None or wheel.path != f"wheels/{wheel.filename}"):
        raise root.error(f"a path is wheels/<file name> and stands alone, not {wheel.path!r:.120}", f"{place}.path")
    if wheel.size is not None and wheel.size < 0:
        raise root.error(f"a size cannot be {wheel.size}", f"{place}.size")
    if wheel.upload_time is not None and wheel.upload_time.tzinfo is None:
        raise root.error("a time is in UTC, with Z behind it", f"{place}.upload-time")
    return Wheel(
        filename=wheel.filename,
        sha256=wheel.hashes["sha256"],
        size=wheel.size,
        url=wheel.url,
        upload_time=wheel.upload_time,
        index=index,
    )


def _source(package: Package, where: str, at: str) -> Source | None:
    if package.tool is None:
        return None
    tool = Table(package.tool, where, f"{at}.tool")
    ours = tool.table("kpack")
    tool.done()
    table = ours.table("source") if ours else None
    if ours is None or table is None:
        raise tool.error("only kpack.source can stand here")
    ours.done()
    kind = table.text("kind")
    if kind not in _KINDS:
        raise table.error(f"one of {', '.join(_KINDS)} is needed, not {kind!r:.40}", "kind")
    source = Source(
        kind=cast("Any", kind),
        url=table.text("url"),
        sha256=table.sha256("sha256") if table.has("sha256") else None,
        commit=table.optional("commit", str),
        revision=table.optional("revision", str),
        subdirectory=table.optional("subdirectory", str),
        built_on=table.optional("built-on", str),
        build_requires=tuple(file_of(item) for item in table.tables("build-requires")),
    )
    if source.commit is not None and _COMMIT.fullmatch(source.commit) is None:
        raise table.error(f"a commit is 40 or 64 hexadecimal digits, not {source.commit!r:.80}", "commit")
    if source.kind == "vcs" and source.commit is None:
        raise table.error("a repository without its commit", "commit")
    table.done()
    return source


def file_of(table: Table) -> Wheel:
    """Return a wheel that is not one of ``packages``: an accelerator, or a part of a build environment."""
    wheel = Wheel(
        filename=table.text("name"),
        upload_time=table.moment("upload-time"),
        url=table.optional("url", str),
        index=table.optional("index", str),
        size=table.size("size"),
        sha256=table.sha256("sha256"),
    )
    table.done()
    return wheel
