"""The pages of the reference, made from the code and its schemas: ``python -m docs.generate`` writes them anew.

A test holds what is committed against what this makes.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from kpack import errors
from kpack.cli import COMMANDS, group
from kpack.environment.keys import DOCUMENT
from kpack.environment.rows import FixedTable, Flag, Moment, Row, Shape, Size, Text, TextMap, Texts
from kpack.environment.schema import toml
from kpack.lock.schema import SCHEMA as LOCK

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "reference"
_MADE = "<!-- Made by python -m docs.generate: change the code, not this page. -->\n\n"

VARIABLES = {
    "KPACK_INPUT": ("in the kernel", "Another root than `/kaggle/input` to look for the pack below."),
    "KPACK_PACK": ("in the kernel", "This very file, or the folder that holds the pack, whatever it is called."),
    "KPACK_DRIFT": ("in the kernel", "`note`: an image that has moved, and other versions that are there, are notes."),
    "KPACK_CACHE": ("lock, build", "Where downloads are kept; `kpack cache` says where that is."),
    "KPACK_INDEX_URL": ("lock, build", "The default package index, when it is another than pip's."),
    "KPACK_PYTHON": (
        "lock, build",
        "The interpreter whose packages `no-build-isolation` builds with; kpack's own when it is not set.",
    ),
    "KPACK_URLS": (
        "lock, build",
        "URLs with a user or a fresh signature, for servers and files that the lock names without.",
    ),
    "KPACK_FETCH_SLOWEST": ("lock, build", "Bytes a second below which a connection counts as stalled; 1024."),
    "KPACK_FETCH_SECONDS": ("lock, build", "Seconds that one file may take; 21600."),
}
"""Each variable: who reads it, and what it says. A test finds every name that the code has, and no other."""


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {
        "kaggle-env.md": _MADE + "\n".join(_environment()),
        "lock.md": _MADE + "\n".join(_lock()),
        "pack.md": _MADE + "\n".join(_pack()),
        "commands.md": _MADE + "\n".join(_commands()),
        "exit-codes.md": _MADE + "\n".join(_exit_codes()),
        "answers.md": _MADE + "\n".join(_answers()),
        "variables.md": _MADE + "\n".join(_variables()),
    }


def main() -> None:
    """Write the pages."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _environment() -> Iterator[str]:
    yield "# kaggle-env.toml\n"
    yield (
        "The one file that you write. `kpack init` makes it, `kpack add` and `kpack remove` edit it and keep your "
        "comments. A mistake is told with its line and the nearest right spelling, all of a file at once. "
        "`kpack init --schema` writes the JSON Schema from which editors complete these keys.\n"
    )
    yield "The file has either `base` or `python`. All other keys may be left out, but for `name`.\n"
    yield from _rows(DOCUMENT, "")
    for row in DOCUMENT.rows:
        if isinstance(row.kind.shape, FixedTable):
            title = f"[[{row.key}]]" if row.kind.shape.many else f"[{row.key}]"
            yield f"## `{title}`\n"
            yield f"{row.description}\n"
            yield from _rows(row.kind.shape, f"{row.key}.")


def _rows(table: FixedTable, prefix: str) -> Iterator[str]:
    level = "###" if prefix else "##"
    for row in table.rows:
        if not isinstance(row.kind.shape, FixedTable):
            yield f"{level} `{row.key}`\n"
            yield f"{_escaped(row.description)}\n"
            yield f"*{_type(row)}*\n"
            if row.example is not None:
                yield f"```toml\n{row.key} = {toml(row.example)}\n```\n"


def _type(row: Row) -> str:
    return _shape(row.kind.shape) + (", required" if row.required else "")


def _shape(shape: Shape) -> str:
    if isinstance(shape, Text):
        return "a string, or `true`" if shape.or_true else "a string"
    if isinstance(shape, Texts):
        return "a string, or a list of strings" if shape.single else "a list of strings"
    if isinstance(shape, Moment):
        return "a date or a date with time"
    if isinstance(shape, Size):
        return "a number of bytes, or a string with a unit"
    if isinstance(shape, Flag):
        return "`true` or `false`"
    assert isinstance(shape, TextMap)
    return "a table of strings"


