"""Models and data that libraries download by name: what to write so that the same code finds them offline."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name

from kpack.environment.errors import quoted
from kpack.environment.template import CheckpointEntry
from kpack.errors import typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.importing.harvest import Line
    from kpack.importing.sitting import Sitting

_REPOSITORY = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*/[A-Za-z0-9_][A-Za-z0-9._-]*")
_MOVED = {
    "albert": "albert/",
    "bert": "google-bert/",
    "camembert": "almanach/",
    "distilbert": "distilbert/",
    "distilgpt2": "distilbert/",
    "distilroberta": "distilbert/",
    "gpt2": "openai-community/",
    "openai-gpt": "openai-community/",
    "roberta": "FacebookAI/",
    "t5": "google-t5/",
    "xlm": "FacebookAI/",
    "xlnet": "xlnet/",
}
"""Who owns the models today that the Hub first knew by one word (``bert-base-uncased``)."""

_NLTK = {
    "averaged_perceptron_tagger": "taggers",
    "averaged_perceptron_tagger_eng": "taggers",
    "brown": "corpora",
    "maxent_ne_chunker": "chunkers",
    "maxent_ne_chunker_tab": "chunkers",
    "omw-1.4": "corpora",
    "opinion_lexicon": "corpora",
    "punkt": "tokenizers",
    "punkt_tab": "tokenizers",
    "sentiwordnet": "corpora",
    "snowball_data": "stemmers",
    "stopwords": "corpora",
    "tagsets": "help",
    "universal_tagset": "taggers",
    "vader_lexicon": "sentiment",
    "wordnet": "corpora",
    "wordnet31": "corpora",
    "words": "corpora",
}
"""The folder of nltk_data that each package lies in."""

_ENCODINGS = frozenset({"cl100k_base", "o200k_base", "p50k_base", "r50k_base"})
_GPT = {
    "gpt-4o": "o200k_base",
    "gpt-4.1": "o200k_base",
    "gpt-4": "cl100k_base",
    "gpt-3.5": "cl100k_base",
    "text-embedding": "cl100k_base",
}
"""The encoding of the models whose names begin so; the longer beginning first."""

_BY_HAND = "kpack add --checkpoint hf://ORGANISATION/MODEL; its page on the Hub says which"


def repository(
    name: str,
    line: Line,
    sitting: Sitting,
    *,
    revision: str = "",
    filename: str = "",
    path: str | None = None,
    include: Sequence[str] = (),
) -> None:
    """Add a repository of the Hub, or one file of it; without ``path`` it lands in the Hub's own cache."""
    plain = name.partition("/")[2] if name.startswith(("datasets/", "spaces/")) else name
    if not _REPOSITORY.fullmatch(plain):
        sitting.harvest.left(line, f"{quoted(name)} is no name on the Hub", _BY_HAND)
        return
    at = f"@{revision.replace('/', '%2F')}" if revision not in ("", "main") else ""
    whole = sitting.harvest.checkpoints.get((f"hf://{name}{at}", None))
    if filename and path is None and whole is not None and not whole.include:
        sitting.harvest.understood(line, "", f"in the repository {name}, which is taken whole")
        return
    url = f"hf://{name}{at}" + (f"/{filename}" if filename else "")
    needs = "needs kaggle-kpack[hf] where it is locked"
    sitting.harvest.fetch(CheckpointEntry(url=url, path=path, include=tuple(include)), line, needs)


def pretrained(name: str, line: Line, sitting: Sitting, *, revision: str = "", filename: str = "") -> None:
    """Add what ``from_pretrained("org/model")`` loads: a name on the Hub, or a folder that is there."""
    if not name or name.startswith(("/", "./", "../", "~")) or sitting.local(name):
        return
    if sitting.harvest.lands(sitting.lands(name)):
        return
    if "/" not in name:
        owner = _MOVED.get(name.partition("-")[0]) or _MOVED.get(name)
        if owner:
            repository(owner + name, line, sitting, revision=revision, filename=filename)
        else:
            sitting.harvest.left(
                line, f"{quoted(name)} is a folder that is not here, or a model by its old name", _BY_HAND
            )
        return
    if name.count("/") > 1:
        sitting.harvest.left(line, f"{quoted(name)} is a path in the kernel that is not here", _BY_HAND)
        return
    repository(name, line, sitting, revision=revision, filename=filename)


def sentence_transformer(name: str, line: Line, sitting: Sitting) -> None:
    """Add what ``SentenceTransformer("all-MiniLM-L6-v2")`` loads: a short name is the project's own."""
    own = "/" not in name and sitting.local(name) is None and name
    pretrained(f"sentence-transformers/{name}" if own else name, line, sitting)


