"""Secrets of URLs: used at lock and at build alike, and found in no lock, pack, message or name of a cached file."""

from __future__ import annotations

import base64
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.conftest import PYTHON, Workshop

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "p@s:s3cret"
TOKEN = "s1gned3cret"


@pytest.mark.parametrize(
    "door", ["a URL in packages", "KPACK_INDEX_URL", "a checkpoint", "an index page", "an index page, told the URL"]
)
def test_secret_known_at_lock_is_known_at_build_and_leaks_nowhere(
    workshop: Workshop, tmp_path: Path, door: str
) -> None:
    index, env = workshop.index, {}
    user = f"//u:{urllib.parse.quote(PASSWORD, safe='')}@"
    packages, more = '["beta"]', ""
    if door == "a URL in packages":
        index.auth = f"Basic {base64.b64encode(f'u:{PASSWORD}'.encode()).decode()}"
        workshop.environment["KPACK_INDEX_URL"] = index.url.replace("//", user)
        packages = f'["beta @ {index.root.replace("//", user)}/files/beta-1.5-py3-none-any.whl"]'
    elif door == "KPACK_INDEX_URL":
        index.auth = f"Basic {base64.b64encode(f'u:{PASSWORD}'.encode()).decode()}"
        workshop.environment["KPACK_INDEX_URL"] = index.url.replace("//", user)
    else:

        def wants_the_signature(handler: Any) -> bool:
            path = handler.path.partition("?")[0]
            if path.startswith("/simple/") and door.startswith("an index page"):
                original, signed = handler.answer, f"any.whl?sig={TOKEN}".encode()
                handler.answer = lambda status, body, *rest, **headers: original(
                    status, body.replace(b'any.whl", "hashes', signed + b'", "hashes'), *rest, **headers
                )
                handler.page(path.removeprefix("/simple/").strip("/"))
                handler.answer = original
                return True
            wanted = path == "/weights" if door == "a checkpoint" else path.startswith("/files/beta")
            if wanted and f"sig={TOKEN}" not in handler.path:
                handler.answer(403, b"")
                return True
            if path == "/weights":
                handler.answer(200, b"w" * 1000, "application/octet-stream")
                return True
            return False

        index.intercept = wants_the_signature
        if door == "a checkpoint":
            more = f'[[checkpoints]]\nurl = "{index.root}/weights?sig={TOKEN}"\npath = "w.bin"\n'
        else:
            index.announce_metadata = False
        if door == "an index page, told the URL":
            env["KPACK_URLS"] = f"{index.root}/files/beta-1.5-py3-none-any.whl?sig={TOKEN}"
    workshop.write(f'name = "tiny"\npython = "{PYTHON}"\npackages = {packages}\n{more}')
    locked = workshop.good("lock")
    built = workshop.good("build", env=env)
    workshop.good("lock", "--check")
    said = locked.out + locked.err + built.out + built.err
    if door == "a checkpoint" or door.startswith("an index page"):
        assert "is signed" in said
    for secret in (PASSWORD, "s3cret", TOKEN, urllib.parse.quote(PASSWORD, safe="")):
        assert secret not in workshop.lock.read_text() + said
        assert secret.encode() not in workshop.pack.read_bytes()
        assert not [path for path in (workshop.folder / "cache").rglob("*") if secret in path.name]
