"""pip's own session, opened without pip's resolver: the first pages are on their way while that one loads."""

from __future__ import annotations

import functools
import threading
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pip
import pip._internal.network.session as pip_session
from pip._internal.cli import cmdoptions
from pip._internal.cli.base_command import Command
from pip._internal.models.index import PyPI
from pip._internal.network.session import PipSession  # noqa: TC002 - a field of a NamedTuple

import kpack
from kpack.resolve.wire import IndexAddress
from kpack.resolve.worker import watch
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.metadata import MetadataStore
from kpack.resolve.worker.pages import Pages
from kpack.resolve.worker.sdist import SdistMetadata
from kpack.resolve.worker.web import Web

try:
    from pip._internal.cli.index_command import SessionCommandMixin
except ImportError:  # pip 24.1 and older
    from pip._internal.cli.req_command import SessionCommandMixin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class _Opener(Command, SessionCommandMixin):  # type: ignore[misc] # pip is not typed
    """A pip command that knows the options of indexes and does nothing."""

    usage = ""

    def add_options(self) -> None:
        group = cmdoptions.make_option_group(cmdoptions.index_group, self.parser)
        self.parser.insert_option_group(0, group)

    def run(self, options: Any, args: list[str]) -> int:
        raise NotImplementedError


class Connection(NamedTuple):
    """How the worker reaches its indexes; one for all its questions."""

    arguments: list[str]
    """pip's options that say the same."""
    session: PipSession
    web: Web
    pages: Pages
    metadata: MetadataStore
    sdists: SdistMetadata
    """What was read for one question is there for the next one."""


def connect(indexes: Sequence[IndexAddress], cache_dir: str, on_request: Callable[[int], None]) -> Connection:
    """Open pip's session for ``indexes``; ``on_request`` is told how many requests were sent."""
    default = indexes[0] if indexes else IndexAddress(url="")
    indexes = [IndexAddress(url=default.url or PyPI.simple_url), *indexes[1:]]
    arguments = ["--index-url", indexes[0].url, "--no-input", "--retries", "2", "--timeout", "30"]
    for index in indexes[1:]:
        arguments += ["--find-links" if index.shape == "links" else "--extra-index-url", index.url]
    arguments += ["--cache-dir", str(Path(cache_dir).absolute())] if cache_dir else ["--no-cache-dir"]
    session = open_session(arguments)
    web = Web(session, on_request)
    return Connection(
        arguments,
        session,
        web,
        Pages(web, indexes, KeptPages(cache_dir)),
        MetadataStore(web, cache_dir),
        SdistMetadata(web, cache_dir),
    )


def open_session(arguments: list[str]) -> PipSession:
    """Return a session for pip's ``arguments``: credentials, netrc, proxies, certificates and cache are pip's."""
    # pip's own user agent starts programs (rustc among them) to describe the host: that is nobody's business here.
    pip_session.user_agent = lambda: f"kpack/{kpack.__version__} pip/{pip.__version__}"
    watch.install()
    opener = _Opener("kpack", "open a session")
    options, _ = opener.parse_args(arguments)
    session = opener._build_session(options)  # noqa: SLF001
    _remember_settings(session)
    _remember_certificates(session)
    return session


def _remember_settings(session: PipSession) -> None:
    """Have the session look up proxies and certificates once per host; requests reads all variables each time."""
    original = session.merge_environment_settings
    known: dict[object, Any] = {}

    def merge(url: str, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        parts = urllib.parse.urlsplit(url)
        key = (parts.scheme, parts.netloc, tuple(sorted((proxies or {}).items())), stream, verify, cert)
        if key not in known:
            known[key] = original(url, proxies, stream, verify, cert)
        return {**known[key], "proxies": dict(known[key]["proxies"])}

    session.merge_environment_settings = merge


def _remember_certificates(session: PipSession) -> None:
    """Have certificates be read once per process; truststore and urllib3 read all of them for each connection.

    The connections have one context, so that reading the same ones into it again changes nothing.
    """
    shared = (getattr(adapter, "_ssl_context", None) for adapter in session.adapters.values())
    wrapped = {getattr(context, "_ctx", None) for context in shared}  # by truststore; without it nothing is shared
    for context in wrapped - {None}:
        for name in ("set_default_verify_paths", "load_verify_locations"):
            setattr(context, name, _once(getattr(context, name)))


def _once(load: Callable[..., None]) -> Callable[..., None]:
    """Return ``load``, which does nothing where it was called alike before; those at the same time wait."""
    mutex, known = threading.Lock(), functools.cache(load)

    def loaded(*arguments: object, **keywords: object) -> None:
        with mutex:
            known(*arguments, **keywords)

    return loaded
