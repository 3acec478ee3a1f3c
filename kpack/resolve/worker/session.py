"""pip's own session: credentials, netrc, keyrings, proxies, certificates and cache are pip's."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

import pip
import pip._internal.network.session as pip_session
from pip._internal.cli import cmdoptions
from pip._internal.cli.base_command import Command

import kpack
from kpack.hosts import once_per_host
from kpack.resolve.worker import watch

try:
    from pip._internal.cli.index_command import SessionCommandMixin
except ImportError:  # pip 24.1 and older
    from pip._internal.cli.req_command import SessionCommandMixin

if TYPE_CHECKING:
    from collections.abc import Callable

    from pip._internal.network.session import PipSession


class _Opener(Command, SessionCommandMixin):  # type: ignore[misc] # pip is not typed
    """A pip command that knows the options of indexes and does nothing."""

    usage = ""

    def add_options(self) -> None:
        group = cmdoptions.make_option_group(cmdoptions.index_group, self.parser)
        self.parser.insert_option_group(0, group)

    def run(self, options: Any, args: list[str]) -> int:
        raise NotImplementedError


def open_session(arguments: list[str]) -> PipSession:
    """Return a session for pip's ``arguments``."""
    # pip's own user agent starts programs (rustc among them) to describe the host: that is nobody's business here.
    pip_session.user_agent = lambda: f"kpack/{kpack.__version__} pip/{pip.__version__}"
    watch.install()
    opener = _Opener("kpack", "open a session")
    options, _ = opener.parse_args(arguments)
    session = opener._build_session(options)  # noqa: SLF001
    session.merge_environment_settings = once_per_host(session.merge_environment_settings)
    _remember_certificates(session)
    return session


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
