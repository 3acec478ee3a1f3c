"""What ``pip install`` (download, wheel, uninstall) and uv's likeness of it ask for."""

from __future__ import annotations

import os.path
import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import InvalidName, canonicalize_name, parse_sdist_filename, parse_wheel_filename

from kpack import urls
from kpack.environment import hashes
from kpack.environment.errors import quoted
from kpack.errors import typed
from kpack.importing.options import Arguments, arguments
from kpack.importing.sitting import HOME

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from kpack.importing.harvest import Harvest, Line
    from kpack.importing.sitting import Sitting

_OPERATOR = re.compile(r"(?:>=|<=|==|~=|!=)\S|[<>]\d")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar\.gz|tgz|tar\.bz2)$")
_VARIABLE = re.compile(r"\{\w|\$[\w{(]")
_SETTINGS = {
    "PIP_INDEX_URL": "--index-url",
    "PIP_EXTRA_INDEX_URL": "--extra-index-url",
    "PIP_FIND_LINKS": "--find-links",
    "UV_INDEX_URL": "--index-url",
    "UV_DEFAULT_INDEX": "--index-url",
    "UV_EXTRA_INDEX_URL": "--extra-index-url",
    "UV_INDEX": "--extra-index-url",
    "UV_FIND_LINKS": "--find-links",
}
"""Variables that stand for an option of pip or uv."""

_ATTACHED = "/kaggle/input/"
_TOOLS = frozenset({"pip", "setuptools", "wheel", "uv"})


def ask(words: Sequence[str], line: Line, sitting: Sitting) -> Arguments:
    """Take over what the words after ``pip install``, ``download`` or ``wheel`` ask for; return them as read.

    The files that they name with ``-r`` and ``-c`` are the caller's.

    Raises:
        ValueError: pip would not read them.

    """
    given = arguments(_joined([piece for word in words for piece in _expanded(word)]))
    sitting.wheels |= {sitting.path(folder) for folder in given.destinations}
    names = [
        name for word in (*given.requirements, *given.editable) for name in [entry(word, line, sitting, given)] if name
    ]
    _options(given, names, line, sitting)
    return given


def uninstall(words: Sequence[str], line: Line, sitting: Sitting) -> None:
    """Read the words after ``pip uninstall``: what is taken away is not to come with the pack."""
    try:
        given = arguments(words)
    except ValueError as error:
        sitting.harvest.left(line, f"pip would not read this: {error}", 'exclude = ["NAME"]')
        return
    for word in given.requirements:
        sitting.harvest.remove(word, line, "the pack does not bring it; kpack takes nothing out of the image")


def entry(word: str, line: Line, sitting: Sitting, given: Arguments) -> str | None:
    """Take one argument over (a requirement, a URL, a path); return the name of what comes from an index."""
    plain = word.strip()
    if not plain:
        return None
    folder, _, filename = plain.rpartition("/")
    if (
        _VARIABLE.search(folder)
        and "://" not in folder
        and not _VARIABLE.search(filename)
        and _ARCHIVE.search(filename)
        and _pin(filename)
    ):
        return _local(plain, line, sitting, given)  # wherever the folder is, the file says what it is
    if _VARIABLE.search(plain) and "://" not in plain.partition("$")[0]:
        sitting.harvest.left(
            line,
            f"{quoted(plain)} holds a variable whose value is not in plain words",
            "kpack add NAME, with what it stands for",
        )
    elif re.match(r"(?:git\+)?[a-z]+://", plain) or plain.startswith("git+"):
        _url(*_marked(plain, r"\s+;"), line, sitting, given)
    elif (
        "://" not in plain
        and "@" not in plain
        and (plain.startswith((".", "/", "~")) or _ARCHIVE.search(plain) or ("*" in plain and "/" in plain))
    ):
        path, marker = _marked(plain, r"\s*;")
        if not marker:
            return _local(plain, line, sitting, given)
        write = f"write {quoted(path)} in packages if the kernel is one of these"
        sitting.harvest.left(line, f"a path is for every kernel, and this one for some: {marker}", write)
    elif "/" in plain and "://" not in plain and "@" not in plain and (sitting.local(plain) or sitting.clone_of(plain)):
        return _local(f"./{plain}", line, sitting, given)
    else:
        return _requirement(plain, line, sitting, given)
    return None


