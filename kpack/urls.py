"""URLs: what of them may be kept and shown, and with which credentials they are asked.

A URL may hold secrets in two places: user and password before the host, and a signature or token in its query. A lock
keeps the `stable` part, from which the same file can be asked for again; messages show what `shown` or `redacted`
leaves; `Credentials` puts the secrets back when the file is fetched.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote_plus, unquote_to_bytes, urlsplit

from kpack.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
"""A reference to an environment variable in a URL of kaggle-env.toml."""

_AUTHORITY = re.compile(r"(?<=://)(?:[^/?#\s]*@|(?![^/?#\s]*@)[^/?#\s@:\[]*:(?![0-9]{1,5}(?:[/?#\s]|$))\S*@)")
"""User and password, to the last ``@`` before the path: a password may hold one, too. What stands where a port would,
and is none, is a password with a slash in it. To be looked for in `_TO_USER`: a long text without ``@``
takes long."""

_TO_USER = re.compile(r"(?<!\S)\S*@")
"""A word up to its last ``@``: the only part of it that can name a user, and in which that is found in linear time."""

_QUERY = re.compile(r"(?<=[?&])([^&#\s\"'<>=]+)=([^&#\s\"'<>]*)")

_SECRET_PREFIXES = ("x-amz-", "x-goog-", "x-ms-", "x-oss-", "x-cos-", "q-sign", "hdn")
_SECRETS = frozenset(
    """
    sig signature token access_token accesstoken access-token auth auth_token auth-token authkey authorization
    api_key api-key apikey key jwt password passwd pwd secret client_secret private_token personal_access_token
    job_token download_token credential credentials sessionid ticket sas hmac x-token
    awsaccesskeyid googleaccessid ossaccesskeyid
    """.split()  # noqa: SIM905 - a list of words reads better
)
_BESIDE_A_SECRET = frozenset(
    """
    expires expire expiry exp policy key-pair-id timestamp ts nonce response-content-disposition response-content-type
    sv st se sp spr sr ss srt sip skoid sktid skt ske sks skv sdd ses rscd rsct
    """.split()  # noqa: SIM905
)
"""Of no use, and often of another value each time, when the signature beside them is gone."""


def _user(text: str) -> str:
    """Return the first user and password of a URL in ``text``, with the ``@`` behind them; empty for none."""
    for word in _TO_USER.finditer(text):
        if (found := _AUTHORITY.search(word[0])) is not None:
            return found[0]
    return ""


def _without_user(text: str, user: str = "") -> str:
    """Return ``text`` with ``user`` in place of each user and password."""
    return _TO_USER.sub(lambda word: _AUTHORITY.sub(user, word[0]), text)


def _secret(key: str) -> bool:
    low = unquote_plus(key).lower()
    return low in _SECRETS or low.startswith(_SECRET_PREFIXES)


def stable(url: str, *, fragment: bool = False) -> str:
    """Return ``url`` without user, password and the secret parts of its query: what a lock may keep.

    With ``fragment`` that stays. What is no URL comes back as it is.
    """
    address, mark, anchor = url.partition("#")
    address, question, query = _without_user(address).partition("?")
    if query:
        parts = query.split("&")
        keys = [part.partition("=")[0] for part in parts]
        if any(map(_secret, keys)):
            kept = [
                part
                for part, key in zip(parts, keys, strict=True)
                if not _secret(key) and unquote_plus(key).lower() not in _BESIDE_A_SECRET
            ]
            query = "&".join(kept)
    address += question + query if query else ""
    return address + mark + anchor if fragment else address


def signed(url: str) -> bool:
    """Tell whether the query of ``url`` holds a secret."""
    return any(_secret(part.partition("=")[0]) for part in url.partition("#")[0].partition("?")[2].split("&") if part)


def spells_secret(url: str) -> bool:
    """Tell whether a password, a token or a signature stands in ``url`` itself, and no ``${NAME}`` in its place."""
    user = _user(url)
    if user:
        name, colon, password = user[:-1].partition(":")
        by_key = "ssh" in url.partition("://")[0]  # git@host names an account, its key is elsewhere
        if VARIABLE.sub("", password if colon or by_key else name):
            return True
    query = url.partition("#")[0].partition("?")[2]
    rows = (part.partition("=")[::2] for part in query.split("&"))
    return any(_secret(key) and VARIABLE.sub("", value) for key, value in rows)


def redacted(text: str, user: str = "") -> str:
    """Return ``text`` (a message, a requirement) without the secrets of the URLs in it, ``user`` in place of each."""
    if "://" not in text:
        return text
    plain = _without_user(text, user)
    return _QUERY.sub(lambda found: f"{found[1]}=…" if _secret(found[1]) else found[0], plain)


def without_secrets(requirement: str) -> str:
    """Return a requirement, or a URL, as a lock keeps it: a URL in it `stable`, its fragment kept."""
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", lambda found: stable(found[0], fragment=True), requirement)


def shown(url: str) -> str:
    """Return ``url`` as it may be shown: without user, password, query and fragment, control characters escaped."""
    try:
        parts = urlsplit(url)
        host_part, _ = parts.netloc.rpartition("@")[2], parts.port
    except ValueError:
        return "(a URL that cannot be read)"
    if parts.scheme == "data":
        return "data:…"
    known = host_part or parts.scheme in {"http", "https", "file"}
    text = f"{parts.scheme}://{host_part}{parts.path}" if known else redacted(url)
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def host(url: str) -> str:
    """Return host and port of ``url``, for messages; something to show when it has none."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or shown(url)
    except ValueError:
        return "(a URL that cannot be read)"


