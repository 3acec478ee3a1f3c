"""The proof on Kaggle itself: a private notebook without internet runs the line and imports what was packed."""

from __future__ import annotations

import base64
import json
import tempfile
import textwrap
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kpack.errors import IntegrityError, UsageError
from kpack.files import parsed
from kpack.notebook.document import code, dumps, markdown
from kpack.publish import kernel as kernels
from kpack.publish.names import slug_of
from kpack.rehearse import network, programs
from kpack.rehearse.model import Imported, Rehearsal, Step, Walls
from kpack.rehearse.modules import Module, modules_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kpack.pack import ReadPack
    from kpack.publish.client import Kaggle
    from kpack.publish.kernel import FinishedRun

REPORT = "kpack-rehearsal.json"
"""What the notebook leaves."""

_LIMIT = 50_000_000
_FOLDER = "/kaggle/tmp/kpack-rehearsal"
_KERNEL = Path(__file__).with_name("kernel")
_WIDTH = 100

_ABOUT = """
# Rehearsal of {name}

Made by `kpack rehearse --kaggle`. Internet is off. A process of its own runs the line of pack `{id}` and imports what
was packed; what happened is written to `kpack-rehearsal.json`.
"""

_RUN = """
import json, os, platform, resource, shutil, subprocess, sys

SERIES = "{{}}.{{}}".format(*sys.version_info[:2])
MODULES = {modules}
LINE = {line}
FOLDER = {folder!r}
os.makedirs(FOLDER, exist_ok=True)
place = lambda name: os.path.join(FOLDER, name)
for name, text in TOOLS.items():
    with open(place(name), "w", encoding="utf-8") as stream:
        stream.write(text)
for name, content in [
    ("absent.json", {{}}),
    ("spec.json", {{"line": LINE, "modules": MODULES.get(SERIES, []), "out": place("log")}}),
]:
    with open(place(name), "w", encoding="utf-8") as stream:
        json.dump(content, stream)
START = (
    "import runpy, sys\\n"
    "watch, driver, log, absent, spec = sys.argv[1:]\\n"
    "code = compile(open(watch, encoding='utf-8').read(), watch, 'exec')\\n"
    "exec(code, {{'LOG': log, 'ABSENT': absent, 'REFUSE': False, '__name__': 'kpack_rehearsal_watch'}})\\n"
    "sys.argv = [driver, spec]\\n"
    "runpy.run_path(driver, run_name='__main__')\\n"
)
PLACES = (FOLDER, "/kaggle/working", sys.prefix)
used = lambda: sum({{os.stat(p).st_dev: shutil.disk_usage(p).used for p in PLACES}}.values())
before = used()
with open(place("out"), "w") as out, open(place("err"), "w") as err:
    files = [place(name) for name in ("watch.py", "driver.py", "log", "absent.json", "spec.json")]
    exit_code = subprocess.call([sys.executable, "-c", START, *files], stdout=out, stderr=err)
read = lambda name: open(place(name), encoding="utf-8", errors="replace").read() if os.path.exists(place(name)) else ""
report = {{
    "code": exit_code,
    "python": platform.python_version(),
    "series": SERIES,
    "image": os.environ.get("KAGGLE_DOCKER_IMAGE", ""),
    "log": read("log"),
    "out": read("out")[:20000],
    "err": read("err")[-20000:],
    "memory": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    "disk": max(0, used() - before),
}}
with open({report!r}, "w", encoding="utf-8") as stream:
    json.dump(report, stream)
print(report["out"], report["err"][-3000:], "exit code", exit_code)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How to rehearse on Kaggle."""

    datasets: tuple[str, ...] = ()
    """What holds the pack, and checkpoints that are not packed."""
    notebooks: tuple[str, ...] = ()
    """The builder, when its output holds the pack."""
    models: tuple[str, ...] = ()
    competitions: tuple[str, ...] = ()
    accelerator: str = "cpu"
    image: str | None = None
    notebook: Path | None = None
    """The user's own notebook, which has the line, to run instead of the imports."""
    skip: frozenset[str] = frozenset()
    patience: float = 10_800.0
    """Seconds that the notebook may wait in the queue and run."""


