"""Edits of a kaggle-env.toml that leave comments, order and spelling of all else alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import NormalizedName, canonicalize_name

from kpack import urls
from kpack.environment import arrays
from kpack.environment.checkpoints import normal_path
from kpack.environment.errors import EnvironmentFileError, quoted, shown_path
from kpack.environment.positions import lines
from kpack.environment.read import find, parse, read
from kpack.environment.requirements import NotAPackageError, package
from kpack.environment.template import CheckpointEntry, tables
from kpack.environment.toml import loads
from kpack.errors import UsageError
from kpack.files import replacing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tomlkit import TOMLDocument

    from kpack.environment.model import CheckpointRequest, Environment, Package


@dataclass(slots=True)
class Edit:
    """The new text of a file, and what is different in it."""

    text: str
    added: list[str] = field(default_factory=list)
    changed: list[tuple[str, str]] = field(default_factory=list)
    """What stood there, and what stands there now."""
    removed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """What was asked for and stands there already."""


def open_file(config: Path | None) -> tuple[Path, str]:
    """Return the path and the text of ``config``, or of the nearest kaggle-env.toml upwards.

    Raises:
        UsageError: there is none.
        MachineError: it cannot be read.

    """
    path = find(Path.cwd()) if config is None else config
    return path, read(path).removeprefix("\ufeff")


def save(path: Path, text: str) -> None:
    """Write the new text to ``path`` (where it leads, if it is a link).

    It keeps the permissions and the byte order mark that the file had.

    Raises:
        MachineError: it cannot be written.

    """
    real = path.resolve()
    with real.open("rb") as old:
        mark = "\ufeff" if old.read(3) == b"\xef\xbb\xbf" else ""
    with replacing(real, mode=real.stat().st_mode & 0o777) as stream:
        stream.write((mark + text).encode())


def add_packages(text: str, path: Path, entries: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, with ``entries`` among its ``packages``.

    An entry whose name is there already takes the place of the old one, unless it is a bare name or path.

    Raises:
        UsageError: the file has mistakes, or an entry cannot be read.

    """
    environment = parse(text, path)
    wanted = [_read(entry) for entry in entries]
    edit = Edit(text)
    held = [entry.text for entry in environment.packages]
    for new in wanted:
        places = [number for number, old in enumerate(held) if _same(package(old), new)]
        if not places:
            held.append(new.text)
            edit.added.append(new.text)
        elif len(places) > 1:
            raise UsageError(
                f"{quoted(new.text)} would take the place of {', '.join(quoted(held[place]) for place in places)}",
                where=shown_path(path),
                next="edit the file, or `kpack remove` the name first",
            )
        elif held[places[0]] == new.text or _is_bare(new):
            edit.unchanged.append(new.text)
        else:
            edit.changed.append((held[places[0]], new.text))
            held[places[0]] = new.text

    if edit.added or edit.changed:
        before = [entry.text for entry in environment.packages]
        changes = {number: new for number, (old, new) in enumerate(zip(before, held, strict=False)) if old != new}
        edit.text = arrays.edited(text, "packages", changes=changes, more=held[len(before) :])
        _expect(edit.text, environment, packages=held)
    return edit


def remove_packages(text: str, path: Path, names: Sequence[str]) -> Edit:
    """Return ``text``, the content of the file at ``path``, without the ``packages`` of these names or paths.

    Raises:
        UsageError: the file has mistakes, or does not have one of the names.

    """
    environment = parse(text, path)
    edit = Edit(text)
    gone: set[int] = set()
    for name in names:
        wanted = _read(name)
        places = [
            number
            for number, old in enumerate(environment.packages)
            if _key(old) == _key(wanted) and (wanted.requirement is None) == (old.requirement is None)
        ]
        if not places:
            raise _not_there(name, environment, path)
        gone.update(places)
    edit.removed = [environment.packages[number].text for number in sorted(gone)]

    if gone:
        edit.text = arrays.edited(text, "packages", gone=gone)
        left = [entry.text for number, entry in enumerate(environment.packages) if number not in gone]
        _expect(edit.text, environment, packages=left)
    return edit