def url_parts(url: str) -> SplitResult:
    """Take ``url`` apart; what comes back has a host and a port that can be read.

    Raises:
        ValueError: they cannot; the sentence holds nothing of the URL.

    """
    try:
        found = urlsplit(url)
        found.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("its host or port cannot be read") from None
    return found


def index_problem(url: str) -> tuple[str, str] | None:
    """Return what is wrong with the http(s) URL of an index, and what to write; None when nothing is."""
    plain = VARIABLE.sub("x", url)
    if "${" in plain:
        return "has '${' without a variable name and '}'", "write ${NAME}"
    if VARIABLE.search(url.partition("://")[2].partition("/")[2]):
        return (
            "has a variable in its path, whose value would stand in the lock with the URL of each file",
            "write https://user:${NAME}@host/simple, or keep the credentials in netrc",
        )
    try:
        parts = url_parts(plain)
    except ValueError:
        return "is not a URL: its host or port cannot be read", "write https://host/simple"
    if not parts.hostname:
        return "has no host", "write https://host/simple"
    if parts.query or parts.fragment:
        return "has a '?' or '#' part, which an index URL cannot have", "write https://host/simple"
    return None


def is_web(url: str) -> bool:
    """Tell whether ``url`` is one of http or https with a host, as far as it can be read."""
    try:
        parts = url_parts(url)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def file_path(url: str) -> str:
    """Return the path of a ``file:`` URL, in the encoding in which Python names files; its host is not looked at."""
    path = urlsplit(url).path
    if os.name == "nt":
        from urllib.request import url2pathname  # loads HTTP, too, and few files need it

        return url2pathname(path)
    return os.fsdecode(unquote_to_bytes(path))


def server(url: str) -> str:
    """Return scheme, host and port of ``url``, without user and password."""
    found = urlsplit(url)
    return f"{found.scheme}://{found.netloc.rpartition('@')[2]}"


def has_user(url: str) -> bool:
    """Tell whether a user or a password stands before the host of ``url``."""
    return bool(_user(url))


def at_commit(url: str, repository: str, revision: str | None, commit: str) -> str:
    """Return the URL of a requirement with its revision replaced by ``commit``.

    It comes back as it is when it is not ``repository`` (without user) at ``revision`` any more.
    """
    # By hand: what urlunsplit makes of git+file:// differs between Pythons.
    address, mark, fragment = url.partition("#")
    scheme, _, rest = address.partition("://")
    authority, _, place = rest.partition("/")
    place, _, wanted = place.rpartition("@") if "@" in place else (place, "", "")
    if (f"{scheme}://{authority.rpartition('@')[2]}/{place}", wanted) != (repository, revision or ""):
        return url
    return f"{scheme}://{authority}/{place}@{commit}{mark}{fragment}"


def expanded(url: str, *, of: str, environ: Mapping[str, str] | None = None) -> str:
    """Return ``url`` with every ``${NAME}`` replaced from ``environ`` (default: the process's own).

    ``of`` says in messages whose URL it is (``index 'corp'``). The result may hold credentials.

    Raises:
        UsageError: a variable is not set.

    """
    values = os.environ if environ is None else environ

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise UsageError(
                f"the URL of {of} needs the environment variable {match[1]}, which is not set",
                where=of,
                next=f"set {match[1]} in the environment of kpack",
            )
        return values[match[1]]

    return VARIABLE.sub(value, url)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """The secrets that a lock leaves out: of URLs that stand in kaggle-env.toml or in the environment."""

    known: tuple[str, ...] = ()
    """URLs with user and password, or with a signed query."""
    _signed: dict[str, str] = field(init=False, compare=False, default_factory=dict)
    """Those with a signed query, by what is stable of them."""
    _users: dict[tuple[str, str], str] = field(init=False, compare=False, default_factory=dict)
    """User and password, as they stand in a URL, by scheme and host."""

    def __post_init__(self) -> None:
        for url in self.known:
            if signed(url):
                self._signed.setdefault(stable(url), url)
            user = _user(url)
            if user:
                self._users.setdefault((url.partition("://")[0], host(url).lower()), user)

    @classmethod
    def of(cls, urls: Iterable[str]) -> Credentials:
        """Return those of ``urls`` that hold any, and of the URLs in ``KPACK_URLS`` (separated by white space)."""
        everything = [*urls, *os.environ.get("KPACK_URLS", "").split()]
        return cls(tuple(dict.fromkeys(url for url in everything if _user(url) or signed(url))))

    def on(self, url: str) -> str:
        """Return ``url`` as it is asked for.

        A URL that is known with a query has that query back; one on a server for which a user is known has the user.
        """
        if not signed(url) and (other := self._signed.get(stable(url))) is not None:
            url = _queried(url, other)
        scheme, mark, rest = url.partition("://")
        if not mark or _user(url):
            return url
        user = self._users.get((scheme, host(url).lower()))
        return url if user is None else f"{scheme}://{user}{rest}"


def _queried(url: str, other: str) -> str:
    """Return ``url`` with the query of ``other``."""
    query = other.partition("#")[0].partition("?")[2]
    address, mark, anchor = url.partition("#")
    return f"{address.partition('?')[0]}?{query}{mark}{anchor}"
