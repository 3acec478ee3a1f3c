"""``kpack audit``: known vulnerabilities of what is packed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack.cli.progress import busy
from kpack.cli.session import Session, answer, json_option, say, tell
from kpack.errors import ExitCode

if TYPE_CHECKING:
    from kpack.audit import Service, Vulnerability
    from kpack.lock import Lock

_LONGEST = 160
"""Characters of a description on the screen."""


@click.command()
@click.argument("path", metavar="[PACK]", required=False, type=click.Path(path_type=Path))
@click.option("--service", type=click.Choice(["pypi", "osv"]), default="pypi", show_default=True, help="Who is asked.")
@click.option("--osv-url", metavar="URL", help="A mirror of OSV's query address.")
@click.option("--ignore", multiple=True, metavar="ID", help="An advisory that does not count.")
@json_option
@click.pass_obj
def audit(
    session: Session,
    path: Path | None,
    *,
    service: Service,
    osv_url: str | None,
    ignore: tuple[str, ...],
    as_json: bool,
) -> int:
    r"""Ask for known vulnerabilities of what the lock, or a pack, packs; exit 1 when there are any.

    \b
    kpack audit
    kpack audit dist/toxic-comments.kpack.bin --service osv
    """
    from kpack import audit as auditing
    from kpack.cache import Cache
    from kpack.restore.errors import number_of

    made = _lock(session, path)
    pins = {(pin.name, pin.version) for target in made.targets for pin in target.packed}
    with busy("asking for vulnerabilities"):
        done = auditing.audit(
            pins,
            service=service if osv_url is None else "osv",
            osv_url=osv_url,
            ignore=ignore,
            cache=Cache().root / "audit",
        )
    if as_json:
        answer(
            {
                "asked": done.asked,
                "found": [asdict(each) for each in done.found],
                "unknown": [{"name": name, "reason": reason} for name, reason in done.unknown],
            }
        )
    else:
        for name, reason in done.unknown:
            say(f"note: {name} was not asked about: {reason}")
        for each in done.found:
            tell(_line(each))
        asked = number_of(done.asked - len(done.unknown), "distribution")
        tell(f"{asked} asked about, known vulnerabilities: {len(done.found)}")
    return int(ExitCode.CHECK_FAILED if done.found else ExitCode.DONE)


def _lock(session: Session, path: Path | None) -> Lock:
    from kpack import pack
    from kpack import project as projects
    from kpack.lock import loads

    if path is None:
        return projects.Project.find(session.config).current_lock()
    found = pack.read(path)
    return loads(found.data(found.manifest.lock).decode("utf-8", "replace"), str(path))


def _line(each: Vulnerability) -> str:
    names = ", ".join((each.id, *each.aliases))
    fixed = f"fixed in {', '.join(each.fixed_in)}" if each.fixed_in else "no fixed version is known"
    words = each.description[:_LONGEST] + ("…" if len(each.description) > _LONGEST else "")
    return f"{each.name} {each.version}: {names}; {fixed}" + (f"\n  {words}" if words else "")
