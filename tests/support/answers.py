"""Every object that ``--json`` prints, held against its schema in ``schemas/answers``, in whichever test it is printed.

`watch` holds each call with ``--json``, in a process of tests or in one that it starts, to the contract: one object on
stdout and nothing else, as its schema has it, with the exit code that goes with it. The schemas are closed, so that a
key that is printed somewhere and described nowhere fails the test that comes by.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, TextIO

from tests.support.terminal import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

FOLDER = ROOT / "schemas" / "answers"
SUFFIX = ".schema.json"

STOPPED = 130
"""The exit code of what Ctrl-C ended."""

NO = {"audit": 1, "build": 1, "cache-verify": 5, "diff": 1, "drift": 1, "lock": 1, "rehearse": 1, "verify": 5}
"""The exit codes that go with an answer which says no; with any other code there is an error."""

_NO_ANSWER = frozenset({"-h", "--help", "--version", "--debug"})
"""Words that ask for something else; what fails with ``--debug`` raises."""


def name_of(words: Sequence[str]) -> str:
    """Return the name of the schema for a command line: ``lock``, ``cache-size``."""
    from kpack.cli import COMMANDS

    place = next(number for number, word in enumerate(words) if word in COMMANDS)
    return f"cache-{words[place + 1]}" if words[place] == "cache" else words[place]


def load() -> None:
    """Load what answers are held against: a process that forks for each call does it once, for all of them."""
    for path in FOLDER.glob(f"*{SUFFIX}"):
        _validator(path.name.removesuffix(SUFFIX))


@functools.cache
def _validator(name: str) -> Any:
    # No schema asks for the format of a URL, and its grammars, which jsonschema reads where it can, take seconds.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]
    import jsonschema

    schema = json.loads((FOLDER / f"{name}{SUFFIX}").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def checked(words: Sequence[str], text: str) -> Any:
    """Return the object that ``kpack`` printed for ``words``, when it is what the schema says."""
    value = json.loads(text)
    name = "error" if isinstance(value, dict) and "error" in value else name_of(words)
    wrong = [_told(error) for error in _validator(name).iter_errors(value)]
    assert not wrong, (name, wrong)
    return value


def _told(error: Any) -> str:
    """Return what is wrong, of alternatives the one that comes nearest."""
    import jsonschema

    nearest = jsonschema.exceptions.best_match([error])
    return f"{nearest.json_path}: {nearest.message:.300}"


def fits(words: Sequence[str], code: int, out: str, err: str) -> None:
    """Assert that a call with ``--json`` kept the contract."""
    value = checked(words, out)
    if "error" in value:
        assert value["error"]["code"] == code, (words, code, out)
        assert code == STOPPED or 1 <= code <= 7, (words, code, out)
    else:
        assert code in {0, NO.get(name_of(words), 0)}, (words, code, out)
    assert '{"' not in err, (words, err)


def _answers(words: Sequence[str]) -> bool:
    """Tell whether a command line asks for an object on stdout."""
    options = words[: words.index("--")] if "--" in words else words
    return "--json" in options and not _NO_ANSWER & set(options)


class _Kept:
    """A stream that keeps what is written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self.text = ""

    def write(self, text: str) -> int:
        size = self._stream.write(text)
        self.text += text
        return size

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _watched(run: Callable[[list[str]], int]) -> Callable[[list[str]], int]:
    @functools.wraps(run)
    def watched(arguments: list[str]) -> int:
        if not _answers(arguments):
            return run(arguments)
        before = sys.stdout, sys.stderr
        out, err = _Kept(sys.stdout), _Kept(sys.stderr)
        sys.stdout, sys.stderr = out, err
        try:
            code = run(arguments)
        finally:
            sys.stdout, sys.stderr = before
        if out.text or "restore" not in arguments:  # a pack's engine answers in a process of its own
            fits(arguments, code, out.text, err.text)
        return code

    return watched


def _read(communicate: Callable[..., tuple[Any, Any]]) -> Callable[..., tuple[Any, Any]]:
    @functools.wraps(communicate)
    def read(process: subprocess.Popen[Any], *args: Any, **named: Any) -> tuple[Any, Any]:
        out, err = communicate(process, *args, **named)
        words = [str(word) for word in process.args] if isinstance(process.args, (list, tuple)) else []
        called = any(word.endswith("kpack") or "kpack.cli" in word for word in words)
        if called and _answers(words) and out is not None and process.returncode >= 0:
            fits(words, process.returncode, *(_text(stream) for stream in (out, err)))
        return out, err

    return read


def _text(stream: str | bytes | None) -> str:
    return stream.decode("utf-8") if isinstance(stream, bytes) else stream or ""


def watch() -> None:
    """Hold every ``kpack … --json`` to the contract, called in this process or read from one that it starts."""
    from kpack import cli

    if not hasattr(cli.run, "__wrapped__"):
        cli.run = _watched(cli.run)  # type: ignore[assignment]
        subprocess.Popen.communicate = _read(subprocess.Popen.communicate)  # type: ignore[method-assign]
