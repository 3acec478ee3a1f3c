"""URLs: what a lock keeps, what a message shows, and what a file is asked for with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.errors import UsageError
from kpack.hubs import on_a_hub
from kpack.urls import (
    Credentials,
    at_commit,
    expanded,
    host,
    redacted,
    server,
    shown,
    signed,
    spells_secret,
    stable,
    url_parts,
    without_secrets,
)

PASSWORDS = st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), min_size=4, max_size=12).filter(
    lambda text: not set(text) & set("/?#\\") and not text.isdigit()
)


@given(PASSWORDS)
def test_password_leaks_nowhere_whatever_is_in_it(password: str) -> None:
    url = f"https://user:{password}@host.example/simple/x.whl"
    for text in (stable(url), shown(url), host(url), redacted(f"x: {url}, gone"), without_secrets(f"x @ {url}")):
        assert text.endswith(("host.example/simple/x.whl", "host.example", "gone", "be read)"))
        assert f"{password}@" not in text


@pytest.mark.parametrize("password", ["p@ss:w@rd", "a:b", "with/slash", "with?mark", "@@"])
def test_odd_passwords_leave_no_tail(password: str) -> None:
    url = f"https://user:{password}@host/x.whl"
    for text in (stable(url), redacted(url), without_secrets(f"x @ {url}").partition(" @ ")[2]):
        assert text == "https://host/x.whl"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://h/a.ckpt?X-Amz-Signature=s3cret&X-Amz-Date=1&versionId=7", "https://h/a.ckpt?versionId=7"),
        ("https://h/a.ckpt?sv=1&se=2&sig=s3cret", "https://h/a.ckpt"),
        ("https://h/a.ckpt?token=s3cret", "https://h/a.ckpt"),
        ("https://h/a.ckpt?Expires=1&Key-Pair-Id=K&Signature=s3cret", "https://h/a.ckpt"),
        ("https://h/a.ckpt?file=a&access_token=s3cret#sha256=ab", "https://h/a.ckpt?file=a"),
        ("https://h/a.ckpt?download=true&se=1", "https://h/a.ckpt?download=true&se=1"),
        ("git+ssh://git@h/org/repo@v1#subdirectory=x", "git+ssh://h/org/repo@v1"),
        ("hf://org/repo@main/file", "hf://org/repo@main/file"),
        ("file:model.ckpt", "file:model.ckpt"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        ("https://h:8443/a@b:c", "https://h:8443/a@b:c"),
    ],
)
def test_lock_keeps_what_asks_for_the_same_file_without_the_secret(url: str, kept: str) -> None:
    assert stable(url) == kept
    assert signed(url) == ("s3cret" in url)
    assert "s3cret" not in shown(url) + redacted(f"see {url} there")


def test_query_and_user_are_put_back_for_the_url_and_the_server_they_are_of() -> None:
    known = Credentials.of(
        ["https://h/a.ckpt?token=t1&file=x", "https://me:p%40w@private/simple", "https://plain/none"]
    )
    assert known.on("https://h/a.ckpt?file=x") == "https://h/a.ckpt?token=t1&file=x"
    assert known.on("https://h/b.ckpt?file=x") == "https://h/b.ckpt?file=x"
    assert known.on("https://private/files/a.whl") == "https://me:p%40w@private/files/a.whl"
    assert known.on("http://private/files/a.whl") == "http://private/files/a.whl"
    assert known.on("https://private.evil/a") == "https://private.evil/a"
    assert "t1" not in repr(known)


def test_environment_gives_a_fresh_signature(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KPACK_URLS", "https://h/a.ckpt?sig=new https://u:p@other/")
    known = Credentials.of(["https://h/b.ckpt"])
    assert known.on("https://h/a.ckpt") == "https://h/a.ckpt?sig=new"
    assert known.on("https://other/x") == "https://u:p@other/x"


def test_variables_are_put_in_once() -> None:
    assert expanded("https://${A}@h/${A}", of="index 'x'", environ={"A": "${B}"}) == "https://${B}@h/${B}"


@pytest.mark.parametrize("url", ["https://u:p/ssw0rd@host/x", "http://[::1/x", "https://host:99999/x"])
def test_what_is_said_of_a_host_that_cannot_be_read_holds_nothing_of_the_url(url: str) -> None:
    with pytest.raises(ValueError, match=r"^its host or port cannot be read$"):
        url_parts(url)


def test_server_is_scheme_host_and_port_without_user() -> None:
    assert server("https://u:p@host.example:8443/simple/") == "https://host.example:8443"


@pytest.mark.parametrize(
    ("url", "held"),
    [
        ("git+https://h/o/r@v1#egg=x", "git+https://h/o/r@0123#egg=x"),
        ("git+ssh://git@h/o/r@v1", "git+ssh://git@h/o/r@0123"),
        ("git+file:///folder/r@v1", "git+file:///folder/r@v1"),
        ("git+https://h/o/r@v2", "git+https://h/o/r@v2"),
        ("git+https://h/o/r", "git+https://h/o/r"),
    ],
)
def test_only_the_revision_that_was_locked_becomes_its_commit(url: str, held: str) -> None:
    repository = "git+ssh://h/o/r" if "ssh" in url else "git+https://h/o/r"
    assert at_commit(url, repository, "v1", "0123") == held


@pytest.mark.parametrize("url", ["hf://org", "hf://datasets/org/x y", "kaggle://owner/slug", "hf://o/r@m/../x"])
def test_address_on_a_hub_that_is_not_whole_is_said(url: str) -> None:
    with pytest.raises(UsageError, match=r"is not complete|plain path"):
        on_a_hub(url)


def test_other_schemes_are_on_no_hub() -> None:
    assert on_a_hub("https://host/org/repo") is None


@pytest.mark.parametrize(
    ("url", "spells"),
    [
        ("https://u:word@h/x", True),
        ("https://word@h/x", True),
        ("https://u:${WORD}@h/x", False),
        ("https://${WORD}@h/x", False),
        ("https://u:${WORD}x@h/x", True),
        ("https://u:word@${HOST}/x", True),
        ("git+ssh://git@h/x", False),
        ("https://h/x?sig=1", True),
        ("https://h/x?token=${WORD}", False),
        ("https://h/x?page=1#sig=2", False),
        ("file:x", False),
    ],
)
def test_a_secret_that_is_spelled_out_is_told_from_one_that_a_variable_holds(url: str, spells: bool) -> None:
    assert spells_secret(url) is spells


@pytest.mark.parametrize("word", ["a://", "http://a:", "a://@", "a:80/://", "?a=&"])
def test_a_long_text_is_redacted_in_linear_work(word: str) -> None:
    """A quarter of a megabyte took most of a minute once; the test's own patience would not notice a few seconds."""
    text = word * 60_000
    for read in (redacted, stable, without_secrets, shown, signed, spells_secret):
        read(text)


def test_a_file_url_is_a_path_in_the_encoding_of_this_python() -> None:
    code = (
        "import pathlib, sys\nfrom kpack.urls import file_path\n"
        "for url in ('file:///a%C3%BC%20b', 'file:/a\\u00fc b', 'file:///a%FF'):\n"
        "    path = file_path(url)\n"
        "    print(sys.getfilesystemencoding(), pathlib.Path(path).absolute().as_uri())\n"
    )
    for words, encoding in ((("-X", "utf8"), "utf-8"), (("-X", "utf8=0"), "ascii")):
        environ = {
            **os.environ,
            "LC_ALL": "C",
            "PYTHONCOERCECLOCALE": "0",
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        done = subprocess.run(
            [sys.executable, *words, "-c", code], env=environ, capture_output=True, text=True, check=True
        )
        path = "file:///a%C3%BC%20b"
        assert done.stdout.split() == [encoding, path, encoding, path, encoding, "file:///a%FF"]
