"""What a digest or a lock is made of stays: whoever changes it makes every lock out there stale, or another file.

``golden.json`` holds, for each file of the corpus, the digest of its meaning and the SHA-256 of a lock of it;
``golden.toml`` is the lock of a file that uses every key, to be read when a digest differs. Where a change is meant:
``python -m tests.lock.test_golden`` writes both anew.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.checkpoints import LockedCheckpoint
from kpack.environment import Environment, meaning_digest, parse
from kpack.lock import dumps, from_resolution
from kpack.resolve.model import HeldBack, Source
from tests.environment.corpus import CHECKPOINT, DIGEST, HEAD, INDEX, VALID
from tests.support.kernels import base, pin, resolution, target, use, wheel

DIGESTS = Path(__file__).with_name("golden.json")
LOCK = Path(__file__).with_name("golden.toml")
EVERYTHING = (
    HEAD
    + VALID["requirements"].removeprefix(HEAD)
    + 'exclude = ["torch-xla", "nvidia-*", "torch==2.10.0+cu128", "Jax.Lib"]\n'
    + VALID["names"].removeprefix(HEAD)
    + "exclude-newer = 2026-11-01\nmax-size = 1000000\n"
    + CHECKPOINT
    + 'attached = "/kaggle/input/datasets/me/weights/x.ckpt"\n'
    + '[[checkpoints]]\nurls = ["https://a/x", "http://b/x"]\npath = "~/x"\n'
    + '[[checkpoints]]\nurl = "hf://org/repo@main"\ninclude = ["*.json", "*.bin"]\n'
    + INDEX
    + INDEX.replace("corp", "team").replace("https://", "https://me:${TOKEN}@")
    + '[restore]\ndirectory = "/kaggle/tmp"\nenv = { HF_HUB_OFFLINE = "1", EMPTY = "" }\n'
    + '[publish]\ndataset = "me_2/toxic-comments-env"\n'
)
FILES = {**VALID, "everything": EVERYTHING}


def read(name: str) -> Environment:
    return parse(FILES[name], Path("kaggle-env.toml"))


def lock_of(name: str) -> str:
    """Return a lock of the file, with one of everything that a resolution can find."""
    environment = read(name)
    source = Source(
        kind="sdist",
        url="http://127.0.0.1/files/built-1.0.tar.gz",
        sha256=DIGEST,
        build_requires=(wheel("setuptools-80.0-py3-none-any.whl"),),
    )
    packed = [
        pin("lightning-flash", "0.8.2", extras=("text",)),
        pin("tokenizers", "0.22", by="lightning-flash", replaces=Version("0.21")),
        pin("built", "1.0", wheel=wheel("built-1.0-py3-none-any.whl", url=None, index=None), source=source),
        pin("binary", "2+cu128", tag="cp312-cp312-manylinux_2_17_x86_64"),
    ]
    image = base({"torch": "2.10.0+cu128"}, name="kaggle-gpu-py312-2026-08", preloaded={"numpy": ["numpy"]})
    answer = resolution(
        (target(image if environment.bases else None), packed),
        from_base=(use("torch", "2.10.0+cu128", ("lightning-flash", "torch>=2")),),
        held_back=(
            HeldBack(
                name=canonicalize_name("rank-bm25"),
                version=Version("0.2"),
                newest=Version("0.3"),
                because="only an sdist",
            ),
        ),
        dropped=(canonicalize_name("torch-xla"),),
        notes=("a note",),
        accelerator=wheel(
            "isal-1.7-cp312-cp312-manylinux_2_17_x86_64.whl", upload_time=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
        ),
    )
    checkpoints = [
        LockedCheckpoint(path=one.path or "p", urls=one.urls, sha256=DIGEST, size=7, attached=one.attached)
        for one in environment.checkpoints
    ]
    return dumps(from_resolution(environment, answer, meaning=meaning_digest(environment), checkpoints=checkpoints))


def found(name: str) -> dict[str, str]:
    return {"meaning": meaning_digest(read(name)), "lock": hashlib.sha256(lock_of(name).encode()).hexdigest()}


@pytest.mark.parametrize("name", FILES)
def test_meaning_and_lock_of_a_file_stay_as_they_were(name: str) -> None:
    assert json.loads(DIGESTS.read_text(encoding="utf-8"))[name] == found(name)


def test_the_lock_of_every_key_stays_as_it_was() -> None:
    assert LOCK.read_text(encoding="utf-8") == lock_of("everything")


if __name__ == "__main__":
    DIGESTS.write_text(json.dumps({name: found(name) for name in FILES}, indent=2) + "\n", encoding="utf-8")
    LOCK.write_text(lock_of("everything"), encoding="utf-8")