def rehearse_on_kaggle(
    kaggle: Kaggle, pack: ReadPack, wanted: Wanted, *, on_phase: Callable[[str], None] = lambda _: None
) -> Rehearsal:
    """Run the line of ``pack`` in a notebook on Kaggle and return what came of it.

    Raises:
        UsageError: Kaggle does not take the notebook, or the user's own does not have the line.
        NetworkError: Kaggle cannot be reached or refuses, or the notebook has not ended in time.
        IntegrityError: the notebook left no report.

    """
    if not kaggle.username:
        raise UsageError("Kaggle's client does not say who is signed in", next="set KAGGLE_USERNAME")
    modules = {target.python: modules_of(pack, target, wanted.skip) for target in reversed(pack.manifest.targets)}
    own = wanted.notebook is not None
    kernel = kernels.Kernel(
        ref=f"{kaggle.username}/{slug_of(pack.manifest.name)}-rehearsal",
        source=_own(wanted.notebook, pack) if wanted.notebook is not None else _source(pack, modules),
        internet=False,
        accelerator=wanted.accelerator,
        image=wanted.image,
        datasets=wanted.datasets,
        kernels=wanted.notebooks,
        models=wanted.models,
        competitions=wanted.competitions,
    )
    on_phase(f"pushing {kernel.ref}")
    done = kernels.run(
        kaggle, kernel, patience=wanted.patience, on_state=lambda state: on_phase(f"{kernel.ref} on Kaggle: {state}")
    )
    if own or not done.ok:
        return _by_status(pack, done, "notebook" if own else "line")
    try:
        report = parsed(kernels.fetch(kaggle, done, REPORT, _LIMIT))
        return _outcome(pack, done, report, modules)
    except (ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{REPORT} is not what the notebook writes", where=done.ref) from error


def _own(place: Path, pack: ReadPack) -> str:
    """Return the user's notebook, which must pin this pack: another line would prove another pack."""
    text = place.read_text(encoding="utf-8")
    if pack.id not in text:
        raise UsageError(
            f"it does not have the line of pack {pack.id[:12]}",
            where=str(place),
            next="paste the line that kpack bootstrap prints as its first cell",
        )
    return text


def _source(pack: ReadPack, modules: Mapping[str, tuple[Module, ...]]) -> str:
    tools = {name: (_KERNEL / name).read_text(encoding="utf-8") for name in ("watch.py", "driver.py")}
    packed = base64.b64encode(zlib.compress(json.dumps(tools, sort_keys=True).encode(), 9)).decode()
    rows = [f'    "{row}"' for row in textwrap.wrap(packed, _WIDTH)]
    embedded = "\n".join(
        [
            "# What watches and imports, compressed: kpack/rehearse/kernel/watch.py and driver.py.",
            "import base64, json, zlib",
            "",
            "PACKED = (",
            *rows,
            ")",
            "TOOLS = json.loads(zlib.decompress(base64.b64decode(PACKED)))",
        ]
    )
    names = {series: [module.name for module in found] for series, found in sorted(modules.items())}
    run = _RUN.format(modules=json.dumps(names), line=repr(pack.line), folder=_FOLDER, report=REPORT)
    about = _ABOUT.format(name=pack.manifest.name, id=pack.id[:12])
    return dumps([markdown("kpack-about", about), code("kpack-tools", embedded), code("kpack-rehearsal", run)])


def _by_status(pack: ReadPack, done: FinishedRun, name: str) -> Rehearsal:
    """Return what Kaggle's own verdict tells: a notebook of the user's, or one that did not come to its report."""
    error = None if done.ok else "\n".join(row for row in (done.failure, done.tail(12)) if row)
    return Rehearsal(
        pack=pack.path,
        id=pack.id,
        where="kaggle",
        target=pack.manifest.targets[0].label,
        python=pack.manifest.targets[0].python,
        steps=(Step(name=name, ok=done.ok, seconds=0.0, memory=0, error=error),),
        imports=(),
        walls=Walls(network=True, files=True, processes=True),
        notes=(f"{done.ref}, version {done.version}: only how it ended is known",),
        watched=False,
    )


def _outcome(
    pack: ReadPack, done: FinishedRun, report: dict[str, Any], modules: Mapping[str, tuple[Module, ...]]
) -> Rehearsal:
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "log")
        log.write_text(report["log"], encoding="utf-8")
        rows = network.rows_of(log)
    lines = [row for row in rows if row["kind"] == "line"]
    line = lines[0] if lines else {"ok": False, "seconds": 0.0}
    errors = [row for row in str(report["err"]).splitlines() if row.strip()][-12:]
    owners = {module.name: module.distribution for module in modules.get(report["series"], ())}
    imports = tuple(
        Imported(
            module=row["module"],
            distribution=owners.get(row["module"], ""),
            ok=bool(row["ok"]),
            error=row["error"],
            seconds=float(row["seconds"]),
        )
        for row in rows
        if row["kind"] == "import"
    )
    target = next((one for one in pack.manifest.targets if one.python == report["series"]), pack.manifest.targets[0])
    step = Step(
        name="line",
        ok=bool(line["ok"]),
        seconds=float(line["seconds"]),
        memory=int(report["memory"]),
        error=None if line["ok"] else "\n".join(errors) or f"exit code {report['code']}",
    )
    missing = owners.keys() - {item.module for item in imports} if step.ok else set()
    notes = [f"{done.ref}, version {done.version}" + (f", image {report['image']}" if report["image"] else "")]
    if any(row["kind"] == "program" for row in rows):
        notes.append(programs.UNSEEN)
    return Rehearsal(
        pack=pack.path,
        id=pack.id,
        where="kaggle",
        target=target.label,
        python=str(report["python"]),
        steps=(step,),
        imports=(*imports, *(_untried(name, owners[name]) for name in sorted(missing))),
        network=network.attempts(rows, Path(_FOLDER)),
        warnings=tuple(
            dict.fromkeys(
                f"{row['category']}: {row['message']} ({row['where']}:{row['line']})"
                for row in rows
                if row["kind"] == "warning"
            )
        ),
        notes=tuple(notes),
        walls=Walls(network=True, files=True, processes=True),
        seconds=step.seconds + sum(item.seconds for item in imports),
        peak_disk=int(report["disk"]),
        peak_memory=int(report["memory"]),
        said=str(report["out"]).partition("\n")[0],
    )


def _untried(module: str, distribution: str) -> Imported:
    return Imported(module=module, distribution=distribution, ok=False, error="the rehearsal ended before its turn")
