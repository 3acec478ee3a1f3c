"""The Python that loads a checkpoint offline, told by its file name and by the layout that it lies in."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kpack.checkpoints import HUB_FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REPOSITORY = re.compile(rf"{HUB_FOLDER}/(model|dataset|space)s--(.+?)--(.+?)/snapshots/[0-9a-f]{{40}}/(.+)")
_BY_SUFFIX: Mapping[str, tuple[str, str]] = {
    ".ckpt": ("import torch", "torch.load({0}, map_location='cpu')"),
    ".pt": ("import torch", "torch.load({0}, map_location='cpu')"),
    ".pth": ("import torch", "torch.load({0}, map_location='cpu')"),
    ".safetensors": ("from safetensors.torch import load_file", "load_file({0})"),
    ".onnx": ("import onnxruntime", "onnxruntime.InferenceSession({0})"),
    ".npy": ("import numpy", "numpy.load({0})"),
    ".npz": ("import numpy", "numpy.load({0})"),
    ".joblib": ("import joblib", "joblib.load({0})"),
    ".pkl": ("import joblib", "joblib.load({0})"),
    ".h5": ("import keras", "keras.models.load_model({0})"),
    ".keras": ("import keras", "keras.models.load_model({0})"),
    ".gguf": ("from llama_cpp import Llama", "Llama(model_path={0})"),
    ".txt": ("from pathlib import Path", "Path({0}).read_text()"),
    ".json": ("import json", "json.load(open({0}))"),
    ".csv": ("import pandas", "pandas.read_csv({0})"),
    ".parquet": ("import pandas", "pandas.read_parquet({0})"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """How one checkpoint, or one repository of the Hub, is loaded in the kernel."""

    path: str
    """Where it is in the kernel: a file, or the repository's name."""
    code: tuple[str, ...]
    """Lines of Python."""


def loading(lands: Mapping[str, str]) -> tuple[Loading, ...]:
    """Return how each checkpoint is loaded; ``lands`` says where it is in the kernel, by its path in the lock.

    A repository in the Hub's own layout is one; a file that nothing loads by its name alone is opened.
    """
    repositories: dict[tuple[str, str], list[str]] = {}
    found = []
    for path, place in lands.items():
        match = _REPOSITORY.fullmatch(path)
        if match is not None:
            repositories.setdefault((match[1], f"{match[2]}/{match[3]}"), []).append(match[4])
        elif not path.startswith(f"{HUB_FOLDER}/"):
            found.append(Loading(path=place, code=_file(place)))
    return (
        *(Loading(path=name, code=_repository(kind, name, files)) for (kind, name), files in repositories.items()),
        *found,
    )


def _repository(kind: str, name: str, files: Iterable[str]) -> tuple[str, ...]:
    names = sorted(files)
    if kind == "dataset":
        return "from datasets import load_dataset", f"load_dataset({name!r})"
    if kind == "model":
        if "modules.json" in names:
            return "from sentence_transformers import SentenceTransformer", f"SentenceTransformer({name!r})"
        if name.startswith("timm/"):
            return "import timm", f"timm.create_model({'hf_hub:' + name!r}, pretrained=True)"
        if "model_index.json" in names:
            return "from diffusers import DiffusionPipeline", f"DiffusionPipeline.from_pretrained({name!r})"
        if "config.json" in names:
            return "from transformers import AutoModel", f"AutoModel.from_pretrained({name!r})"
    of = "" if kind == "model" else f", repo_type={kind!r}"
    return "from huggingface_hub import hf_hub_download", f"hf_hub_download({name!r}, {names[0]!r}{of})"


def _file(place: str) -> tuple[str, ...]:
    name = posixpath.basename(place)
    folder, _, inner = place.partition("/nltk_data/")
    if inner.count("/") == 1:
        what = repr(f"{inner.removesuffix('.zip')}")
        first = (
            ("import nltk",) if folder == "~" else ("import nltk", f"nltk.data.path.append({f'{folder}/nltk_data'!r})")
        )
        return *first, f"nltk.data.find({what})"
    start: tuple[str, ...] = ("import os",) if place.startswith("~") else ()
    where = f"os.path.expanduser({place!r})" if place.startswith("~") else repr(place)
    if name == "pytorch_model.bin":
        return *start, "import torch", f"torch.load({where}, map_location='cpu')"
    brings, call = _BY_SUFFIX.get(posixpath.splitext(name)[1].lower(), ("", "open({0}, 'rb').read()"))
    return *start, *filter(None, [brings]), call.format(where)
