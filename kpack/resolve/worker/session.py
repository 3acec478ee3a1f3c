"""pip's own session, opened without pip's resolver: the first pages are on their way while that one loads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pip
import pip._internal.network.session as pip_session
from pip._internal.cli import cmdoptions
from pip._internal.cli.base_command import Command

import kpack
from kpack.resolve.worker import watch

try:
    from pip._internal.cli.index_command import SessionCommandMixin
except ImportError:  # pip 24.1 and older
    from pip._internal.cli.req_command import SessionCommandMixin

if TYPE_CHECKING:
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
    """Return a session for pip's ``arguments``: credentials, netrc, proxies, certificates and cache are pip's."""
    # pip's own user agent starts programs (rustc among them) to describe the host: that is nobody's business here.
    pip_session.user_agent = lambda: f"kpack/{kpack.__version__} pip/{pip.__version__}"
    watch.install()
    opener = _Opener("kpack", "open a session")
    options, _ = opener.parse_args(arguments)
    return opener._build_session(options)  # noqa: SLF001
