"""What an HTTP client looks up for a host: once, for the client of kpack and for pip's session in the resolver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable


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
