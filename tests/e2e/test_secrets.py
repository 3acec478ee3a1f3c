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


CANARIES = {
    "netrc": "netrc-s3cret-w0rd",
    "variable": "v@riable:s3cret-w0rd",
    "hub": "hf_canary5s3cret0w0rd",
    "kaggle": "kaggle-s3cret-k3y-w0rd",
    "proxy": "pr0xy:s3cret@w0rd",
    "signature": "s1gnature-s3cret-w0rd",
}


@pytest.fixture
def secretive(workshop: Workshop, tmp_path: Path) -> Workshop:
    """A project that needs a secret at every door, in an environment that holds more of them."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login me password {CANARIES['netrc']}\n")
    netrc.chmod(0o600)
    proxy = f"http://u:{urllib.parse.quote(CANARIES['proxy'], safe='')}@127.0.0.1:9"
    index = workshop.index
    named = base64.b64encode(f"u:{CANARIES['variable']}".encode()).decode()
    kept = base64.b64encode(f"me:{CANARIES['netrc']}".encode()).decode()

    def guarded(handler: Any) -> bool:
        if handler.path.startswith("/weights"):
            right = f"X-Amz-Signature={CANARIES['signature']}" in handler.path
            handler.answer(200 if right else 403, b"w" * 1000, "application/octet-stream")
            return True
        if handler.headers.get("Authorization") in (f"Basic {named}", f"Basic {kept}"):
            return False
        handler.answer(401, b"", WWW_Authenticate='Basic realm="x"')
        return True

    index.intercept = guarded
    workshop.environment |= {
        "NETRC": str(netrc),
        "INDEX_WORD": urllib.parse.quote(CANARIES["variable"], safe=""),
        "HF_TOKEN": CANARIES["hub"],
        "KAGGLE_USERNAME": "me",
        "KAGGLE_KEY": CANARIES["kaggle"],
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"), proxy),
    }
    guarded_url = index.url.replace("//", "//u:${INDEX_WORD}@")
    signed = f"{index.root}/weights.bin?X-Amz-Signature={CANARIES['signature']}"
    workshop.write(
        f'name = "tiny"\npython = "{PYTHON}"\npackages = ["alpha"]\n[publish]\ndataset = "me/tiny"\n'
        f'[[indexes]]\nname = "corp"\nurl = "{guarded_url}"\npackages = ["alpha"]\n'
        f'[[checkpoints]]\nurl = "{signed}"\npath = "w.bin"\n'
    )
    return workshop


def leaks(workshop: Workshop, said: str) -> list[str]:
    """Return which canary is where: in what was said, in a file but kaggle-env.toml, in the name of a cached one."""
    spelled = {
        (name, text)
        for name, word in CANARIES.items()
        for text in (word, urllib.parse.quote(word, safe=""), base64.b64encode(f"u:{word}".encode()).decode())
    }
    found = [f"{name} in what was said" for name, text in spelled if text in said]
    for path in workshop.folder.rglob("*"):
        content = path.read_bytes() if path.is_file() and path.name != "kaggle-env.toml" else b""
        for name, text in spelled:
            if text in str(path) or text.encode() in content:
                found.append(f"{name} in {path.relative_to(workshop.folder)}")
    return found


def test_no_secret_leaves_by_any_door(secretive: Workshop, tmp_path: Path) -> None:
    said = ""
    for words in (
        ("lock", "--debug", "-v"),
        ("lock", "--check", "--json"),
        ("build", "--debug", "--json"),
        ("inspect", "--html", str(secretive.folder / "page.html")),
        ("inspect", "--format", "cyclonedx"),
        ("restore", str(secretive.pack), "--target", str(secretive.folder / "target"), "--json"),
        ("why", "alpha"),
        ("status", "--json"),
    ):
        done = secretive.good(*words)
        said += done.out + done.err
    refused = secretive.kpack("notebook")
    assert refused.code == 2
    assert leaks(secretive, said + refused.out + refused.err) == []


def test_no_secret_leaves_by_an_error_with_its_traceback(secretive: Workshop) -> None:
    file = secretive.folder / "kaggle-env.toml"
    right, said = file.read_text(), ""
    for broken, env in (
        (right.replace("alpha", "alpha>9"), {}),
        (right, {"INDEX_WORD": "wr0ng", "NETRC": "/nowhere"}),
        (right, {"NO_PROXY": "", "no_proxy": ""}),
        (right.replace("X-Amz-Signature=", "X-Amz-Signature=0"), {}),
        (right.replace("/weights.bin", "/nothing.bin"), {}),
        (right.replace('path = "w.bin"', 'path = "../w"'), {}),
        (right.replace('"alpha"]\n[[ch', '"alpha"\n[[ch'), {}),
        (right.replace("[[indexes]]", "[[indexes]]\nodd = 1"), {}),
    ):
        file.write_text(broken)
        done = secretive.kpack("lock", "--debug", env=env)
        assert done.code != 0, broken
        said += done.out + done.err
    assert leaks(secretive, said) == []
