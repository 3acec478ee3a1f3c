from __future__ import annotations

from pathlib import Path

import pytest

from kpack.environment import meaning_digest, parse
from tests.environment.corpus import CHECKPOINT, HEAD, INDEX

FILE = Path("kaggle-env.toml")
FULL = (
    HEAD
    + 'packages = ["numpy >= 1", "b[x,y] @ https://me:one@host/b.zip"]\n'
    + 'exclude = ["torch==2", "jax"]\nmax-size = "1 GB"\n'
    + CHECKPOINT
    + INDEX.replace("host", "me:one@host")
    + '[restore.env]\nA = "1"\nB = "2"\n'
)


def digest(text: str, path: Path = FILE) -> str:
    return meaning_digest(parse(text, path))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max-size", "# a word\nmax-size"),
        ('"numpy >= 1"', '"NumPy>=1"'),
        ("b[x,y]", "B[Y, x]"),
        ('"torch==2", "jax"', '"JAX", "torch == 2"'),
        ('"1 GB"', '"2 GB"'),
        ('A = "1"\nB = "2"', 'B = "2"\nA = "1"'),
        ("me:one@", "you:two@"),
        ('"x.ckpt"', '"./x.ckpt"'),
        ("[restore.env]", '[publish]\ndataset = "me/it"\n[restore.env]'),
    ],
)
def test_what_a_lock_does_not_depend_on_leaves_the_meaning_alone(old: str, new: str) -> None:
    assert old in FULL
    assert digest(FULL.replace(old, new)) == digest(FULL)


def test_the_place_of_the_file_is_no_part_of_the_meaning() -> None:
    assert digest(FULL, Path("/elsewhere/other.toml")) == digest(FULL)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "demo"', 'name = "other"'),
        ("kaggle-gpu-py312-2026-08", "kaggle-cpu-py312-2026-08"),
        ("numpy >= 1", "numpy >= 2"),
        ("numpy >= 1", "numpy >= 1 ; python_version > '3'"),
        ("b[x,y]", "b[x]"),
        ("host/b.zip", "host/c.zip"),
        ('"jax"', '"jaxlib"'),
        ("torch==2", "torch==2.1"),
        ("x.ckpt", "y.ckpt"),
        ("c1212f89", "c1212f88"),
        ("corp-*", "corp-?"),
        ("host/simple", "host/other"),
        ('A = "1"', 'A = "2"'),
        ("[restore.env]", '[restore]\ndirectory = "/tmp/x"\n[restore.env]'),
        ("max-size", "exclude-newer = 2026-11-01\nmax-size"),
        ("max-size", 'replace = ["z"]\nmax-size'),
        ("max-size", 'allow-source = ["z"]\nmax-size'),
        ("max-size", 'allow-broken = ["z"]\nmax-size'),
        ("max-size", 'allow-preloaded = ["z"]\nmax-size'),
        ("max-size", 'lax-record = ["z"]\nmax-size'),
        ("max-size", 'lax-archive = ["z"]\nmax-size'),
        ("max-size", 'allow-native = ["z"]\nmax-size'),
        ("max-size", 'accelerator = "T4"\nmax-size'),
        ("max-size", 'apt = ["zz"]\nmax-size'),
        ("[restore.env]", '[[apt-sources]]\nurl = "https://h/d"\nsuites = ["x"]\n[restore.env]'),
        ("[restore.env]", '[restore]\napt = "dpkg"\n[restore.env]'),
        ("max-size", 'no-deps = ["z"]\nmax-size'),
        ("[restore.env]", '[substitute]\nx = "y"\n[restore.env]'),
    ],
)
def test_everything_else_changes_the_meaning(old: str, new: str) -> None:
    assert old in FULL
    assert digest(FULL.replace(old, new)) != digest(FULL)