def timm(name: str, line: Line, sitting: Sitting) -> None:
    """Add what ``timm.create_model(name, pretrained=True)`` loads, if its name says which weights."""
    hub = re.fullmatch(r"hf[-_]hub:(.+)", name)
    if hub:
        repository(hub[1].partition("@")[0], line, sitting, revision=hub[1].partition("@")[2])
    elif "." in name:
        repository(f"timm/{name}", line, sitting)
    else:
        sitting.harvest.left(
            line,
            f"timm picks the default weights of {quoted(name)} by its own version",
            f"timm.get_pretrained_cfg({name!r}).hf_hub_id says which: kpack add --checkpoint hf://THAT",
        )


def nltk(name: str, line: Line, sitting: Sitting) -> None:
    """Add one package of NLTK's data, where NLTK looks for it."""
    folder = _NLTK.get(name)
    if folder is None:
        sitting.harvest.left(
            line,
            f"which folder of nltk_data {quoted(name)} lies in is not known here",
            f'a [[checkpoints]] table with the URL of {name}.zip and path = "~/nltk_data/FOLDER/{name}.zip"',
        )
        return
    inner = f"{folder}/{name}.zip"
    url = f"https://raw.githubusercontent.com/nltk/nltk_data/gh-pages/packages/{inner}"
    sitting.harvest.fetch(CheckpointEntry(url=url, path=f"~/nltk_data/{inner}"), line)


def spacy(name: str, line: Line, sitting: Sitting) -> None:
    """Say how a pipeline of spaCy is asked for: a wheel by URL, of the version that fits spaCy's."""
    file = f"{name}-VERSION"
    url = f"https://github.com/explosion/spacy-models/releases/download/{file}/{file}-py3-none-any.whl"
    sitting.harvest.left(
        line,
        f"spaCy downloads {name}, in the version that fits its own (python -m spacy info {name} says the URL)",
        typed("kpack", "add", f"{name} @ {url}"),
        canonicalize_name(name),
    )


def tiktoken(name: str, line: Line, sitting: Sitting) -> None:
    """Add an encoding of tiktoken, in a folder that a variable tells it of."""
    if name not in _ENCODINGS:
        sitting.harvest.left(
            line,
            f"where tiktoken has {quoted(name)} from is not known here",
            "tiktoken.get_encoding of a known name says it",
        )
        return
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    key = hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()  # the name of the file in tiktoken's own cache
    folder = "/kaggle/tmp/tiktoken"
    entry = CheckpointEntry(url=url, path=f"tiktoken/{key}")
    sitting.harvest.fetch(entry, line, f"TIKTOKEN_CACHE_DIR = {folder}", env={"TIKTOKEN_CACHE_DIR": folder})


def tiktoken_model(name: str, line: Line, sitting: Sitting) -> None:
    """Add the encoding of a model."""
    encoding = next((held for start, held in _GPT.items() if name.startswith(start)), "")
    tiktoken(encoding or name, line, sitting)


def torch_file(url: str, line: Line, sitting: Sitting, *, path: str | None = None) -> None:
    """Add a file of weights, by default where torch hub looks for it."""
    name = url.partition("?")[0].rstrip("/").rpartition("/")[2]
    entry = CheckpointEntry(url=url, path=path or f"~/.cache/torch/hub/checkpoints/{name}")
    sitting.harvest.fetch(entry, line)


def torch_hub(repository_: str, model: str, line: Line, sitting: Sitting) -> None:
    """Say how ``torch.hub.load`` works offline: its code is a repository, its weights are a file."""
    plain, _, revision = repository_.partition(":")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", plain):
        return
    ref = revision or "HEAD"  # whatever its branch is called
    sitting.harvest.left(
        line,
        f"torch.hub loads the code of github.com/{plain} and then the weights of {model or 'a model'}",
        f"kpack add --checkpoint https://github.com/{plain}/archive/{ref}.zip, unpack it and load it with "
        "source='local'; and --checkpoint URL --path ~/.cache/torch/hub/checkpoints/FILE for the weights",
    )


def kaggle(kind: str, handle: str, line: Line, sitting: Sitting) -> None:
    """Say how a dataset or model of Kaggle is there offline: as an input, or in the pack."""
    if not handle:
        sitting.harvest.left(
            line, "which dataset or model of Kaggle it loads is not said here", "attach it as an input"
        )
        return
    plain, version = handle, ""
    match = re.fullmatch(r"(.+)/(?:versions/)?([0-9]+)", handle)
    if match:
        plain, version = match[1], f"@{match[2]}"
    sitting.harvest.left(
        line,
        f"{handle} is on Kaggle already, and is there offline as an input",
        "attach it (Add Input); or, in the pack: "
        f"kpack add --checkpoint kaggle://{kind}/{plain}{version} --path FOLDER",
    )