def _requirement(plain: str, line: Line, sitting: Sitting, given: Arguments) -> str | None:
    plain = re.sub(r"\s*;\s*$", "", plain)  # no marker, as for pip
    name = re.match(r"[A-Za-z0-9._-]+(?!\s+[A-Za-z])", plain)
    tool = str(canonicalize_name(name[0])) if name else ""
    if name and (tool in _TOOLS - {"setuptools"} or (plain == name[0] and tool in _TOOLS)) and "@" not in plain:
        sitting.harvest.understood(line, "", f"{plain} is a tool of the installation, which a restore does not use")
        return None
    digests, why = _digests(given)
    try:
        requirement = Requirement(plain)
    except InvalidRequirement:
        requirement = None
    if requirement is not None and requirement.url:
        path = path_of(requirement.url)
        if path and sitting.local(path) is None:  # what conda's builds left in `pip freeze`
            project, _, version = (_pin(posixpath.basename(path.rstrip("/"))) or "").partition("==")
            requirement.url = None
            requirement.specifier = SpecifierSet(
                f"=={version}" if project == canonicalize_name(requirement.name) else ""
            )
            sitting.harvest.add(str(requirement), line, why=f"{quoted(path)} is not here: asked of the index instead")
            return requirement.name
        if len(digests) == 1 and "sha256=" not in requirement.url and not requirement.url.startswith("git+"):
            requirement.url += f"{'&' if '#' in requirement.url else '#'}sha256={digests[0]}"
            plain, digests = str(requirement), ()
    sitting.harvest.add(hashes.joined(plain, digests), line, upgrade=given.upgrade, why=why)
    return None if requirement is None or requirement.url else requirement.name


def _digests(given: Arguments) -> tuple[tuple[str, ...], str]:
    """Return the digests that are kept, and a word on those that are not."""
    digests = tuple(value.partition(":")[2] for value in given.hashes if value.startswith("sha256:"))
    return digests, "a --hash that is no SHA-256 is not kept" if len(digests) < len(given.hashes) else ""


def path_of(url: str) -> str | None:
    """Return the path that a ``file:`` URL of this machine names; None for any other text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        return None
    return unquote(parts.path)


def _options(given: Arguments, names: list[str], line: Line, sitting: Sitting) -> None:
    """Say what the options change about what is needed."""
    harvest = sitting.harvest
    for url in given.indexes:
        index(url, names, line, sitting, option="--index-url")
    for url in given.extra_indexes:
        index(url, names if len(names) == 1 else [], line, sitting, option="--extra-index-url")
    for url in given.links:
        _links(url, names, line, sitting, unpinned=not all(map(_OPERATOR.search, given.requirements)))
    if given.no_deps:
        for name in map(canonicalize_name, names):
            harvest.without_dependencies(name, line)
    if given.pre:
        harvest.left(line, "--pre lets in pre-releases", "write one into the requirement, like name>=2.0rc1")
    for word in given.no_binary:
        if word not in {":all:", ":none:"}:
            wanted = ", ".join(quoted(part) for part in word.split(","))
            harvest.left(line, "--no-binary has it built from source", f"allow-source = [{wanted}]")
        elif word == ":all:":
            write = 'allow-source = ["NAME"], for what shall be built where a wheel would fit, too'
            harvest.left(line, "--no-binary :all: has everything built from source", write)
    _parts(given, line, harvest)
    for option in given.unknown:
        harvest.left(line, f"{quoted(option)} is no option of pip or uv", "look at what it does")


def _parts(given: Arguments, line: Line, harvest: Harvest) -> None:
    """Say how what a project or a script asks for is read, of which an option names a part."""
    for group in given.groups:
        where, _, name = group.rpartition(":")
        project = typed(where) if where else "pyproject.toml"
        write = f"kpack init --from {project} --group {typed(name)}, or --extra"
        harvest.left(line, f"{quoted(group)} is a part of a project", write)
    for script in given.scripts:
        write = f"kpack init --from … --from {typed(script)}"
        harvest.left(line, f"{quoted(script)} has requirements of its own", write)
    if given.only_deps:
        harvest.left(line, "--only-deps leaves out what is named", "kpack add what it asks for, or exclude it")


def _links(url: str, names: list[str], line: Line, sitting: Sitting, *, unpinned: bool) -> None:
    """Declare a page of links, or a folder of wheels that is here; a folder of the kernel's has nothing to give.

    ``unpinned`` says that the line leaves a version to what it finds.
    """
    plain = re.sub(r"^file:(?://)?", "", url)
    folder = None if "://" in plain else sitting.local(plain)
    if "://" in plain:
        index(url, names, line, sitting, option="--find-links")
    elif folder is not None and names and _has_archives(folder):
        relative = os.path.relpath(folder, sitting.harvest.folder).replace(os.sep, "/")
        near = relative if relative.startswith("..") else f"./{relative}"
        sitting.harvest.serve(near, [canonicalize_name(name) for name in names], line, links=True)
    elif folder is None and names and unpinned and sitting.path(plain).startswith(_ATTACHED):
        why = f"the wheels in {plain} are not here: where no version is said, kpack lock takes the newest that fits"
        sitting.harvest.understood(line, "", why)


def _has_archives(folder: Path) -> bool:
    """Tell whether a folder of this machine holds a wheel or sdist: the kernel's own has what pip put there."""
    return folder.is_dir() and any(_ARCHIVE.search(path.name) for path in folder.iterdir())


