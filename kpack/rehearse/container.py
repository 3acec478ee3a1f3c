"""A rehearsal inside a container of docker or podman: the image's own interpreter and packages, network none."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from kpack.errors import MachineError, UsageError
from kpack.rehearse import outcome, programs, stubs
from kpack.rehearse.call import WARDEN, call
from kpack.rehearse.interpreter import ASK, KernelPython
from kpack.rehearse.model import Rehearsal, Walls
from kpack.rehearse.modules import modules_of
from kpack.rehearse.stage import Stage, folder
from kpack.rehearse.steps import Steps, inputs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kpack.base import BaseImage
    from kpack.cache import Cache
    from kpack.pack import ReadPack
    from kpack.rehearse.options import RehearsalOptions
    from kpack.restore.manifest import PackTarget

ENGINES = ("podman", "docker")
_VARIABLES = {"KAGGLE_KERNEL_RUN_TYPE": "Batch", "HOME": "", "PYTHONUNBUFFERED": "1"}


def rehearse_in(
    image: str,
    pack: ReadPack,
    options: RehearsalOptions,
    *,
    base_of: Callable[[str], BaseImage | None],
    cache: Cache,
    on_phase: Callable[[str], None] = lambda _: None,
) -> Rehearsal:
    """Rehearse ``pack`` in a new container of ``image``, which is removed at the end.

    What the image has of the base is real; stubs stand for the rest. A notebook is run by the nbclient and
    ipykernel of the image, which Kaggle's own have.

    Raises:
        UsageError: the pack has no such target, or the options do not fit a container.
        MachineError: there is no engine, it fails, or the image has no Python of a target.

    """
    if options.real:
        raise UsageError("in a container the image's packages are real", where="--real", next="leave --real out")
    engine = _engine()
    python = options.python or "python3"
    on_phase(f"asking {image} for its Python")
    version, machine = _ask(engine, image, python)
    target = _target(pack, options, image, version, machine)
    with folder(cache, keep=options.keep) as work:
        stage = Stage(work, KernelPython(path=Path(python), version=version, prefix=work))
        everything = stubs.stubs_of(target, base_of(target.base) if target.base else None)
        lying = work / "stubs"
        lying.mkdir()
        owners = stubs.write(everything, lying)
        (lying / "owners.json").write_text(json.dumps(owners), encoding="utf-8")
        wanted = modules_of(pack, target, options.skip)
        steps = Steps(stage, python, {**_VARIABLES, "HOME": str(work / "home")}, "/kaggle/working")
        prepare = str(stage.kernel / "prepare.py")
        acts = [steps.step("prepare", [python, prepare, str(lying), stage.hook(lying / "absent.json")], needed=True)]
        if options.script is not None:
            acts.append(steps.script(options.script, shown=False))
        if options.notebook is not None:
            acts.append(steps.notebook(options.notebook, None, client=python))
        acts += [steps.line(pack.line, wanted), steps.step("release", [python, prepare, str(work)])]
        (work / "warden.py").write_bytes(WARDEN.read_bytes())
        name = f"kpack-{work.name}"
        command = [*_run(engine, image, python, name, work, pack, options), "-I", str(work / "warden.py")]
        found = call(
            command,
            {"walls": [], "weaker": False, "steps": acts, "measured": ["/kaggle/working", "/kaggle/tmp"], "own": True},
            work,
            on_phase=on_phase,
            on_stop=lambda: _remove(engine, name),
        )
        found.done.pop("release", None)  # nothing follows a step that is needed and fails
        return outcome.outcome(
            stage,
            pack,
            options,
            found,
            outcome.imports(stage, wanted, owners),
            where="container",
            target=target.label,
            python=version,
            walls=Walls(network=True, files=True, processes=True),
            notes=_notes(work, everything, image),
        )


def _engine() -> str:
    for name in ENGINES:
        if program := shutil.which(name):
            done = subprocess.run([program, "info"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
            if done.returncode == 0:
                return program
    raise MachineError(
        "neither podman nor docker works on this machine",
        where="--container",
        next="install podman, start the docker daemon, or rehearse without --container",
    )


def _ask(engine: str, image: str, python: str) -> tuple[str, str]:
    """Return (full version, machine) of the image's Python."""
    done = subprocess.run(
        [engine, "run", "--rm", "--network", "none", "--entrypoint", python, image, "-I", "-S", "-c", ASK],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        implementation, version, machine, *_ = json.loads(done.stdout)
    except ValueError:
        rows = [row for row in done.stderr.splitlines() if row.strip()] or ["it said nothing"]
        raise MachineError(
            f"{Path(engine).name} cannot run {python} in it: {rows[-1]}",
            where=image,
            next="name an image with Python (--python names it within the image)",
        ) from None
    if implementation != "CPython":
        raise MachineError(f"its Python is {implementation}", where=image, next="name an image with CPython")
    return version, machine


def _target(pack: ReadPack, options: RehearsalOptions, image: str, version: str, machine: str) -> PackTarget:
    series = ".".join(version.split(".")[:2])
    fitting = [item for item in pack.manifest.targets if (item.python, item.machine) == (series, machine)]
    for target in fitting:
        if options.base is None or options.base in (target.label, target.python):
            return target
    raise MachineError(
        f"it has Python {version} on {machine}, and the pack is for "
        + ", ".join(f"{item.label} (Python {item.python} on {item.machine})" for item in pack.manifest.targets),
        where=image,
        next="name the image of the kernel, or lock for this one",
    )


def _run(
    engine: str, image: str, python: str, name: str, work: Path, pack: ReadPack, options: RehearsalOptions
) -> Sequence[str]:
    mounts = [f"type=bind,source={work},target={work}"]
    mounts += [
        f"type=bind,source={source},target=/kaggle/input/{place},readonly"
        for place, source in inputs(pack, options).items()
    ]
    return [
        engine, "run", "--rm", "--name", name, "--network", "none", "--security-opt", "label=disable",
        *(word for mount in mounts for word in ("--mount", mount)),
        "--tmpfs", f"/kaggle/working:rw,mode=1777,size={options.working}",
        "--entrypoint", python, image,
    ]  # fmt: skip


def _remove(engine: str, name: str) -> None:
    """End and remove a container that was interrupted: its processes are no children of ours."""
    subprocess.run([engine, "rm", "--force", name], stdin=subprocess.DEVNULL, capture_output=True, check=False)


def _notes(work: Path, everything: Sequence[stubs.Stub], image: str) -> list[str]:
    said = (work / "out" / "prepare.out").read_text(encoding="utf-8")
    count = json.loads(said)["stubs"] if said.strip() else 0
    lacks = [f"{image} lacks {count} of the base's {len(everything)} packages: stubs stood for them"] if count else []
    return [*lacks, programs.UNSEEN]
