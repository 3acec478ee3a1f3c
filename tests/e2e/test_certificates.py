"""What a lock can reach over TLS a build can reach, and both say alike why they cannot."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.e2e.conftest import PYTHON, Workshop
from tests.support.certificates import self_signed, served
from tests.support.index import IndexServer
from tests.support.network import no_settings
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["no_settings"]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[tuple[Workshop, Path, Path]]:
    """A project whose index wants a certificate of its clients; that of the server, and the client's."""
    theirs, mine = self_signed(tmp_path / "theirs.pem"), self_signed(tmp_path / "mine.pem")
    (tmp_path / "project").mkdir()
    with IndexServer(tls=served(theirs, clients=mine)) as index, Origin(tls=served(theirs)) as origin:
        index.add(make_wheel(tmp_path / "wheels", "alpha"))
        origin.files["/w.ckpt"] = b"w"
        place = Workshop(tmp_path / "project", index, {"PIP_CONFIG_FILE": os.devnull})
        place.write(
            f'name = "tiny"\npython = "{PYTHON}"\npackages = ["alpha"]\n\n'
            f'[[checkpoints]]\nurl = "{origin.url}/w.ckpt"\npath = "w.ckpt"\n'
        )
        yield place, theirs, mine


@pytest.mark.parametrize("by", ["variables", "pip.conf", "both"])
def test_lock_and_build_reach_the_same(shop: tuple[Workshop, Path, Path], by: str, tmp_path: Path) -> None:
    place, theirs, mine = shop
    (tmp_path / "pip.conf").write_text(f"[global]\ncert = {theirs}\nclient-cert = {mine}\n")
    place.environment |= {
        "variables": {"REQUESTS_CA_BUNDLE": str(theirs), "PIP_CLIENT_CERT": str(mine)},
        "pip.conf": {"PIP_CONFIG_FILE": str(tmp_path / "pip.conf")},
        "both": {"SSL_CERT_FILE": str(theirs), "REQUESTS_CA_BUNDLE": str(mine), "PIP_CLIENT_CERT": str(mine)},
    }[by]
    place.good("lock")
    place.good("build", env={"KPACK_CACHE": str(tmp_path / "another")})


def test_lock_and_build_say_alike_what_is_missing(shop: tuple[Workshop, Path, Path], tmp_path: Path) -> None:
    place, theirs, mine = shop
    place.good("lock", env={"SSL_CERT_FILE": str(theirs), "PIP_CLIENT_CERT": str(mine)})
    another = {"KPACK_CACHE": str(tmp_path / "another")}
    for words in (["lock", "--upgrade"], ["build"]):
        done = place.kpack(*words, env=another)
        assert done.code == 4, done.err
        assert "the server's certificate is not trusted: self-signed" in done.err
        assert "let REQUESTS_CA_BUNDLE name a file with the certificates of your organisation" in done.err
        for variable, value in (
            ("PIP_CERT", tmp_path / "none.pem"),
            ("SSL_CERT_FILE", place.folder / "kaggle-env.toml"),
        ):
            done = place.kpack(*words, env={**another, variable: str(value)})
            assert done.code == 7, done.err
            assert f"the certificates that {variable} names" in done.err
