"""``kpack add``: packages and checkpoints into kaggle-env.toml."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from kpack import urls
from kpack.cli import complete
from kpack.cli.session import Session, answer, json_option, note, say, tell
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpack.environment.edit import Edit


Command = TypeVar("Command", bound="Callable[..., Any]")
_FILE = click.Path(path_type=Path, dir_okay=False)


def list_options(verb: str) -> Callable[[Command], Command]:
    """Return what gives a command an option for each list of names, and ``--dry-run``."""

    def decorate(command: Command) -> Command:
        for key in ("allow-source", "allow-broken", "replace", "exclude"):
            option = click.option(
                f"--{key}",
                key.replace("-", "_"),
                multiple=True,
                metavar="NAME",
                help=f"{verb} `{key}`.",
                shell_complete=complete.known if verb.startswith("Add") else complete.of_file(key),
            )
            command = option(command)
        return click.option("--dry-run", is_flag=True, help="Show the change and write nothing.")(command)

    return decorate


@click.command()
@click.argument("requirements", nargs=-1, metavar="REQUIREMENT...")
@click.option(
    "-r",
    "--requirement",
    "files",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="Add what a list has.",
)
@click.option("--checkpoint", metavar="URL", help="Add a [[checkpoints]] table for this file or repository.")
@click.option("--sha256", metavar="HEX", help="SHA-256 of the checkpoint; without it the first lock records it.")
@click.option("--path", "lands", metavar="PATH", help="Where the checkpoint lands; default: checkpoints/<file name>.")
@click.option("--index", metavar="URL", help="The index that serves the packages of this call, and no others.")
@list_options("Add a name to")
@json_option
@click.pass_obj
def add(
    session: Session,
    /,
    requirements: tuple[str, ...],
    files: tuple[Path, ...],
    checkpoint: str | None,
    sha256: str | None,
    lands: str | None,
    index: str | None,
    *,
    dry_run: bool,
    as_json: bool,
    **lists: tuple[str, ...],
) -> int:
    r"""Add packages, checkpoints and names to kaggle-env.toml; comments and order stay.

    A name that is there already takes the new words. A page of the Hub of models becomes its hf:// address.

    \b
    kpack add "lightning>=2.5" sentencepiece
    kpack add -r requirements.txt --dry-run
    kpack add "transformers==4.57.1" --replace transformers
    kpack add ./fork "tool @ git+https://host/owner/tool@v1"
    kpack add --checkpoint https://host/model.ckpt --sha256 c1212f89...
    """
    from kpack.environment import edit, edit_checkpoints, edit_lists, edit_packages

    sha256 = sha256.lower() if sha256 else sha256  # some tools print it in capitals
    if checkpoint is None and (sha256 is not None or lands is not None):
        raise UsageError("--sha256 and --path speak of a checkpoint, and none is given", next="add --checkpoint URL")
    if not requirements and not files and checkpoint is None and not any(lists.values()):
        raise UsageError("nothing to add", next='name packages, like kpack add "lightning>=2.5", or --checkpoint URL')
    _no_version(requirements)
    path, text = edit.open_file(session.config)
    entries = [*requirements, *(entry for file in files for entry in _listed(file, path))]
    if index is not None and not entries:
        raise UsageError("--index serves the packages of this call, and none is given", next="name them, too")
    edits: list[Edit] = []
    if entries:
        edits.append(edit_packages.add_packages(text, path, entries))
    if index is not None:
        served = [name for name in map(edit_packages.name_of, entries) if name]
        edits.append(edit_lists.add_index(edits[-1].text, path, index, served))
    for key in edit_lists.LISTS:
        if names := lists[key.replace("-", "_")]:
            edits.append(edit_lists.add_names(edits[-1].text if edits else text, path, key, names))
    if checkpoint is not None:
        so_far = edits[-1].text if edits else text
        edits.append(edit_checkpoints.add_checkpoint(so_far, path, checkpoint, sha256=sha256, lands=lands))
    return finish(path, text, edits, dry_run=dry_run, as_json=as_json)


def _no_version(words: tuple[str, ...]) -> None:
    """Refuse a version that stands where a package should: other tools take ``name version``."""
    for number, word in enumerate(words):
        if re.fullmatch(r"v?[0-9]+(?:\.[0-9a-z]+)+(?:[.+-][0-9a-z.]+)?", word):
            name = words[number - 1] if number else "NAME"
            advice = f'kpack add "{name}=={word.removeprefix("v")}"'
            raise UsageError(f"{word!r} is a version and not the name of a package", next=advice)


def _listed(file: Path, config: Path) -> list[str]:
    """Return the entries of a requirements file; what is left to a person is said."""
    from kpack.importing import Harvest, Outcome, constrain
    from kpack.importing.requirements import from_requirements

    harvest = Harvest(folder=config.absolute().parent)
    from_requirements(file, harvest)
    constrain(harvest)
    for finding in harvest.findings:
        if finding.verdict is Outcome.LEFT:
            say(f"note: {finding.place}: {finding.why}; {finding.write}")
    return list(harvest.packages.values())


def finish(
    path: Path,
    text: str,
    edits: list[Edit],
    *,
    dry_run: bool = False,
    as_json: bool,
    left: Sequence[str] | None = None,
) -> int:
    """Write the last of ``edits`` when it differs from ``text``, and say what is different.

    ``left`` is what a person has to see to, for the JSON of a command that knows of such things.
    """
    from kpack.environment import edit
    from kpack.environment.errors import shown_path

    changed = edits[-1].text != text
    if changed and not dry_run:
        edit.save(path, edits[-1].text)
    fresh = [*(entry for one in edits for entry in one.added), *(pair[1] for one in edits for pair in one.changed)]
    added = [urls.redacted(entry) for one in edits for entry in one.added]
    replaced = [(urls.redacted(old), urls.redacted(new)) for one in edits for old, new in one.changed]
    removed = [urls.redacted(entry) for one in edits for entry in one.removed]
    unchanged = [urls.redacted(entry) for one in edits for entry in one.unchanged]
    if any("://" in word and urls.spells_secret(word) for entry in fresh for word in entry.split()):
        note(
            f"a password, a token or a signature {'would stand' if dry_run else 'stands'} in {path.name} → "
            "write ${NAME} for it in [[indexes]]; leave it out of other URLs, and give those by KPACK_URLS"
        )
    if as_json:
        answer(
            {
                "config": str(path),
                "changed": changed,
                "added": added,
                "replaced": [{"old": old, "new": new} for old, new in replaced],
                "removed": removed,
                "unchanged": unchanged,
                **({} if left is None else {"left": list(left)}),
            }
        )
        return int(ExitCode.DONE)
    if dry_run:
        name = shown_path(path)
        for row in difflib.unified_diff(text.splitlines(), edits[-1].text.splitlines(), name, name, lineterm=""):
            tell(urls.redacted(row), wrap=False)
        tell(f"{name}: nothing was written (--dry-run)" if changed else f"{name}: nothing would change")
        return int(ExitCode.DONE)
    for entry in added:
        tell(f"added {entry}")
    for old, new in replaced:
        tell(f"updated {new}" if old == new else f"replaced {old} by {new}")
    for entry in removed:
        tell(f"removed {entry}")
    for entry in unchanged:
        tell(f"{entry} is there already")
    if changed:
        tell(f"{shown_path(path)}: written. Next: kpack lock")
    return int(ExitCode.DONE)
