"""``kpack verify``: every byte of a pack."""

from __future__ import annotations

from pathlib import Path

import click

from kpack import pack
from kpack.cli.progress import counted
from kpack.cli.session import answer, human_size, json_option, say, tell
from kpack.errors import ExitCode


@click.command()
@click.argument("path", metavar="PACK", type=click.Path(path_type=Path))
@click.option("--expect", metavar="ID", help="The id that the pack must have (64 hexadecimal digits).")
@click.option("--online", is_flag=True, help="Ask the index, by another road, for the hashes of every locked file.")
@json_option
def verify(path: Path, expect: str | None, *, online: bool, as_json: bool) -> int:
    r"""Check every byte of a pack: digests, headers, padding, and each wheel against its RECORD.

    \b
    kpack verify dist/toxic-comments.kpack.bin
    """
    found = pack.read(path)
    with counted("verifying", found.size) as on_bytes:
        problems = [{"where": p.where, "what": p.what} for p in pack.verify(found, on_bytes=on_bytes)]
    if expect is not None and expect != found.id:
        problems.insert(0, {"where": "id", "what": f"the pack's id is {found.id}, {expect} was expected"})
    if online:
        from kpack.cli.online import problems_of

        problems += problems_of(found)
    if as_json:
        answer({"pack": str(path), "id": found.id, "ok": not problems, "problems": problems})
    elif problems:
        say(f"kpack: {path}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        for problem in problems:
            say(f"  {problem['where']}: {problem['what']}")
        say("  → build or download the pack again")
    else:
        members = len(found.manifest.members) + 2
        tell(f"{path}: whole ({members} members, {human_size(found.size)}), id {found.id}")
    return int(ExitCode.INTEGRITY if problems else ExitCode.DONE)
