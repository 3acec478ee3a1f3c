from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.environment import load
from tests.cli.run import kpack

if TYPE_CHECKING:
    from pathlib import Path

TEXT = 'name = "demo"  # ours\npython = "3.12"\npackages = ["timm>=1"]  # vision\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kaggle-env.toml").write_text(TEXT)
    return tmp_path


def test_add_writes_packages_and_says_what_is_different(project: Path) -> None:
    done = kpack(project, "add", "sentencepiece", "Timm>=2", "./fork")
    assert done.code == 0
    assert done.out.splitlines() == [
        "added sentencepiece",
        "added ./fork",
        "replaced timm>=1 by Timm>=2",
        "kaggle-env.toml: written. Next: kpack lock",
    ]
    text = (project / "kaggle-env.toml").read_text()
    assert text == TEXT.replace('["timm>=1"]', '["Timm>=2", "sentencepiece", "./fork"]')


def test_add_works_from_a_folder_below(project: Path) -> None:
    below = project / "a" / "b"
    below.mkdir(parents=True)
    assert kpack(below, "add", "x").code == 0
    assert len(load(project / "kaggle-env.toml").packages) == 2


def test_add_takes_a_checkpoint_and_packages_at_once(project: Path) -> None:
    done = kpack(project, "add", "x", "--checkpoint", "https://host/m.ckpt", "--sha256", "0" * 64, "--json")
    assert done.code == 0
    assert done.json["added"] == ["x", "https://host/m.ckpt"]
    (checkpoint,) = load(project / "kaggle-env.toml").checkpoints
    assert (checkpoint.path, checkpoint.sha256) == ("checkpoints/m.ckpt", "0" * 64)


def test_add_of_what_is_there_writes_nothing(project: Path) -> None:
    before = (project / "kaggle-env.toml").stat()
    done = kpack(project, "add", "timm", "--json")
    assert done.json == {
        "config": str(project / "kaggle-env.toml"),
        "changed": False,
        "added": [],
        "replaced": [],
        "removed": [],
        "unchanged": ["timm"],
    }
    after = (project / "kaggle-env.toml").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_add_keeps_permissions_and_follows_a_link(project: Path) -> None:
    real = project / "kaggle-env.toml"
    real.chmod(0o600)
    link = project / "link.toml"
    link.symlink_to(real)
    assert kpack(project, "--config", "link.toml", "add", "x").code == 0
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert '"x"' in real.read_text()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "nothing to add"),
        (["--sha256", "0" * 64], "speak of a checkpoint"),
        (["numpy=1"], "is not a requirement"),
        (["x", "--checkpoint", "ftp://host/x"], "not right here"),
        (["--checkpoint", "https://u:secret@host/x", "--sha256", "A" * 64], "is not a SHA-256"),
        (["--checkpoint", "https://host/x", "--path", "../x"], "has the part '..'"),
        (["-r", "x.txt"], "No such option"),
    ],
)
def test_add_refuses_wrong_words_and_writes_nothing(project: Path, words: list[str], what: str) -> None:
    done = kpack(project, "add", *words, "--json")
    assert done.code == 2
    assert what in done.error["what"]
    assert "secret" not in done.out + done.err
    assert (project / "kaggle-env.toml").read_text() == TEXT


def test_add_without_a_file_says_how_to_get_one(tmp_path: Path) -> None:
    done = kpack(tmp_path, "add", "x")
    assert done.code == 2
    assert "there is no kaggle-env.toml here or in a folder above" in done.err
    assert "kpack init" in done.err


def test_add_to_a_file_with_mistakes_names_them_and_their_lines(project: Path) -> None:
    path = project / "kaggle-env.toml"
    path.write_text(TEXT + "exlude = []\nrestore = 1\n")
    done = kpack(project, "add", "x", "--json")
    assert done.code == 2
    assert [mistake["where"] for mistake in done.error["mistakes"]] == ["kaggle-env.toml:4", "kaggle-env.toml:5"]
    assert path.read_text() == TEXT + "exlude = []\nrestore = 1\n"
