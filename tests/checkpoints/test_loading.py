"""The Python that is shown for a checkpoint."""

from __future__ import annotations

import ast

import pytest

from kpack.checkpoints.loading import loading

COMMIT = "a" * 40


@pytest.mark.parametrize(
    ("place", "last"),
    [
        ("/kaggle/tmp/m.ckpt", "torch.load('/kaggle/tmp/m.ckpt', map_location='cpu')"),
        ("/kaggle/tmp/M.PTH", "torch.load('/kaggle/tmp/M.PTH', map_location='cpu')"),
        ("/kaggle/tmp/pytorch_model.bin", "torch.load('/kaggle/tmp/pytorch_model.bin', map_location='cpu')"),
        ("/kaggle/tmp/m.safetensors", "load_file('/kaggle/tmp/m.safetensors')"),
        ("/kaggle/tmp/m.onnx", "onnxruntime.InferenceSession('/kaggle/tmp/m.onnx')"),
        ("/kaggle/tmp/m.joblib", "joblib.load('/kaggle/tmp/m.joblib')"),
        ("/kaggle/tmp/m.npz", "numpy.load('/kaggle/tmp/m.npz')"),
        ("~/nltk_data/corpora/words.zip", "nltk.data.find('corpora/words')"),
        ("~/x/it's", "open(os.path.expanduser(\"~/x/it's\"), 'rb').read()"),
    ],
)
def test_a_file_is_loaded_by_what_its_name_says(place: str, last: str) -> None:
    (found,) = loading({"x": place})
    assert found.path == place
    assert found.code[-1] == last
    ast.parse("\n".join(found.code))


@pytest.mark.parametrize(
    ("folder", "file", "last"),
    [
        ("models--org--m", "modules.json", "SentenceTransformer('org/m')"),
        ("models--org--m", "config.json", "AutoModel.from_pretrained('org/m')"),
        ("models--org--m", "model_index.json", "DiffusionPipeline.from_pretrained('org/m')"),
        ("models--timm--m", "config.json", "timm.create_model('hf_hub:timm/m', pretrained=True)"),
        ("models--org--m", "w.bin", "hf_hub_download('org/m', 'w.bin')"),
        ("datasets--org--m", "a.csv", "load_dataset('org/m')"),
        ("spaces--org--m", "a.py", "hf_hub_download('org/m', 'a.py', repo_type='space')"),
    ],
)
def test_a_repository_is_loaded_by_its_name(folder: str, file: str, last: str) -> None:
    inner = f"huggingface/hub/{folder}"
    paths = [f"{inner}/snapshots/{COMMIT}/{file}", f"{inner}/snapshots/{COMMIT}/z", f"{inner}/refs/main"]
    (found,) = loading({path: f"/kaggle/tmp/{path}" for path in paths})
    assert found.code[-1] == last
    ast.parse("\n".join(found.code))
