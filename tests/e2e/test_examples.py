"""The seed example, as of 2021 and as of today, and the others against today's bases.

By default ``tabular`` and today's toxic-comments are locked; ``KPACK_INDEX_TESTS=all`` locks all of them.
"""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.long import long_list

OTHERS = ("llm-adapter", "quickstart", "vision")
EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "toxic-comments"


def kpack(*words: str, cwd: Path) -> Any:
    """Run ``kpack … --json``; only exit code 4, the network, is tried again."""
    for attempt in range(4):
        done = subprocess.run(
            [sys.executable, "-m", "kpack", *words, "--json"], cwd=cwd, capture_output=True, text=True, check=False
        )
        if done.returncode != 4:
            break
        time.sleep(2**attempt)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


@long_list
@pytest.mark.index
def test_article_of_2021_gets_the_versions_of_its_day_with_its_sdists_allowed(tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "article-2021.toml", tmp_path)
    locked = kpack("--config", "article-2021.toml", "lock", cwd=tmp_path)
    target = locked["targets"][0]
    versions = {item["name"]: item["version"] for item in target["packed"]}
    assert (target["base"], target["python"], len(versions)) == (None, "3.8", 65)
    assert versions["lightning-flash"] == "0.5.2"
    assert (versions["docstring-parser"], versions["future"]) == ("0.13", "0.18.2")
    assert {item["name"]: item["version"] for item in target["from_base"]} == {"numpy": "1.19.5", "torch": "1.9.1"}
    assert (tmp_path / "pylock.article-2021.toml").exists()


@pytest.mark.index
@pytest.mark.parametrize("name", ["tabular", *(pytest.param(name, marks=long_list) for name in OTHERS)])
def test_example_locks_against_todays_bases(tmp_path: Path, name: str) -> None:
    shutil.copytree(EXAMPLES.parent / name, tmp_path, dirs_exist_ok=True)
    locked = kpack("lock", cwd=tmp_path)
    assert len(locked["targets"]) >= 2
    assert all(target["packed"] for target in locked["targets"])


@pytest.mark.index
def test_todays_variant_packs_the_weights_and_checks_the_digest_in_their_name(tmp_path: Path) -> None:
    weights = b"not the real weights " * 4096
    digest = hashlib.sha256(weights).hexdigest()
    served = tmp_path / "served"
    served.mkdir()
    served.joinpath(f"toxic_original-{digest[:8]}.ckpt").write_bytes(weights)
    for name in ("config.json", "vocab.txt"):
        served.joinpath(name).write_text("{}")
    handler = partial(_Quiet, directory=str(served))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_address[1]}"
        text = EXAMPLES.joinpath("kaggle-env.toml").read_text(encoding="utf-8")
        text = re.sub(r'url = "https://.*/', rf'url = "{root}/', text).replace("c1212f89.ckpt", f"{digest[:8]}.ckpt")
        tmp_path.joinpath("kaggle-env.toml").write_text(text, encoding="utf-8")
        locked = kpack("lock", cwd=tmp_path)
        built = kpack("build", cwd=tmp_path)
        served.joinpath("toxic_original-c1212f89.ckpt").write_bytes(weights)
        tmp_path.joinpath("wrong.toml").write_text(text.replace(digest[:8], "c1212f89"), encoding="utf-8")
        wrong = subprocess.run(
            [sys.executable, "-m", "kpack", "--config", "wrong.toml", "lock"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        server.shutdown()
    assert [[item["name"] for item in target["packed"]] for target in locked["targets"]] == [["detoxify"]] * 2
    assert digest in [item["sha256"] for item in locked["checkpoints"]]
    assert len(locked["checkpoints"]) == 3
    assert built["size"] > len(weights)
    assert wrong.returncode == 5, wrong.stderr
    assert "c1212f89" in wrong.stderr


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass
