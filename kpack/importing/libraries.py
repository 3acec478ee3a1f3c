"""Libraries that download models and data when they are first used: a row for each call that does.

What such a call downloads is for the library to say, and changes with it: the line is left to a person, with the way
to find the file. Whatever names a folder that is there, or no weights, is left alone.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from kpack.environment.errors import quoted
from kpack.errors import typed

if TYPE_CHECKING:
    from kpack.importing.calls import Call


class FirstUse(NamedTuple):
    """What a call downloads when it is first run."""

    library: str
    position: int = 0
    """Of the argument that names it; -1 where it has to be given by its name."""
    names: tuple[str, ...] = ()
    default: str = ""
    """What is downloaded where the call does not say it; empty for nothing."""
    write: str = ""
    """What to write for it, in place of the way that suits any library."""


_ON_KAGGLE = (
    "attach it on Kaggle (Add Input, Models) and load it from its folder; "
    "or, in the pack: kpack add --checkpoint kaggle://models/…"
)
_OPEN_CLIP = FirstUse("open_clip", 1, ("pretrained",))
_BY_NAME = {
    "clip.load": FirstUse("clip"),
    "datasets.load_dataset": FirstUse("datasets", names=("path",)),
    "easyocr.Reader": FirstUse("easyocr", names=("lang_list",)),
    "efficientnet_pytorch.EfficientNet.from_pretrained": FirstUse("efficientnet_pytorch", names=("model_name",)),
    "evaluate.load": FirstUse("evaluate", names=("path",)),
    "facenet_pytorch.InceptionResnetV1": FirstUse("facenet_pytorch", names=("pretrained",)),
    "fasttext.util.download_model": FirstUse("fasttext", names=("lang_id",)),
    "gensim.downloader.load": FirstUse("gensim", names=("name",)),
    "insightface.app.FaceAnalysis": FirstUse("insightface", names=("name",), default="buffalo_l"),
    "open_clip.create_model": _OPEN_CLIP,
    "open_clip.create_model_and_transforms": _OPEN_CLIP,
    "open_clip.create_model_from_pretrained": _OPEN_CLIP,
    "paddleocr.PaddleOCR": FirstUse("paddleocr", -1, ("lang",), default="en"),
    "rembg.new_session": FirstUse("rembg", names=("model_name",), default="u2net"),
    "stanza.download": FirstUse("stanza", names=("lang",)),
    "stanza.Pipeline": FirstUse("stanza", names=("lang",), default="en"),
    "tensorflow_datasets.load": FirstUse("tensorflow_datasets", names=("name",)),
    "tensorflow_hub.KerasLayer": FirstUse("tensorflow_hub", names=("handle",), write=_ON_KAGGLE),
    "tensorflow_hub.load": FirstUse("tensorflow_hub", names=("handle",), write=_ON_KAGGLE),
    "ultralytics.YOLO": FirstUse("ultralytics", names=("model",)),
    "whisper.load_model": FirstUse("whisper", names=("name",)),
}
_PATTERNS = (
    (
        re.compile(r"(?:tensorflow\.)?keras\.applications\.(?:\w+\.)*[A-Z]\w*"),
        FirstUse("keras", -1, ("weights",), "imagenet"),
    ),
    (
        re.compile(r"segmentation_models_pytorch\.[A-Z]\w*"),
        FirstUse("segmentation_models_pytorch", 2, ("encoder_weights",), "imagenet"),
    ),
    (re.compile(r"keras_(?:nlp|cv|hub)\.[\w.]+\.from_preset"), FirstUse("keras", names=("preset",), write=_ON_KAGGLE)),
)


def read(call: Call) -> bool:
    """Tell whether a call is one of these, and say of it what it downloads."""
    row = _BY_NAME.get(call.name) or next((row for pattern, row in _PATTERNS if pattern.fullmatch(call.name)), None)
    if row is None:
        return False
    node = call.node_of(row.position, *row.names)
    if node is None:
        wanted = row.default
    elif isinstance(node, ast.Constant) and not node.value:
        wanted = ""  # weights=None
    else:
        wanted = " ".join(call.constants.texts(node) or ())
    if wanted and not _is_there(wanted, call):
        thing = call.name.rpartition(".")[2]
        what = f"{row.library} downloads {quoted(wanted)}" + (f" for {thing}" if thing[:1].isupper() else "")
        write = row.write or (
            f"kpack record {typed(call.line.place.file)} runs it once and writes down what it downloads; "
            "or kpack add --checkpoint URL --path PATH, and load it from that path"
        )
        call.sitting.harvest.left(call.line, f"{what} when it is first used", write)
    return True


def _is_there(name: str, call: Call) -> bool:
    """Tell whether a text is a path in the kernel, or the place of what was downloaded above."""
    sitting = call.sitting
    return (
        name.startswith(("/", "./", "../", "~"))
        or sitting.local(name) is not None
        or sitting.harvest.lands(sitting.lands(name))
    )
