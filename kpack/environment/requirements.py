"""The entries of ``packages`` and ``exclude``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name, parse_wheel_filename
from packaging.version import Version

from kpack import markers
from kpack.environment import hashes
from kpack.environment.errors import Mistake, quoted
from kpack.environment.model import Exclusion, Package
from kpack.environment.patterns import MOST_PATTERNS, TOO_MANY_PATTERNS, is_pattern, normalise
from kpack.environment.rows import LONGEST, NAME
from kpack.urls import url_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.environment.positions import KeyPath

_URL = re.compile(r"(?:https?|file|git\+(?:https?|ssh|file))://[^\s]+")
_MARKER_WORD = re.compile(r"""("[^"]*"|'[^']*')|(\w[\w.]*)""")
_SLIPS = (
    (r"^(?:==|@|:)\s*latest$", ""),
    (r"^[@:]\s*v?(?=[0-9]+(?:\.[0-9a-z]+)*$)", "=="),
    (r"=([<>])", r"\1="),
    (r"~=\s*([0-9]+)(?=\s*(?:[,;]|$))", r"~=\1.0"),
    (r"==\s*([0-9.]+)\.x\b", r"==\1.*"),
    (r">=\s*([0-9.]+)\.x\b", r">=\1"),
)
"""Versions as other tools write them, and as they are written here."""
_FILE = re.compile(r"[\w.-]*requirements[\w.-]*\.txt|[\w.-]+\.ipynb|pyproject\.toml|environment\.ya?ml")
"""What is the name of a file, although it could be that of a package (as ruamel.yaml is one)."""
_LOCAL = re.compile(r"(?:\.{0,2}/|~/|\.{1,2}(?:\s*\[|\Z))")
_EXTRAS = re.compile(rf"([^\[\]]*?)\s*\[\s*({NAME}(?:\s*,\s*{NAME})*)\s*\]")


