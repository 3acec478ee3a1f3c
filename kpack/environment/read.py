"""kaggle-env.toml to `Environment`, or all its mistakes in one error."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from kpack import places
from kpack.environment import errors, rows, toml, validate
from kpack.environment.checkpoints import digest_advice
from kpack.environment.errors import EnoughMistakesError, EnvironmentFileError, Mistake, Mistakes, quoted
from kpack.environment.keys import DOCUMENT
from kpack.environment.model import Environment
from kpack.environment.patterns import Names
from kpack.environment.rows import SHA256, Reading
from kpack.errors import MachineError, UsageError
from kpack.files import OddFileError, read_bounded
from kpack.places import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kpack.environment.model import Exclusion

LARGEST = 1 << 20
"""Bytes of the largest kaggle-env.toml that is read."""


def find(start: Path) -> Path:
    """Return the nearest ``kaggle-env.toml`` in ``start`` or a folder above it.

    Raises:
        UsageError: there is none.

    """
    if (path := places.nearest(start)) is not None:
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
        UsageError: there is no such file, it is not UTF-8, larger than `LARGEST`, or no regular file.
        MachineError: the file cannot be read.

    """
    where = errors.shown_path(path)
    try:
        raw = read_bounded(path, LARGEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError("there is no such file", where=where, next="run `kpack init` to write one") from error
    except OddFileError as error:
        which = f"the {FILE_NAME} in it" if path.is_dir() else f"a {FILE_NAME}"
        raise UsageError(str(error), where=where, next=f"name {which}") from error
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
    environment, mistakes = _checked(data, path)
    if mistakes:
        raise errors.error(mistakes, path=path, text=text)
    assert environment is not None
    return environment


def mistakes_in(data: Mapping[str, Any], path: Path) -> Sequence[Mistake]:
    """Return what is wrong with ``data`` as the parsed content of ``path``, which need not exist."""
    return _checked(data, path)[1]


def _checked(data: Mapping[str, Any], path: Path) -> tuple[Environment | None, Mistakes]:
    mistakes = Mistakes()
    environment = None
    with contextlib.suppress(EnoughMistakesError):
        environment = _Reader(validate.check(data, mistakes), data, path, Reading(mistakes)).environment()
    return environment, mistakes


def _toml(text: str, path: Path) -> dict[str, Any]:
    try:
        return toml.loads(text)
    except toml.NotTomlError as error:
        where = errors.shown_path(path)
        raise EnvironmentFileError([(f"{where}:{error.line}", "", error.what, error.advice)], file=where) from error


class _Reader:
    """Turns well-shaped values into an `Environment`; what is wrong between values is added to the mistakes."""

    def __init__(self, good: Mapping[str, Any], data: Mapping[str, Any], path: Path, reading: Reading) -> None:
        self.good = good
        self.data = data
        self.path = path
        self.reading = reading
        self.say = reading.say

    def environment(self) -> Environment | None:
        self._better_digest_advice()
        values = rows.read(self.good, DOCUMENT.rows, (), self.reading)
        self._stem()
        self._kernel()
        self._replace_and_exclude(values.get("replace", ()), values.get("exclude", ()))
        if self.reading.mistakes:
            return None
        return Environment(path=self.path, **{"bases": (), **values})

    def _stem(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,80}", self.path.stem):
            self.say(
                (),
                f"the file's name {quoted(self.path.name)} becomes part of the lock's name",
                "rename the file: letters, digits, '.', '_' and '-' only",
            )

    def _better_digest_advice(self) -> None:
        mistakes = self.reading.mistakes
        for place, mistake in enumerate(mistakes):
            match mistake.key:
                case ("checkpoints", int(number), "sha256"):
                    text = self.data["checkpoints"][number]["sha256"]
                    if isinstance(text, str) and not re.fullmatch(SHA256, text):
                        what = f"{quoted(text)} ({len(text)} characters) is not a SHA-256"
                        mistakes[place] = Mistake(key=mistake.key, what=what, next=digest_advice(text))
                case _:
                    pass

    def _kernel(self) -> None:
        if "base" not in self.data and "python" not in self.data:
            self.say(
                (),
                "nothing says which kernel the environment is for",
                'add base = "…" (`kpack probe --list` shows the known images), or python = "3.12" for no base',
            )
        for key in ("python", "platform"):
            if key in self.data and "base" in self.data:
                self.say((key,), f"{key} and base exclude each other: the base has its own", f"remove {key}, or base")

    def _replace_and_exclude(self, replace: Sequence[str], exclude: Sequence[Exclusion]) -> None:
        if replace and "base" not in self.data:
            self.say(("replace",), "replace opens packages of a base, and there is none", "remove it, or add base")
        patterns = [one.pattern for one in exclude]
        names = Names(patterns)
        for number, name in enumerate(replace):
            other = names.find(name)
            if other is not None:
                self.say(
                    ("replace", number),
                    f"{quoted(name)} is to be replaced, but exclude[{other}] {quoted(patterns[other])} keeps it out",
                    "remove it from one of them",
                )
