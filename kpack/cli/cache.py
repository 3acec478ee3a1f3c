"""``kpack cache``: where fetched files are kept, how much room they take, and how to free it."""

from __future__ import annotations

import json

import click

from kpack.cache import Cache
from kpack.errors import IntegrityError

_DAY = 24 * 3600


@click.group()
def cache() -> None:
    """Look after the cache of fetched files.

    The cache is shared by all projects. KPACK_CACHE names another folder.
    """


@cache.command("dir")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_dir(as_json: bool) -> None:
    """Print the folder of the cache.

    Example: du -sh "$(kpack cache dir)"
    """
    root = Cache().root
    click.echo(json.dumps({"dir": str(root)}) if as_json else str(root))


@cache.command("size")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show_size(as_json: bool) -> None:
    """Print how many files the cache holds and how big they are.

    Example: kpack cache size --json
    """
    store = Cache()
    size = store.size()
    if as_json:
        click.echo(
            json.dumps(
                {
                    "dir": str(store.root),
                    "files": size.files,
                    "bytes": size.bytes,
                    "partial_bytes": size.partial_bytes,
                    "http_bytes": size.http_bytes,
                }
            )
        )
        return
    click.echo(f"{store.root}: {size.files} files, {_in_units(size.bytes)}")
    if size.partial_bytes:
        click.echo(f"  interrupted downloads: {_in_units(size.partial_bytes)}")
    if size.http_bytes:
        click.echo(f"  index pages and metadata: {_in_units(size.http_bytes)}")


@cache.command()
@click.option("--days", type=click.IntRange(min=0), default=90, show_default=True, help="Keep what was used since.")
@click.option("--all", "everything", is_flag=True, help="Remove every file, whenever it was used.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def prune(days: int, everything: bool, as_json: bool) -> None:
    """Remove files that were not used for a while.

    Example: kpack cache prune --days 30
    """
    removed = Cache().prune(unused_for=0 if everything else days * _DAY)
    if as_json:
        click.echo(json.dumps({"removed": removed.files, "bytes": removed.bytes}))
    else:
        click.echo(f"removed {removed.files} files, {_in_units(removed.bytes)}")


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(as_json: bool) -> None:
    """Hash every file, and remove the damaged ones (exit code 5 if there were some).

    Example: kpack cache verify
    """
    store = Cache()
    damaged = store.verify()
    if as_json:
        problems = [{"sha256": item.sha256, "found": item.found, "size": item.size} for item in damaged]
        click.echo(json.dumps({"dir": str(store.root), "ok": not damaged, "damaged": problems}))
        if damaged:
            raise click.exceptions.Exit(int(IntegrityError.exit_code))
        return
    if damaged:
        names = ", ".join(item.sha256 for item in damaged)
        raise IntegrityError(
            f"{len(damaged)} damaged and removed: {names}",
            where=str(store.root),
            next="the next kpack build fetches them anew",
        )
    click.echo(f"{store.root}: every file is what its name says")


def _in_units(size: int) -> str:
    amount = float(size)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000 or unit == "GB":
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    raise AssertionError("the last unit fits everything")