class NotAPackageError(ValueError):
    """An entry of ``packages`` that cannot be read; ``advice`` says what to write."""

    def __init__(self, what: str, advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.advice = advice


def package(text: str) -> Package:
    """Read one entry of ``packages``.

    Raises:
        NotAPackageError: the text is neither a requirement (PEP 508) nor a local path (``./…``, ``../…``, ``/…``).

    """
    try:
        written, digests = hashes.split(text.strip())
    except ValueError as error:
        raise NotAPackageError(str(error), "write it like name==1.2 --hash=sha256:… (64 hexadecimal digits)") from error
    if len(written) > LONGEST:
        raise NotAPackageError(
            f"{quoted(text)} has {len(written):,} characters, {LONGEST:,} are the most", "write a shorter requirement"
        )
    if _LOCAL.match(written):
        path, extras = _local_path(written)
        return Package(text=text, requirement=None, path=path, extras=extras, hashes=digests)
    if _FILE.fullmatch(written):
        how = (
            f"kpack add -r {written} takes what a list has"
            if written.endswith(".txt")
            else f"kpack init --from {written}"
        )
        raise NotAPackageError(f"{quoted(written)} is the name of a file and not of a package", how)
    try:
        requirement = Requirement(written)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise NotAPackageError(f"{quoted(text)} is not a requirement: {reason}", _advice(written)) from error
    _check_marker(requirement)
    if requirement.url and not (_URL.fullmatch(requirement.url) and _has_host_and_port(requirement.url)):
        raise NotAPackageError(
            f"{quoted(requirement.url)} is not a URL that kpack can fetch",
            _over_ssh(written)
            or _with_operators(written)
            or 'write https://…, git+https://…@revision or file:///…; a local folder stands alone, like "./fork"',
        )
    if requirement.url is not None:
        _check_digest(requirement.url, digests)
        requirement.url = hashes.in_lower_case(requirement.url)
        _check_revision(requirement.url)
        if urlsplit(requirement.url).path.endswith(".whl"):
            _wheel(requirement)
    return Package(text=text, requirement=requirement, hashes=digests)


def _check_marker(requirement: Requirement) -> None:
    """Refuse a marker that no target can be asked, like ``python_version ~= "x"``."""
    try:
        markers.counts(requirement, {})
    except markers.OddMarker as error:  # the grammar takes it
        raise NotAPackageError(
            f"{quoted(str(requirement.marker))} {error}",
            "correct the marker",
        ) from error


def _check_digest(url: str, digests: tuple[str, ...]) -> None:
    """Refuse digests of a repository, those beside a URL, and what is none."""
    try:
        found = hashes.of_url(url)
    except ValueError as error:
        raise NotAPackageError(f"the #sha256= of its URL: {error}", "write one, of 64 hexadecimal digits") from error
    if url.startswith("git+") and (found or digests):
        raise NotAPackageError(
            "a repository has no SHA-256", "its commit says which files it has: git+https://…@<40 digits>"
        )
    if digests:
        raise NotAPackageError("the digest of a URL stands in it", "write name @ https://…#sha256=…")


def _check_revision(url: str) -> None:
    """Refuse a revision that git would take for an option, and what no name of git's has (git-check-ref-format)."""
    _, at, revision = unquote(urlsplit(url).path).rpartition("@") if url.startswith("git+") else ("", "", "")
    if at and (not revision or revision.startswith("-") or not revision.isprintable()):
        raise NotAPackageError(
            f"{quoted(revision)} is not a revision of git", "name a branch, a tag or a commit: git+https://…@v1"
        )


def _has_host_and_port(url: str) -> bool:
    """Tell whether host and port of ``url`` can be read; a path needs neither."""
    try:
        url_parts(url)
    except ValueError:
        return False
    return True


def _wheel(requirement: Requirement) -> None:
    """Refuse a wheel's URL whose file name is none, or that of another distribution."""
    filename = unquote(urlsplit(requirement.url or "").path.rpartition("/")[2])
    try:
        name = parse_wheel_filename(filename)[0]
    except ValueError as error:
        raise NotAPackageError(f"{quoted(filename)} is not the name of a wheel: {error}", "check the URL") from error
    if name != canonicalize_name(requirement.name):
        raise NotAPackageError(
            f"{quoted(requirement.name)} is to come from a wheel of {quoted(name)}", f"write {name} @ …, or another URL"
        )


def _local_path(written: str) -> tuple[str, tuple[str, ...]]:
    """Return a path, and the extras behind it."""
    with_extras = _EXTRAS.fullmatch(written)
    written, names = with_extras.groups() if with_extras else (written, "")
    if written.startswith("~"):
        raise NotAPackageError(
            f"{quoted(written)} starts at a home folder", 'write a path relative to this file, like "../fork"'
        )
    if "\\" in written or ";" in written or written.endswith("]"):
        raise NotAPackageError(
            f"{quoted(written)} is more than a path",
            'a local path stands alone, with / between its parts, like "./fork"',
        )
    return written, tuple(sorted({canonicalize_name(name) for name in re.findall(r"[^,\s]+", names)}))


def _advice(written: str) -> str:
    if written.startswith("-"):
        return "options of pip have no place here; an index goes to [[indexes]]"
    if re.match(r"[A-Za-z0-9+]+://", written):
        return _with_name(written)
    if re.match(r"[.~]?[\\]|[A-Za-z]:\\", written):
        return 'write a path with / between its parts, like "./fork"'
    if re.search(r"\.(whl|zip|tar\.gz)$", written) or re.match(r"[^<>=!~\s\[]+/", written):
        return f'a local file or folder starts with "./": {quoted("./" + written)}'
    single = re.match(r"([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*=\s*([0-9][^=]*)$", written)
    if single:
        return f"did you mean {quoted(f'{single[1]}=={single[2]}')}?"
    caret = re.match(r"([A-Za-z0-9._-]+)\s*\^\s*(([0-9]{1,9})[0-9.]*)$", written)
    if caret:
        return f"did you mean {quoted(f'{caret[1]}>={caret[2]},<{int(caret[3]) + 1}')}?"
    if meant := _over_ssh(written) or _with_operators(written) or _with_variables(written):
        return meant
    return 'write it like "name", "name>=1.2,<2", "name[extra]" or "name @ https://…"'


def _with_name(url: str) -> str:
    """Return what to write for a URL that has no name: the one of its ``#egg=``, else most likely the repository's."""
    git = url.startswith("git+")
    plain = f"write the package's name before it: name @ {'git+' if git else ''}https://…"
    bare, _, fragment = url.partition("#")
    try:
        address = urlsplit(bare)
    except ValueError:  # a host in brackets that is none
        return plain
    if "@" in address.netloc:
        return plain  # a password is not repeated
    parts = [part for part in fragment.split("&") if part]
    egg = next((unquote(part.removeprefix("egg=")) for part in parts if part.startswith("egg=")), "")
    rest = "&".join(part for part in parts if not part.startswith("egg="))
    last = re.sub(r"(?:\.git)?(?:@[^/@]*)?/?$", "", address.path).rpartition("/")[2] if git else ""
    meant = _meant(f"{egg or last} @ {bare}{'#' if rest else ''}{rest}") if egg or last else None
    if meant is None:
        return plain
    return meant.replace("did you mean", "write", 1).rstrip("?") if egg else f"{plain}; {meant}"


def _over_ssh(written: str) -> str | None:
    """Return what to write for git's short form of an address, ``git@host:org/repo.git``; None elsewhere."""
    found = re.fullmatch(r"(?:[\w.-]+\s*@\s*)??(?:git\+)?(?:ssh://)?git@([\w.-]+):([^\d\s/][^\s]*)", written)
    if found is None:
        return None
    name = found[2].rpartition("/")[2].partition("@")[0].removesuffix(".git")
    return f"write name @ git+ssh://git@{found[1]}/{found[2]}, the name most likely being {name}"


def _with_variables(written: str) -> str | None:
    """Return what was meant by a marker whose variables are none, or whose values have no quotes; None elsewhere."""
    import difflib

    from packaging.markers import default_environment

    head, semicolon, marker = written.partition(";")
    known = [*default_environment(), "extra"]

    def near(found: re.Match[str]) -> str:
        word = found[2]
        if word is None or word in known or word in {"and", "or", "not", "in"}:
            return found[0]
        return next(iter(difflib.get_close_matches(word, known, 1)), f'"{word}"')

    return _meant(f"{head}{semicolon}{_MARKER_WORD.sub(near, marker)}")


def _with_operators(written: str) -> str | None:
    """Return what was meant by the versions of other tools (``a@4.0``, ``a~=4``, ``a=>3``); None elsewhere."""
    found = re.match(r"([A-Za-z0-9._-]+(?:\[[^\]]*\])?)\s*(.*)", written, re.DOTALL)
    if found is None:
        return None
    rest = found[2]
    for wrong, right in _SLIPS:
        rest = re.sub(wrong, right, rest)
    return _meant(found[1] + rest) if rest != found[2] else None


def _meant(requirement: str) -> str | None:
    try:
        Requirement(requirement)
    except InvalidRequirement:
        return None
    return f"did you mean {quoted(requirement)}?"


def packages(entries: Sequence[str | None], mistakes: list[Mistake]) -> tuple[Package, ...]:
    """Read all entries; the same name twice is a mistake unless different markers tell the entries apart."""
    good: list[Package] = []
    seen: dict[str, dict[str, int]] = {}
    paths: dict[str, int] = {}
    for number, text in enumerate(entries):
        if text is None:
            continue
        at: KeyPath = ("packages", number)
        try:
            read = package(text)
        except NotAPackageError as error:
            mistakes.append(Mistake(key=at, what=error.what, next=error.advice))
            continue
        good.append(read)
        if read.requirement is None:
            first = paths.setdefault((read.path or "").rstrip("/"), number)
            if first != number:
                mistakes.append(
                    Mistake(key=at, what=f"{quoted(text)} stands at packages[{first}] already", next="remove one")
                )
            continue
        requirement = read.requirement
        others = seen.setdefault(canonicalize_name(requirement.name), {})
        marker = str(requirement.marker or "")
        same = others.get("", others.get(marker)) if marker else next(iter(others.values()), None)
        if same is not None:
            mistakes.append(
                Mistake(
                    key=at,
                    what=f"{quoted(text)} asks for {canonicalize_name(requirement.name)} again,"
                    f" packages[{same}] has {quoted(entries[same])}",
                    next='write one entry, like "name[one,two]>=1,<2"',
                )
            )
        others.setdefault(marker, number)
    return tuple(good)


def exclusions(entries: Sequence[str | None], mistakes: list[Mistake]) -> tuple[Exclusion, ...]:
    """Read the entries of ``exclude``; the same name or pattern twice is a mistake."""
    good: list[Exclusion] = []
    seen: dict[str, int] = {}
    patterns = 0
    for number, text in enumerate(entries):
        if text is None:
            continue
        at: KeyPath = ("exclude", number)
        name, equals, version = (part.strip() for part in text.partition("=="))
        pattern = normalise(name)
        if equals and is_pattern(name):
            mistakes.append(
                Mistake(
                    key=at,
                    what=f"{quoted(text)} pins a pattern",
                    next='a pin needs one whole name, like "torch==2.10.0"',
                )
            )
            continue
        try:
            exclusion = Exclusion(pattern=pattern, version=str(Version(version)) if equals else None)
        except ValueError:
            mistakes.append(
                Mistake(
                    key=at,
                    what=f"{quoted(version)} is not a version",
                    next='a pin names one exact version, like "torch==2.10.0+cu128"',
                )
            )
            continue
        patterns += is_pattern(name)
        if patterns > MOST_PATTERNS:
            mistakes.append(Mistake(key=at, what=TOO_MANY_PATTERNS, next="make some of them wider"))
            return tuple(good)
        first = seen.setdefault(pattern, number)
        if first != number:
            mistakes.append(
                Mistake(
                    key=at,
                    what=f"{quoted(text)} and exclude[{first}] {quoted(entries[first])} name the same",
                    next="remove one",
                )
            )
        good.append(exclusion)
    return tuple(good)


def names(key: KeyPath, entries: Sequence[str | None], mistakes: list[Mistake]) -> tuple[NormalizedName, ...]:
    """Read an array of names; the same name twice is a mistake."""
    good: dict[NormalizedName, None] = {}
    for number, text in enumerate(entries):
        if text is None:
            continue
        name = canonicalize_name(text)
        if name in good:
            mistakes.append(Mistake(key=(*key, number), what=f"{quoted(text)} stands there twice", next="remove one"))
        good[name] = None
    return tuple(good)
