"""The ``[[checkpoints]]`` tables: which file, from where, to where."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from kpack.environment.errors import Mistake, quoted
from kpack.environment.model import CheckpointRequest, RestoreOptions
from kpack.errors import UsageError
from kpack.hubs import of_shown_page, on_a_hub
from kpack.urls import url_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.environment.positions import KeyPath
    from kpack.environment.rows import Reading

DEFAULT_DIRECTORY = "/kaggle/tmp"
"""Where relative checkpoint paths start on Kaggle."""

ANYWHERE = "/kaggle/input"
"""What ``attached = true`` stands for: the file is looked for below."""

_OTHERWISE = "run `sha256sum` on the file, or leave sha256 out: the first lock records it"
_LENGTHS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}


def normal_path(text: str) -> str:
    """Return a path in its one spelling (``./a//b`` is ``a/b``), for any checkpoint or folder in the kernel.

    Raises:
        ValueError: the path has a ``..`` or ``.kpack`` part, a backslash, a home folder of another user, or names
            nothing.

    """
    parts = text.split("/")
    if ".." in parts:
        raise ValueError("has the part '..'")
    if ".kpack" in parts:
        raise ValueError("has the part '.kpack', where kpack keeps its state")
    if "\\" in text:
        raise ValueError("has a backslash")
    if text.startswith("~") and parts[0] != "~":
        raise ValueError("starts at another user's home folder")
    if any(len(part.encode()) > 255 for part in parts):
        raise ValueError("has a part of more than 255 bytes")
    normal = posixpath.normpath(text).replace("//", "/", 1)
    if normal in {".", "/", "~"}:
        raise ValueError("names no file")
    return normal


def is_repository(url: str) -> bool:
    """Tell whether ``url`` names a repository or dataset as a whole (or a folder of it), not one file."""
    try:
        address = on_a_hub(url)
    except UsageError:
        return False
    return address is not None and not address.is_file


def checkpoints(tables: Sequence[Mapping[str, object]], at: KeyPath, reading: Reading) -> tuple[CheckpointRequest, ...]:
    """Read the tables; two that land on one path, or one inside the other, are a mistake."""
    options: RestoreOptions = reading.values.get("restore", RestoreOptions())
    good: list[CheckpointRequest] = []
    landed = Landed()
    for number, table in enumerate(tables):
        request = _TableReader(table, (*at, number), reading.mistakes).read()
        if request is None:
            continue
        good.append(request)
        if request.path is not None:
            _land(request, number, landed, options.directory, reading.mistakes)
    return tuple(good)


def _land(
    request: CheckpointRequest, number: int, landed: Landed, directory: str | None, mistakes: list[Mistake]
) -> None:
    path = request.path or ""
    whole = path if path.startswith(("/", "~")) else posixpath.join(directory or DEFAULT_DIRECTORY, path)
    if request.urls and is_repository(request.urls[0]):
        whole += "/*"
    other = landed.clash(whole)
    if other is None:
        landed.add(whole, number)
        return
    same = landed.files.get(whole) == other
    how = "the same path as" if same else "a path that needs a folder where another file stands:"
    mistakes.append(
        Mistake(
            key=("checkpoints", number, "path"),
            what=f"{quoted(path)} is {how} checkpoints[{other}].path",
            next="give each checkpoint a path of its own",
        )
    )


class Landed:
    """The paths that are taken, and the folders that they need, each with the number of the first that does."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {}
        self.folders: dict[str, int] = {}

    def clash(self, path: str) -> int | None:
        """Return the first that takes ``path`` itself, a folder that it needs, or something in it."""
        found = [self.files.get(path), self.folders.get(path), *map(self.files.get, _above(path))]
        return min((number for number in found if number is not None), default=None)

    def add(self, path: str, number: int) -> None:
        """Take ``path`` for ``number``."""
        self.files[path] = number
        for folder in _above(path):
            self.folders.setdefault(folder, number)


def _above(path: str) -> list[str]:
    """Return the folders above ``path``, without the root."""
    return [path[:place] for place, character in enumerate(path) if character == "/" and place]


class _TableReader:
    """Reads one table; ``None`` from `read` means that a mistake was said."""

    def __init__(self, table: Mapping[str, object], at: KeyPath, mistakes: list[Mistake]) -> None:
        self.table = table
        self.at = at
        self.mistakes = mistakes
        self.before = len(mistakes)

    def say(self, key: str, what: str, advice: str = "") -> None:
        self.mistakes.append(Mistake(key=(*self.at, key) if key else self.at, what=what, next=advice))

    def read(self) -> CheckpointRequest | None:
        urls = self._urls()
        path = self._path("path")
        attached = ANYWHERE if self.table.get("attached") is True else self._path("attached")
        if not {"url", "urls"} & self.table.keys():
            self.say("", 'the key "url" is missing', 'add url = "https://…" (or urls = […] for mirrors)')
        sha256 = self.table.get("sha256")
        include = self.table.get("include") or ()
        assert isinstance(include, (list, tuple))
        repository = any(is_repository(url) for url in urls)
        if repository:
            self._repository(urls)
        elif include:
            self.say("include", "chooses files of a repository, but the URL names one file", "remove it")
        optional = bool(urls) and all(url.startswith("hf://") for url in urls)
        if path is None and "path" not in self.table and not optional:
            name = posixpath.basename(urls[0].partition("?")[0].removeprefix("file:")) if urls else "model.ckpt"
            self.say("", 'the key "path" is missing', f"add path = {quoted(f'checkpoints/{name}')}")
        if len(self.mistakes) > self.before:
            return None
        return CheckpointRequest(
            urls=urls,
            path=path,
            sha256=sha256 if isinstance(sha256, str) else None,
            attached=attached,
            include=tuple(item for item in include if isinstance(item, str)),
        )

    def _urls(self) -> tuple[str, ...]:
        table = self.table
        if "url" in table and "urls" in table:
            self.say("urls", "url and urls exclude each other", "put url first in urls and remove url")
        many = table.get("urls")
        if isinstance(many, list):
            written: list[tuple[KeyPath, str]] = [
                (("urls", number), url) for number, url in enumerate(many) if isinstance(url, str)
            ]
        elif isinstance(table.get("url"), str):
            written = [(("url",), str(table["url"]))]
        else:
            return ()
        for key, url in written:
            problem = _url_problem(url)
            if problem:
                self.mistakes.append(Mistake(key=(*self.at, *key), what=problem[0], next=problem[1]))
        urls = tuple(url for _, url in written)
        if len(set(urls)) < len(urls):
            self.say("urls", "the same URL stands there twice", "remove one")
        return urls

    def _path(self, key: str) -> str | None:
        text = self.table.get(key)
        if not isinstance(text, str):
            return None
        try:
            normal = normal_path(text)
        except ValueError as error:
            self.say(key, f"{quoted(text)} {error}", "write the whole path of the file, with / between its parts")
            return None
        if text.endswith("/") and not any(is_repository(url) for url in self._known_urls()):
            self.say(key, f"{quoted(text)} names a folder", "write the path of the file itself")
            return None
        return normal

    def _known_urls(self) -> list[str]:
        many = self.table.get("urls") or [self.table.get("url")]
        return [url for url in many if isinstance(url, str)] if isinstance(many, list) else []

    def _repository(self, urls: tuple[str, ...]) -> None:
        if len(urls) > 1:
            self.say("urls", "a repository as a whole has no mirrors", "give it a [[checkpoints]] table of its own")
        if "sha256" in self.table:
            self.say(
                "sha256",
                "a repository has many files, one digest cannot hold for them",
                "remove it: the lock records each",
            )


def _url_problem(url: str) -> tuple[str, str] | None:
    if any(map(str.isspace, url)):
        plain = re.sub(r"\s", lambda space: quote(space[0]), url.rstrip())
        return f"{quoted(url)} has spaces, which no URL has", f"write {quoted(plain)}"
    if (address_of_it := of_shown_page(url)) is not None:
        return f"{quoted(url)} is a page that shows files, not a file", f"write {quoted(address_of_it)}"
    try:
        parts = url_parts(url)
    except ValueError as error:
        return f"{quoted(url)} is not a URL: {error}", "write https://host/path"
    if parts.scheme in {"http", "https"} and (not parts.hostname or parts.port == 0):
        return f"{quoted(url)} has no host", "write https://host/path"
    if parts.scheme == "file" and (not parts.path.strip("/") or parts.path.endswith("/")):
        return (
            f"{quoted(url)} names no file",
            "write file:///folder/model.ckpt, or file:model.ckpt for a file beside this one",
        )
    if parts.scheme == "file" and parts.netloc not in {"", "localhost"}:
        return f"{quoted(url)} is a file on another machine", "write file:///folder/model.ckpt"
    try:
        address = on_a_hub(url)
    except UsageError as error:
        return str(error), error.next or ""
    if address is not None and address.asked is not None:
        return f"{quoted(url)} has a '#' part, which only a lock writes", "remove it"
    return None


def digest_advice(text: str) -> str:
    """Return what to write for a ``sha256`` that is not 64 lower-case hexadecimal digits."""
    bare = text.strip().lower().removeprefix("sha256:").removeprefix("sha256=")
    if re.fullmatch(r"[0-9a-f]{64}", bare):
        return f"write sha256 = {quoted(bare)}"
    if re.fullmatch(r"[0-9a-f]+", bare) and len(bare) in _LENGTHS:
        return f"that looks like {_LENGTHS[len(bare)]}; {_OTHERWISE}"
    return _OTHERWISE
