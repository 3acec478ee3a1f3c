"""Whom HTTPS trusts: what the system trusts and the certificates that the environment names, as pip does; read once.

requests and truststore read all of them for each connection, which takes 40 ms of the processor every time: more than
many a file that then comes over it.
"""

from __future__ import annotations

import ssl
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import truststore
from requests.adapters import HTTPAdapter
from urllib3.util.ssl_ import create_urllib3_context

from kpack.errors import MachineError

if TYPE_CHECKING:
    import requests

    from kpack.hosts import Certificates


class TrustingAdapter(HTTPAdapter):
    """Verifies every connection by one context, which is made when the first one is asked for.

    ``found`` are certificates beside the system's, None for none; ``shown`` is the client's own, for servers that want
    one; ``connections`` are kept open per host.
    """

    def __init__(self, found: Certificates | None, shown: Certificates | None = None, *, connections: int) -> None:
        self._found, self._shown = found, shown
        self._mutex = threading.Lock()
        self._made: ssl.SSLContext | None = None
        super().__init__(pool_connections=connections, pool_maxsize=connections)

    def build_connection_pool_key_attributes(
        self, request: requests.PreparedRequest, verify: Any, cert: Any = None
    ) -> Any:
        """Return where a connection leads and what belongs to it: of HTTPS the context, and no certificates beside it.

        Raises:
            MachineError: the certificates cannot be read.

        """
        host, pool = super().build_connection_pool_key_attributes(request, verify, cert)
        if host["scheme"] == "https":
            beside = {key: value for key, value in pool.items() if key not in {"ca_certs", "ca_cert_dir"}}
            return host, {**beside, "ssl_context": self._context()}
        return host, pool

    def proxy_manager_for(self, proxy: str, **keywords: Any) -> Any:
        """Return the manager of connections by way of ``proxy``, which is verified alike where it speaks TLS."""
        if proxy.lower().startswith("https:"):
            keywords["proxy_ssl_context"] = self._context()
        return super().proxy_manager_for(proxy, **keywords)

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Require a certificate; which ones are trusted the context knows already."""
        super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]
        conn.ca_certs = conn.ca_cert_dir = None

    def _context(self) -> ssl.SSLContext:
        with self._mutex:
            if self._made is None:
                made = _system() if self._found is None else _of(self._found)
                if self._shown is not None:
                    try:
                        made.load_cert_chain(self._shown.path)
                    except OSError as error:
                        raise unreadable(self._shown, error) from error
                self._made = made
            return self._made


def _of(found: Certificates) -> ssl.SSLContext:
    """Return a context that trusts what the system trusts, and ``found``."""
    context = _system()
    try:
        if Path(found.path).is_dir():
            context.load_verify_locations(capath=found.path)
        else:
            context.load_verify_locations(cafile=found.path)
    except OSError as error:
        raise unreadable(found, error) from error
    return context


def unreadable(found: Certificates, error: OSError) -> MachineError:
    """Return the error for certificates that are there and cannot be read."""
    why = (error.reason or "ssl error").replace("_", " ").lower() if isinstance(error, ssl.SSLError) else error.strerror
    return MachineError(
        f"the certificates that {found.by} names cannot be read: {why}",
        where=found.path,
        next="name a file of certificates in PEM, or a folder that openssl rehash made",
    )


def _system() -> ssl.SSLContext:
    """Return a context that trusts what the operating system trusts."""
    if sys.platform == "linux":
        # What truststore does there for every connection; where OpenSSL finds none by itself, it searches further.
        context = create_urllib3_context()
        context.load_default_certs()
        if context.cert_store_stats()["x509_ca"]:
            return context
    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