def setting(name: str, value: str | list[str], line: Line, sitting: Sitting) -> None:
    """Declare the indexes that a variable of pip or uv names, or say that they are a person's to declare."""
    for url in value.split() if name in _SETTINGS and isinstance(value, str) else ():
        if "://" in url:
            index(url.rpartition("=")[2] if name == "UV_INDEX" else url, [], line, sitting, option=_SETTINGS[name])


def declared(url: str, line: Line, sitting: Sitting, *, option: str) -> None:
    """Say of an index of a whole file that its packages are not known."""
    index(url, [], line, sitting, option=option)


def is_default(url: str) -> bool:
    """Tell whether a URL is that of the default index, written out."""
    from pip._internal.models.index import PyPI

    return urls.stable(url).rstrip("/") == str(PyPI.simple_url).rstrip("/")


def for_all(url: str, line: Line, sitting: Sitting, *, option: str = "--index-url") -> None:
    """Say of an index that a whole file counts on that it is a person's to declare."""
    sitting.harvest.left(
        line,
        f"{option} {quoted(urls.redacted(url, '***@'))} is for all packages",
        "KPACK_INDEX_URL names a mirror of the default index; [[indexes]] another one, with its packages",
    )


def index(url: str, names: list[str], line: Line, sitting: Sitting, *, option: str = "the index") -> None:
    """Declare an index for the names of its line; one beside the default serves only what a person says."""
    if is_default(url):
        return
    links = ', format = "links"' if option == "--find-links" else ""
    if _VARIABLE.search(urls.stable(url)):
        told = ", ".join(map(quoted, names))
        sitting.harvest.left(
            line,
            f"{option} {quoted(urls.redacted(url, '***@'))} holds a variable whose value is not in plain words",
            f"declare it in [[indexes]], with what it stands for: name, url{links}, packages = [{told}]",
        )
        return
    if not re.match(r"https?://", url):
        sitting.harvest.left(
            line, f"{option} {quoted(url)} is no URL", "write the wheels as ./folder/NAME.whl in packages"
        )
    elif not names or urls.stable(url) != url:
        why = f"{option} {urls.redacted(url, '***@')}: which packages it serves is not said here"
        if names:
            why = f"{option} {urls.redacted(url, '***@')} holds a password"
        sitting.harvest.left(line, why, f'declare it in [[indexes]]: name, url = "{urls.shown(url)}"{links}, packages')
    else:
        sitting.harvest.serve(url, [canonicalize_name(name) for name in names], line, links=option == "--find-links")


def _marked(text: str, mark: str) -> tuple[str, str]:
    """Return what stands before a marker, and the marker; ``mark`` is the pattern of what parts them."""
    found = re.search(mark, text)
    try:
        return (text[: found.start()].rstrip(), str(Marker(text[found.end() :]))) if found else (text, "")
    except InvalidMarker:
        return text, ""


def _url(url: str, marker: str, line: Line, sitting: Sitting, given: Arguments) -> None:
    """Give a bare URL the name that its fragment, its wheel's name or (with a word on it) its repository says."""
    address, _, fragment = url.partition("#")
    path = path_of(address)
    if path and not fragment and not marker and (folder := sitting.local(path)) and folder.is_dir():
        _local(path, line, sitting, given)
        return
    egg = re.search(r"egg=([A-Za-z0-9._-]+(?:\[[^\]]*\])?)", fragment)
    tail = unquote(address.partition("?")[0].rstrip("/").rpartition("/")[2])
    kept = [part for part in fragment.split("&") if part.startswith(("subdirectory=", "sha256="))]
    sha256 = [value.partition(":")[2] for value in given.hashes if value.startswith("sha256:")]
    why = ""
    if len(sha256) == 1:
        kept = [*(part for part in kept if not part.startswith("sha256=")), f"sha256={sha256[0]}"]
    elif given.hashes:
        why = "its --hash is not kept: a URL has one sha256; the lock records it"
    whole = (f"{address}#{'&'.join(kept)}" if kept else address) + (f" ; {marker}" if marker else "")
    if egg:
        sitting.harvest.add(f"{egg[1]} @ {whole}", line, why=why)
        return
    try:
        name = str(parse_wheel_filename(tail)[0])
    except ValueError:
        name = repository_name(address) or (_pin(tail) or "").partition("==")[0]
        if not name:
            sitting.harvest.left(
                line,
                f"{quoted(urls.redacted(url, '***@'))} does not say which package it is",
                typed("kpack", "add", f"NAME @ {urls.shown(url)}"),
            )
            return
        why = "; ".join(
            filter(None, [why, f"taken for the package {quoted(name)}: correct the name if it has another"])
        )
    sitting.harvest.add(f"{name} @ {whole}", line, why=why)


