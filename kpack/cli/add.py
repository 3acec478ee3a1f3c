"""``kpack add``: packages and checkpoints into kaggle-env.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kpack.cli.session import Session, answer, json_option, tell
from kpack.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.environment.edit import Edit


@click.command()
@click.argument("requirements", nargs=-1, metavar="REQUIREMENT...")
@click.option("--checkpoint", metavar="URL", help="Add a [[checkpoints]] table for this file or repository.")
@click.option("--sha256", metavar="HEX", help="SHA-256 of the checkpoint; without it the first lock records it.")
@click.option("--path", "lands", metavar="PATH", help="Where the checkpoint lands; default: checkpoints/<file name>.")
@json_option
@click.pass_obj
def add(
    session: Session,
    requirements: tuple[str, ...],
    checkpoint: str | None,
    sha256: str | None,
    lands: str | None,
    *,
    as_json: bool,
) -> int:
    r"""Add packages or a checkpoint to kaggle-env.toml; comments and order stay.

    A name that is there already takes the new words.

    \b
    kpack add "lightning>=2.5" sentencepiece
    kpack add ./fork "tool @ git+https://host/owner/tool@v1"
    kpack add --checkpoint https://host/model.ckpt --sha256 c1212f89...
    """
    from kpack.environment import edit

    if checkpoint is None and (sha256 is not None or lands is not None):
        raise UsageError("--sha256 and --path speak of a checkpoint, and none is given", next="add --checkpoint URL")
    if not requirements and checkpoint is None:
        raise UsageError("nothing to add", next='name packages, like kpack add "lightning>=2.5", or --checkpoint URL')
    path, text = edit.open_file(session.config)
    edits: list[Edit] = []
    if requirements:
        edits.append(edit.add_packages(text, path, requirements))
    if checkpoint is not None:
        so_far = edits[-1].text if edits else text
        edits.append(edit.add_checkpoint(so_far, path, checkpoint, sha256=sha256, lands=lands))
    return finish(path, text, edits, as_json=as_json)


def finish(path: Path, text: str, edits: list[Edit], *, as_json: bool) -> int:
    """Write the last of ``edits`` when it differs from ``text``, and say what is different."""
    from kpack.environment import edit
    from kpack.environment.errors import shown_path

    changed = edits[-1].text != text
    if changed:
        edit.save(path, edits[-1].text)
    added = [entry for one in edits for entry in one.added]
    replaced = [pair for one in edits for pair in one.changed]
    removed = [entry for one in edits for entry in one.removed]
    unchanged = [entry for one in edits for entry in one.unchanged]
    if as_json:
        answer(
            {
                "config": str(path),
                "changed": changed,
                "added": added,
                "replaced": [{"old": old, "new": new} for old, new in replaced],
                "removed": removed,
                "unchanged": unchanged,
            }
        )
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
