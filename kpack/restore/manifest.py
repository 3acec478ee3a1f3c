"""kpack.json, the manifest of a pack: frozen values, and a reader that takes only what kpack itself writes."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, TypeVar

from .errors import INTEGRITY, RestoreError

FORMAT = 1
"""Version of the manifest; another one is refused."""

_T = TypeVar("_T")
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]")


class Span(NamedTuple):
    """Bytes of a member that are verified together: `offset` from the member's start, `size` in bytes."""

    offset: int
    size: int
    sha256: str


class Member(NamedTuple):
    """One file of the pack; `offset` counts from the end of the padded manifest to the member's first byte."""

    path: str
    size: int
    sha256: str
    offset: int
    spans: Tuple[Span, ...]


class PackedDistribution(NamedTuple):
    """A distribution of a target and the member that is its wheel."""

    name: str
    version: str
    wheel: str
    replaces: Optional[str] = None
    """The base's version that it takes the place of."""
    lax_record: bool = False
    """Whether the wheel was let in by name although its RECORD is wrong; restore then digests what it wrote."""
    lax_archive: bool = False
    """Whether the wheel was let in by name although its archive is odd (a comment, NUL bytes at the end)."""


class PackedSystem(NamedTuple):
    """A system package of a target and the member that is its file."""

    name: str
    version: str
    architecture: str
    member: str
    unpacked: int
    """Bytes of its files."""
    stage: int = 0
    """Packages of one stage are unpacked together, then configured."""


class Requirer(NamedTuple):
    """Who leans on a base distribution, in which words (a PEP 508 requirement without marker)."""

    by: str
    requirement: str


class Lean(NamedTuple):
    """A base distribution that the lock leans on."""

    name: str
    version: str
    specifiers: Tuple[Requirer, ...] = ()


class PackTarget(NamedTuple):
    """One interpreter that the pack was made for."""

    label: str
    base: Optional[str]
    python: str
    machine: str
    glibc: Tuple[int, int]
    distributions: Tuple[PackedDistribution, ...]
    leans: Tuple[Lean, ...] = ()
    preloaded: Tuple[str, ...] = ()
    accelerator: Optional[str] = None
    images: Tuple[str, ...] = ()
    """Digests (``sha256:…``) of the docker images that the base stands for."""
    system: Tuple[PackedSystem, ...] = ()
    """System packages that the image lacks, in the order in which they are installed."""


class PackedCheckpoint(NamedTuple):
    """A checkpoint and where it lands; with `attached` it is not in the pack but verified at that path, or found.

    ``/kaggle/input`` stands for a file that is found somewhere below by its size and digest (`kpack.restore.attached`).
    """

    path: str
    sha256: str
    size: int
    attached: Optional[str] = None


class Manifest(NamedTuple):
    """What a pack holds, for whom, and what it leans on."""

    kpack: str
    name: str
    lock: str
    engine: str
    targets: Tuple[PackTarget, ...]
    checkpoints: Tuple[PackedCheckpoint, ...]
    members: Tuple[Member, ...]
    directory: Optional[str] = None
    env: Mapping[str, str] = {}
    link: bool = False
    """Whether relative checkpoint paths are linked from the working folder."""
    apt: Optional[str] = None
    """How system packages are installed: ``dpkg`` or ``prefix``; None: as fits where the pack is restored."""

    def member(self, path: str) -> Member:
        """Return the member of that path.

        Raises KeyError for a path that the manifest does not name.
        """
        for item in self.members:
            if item.path == path:
                return item
        raise KeyError(path)


def loads(data: bytes) -> Manifest:
    """Read kpack.json.

    Raises RestoreError (code 5) for anything that kpack would not have written: another format, unknown or
    missing keys, wrong types, digests that are not 64 lower-case hexadecimal digits, member paths that are not
    plain relative paths, members that overlap or leave a gap, spans that do not cover their member exactly.
    """
    try:
        raw = json.loads(data.decode("ascii"), object_pairs_hook=_no_duplicates)
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _bad("kpack.json", "it is not the JSON that kpack writes: {}".format(error)) from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT or isinstance(raw.get("format"), bool):
        found = raw.get("format") if isinstance(raw, dict) else None
        raise RestoreError(
            INTEGRITY,
            "the pack's format is {!r}, this engine reads {}".format(found, FORMAT),
            where="kpack.json",
            next="build the pack again with this version of kpack",
        )
    manifest = _manifest(_Table(raw, "kpack.json"))
    _check(manifest)
    return manifest