def repository_name(address: str) -> str:
    """Return the name of the repository that a git URL, or the archive of one, speaks of; empty for other URLs."""
    plain = urls.stable(address).removeprefix("git+").partition("://")[2].partition("?")[0]
    parts = plain.rstrip("/").split("/")
    archive = next(
        (at for at, part in enumerate(parts) if part in {"archive", "tarball", "zipball", "zip", "-"} and at >= 3), 0
    )
    if archive:
        name = parts[archive - 1]
    elif address.startswith("git+"):
        name = re.sub(r"(?:\.git)?(?:@.*)?$", "", "/".join(parts[1:])).rpartition("/")[2]
    else:
        return ""
    return name if re.fullmatch(r"[A-Za-z0-9]+(?:[._-]+[A-Za-z0-9]+)*", name) else ""


def _local(word: str, line: Line, sitting: Sitting, given: Arguments) -> str | None:
    """Take a path over: what is here as it is, a clone as its repository, a wheel of an input as its pin.

    Returns the name of what is asked of the index instead.
    """
    digests, why = _digests(given)
    plain, bracket, extras = word.partition("[") if word.endswith("]") else (word, "", "")
    clone = sitting.clone_of(plain)
    local = sitting.local(plain)
    if "*" in plain and sitting.path(posixpath.dirname(plain)) in sitting.wheels:
        sitting.harvest.understood(line, "", "what was downloaded above, from a folder of the notebook's own")
    elif clone is not None and (local is None or not local.samefile(sitting.folder)):
        repository, within = clone
        repository.used = True
        name = within.rpartition("/")[2] or repository_name(f"git+{repository.url}")
        revision = f"@{repository.revision}" if repository.revision else ""
        inner = f"#subdirectory={within}" if within else ""
        sitting.harvest.add(
            f"{name or 'NAME'}{bracket}{extras} @ git+{repository.url}{revision}{inner}",
            line,
            why=f"the clone of {urls.shown(repository.url)}: correct the name if the package has another",
        )
    elif local is not None and not (plain in {".", "./"} and not _is_project(local)):
        relative = os.path.relpath(local, sitting.harvest.folder).replace(os.sep, "/")
        near = relative if relative.startswith("..") else f"./{relative}"
        sitting.harvest.add(hashes.joined(f"{near}{bracket}{extras}", digests), line, why=why)
    elif pin := _pin(posixpath.basename(plain.rstrip("/"))):
        name, _, version = pin.partition("==")
        why = "; ".join(filter(None, [f"{quoted(plain)} is not here: asked of the index instead", why]))
        sitting.harvest.add(hashes.joined(f"{name}{bracket}{extras}=={version}", digests), line, why=why)
        return name
    else:
        whole = sitting.lands(plain)
        what = "the notebook's folder is no project" if whole == HOME else f"{quoted(whole)} is not here"
        sitting.harvest.left(line, what, 'kpack add NAME for each package in it, or "./…" with a copy')
    return None


def _is_project(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("pyproject.toml", "setup.py", "setup.cfg"))


def _pin(filename: str) -> str | None:
    """Return ``name==version`` as the name of a wheel, sdist or unpacked sdist says it; None for any other name."""
    for parse, text in (
        (parse_wheel_filename, filename),
        (parse_sdist_filename, filename),
        (parse_sdist_filename, f"{filename}.tar.gz"),
    ):
        try:
            name, version, *_ = parse(text)
        except (ValueError, InvalidName):  # no such name, or a number of more than 4,300 digits
            continue
        if re.fullmatch(r"[a-z0-9-]*[a-z0-9]", name):
            return f"{name}=={version}"
    stripped = re.fullmatch(r"([A-Za-z0-9_.]+)-([0-9.]+)(cu[0-9]+|cpu)(-.*\.whl)", filename)
    return _pin(f"{stripped[1]}-{stripped[2]}+{stripped[3]}{stripped[4]}") if stripped else None


def _expanded(word: str) -> list[str]:
    """Return the words that a shell makes of ``a/{b,c}.whl``."""
    braces = re.fullmatch(r"([^{}]*)\{([^{}]*,[^{}]*)\}([^{}]*)", word)
    return [f"{braces[1]}{part}{braces[3]}" for part in braces[2].split(",")] if braces else [word]


def _joined(words: Sequence[str]) -> list[str]:
    """Put ``name >=1.0`` together again, which a shell takes apart."""
    joined: list[str] = []
    for word in words:
        if joined and _OPERATOR.match(word) and re.match(r"[A-Za-z0-9]", joined[-1]):
            joined[-1] += word
        else:
            joined.append(word)
    return joined
