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
    work = Path(*folders) if folders else scratch  # the one that may be written
    for name in ("resolv.conf", "nsswitch.conf"):
        (work / name).write_text("")
    size = [text.rpartition("size=")[2] for text in told.get("--tmpfs", ["size=1000000"])]
    own = [Path(python).parents[1], Path(os.path.realpath(python)).parents[1]]  # what belongs to the image
    warden.enter(("network", "files"))
    warden.furnish({
        "root": str(scratch / "root"),
        "tmp": str(scratch / "tmp"),
        "work": str(work),
        "seen": [*folders, str(scratch), *map(str, own), sys.prefix, sys.base_prefix],
        "inputs": {
            mount["target"].removeprefix("/kaggle/input/"): mount["source"]
            for mount in mounts
            if mount["target"].startswith("/kaggle/input/")
        },
        "working_bytes": size[0],
    })  # fmt: skip
    if not os.environ.get("ENGINE_READONLY"):  # a container may write its own layer
        warden.mount("none", str(own[0]), None, warden.MS_BIND | warden.MS_REMOUNT)
    child = os.fork()
    if child == 0:
        os.execv(python, [python, *arguments])
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