def _no_duplicates(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise ValueError("a key stands twice")
    return table


def _bad(where: str, what: str) -> RestoreError:
    return RestoreError(
        INTEGRITY, what, where=where, next="the pack is damaged or was not written by kpack: build it again"
    )


class _Table:
    """A JSON object whose keys are taken one by one; what is left at the end is refused."""

    def __init__(self, raw: Any, where: str) -> None:
        if not isinstance(raw, dict):
            raise _bad(where, "expected an object, found {}".format(type(raw).__name__))
        self.raw = dict(raw)
        self.where = where

    def _take(self, key: str) -> Any:
        if key not in self.raw:
            raise _bad("{}.{}".format(self.where, key), "the key is missing")
        return self.raw.pop(key)

    def text(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str) or _CONTROL.search(value):
            raise _bad("{}.{}".format(self.where, key), "expected plain text")
        return value

    def value(self, key: str) -> str:
        """Take the value of a variable: text that is no path, and may have what separates folders elsewhere."""
        value = self._take(key)
        if not isinstance(value, str) or _CONTROL.search(value.replace("\\", "/")):
            raise _bad("{}.{}".format(self.where, key), "expected plain text")
        return value

    def optional_text(self, key: str) -> Optional[str]:
        if self.raw.get(key) is None:
            self.raw.pop(key, None)
            return None
        return self.text(key)

    def flag(self, key: str) -> bool:
        value = self.raw.pop(key, False)
        if not isinstance(value, bool):
            raise _bad("{}.{}".format(self.where, key), "expected true or false")
        return value

    def digest(self, key: str) -> str:
        return _digest(self._take(key), "{}.{}".format(self.where, key))

    def size(self, key: str) -> int:
        return _size(self._take(key), "{}.{}".format(self.where, key))

    def items(self, key: str) -> List[Tuple[Any, str]]:
        value = self._take(key)
        where = "{}.{}".format(self.where, key)
        if not isinstance(value, list):
            raise _bad(where, "expected a list, found {}".format(type(value).__name__))
        return [(item, "{}[{}]".format(where, index)) for index, item in enumerate(value)]

    def tables(self, key: str, read: Callable[[_Table], _T]) -> Tuple[_T, ...]:
        found = []
        for item, where in self.items(key):
            table = _Table(item, where)
            found.append(read(table))
            table.done()
        return tuple(found)

    def table(self, key: str) -> _Table:
        return _Table(self._take(key), "{}.{}".format(self.where, key))

    def done(self) -> None:
        if self.raw:
            raise _bad(self.where, "unknown key {!r}".format(min(self.raw)))


def _digest(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _SHA256.match(value):
        raise _bad(where, "expected a SHA-256 of 64 lower-case hexadecimal digits")
    return value


def _size(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise _bad(where, "expected a number of bytes")
    return value


def _texts(items: Sequence[Tuple[Any, str]]) -> Tuple[str, ...]:
    for value, where in items:
        if not isinstance(value, str) or _CONTROL.search(value):
            raise _bad(where, "expected plain text")
    return tuple(value for value, _ in items)


def _manifest(table: _Table) -> Manifest:
    table.raw.pop("format")
    restore = table.table("restore")
    env = restore.table("env")
    manifest = Manifest(
        kpack=table.text("kpack"),
        name=table.text("name"),
        lock=table.text("lock"),
        engine=table.text("engine"),
        targets=table.tables("targets", _target),
        checkpoints=table.tables(
            "checkpoints",
            lambda item: PackedCheckpoint(
                path=item.text("path"),
                sha256=item.digest("sha256"),
                size=item.size("size"),
                attached=item.optional_text("attached"),
            ),
        ),
        members=table.tables("members", _member),
        directory=restore.optional_text("directory"),
        env={key: env.value(key) for key in sorted(env.raw)},
        link=restore.flag("link"),
        apt=restore.optional_text("apt"),
    )
    if manifest.apt not in (None, "dpkg", "prefix"):
        raise _bad("kpack.json.restore.apt", "expected dpkg or prefix")
    restore.done()
    table.done()
    return manifest


def _target(table: _Table) -> PackTarget:
    glibc = table.items("glibc")
    if len(glibc) != 2:
        raise _bad(table.where + ".glibc", "expected two numbers")
    return PackTarget(
        label=table.text("label"),
        base=table.optional_text("base"),
        python=table.text("python"),
        machine=table.text("machine"),
        glibc=(_size(*glibc[0]), _size(*glibc[1])),
        distributions=table.tables(
            "distributions",
            lambda item: PackedDistribution(
                name=item.text("name"),
                version=item.text("version"),
                wheel=item.text("wheel"),
                replaces=item.optional_text("replaces"),
                lax_record=item.flag("lax_record"),
                lax_archive=item.flag("lax_archive"),
            ),
        ),
        leans=table.tables(
            "leans",
            lambda item: Lean(
                name=item.text("name"),
                version=item.text("version"),
                specifiers=item.tables(
                    "specifiers", lambda need: Requirer(by=need.text("by"), requirement=need.text("requirement"))
                ),
            ),
        ),
        preloaded=_texts(table.items("preloaded")),
        accelerator=table.optional_text("accelerator"),
        images=_texts(table.items("images")) if "images" in table.raw else (),
        system=table.tables("system", _system) if "system" in table.raw else (),
    )


def _system(table: _Table) -> PackedSystem:
    from .deb import NAME, VERSION, filename

    item = PackedSystem(
        name=table.text("name"),
        version=table.text("version"),
        architecture=table.text("architecture"),
        member=table.text("member"),
        unpacked=table.size("unpacked"),
        stage=table.size("stage") if "stage" in table.raw else 0,
    )
    if not NAME.match(item.name) or not VERSION.match(item.version):
        raise _bad(table.where, "not the name and version of a package")
    if item.member != "debs/" + filename(item.name, item.version, item.architecture):
        raise _bad(table.where + ".member", "not the file of this package")
    return item


def _member(table: _Table) -> Member:
    spans = []
    for item, where in table.items("spans"):
        if not isinstance(item, list) or len(item) != 3:
            raise _bad(where, "expected [offset, size, sha256]")
        spans.append(Span(_size(item[0], where), _size(item[1], where), _digest(item[2], where)))
    return Member(
        path=table.text("path"),
        size=table.size("size"),
        sha256=table.digest("sha256"),
        offset=table.size("offset"),
        spans=tuple(spans),
    )


def plain_path(path: str) -> bool:
    """Tell whether `path` is a relative POSIX path in normal form that stays below its folder."""
    parts = path.split("/")
    return not (_CONTROL.search(path) or any(part in ("", ".", "..") for part in parts))


def _check(manifest: Manifest) -> None:
    names = set()
    end = 0
    for member in manifest.members:
        where = "kpack.json: {:.200}".format(member.path)
        if not plain_path(member.path):
            raise _bad(where, "not a plain relative path")
        if member.path in names:
            raise _bad(where, "the member stands twice")
        names.add(member.path)
        start = end + _header_size(member.path)
        if member.offset != start:
            raise _bad(
                where,
                "it is said to start at byte {}, after what comes before it it must be {}".format(member.offset, start),
            )
        end = start + padded(member.size)
        position = 0
        for span in member.spans:
            if span.offset != position or not span.size:
                raise _bad(where, "its spans leave a gap or overlap at byte {}".format(position))
            position += span.size
        if position != member.size:
            raise _bad(where, "its spans cover {} of {} bytes".format(position, member.size))
    wanted = [manifest.engine, manifest.lock]
    for target in manifest.targets:
        wanted += [item.wheel for item in target.distributions]
        if target.accelerator:
            wanted.append(target.accelerator)
        wanted += [item.member for item in target.system]
    wanted += ["checkpoints/" + item.sha256 for item in manifest.checkpoints if item.attached is None]
    for path in wanted:
        if path not in names:
            raise _bad("kpack.json: {:.200}".format(path), "the member is named but not there")


def padded(size: int) -> int:
    """Return `size` rounded up to whole tar blocks of 512 bytes."""
    return (size + 511) // 512 * 512


def _header_size(path: str) -> int:
    """Return the bytes of the tar header(s) before a member: one block, or three with a GNU long name."""
    raw = path.encode("utf-8")
    return 512 if len(raw) <= 100 else 512 + padded(len(raw) + 1) + 512