def add_checkpoint(
    text: str,
    path: Path,
    url: str,
    *,
    sha256: str | None = None,
    lands: str | None = None,
    include: Sequence[str] = (),
) -> Edit:
    """Return ``text``, the content of the file at ``path``, with one more ``[[checkpoints]]`` table.

    A page of the Hub becomes its ``hf://`` address.
    ``lands`` is its ``path``; without, it is ``checkpoints/`` and the file's name (``hf://`` needs none). A table
    with the same URL takes the new ``sha256``, ``path`` and ``include``.

    Raises:
        UsageError: the file has mistakes, or the new table has.

    """
    environment = parse(text, path)
    url = urls.from_page(url)
    if lands is None and not url.startswith("hf://"):
        name = url.partition("?")[0].partition("#")[0].rstrip("/").removeprefix("file:").rpartition("/")[2]
        lands = f"checkpoints/{name}"
    given = {"sha256": sha256, "path": lands}
    values: dict[str, object] = {"url": url, **{key: value for key, value in given.items() if value is not None}}
    if include:
        values["include"] = list(include)
    place = next((number for number, one in enumerate(environment.checkpoints) if one.urls == (url,)), None)

    def change(document: TOMLDocument) -> None:
        import tomlkit

        if place is not None:
            table: Any = document["checkpoints"][place]
            table.update(values)
            return
        fresh = tomlkit.inline_table()
        fresh.update(values)
        document["checkpoints"].append(fresh)

    edit = Edit(text)
    count = len(environment.checkpoints)
    inline = "checkpoints" in loads(text) and not (count and _header(text, "checkpoints", 0).startswith("[["))
    if place is None and not inline:
        edit.text = _one_more(text, CheckpointEntry(url=url, sha256=sha256, path=lands, include=tuple(include)), count)
    else:
        edit.text = edited(text, path, change)
    try:
        after = parse(edit.text, path).checkpoints
        _expect(edit.text, environment, checkpoints=after)
        others = [one for number, one in enumerate(after) if number != (len(after) - 1 if place is None else place)]
        if others != [one for number, one in enumerate(environment.checkpoints) if number != place]:
            raise by_hand(path)
    except EnvironmentFileError as error:
        _, key, what, advice = error.mistakes[0]
        raise UsageError(
            f"{key.rpartition('.')[2]}: {what}", where=f"--checkpoint {quoted(url)}", next=advice
        ) from error
    if place is None:
        edit.added.append(url)
    elif after == environment.checkpoints:
        edit.text = text
        edit.unchanged.append(url)
    else:
        edit.changed.append((url, url))
    return edit


def remove_checkpoint(text: str, path: Path, which: str) -> Edit:
    """Return ``text``, the content of the file at ``path``, without the checkpoint of that path or URL.

    Raises:
        UsageError: the file has mistakes, or no such checkpoint.

    """
    environment = parse(text, path)
    which = urls.from_page(which)
    try:
        lands: str | None = normal_path(which)
    except ValueError:
        lands = None
    places = [
        number
        for number, one in enumerate(environment.checkpoints)
        if which in one.urls or (lands is not None and lands == one.path)
    ]
    if not places:
        known = [one.path or one.urls[0] for one in environment.checkpoints]
        raise UsageError(
            f"there is no checkpoint {quoted(which)}",
            where=shown_path(path),
            next=f"known: {', '.join(quoted(one) for one in known)}" if known else "the file has no checkpoints",
        )
    edit = Edit(remove_table(text, path, places[0]), removed=[which])
    left = [one for place, one in enumerate(environment.checkpoints) if place != places[0]]
    _expect(edit.text, environment, checkpoints=left)
    return edit


def set_base(text: str, path: Path, base: str) -> Edit:
    """Return ``text``, the content of the file at ``path``, with ``base`` as its only base image.

    It takes the place of other bases, or of ``python`` and ``platform``.

    Raises:
        UsageError: the file has mistakes, or is written in a way that cannot be edited.

    """
    environment = parse(text, path)
    edit = Edit(text)
    if environment.bases == (base,):
        edit.unchanged.append(base)
        return edit
    if environment.bases:

        def change(document: TOMLDocument) -> None:
            document["base"] = base

        edit.text = edited(text, path, change)
    else:
        found = lines(text)
        rows = re.split(r"(?<=\n)", text)
        place = found["python",] - 1
        rows[place], count = re.subn(
            r"""^(\s*)python(\s*=\s*)(?:"[^"]*"|'[^']*')""", lambda m: f'{m[1]}base{m[2]}"{base}"', rows[place]
        )
        if count != 1:
            raise by_hand(path)
        if ("platform",) in found:
            del rows[found["platform",] - 1]
        edit.text = "".join(rows)
    edit.changed.append((", ".join(environment.bases) or f"python {environment.python}", base))
    after = parse(edit.text, path)
    if after != replace(environment, bases=(base,), python=None, platform=after.platform):
        raise by_hand(path)
    return edit


def remove_table(text: str, path: Path, number: int, table: str = "checkpoints") -> str:
    """Return ``text`` without one of the tables of that name.

    It is cut by its lines: in a tomlkit document the comments above the next table would go with it.
    """
    if not _header(text, table, number).startswith("[["):

        def change(document: TOMLDocument) -> None:
            del document[table][number]

        return edited(text, path, change)
    rows = re.split(r"(?<=\n)", text)
    first, end = lines(text)[table, number], _end(text, table, number)
    while first > 1 and rows[first - 2].lstrip().startswith("#"):  # its own comment stands right above it
        first -= 1
    if end < len(rows) and not rows[end].strip():
        end += 1
    return "".join(rows[: first - 1] + rows[end:])


