"""From what a run did to what kaggle-env.toml has to say, so that the same code finds its files offline."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin, urlsplit

from kpack import urls
from kpack.environment.template import CheckpointEntry
from kpack.files import sha256_of
from kpack.recording import hub
from kpack.recording.observe import TIKTOKEN, digests

if TYPE_CHECKING:
    from pathlib import Path

    from kpack.recording.observe import Exchange, Observation, Program

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LISTS = re.compile(r"/(?:index|manifest)\.\w+$")
"""What lists the files that lie below it, like the index of NLTK's data."""
_KAGGLEHUB = ".cache/kagglehub"
_KINDS = {"datasets": "*/*", "models": "*/*/*/*", "competitions": "*"}
"""Folders of Kaggle's client, and where below lies what has a name of its own."""
_SERVICE = re.compile(r"/v1/\w+\.\w+Service/\w+$")
"""Where Kaggle's client asks; what it fetches it is led to from there."""
_INSTALLERS = (".cache/pip", ".cache/uv", ".ipython", ".config/matplotlib", ".cache/matplotlib")


@dataclass(slots=True, kw_only=True)
class Recorded:
    """What is to be written, and what a person has to see to."""

    entries: list[CheckpointEntry] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    link: bool = False
    """Whether a path is relative to the working folder."""
    left: list[str] = field(default_factory=list)
    """What cannot be expressed, a sentence each."""


def found(seen: Observation) -> Recorded:
    """Return what a run has downloaded."""
    result = Recorded()
    mine = (pair for pair in hub.repositories(seen.folder) if not _of_others(pair[0], seen))
    hubs = [*hub.repositories(seen.home), *mine]
    result.entries += [entry for _, entry in hubs]
    inside = [*(folder for folder, _ in hubs), seen.home / _KAGGLEHUB]
    files = {path for path in seen.written if not any(path.is_relative_to(folder) for folder in inside)}
    files = {path for path in files if not _of_an_installer(path, seen)}
    taken = _Taken(seen, result)
    for program in seen.programs:
        taken.program(program)
    taken.requests(files)
    taken.rest(hubs=bool(hubs) or any(entry.url.startswith("hf://") for entry in result.entries))
    _special(seen, result)
    result.left += [f"{magic} was not run: this interpreter has no IPython" for magic in seen.skipped]
    result.left = list(dict.fromkeys(result.left))
    return result


class _Taken:
    """Finds the file that each answer became."""

    def __init__(self, seen: Observation, result: Recorded) -> None:
        self.seen = seen
        self.result = result
        self.asked_of = _origins(seen.requests)
        self.saved: set[str] = set()
        """URLs, as they were first asked for, whose answer is a file."""
        self.paths: set[str] = set()

    def program(self, program: Program) -> None:
        """Take what wget or curl brought; other programs are named."""
        name, words = program.words[0], list(program.words[1:])
        if name == "git":
            if "clone" in words:
                url = next((urls.redacted(word) for word in words if "://" in word), "a repository")
                self.result.left.append(
                    f'git clone of {url}: packages = ["NAME @ git+{url}"], or attach it as an input'
                )
            return
        addresses = [word for word in words if re.match(r"(?:https?|ftp)://", word)]
        target, folder, posted = _output(name, words)
        if posted:
            self.result.left += [
                f"{name} sends data to {urls.shown(url)}: an answer cannot be packed" for url in addresses
            ]
            return
        for url in addresses:
            last = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2]) or "index.html"
            path = program.folder / (folder or "") / (target or last)
            prints = name == "curl" and not target and not any(map(_CURL_SAVES.fullmatch, words))
            if path.is_file() and not prints:
                self.add(url, path, secret=False)
            else:
                self.result.left.append(f"{name} hands {urls.shown(url)} on: save it as a file, and read that")

    def requests(self, files: set[Path]) -> None:
        """Take the files whose bytes are those of an answer, else those that are called as the URL says."""
        bodies: dict[str, Exchange] = {}
        for request in self.seen.requests:
            if request.sha256 and request.size and request.method == "GET" and request.status == 200:
                bodies.setdefault(request.sha256, request)
        sizes = {request.size for request in bodies.values()}
        for path, digest in digests(files, sizes).items():
            if digest in bodies:
                self.add(self.asked_of[bodies[digest].url], path, secret=bodies[digest].secret, sha256=digest)
        by_name = {path.name: path for path in sorted(files)}
        for request in self.seen.requests:
            url = self.asked_of.get(request.url, request.url)
            name = unquote(urlsplit(url).path.rpartition("/")[2])
            if request.method != "GET" or request.status != 200 or url in self.saved or name not in by_name:
                continue
            if request.sha256 is None or _compressed(by_name[name], request):
                self.add(url, by_name[name], secret=request.secret)

    def add(self, url: str, path: Path, *, secret: bool, sha256: str | None = None) -> None:
        """Write down that a URL became a file."""
        lands = self.lands(path)
        self.saved.add(url)
        if lands in self.paths:
            return
        plain = urls.stable(url)
        if any(entry.url == plain for entry in self.result.entries):
            self.result.left.append(f"{urls.shown(url)} was saved as {lands}, too: copy it there in the notebook")
            return
        self.paths.add(lands)
        address = hub.address(plain, self.seen.endpoint)
        if secret or urls.signed(url) or urls.has_user(url):
            how = "run `hf auth login`, or set HF_TOKEN" if address.startswith("hf://") else "set KPACK_URLS or netrc"
            self.result.left.append(f"{urls.shown(url)} needs credentials, which are not kept: {how} for kpack lock")
        self.result.entries.append(CheckpointEntry(url=address, path=lands, sha256=sha256 or sha256_of(path)))

    def lands(self, path: Path) -> str:
        """Return where a file has to be in the kernel."""
        seen, result = self.seen, self.result
        if path.is_relative_to(seen.home):
            inner = path.relative_to(seen.home).as_posix()
            if inner.startswith(f"{TIKTOKEN}/"):
                result.env["TIKTOKEN_CACHE_DIR"] = f"{{directory}}/{TIKTOKEN}"
                return inner
            return f"~/{inner}"
        if path.is_relative_to(seen.folder):
            result.link = True
            return path.relative_to(seen.folder).as_posix()
        return path.as_posix()

    def rest(self, *, hubs: bool) -> None:
        """Say which answers became no file."""
        folders = {url.rpartition("/")[0] for url in self.saved}
        counted: Counter[str] = Counter()
        for request in self.seen.requests:
            url = self.asked_of.get(request.url, request.url)
            if request.status >= 400 or request.status in _REDIRECTS or url in self.saved or request.method == "HEAD":
                continue
            if hubs and url.startswith(self.seen.endpoint + "/"):
                continue
            if _SERVICE.search(url) and (self.seen.home / _KAGGLEHUB).is_dir():
                continue
            if request.method != "GET":
                counted[f"{request.method} {urls.shown(url)}: the answer of an API cannot be packed"] += 1
            elif not (
                _LISTS.search(url) and any(f"{one}/".startswith(f"{url.rpartition('/')[0]}/") for one in folders)
            ):
                counted[f"{urls.shown(url)} was read and not saved: save it as a file, and read that"] += 1
        self.result.left += [text if count == 1 else f"{text} ({count} times)" for text, count in counted.items()]


