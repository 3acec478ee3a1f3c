"""``kpack cache``: where fetched files are kept, how much room they take, and how to free it."""

from __future__ import annotations

from typing import Any

import click

from kpack.cache import Cache
from kpack.cli.guessing import guessed
from kpack.cli.progress import busy
from kpack.cli.session import answer, human_size, json_option, tell
from kpack.errors import ExitCode, IntegrityError

_DAY = 24 * 3600


_ELSEWHERE = {"clear": "prune --all", "clean": "prune", "purge": "prune --all", "path": "dir", "info": "size"}
"""What other tools call it, and what it is called here."""


class _Commands(click.Group):
    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[Any, Any, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            raise guessed(error, ctx, args[0], self.commands, _ELSEWHERE) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(200)) for name, command in self.commands.items()])


@click.group(cls=_Commands)
def cache() -> None:
    r"""Look after the cache of fetched files.

    The cache is shared by all projects. KPACK_CACHE names another folder.

    \b
    kpack cache size
    """


@cache.command("dir")
@json_option
def show_dir(*, as_json: bool) -> None:
    """Print the folder of the cache.

    Example: du -sh "$(kpack cache dir)"
    """
    root = Cache().root
    if as_json:
        answer({"dir": str(root)})
    else:
        tell(str(root))


@cache.command("size")
@json_option
def show_size(*, as_json: bool) -> None:
    """Print how many files the cache holds and how big they are.

    Example: kpack cache size --json
    """
    store = Cache()
    size = store.size()
    if as_json:
        answer(
            {
                "dir": str(store.root),
                "files": size.files,
                "bytes": size.bytes,
                "partial_bytes": size.partial_bytes,
                "http_bytes": size.http_bytes,
            }
        )
        return
    tell(f"{store.root}: {size.files} files, {human_size(size.bytes)}")
    if size.partial_bytes:
        tell(f"  interrupted downloads: {human_size(size.partial_bytes)}")
    if size.http_bytes:
        tell(f"  index pages and metadata: {human_size(size.http_bytes)}")


@cache.command()
@click.option("--days", type=click.IntRange(min=0), default=90, show_default=True, help="Keep what was used since.")
@click.option("--all", "everything", is_flag=True, help="Remove every file, whenever it was used.")
@json_option
def prune(days: int, *, everything: bool, as_json: bool) -> None:
    """Remove files that were not used for a while.

    Example: kpack cache prune --days 30
    """
    removed = Cache().prune(unused_for=0 if everything else days * _DAY)
    if as_json:
        answer({"removed": removed.files, "bytes": removed.bytes})
    else:
        tell(f"removed {removed.files} files, {human_size(removed.bytes)}")


@cache.command()
@json_option
def verify(*, as_json: bool) -> int:
    """Hash every file, and remove the damaged ones (exit code 5 if there were some).

    Example: kpack cache verify
    """
    store = Cache()
    with busy("hashing"):
        damaged = store.verify()
    if as_json:
        problems = [{"sha256": item.sha256, "found": item.found, "size": item.size} for item in damaged]
        answer({"dir": str(store.root), "ok": not damaged, "damaged": problems})
        return int(IntegrityError.exit_code if damaged else ExitCode.DONE)
    if damaged:
        names = ", ".join(item.sha256 for item in damaged)
        raise IntegrityError(
            f"{len(damaged)} damaged and removed: {names}",
            where=str(store.root),
            next="the next kpack build fetches them anew",
        )
    tell(f"{store.root}: every file is what its name says")
    return int(ExitCode.DONE)