def _header(text: str, table: str, number: int) -> str:
    """Return the line that a table begins with, or the one that an inline table stands on."""
    return text.split("\n")[lines(text)[table, number] - 1].lstrip()


def _end(text: str, table: str, number: int) -> int:
    """Return the number of the last line of a table, without the comments and empty lines below it."""
    found = lines(text)
    first = found[table, number]
    rows = re.split(r"(?<=\n)", text)
    later = [line for key, line in found.items() if line > first and key[:2] != (table, number)]
    end = min(later, default=len(rows) + 1) - 1
    while end > first and (not rows[end - 1].strip() or rows[end - 1].lstrip().startswith("#")):
        end -= 1
    return end


def _one_more(text: str, entry: CheckpointEntry, count: int) -> str:
    """Return ``text`` with one more [[checkpoints]] table, below the last of the ``count`` that are there.

    By lines, as `remove_table`: a tomlkit document puts tables that stand apart together, and takes the comments
    between them elsewhere.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    rows = re.split(r"(?<=\n)", text)
    end = _end(text, "checkpoints", count - 1) if count else len(rows)
    head, tail = "".join(rows[:end]), "".join(rows[end:])
    start = "" if head.endswith("\n") or not head else newline
    return head + start + tables(checkpoints=[entry]).replace("\n", newline) + tail


def name_of(entry: str) -> str | None:
    """Return the name of what an entry asks of an index; None for a URL or a path."""
    requirement = _read(entry).requirement
    return requirement.name if requirement is not None and requirement.url is None else None


def _read(entry: str) -> Package:
    try:
        return package(entry.strip())
    except NotAPackageError as error:
        raise UsageError(error.what, next=error.advice) from error


def _key(entry: Package) -> NormalizedName | str:
    return canonicalize_name(entry.requirement.name) if entry.requirement else (entry.path or "").rstrip("/")


def _same(old: Package, new: Package) -> bool:
    """Tell whether ``new`` asks for what ``old`` asks for: by name and, where both have one, by marker."""
    if _key(old) != _key(new) or (old.requirement is None) != (new.requirement is None):
        return False
    before = old.requirement.marker if old.requirement else None
    after = new.requirement.marker if new.requirement else None
    return before is None or after is None or str(before) == str(after)


def _is_bare(entry: Package) -> bool:
    """Tell whether an entry is a name or a path and nothing more."""
    requirement = entry.requirement
    if entry.extras or entry.hashes:
        return False
    return requirement is None or str(requirement) == requirement.name


def _not_there(name: str, environment: Environment, path: Path) -> UsageError:
    import difflib

    known = [str(_key(one)) for one in environment.packages]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    checkpoints = [one.path or one.urls[0] for one in environment.checkpoints]
    if near:
        advice = f"did you mean {quoted(near[0])}?"
    elif name in checkpoints:
        advice = f"it is a checkpoint: kpack remove --checkpoint {name}"
    else:
        advice = f"packages has: {', '.join(known)}" if known else "packages is empty"
    return UsageError(f"{quoted(name)} is not in packages", where=shown_path(path), next=advice)


def edited(text: str, path: Path, change: Callable[[TOMLDocument], None]) -> str:
    """Return ``text`` after ``change``, with the line ends that it had.

    Raises:
        UsageError: the file is written in a way that cannot be edited.

    """
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    windows = "\r\n" in text and "\n" not in text.replace("\r\n", "")
    try:
        document = tomlkit.parse(text.replace("\r\n", "\n") if windows else text)
        change(document)
        new = document.as_string()
    except TOMLKitError as error:
        raise by_hand(path) from error
    return new.replace("\n", "\r\n") if windows else new


def _expect(
    text: str,
    before: Environment,
    *,
    packages: Sequence[str] | None = None,
    checkpoints: Sequence[CheckpointRequest] | None = None,
) -> None:
    """Refuse an edited text that says anything else than ``before`` with these packages, or these checkpoints."""
    after = parse(text, before.path)
    wanted = [entry.text for entry in before.packages] if packages is None else list(packages)
    held = before.checkpoints if checkpoints is None else tuple(checkpoints)
    if [entry.text for entry in after.packages] != wanted or replace(after, packages=()) != replace(
        before, packages=(), checkpoints=held
    ):
        raise by_hand(before.path)


def by_hand(path: Path) -> UsageError:
    """Return the error for a file that no edit could change as asked."""
    return UsageError(
        "the file is written in a way that kpack cannot edit", where=shown_path(path), next="edit it by hand"
    )
