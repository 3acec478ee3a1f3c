"""The main job, on real packages: lock, build, restore offline by the pasted line, import.

``make demo`` runs it in ``.venv``. Everything it makes lies in ``build/demo``.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
WORK = HERE.parent / "build" / "demo"
RETRIES = 4
"""Tries of a step that needs the network."""

NO_NETWORK = """
import socket, sys
def _refuse(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        raise OSError(101, "the demo runs without network")
sys.addaudithook(_refuse)
"""
"""What stands in for a cut network where a network namespace cannot be had."""

IN_THE_KERNEL = """
import json, os, sys, time
{cut}
begun = time.perf_counter()
{line}
seconds = time.perf_counter() - begun
import ahocorasick, jiwer, numpy, rank_bm25
bm25 = rank_bm25.BM25Okapi([["toxic", "comment"], ["kind", "word"], ["offline", "kernel"]])
print(json.dumps({{
    "seconds": seconds,
    "python": sys.version.split()[0],
    "error rate": jiwer.wer("a kernel without internet", "a kernel without the internet"),
    "best match": int(bm25.get_scores(["offline", "kernel"]).argmax()),
    "from": os.path.dirname(rank_bm25.__file__),
    "checkpoint": os.path.abspath(os.path.join("checkpoints", "stopwords.txt")),
    "words": len(open(os.path.join("checkpoints", "stopwords.txt")).readlines()),
    "environment": os.environ["TOKENIZERS_PARALLELISM"],
}}))
"""


def run(*command: str | Path, network: bool = False) -> str:
    """Run a command, show what it says on stderr when it fails, and return its stdout."""
    for attempt in range(1, RETRIES + 1):
        done = subprocess.run([str(part) for part in command], cwd=WORK, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout
        if not (network and done.returncode == 4 and attempt < RETRIES):
            break
        time.sleep(2**attempt)
    sys.stderr.write(done.stdout + done.stderr)
    sys.exit(f"demo: {' '.join(str(part) for part in command[:4])} … ended with {done.returncode}")


def kpack(*words: str | Path) -> str:
    """Run ``kpack`` as a user would, showing the words."""
    print(f"$ kpack {' '.join(str(word) for word in words)}", flush=True)
    return run(sys.executable, "-m", "kpack", *words, network=True)


def unfit() -> str:
    """Return why this machine cannot restore the pack, which is for Kaggle's kernel; empty when it can."""
    here = f"{platform.system()} {platform.machine()}"
    fits = sys.platform == "linux" and platform.machine() == "x86_64"
    return "" if fits else f"not here: this is {here}, and the pack is for Linux x86_64 (kpack rehearse --kaggle)"


def kernel() -> Path:
    """Return the interpreter of a fresh environment that stands for the Kaggle kernel."""
    run(sys.executable, "-m", "venv", WORK / "kernel")
    return WORK / "kernel" / "bin" / "python"


def without_network() -> tuple[list[str], str]:
    """Return (words before the command, code at its start) that take the network away."""
    for words in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        if (
            shutil.which("unshare")
            and subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
        ):
            return words, ""
    return [], NO_NETWORK


def restore(line: str, python: Path) -> tuple[str, dict[str, object]]:
    """Paste ``line`` into a new process of ``python`` without network; return its summary and what it then saw."""
    dataset = WORK / "input" / "datasets" / "me" / "quickstart-env"
    dataset.mkdir(parents=True)
    shutil.copy(WORK / "dist" / "quickstart.kpack.bin", dataset)
    words, cut = without_network()
    working = WORK / "working"
    working.mkdir()
    clean = {key: value for key, value in os.environ.items() if "proxy" not in key.lower() and key != "PYTHONPATH"}
    done = subprocess.run(
        [*words, str(python), "-c", IN_THE_KERNEL.format(line=line, cut=cut)],
        cwd=working,
        env={**clean, "KPACK_INPUT": str(WORK / "input")},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"demo: the line ended with {done.returncode}\n{done.stdout}{done.stderr}")
    printed = done.stdout.strip().splitlines()
    return "\n".join([*printed[:-1], *done.stderr.strip().splitlines()]), json.loads(printed[-1])


def restored(line: str, leans: list[str]) -> tuple[str, dict[str, object]]:
    """Make an environment that stands for the image, and restore into it as `restore` does."""
    install = f" && pip install {' '.join(leans)}" if leans else ""
    print(f"$ python -m venv kernel{install}     # stands for the image", flush=True)
    python = kernel()
    if leans:
        run(python, "-m", "pip", "install", "--quiet", "--retries", "10", "--no-deps", *leans)
    print("$ python                                                     # no network from here on", flush=True)
    return restore(line, python)


def main() -> None:
    """Run all steps and end with one screen; where the pack does not fit, it is verified and not restored."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    mine = f"{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.rmtree(WORK, ignore_errors=True)
    shutil.copytree(HERE / "quickstart", WORK)
    locked = json.loads(kpack("lock", "--json"))
    if mine not in {item["python"] for item in locked["targets"]}:
        print(f"no image of Kaggle has Python {mine} yet: without one, for the bare interpreter", flush=True)
        config = WORK / "kaggle-env.toml"
        text = re.sub(r"(?m)^base = .*$", f'python = "{mine}"', config.read_text(encoding="utf-8"))
        config.write_text(text, encoding="utf-8")
        locked = json.loads(kpack("lock", "--json"))
    built = json.loads(kpack("build", "--json"))
    line = kpack("bootstrap", built["pack"]).strip()
    target = next(item for item in locked["targets"] if item["python"] == mine)
    leans = [f"{item['name']}=={item['version']}" for item in target["from_base"]]
    if why := unfit():
        shown = kpack("verify", built["pack"]).strip()
        seen: dict[str, object] | None = None
    else:
        shown, seen = restored(line, leans)
    packed = ", ".join(f"{item['name']} {item['version']}" for item in target["packed"])
    bases = ", ".join(item["base"] or f"Python {item['python']}" for item in locked["targets"])
    print(
        textwrap.dedent(f"""
        ────────────────────────────────────────────────────────────────────────────────
        locked for   {bases}
        packed       {packed}
        from image   {", ".join(leans) or "nothing"}
        pack         {Path(built["pack"]).relative_to(WORK)}  {built["size"]:,} bytes
        id           {built["id"]}
        line         {line[:60]}… ({len(line)} characters)

        >>> {"kpack verify" if why else "the line"}
        """).rstrip()
    )
    print(textwrap.indent(shown, "        "))
    if seen is None:
        print(f"\nrestored     {why}\n" + "─" * 80)
        return
    print(
        textwrap.dedent(f"""
        restored     in {seen["seconds"]:.2f} s into Python {seen["python"]}, without network
        imported     rank_bm25 from {seen["from"]}
        it works     word error rate {seen["error rate"]:.2f}; best match is document {seen["best match"]}
        checkpoint   {seen["checkpoint"]} ({seen["words"]} lines, verified)
        ────────────────────────────────────────────────────────────────────────────────
        """).rstrip()
    )


if __name__ == "__main__":
    main()
