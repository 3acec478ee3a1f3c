"""What an HTTP client looks up for a host: once, for the client of kpack and for pip's session in the resolver."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from kpack import urls
from kpack.errors import MachineError
from kpack.files import LARGEST, read_bounded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROXY_REFUSES = 407
"""HTTP status of a proxy that wants credentials."""

_LARGEST_NETRC = 1 << 20
"""Bytes; it is read for every request."""
_BEFORE_PIP = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CERTIFICATES = (*_BEFORE_PIP, "PIP_CERT", "SSL_CERT_FILE", "PIP_CLIENT_CERT")
_OUT_OF_TIME = {9: "is not valid yet", 10: "has expired"}
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED: most often the clock is wrong."""
_OF_ANOTHER = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_OF_CLIENT = (
    *("CERTIFICATE_REQUIRED", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_CERTIFICATE_EXPIRED"),
    *("ALERT_CERTIFICATE_UNKNOWN", "ALERT_HANDSHAKE_FAILURE", "ALERT_ACCESS_DENIED"),
)
"""What a server answers in TLS (RFC 8446, section 6.2) to a client whose certificate it misses or does not take."""
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


class Certificates(NamedTuple):
    """A file or folder of certificates, and what names it."""

    path: str
    by: str
    """A variable, or pip's configuration."""


def trusted() -> Certificates | None:
    """Return what is trusted beside the system's own certificates; None for nothing.

    The first of REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, PIP_CERT (or ``cert`` of pip's configuration) and SSL_CERT_FILE.
    """
    for name in _BEFORE_PIP:
        if value := os.environ.get(name):
            return Certificates(value, name)
    found = _of_pip("cert", "PIP_CERT")
    value = os.environ.get("SSL_CERT_FILE")
    return found or (Certificates(value, "SSL_CERT_FILE") if value else None)


def shown_to_servers() -> Certificates | None:
    """Return the certificate, with its key, for servers that want one: PIP_CLIENT_CERT or ``client-cert`` of pip's."""
    return _of_pip("client-cert", "PIP_CLIENT_CERT")


def _of_pip(key: str, variable: str) -> Certificates | None:
    value, by = os.environ.get(variable), variable
    if not value:
        value, by = _pip_says(key), f"{key} of pip's configuration"
    return Certificates(os.path.expanduser(value), by) if value else None  # noqa: PTH111 - Path's raises without a home


def _pip_says(key: str) -> str | None:
    """Return a value of the section ``global`` of pip's files, of the one that weighs most; pip itself takes long."""
    files = [path for path in _pip_files() if os.path.isfile(path)]  # noqa: PTH113 - Path's raises for some texts
    if not files:
        return None
    import configparser

    held = configparser.RawConfigParser()
    for path in files:
        # What cannot be read, or is no such file, pip speaks of.
        with contextlib.suppress(OSError, ValueError, configparser.Error):
            held.read(path, encoding="utf-8")
    return held.get("global", key, fallback=None)


def _pip_files() -> list[str]:
    """Return where pip looks for its files; the last one weighs most."""
    given = os.environ.get("PIP_CONFIG_FILE")
    if given == os.devnull:
        return []
    name = "pip.ini" if os.name == "nt" else "pip.conf"
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    if os.name == "nt":
        folders = [os.environ.get("PROGRAMDATA", ""), "~", os.environ.get("APPDATA", "")]
    elif sys.platform == "darwin":
        folders = ["/Library/Application Support", config, "~/Library/Application Support"]
    else:
        folders = [*(os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep), "", config]
    places = [f"{folder}/pip/{name}" if folder else f"/etc/{name}" for folder in folders]
    places += [f"~/.pip/{name}"] if os.name == "posix" else []
    places += [f"{sys.prefix}/{name}", *([given] if given else [])]
    return [os.path.expanduser(place) for place in places]  # noqa: PTH111


class CertificateTrouble(NamedTuple):
    """Why there was no connection by TLS."""

    what: str
    next: str


def certificate_trouble(error: BaseException, *, variable: str = "REQUESTS_CA_BUNDLE") -> CertificateTrouble | None:
    """Return what is wrong with a server's certificate, or this client's; None when it is something else.

    ``variable`` names certificates to the client whose error it is.
    """
    import ssl  # takes its time, and whoever has such an error has it

    for cause in causes_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            code, said = (
                getattr(cause, "verify_code", 0),
                getattr(cause, "verify_message", "") or "it cannot be verified",
            )
            if code in _OUT_OF_TIME:
                return CertificateTrouble(
                    f"the server's certificate {_OUT_OF_TIME[code]} by this machine's clock",
                    "set the date and time of this machine; where they are right, the server's owner has to renew it",
                )
            if code in _OF_ANOTHER:
                return CertificateTrouble(
                    f"the server's certificate is for another host: {said.rstrip('.')}",
                    "check the host in the URL; if it is right, its owner has to mend the certificate",
                )
            return CertificateTrouble(f"the server's certificate is not trusted: {said}", _trust_it(variable))
        if isinstance(cause, ssl.SSLError) and str(cause.reason).endswith(_OF_CLIENT):
            return CertificateTrouble(
                f"the server refuses this client in TLS ({str(cause.reason).lower().replace('_', ' ')})",
                _show_another(),
            )
    return None


def _trust_it(variable: str) -> str:
    found = trusted()
    if found is None or variable not in {found.by, "REQUESTS_CA_BUNDLE"}:
        return f"let {variable} name a file with the certificates of your organisation"
    return f"add the certificate that signed it to {found.path}, which {found.by} names"


def _show_another() -> str:
    found = shown_to_servers()
    if found is None:
        return "it may want a certificate of yours: let PIP_CLIENT_CERT name a file with it and its key"
    return f"it may not take the certificate in {found.path}, which {found.by} names: name another"


def check_files() -> None:
    """Look at the files that HTTP clients read as the environment says: netrc, and certificates.

    Raises:
        MachineError: one is a pipe or a device, which may never end, certificates that are named are not there or are
            none, or a netrc is too large to be one.

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
    file = os.environ.get("SSL_CERT_FILE")
    for one in (trusted(), shown_to_servers(), Certificates(file, "SSL_CERT_FILE") if file else None):
        if one is not None:
            _check_certificates(one)


def _check_certificates(found: Certificates) -> None:
    """Refuse what is not there or holds none: some clients would not say so."""
    try:
        path = Path(found.path)
        held = path.is_dir() or b"-----BEGIN " in read_bounded(path, LARGEST)
    except (OSError, ValueError) as error:
        unread = isinstance(error, OSError) and not isinstance(error, FileNotFoundError | NotADirectoryError)
        what = f"cannot be read: {getattr(error, 'strerror', None)}" if unread else "do not exist"
        raise MachineError(
            f"the certificates that {found.by} names {what}",
            where=found.path,
            next=f"correct {found.by}, or unset it to trust what the system trusts",
        ) from error
    if not held:
        raise MachineError(
            f"the certificates that {found.by} names cannot be read: no certificate or crl found",
            where=found.path,
            next="name a file of certificates in PEM, or a folder that openssl rehash made",
        )
