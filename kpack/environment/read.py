"""kaggle-env.toml to `Environment`, or all its mistakes in one error."""

from __future__ import annotations

import re
import tomllib
import urllib.parse
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from kpack.environment import checkpoints as checkpoint_tables
from kpack.environment import errors, requirements, validate
from kpack.environment.errors import EnvironmentFileError, Mistake, quoted
from kpack.environment.fields import SHA256, SIZE_UNITS
from kpack.environment.model import DEFAULT_PLATFORM, VARIABLE, Environment, Index, RestoreOptions
from kpack.environment.patterns import normalise, overlap
from kpack.errors import MachineError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FILE_NAME = "kaggle-env.toml"
"""The name that `find` looks for."""


def find(start: Path) -> Path:
    """Return the nearest ``kaggle-env.toml`` in ``start`` or a folder above it.

    Raises:
        UsageError: there is none.

    """
    folder = start.absolute()
    for candidate in (folder, *folder.parents):
        path = candidate / FILE_NAME
        if path.is_file():
            return path
    raise UsageError(
        f"there is no {FILE_NAME} here or in a folder above",
        where=str(start.absolute()),
        next="run `kpack init` to write one, or name another file with --config FILE",
    )


def load(path: Path) -> Environment:
    """Read and check the file at ``path``.

    Raises:
        EnvironmentFileError: the file has mistakes; all of them are told, with line and key path.
        UsageError: there is no such file.
        MachineError: the file cannot be read.

    """
    return parse(read(path).removeprefix("\ufeff"), path)


def read(path: Path) -> str:
    """Return the text of the file at ``path`` with its line ends, and its byte order mark if it has one.

    Raises:
        UsageError: there is no such file, or it is not UTF-8.
        MachineError: the file cannot be read.

    """
    where = errors.shown_path(path)
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("there is no such file", where=where, next="run `kpack init` to write one") from error
    except IsADirectoryError as error:
        raise UsageError("is a folder, not a file", where=where, next=f"name the {FILE_NAME} in it") from error
    except OSError as error:
        raise MachineError(
            f"cannot be read: {error.strerror}", where=where, next="check the file's permissions"
        ) from error
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"is not UTF-8: byte 0x{raw[error.start]:02x}", where=f"{where}:{line}", next="save the file as UTF-8"
        ) from error


def parse(text: str, path: Path) -> Environment:
    """Read and check ``text`` as the content of ``path``, which need not exist.

    Raises:
        EnvironmentFileError: the text has mistakes.

    """
    data = _toml(text, path)
    if "lock-version" in data and "created-by" in data:
        raise UsageError(
            "is a lock file, not a kaggle-env.toml",
            where=errors.shown_path(path),
            next=f"name the {FILE_NAME} with --config",
        )
    mistakes: list[Mistake] = []
    environment = _Reading(validate.check(data, mistakes), data, path, mistakes).environment()
    if mistakes:
        raise errors.error(mistakes, path=path, text=text)
    assert environment is not None
    return environment


def _toml(text: str, path: Path) -> dict[str, Any]:
    where = errors.shown_path(path)
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        raise EnvironmentFileError([(where, "", "is nested too deeply", "")], file=where) from error
    except ValueError as error:
        what, _, place = str(error).partition(" (at ")
        number = re.match(r"line (\d+), column (\d+)", place)
        line = int(number[1]) if number else text.count("\n") + 1
        column = f", column {number[2]}" if number else ", at the end of the file" if place else ""
        found = (
            f"{where}:{line}" if place else where,
            "",
            f"is not valid TOML{column}: {what}",
            "see toml.io for the syntax",
        )
        raise EnvironmentFileError([found], file=where) from error


