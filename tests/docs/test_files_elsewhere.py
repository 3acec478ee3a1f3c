"""Each recipe of "Files that a package expects elsewhere", followed to the letter: the package finds its file.

By default the packages are look-alikes that look where the real ones do, and the files are small; the test that uses
the real index does the same with the real nltk, tiktoken and huggingface_hub.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import tomlkit

from tests.checkpoints.servers import put_repository
from tests.cli.run import kpack
from tests.docs.blocks import ROOT, Block, blocks
from tests.support.index import IndexServer
from tests.support.long import long_list
from tests.support.origin import Origin
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = ROOT / "docs" / "how-to" / "files-elsewhere.md"
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
WEIGHTS = b"weights" * 10
RESNET, RESNET_HERE = "f37072fd", hashlib.sha256(WEIGHTS).hexdigest()[:8]
"""The digest that the real file has in its name, and the one that the file here has to have."""
HUB = "sentence-transformers/all-MiniLM-L6-v2"

LOOKALIKES = {
    "nltk": {
        "nltk/__init__.py": "",
        "nltk/corpus.py": """
            import os, zipfile
            class stopwords:
                @staticmethod
                def words(language):
                    for folder in os.environ["NLTK_DATA"].split(os.pathsep):
                        with zipfile.ZipFile(os.path.join(folder, "corpora", "stopwords.zip")) as archive:
                            return archive.read("stopwords/" + language).decode().split()
            """,
    },
    "spacy": {
        "spacy/__init__.py": """
            import importlib, importlib.metadata
            def load(name):
                importlib.metadata.distribution(name)
                return importlib.import_module(name).load()
            """,
    },
    "tiktoken": {
        "tiktoken/__init__.py": """
            import hashlib, os
            ADDRESS = "https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken"
            class get_encoding:
                def __init__(self, name):
                    key = hashlib.sha1(ADDRESS.replace("cl100k_base", name).encode()).hexdigest()
                    self.ranks = open(os.path.join(os.environ["TIKTOKEN_CACHE_DIR"], key), "rb").read()
                def encode(self, text):
                    return list(self.ranks)
            """,
    },
    "torch": {
        "torch/__init__.py": "from torch import hub\n",
        "torch/hub.py": """
            import os
            def load_state_dict_from_url(url):
                name = os.path.basename(url)
                return open(os.path.join(os.environ["TORCH_HOME"], "hub", "checkpoints", name), "rb").read()
            """,
    },
    "easyocr": {
        "easyocr/__init__.py": """
            import os
            class Reader:
                def __init__(self, languages, download_enabled=True):
                    folder = os.path.join(os.environ["EASYOCR_MODULE_PATH"], "model")
                    self.detector = open(os.path.join(folder, "craft_mlt_25k.pth"), "rb").read()
                    self.recognizer = open(os.path.join(folder, "english_g2.pth"), "rb").read()
            """,
    },
    "huggingface_hub": {
        "huggingface_hub/__init__.py": """
            import os
            assert os.environ["HF_HUB_OFFLINE"] == "1"
            def hf_hub_download(repository, name):
                folder = os.path.join(os.environ["HF_HUB_CACHE"], "models--" + repository.replace("/", "--"))
                commit = open(os.path.join(folder, "refs", "main")).read()
                return os.path.join(folder, "snapshots", commit, name)
            """,
    },
}
"""By distribution: the files of a wheel that looks for its data where the real one does."""

MODEL = """
class Token(str):
    text = property(str)
def load():
    return lambda text: [Token(word) for word in text.split()]
"""


def stopwords() -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("stopwords/english", "the\na\nof\n")
    return held.getvalue()


@dataclass
class Recipe:
    """What one section of the page says: tables for kaggle-env.toml, and the code that must work then."""

    title: str
    toml: dict[str, Any]
    code: str

    @property
    def packages(self) -> list[str]:
        """Return the packages that the recipe needs; torch and the Hub's client are in the image, and are added."""
        there = {"torch hub and torchvision": "torch"}
        return self.toml.get("packages") or [there.get(self.title, "huggingface_hub")]


def recipes() -> list[Recipe]:
    """Return the sections that have a block of TOML and one of Python, in the order of the page."""
    text = PAGE.read_text(encoding="utf-8")
    titles = {text.count("\n", 0, match.start()): match[1] for match in re.finditer(r"^## (.+)$", text, re.MULTILINE)}

    def title(block: Block) -> str:
        return titles[max(line for line in titles if line < block.line)].partition(":")[0]

    found: dict[str, dict[str, str]] = {}
    for block in blocks(PAGE):
        found.setdefault(title(block), {})[block.language] = block.text
    return [Recipe(name, tomllib.loads(held["toml"]), held["python"]) for name, held in found.items()]


