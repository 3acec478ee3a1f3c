"""The command line: words in, calls to the library, text or JSON out, one exit code."""

from __future__ import annotations

import gc
import importlib
import json
import os
import re
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from kpack import __version__, streams
from kpack.cli.completion import VARIABLE
from kpack.cli.guessing import guessed
from kpack.cli.session import SCREEN, Session, warn
from kpack.errors import ExitCode, KpackError, MachineError, UsageError
from kpack.restore.errors import RestoreError, no_working_folder

COMMANDS = {
    "init": "environment",
    "status": "environment",
    "add": "environment",
    "remove": "environment",
    "record": "environment",
    "lock": "environment",
    "why": "environment",
    "build": "pack",
    "verify": "pack",
    "inspect": "pack",
    "diff": "pack",
    "audit": "pack",
    "rehearse": "pack",
    "bootstrap": "kernel",
    "push": "Kaggle",
    "notebook": "Kaggle",
    "probe": "kernel",
    "restore": "kernel",
    "drift": "kernel",
    "cache": "machine",
    "completion": "machine",
}
"""Every command and the heading it stands under; each lives in the module of its name, imported when it is used."""


_LONG = 200
"""Characters of an advice whose alternatives stand on lines of their own."""

_ELSEWHERE = {
    "install": "add",
    "uninstall": "remove",
    "sync": "restore",
    "compile": "lock",
    "freeze": "lock",
    "resolve": "lock",
    "update": "lock --upgrade",
    "upgrade": "lock --upgrade",
    "pack": "build",
    "check": "lock --check",
    "list": "inspect",
    "show": "why",
    "tree": "why",
    "publish": "push",
    "upload": "push",
    "new": "init",
    "line": "bootstrap",
    "download": "build",
    "fetch": "build",
    "test": "rehearse",
    "run": "rehearse",
    "doctor": "status",
    "images": "probe --list",
    "clean": "cache prune",
    "help": "--help",
    "version": "--version",
}
"""What other tools call it, and what it is called here."""

_STRAY = {
    "init": "kpack init --from {word} takes over what a file says",
    "lock": "kpack add {word} asks for it; kpack lock -P {word} lets go of its pin",
    "probe": "kpack probe --kaggle {word} runs it in such a notebook",
}
"""By command: what somebody meant who wrote a word behind it, where none belongs."""


_YOUNG = 100_000
"""Objects that are made before the collector looks for garbage in circles: commands make many that live to the end."""

_EXTRA = re.compile(r"Got unexpected extra arguments? \((\S+?)[ )]")
"""What click says of words that a command has no place for."""

_MANY = re.compile("more than once|repeatable")

_FLAGS = frozenset({"-q", "--quiet", "-v", "--verbose", "--debug"})
"""Options of the group that take no value."""


