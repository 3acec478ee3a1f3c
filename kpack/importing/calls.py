"""Calls of Python that install or download something, by the name of what is called."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from kpack import urls
from kpack.environment.errors import quoted
from kpack.importing import downloads, libraries, models

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.importing.constants import Constants
    from kpack.importing.harvest import Line
    from kpack.importing.sitting import Sitting

SHELLS = frozenset(
    """
    os.system os.popen subprocess.run subprocess.call subprocess.check_call subprocess.check_output subprocess.Popen
    subprocess.getoutput subprocess.getstatusoutput get_ipython.system get_ipython.getoutput
    """.split()  # noqa: SIM905 - a list of words reads better
)
"""What runs a command line, or a list of words."""


class Call:
    """One call, with its arguments in plain words as far as they are."""

    def __init__(self, node: ast.Call, name: str, constants: Constants, line: Line, sitting: Sitting) -> None:
        self.node = node
        self.name = name
        self.constants = constants
        self.line = line
        self.sitting = sitting

    def node_of(self, position: int, *names: str) -> ast.expr | None:
        """Return the argument at a position, or of one of these names."""
        for keyword in self.node.keywords:
            if keyword.arg in names:
                return keyword.value
        given = self.node.args
        return given[position] if 0 <= position < len(given) and not isinstance(given[position], ast.Starred) else None

    def text(self, position: int, *names: str) -> str | None:
        """Return an argument's text; None when it is not there or not in plain words."""
        node = self.node_of(position, *names)
        return None if node is None else self.constants.text(node)

    def true(self, position: int, *names: str) -> bool:
        """Tell whether an argument is there and is not False or None."""
        node = self.node_of(position, *names)
        return node is not None and not (isinstance(node, ast.Constant) and not node.value)


def read(call: Call) -> None:
    """Add what a call downloads, or say what a person has to write for it."""
    handler = _BY_NAME.get(call.name) or _BY_NAME.get(call.name.rpartition(".")[2] if _ends(call.name) else "")
    if not libraries.read(call) and handler is not None:
        handler(call)


def _ends(name: str) -> bool:
    """Tell whether the last word of a name is enough to know the call, whatever stands before it."""
    return name.rpartition(".")[2] in _BY_LAST


_FROM_THE_HUB = "if it comes from the Hub: kpack add --checkpoint hf://ORGANISATION/MODEL; from an input: nothing"
_TABLE = 'a [[checkpoints]] table for each file: url = "https://…", path = "…"'


def _unknown(call: Call, what: str, write: str = _FROM_THE_HUB) -> None:
    call.sitting.harvest.left(call.line, f"{what} is not said in plain words", write)


def _from_pretrained(call: Call) -> None:
    name = call.text(0, "pretrained_model_name_or_path", "model_name_or_path", "repo_id", "model_name", "model_id")
    if name is None:
        if call.node.args or call.node.keywords:
            _unknown(call, "which model it loads")
    else:
        models.pretrained(name, call.line, call.sitting, revision=call.text(-1, "revision") or "")


def _pipeline(call: Call) -> None:
    node = call.node_of(1, "model")
    if node is None:
        if call.text(0, "task") is not None:
            call.sitting.harvest.left(
                call.line,
                f"the default model of {quoted(call.text(0, 'task'))} changes with the library",
                "name it: pipeline(…, model=…), and kpack add --checkpoint hf://ORGANISATION/MODEL",
            )
        return
    name = call.text(1, "model")
    if name is None:
        if not isinstance(node, ast.Name | ast.Call | ast.Attribute):
            _unknown(call, "which model it loads")
        return
    models.pretrained(name, call.line, call.sitting, revision=call.text(-1, "revision") or "")


def _snapshot(call: Call) -> None:
    name = call.text(0, "repo_id")
    if name is None:
        _unknown(call, "which repository it loads")
        return
    kind = call.text(-1, "repo_type") or "model"
    folder = call.text(-1, "local_dir")
    include = call.constants.texts(call.node_of(-1, "allow_patterns"))
    models.repository(
        name if kind == "model" else f"{kind}s/{name}",
        call.line,
        call.sitting,
        revision=call.text(-1, "revision") or "",
        path=call.sitting.lands(folder) if folder else None,
        include=include or (),
    )


def _hub_file(call: Call) -> None:
    name, filename = call.text(0, "repo_id"), call.text(1, "filename")
    if name is None or filename is None:
        _unknown(call, "which file of the Hub it loads")
        return
    kind = call.text(-1, "repo_type") or "model"
    folder = call.text(-1, "local_dir")
    inner = call.text(2, "subfolder")
    models.repository(
        name if kind == "model" else f"{kind}s/{name}",
        call.line,
        call.sitting,
        revision=call.text(-1, "revision") or "",
        filename=f"{inner}/{filename}" if inner else filename,
        path=call.sitting.lands(f"{folder}/{filename}") if folder else None,
    )


def _sentences(call: Call) -> None:
    name = call.text(0, "model_name_or_path")
    if name is not None:
        models.sentence_transformer(name, call.line, call.sitting)
    elif call.node_of(0, "model_name_or_path") is not None:
        _unknown(call, "which model it loads")


def _timm(call: Call) -> None:
    if not call.true(1, "pretrained"):
        return
    if call.node_of(-1, "checkpoint_path") is not None:
        return
    name = call.text(0, "model_name")
    if name is None:
        _unknown(call, "which weights timm loads")
    else:
        models.timm(name, call.line, call.sitting)