@dataclass
class Home:
    """The computer on which the recipe is followed, and the one where the line runs."""

    folder: Path
    origin: Origin
    index: str | None
    files: dict[str, bytes] = field(default_factory=dict)

    def moved(self, url: str) -> str:
        """Return an address of this machine for an address of the page, and serve what belongs there."""
        name = url.rpartition("/")[2]
        if not url.startswith("https://"):
            return url
        self.origin.files[f"/{name.replace(RESNET, RESNET_HERE)}"] = self.files.get(name, WEIGHTS)
        return f"{self.origin.url}/{name}"

    def write(self, recipe: Recipe) -> None:
        """Write kaggle-env.toml: the recipe with the addresses of this machine."""
        document: dict[str, Any] = {"name": "recipe", "python": SERIES, **recipe.toml}
        document["packages"] = [
            re.sub(r"https://\S+", lambda found: self.moved(found[0]), one) for one in recipe.packages
        ]
        document["checkpoints"] = []
        for checkpoint in recipe.toml.get("checkpoints", ()):
            url = self.moved(checkpoint["url"])
            if url.startswith("file:"):
                (self.folder / url.removeprefix("file:")).write_bytes(b"weights")
            document["checkpoints"].append({**checkpoint, "url": url})
        (self.folder / "kaggle-env.toml").write_text(
            tomlkit.dumps(document).replace(RESNET, RESNET_HERE), encoding="utf-8"
        )

    def follow(self, recipe: Recipe, code: str) -> None:
        """Lock, build, and run the line and ``code`` in a fresh environment; its folder stands for /kaggle/tmp."""
        self.write(recipe)
        environ = {"KPACK_CACHE": str(self.folder / "cache"), "NO_PROXY": "127.0.0.1", "HF_ENDPOINT": self.origin.url}
        if self.index:
            environ["KPACK_INDEX_URL"] = self.index
        for words in (("lock",), ("build", "--json")):
            done = kpack(self.folder, *words, **environ)
            assert done.code == 0, done.out + done.err
        kernel = self.folder / "kernel"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", kernel], check=True)
        working = self.folder / "tmp"
        working.mkdir()
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "HF_"))}
        ran = subprocess.run(
            [
                kernel / "bin" / "python",
                "-W",
                "error",
                "-c",
                f"{done.json['bootstrap']}\n{code.replace(RESNET, RESNET_HERE)}",
            ],
            cwd=working,
            env={
                **clean,
                "KPACK_PACK": done.json["pack"],
                "http_proxy": "http://127.0.0.1:9",
                "https_proxy": "http://127.0.0.1:9",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin() as server:
        yield server


@pytest.fixture
def home(tmp_path: Path, origin: Origin) -> Home:
    put_repository(origin, HUB, {"config.json": b"{}", "vocab.txt": b"the\n", "model.safetensors": b"w" * 64})
    model = make_wheel(tmp_path / "model", "en_core_web_sm", "3.8.0", files={"en_core_web_sm/__init__.py": MODEL})
    return Home(tmp_path, origin, None, {"stopwords.zip": stopwords(), model.name: model.read_bytes()})


def test_the_page_has_a_recipe_for_each_of_the_packages() -> None:
    assert sorted(re.split(r"[ @]", recipe.packages[0])[0] for recipe in recipes()) == sorted(LOOKALIKES)


@pytest.mark.parametrize(
    "recipe",
    [pytest.param(one, marks=() if one.title == "NLTK" else (long_list,), id=one.title) for one in recipes()],
)
def test_a_recipe_lets_the_package_find_its_file(recipe: Recipe, home: Home) -> None:
    with IndexServer() as index:
        for name, files in LOOKALIKES.items():
            held = {path: textwrap.dedent(text) for path, text in files.items()}
            index.add(make_wheel(home.folder / "wheels", name, files=held))
        home.index = index.url
        home.follow(recipe, recipe.code)


OWN_RANKS = """
import tiktoken.load
found = tiktoken.load.load_tiktoken_bpe("https://openaipublic.blob.core.windows.net/encodings/cl100k_base.tiktoken")
assert found == {b"the": 0, b"of": 1}
"""
"""What stands for the page's code with the real tiktoken, which knows the digest of the real file."""


@long_list
@pytest.mark.index
@pytest.mark.parametrize("name", ["nltk", "tiktoken", "huggingface_hub"])
def test_a_recipe_lets_the_real_package_find_its_file(name: str, home: Home) -> None:
    home.files["cl100k_base.tiktoken"] = b"dGhl 0\nb2Y= 1\n"
    (recipe,) = (one for one in recipes() if one.packages == [name])
    home.follow(recipe, OWN_RANKS if name == "tiktoken" else recipe.code)
