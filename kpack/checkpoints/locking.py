"""``[[checkpoints]]`` tables -> locked checkpoints: revisions pinned, digests and sizes known."""

from __future__ import annotations

import difflib
import fnmatch
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from kpack.checkpoints import HUB_FOLDER, LockedCheckpoint, hub, kaggle
from kpack.checkpoints.address import digest_in_name
from kpack.checkpoints.fetching import download
from kpack.errors import IntegrityError, NetworkError, UsageError
from kpack.hubs import HubAddress, KaggleAddress, hub_address, is_plain, kaggle_address
from kpack.urls import Credentials, shown, signed, stable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from kpack.environment import CheckpointRequest
    from kpack.fetch import Download, Fetcher

_IN_FILE = "write its new sha256 in kaggle-env.toml"
"""What becomes of a digest that was given, when the file has another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """One file on its way to a `LockedCheckpoint`."""

    path: str
    urls: tuple[str, ...]
    """Pinned, still with credentials."""
    sha256: str | None
    size: int | None
    attached: str | None = None
    declared: bool = True
    """Its bytes are given by kaggle-env.toml: by a digest, a commit or a version."""
    note: str | None = None
    alias: bool = False
    """A name that gives way to whoever asks for it outright."""


def lock(
    requests: Iterable[CheckpointRequest],
    fetcher: Fetcher,
    *,
    folder: Path,
    strict: bool = False,
    known: Iterable[LockedCheckpoint] = (),
    renew: frozenset[str] = frozenset(),
) -> tuple[LockedCheckpoint, ...]:
    """Pin every request to files with digest and size.

    ``folder`` is that of kaggle-env.toml. ``known`` are the checkpoints of the old lock, whose pins stay (leave
    out what is to be upgraded), but those of the requests that ``renew`` names by path or URL. A file whose digest
    is unknown is fetched into the cache; one whose size alone is unknown is not. The answer is sorted by path.

    Raises:
        UsageError: ``strict``, and kaggle-env.toml does not say which bytes a checkpoint has; two files want one
            path; a repository has no file that matches; a client is not installed.
        IntegrityError: a file does not have the digest given, or the one that its name carries.
        NetworkError, MachineError: as `kpack.fetch.Fetcher.fetch`.

    """
    run = _Locking(fetcher, folder, tuple(known), renew)
    wanted = [file for request in requests for file in run.expand(request)]
    outright = {file.path for file in wanted if not file.alias}
    aliases = {file.path: file for file in reversed(wanted) if file.alias and file.path not in outright}
    wanted = [file for file in wanted if not file.alias] + list(aliases.values())
    loose = [file for file in wanted if not file.declared]
    if strict and loose:
        raise UsageError(
            "--strict wants every checkpoint's bytes given: " + ", ".join(file.path for file in loose),
            next="write sha256 = … (a commit in hf://, a version in kaggle://)",
        )
    return _in_order(run.complete(wanted))


class _Locking:
    def __init__(
        self, fetcher: Fetcher, folder: Path, known: tuple[LockedCheckpoint, ...], renew: frozenset[str]
    ) -> None:
        self.fetcher = fetcher
        self.folder = folder
        self.renew = renew
        self._single: dict[str, list[LockedCheckpoint]] = {}
        """What the old lock has, by path."""
        self._commits: dict[tuple[str, str, str], str] = {}
        """The commit of each revision of a repository in the old lock."""
        for old in known:
            self._single.setdefault(old.path, []).append(old)
            for address in (hub_address(url) for url in old.urls if url.startswith("hf://")):
                self._commits.setdefault((address.kind, address.repo, address.wanted), address.revision)
        self._listings: dict[tuple[str, str, str], hub.HubListing] = {}

    def expand(self, request: CheckpointRequest) -> list[_Wanted]:
        """Return the files of a request, with every moving revision pinned."""
        first = request.urls[0]
        scheme = urlsplit(first).scheme
        if scheme == "hf" and (not hub_address(first).is_file or request.path is None):
            return self._repository(request, hub_address(first))
        if scheme == "kaggle" and not kaggle_address(first).is_file:
            return self._dataset(request, kaggle_address(first))
        assert request.path is not None
        old = None if request.names & self.renew else self._old(request)
        if old is not None:
            return [
                _Wanted(
                    path=request.path,
                    urls=self._with_credentials(old.urls, request.urls),
                    sha256=old.sha256,
                    size=old.size,
                    attached=request.attached,
                )
            ]
        return [self._file(request)]

    def complete(self, wanted: Sequence[_Wanted]) -> list[LockedCheckpoint]:
        """Find out the digests and sizes that are still unknown."""
        files = {
            file: download(file.path, file.urls, file.sha256, file.size, self.folder, anew=_IN_FILE)
            for file in wanted
            if file.sha256 is None or file.size is None
        }
        for file, item in list(files.items()):
            local = all(urlsplit(url).scheme in {"file", "data"} for url in item.urls)
            if file.sha256 is not None and not local:
                size = self._size(item)
                if size is not None:
                    files[file] = replace(item, size=size)
        unknown = [item for file, item in files.items() if file.sha256 is None or item.size is None]
        fetched = self.fetcher.fetch(unknown)
        locked = []
        for file in wanted:
            sha256, size, note, announced = file.sha256, file.size, file.note, True
            if file in files:
                item = files[file]
                size = item.size
                if item in fetched:
                    size = fetched[item].size
                    if sha256 is None:
                        sha256 = fetched[item].sha256
                        if not file.declared and urlsplit(file.urls[0]).scheme not in {"hf", "kaggle"}:
                            note = f"{file.path}: sha256 {sha256} recorded from the first fetch"
                            if not fetched[item].delimited:
                                announced = False
                                note = (
                                    f"{file.path}: its server did not say how long it is, and a connection that broke "
                                    f"would look like its end: {size:,} bytes came. If that is all of it, write "
                                    f'sha256 = "{sha256}"'
                                )
            assert sha256 is not None
            assert size is not None
            note = _checked_name(file, sha256, given=file.sha256 is not None) or note
            if any(signed(url) for url in file.urls if url.startswith("http")):
                said = f"{file.path}: its URL is signed; the lock keeps it without, build asks with what stands here"
                note = f"{note}; {said}" if note else said
            locked.append(
                LockedCheckpoint(
                    path=file.path,
                    urls=file.urls,
                    sha256=sha256,
                    size=size,
                    attached=file.attached,
                    note=note,
                    announced=announced,
                )
            )
        return locked

    def _size(self, item: Download) -> int | None:
        try:
            return self.fetcher.size_of(item)
        except NetworkError:
            return None  # the fetch that follows has more patience, and says what is wrong

    def _old(self, request: CheckpointRequest) -> LockedCheckpoint | None:
        """Return the old lock's pin of a single file, if it is still what is asked for."""
        asked = {_asked(url) for url in request.urls}
        for old in self._single.get(request.path or "", ()):
            if asked == {_asked(url) for url in old.urls} and request.sha256 in {None, old.sha256}:
                return old
        return None

    def _with_credentials(self, urls: Iterable[str], known: Iterable[str]) -> tuple[str, ...]:
        credentials = Credentials.of(known)
        return tuple(credentials.on(url) if url.startswith("http") else url for url in urls)

    def _file(self, request: CheckpointRequest) -> _Wanted:
        assert request.path is not None
        sha256, size = request.sha256, None
        declared = sha256 is not None
        note = None
        urls: list[str] = []
        for url in request.urls:
            scheme = urlsplit(url).scheme
            if scheme == "hf":
                address = hub_address(url)
                listing = self._listing(address)
                found = next((file for file in listing.files if file.path == address.path), None)
                if found is None:
                    raise _no_match(url, [file.path for file in listing.files], address.path)
                sha256, size = sha256 or found.sha256, found.size
                declared = declared or address.pinned
                urls.append(str(address.at(listing.commit, address.path)))
                if not address.pinned:
                    note = f"{address.repo}: {address.revision} is commit {listing.commit}"
            elif scheme == "kaggle":
                on_kaggle = kaggle_address(url)
                declared = declared or on_kaggle.version is not None
                if sha256 is None or size is None or on_kaggle.version is None:
                    self.fetcher.check_online(shown(url))
                    with kaggle.downloaded(on_kaggle, self.fetcher.cache) as (version, path):
                        if sha256 is None:
                            kaggle.refuse_odd(path, on_kaggle.path, on_kaggle, self.fetcher.cache)
                        size = path.stat().st_size
                        found_digest = kaggle.keep(path, self.fetcher.cache)
                    if sha256 not in {None, found_digest}:
                        raise IntegrityError(f"sha256 is {found_digest}, not {sha256}", where=shown(url))
                    if on_kaggle.version is None:
                        note = f"{on_kaggle.handle}: the newest version is {version}"
                    sha256, on_kaggle = found_digest, on_kaggle.at(version, on_kaggle.path)
                urls.append(str(on_kaggle))
            else:
                urls.append(url)
        return _Wanted(
            path=request.path,
            urls=tuple(urls),
            sha256=sha256,
            size=size,
            attached=request.attached,
            declared=declared,
            note=note,
        )

    def _repository(self, request: CheckpointRequest, address: HubAddress) -> list[_Wanted]:
        """Return the files of a repository; without a ``path`` in the layout of the Hub's own cache."""
        pinned = address
        if not address.pinned and not request.names & self.renew:
            old = self._commits.get((address.kind, address.repo, address.revision))
            if old is not None:
                pinned = replace(address, revision=old, asked=address.revision)
        listing = self._listing(pinned)
        names = [file.path for file in listing.files]
        chosen = set(_matching(names, address.path, request.include))
        if not chosen:
            raise _no_match(str(address), names, address.path, request.include)
        moved = f"{address.repo}: {address.revision} is commit {listing.commit}"
        wanted: list[_Wanted] = []
        for file in listing.files:
            if file.path not in chosen:
                continue
            if not is_plain(file.path):
                raise IntegrityError(
                    f"the Hub lists a file {file.path!r:.200}, and that is no path below a folder",
                    where=str(address),
                    next="choose the files that you need with include = […]",
                )
            if request.path is None:
                path = f"{HUB_FOLDER}/{address.folder}/snapshots/{listing.commit}/{file.path}"
            else:
                path = posixpath.join(request.path, _below(file.path, address.path))
            given = request.sha256 if address.is_file else None
            wanted.append(
                _Wanted(
                    path=path,
                    urls=(str(pinned.at(listing.commit, file.path)),),
                    sha256=given or file.sha256,
                    size=file.size,
                    declared=address.pinned or given is not None,
                    note=None if wanted or pinned != address or address.pinned else moved,
                )
            )
        if request.path is None:
            # What from_pretrained looks up offline: the commit of the revision, and of main when none is given.
            wanted += [
                _Wanted(
                    path=f"{HUB_FOLDER}/{address.folder}/refs/{name}",
                    urls=(f"data:,{quote(listing.commit)}",),
                    sha256=None,
                    size=None,
                    alias=name != address.revision,
                )
                for name in sorted({"main", address.revision} - {listing.commit})
            ]
        return wanted

    def _dataset(self, request: CheckpointRequest, address: KaggleAddress) -> list[_Wanted]:
        """Return the files of a dataset or model; all of it is fetched, since Kaggle lists no SHA-256."""
        assert request.path is not None
        self.fetcher.check_online(str(address))
        wanted: list[_Wanted] = []
        moved = f"{address.handle}: the newest version is {{}}"
        with kaggle.downloaded(address, self.fetcher.cache) as (version, root):
            names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
            chosen = _matching(names, address.path, request.include)
            if not chosen:
                raise _no_match(str(address), names, address.path, request.include)
            for name in chosen:
                kaggle.refuse_odd(root / name, name, address, self.fetcher.cache)
            for name in chosen:
                size = (root / name).stat().st_size
                sha256 = kaggle.keep(root / name, self.fetcher.cache)
                wanted.append(
                    _Wanted(
                        path=posixpath.join(request.path, _below(name, address.path)),
                        urls=(str(address.at(version, name)),),
                        sha256=sha256,
                        size=size,
                        declared=address.version is not None,
                        note=None if wanted or address.version is not None else moved.format(version),
                    )
                )
        return wanted

    def _listing(self, address: HubAddress) -> hub.HubListing:
        key = (address.kind, address.repo, address.revision)
        if key not in self._listings:
            self.fetcher.check_online(str(address))
            self._listings[key] = hub.listing(address)
        return self._listings[key]