def _lock() -> Iterator[str]:
    yield "# The lock\n"
    yield (
        "`pylock.<stem>.toml` is a lock file of "
        "[PEP 751](https://packaging.python.org/en/latest/specifications/pylock-toml/): pip 26.1 and newer and uv "
        "install from it. Each package has one file for each target, with URL, size, time of upload and SHA-256. What "
        "the image has is not in it. `[tool.kpack]` holds what only kpack needs; the tables below are those of "
        "`schemas/lock.schema.json`.\n"
    )
    yield from _schema(LOCK["properties"]["tool"]["properties"]["kpack"], "tool.kpack")
    package = LOCK["properties"]["packages"]["items"]["properties"]["tool"]["properties"]["kpack"]
    yield from _schema(package, "packages.tool.kpack")


def _pack() -> Iterator[str]:
    manifest = json.loads((ROOT / "schemas" / "manifest.schema.json").read_text(encoding="utf-8"))
    yield "# The pack\n"
    yield (
        "`<name>.kpack.bin` is a plain tar: no compression, a fixed order, one owner, one time. The same lock and the "
        "same kpack give the same bytes. Kaggle leaves the suffix `.bin` alone.\n"
    )
    yield "| member | holds |"
    yield "| --- | --- |"
    for member, holds in _MEMBERS:
        yield f"| `{member}` | {holds} |"
    yield ""
    yield (
        "The SHA-256 of `bootstrap.py` is the **pack id**. The pasted line pins it; `bootstrap.py` pins the manifest; "
        "the manifest pins every span of every other member.\n"
    )
    yield "The manifest, `kpack.json`, after `schemas/manifest.schema.json`:\n"
    yield from _schema(manifest, "kpack.json", manifest)


_MEMBERS = (
    ("bootstrap.py", "checks the manifest and the engine, and hands over; always first"),
    ("kpack.json", "the manifest"),
    ("restore.bin", "the restore engine: its sources, standard library only, Python 3.8 and newer"),
    ("pylock.<stem>.toml", "the lock with relative paths, for an installation by hand"),
    ("requirements.txt", "the same with hashes, for `pip --no-index --find-links wheels`"),
    ("wheels/…", "the wheels, byte for byte as the index has them"),
    ("checkpoints/<sha256>", "each model file once"),
)


def _schema(schema: dict[str, Any], title: str, root: dict[str, Any] | None = None) -> Iterator[str]:
    """Yield a table for an object of a JSON Schema, then those of the objects inside it."""
    yield f"## `{title}`\n"
    if schema.get("description"):
        yield f"{_escaped(schema['description'])}\n"
    yield from _table(schema, root)
    yield ""
    for key, given in schema.get("properties", {}).items():
        value = _resolved(given, root)
        held = _resolved(value.get("items", value), root) if value.get("type") == "array" else value
        if held.get("properties"):
            yield from _schema(held, f"{title}.{key}", root)


def _table(schema: dict[str, Any], root: dict[str, Any] | None) -> Iterator[str]:
    """Yield the rows of a table of an object's keys."""
    yield "| key | type | says |"
    yield "| --- | --- | --- |"
    required = set(schema.get("required", ()))
    for key, given in schema.get("properties", {}).items():
        value = _resolved(given, root)
        kind = _json_type(value, root) + (", required" if key in required else "")
        yield f"| `{key}` | {kind} | {_escaped(value.get('description', ''))} |"


def _resolved(schema: dict[str, Any], root: dict[str, Any] | None) -> dict[str, Any]:
    """Follow a ``$ref`` inside the document."""
    while "$ref" in schema:
        found: Any = root
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def _json_type(schema: dict[str, Any], root: dict[str, Any] | None) -> str:
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_json_type(_resolved(one, root), root) for one in schema["anyOf"]))
    kind = schema.get("type", "any")
    if kind == "array" and isinstance(schema.get("items"), dict):
        return f"array of {_json_type(_resolved(schema['items'], root), root)}"
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def commands() -> dict[str, click.Command]:
    """Return all commands by name, in the order of ``kpack --help``."""
    found = {}
    with click.Context(group, info_name="kpack") as context:
        for name in COMMANDS:
            command = group.get_command(context, name)
            assert command is not None
            found[name] = command
    return found


def examples(command: click.Command) -> list[str]:
    """Return the lines of the examples in a command's help."""
    text = command.help or ""
    return [row.strip() for row in text.partition("\b\n")[2].splitlines() if row.strip().startswith("kpack")]


def _commands() -> Iterator[str]:
    yield "# Commands\n"
    yield "`--config FILE`, before or after the command, names another kaggle-env.toml than the nearest one upwards.\n"
    yield (
        "`-q` prints the answer and what goes wrong, and nothing else; `-v` prints all of every list, and what becomes "
        "of each file; `--debug` prints a traceback. They, too, stand before or after the command. NO_COLOR and "
        "FORCE_COLOR are heard. Ctrl-C leaves nothing half done, says how to go on, and ends with 130.\n"
    )
    yield (
        "What `--json` prints is described by `schemas/answers/COMMAND.schema.json`, an error by `error.schema.json` "
        "beside it.\n"
    )
    for name, command in commands().items():
        yield from _command(name, command)


