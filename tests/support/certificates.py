"""Certificates that nobody trusts, made by openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def self_signed(path: Path, host: str = "IP:127.0.0.1") -> Path:
    """Make a certificate for ``host`` with its key, both in the file at ``path``, and return that."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl")
    key = path.with_name(f"{path.name}.key")
    words = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tiny"]
    words += ["-addext", f"subjectAltName={host}", "-keyout", str(key), "-out", str(path)]
    subprocess.run([openssl, *words], check=True, capture_output=True)
    path.write_bytes(path.read_bytes() + key.read_bytes())
    return path


def served(certificate: Path, *, clients: Path | None = None) -> ssl.SSLContext:
    """Return what a server needs to show ``certificate``, and to let in only who shows one of ``clients``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context
