"""Five environments of different trades: locked for a real image, packed, restored offline, imported.

By default two run; ``KPACK_INDEX_TESTS=all`` runs all of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from kpack import base
from tests.support.long import listed

BASES = {
    "3.11": "kaggle-py311-2025-09",
    "3.12": "kaggle-cpu-py312-2026-08",
    "3.13": "kaggle-cpu-py313-2026-10-estimate",
}


@dataclass(frozen=True)
class Trade:
    """What somebody needs, and code that shows that it works."""

    packages: tuple[str, ...]
    proof: str
    says: str


TRADES = {
    "nlp": Trade(
        ("rank-bm25", "jiwer", "sacrebleu", "pyahocorasick"),
        "import rank_bm25, jiwer, ahocorasick, sacrebleu\n"
        "print(sacrebleu.corpus_bleu(['the cat sat on the mat'], [['the cat sat on the mat']]).score > 99)",
        "True",
    ),
    "tabular": Trade(
        ("kneed", "linearmodels", "pandera"),
        "import kneed, pandera, linearmodels\n"
        "rising = [1, 5, 8, 10, 11, 11.5, 11.8, 12, 12.1, 12.2]\n"
        "print(kneed.KneeLocator(range(1, 11), rising, direction='increasing').knee)",
        "4",
    ),
    "chemistry": Trade(
        ("rdkit", "biopython"),
        "from rdkit import Chem\nfrom Bio.Seq import Seq\n"
        "print(Chem.MolFromSmiles('c1ccccc1O').GetNumAtoms(), Seq('ATG').translate())",
        "7 M",
    ),
    "medical imaging": Trade(
        ("python-gdcm", "highdicom", "pynrrd"),
        "import gdcm, nrrd, highdicom\nprint(hasattr(gdcm, 'ImageReader') and hasattr(nrrd, 'read'))",
        "True",
    ),
    "vision": Trade(
        ("imagehash", "faiss-cpu"),
        "import imagehash, faiss, numpy as np\nfrom PIL import Image\n"
        "index = faiss.IndexFlatL2(2); index.add(np.eye(2, dtype='float32'))\n"
        "print(imagehash.average_hash(Image.new('L', (16, 16))) is not None, index.ntotal)",
        "True 2",
    ),
}

DEFAULT = ("nlp", "vision")


def retried(*words: str | Path, cwd: Path) -> str:
    """Run a command that needs the network; only exit code 4 of kpack, or a failing installer, is tried again."""
    for attempt in range(4):
        done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        if "kpack" in map(str, words) and done.returncode != 4:
            break
        time.sleep(2**attempt)
    pytest.fail(f"{words}: exit {done.returncode}\n{done.stdout}{done.stderr}")


@pytest.mark.index
@pytest.mark.parametrize(
    "trade",
    listed(TRADES, DEFAULT.__contains__),
)
def test_restored_environment_works_over_the_versions_of_the_image(trade: str, tmp_path: Path) -> None:
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    wanted = TRADES[trade]
    packages = ", ".join(f'"{item}"' for item in wanted.packages)
    tmp_path.joinpath("kaggle-env.toml").write_text(
        f'name = "real"\nbase = "{BASES[series]}"\npackages = [{packages}]\n', encoding="utf-8"
    )
    kpack = (sys.executable, "-m", "kpack")
    locked = json.loads(retried(*kpack, "lock", "--json", cwd=tmp_path))
    built = json.loads(retried(*kpack, "build", "--json", cwd=tmp_path))
    target = locked["targets"][0]
    assert target["packed"]

    # An environment with what the pack leans on, at the image's versions, and what that needs, at the image's versions.
    image = base.load(BASES[series], tmp_path)
    uv = (sys.executable, "-m", "uv")
    leans = [f"{item['name']}=={item['version']}" for item in target["from_base"]]
    constraints = [f"{d.name}=={d.version.public}" for d in image.distributions.values()]
    tmp_path.joinpath("constraints.txt").write_text("\n".join(constraints), encoding="utf-8")
    retried(*uv, "venv", "--quiet", "--python", sys.executable, "kernel", cwd=tmp_path)
    if leans:
        retried(
            *uv, "pip", "install", "--quiet", "--python", "kernel", "-c", "constraints.txt", *leans, cwd=tmp_path
        )  # fmt: skip
    place = tmp_path / "input" / "datasets" / "me" / "real"
    place.mkdir(parents=True)
    Path(built["pack"]).rename(place / "real.kpack.bin")
    done = subprocess.run(
        [tmp_path / "kernel" / "bin" / "python", "-c", f"{built['bootstrap']}\n{wanted.proof}"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "KPACK_INPUT": str(tmp_path / "input"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == wanted.says
