"""Real wheels and the packs made of them."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import sysconfig
import zipfile
from typing import TYPE_CHECKING

from packaging.utils import parse_wheel_filename

from kpack.pack.content import BlobFile, Content, WheelFile
from kpack.pack.writer import write
from kpack.restore.manifest import PackedCheckpoint, PackedDistribution, PackTarget

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"

SEVENTY_FIVE = (  # noqa: SIM905 - a line for each would be 75 lines
    "accelerate aiohttp albumentations altair attrs catboost certifi charset-normalizer click contourpy cycler "
    "datasets dill fastapi filelock fonttools frozenlist fsspec greenlet grpcio httpx huggingface-hub idna imageio "
    "ipython jinja2 joblib kiwisolver lightgbm lxml markupsafe matplotlib mpmath multidict narwhals nbconvert "
    "networkx nltk notebook numpy onnxruntime opencv-python-headless optuna packaging pandas peft pillow polars "
    "polars-runtime-32 protobuf psutil pydantic pydantic-core pyparsing python-dateutil pytz pyyaml regex requests "
    "rich safetensors scikit-image scikit-learn scipy seaborn sentencepiece sqlalchemy sympy threadpoolctl timm "
    "tokenizers tqdm transformers tzdata urllib3"
).split()
"""75 projects: compiled and pure, one large file and thousands of small ones."""

MORE = (  # noqa: SIM905 - likewise
    "annotated-types sortedcontainers anyio babel "
    "beautifulsoup4 black bokeh boto3 botocore cachetools cryptography dask django faiss-cpu flask "
    "gensim google-api-core google-auth googleapis-common-protos h11 httpcore hypothesis importlib-metadata "
    "itsdangerous jedi jsonschema jupyterlab keyring lazy-loader llvmlite msgpack multiprocess mypy nbformat "
    "nest-asyncio numba oauthlib pip plotly pluggy pyarrow pyasn1 pytest pyzmq rank-bm25 rdkit ruff sacremoses "
    "sentence-transformers setuptools shap six sniffio soupsieve spacy statsmodels tabulate tensorboard termcolor "
    "tifffile toolz tornado traitlets typer uvicorn websockets werkzeug wheel wrapt xgboost xxhash yarl yfinance "
    "zipp zstandard"
).split()
"""75 more: namespaces, scripts, data schemes, old generators."""


def fetch(projects: Sequence[str], folder: Path) -> list[Path]:
    """Return one wheel of each project for the running interpreter, downloaded once with pip."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {parse_wheel_filename(path.name)[0]: path for path in sorted(folder.glob("*.whl"))}
    missing = [name for name in projects if name not in there]
    if missing:
        subprocess.run(
            [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--quiet",
                "--no-deps",
                "--only-binary",
                ":all:",
                "--dest",
                str(folder),
                *missing,
            ],
            check=True,
        )
        there = {parse_wheel_filename(path.name)[0]: path for path in sorted(folder.glob("*.whl"))}
    return [there[name] for name in projects]  # type: ignore[index]


def sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def pack(
    out: Path, wheels: Sequence[Path], *, accelerator: Path | None = None, checkpoints: Sequence[Path] = ()
) -> Path:
    """Write a pack for the running interpreter and return its path."""
    blobs = [BlobFile(sha256=sha256(path), size=path.stat().st_size, path=path) for path in checkpoints]
    target = PackTarget(
        f"python-{SERIES}",
        None,
        SERIES,
        sysconfig.get_platform().partition("-")[2],
        (2, 17),
        tuple(
            PackedDistribution(name, str(version), f"wheels/{path.name}")
            for path in wheels
            for name, version, _, _ in [parse_wheel_filename(path.name)]
        ),
        accelerator=f"wheels/{accelerator.name}" if accelerator else None,
    )
    content = Content(
        name=out.name.partition(".")[0],
        lock_name="pylock.kaggle-env.toml",
        lock_text="",
        requirements="",
        targets=(target,),
        wheels=tuple(
            WheelFile(filename=path.name, sha256=sha256(path), path=path)
            for path in [*wheels, *([accelerator] if accelerator else [])]
        ),
        blobs=tuple(blobs),
        checkpoints=tuple(
            PackedCheckpoint(f"checkpoints/{path.name}", blob.sha256, blob.size)
            for path, blob in zip(checkpoints, blobs, strict=True)
        ),
    )
    return write(content, out).path


def command(pack_file: Path, target: Path) -> list[str]:
    """Return the command that restores a pack to a folder, as the pasted line would."""
    code = (
        "import sys; data = open(sys.argv[1], 'rb').read(1 << 20); code = data[512:512 + int(data[124:135], 8)]; "
        "exec(compile(code, 'bootstrap.py', 'exec'), "
        "{'PACK': sys.argv[1], '__name__': 'kpack_bootstrap', 'OPTIONS': {'target': sys.argv[2], 'json': True}})"
    )
    return [sys.executable, "-c", code, str(pack_file), str(target)]


def sizes(wheels: Sequence[Path]) -> tuple[int, int, int]:
    """Return (files, compressed bytes, unpacked bytes)."""
    files = unpacked = 0
    for path in wheels:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        files += len(entries)
        unpacked += sum(entry.file_size for entry in entries)
    return files, sum(os.path.getsize(path) for path in wheels), unpacked
