"""The examples' notebooks are what kpack writes, and the pairs really run, the second halves offline."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from tests.support.index import IndexServer, ServedFile
from tests.support.long import long_list
from tests.support.sandbox import missing
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from tests.publish.conftest import Desk

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/kaggle-env.toml"))

RANKS = """
class Scores(list):
    def argmax(self):
        return self.index(max(self))

class BM25Okapi:
    def __init__(self, documents):
        self.documents = documents
    def get_scores(self, query):
        return Scores(sum(word in document for word in query) for document in self.documents)
"""
SCORES = """
import os
class Detoxify:
    def __init__(self, checkpoint, huggingface_config_path):
        assert os.environ["HF_HUB_OFFLINE"] == "1"
        self.weights = open(checkpoint, "rb").read()
        self.vocabulary = open(huggingface_config_path + "/vocab.txt").read().split()
    def predict(self, text):
        return {"toxicity": sum(word in self.vocabulary for word in text.split()) / len(self.weights)}
"""
MODULES = {
    "rank-bm25": {"rank_bm25.py": RANKS},
    "jiwer": {"jiwer.py": "def wer(one, other):\n    return 1 / 5\n"},
    "pyahocorasick": {"ahocorasick.py": ""},
    "detoxify": {"detoxify.py": SCORES},
}
"""Tiny stand-ins for what the two examples pack."""

WEIGHTS = b"not the real weights"
EXPECTED = {
    "quickstart": "22 stopwords; TOKENIZERS_PARALLELISM = false",
    "toxic-comments": "you are a fool {'toxicity': 0.05}",
}


def cells(path: Path) -> dict[str, str]:
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(nbformat.from_dict(data))
    return {cell["id"]: "".join(cell["source"]) for cell in data["cells"]}


@pytest.mark.parametrize("name", NAMES)
def test_the_notebooks_are_what_kpack_writes(desk: Desk, name: str) -> None:
    """When it fails: run ``kpack notebook --relock --owner you`` in the example's folder."""
    folder = desk.folder / name
    shutil.copytree(EXAMPLES / name, folder)
    desk.good("--config", str(folder / "kaggle-env.toml"), "notebook", "--relock", "--owner", "you")
    for kind in ("builder", "inference"):
        place = Path("notebooks", kind, f"{kind}.ipynb")
        new, held = cells(folder / place), cells(EXAMPLES / name / place)
        for found in (new, held):
            found.pop("kpack-probe", None)  # it is that of the kpack that wrote it
            found["kpack-get"] = re.sub(r"==[^']*", "", found.get("kpack-get", ""))
        assert new == held
        metadata = place.with_name("kernel-metadata.json")
        assert json.loads((folder / metadata).read_text()) == json.loads((EXAMPLES / name / metadata).read_text())
    assert (EXAMPLES / name / "README.md").is_file()


@pytest.mark.root
@pytest.mark.skipif(bool(missing()), reason=missing() or "sandboxes work")
@long_list
@pytest.mark.parametrize("name", EXPECTED)
def test_the_pair_really_runs(desk: Desk, tmp_path: Path, name: str) -> None:
    digest = hashlib.sha256(WEIGHTS).hexdigest()
    files = {f"toxic_original-{digest[:8]}.ckpt": WEIGHTS, "config.json": b"{}", "vocab.txt": b"fool\n"}
    shutil.copytree(EXAMPLES / name, desk.folder, dirs_exist_ok=True)
    with IndexServer() as index:
        for package, modules in MODULES.items():
            index.add(make_wheel(tmp_path / "served", package, "4.0", files=modules))
        for file, content in files.items():
            (tmp_path / file).write_bytes(content)
            index.files[file] = [ServedFile(tmp_path / file)]
        desk.give_internet(index)
        for path in (desk.folder / "notebooks").rglob("*.*"):
            text = re.sub(r"\byou/", "me/", path.read_text(encoding="utf-8")).replace("c1212f89", digest[:8])
            text = re.sub(r'(url = \\")https://[^"]*/', rf"\g<1>{index.root}/files/", text)
            path.write_text(text, encoding="utf-8")
        desk.good("push", "--notebooks")
    run = desk.kaggle.kernels[f"me/{name}-inference"][0]
    assert run.request["enableInternet"] is False
    assert run.ran is not None
    assert EXPECTED[name] in run.ran.text
