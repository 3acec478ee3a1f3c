"""Stands for podman where there is none: ``run`` makes a root with the mounts that it is told and runs the program.

It takes what `kpack.rehearse.container` says and no other option, so that a new word there is a failure here.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from kpack.rehearse import warden

FLAGS = ("--rm",)
VALUES = ("--name", "--network", "--security-opt", "--mount", "--tmpfs", "--entrypoint")


def main(words: list[str]) -> None:
    calls = Path(os.environ["ENGINE_CALLS"])
    with calls.open("a") as stream:
        stream.write(json.dumps(words) + "\n")
    if words[0] == "run":
        run(words[1:])


def run(words: list[str]) -> None:
    told: dict[str, list[str]] = {}
    while words[0].startswith("--"):
        word = words.pop(0)
        assert word in FLAGS + VALUES, word
        if word in VALUES:
            told.setdefault(word, []).append(words.pop(0))
    image, *arguments = words
    if image != "localhost/kernel":
        sys.exit(f"Error: {image}: image not known")
    assert told["--network"] == ["none"]
    python = told["--entrypoint"][0]
    mounts = [dict(part.partition("=")[::2] for part in text.split(",")) for text in told.get("--mount", [])]
    folders = [mount["source"] for mount in mounts if mount["source"] == mount["target"]]
    scratch = Path(os.environ["ENGINE_CALLS"]).parent / "scratch"
    for name in ("root", "tmp"):
        (scratch / name).mkdir(parents=True, exist_ok=True)
    for name in ("resolv.conf", "nsswitch.conf"):
        (scratch / name).write_text("")
    size = [text.rpartition("size=")[2] for text in told.get("--tmpfs", ["size=1000000"])]
    warden.enter(("network", "files"))
    warden.furnish({
        "root": str(scratch / "root"),
        "tmp": str(scratch / "tmp"),
        "work": str(scratch),
        "seen": [*folders, str(scratch), str(Path(python).parents[1]), sys.prefix, sys.base_prefix],
        "inputs": {
            mount["target"].removeprefix("/kaggle/input/"): mount["source"]
            for mount in mounts
            if mount["target"].startswith("/kaggle/input/")
        },
        "working_bytes": size[0],
    })  # fmt: skip
    child = os.fork()
    if child == 0:
        os.execv(python, [python, *arguments])
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
