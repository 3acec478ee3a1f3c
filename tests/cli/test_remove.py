from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.run import kpack

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
name = "demo"
python = "3.12"
packages = [
    "timm>=1",  # vision
    "sentencepiece",
]

# the model
[[checkpoints]]
url = "https://host/m.ckpt"
path = "m.ckpt"
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "kaggle-env.toml").write_text(TEXT)
    return tmp_path


def test_remove_leaves_all_else_as_it_was(project: Path) -> None:
    done = kpack(project, "remove", "SentencePiece")
    assert done.code == 0
    assert done.out.splitlines()[0] == "removed sentencepiece"
    assert (project / "kaggle-env.toml").read_text() == TEXT.replace('    "sentencepiece",\n', "")


def test_remove_takes_packages_and_checkpoints_at_once(project: Path) -> None:
    done = kpack(project, "remove", "timm", "--checkpoint", "m.ckpt", "--json")
    assert done.json["removed"] == ["timm>=1", "m.ckpt"]
    assert "[[" not in (project / "kaggle-env.toml").read_text()


@pytest.mark.parametrize(
    ("words", "what", "advice"),
    [
        ([], "nothing to remove", "name packages"),
        (["tim"], '"tim" is not in packages', 'did you mean "timm"?'),
        (["timm", "zzz"], '"zzz" is not in packages', "packages has: timm, sentencepiece"),
        (["m.ckpt"], '"m.ckpt" is not in packages', "--checkpoint m.ckpt"),
        (["--checkpoint", "n.ckpt"], 'there is no checkpoint "n.ckpt"', 'known: "m.ckpt"'),
    ],
)
def test_remove_refuses_wrong_words_and_writes_nothing(project: Path, words: list[str], what: str, advice: str) -> None:
    done = kpack(project, "remove", *words, "--json")
    assert done.code == 2
    assert what in done.error["what"]
    assert advice in done.error["next"]
    assert (project / "kaggle-env.toml").read_text() == TEXT


def test_remove_takes_names_out_of_the_other_lists(tmp_path: Path) -> None:
    rows = '    "nvidia-*",  # the image has it\n    "torch==2.1",  # and this\n'
    text = f'name = "x"\npython = "3.12"\nexclude = [\n{rows}]\n'
    (tmp_path / "kaggle-env.toml").write_text(text)
    assert kpack(tmp_path, "remove", "--exclude", "Torch").code == 0
    assert (tmp_path / "kaggle-env.toml").read_text() == text.replace('    "torch==2.1",  # and this\n', "")
    done = kpack(tmp_path, "remove", "--replace", "torch", "--json")
    assert (done.code, done.error["next"]) == (2, "replace is empty")