class _Reading:
    """Turns well-shaped values into an `Environment`; mistakes between values are added to ``mistakes``."""

    def __init__(self, good: Mapping[str, Any], data: Mapping[str, Any], path: Path, mistakes: list[Mistake]) -> None:
        self.good = good
        self.data = data
        self.path = path
        self.mistakes = mistakes

    def say(self, key: tuple[str | int, ...], what: str, advice: str = "") -> None:
        self.mistakes.append(Mistake(key=key, what=what, next=advice))

    def environment(self) -> Environment | None:
        good, mistakes = self.good, self.mistakes
        self._stem()
        self._better_digest_advice()
        bases = self._kernel()
        restore = self._restore()
        names = {
            key: requirements.names(key, good.get(key) or (), mistakes)
            for key in ("replace", "allow-source", "allow-broken", "allow-preloaded", "lax-record")
        }
        exclude = requirements.exclusions(good.get("exclude") or (), mistakes)
        self._replace_and_exclude(names["replace"], [one.pattern for one in exclude], bases)
        packages = requirements.packages(good.get("packages") or (), mistakes)
        requests = checkpoint_tables.checkpoints(good.get("checkpoints") or (), restore.directory, mistakes)
        indexes = self._indexes(good.get("indexes") or ())
        exclude_newer = self._exclude_newer()
        max_size = self._max_size()
        if mistakes:
            return None
        return Environment(
            path=self.path,
            name=good["name"],
            bases=bases,
            python=good.get("python"),
            platform=good.get("platform", DEFAULT_PLATFORM),
            packages=packages,
            exclude=exclude,
            replace=names["replace"],
            allow_source=names["allow-source"],
            allow_broken=names["allow-broken"],
            allow_preloaded=names["allow-preloaded"],
            lax_record=names["lax-record"],
            exclude_newer=exclude_newer,
            checkpoints=requests,
            indexes=indexes,
            restore=restore,
            dataset=good.get("publish", {}).get("dataset"),
            max_size=max_size,
        )

    def _stem(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", self.path.stem):
            self.say(
                (),
                f"the file's name {quoted(self.path.name)} becomes part of the lock's name",
                "rename the file: letters, digits, '.', '_' and '-' only",
            )

    def _better_digest_advice(self) -> None:
        for place, mistake in enumerate(self.mistakes):
            match mistake.key:
                case ("checkpoints", int(number), "sha256"):
                    text = self.data["checkpoints"][number]["sha256"]
                    if isinstance(text, str) and not re.fullmatch(SHA256, text):
                        what = f"{quoted(text)} ({len(text)} characters) is not a SHA-256"
                        advice = checkpoint_tables.digest_advice(text)
                        self.mistakes[place] = Mistake(key=mistake.key, what=what, next=advice)
                case _:
                    pass

    def _kernel(self) -> tuple[str, ...]:
        bases = self.good.get("base") or []
        if "base" not in self.data and "python" not in self.data:
            self.say(
                (),
                "nothing says which kernel the environment is for",
                'add base = "…" (`kpack probe --list` shows the known images), or python = "3.12" for no base',
            )
        for key in ("python", "platform"):
            if key in self.data and "base" in self.data:
                self.say((key,), f"{key} and base exclude each other: the base has its own", f"remove {key}, or base")
        seen: dict[str, int] = {}
        for number, base in enumerate(bases):
            if base is not None and seen.setdefault(base, number) != number:
                self.say(("base", number), f"{quoted(base)} stands there twice", "remove one")
        return tuple(base for base in bases if base is not None)

    def _replace_and_exclude(self, replace: Sequence[str], exclude: Sequence[str], bases: Sequence[str]) -> None:
        if replace and not bases and "base" not in self.data:
            self.say(("replace",), "replace opens packages of a base, and there is none", "remove it, or add base")
        for number, name in enumerate(replace):
            for other, pattern in enumerate(exclude):
                if overlap(name, pattern):
                    self.say(
                        ("replace", number),
                        f"{quoted(name)} is to be replaced, but exclude[{other}] {quoted(pattern)} keeps it out",
                        "remove it from one of them",
                    )

    def _restore(self) -> RestoreOptions:
        table = self.good.get("restore") or {}
        directory = table.get("directory")
        if directory is not None:
            try:
                directory = checkpoint_tables.normal_path(directory)
            except ValueError as error:
                self.say(("restore", "directory"), f"{quoted(directory)} {error}", 'write a folder, like "/kaggle/tmp"')
        return RestoreOptions(directory=directory, env=dict(table.get("env") or {}))

    def _indexes(self, tables: Sequence[Mapping[str, Any]]) -> tuple[Index, ...]:
        good: list[Index] = []
        owners: list[tuple[str, int, int]] = []
        for number, table in enumerate(tables):
            for item, text in enumerate(table.get("packages") or ()):
                if text is not None:
                    self._own(normalise(text), number, item, owners)
            name, url = table.get("name"), table.get("url")
            if url is not None:
                self._index_url(url, number)
            if name is not None and any(name == other.name for other in good):
                self.say(
                    ("indexes", number, "name"), f"two indexes are named {quoted(name)}", "give each a name of its own"
                )
            if name is not None and url is not None:
                packages = tuple(normalise(text) for text in table.get("packages") or () if text is not None)
                good.append(Index(name=name, url=url, packages=packages))
        return tuple(good)

    def _own(self, pattern: str, number: int, item: int, owners: list[tuple[str, int, int]]) -> None:
        for other, owner, place in owners:
            if (owner != number and overlap(pattern, other)) or other == pattern:
                self.say(
                    ("indexes", number, "packages", item),
                    f"{quoted(pattern)} belongs to indexes[{owner}] already ({quoted(other)} at packages[{place}])",
                    "a name belongs to exactly one index: make the patterns narrower",
                )
                return
        owners.append((pattern, number, item))

    def _index_url(self, url: str, number: int) -> None:
        at = ("indexes", number, "url")
        plain = VARIABLE.sub("x", url)
        if "${" in plain:
            self.say(at, "has '${' without a variable name and '}'", "write ${NAME}")
            return
        try:
            parts = urllib.parse.urlsplit(plain)
            parts.port  # noqa: B018 - reading it checks it, unless a variable stands there
        except ValueError:
            if "${" not in url:
                self.say(at, "is not a URL: its host or port cannot be read", "write https://host/simple")
            return
        if not parts.hostname:
            self.say(at, "has no host", "write https://host/simple")
        elif parts.query or parts.fragment:
            self.say(at, "has a '?' or '#' part, which an index URL cannot have", "write https://host/simple")

    def _exclude_newer(self) -> datetime | None:
        value: date | None = self.good.get("exclude-newer")
        if value is None:
            return None
        try:
            if isinstance(value, datetime):
                return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
            return datetime(value.year, value.month, value.day, tzinfo=UTC) + timedelta(days=1)
        except OverflowError:
            self.say(
                ("exclude-newer",), f"{value} is too near to the end of the calendar", "write a day of this century"
            )
            return None

    def _max_size(self) -> int | None:
        value: int | str | None = self.good.get("max-size")
        if not isinstance(value, str):
            return value
        match = re.fullmatch(r"([0-9.]+) ?([A-Za-z]+)", value)
        assert match is not None
        size = int(Fraction(match[1]) * SIZE_UNITS[match[2]])
        if size == 0:
            self.say(("max-size",), f"{quoted(value)} is nothing", "write a number of bytes above 0")
        return size
