"""What an HTTP client looks up for a host: once, for the client of kpack and for pip's session in the resolver."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from kpack import urls
from kpack.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROXY_REFUSES = 407
"""HTTP status of a proxy that wants credentials."""

_LARGEST_NETRC = 1 << 20
"""Bytes; it is read for every request."""
_CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE")
_REFUSED_BY_PROXY = "it wants credentials, or refuses those it was given"
_OF_PROXY = (
    (str(PROXY_REFUSES), _REFUSED_BY_PROXY),
    ("tunnel connection failed", "it did not let the connection through"),
    ("getaddrinfo", "its name is not known to DNS"),
    ("name resolution", "its name is not known to DNS"),
    ("not known", "its name is not known to DNS"),
    ("nodename nor servname", "its name is not known to DNS"),
    ("refused", "it refused the connection"),
    ("certificate", "its certificate is not trusted"),
    ("timed out", "it did not answer in time"),
)
"""What stands in the words of the clients, and what it means."""


def once_per_host(settings: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``Session.merge_environment_settings`` of requests, with proxies and certificates looked up once per host.

    requests goes through all variables of the environment for each request. What is returned is the caller's own.
    """
    known: dict[object, Any] = {}

    def merge(url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        parts = urlsplit(url)
        key = (parts.scheme, parts.netloc, tuple(sorted((proxies or {}).items())), stream, verify, cert)
        if key not in known:
            known[key] = settings(url, proxies, stream, verify, cert)
        return {**known[key], "proxies": dict(known[key]["proxies"])}

    return merge


class ProxyTrouble(NamedTuple):
    """Why a proxy is in the way, and not the host behind it."""

    what: str
    """A sentence without secrets, which begins with ``the proxy``."""
    next: str


def proxy_trouble(url: str, error: BaseException | int, utils: Any) -> ProxyTrouble | None:
    """Return what is wrong with the proxy by which ``url`` was asked; None when it is not the proxy.

    ``error`` is what an HTTP client raised, or the status that it was answered; ``utils`` is that of its requests: pip
    has its own.
    """
    proxy = urls.is_web(url) and utils.select_proxy(url, utils.get_environ_proxies(url, no_proxy=None))
    if not proxy:
        return None
    address = proxy if "://" in proxy else f"http://{proxy}"
    names = [name for name, value in os.environ.items() if value == proxy and name.lower().endswith("_proxy")]
    whose = " and ".join(names) or "the settings of this system"
    shown = f"the proxy {urls.shown(address)} ({whose})"
    advice = f"correct {whose}, or name the host in NO_PROXY if it is to be asked without"
    if isinstance(error, int):
        return ProxyTrouble(f"{shown}: {_REFUSED_BY_PROXY}", advice) if error == PROXY_REFUSES else None
    causes = list(causes_of(error))
    kinds = {type(cause).__name__ for cause in causes}
    if "InvalidSchema" in kinds and proxy.lower().startswith("socks"):
        return ProxyTrouble(f"{shown} speaks SOCKS, which needs PySocks", f"pip install pysocks, or {advice}")
    if "InvalidProxyURL" in kinds or (kinds & {"InvalidURL", "InvalidSchema"} and not urls.is_web(address)):
        return ProxyTrouble(f"{shown} is no URL of a proxy", advice)
    if "ProxyError" not in kinds:
        return None
    words = " ".join(map(str, causes)).lower()
    why = next((meaning for sign, meaning in _OF_PROXY if sign in words), "it cannot be reached")
    return ProxyTrouble(f"{shown}: {why}", advice)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Walk from ``error`` to what lies beneath it, innermost last."""
    seen: set[int] = set()
    todo: list[object] = [error]
    while todo:
        item = todo.pop(0)
        if not isinstance(item, BaseException) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        todo += [getattr(item, "reason", None), item.__cause__, item.__context__, *item.args]


def check_files() -> None:
    """Look at the files that HTTP clients read as the environment says: netrc, and certificates.

    Raises:
        MachineError: one is a pipe or a device, which may never end, or a netrc is too large to be one.

    """
    named = os.environ.get("NETRC")
    places = [("NETRC", named)] if named else [("", "~/.netrc"), ("", "~/_netrc")]
    places += [(variable, given) for variable in _CERTIFICATES if (given := os.environ.get(variable))]
    for variable, text in places:
        path = Path(os.path.expanduser(text))  # noqa: PTH111 - Path.expanduser raises where there is no home
        try:
            found = path.stat()
        except (OSError, ValueError):
            continue  # whoever needs it says so
        plain = stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode) or os.path.realpath(path) == os.devnull
        netrc = variable in {"", "NETRC"}
        if not plain or (netrc and found.st_size > _LARGEST_NETRC):
            what = "it is a pipe or a device, and not a file" if not plain else f"it has {found.st_size:,} bytes"
            raise MachineError(
                f"{'the netrc' if netrc else f'what {variable} names'} cannot be read: {what}",
                where=str(path),
                next=f"{'let NETRC name' if netrc else f'let {variable} name'} a file, or unset it"
                if variable
                else "move it away, or let NETRC name another file",
            )
