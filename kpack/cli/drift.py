"""``kpack drift``: does a lock or a pack still fit an image."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import project as projects
from kpack.cli import complete
from kpack.cli.session import Session, answer, json_option, tell
from kpack.errors import ExitCode

if TYPE_CHECKING:
    from kpack.drift import Verdict
    from kpack.restore.manifest import PackTarget


@click.command()
@click.argument("path", metavar="[LOCK|PACK]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--base",
    "ref",
    required=True,
    metavar="NEW",
    help="A shipped snapshot's name, or a probe file.",
    shell_complete=complete.images,
)
@json_option
@click.pass_obj
def drift(session: Session, path: Path | None, ref: str, *, as_json: bool) -> int:
    r"""Hold what a lock or a pack leans on against another image; exit 1 when something breaks.

    Without LOCK or PACK it is the lock beside the nearest kaggle-env.toml. The restore in the kernel judges the same.

    \b
    kpack drift pylock.kaggle-env.toml --base kaggle-gpu-py313-2026-10-estimate
    kpack drift dist/toxic-comments.kpack.bin --base ./kaggle-base.json
    """
    from kpack import base as bases
    from kpack.drift import against

    image = bases.load(ref, Path.cwd())
    subject = path or projects.Project.find(session.config).lock_path
    verdict = against(_targets(subject), image)
    if as_json:
        answer(_row(subject, verdict))
    else:
        _tell(subject, verdict)
    return int(ExitCode.DONE if verdict.fits else ExitCode.CHECK_FAILED)


def _targets(path: Path) -> tuple[PackTarget, ...]:
    if path.suffix == ".toml":
        from kpack.lock import load
        from kpack.pack.layout import target_of

        return tuple(target_of(target) for target in load(path).targets)
    from kpack import pack

    return pack.read(path).manifest.targets


def _row(subject: Path, verdict: Verdict) -> dict[str, object]:
    return {
        "path": str(subject),
        "base": verdict.base,
        "target": verdict.target.label if verdict.target else None,
        "fits": verdict.fits,
        "misfit": verdict.misfit or None,
        "drift": [item.to_dict() for item in verdict.drift],
        "notes": list(verdict.notes),
    }


def _tell(subject: Path, verdict: Verdict) -> None:
    if verdict.target is None:
        tell(f"{subject} does not fit {verdict.base}: {verdict.misfit}")
        tell("  → add it to base in kaggle-env.toml, lock and build again")
        return
    tell(
        f"{subject} {'fits' if verdict.fits else 'does not fit'} {verdict.base} (as locked for {verdict.target.label})"
    )
    for item in sorted(verdict.drift, key=lambda item: (not item.breaks, item.name)):
        word = "breaks" if item.breaks else "changed"
        tell(f"  {word}: {item.name} {item.locked} → {item.found or 'missing'}: {item.why}")
    for note in verdict.notes:
        tell(f"  note: {note}")
    if not verdict.fits:
        tell(f"  → add {verdict.base} to base in kaggle-env.toml, lock and build again")