def _origins(requests: list[Exchange]) -> dict[str, str]:
    """Return for every URL the one that was asked for before redirects led there."""
    first: dict[str, str] = {}
    for request in requests:
        origin = first.setdefault(request.url, request.url)
        if request.status in _REDIRECTS and request.location:
            first.setdefault(urljoin(request.url, request.location), origin)
    return first


def _compressed(path: Path, request: Exchange) -> bool:
    """Tell whether a file may be an answer that was sent compressed."""
    return 0 < request.size < path.stat().st_size


_FILE = {"wget": ("-O", "--output-document"), "curl": ("-o", "--output"), "aria2c": ("-o", "--out")}
_FOLDER = {"wget": ("-P", "--directory-prefix"), "curl": ("--output-dir",), "aria2c": ("-d", "--dir")}
_SENDS = frozenset({"--data", "--data-raw", "--data-binary", "--form", "--upload-file", "--post-data", "POST", "PUT"})
_CURL_SAVES = re.compile(r"-[A-Za-z]*O|--remote-name(?:-all)?")
_SENDS_SHORT = {"curl": frozenset({"-d", "-F", "-T"})}


def _output(name: str, words: list[str]) -> tuple[str | None, str | None, bool]:
    """Return the file and the folder that wget, curl or aria2c write to, and whether they send something."""
    target = folder = None
    short, long = _FILE[name]
    for number, word in enumerate(words):
        option, _, value = word.partition("=") if word.startswith("--") else (word, "", "")
        value = value or "".join(words[number + 1 : number + 2])
        if option == long or re.fullmatch(rf"-[A-Za-z]*{short[1]}", word):  # -sSLo FILE
            target = value
        elif option in _FOLDER[name]:
            folder = value
    return target, folder, any(word in _SENDS | _SENDS_SHORT.get(name, frozenset()) for word in words)


def _of_others(path: Path, seen: Observation) -> bool:
    """Tell whether what lies in the working folder is not of this run: that may be a home, with caches in it."""
    inside = [place for place in seen.others if seen.folder in place.parents]
    return any(path.is_relative_to(place) for place in inside)


def _of_an_installer(path: Path, seen: Observation) -> bool:
    if "__pycache__" in path.parts or path.suffix == ".pyc":
        return True
    return any(path.is_relative_to(seen.home / place) for place in _INSTALLERS)


def _special(seen: Observation, result: Recorded) -> None:
    """Name what is there offline by other means than a file."""
    for code in sorted(seen.home.glob(".cache/torch/hub/*/hubconf.py")):
        result.left.append(
            f"torch.hub.load brought the code {code.parent.name}: attach that repository as an input and load it with "
            "source='local'; its weights are files"
        )
    for kind, depth in _KINDS.items():
        place = seen.home / _KAGGLEHUB / kind
        if place.is_dir():
            names = sorted(path.relative_to(place).as_posix() for path in place.glob(depth) if path.is_dir())
            which = f" ({', '.join(names)})" if names else ""
            result.left.append(f"kagglehub brought {kind} of Kaggle{which}: attach them to the notebook (Add Input)")