class _Commands(click.Group):
    """A group that imports a command when it is asked for: an unchanged lock is answered before rich is loaded."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command = getattr(importlib.import_module(f"kpack.cli.{cmd_name}"), cmd_name)
        assert isinstance(command, click.Command)
        return _unwrapped(command)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            about = next((word for word in args[1:] if word in COMMANDS), "")
            raise guessed(error, ctx, args[0], COMMANDS, _ELSEWHERE | {"help": f"{about} --help".strip()}) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading in dict.fromkeys(COMMANDS.values()):
            rows = []
            for name in (name for name, place in COMMANDS.items() if place == heading):
                command = self.get_command(ctx, name)
                assert command is not None
                rows.append((name, command.get_short_help_str(200)))
            with formatter.section(heading.capitalize()):
                formatter.write_dl(rows)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kpack")
@click.option(
    "--config", type=click.Path(path_type=Path), help="Another kaggle-env.toml; default: the nearest upwards."
)
@click.option("-q", "--quiet", is_flag=True, help="Print the answer and what goes wrong, and nothing else.")
@click.option("-v", "--verbose", is_flag=True, help="Print all of every list, and what becomes of each file.")
@click.option("--debug", is_flag=True, help="Show a traceback when something fails.")
@click.pass_context
def group(ctx: click.Context, config: Path | None, *, quiet: bool, verbose: bool, debug: bool) -> None:
    r"""Carry a Python environment and its checkpoints into a Kaggle notebook without internet.

    \b
    kpack init     write a kaggle-env.toml
    kpack lock     compile it for the kernel's Python and image
    kpack build    make the pack, and the line to paste in the notebook

    The options below may stand behind the command, too.
    """
    SCREEN.volume = verbose - quiet
    ctx.obj = Session(config=config, debug=debug)


def _unwrapped(command: click.Command) -> click.Command:
    r"""Turn the ``\b`` that a raw docstring writes to click's mark for a paragraph that keeps its lines.

    Options that may be given more than once say so.
    """
    command.help = (command.help or "").replace("\\b\n", "\b\n")
    for option in command.params:
        if isinstance(option, click.Option) and option.multiple and not _MANY.search(option.help or ""):
            option.help = f"{(option.help or '').removesuffix('.')}; repeatable."
    return command


_unwrapped(group)


def main() -> NoReturn:
    """Run the command line and exit with a code of `kpack.errors.ExitCode`."""
    gc.set_threshold(_YOUNG, 20, 20)
    if instruction := os.environ.get(VARIABLE):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(group, {}, "kpack", VARIABLE, instruction))
    _leave(run(sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End this process as it is: to take all modules apart first is a fifth of a short command.

    Whatever has to be put in order belongs to a context, and these are behind; nothing here waits for an ``atexit``.
    """
    os._exit(streams.settled(code))


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code; what goes wrong is said on stderr, or as JSON on stdout."""
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    session = Session(debug="--debug" in words, json="--json" in words)
    SCREEN.volume = 0
    try:
        with group.make_context("kpack", _group_first(arguments)) as ctx:
            result = group.invoke(ctx)
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return int(ExitCode.USAGE)
    except click.ClickException as error:
        usage = UsageError(error.format_message(), next=_help(error, arguments))
        return _fail(session, usage.to_dict())
    except (Exception, KeyboardInterrupt) as error:
        if session.debug and not isinstance(error, (click.Abort, KeyboardInterrupt)):
            raise
        return _failed(session, error)
    return int(result) if isinstance(result, int) else int(ExitCode.DONE)


def failed(error: Exception | KeyboardInterrupt, *, as_json: bool) -> int:
    """Say what a command raised that ran without this module, and return the exit code; see `kpack.shortcut`."""
    return _failed(Session(json=as_json), error)


def _failed(session: Session, error: Exception | KeyboardInterrupt) -> int:
    if isinstance(error, (click.Abort, KeyboardInterrupt)):
        return _stopped(session, error)
    return _fail(session, _told(error))


def _stopped(session: Session, error: BaseException) -> int:
    from kpack.cli import interrupt

    if isinstance(error, interrupt.Interrupted) and not interrupt.first():
        return interrupt.CODE
    return _fail(session, {"code": interrupt.CODE, "what": "stopped", "where": "", "next": getattr(error, "next", "")})


def _group_first(arguments: list[str]) -> list[str]:
    """Return the words with the group's options before the command: they may stand behind it, too."""
    words, front = list(arguments), []
    end = words.index("--") if "--" in words else len(words)
    place = 0
    while place < end:
        word = words[place]
        count = 2 if word == "--config" else 1 if word in _FLAGS or word.startswith("--config=") else 0
        if count and place + count <= end:
            front += words[place : place + count]
            del words[place : place + count]
            end -= count
        else:
            place += 1
    return [*front, *words]


def _told(error: Exception) -> dict[str, object]:
    """Return what a user reads of an error.

    A fault in kpack itself has no traceback either, and no exit code that says that a check failed.
    """
    if isinstance(error, FileNotFoundError) and error.filename is None:
        error = no_working_folder()
    if isinstance(error, (KpackError, RestoreError)):
        return {**error.to_dict()}
    if isinstance(error, OSError):
        return MachineError(
            error.strerror or str(error) or type(error).__name__, where=str(error.filename or "")
        ).to_dict()
    if isinstance(error, MemoryError):
        return MachineError(
            "there is not enough memory", next="give kpack more of it (ulimit -v, the container's bound), or end others"
        ).to_dict()
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    return MachineError(
        f"a fault in kpack itself: {type(error).__name__}: {error}",
        where=f"{Path(place.filename).name}:{place.lineno}",
        next="run it again as kpack --debug ... and report what it prints",
    ).to_dict()


def _help(error: click.ClickException, arguments: list[str]) -> str:
    """Return where to read on; click does not say of every error which command it is about."""
    ctx = getattr(error, "ctx", None)
    if ctx and ctx.parent:
        return f"{_meant(ctx, error.format_message())}see {ctx.command_path} --help"
    command = next((word for word in _group_first(arguments) if word in COMMANDS), "")
    return f"see {' '.join(filter(None, ['kpack', command]))} --help"


def _meant(ctx: click.Context, message: str) -> str:
    """Return what the first word was meant for that a command has no place for, as far as that can be guessed."""
    found = _EXTRA.match(message)
    word = found[1] if found else ""
    if word.endswith(".toml"):
        return f"kpack --config {word} {ctx.info_name} takes another kaggle-env.toml; "
    row = _STRAY.get(ctx.info_name or "") if word else None
    return f"{row.format(word=word)}; " if row else ""


def _fail(session: Session, error: dict[str, object]) -> int:
    if session.json:
        click.echo(json.dumps({"error": error}))
    if not session.json or streams.lost() is not None:
        where = f"{error['where']}: " if error["where"] else ""
        warn(f"kpack: {where}{error['what']}")
        if error["next"]:
            for row in str(error["next"]).splitlines():
                warn(f"  → {row}" if len(row) < _LONG else f"  → {row}".replace("; or ", "\n    or "))
    code = error["code"]
    assert isinstance(code, int)
    return code
