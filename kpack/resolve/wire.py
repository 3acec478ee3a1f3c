"""What travels between kpack and its worker, a process with pip in it: one message a line, as JSON.

kpack sends a `Question` or a `RequiresQuestion`; the worker sends any number of `Underway` and then `Answer`,
`RequiresAnswer` or `Failure`. The end of what kpack sends is the end of the worker.
"""

from __future__ import annotations

import functools
import json
import types
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal, Union

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request of kaggle-env.toml."""

    text: str
    """As the user wrote it."""
    line: str
    """A requirement without marker, or the ``file:`` URL of a path with ``[extras]`` behind it."""
    hashes: tuple[str, ...] = ()
    """SHA-256 digests, one of which its file has to have; empty for any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provided:
    """A distribution that the kernel has already."""

    name: str
    version: str
    requires_dist: tuple[str, ...] | None = None
    provides_extra: tuple[str, ...] | None = None
    opened: bool = False
    """The pack may bring another version (``replace``)."""
    first: bool = False
    """While it is opened: its own version is tried before any other."""
    counts: bool = True
    """While it is opened: it takes part whether anything asks for it or not, and what it requires of other opened
    names counts as long as it stays."""
    by: str = "the base image"
    """Who says that it is there: ``the base image`` or ``exclude``."""
    doubt: str = ""
    """What to say beside the version where it is not certain: ``resolved, not seen``."""

    @property
    def shown(self) -> str:
        """The version, with what makes it doubtful behind: ``4.8.5, resolved, not seen``."""
        return f"{self.version}, {self.doubt}" if self.doubt else self.version


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A requirement of a base package on an opened name, which the answer must respect."""

    by: str
    """``transformers 4.57.1``."""
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexAddress:
    """One index; the first of a question is the default one."""

    url: str = field(repr=False)
    """With credentials; empty for pip's own default."""
    packages: tuple[str, ...] = ()
    """Normalised names or patterns that belong to it; empty for the default index."""
    shape: Literal["simple", "links"] = "simple"
    """``links``: one flat page of links, or a folder (a ``file:`` URL)."""


