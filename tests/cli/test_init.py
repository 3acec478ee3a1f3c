from __future__ import annotations

import json
from pathlib import Path

import pytest

from kpack import base
from kpack.environment import load, parse
from kpack.environment.schema import dumps as schema_text
from kpack.environment.template import pack_name, render
from tests.cli.run import kpack


def test_init_writes_a_file_that_is_valid_and_says_what_comes_next(tmp_path: Path) -> None:
    folder = tmp_path / "My project (2)"
    folder.mkdir()
    done = kpack(folder, "init")
    assert done.code == 0
    assert done.out.startswith("kaggle-env.toml: written for kaggle-gpu-")
    assert "kpack lock" in done.out
    environment = load(folder / "kaggle-env.toml")
    assert environment.name == "My-project-2"
    assert environment.packages == ()
    text = (folder / "kaggle-env.toml").read_text()
    assert text.count("#") > 10


def test_init_picks_the_newest_shipped_image_for_gpus(tmp_path: Path) -> None:
    kpack(tmp_path, "init")
    newest = next(info for info in base.shipped() if "-cpu-" not in info.name)
    assert load(tmp_path / "kaggle-env.toml").bases == (newest.name,)


def test_init_never_overwrites_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    path.write_text("mine")
    done = kpack(tmp_path, "init", "--json")
    assert done.code == 2
    assert done.error["what"] == "the file is there already"
    assert "--force" in done.error["next"]
    assert path.read_text() == "mine"
    assert kpack(tmp_path, "init", "--force").code == 0
    assert load(path).name


def test_init_names_a_schema_that_is_there_and_that_knows_every_key(tmp_path: Path) -> None:
    kpack(tmp_path, "init")
    first = (tmp_path / "kaggle-env.toml").read_text().splitlines()[0]
    assert (tmp_path / first.removeprefix("#:schema ")).read_text(encoding="utf-8") == schema_text()


def test_init_writes_the_schema_beside_a_file_that_was_there_and_leaves_it_alone(tmp_path: Path) -> None:
    path = tmp_path / "kaggle-env.toml"
    path.write_text("mine")
    done = kpack(tmp_path, "init", "--schema", "--json")
    assert done.json["line"] == f"#:schema ./{Path(done.json['schema']).name}"
    assert (tmp_path / done.json["schema"]).read_text(encoding="utf-8") == schema_text()
    assert path.read_text() == "mine"


def notebook(path: Path, *cells: str, **metadata: object) -> None:
    held = [{"cell_type": "code", "source": cell} for cell in cells]
    path.write_text(json.dumps({"cells": held, "metadata": metadata}))


def test_init_takes_a_notebook_over_with_the_kernel_it_was_made_for(tmp_path: Path) -> None:
    metadata = {"language_info": {"version": "3.12.12"}, "kaggle": {"isGpuEnabled": False}}
    notebook(
        tmp_path / "my notebook.ipynb",
        "!pip install -q 'timm>=1' rank-bm25\n!pip install --pre x",
        "!wget https://host.example/m.ckpt\nprint('done')",
        **metadata,
    )
    done = kpack(tmp_path, "init", "--from", "my notebook.ipynb", "--json")
    assert done.code == 0
    assert done.json["packages"] == ["rank-bm25", "x"]
    assert [one["entry"] for one in done.json["understood"]] == [
        'packages "rank-bm25"',
        'packages "x"',
        "[[checkpoints]] https://host.example/m.ckpt at m.ckpt",
    ]
    assert [one["where"] for one in done.json["in_image"]] == ["my notebook.ipynb: cell 1, line 1"]
    assert ["--pre" in one["why"] for one in done.json["left"]] == [True]
    assert done.json["lines"] == {"total": 4, "understood": 2, "left": 1, "in_image": 0, "nothing": 1}
    environment = load(tmp_path / "kaggle-env.toml")
    assert environment.name == "my-notebook"
    assert [package.text for package in environment.packages] == ["rank-bm25", "x"]
    assert [one.urls for one in environment.checkpoints] == [("https://host.example/m.ckpt",)]
    assert environment.restore.link, "the notebook opens m.ckpt from its working folder"
    assert environment.bases[0].startswith("kaggle-cpu-py312-")


