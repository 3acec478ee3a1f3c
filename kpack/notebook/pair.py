"""The two notebooks: what they hold, and in which order it must run."""

from __future__ import annotations

import base64
import textwrap
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kpack import DISTRIBUTION, __version__
from kpack.base.probe import cell as probe_cell
from kpack.notebook.document import Cell, code, dumps, markdown
from kpack.publish.kernel import Kernel
from kpack.publish.names import slug_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LINE_CELL = "kpack-line"
"""The id of the cell that holds the pasted line."""

ANSWER = "kpack-build.json"
"""What the builder leaves beside the pack: the object of ``kpack build --json``."""

_WIDTH = 100
_LARGE = 65536
"""Bytes from which on a file is embedded compressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairPlan:
    """What the pair is made from."""

    owner: str
    name: str
    """The pack's name."""
    files: Mapping[str, str]
    """Text by name, relative to one folder: kaggle-env.toml, the lock, probe files."""
    config: str
    """Which of them is the kaggle-env.toml."""
    relock: bool = False
    """Lock in the builder, against the image that it runs in."""
    expect: str | None = None
    """The id that the pack will have, when it is known."""
    line: str | None = None
    """The line to paste, when it is known."""
    checkpoints: Mapping[str, str] = field(default_factory=dict)
    """Where each checkpoint lands, by its path in kaggle-env.toml."""
    accelerator: str = "cpu"
    image: str | None = None
    kpack: str = f"{DISTRIBUTION}=={__version__}"
    """The requirement by which the builder gets kpack."""
    variables: tuple[str, ...] = ()
    """Environment variables that URLs of kaggle-env.toml name: the builder takes them from the notebook's secrets."""
    datasets: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    competitions: tuple[str, ...] = ()
    """Where checkpoints stay that are not packed."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The builder, and the inference notebook that has its output attached."""

    builder: Kernel
    inference: Kernel


def pair(plan: PairPlan) -> Pair:
    """Return both notebooks; the same plan gives the same bytes."""
    stem = slug_of(plan.name)
    builder = Kernel(
        ref=f"{plan.owner}/{stem}-builder",
        source=dumps(_builder(plan)),
        internet=True,
        accelerator=plan.accelerator,
        image=plan.image,
        code_file="builder.ipynb",
    )
    inference = Kernel(
        ref=f"{plan.owner}/{stem}-inference",
        source=dumps(_inference(plan, builder.ref)),
        internet=False,
        accelerator=plan.accelerator,
        image=plan.image,
        kernels=(builder.ref,),
        datasets=plan.datasets,
        models=plan.models,
        competitions=plan.competitions,
        code_file="inference.ipynb",
    )
    return Pair(builder, inference)


def _builder(plan: PairPlan) -> list[Cell]:
    how = "locks against the very image that it runs in, and builds" if plan.relock else "builds what the lock names"
    return [
        markdown(
            "kpack-about",
            f"""
# {plan.name}: the pack

Made by `kpack notebook`; it is written anew by the next call. With internet on, it {how}.
Its output, `dist/{plan.name}.kpack.bin`, is attached to the inference notebook, which has no internet.
""",
        ),
        code("kpack-probe", probe_cell()),
        *([code("kpack-secrets", _secrets(plan))] if plan.variables else []),
        code("kpack-get", _get(plan)),
        code("kpack-files", _files(plan)),
        code("kpack-build", _build(plan)),
    ]


def _secrets(plan: PairPlan) -> str:
    return f"""
# URLs of kaggle-env.toml name these variables: attach a secret of each name to this notebook (Add-ons, Secrets).
import os
from kaggle_secrets import UserSecretsClient

for name in {list(plan.variables)!r}:
    os.environ[name] = UserSecretsClient().get_secret(name)
"""


