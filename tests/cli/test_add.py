from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kpack.environment import load
from kpack.hubs import from_page
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
        (["--checkpoint", "https://u:secret@host/x", "--sha256", "x" * 64], "is not a SHA-256"),
        (["--checkpoint", "https://host/x", "--path", "../x"], "has the part '..'"),
        (["-r", "x.txt"], "there is no such file"),
        (["-x"], "No such option"),
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


def test_add_takes_a_list_and_names_for_the_other_lists(project: Path) -> None:
    path = project / "kaggle-env.toml"
    path.write_text(TEXT.replace('python = "3.12"', 'base = "kaggle-py311-2025-09"'))
    (project / "r.txt").write_text("jiwer==3.0\n--pre\n")
    names = ["--replace", "Timm", "--exclude", "nvidia-*", "--allow-source", "a", "--allow-source", "b"]
    done = kpack(project, "add", "-r", "r.txt", *names)
    assert done.code == 0
    assert "r.txt:2: --pre lets in pre-releases" in done.err
    environment = load(path)
    assert [one.text for one in environment.packages] == ["timm>=1", "jiwer==3.0"]
    assert [one.pattern for one in environment.exclude] == ["nvidia-*"]
    assert environment.allow_source == ("a", "b")
    assert environment.replace == ("timm",)
    assert kpack(project, "add", "--replace", "timm", "--json").json["unchanged"] == ["replace timm"]
    assert path.read_text().count("# vision") == 1


def test_add_takes_the_lines_of_a_list_together_and_its_constraints(project: Path) -> None:
    (project / "r.txt").write_text("jiwer>=3\njiwer!=3.0.1\nscipy>=1\n-c limits.txt\n")
    (project / "limits.txt").write_text("scipy<1.12\nnobody<2\n")
    done = kpack(project, "add", "-r", "r.txt")
    assert done.code == 0
    assert "limits.txt:2: nothing here asks for nobody by its name" in done.err
    found = [one.text for one in load(project / "kaggle-env.toml").packages]
    assert found == ["timm>=1", "jiwer>=3,!=3.0.1", "scipy<1.12,>=1"]


@pytest.mark.parametrize(
    ("words", "secret"),
    [
        (["corp-x", "--index", "https://me:s3cret@host.example/simple"], True),
        (["corp-x @ https://me:s3cret@host.example/x.zip"], True),
        (["--checkpoint", "https://host.example/m.ckpt?X-Amz-Signature=s3cret"], True),
        (["corp-x", "--index", "https://${ME}:${TOKEN}@host.example/simple"], False),
    ],
)
@pytest.mark.parametrize("how", [[], ["--json"], ["--dry-run"]])
def test_a_password_in_the_file_is_told_and_not_shown(
    project: Path, words: list[str], how: list[str], *, secret: bool
) -> None:
    done = kpack(project, "add", *words, *how)
    assert done.code == 0, done.err
    assert "s3cret" not in done.out + done.err
    assert ("in kaggle-env.toml → write ${NAME} for it in [[indexes]]" in done.err) is secret
    assert ("s3cret" in (project / "kaggle-env.toml").read_text()) is (secret and how != ["--dry-run"])
    if secret and not how:
        again = kpack(project, "remove", *(["corp-x"] if "corp-x" in words[0] else []), *words[1:])
        assert "s3cret" not in again.out + again.err


def test_add_gives_the_packages_of_a_call_an_index_of_their_own(project: Path) -> None:
    url = "https://wheels.example.org/simple"
    assert kpack(project, "add", "torch-scatter>=2", "--index", url).code == 0
    (index,) = load(project / "kaggle-env.toml").indexes
    assert (index.url, index.packages) == (url, ("torch-scatter",))
    again = kpack(project, "add", "other", "--index", url, "--json")
    assert (again.code, "packages by hand" in again.error["next"]) == (2, True)
    assert kpack(project, "add", "--index", url, "--exclude", "x").code == 2
    assert kpack(project, "remove", "torch-scatter", "--index", "extra").code == 0
    assert (project / "kaggle-env.toml").read_text().strip() == TEXT.strip()


def test_a_page_of_the_hub_becomes_its_address(project: Path) -> None:
    page = "https://huggingface.co/BAAI/bge-small/blob/v1/model.safetensors"
    assert kpack(project, "add", "--checkpoint", page).code == 0
    assert load(project / "kaggle-env.toml").checkpoints[0].urls == ("hf://BAAI/bge-small@v1/model.safetensors",)
    assert kpack(project, "remove", "--checkpoint", page).code == 0


@pytest.mark.parametrize(
    ("page", "address"),
    [
        ("https://huggingface.co/a/b", "hf://a/b"),
        ("https://huggingface.co/a/b/tree/main", "hf://a/b"),
        ("https://huggingface.co/datasets/a/b/tree/v1/data", "hf://datasets/a/b@v1/data/"),
        ("https://huggingface.co/a/b/resolve/main/x/y.bin?download=true", "hf://a/b/x/y.bin"),
        ("https://host.example/a/b", "https://host.example/a/b"),
    ],
)
def test_pages_of_the_hub_are_told_from_other_urls(page: str, address: str) -> None:
    assert from_page(page) == address


def test_a_dry_run_shows_the_difference_and_writes_nothing(project: Path) -> None:
    done = kpack(project, "add", "x", "--dry-run")
    assert done.code == 0
    assert '-packages = ["timm>=1"]  # vision\n+packages = ["timm>=1", "x"]  # vision' in done.out
    assert "nothing was written" in done.out
    assert (project / "kaggle-env.toml").read_text() == TEXT
    assert "-packages" in kpack(project, "remove", "timm", "--dry-run").out
    assert (project / "kaggle-env.toml").read_text() == TEXT


def test_a_version_in_the_place_of_a_package_is_caught(project: Path) -> None:
    done = kpack(project, "add", "transformers", "4.57.1", "--json")
    assert done.code == 2
    assert "'4.57.1' is a version" in done.error["what"]
    assert done.error["next"] == 'kpack add "transformers==4.57.1"'
    assert (project / "kaggle-env.toml").read_text() == TEXT


def test_permissions_links_line_ends_and_byte_order_mark_of_the_file_stay(project: Path) -> None:
    real = project / "real.toml"
    real.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    real.chmod(0o640)
    path = project / "kaggle-env.toml"
    path.unlink()
    path.symlink_to("real.toml")
    assert kpack(project, "add", "x").code == 0
    assert path.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    held = real.read_bytes()
    assert held.startswith(b"\xef\xbb\xbfname")
    assert held.count(b"\r\n") == held.count(b"\n") == 3


def test_a_checkpoint_beside_the_file_lands_under_its_own_name(tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    path.write_text('name = "x"\npython = "3.12"\npackages = []\n')
    assert kpack(tmp_path, "add", "--checkpoint", "file:words.txt").code == 0
    assert [one.path for one in load(path).checkpoints] == ["checkpoints/words.txt"]