class Owners:
    """Which of several indexes a name belongs to; the first of them is the default one."""

    def __init__(self, indexes: Sequence[IndexAddress]) -> None:
        self._default = indexes[0] if indexes else IndexAddress(url="")
        self._names: dict[str, IndexAddress] = {}
        self._patterns: list[tuple[str, IndexAddress]] = []
        for index in indexes[1:]:
            for pattern in index.packages:
                if "*" in pattern or "?" in pattern:
                    self._patterns.append((pattern, index))
                else:
                    self._names[pattern] = index

    def index_of(self, name: str) -> IndexAddress:
        """Return the one index that the normalised ``name`` belongs to."""
        if (found := self._names.get(name)) is not None:
            return found
        return next((index for pattern, index in self._patterns if fnmatchcase(name, pattern)), self._default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unisolated:
    """Packages that are built with what an interpreter has, and not in an environment of their own."""

    names: tuple[str, ...]
    python: str = ""
    """The target's interpreter on this machine; empty when there is none."""
    unlike: str = ""
    """Why there is none: in which way the one at hand is not the target's."""
    ways_out: str = ""
    """What to do about that."""


def moment_of(exclude_newer: datetime | None) -> str | None:
    """Return a moment as a question has it: ``2026-01-01T00:00:00``, in UTC."""
    # Not strftime: its %Y writes the year 1 as "1".
    return None if exclude_newer is None else exclude_newer.replace(tzinfo=None).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What does this target get."""

    label: str
    python_version: str
    python_full_version: str
    environment: dict[str, str]
    tags: tuple[str, ...]
    """``cp312-cp312-manylinux_2_35_x86_64``, best first."""
    asked: tuple[Asked, ...]
    asker: str = "kaggle-env.toml"
    """Who asks, as sentences say it."""
    glibc_inferred: str = ""
    """``2.39``, where the image probably has a newer glibc than `tags` count on; only words depend on it."""
    provided: tuple[Provided, ...] = ()
    limits: tuple[Limit, ...] = ()
    pins: dict[str, str] = field(default_factory=dict)
    """Versions of the old lock, kept where they fit."""
    allow_source: tuple[str, ...] = ()
    no_deps: tuple[str, ...] = ()
    """Names whose requirements are not followed."""
    substitute: dict[str, str] = field(default_factory=dict)
    """Names that others stand for: a requirement on a key counts as one on its value."""
    unisolated: Unisolated | None = None
    exclude_newer: str | None = None
    """``2026-11-02T00:00:00``, UTC: files uploaded then or later do not exist."""
    indexes: tuple[IndexAddress, ...] = ()
    cache_dir: str = ""
    accelerator: str = "isal"
    """Name of the distribution whose best wheel is reported on the side; empty for none."""
    prefetch: bool = True
    rounds: int = 3000
    """Rounds (one distribution chosen, or one choice taken back) that a search is granted; real ones need a few
    hundred."""
    seconds: float = 0.0
    """The same in seconds, for words that are being tried; 0 for no end."""
    read_sources: bool = False
    """What an sdist requires is read from it and never built: words are tried, and nobody allowed its code yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A name and its version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiresQuestion:
    """What do these versions require, by the metadata of their wheels."""

    label: str
    distributions: tuple[Named, ...]
    indexes: tuple[IndexAddress, ...] = ()
    cache_dir: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request of kaggle-env.toml with the name that it turned out to have."""

    name: str
    requirement: str
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What a resolved distribution asks for on the target."""

    name: str
    extras: tuple[str, ...]
    requirement: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """A file as a lock keeps it."""

    filename: str
    url: str | None
    """Without credentials; None for a local file."""
    sha256: str | None
    size: int | None = None
    """Bytes."""
    upload_time: str | None = None
    index: str | None = None
    """URL of the Simple index; None (or empty) for a direct URL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSource:
    """What a distribution that is no wheel of an index is made from; see `kpack.resolve.model.Source`."""

    kind: Literal["sdist", "archive", "vcs", "directory", "wheel"]
    url: str
    """Without credentials; an absolute path for what is local."""
    sha256: str | None = None
    commit: str | None = None
    revision: str | None = None
    subdirectory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """One distribution of the answer."""

    name: str
    version: str
    extras: tuple[str, ...]
    asks: tuple[Ask, ...]
    kernel: bool = False
    """The kernel has it already."""
    direct: bool = False
    """It was asked for by URL or path."""
    requires_dist: tuple[str, ...] = ()
    license: tuple[str, ...] = ()
    """Lines of `kpack.licenses.headers`."""
    file: FoundFile | None = None
    source: FoundSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A distribution that is older than the newest, and what holds it."""

    name: str
    version: str
    newest: str
    because: str
    candidate: str = ""
    """The newest that exists for the target's Python, as a wheel or as an sdist; empty when it is the one taken."""
    days: int | None = None
    """Between the uploads of the two, where the index tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How much work it was."""

    requests: int
    metadata: int
    """Metadata files read from the network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one target gets."""

    asked: tuple[Request, ...]
    resolved: tuple[Resolved, ...]
    held_back: tuple[Older, ...] = ()
    accelerator: FoundFile | None = None
    notes: tuple[str, ...] = ()
    figures: Figures = field(default=Figures(requests=0, metadata=0), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequiresAnswer:
    """Requires-Dist lines by name."""

    found: dict[str, tuple[str, ...]]
    absent: tuple[str, ...] = ()
    """Names of which the index has no wheel in that version: it will get none any more."""
    unread: tuple[str, ...] = ()
    """Names whose wheels could not be read: another day they may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obstacle:
    """A requirement that cannot be met."""

    name: str
    requirement: str
    """In the words of who asks last."""
    request: str
    """The request of kaggle-env.toml that leads there; empty when it is what a base package asks."""
    kind: str
    """``kernel``, ``unknown``, ``two``, ``none``, or the kind of a `kpack.resolve.worker.unusable.Unusable`."""
    version: str = ""
    """The version that cannot be taken, for those kinds."""
    sdist: bool = False
    """An sdist of it exists."""
    newest: str = ""
    """Newest version that the target can take, whatever was asked."""
    against: str = ""
    """For ``two``: the request of kaggle-env.toml that leads to the other requirement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why there is no answer."""

    kind: Literal["no-solution", "network", "integrity", "old-pip"]
    text: str = ""
    next: str = ""
    """What to do."""
    host: str = ""
    """For ``network``: who failed."""
    status: int | None = None
    """For ``network``: the HTTP status, None when there was no answer."""
    name: str = ""
    """For ``no-solution``: the distribution that stands in the way."""
    because: str = ""
    """For ``no-solution``: the kind of conflict."""
    obstacles: tuple[Obstacle, ...] = ()
    """For ``no-solution``: all that stands in the way on the road of the newest versions, the one told first."""
    causes: tuple[str, ...] = ()
    """For ``no-solution``: normalised names that the resolver gave up at: of what is asked for, and of who asks."""
    unbuilt: tuple[str, ...] = ()
    """For words that are tried: names that the search met, on whatever road, of which there are only sdists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Underway:
    """How far the worker is."""

    requests: int
    """HTTP requests that were sent up to now, for all its questions."""
    known: int = 0
    """Distributions that have a version in the search under way."""
    back: str = ""
    """The name of which version after version is given up just now: the search backtracks there; empty for none."""
    rejected: int = 0
    """Its versions that were given up."""
    trying: bool = False
    """Words are being tried, and not the requests themselves."""
    building: str = ""
    """The source that is asked just now what it requires, and what its build needs; empty for none."""


Message = Question | RequiresQuestion | Answer | RequiresAnswer | Failure | Underway
_MESSAGES = {each.__name__: each for each in typing.get_args(Message)}


MARK = '{"is": '
"""What a line begins with that is a message."""

KEEPING = 2.0
"""Seconds that a worker gets at the end to keep the pages that it has read: the next lock would ask for them."""


def dumps(message: Message) -> str:
    """Return the message as one line of JSON."""
    return json.dumps({"is": type(message).__name__, **_shallow(message)}, default=_shallow)


def loads(line: str) -> Any:
    """Return the `Message` that `dumps` wrote.

    Raises:
        ValueError, KeyError, TypeError: it is none.

    """
    data = json.loads(line)
    return _read(_MESSAGES[data.pop("is")], data)


def _shallow(value: Any) -> dict[str, Any]:
    """Return a dataclass as a dict of its fields; `dataclasses.asdict` copies what lies in them, and takes its time."""
    return {name: getattr(value, name) for name in _names(value.__class__)}


@functools.cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(item.name for item in fields(kind))


def _read(hint: Any, value: Any) -> Any:
    reader = _reader(hint)
    return value if reader is None else reader(value)


@functools.cache
def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """Return what makes a value of ``hint`` from one of JSON; None when that is the same. Thousands pass through."""
    if is_dataclass(hint):
        return _reader_of(typing.cast("type", hint))
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, Union):
        inner = _reader(arguments[0])
        return None if inner is None else lambda value: None if value is None else inner(value)
    if origin is tuple:
        item = _reader(arguments[0])
        return tuple if item is None else lambda value: tuple(map(item, value))
    if origin is dict:
        held = _reader(arguments[1])
        return None if held is None else lambda value: {key: held(each) for key, each in value.items()}
    return None


def _reader_of(kind: type) -> Callable[[Any], Any]:
    hints, names = typing.get_type_hints(kind), _names(kind)
    deep = [(name, reader) for name in names if (reader := _reader(hints[name])) is not None]

    def read(value: Any) -> Any:
        facts = {name: value[name] for name in names}
        for name, reader in deep:
            facts[name] = reader(facts[name])
        return kind(**facts)

    return read
