"""Fixtures for tests that fetch: no settings of this machine, and an origin on loopback."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CERTIFICATES = frozenset({"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "PIP_CLIENT_CERT", "SSL_CERT_FILE"})


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep proxies, certificates, netrc and the hubs' settings of the machine out of the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in _CERTIFICATES or name.startswith(("HF_", "KAGGLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server
