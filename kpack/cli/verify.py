"""``kpack verify``: every byte of a pack, and every hash of the lock by another road."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from kpack import pack
from kpack.cli.images import image_of, pack_path, project_of
from kpack.cli.progress import busy, counted
from kpack.cli.session import Session, answer, expect_option, human_size, json_option, note, tell, warn
from kpack.errors import ExitCode, IntegrityError, UsageError
from kpack.native import NativeReport
from kpack.pack import native as lint
from kpack.project import Project

if TYPE_CHECKING:
    from kpack.lock.online import Opinion
    from kpack.native.elf import SharedObject
    from kpack.pack.wheel import Admitted


@click.command()
@click.argument("path", metavar="[PACK]", type=click.Path(path_type=Path), required=False)
@expect_option("The id that the pack must have (64 hexadecimal digits).")
@click.option("--online", is_flag=True, help="Ask the index, by another road, for the hash of every file of the lock.")
@json_option
@click.pass_obj
def verify(session: Session, path: Path | None, expect: str | None, *, online: bool, as_json: bool) -> int:
    r"""Check every byte of a pack: digests, headers, padding, its code, and each wheel against its RECORD.

    What native code of the wheels wants is held against the images that the pack is for, as lock and build do.

    With --online the lock in PACK (without it, the project's) is checked, too: hashin asks the JSON API of the
    index, which kpack itself never reads, whether it reports the locked sha256 of every file.

    \b
    kpack verify
    kpack verify dist/toxic-comments.kpack.bin --online
    kpack verify --online
    """
    if not online:
        path = pack_path(session, path)
    said: dict[str, object] = {}
    advice = "build or download the pack again" if path else "kpack lock --upgrade, and compare what changes"
    problems: list[dict[str, str]] = []
    if path is not None:
        found = pack.read(path)
        notes: list[str] = []
        objects: dict[str, tuple[SharedObject, ...]] = {}
        problems += _problems(found, expect, notes, objects)
        native = NativeReport() if problems else _native(session, found, objects, notes)
        notes += native.notes
        said |= {
            "pack": str(path),
            "id": found.id,
            "notes": notes,
            "native": [item.to_dict() for item in native.findings],
        }
        for text in notes:
            note(text)
        if native.stopping:
            misfit = lint.error(native.stopping, IntegrityError, str(path))
            problems.append({"where": "native code", "what": misfit.what})
            advice = misfit.next
    if online:
        with busy("asking the index"):
            opinion = _opinion(session, found if path is not None else None)
        problems += [{"where": doubt.file, "what": doubt.what} for doubt in opinion.doubts]
        said["online"] = {
            "confirmed": list(opinion.confirmed),
            "unasked": [{"where": doubt.file, "what": doubt.what} for doubt in opinion.unasked],
        }
    if as_json:
        answer({**said, "ok": not problems, "problems": problems})
    elif problems:
        warn(f"kpack: {path or 'the lock'}: {len(problems)} problem{'s' if len(problems) > 1 else ''}")
        for problem in problems:
            warn(f"  {problem['where']}: {problem['what']}")
        warn(f"  → {advice}")
    else:
        if path is not None:
            members = len(found.manifest.members) + 2
            tell(f"{path}: whole ({members} members, {human_size(found.size)}), id {found.id}")
        if online:
            _tell_opinion(opinion)
    return int(ExitCode.INTEGRITY if problems else ExitCode.DONE)


def _problems(
    found: pack.ReadPack, expect: str | None, notes: list[str], objects: dict[str, tuple[SharedObject, ...]]
) -> list[dict[str, str]]:
    def on_wheel(filename: str, verdict: Admitted) -> None:
        objects[filename] = verdict.objects

    with counted("verifying", found.size) as on_bytes:
        checked = pack.verify(
            found, proven=expect == found.id, on_bytes=on_bytes, on_note=notes.append, on_wheel=on_wheel
        )
    problems = [{"where": problem.where, "what": problem.what} for problem in checked]
    if expect is not None and expect != found.id:
        problems.insert(0, {"where": "id", "what": f"the pack's id is {found.id}, {expect} was expected"})
    return problems


def _native(
    session: Session, found: pack.ReadPack, objects: dict[str, tuple[SharedObject, ...]], notes: list[str]
) -> NativeReport:
    """Judge the native code of a pack whose bytes are right."""
    from kpack.lock import loads

    project = project_of(session)
    names = {target.base for target in found.manifest.targets if target.base is not None}
    images = {name: image for name in sorted(names) if (image := image_of(project, name)) is not None}
    try:
        requests = loads(found.data(found.manifest.lock).decode("utf-8"), found.manifest.lock).requests
    except (UnicodeDecodeError, UsageError, IntegrityError) as error:
        # No restore reads it; what is wrong with it is no fault of the wheels.
        notes.append(f"the pack's own lock cannot be read, so nothing that it allows is known: {error}")
        return lint.report(found.manifest.targets, objects, images, frozenset(), None)
    accelerator = requests.values["accelerator"]
    assert accelerator is None or isinstance(accelerator, str)
    return lint.report(found.manifest.targets, objects, images, requests.names("allow-native"), accelerator)


def _opinion(session: Session, found: pack.ReadPack | None) -> Opinion:
    """Return what the index says of the lock in the pack, or of the project's."""
    from kpack.lock import loads, online

    if found is not None:
        name = found.manifest.lock
        return online.check(loads(found.data(name).decode("utf-8"), f"{found.path}: {name}"))
    lock = Project.find(session.config).lock
    if lock is None:
        raise UsageError("there is no lock to check online", next="run kpack lock first")
    return online.check(lock)


def _tell_opinion(opinion: Opinion) -> None:
    tell(f"the index confirms {len(opinion.confirmed)} of {len(opinion.confirmed) + len(opinion.unasked)} locked files")
    for doubt in opinion.unasked:
        tell(f"  not asked: {doubt.file}: {doubt.what}")