def _get(plan: PairPlan) -> str:
    return f'''
# kpack comes into a place of its own: the kernel's packages stay as the image has them.
import os, shutil, subprocess, sys, tempfile

TMP = "/kaggle/tmp" if os.path.isdir("/kaggle/working") else tempfile.mkdtemp()
TOOL = os.path.join(TMP, "kpack-tool")
os.makedirs(TOOL, exist_ok=True)


def run(words, keep=False, **environ):
    """Run a program, show what it says, and end the notebook when it fails; with keep, return its stdout."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as kept:
        process = subprocess.Popen(
            words,
            env={{**ENVIRON, **environ}},
            stdout=kept if keep else subprocess.PIPE,
            stderr=subprocess.PIPE if keep else subprocess.STDOUT,
            universal_newlines=True,
        )
        for row in process.stderr if keep else process.stdout:
            print(row, end="", flush=True)
        kept.seek(0)
        said = kept.read()
    if process.wait():
        print(said)
        sys.exit("failed with exit code {{}}: {{}}".format(process.returncode, " ".join(words)))
    return said


ENVIRON = {{**os.environ, "KPACK_CACHE": os.path.join(TMP, "kpack-cache"), "NO_COLOR": "1"}}
ENVIRON["KPACK_PYTHON"] = sys.executable  # what no-build-isolation names is built with the packages of this kernel
WANTED = {plan.kpack!r}
UV = shutil.which("uv")
if UV:
    ENVIRON.pop("PYTHONPATH", None)
    python = sys.executable if sys.version_info >= (3, 11) else ">=3.11"
    places = {{"UV_TOOL_DIR": os.path.join(TOOL, "tools"), "UV_TOOL_BIN_DIR": os.path.join(TOOL, "bin")}}
    run([UV, "tool", "install", "--quiet", "--python", python, WANTED], **places)
    KPACK = [os.path.join(TOOL, "bin", "kpack")]
else:
    place = os.path.join(TOOL, "lib")
    run([sys.executable, "-m", "pip", "install", "--quiet", "--target", place, WANTED])
    ENVIRON["PYTHONPATH"] = place
    KPACK = [sys.executable, "-m", "kpack"]
run([*KPACK, "--version"])
'''


def _files(plan: PairPlan) -> str:
    """Return a cell that writes the files, each line of a readable one as a literal, so that no byte is lost."""
    rows = ["# The environment, as it stood when this notebook was written."]
    for name, text in plan.files.items():
        data = text.encode()
        if len(data) > _LARGE:
            packed = base64.b64encode(zlib.compress(data, 9)).decode()
            rows += [f"PACKED = (  # {name}, {len(data)} bytes, compressed"]
            rows += [f'    "{row}"' for row in textwrap.wrap(packed, _WIDTH)]
            rows += [")", "import base64, zlib", "", "TEXT = zlib.decompress(base64.b64decode(PACKED)).decode()"]
        else:
            rows += ["TEXT = ("]
            rows += [f"    {row!r}" for row in text.splitlines(keepends=True)] or ["    ''"]
            rows += [")"]
        if "/" in name:
            rows += [f"os.makedirs({name.rpartition('/')[0]!r}, exist_ok=True)"]
        rows += [f"with open({name!r}, 'w', encoding='utf-8', newline='') as stream:", "    stream.write(TEXT)"]
    return "\n".join([*rows, f"print('written:', {', '.join(map(repr, plan.files))})"])


def _build(plan: PairPlan) -> str:
    config = f'"--config", {plan.config!r}'
    lock = f'run([*KPACK, {config}, "lock"])\n' if plan.relock else ""
    expect = f', "--expect", {plan.expect!r}' if plan.expect else ""
    return f"""
import json

{lock}answer = run([*KPACK, {config}, "build", "-o", "dist/{plan.name}.kpack.bin", "--json"{expect}], keep=True)
with open("{ANSWER}", "w", encoding="utf-8") as stream:
    stream.write(answer)
built = json.loads(answer)
print("built: {{pack}}, {{size}} bytes, id {{id}}".format(**built))
print("The line to paste:")
print(built["bootstrap"])
"""


def _inference(plan: PairPlan, builder: str) -> list[Cell]:
    return [
        markdown(
            "kpack-about",
            f"""
# {plan.name}

Internet is off. Attached is the output of the notebook `{builder}`; the first cell restores the environment from it.
`kpack notebook` renews that cell and leaves the others as you write them.
""",
        ),
        code(LINE_CELL, plan.line or unknown_line(plan.name)),
        code("kpack-checkpoints", checkpoints_cell(plan.checkpoints)),
        code("your-code", "# Your code starts here: everything that kaggle-env.toml names can be imported."),
    ]


def unknown_line(name: str) -> str:
    """Return what stands in the line's place until the builder has run."""
    return (
        f"# The builder prints the line for {name} when it has run; `kpack push --notebooks` puts it here.\n"
        "raise SystemExit('paste the line that the builder printed')"
    )


def checkpoints_cell(lands: Mapping[str, str]) -> str:
    """Return a cell that says where each checkpoint is, by its path in kaggle-env.toml."""
    if not lands:
        return "# kaggle-env.toml names no checkpoints."
    rows = ["# Where the checkpoints are now, by their path in kaggle-env.toml.", "import os", "", "CHECKPOINTS = {"]
    rows += [f"    {path!r}: {place!r}," for path, place in lands.items()]
    rows += ["}", "for path in CHECKPOINTS.values():", "    print(path, os.path.getsize(path), 'bytes')"]
    return "\n".join(rows)
