from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpack.environment.importing import Harvest, from_notebook, from_requirements
from kpack.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def notebook(folder: Path, *cells: str | list[str], **metadata: object) -> Path:
    path = folder / "n.ipynb"
    held = [{"cell_type": "code", "source": cell} for cell in cells]
    path.write_text(json.dumps({"cells": held, "metadata": metadata, "nbformat": 4}), encoding="utf-8")
    return path


def harvested(folder: Path, *cells: str) -> Harvest:
    harvest = Harvest(folder=folder)
    from_notebook(notebook(folder, *cells), harvest)
    return harvest


@pytest.mark.parametrize(
    ("cell", "entries"),
    [
        ("!pip install numpy", ["numpy"]),
        ("%pip install -q -U 'transformers>=4.40' \"peft[x]==0.1\"", ["transformers>=4.40", "peft[x]==0.1"]),
        ("!pip install transformers>=4.40 >/dev/null 2>&1", ["transformers>=4.40"]),
        ("!pip3 install a b > log.txt; pip install c && pip install d | tail -1", ["a", "b", "c", "d"]),
        ("!{sys.executable} -m pip install --quiet a", ["a"]),
        ("!python3 -m pip install a", ["a"]),
        ("!uv pip install --system a", ["a"]),
        ("out = !pip install a", ["a"]),
        ("if True:\n    !pip install a\nimport a", ["a"]),
        ("!pip install a \\\n    b \\\n    'c<2'", ["a", "b", "c<2"]),
        ("%%bash\nset -e\npip install a  # a word\n", ["a"]),
        ("%%capture\n%pip install a", ["a"]),
        ("!pip install a >=1.0", ["a>=1.0"]),
        ("!pip install --upgrade-strategy eager -t /x a", ["a"]),
        ("!pip install git+https://host/me/tool.git@v1#egg=Tool[x]", ["Tool[x] @ git+https://host/me/tool.git@v1"]),
        ("!pip install https://host/x-1.0-py3-none-any.whl", ["x @ https://host/x-1.0-py3-none-any.whl"]),
        ("!pip install 'x @ https://host/x.zip'", ["x @ https://host/x.zip"]),
        ("!pip install a a==1 a", ["a==1"]),
        ("!pip install a # don't", ["a"]),
        ("# !pip install a", []),
        ("print('pip install a')", []),
        ("!pip list", []),
        ("!echo install", []),
    ],
)
def test_takes_what_pip_lines_of_a_notebook_name(tmp_path: Path, cell: str, entries: list[str]) -> None:
    harvest = harvested(tmp_path, cell)
    assert list(harvest.packages.values()) == entries
    assert harvest.notes == []


@pytest.mark.parametrize(
    ("cell", "note"),
    [
        ("!pip install /kaggle/input/x/*.whl --no-index --find-links /kaggle/input/x", "is not here"),
        ("!python -m spacy download en_core_web_sm", "spacy downloads en_core_web_sm"),
        ("!pip install ./nowhere", "is not here"),
        ("!pip install {package}", "holds a variable"),
        ("!pip install $NAME", "holds a variable"),
        (
            "!pip install a --extra-index-url https://me:secret@host/simple",
            '--extra-index-url "https://***@host/simple"',
        ),
        ("!pip install -f https://host/wheels a", "[[indexes]]"),
        ("!pip install --no-deps a", "--no-deps was used"),
        ("!pip install --pre a", "--pre was used"),
        ("!pip install -r nowhere.txt", '"nowhere.txt" is not here'),
        ("!pip install -c c.txt a", "constraints of"),
        ("!pip install numpy=1", "is not a requirement"),
        ("!pip install 'a", "cannot be read"),
        ("!pip install https://host/archive/main.zip", "does not say which package"),
        ("!pip install git+https://host/me/tool.git", 'is taken for the package "tool"'),
        ("!pip install a==1 a==2", '"a==2" takes the place of "a==1"'),
        ("!apt-get install -y libx", "not what apt-get installs"),
        ("!conda install -c x y", "not what conda installs"),
        ("!wget https://host/model.ckpt", "declare it in [[checkpoints]]"),
        ("import os\nos.system('pip install a')", "called from Python"),
        ("subprocess.check_call([sys.executable, '-m', 'pip', 'install', 'a'])", "called from Python"),
    ],
)
def test_says_what_of_a_notebook_needs_a_persons_eye(tmp_path: Path, cell: str, note: str) -> None:
    harvest = harvested(tmp_path, "x = 1", cell)
    assert len(harvest.notes) == 1
    assert note in harvest.notes[0]
    assert "n.ipynb: cell 2" in harvest.notes[0]
    assert "secret" not in harvest.notes[0]


@pytest.mark.parametrize(
    ("cell", "entries"),
    [
        ("!pip install /kaggle/input/d/rdkit-2025.3.3-cp311-cp311-manylinux_2_28_x86_64.whl", ["rdkit==2025.3.3"]),
        ("!pip install /kaggle/input/d/autograd-gamma-0.5.0.tar.gz > /dev/null 2>&1", ["autograd-gamma==0.5.0"]),
        ("!pip install /kaggle/input/d/{a-1.0-py3-none-any.whl,b-2.0-py3-none-any.whl}", ["a==1.0", "b==2.0"]),
    ],
)
def test_a_wheel_in_an_input_that_is_not_here_is_asked_of_the_index(
    tmp_path: Path, cell: str, entries: list[str]
) -> None:
    harvest = harvested(tmp_path, cell)
    assert list(harvest.packages.values()) == entries
    assert [note.rpartition("; ")[2] for note in harvest.notes] == [
        f"{entry} is asked of the index instead" for entry in entries
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 1}', "[" * 100_000])
def test_a_file_that_is_no_notebook_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(UsageError, match="is not a notebook"):
        from_notebook(path, Harvest(folder=tmp_path))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no such file"):
        from_notebook(tmp_path / "n.ipynb", Harvest(folder=tmp_path))


def test_takes_a_requirements_file_with_all_that_it_names(tmp_path: Path) -> None:
    (tmp_path / "sub" / "fork").mkdir(parents=True)
    (tmp_path / "sub" / "more.txt").write_text("-r ../requirements.txt\nmore\n-e ./fork\n")
    path = tmp_path / "requirements.txt"
    path.write_text(
        "# what we need\n-r sub/more.txt\nnumpy>=1  # arrays\n\n"
        "torch==2 ; python_version < '3.13'\n"
        "hashed==1 \\\n    --hash=sha256:00 \\\n    --hash=sha256:11\n"
        "--index-url https://host/simple\n"
    )
    harvest = Harvest(folder=tmp_path)
    from_requirements(path, harvest)
    assert list(harvest.packages.values()) == [
        "more",
        "./sub/fork",
        "numpy>=1",
        "torch==2 ; python_version < '3.13'",
        "hashed==1",
    ]
    assert len(harvest.notes) == 1
    assert "requirements.txt:7: --index-url" in harvest.notes[0]


@given(st.text(max_size=60))
def test_any_cell_is_read_without_a_failure(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("cells")
    harvested(folder, f"!pip install {text}", f"%%bash\n{text}", text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_requirements_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("lists") / "requirements.txt"
    path.write_bytes(text.encode())
    try:
        from_requirements(path, Harvest(folder=path.parent))
    except UsageError as error:
        assert error.next  # noqa: PT017 - which of both is the example's own matter