def _asked(url: str) -> str:
    """Return what was asked for: a URL without secrets, a pinned one with the revision that it came from."""
    scheme = urlsplit(url).scheme
    if scheme == "hf":
        address = hub_address(url)
        return str(replace(address, revision=address.wanted, asked=None))
    if scheme == "kaggle":
        on_kaggle = kaggle_address(url)
        return str(replace(on_kaggle, version=None if on_kaggle.asked else on_kaggle.version, asked=None))
    return stable(url, fragment=True)


def _matching(names: Sequence[str], folder: str, include: Sequence[str]) -> list[str]:
    """Return the names below ``folder`` (or the one file) that match one of the patterns; no pattern means all."""
    inside = [name for name in names if name == folder or not folder or (folder[-1] == "/" and name.startswith(folder))]
    if not include:
        return inside
    patterns = [f"{pattern}*" if pattern.endswith("/") else pattern for pattern in include]
    return [name for name in inside if any(fnmatch.fnmatchcase(_below(name, folder), pattern) for pattern in patterns)]


def _below(name: str, folder: str) -> str:
    if folder.endswith("/"):
        return name.removeprefix(folder)
    return posixpath.basename(name) if folder else name


def _no_match(url: str, names: Sequence[str], path: str, include: Sequence[str] = ()) -> UsageError:
    """Return the error for a ``path``, or for patterns below it, that none of ``names`` has, and what was meant."""
    there = "it has: " + ", ".join(names[:12]) + (", …" if len(names) > 12 else "") if names else "it is empty"
    inside = [_below(name, path) for name in _matching(names, path, ())]
    if inside and include:
        what = f"no file there matches include = [{', '.join(map(_quoted, include))}]"
        folders = [each for each in include if any(name.startswith(f"{each}/") for name in inside)]
        meant = [f"write {_quoted(f'{each}/')} for the files in that folder" for each in folders]
    elif any(name.startswith(f"{path}/") for name in names):
        what, meant = f"{path} is a folder there", [f"write {url}/ for the files in it"]
    else:
        what = "no such file there"
        meant = [f"did you mean {near}?" for near in difflib.get_close_matches(path, names, 1, 0.8)]
    return UsageError(what, where=url, next="; ".join([*meant, there]))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _checked_name(file: _Wanted, sha256: str, *, given: bool) -> str | None:
    """Compare a digest with the one in the file's name; what kaggle-env.toml says weighs more than a name."""
    for url in file.urls:
        claimed = digest_in_name(url)
        if claimed is None or sha256.startswith(claimed):
            continue
        name = posixpath.basename(urlsplit(url).path)
        if given:
            return f"{file.path}: the name {name} looks like it holds a digest, but the sha256 given is another"
        raise IntegrityError(
            f"sha256 is {sha256}, but the name {name} says {claimed}…",
            where=shown(url),
            next=f'the file was altered or replaced; if the name holds no digest, write sha256 = "{sha256}"',
        )
    return None


def _in_order(locked: Iterable[LockedCheckpoint]) -> tuple[LockedCheckpoint, ...]:
    """Sort by path; the same file wanted twice stands once."""
    by_path: dict[str, LockedCheckpoint] = {}
    for item in locked:
        other = by_path.setdefault(item.path, item)
        if other.sha256 != item.sha256:
            raise UsageError(
                f"two checkpoints want the path {item.path}",
                where=f"{shown(other.urls[0])}, {shown(item.urls[0])}",
                next="give each a path of its own",
            )
    return tuple(by_path[path] for path in sorted(by_path))