def test_init_ends_with_a_table_whose_sum_is_what_was_there(tmp_path: Path) -> None:
    notebook(tmp_path / "n.ipynb", "!pip install rank-bm25 numpy\n!conda install -y rdkit\nx = 1")
    (tmp_path / "more.txt").write_text("jiwer==3.0\n")
    done = kpack(tmp_path, "init", "--from", "n.ipynb", "--from-requirements", "more.txt")
    assert done.code == 0
    assert "understood:\n  n.ipynb: cell 1, line 1: !pip install rank-bm25 numpy\n" in done.out
    assert "left to you:\n  n.ipynb: cell 1, line 2: !conda install -y rdkit\n" in done.out
    assert "write: kpack add rdkit, if" in done.out
    assert "already in the image:\n  n.ipynb: cell 1, line 1" in done.out
    assert "note: \n" not in done.out
    assert "4 lines: 2 understood, 1 left to you, 0 in the image, 1 install and fetch nothing" in done.out
    assert "2 packages, 0 checkpoints" in done.out


def test_one_of_something_is_no_plural(tmp_path: Path) -> None:
    (tmp_path / "more.txt").write_text("jiwer==3.0\n")
    said = kpack(tmp_path, "init", "--from-requirements", "more.txt").out
    assert "\n1 line: 1 understood" in said
    assert ", 1 package, 0 checkpoints. " in said


def test_init_says_of_an_input_that_it_gives_nothing(tmp_path: Path) -> None:
    notebook(tmp_path / "n.ipynb", "x = 1")
    done = kpack(tmp_path, "init", "--from", "n.ipynb")
    assert done.code == 0
    assert "n.ipynb: nothing in it installs, imports or fetches anything" in done.err
    assert "Next: kpack add NAME" in done.out
    assert "kpack lock" not in done.out


def test_init_says_when_no_image_has_the_notebooks_python(tmp_path: Path) -> None:
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": [], "metadata": {"language_info": {"version": "3.6.6"}}}))
    done = kpack(tmp_path, "init", "--from-notebook", "n.ipynb")
    assert done.code == 0
    assert "no known image has the notebook's Python 3.6" in done.err


def test_init_takes_a_requirements_file_over(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("numpy>=1\nflask # web\n")
    done = kpack(tmp_path, "init", "--from-requirements", "requirements.txt", "--python", "3.12", "--name", "web")
    assert done.code == 0
    assert "2 packages" in done.out
    environment = load(tmp_path / "kaggle-env.toml")
    assert (environment.name, environment.python, environment.bases) == ("web", "3.12", ())


def test_init_writes_where_config_says(tmp_path: Path) -> None:
    assert kpack(tmp_path, "--config", "sub/gpu.toml", "init", "--base", "kaggle-py311-2025-09").code == 0
    assert load(tmp_path / "sub" / "gpu.toml").bases == ("kaggle-py311-2025-09",)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--name", "a b"], '"a b" is not right here'),
        (["--python", "3"], '"3" is not right here'),
        (["--base", "kaggle-gpu-py312"], "no base image is called"),
        (["--base", "x", "--python", "3.12"], "exclude each other"),
        (["--from-notebook", "none.ipynb"], "there is no such file"),
        (["--from", "none.txt"], "there is no such file"),
        (["--from", "none.what"], "does not say what kind of file"),
        (["--nmae", "x"], "No such option"),
    ],
)
def test_init_refuses_wrong_words_and_writes_nothing(tmp_path: Path, words: list[str], what: str) -> None:
    done = kpack(tmp_path, "init", *words, "--json")
    assert done.code == 2
    assert what in done.error["what"]
    assert list(tmp_path.iterdir()) == []


def test_init_in_a_folder_that_cannot_be_written_is_the_machines_no(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = kpack(tmp_path, "--config", "file/kaggle-env.toml", "init", "--json")
    assert done.code == 7


@pytest.mark.parametrize("title", ["x", "My Project", "é", "--x--", "a" * 60, "..", "v1.2_b"])
def test_any_title_becomes_a_valid_name(title: str) -> None:
    name = pack_name(title)
    text = render(name, python="3.12", packages=['quoted "x"'][:0])
    assert parse(text, Path("kaggle-env.toml")).name == name


def test_init_links_nothing_where_no_code_opens_a_file_of_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("from transformers import AutoModel\nAutoModel.from_pretrained('org/model')\n")
    assert kpack(tmp_path, "init", "--from", "code.py", "--python", "3.12").code == 0
    environment = load(tmp_path / "kaggle-env.toml")
    assert environment.checkpoints
    assert not environment.restore.link