def _command(name: str, command: click.Command) -> Iterator[str]:
    context = click.Context(command, info_name=f"kpack {name}")
    yield f"## kpack {name}\n"
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    words = inspect.cleandoc(command.help or "").partition("\b\n")[0].strip()
    yield f"{_escaped(words)}\n"
    # Arguments stand in the usage; newer versions of click have records of them, too.
    options = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    rows = [record for one in options if (record := one.get_help_record(context))]
    if rows:
        yield "| option | does |"
        yield "| --- | --- |"
        yield from (
            f"| `{' '.join(left.split()).replace('|', chr(92) + '|')}` | {_escaped(' '.join(right.split()))} |"
            for left, right in rows
        )
        yield ""
    shown = examples(command)
    if shown:
        yield "```text\n" + "\n".join(shown) + "\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            held = command.get_command(context, inner)
            assert held is not None
            yield from _command(f"{name} {inner}", held)


def _exit_codes() -> Iterator[str]:
    yield "# Exit codes\n"
    yield (
        "Every command ends with one of these. An error says what happened, where, the values on both sides and what "
        "to do next; with `--json` it is an object `error` with `code`, `what`, `where` and `next`.\n"
    )
    yield "| code | says |"
    yield "| --- | --- |"
    (node,) = ast.parse(inspect.getsource(errors.ExitCode)).body
    assert isinstance(node, ast.ClassDef)
    for assigned, said in zip(node.body, node.body[1:], strict=False):
        if isinstance(assigned, ast.Assign) and isinstance(said, ast.Expr):
            assert isinstance(assigned.targets[0], ast.Name)
            code = int(errors.ExitCode[assigned.targets[0].id])
            yield f"| {code} | {_escaped(ast.literal_eval(said.value))} |"
    yield "| 130 | Stopped by Ctrl-C. |"
    yield ""
    yield (
        "A reader that goes away (`kpack build | head -1`) changes neither what a command does nor its exit code. "
        "Where stdout cannot be written for another reason, say a full disk, the work is done all the same, and "
        "exit code 7 takes the place of 0.\n"
    )


def _answers() -> Iterator[str]:
    yield "# Answers as JSON\n"
    yield (
        "With `--json` a command prints one object on stdout; all else goes to stderr. These keys stay, and more may "
        "come. The whole schemas are in `schemas/answers/`.\n"
    )
    for path in sorted((ROOT / "schemas" / "answers").glob("*.schema.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        name = path.name.removesuffix(".schema.json")
        yield f"## {'an error' if name == 'error' else 'kpack ' + name.replace('-', ' ')}\n"
        for form in schema.get("anyOf", [schema]):
            if form is not schema and "description" in form:
                yield f"{_escaped(form['description'])}\n"
            yield "| key | type | says |"
            yield "| --- | --- | --- |"
            yield from _answer_rows(form, "")
            yield ""


def _answer_rows(schema: dict[str, Any], above: str) -> Iterator[str]:
    """Yield a row for each key of an object, followed by those of the objects that it holds."""
    for key, value in schema["properties"].items():
        place = f"{above}{key}"
        sometimes = "" if key in schema.get("required", ()) else ", not always"
        yield f"| `{place}` | {_json_type(value, None)}{sometimes} | {_escaped(value['description'])} |"
        for one in value.get("anyOf", [value]):
            held, mark = (one["items"], "[].") if one.get("type") == "array" else (one, ".")
            if "properties" in held:
                yield from _answer_rows(held, f"{place}{mark}")


def _variables() -> Iterator[str]:
    yield "# Environment variables\n"
    yield "None has to be set. `[restore] env` in kaggle-env.toml is for the variables of *your* packages.\n"
    yield "| variable | read by | says |"
    yield "| --- | --- | --- |"
    yield from (f"| `{name}` | {who} | {says} |" for name, (who, says) in VARIABLES.items())
    yield ""


def _escaped(text: str) -> str:
    """Return a description as Markdown has it: what looks like a tag or a pattern stays as it is."""
    shown = re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split()))
    parts = re.split(r"(`[^`]*`)", shown)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*_|\[\]$])", r"\\\1", part) for part in parts)


if __name__ == "__main__":
    main()