def _torchvision(call: Call) -> None:
    if call.true(0, "pretrained") or call.true(-1, "weights") or call.true(-1, "weights_backbone"):
        call.sitting.harvest.left(
            call.line,
            f"torchvision downloads the weights of {call.name.rpartition('.')[2]}",
            "kpack add --checkpoint URL --path ~/.cache/torch/hub/checkpoints/FILE; the weights' .url says which",
        )


def _torch_file(call: Call) -> None:
    url = call.text(0, "url")
    if url is None:
        _unknown(call, "which file torch hub loads", _TABLE)
        return
    folder, name = call.text(1, "model_dir"), call.text(-1, "file_name")
    name = name or url.partition("?")[0].rpartition("/")[2]
    models.torch_file(url, call.line, call.sitting, path=call.sitting.lands(f"{folder}/{name}") if folder else None)


def _file(call: Call) -> None:
    found = call.constants.texts(call.node_of(0, "url", "id")) or []
    if call.name.startswith("gdown."):
        found = [url if "://" in url else f"https://drive.google.com/uc?id={url}" for url in found]
    target = call.text(1, "filename", "output", "dst", "out", "data_filename")
    if not found:
        _unknown(call, "which URL it loads", _TABLE)
    elif target is None and (len(found) > 1 or call.name.startswith(("urllib", "torch"))):
        why = f"where it puts {', '.join(map(urls.redacted, found[:5]))} is not said in plain words"
        call.sitting.harvest.left(call.line, why, _TABLE)
    else:
        for url in found:
            downloads.file(url, target, call.line, call.sitting)


def _opened(call: Call) -> None:
    """Say of ``requests.get`` and ``urlopen`` that they reach for the network."""
    url = call.text(0, "url")
    if url is not None and "://" in url:
        call.sitting.harvest.left(
            call.line,
            "it reads a URL, which is not there offline",
            "kpack add --checkpoint URL, and read the file instead",
        )


def _keras_file(call: Call) -> None:
    name, url = call.text(0, "fname"), call.text(1, "origin")
    if url is None:
        _unknown(call, "which URL Keras loads", _TABLE)
        return
    name = name or url.partition("?")[0].rpartition("/")[2]
    models.torch_file(url, call.line, call.sitting, path=f"~/.keras/datasets/{name}")


def _nltk(call: Call) -> None:
    names = call.constants.texts(call.node_of(0, "info_or_id"))
    if not names:
        call.sitting.harvest.left(
            call.line,
            "which data NLTK loads is not said in plain words",
            "a [[checkpoints]] table below ~/nltk_data for each",
        )
    for name in names or ():
        models.nltk(name, call.line, call.sitting)


def _spacy(call: Call) -> None:
    name = call.text(0, "model", "name")
    if name is not None and "/" not in name and "." not in name:
        models.spacy(name, call.line, call.sitting)


def _tiktoken(call: Call) -> None:
    name = call.text(0, "encoding_name", "model_name")
    if name is None:
        _unknown(call, "which encoding tiktoken loads", _TABLE)
    elif call.name.endswith("for_model"):
        models.tiktoken_model(name, call.line, call.sitting)
    else:
        models.tiktoken(name, call.line, call.sitting)


def _kagglehub(call: Call) -> None:
    if "competition" in call.name:
        call.sitting.harvest.left(
            call.line, "the data of a competition is an input on Kaggle", "attach the competition (Add Input)"
        )
        return
    kind = "models" if "model" in call.name else "datasets"
    models.kaggle(kind, call.text(0, "handle") or "", call.line, call.sitting)


def _torch_hub(call: Call) -> None:
    if call.text(-1, "source") == "local":
        return
    name = call.text(0, "repo_or_dir", "github")
    if name is None:
        _unknown(call, "which repository torch hub loads")
    else:
        models.torch_hub(name, call.text(1, "model") or "", call.line, call.sitting)


def _vllm(call: Call) -> None:
    name = call.text(0, "model")
    if name is not None:
        models.pretrained(name, call.line, call.sitting, revision=call.text(-1, "revision") or "")


_BY_NAME: dict[str, Callable[[Call], None]] = {
    "from_pretrained": _from_pretrained,
    "transformers.pipeline": _pipeline,
    "huggingface_hub.snapshot_download": _snapshot,
    "snapshot_download": _snapshot,
    "huggingface_hub.hf_hub_download": _hub_file,
    "hf_hub_download": _hub_file,
    "SentenceTransformer": _sentences,
    "CrossEncoder": _sentences,
    "timm.create_model": _timm,
    "torch.hub.load": _torch_hub,
    "torch.hub.load_state_dict_from_url": _torch_file,
    "torch.hub.download_url_to_file": _file,
    "load_state_dict_from_url": _torch_file,
    "urllib.request.urlretrieve": _file,
    "urllib.request.urlopen": _opened,
    "requests.get": _opened,
    "wget.download": _file,
    "gdown.download": _file,
    "get_file": _keras_file,
    "nltk.download": _nltk,
    "spacy.load": _spacy,
    "spacy.cli.download": _spacy,
    "tiktoken.get_encoding": _tiktoken,
    "tiktoken.encoding_for_model": _tiktoken,
    "kagglehub.dataset_download": _kagglehub,
    "kagglehub.model_download": _kagglehub,
    "kagglehub.competition_download": _kagglehub,
    "kagglehub.load_dataset": _kagglehub,
    "vllm.LLM": _vllm,
}
"""By full name, or by the last word of it where that is in `_BY_LAST`."""

_BY_LAST = frozenset(
    {
        "from_pretrained",
        "snapshot_download",
        "hf_hub_download",
        "SentenceTransformer",
        "CrossEncoder",
        "get_file",
        "load_state_dict_from_url",
    }
)


def torchvision(call: Call) -> None:
    """Read a call of one of torchvision's models."""
    _torchvision(call)
