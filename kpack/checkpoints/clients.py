"""The clients of the Hub and of Kaggle, which are extras: looked for before anything takes time."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, NamedTuple

from kpack.errors import UsageError, installing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from kpack.environment import CheckpointRequest


class _Client(NamedTuple):
    module: str
    extra: str


CLIENTS = {"hf": _Client("huggingface_hub", "hf"), "kaggle": _Client("kagglehub", "kaggle")}
"""By the scheme of the addresses that they fetch."""


def is_missing(scheme: str) -> bool:
    """Tell whether the client for addresses of this scheme is not installed."""
    client = CLIENTS.get(scheme)
    return client is not None and importlib.util.find_spec(client.module) is None


def missing(scheme: str, where: str = "") -> UsageError:
    """Return the error for a client that is not installed."""
    client = CLIENTS[scheme]
    return UsageError(
        f"{scheme}:// needs the package {client.module}",
        where=where,
        next=installing(client.extra),
    )


def check(requests: Iterable[CheckpointRequest], known: Collection[str | None]) -> None:
    """Refuse what a client is missing for; a single file whose path is ``known`` to the old lock asks nobody.

    Raises:
        UsageError: a client is not installed.

    """
    for request in requests:
        url = request.urls[0]
        scheme = url.partition("://")[0]
        if is_missing(scheme) and request.path not in known:
            raise missing(scheme, url)
