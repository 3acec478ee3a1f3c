"""A rehearsal from begin to end: environment, walls, steps, and what they wrote down."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from kpack.errors import MachineError, UsageError
from kpack.pack import wheel_landings
from kpack.rehearse import interpreter as interpreters
from kpack.rehearse import jupyter, network, real, stubs
from kpack.rehearse.model import Imported, Rehearsal, Step, Walls
from kpack.rehearse.modules import Module, modules_of
from kpack.rehearse.stage import Stage, folder
from kpack.restore import rules

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kpack.base import BaseImage
    from kpack.cache import Cache
    from kpack.pack import ReadPack
    from kpack.rehearse.interpreter import Interpreter
    from kpack.restore.manifest import PackTarget

NEEDED = "needed"
"""The word that asks for all base packages that the packed ones need."""

WORKING = 20 * 10**9
"""Bytes of ``/kaggle/working`` on Kaggle."""

ALL_WALLS = ("network", "files", "processes")
_ROUNDS = 4
"""Times that more of the base is made real because an import asked for it."""
_SHOWN = 12
"""Lines of a failed step that are shown."""
_IMPORTED = (rules.LIB, rules.PURELIB, rules.PLATLIB)
_WARDEN = Path(__file__).with_name("warden.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to rehearse."""

    base: str | None = None
    """The target of the pack; None takes the first whose Python is on this machine."""
    python: str | None = None
    """An interpreter of the target's series; None looks for one."""
    real: frozenset[str] = frozenset()
    """Base distributions to install really, or `NEEDED`."""
    notebook: Path | None = None
    script: Path | None = None
    dataset: str | None = None
    """``owner/slug`` that the pack is mounted as."""
    inputs: Mapping[str, Path] = field(default_factory=dict)
    """More to show below ``/kaggle/input``, by the path there."""
    working: int = WORKING
    """Bytes that ``/kaggle/working`` holds."""
    skip: frozenset[str] = frozenset()
    """Modules that are not imported."""
    keep: bool = False
    """Leave the folder of the rehearsal."""
    walls: tuple[str, ...] = ALL_WALLS
    """What may be tried to cut off; for machines where an attempt itself does harm."""
    indexes: tuple[str, ...] = ()
    """More indexes that real packages may come from."""


@dataclass(slots=True)
class _Found:
    """What the warden said."""

    walls: Walls | None = None
    done: dict[str, dict[str, Any]] = field(default_factory=dict)
    peak_disk: int = 0


def rehearse(
    pack: ReadPack,
    options: Options,
    *,
    base_of: Callable[[str], BaseImage | None],
    cache: Cache,
    on_phase: Callable[[str], None] = lambda _: None,
) -> Rehearsal:
    """Restore ``pack`` by its line in a look-alike of the kernel without network, import it, run the user's code.

    ``base_of`` gives a base image by name, None for one that is not known here; ``on_phase`` is told in a few words
    what is being done.

    Raises:
        UsageError: the pack has no such target, or an input is named twice.
        MachineError: no interpreter of the target's Python, or none of the tools that a notebook needs.
        NetworkError: real packages cannot be fetched.
        NoSolution: the image's real packages do not go together.

    """
    if options.notebook is not None:
        jupyter.need_client()
    target, interpreter = choose(pack, options)
    with folder(keep=options.keep) as work:
        return _Run(pack, options, target, interpreter, Stage(work, interpreter), cache, on_phase).run(base_of)


def choose(pack: ReadPack, options: Options) -> tuple[PackTarget, Interpreter]:
    """Return the target to rehearse and an interpreter for it.

    Raises:
        UsageError: the pack has no such target.
        MachineError: no interpreter fits.

    """
    targets = pack.manifest.targets
    if options.base is not None:
        named = [target for target in targets if options.base in (target.label, target.python)]
        if not named:
            raise UsageError(
                f"the pack has no target {options.base!r}",
                where=str(pack.path),
                next="it has: " + ", ".join(target.label for target in targets),
            )
        return named[0], interpreters.find(named[0], options.python)
    refused: MachineError | None = None
    for target in targets:
        try:
            return target, interpreters.find(target, options.python)
        except MachineError as error:
            refused = refused or error
    assert refused is not None, "a pack has a target"
    raise refused


class _Run:
    """One rehearsal; its parts in the order in which they happen."""

    def __init__(
        self,
        pack: ReadPack,
        options: Options,
        target: PackTarget,
        interpreter: Interpreter,
        stage: Stage,
        cache: Cache,
        on_phase: Callable[[str], None],
    ) -> None:
        self.pack = pack
        self.options = options
        self.target = target
        self.interpreter = interpreter
        self.stage = stage
        self.cache = cache
        self.on_phase = on_phase
        self.notes: list[str] = []
        self.owners: dict[str, str] = {}
        self.pins: dict[str, str] = {}

    def run(self, base_of: Callable[[str], BaseImage | None]) -> Rehearsal:
        self.on_phase(f"making an environment of Python {self.interpreter.version}")
        packages = self.stage.make_environment()
        base = base_of(self.target.base) if self.target.base is not None else None
        self._note_target(base)
        walls = self._walls()
        everything = stubs.stubs_of(self.target, base)
        self.pins = {stub.name: stub.version for stub in everything}
        made_real = self._make_real(self._wanted_real())
        self.owners = stubs.write(everything, packages, without=made_real)
        own_steps = self._own_steps(walls)
        self.stage.watch(packages, self.owners, refuse=not walls.network)
        if not walls.files:
            self.stage.show(self._inputs())
        modules = self._modules()
        found = self._act([*own_steps, self._line_step(modules, walls)], walls)
        imports = self._imports(modules)
        for _ in range(_ROUNDS if NEEDED in self.options.real else 0):
            missing = {item.stub for item in imports if item.stub is not None and not item.ok} - made_real
            if not missing:
                break
            imports = self._again({str(name) for name in missing}, made_real, packages, imports, walls)
        return self._outcome(found, imports, walls)

    def _note_target(self, base: BaseImage | None) -> None:
        others = [target.label for target in self.pack.manifest.targets if target.label != self.target.label]
        if others:
            self.notes.append(f"rehearsed for {self.target.label}; not for {', '.join(others)} (--base NAME)")
        if self.target.base is not None and base is None:
            self.notes.append(
                f"the image {self.target.base} is not known here: stubs stand for what the pack leans on, and no more"
            )
        if base is not None and base.python_full_version != self.interpreter.version:
            self.notes.append(f"ran in Python {self.interpreter.version}; the image has {base.python_full_version}")

    def _walls(self) -> Walls:
        """Find out what this machine lets one cut off."""
        wanted = [name for name in ALL_WALLS if name in self.options.walls]
        found = self._warden({"walls": wanted, "weaker": True, "steps": [], "measured": []})
        walls = found.walls or Walls(network=False, files=False, processes=False)
        why = f" ({'; '.join(walls.why)})" if walls.why else ""
        if not walls.network:
            self.notes.append(f"this machine lets no network be cut{why}: connections of Python were refused instead")
        if not walls.files:
            self.notes.append(
                f"this machine lets no folders be mounted{why}: KPACK_INPUT pointed at the pack, "
                "and /kaggle/working had no limit"
            )
        return walls

    def _wanted_real(self) -> set[str]:
        wanted = {str(canonicalize_name(name)) for name in self.options.real if name != NEEDED}
        if unknown := sorted(wanted - self.pins.keys()):
            raise UsageError(
                f"the base has no {', '.join(unknown)}", where="--real", next="kpack why NAME tells what the base has"
            )
        if NEEDED in self.options.real:
            wanted |= {str(canonicalize_name(lean.name)) for lean in self.target.leans} & self.pins.keys()
        return wanted

    def _make_real(self, names: set[str]) -> set[str]:
        """Install base distributions, and what they need of the base, really; return their names."""
        packed = {str(canonicalize_name(item.name)) for item in self.target.distributions}
        names = names - packed
        if not names:
            return set()
        self.on_phase(f"installing {', '.join(sorted(names))} of the base")
        chosen = real.closure(names, self.pins, self.stage.python, indexes=self.options.indexes)
        taken = {name: url for name, url in chosen.items() if name not in packed}
        real.install_exactly(taken.values(), self.stage.python)
        local = sorted(name for name in taken if "+" in self.pins[name])
        if local:
            self.notes.append(f"the index's own build stood for the image's: {', '.join(local)}")
        return set(taken)

    def _modules(self) -> tuple[Module, ...]:
        names = {
            file: tuple(item.rest for item in landings if item.door in _IMPORTED)
            for file, landings in wheel_landings(self.pack)
        }
        found = modules_of(self.target, names)
        return tuple(module for module in found if module.name not in self.options.skip)

    def _inputs(self) -> dict[str, Path]:
        name = self.pack.manifest.name
        slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "pack"
        dataset = self.options.dataset or f"rehearsal/{slug}"
        suffix = ".kpack" if self.pack.is_folder else ".kpack.bin"
        inputs = {f"datasets/{dataset}/{name}{suffix}": self.pack.path.resolve()}
        for place, source in self.options.inputs.items():
            if not source.exists():
                raise MachineError(
                    "there is no such file or folder", where=str(source), next="name an input that is there"
                )
            inputs[place.strip("/")] = source.resolve()
        return inputs

    def _step(self, name: str, argv: Sequence[str], walls: Walls) -> dict[str, Any]:
        return {
            "name": name,
            "argv": list(argv),
            "env": self.stage.variables(files=walls.files),
            "cwd": "/kaggle/working" if walls.files else str(self.stage.working),
            "stdout": str(self.stage.work / "out" / f"{name}.out"),
            "stderr": str(self.stage.work / "out" / f"{name}.err"),
        }

    def _line_step(self, modules: Sequence[Module], walls: Walls, name: str = "line") -> dict[str, Any]:
        spec = self.stage.work / "out" / f"{name}.json"
        content = {"line": self.pack.line, "modules": [item.name for item in modules], "out": str(self.stage.out)}
        spec.write_text(json.dumps(content), encoding="utf-8")
        driver = str(self.stage.kernel / "driver.py")
        return self._step(name, [str(self.stage.python), driver, str(spec)], walls)

    def _own_steps(self, walls: Walls) -> list[dict[str, Any]]:
        """Return the steps of the user's own code, which come first: they find the environment as Kaggle gives it."""
        steps = []
        if self.options.script is not None:
            copy = self.stage.source / self.options.script.name
            copy.write_bytes(_read(self.options.script))
            shown = f"/kaggle/src/{copy.name}" if walls.files else str(copy)
            steps.append(self._step("script", [str(self.stage.python), shown], walls))
        if self.options.notebook is not None:
            self.on_phase("getting ipykernel for the environment")
            site = jupyter.kernel_folder(self.interpreter, self.stage.python, self.pins, self.cache, self.stage.work)
            copy = self.stage.work / "out" / "notebook.ipynb"
            copy.write_bytes(_read(self.options.notebook))
            spec = self.stage.work / "out" / "notebook.json"
            launch = [str(self.stage.python), str(self.stage.kernel / "launch.py"), str(site)]
            content = {
                "notebook": str(copy),
                "executed": str(self.stage.work / "out" / "executed.ipynb"),
                "kernel": [*launch, "-f", "{connection_file}"],
                "runtime": str(self.stage.work / "jupyter"),
                "result": str(self.stage.work / "out" / "notebook.result"),
            }
            spec.write_text(json.dumps(content), encoding="utf-8")
            execute = str(Path(__file__).with_name("execute.py"))
            steps.append(self._step("notebook", [sys.executable, "-I", execute, str(spec)], walls))
        return steps

    def _act(self, steps: list[dict[str, Any]], walls: Walls) -> _Found:
        work = self.stage.work
        written = [self.stage.env, work / "home", work / "tmp", work / "kaggle-tmp", work / "kaggle-temp"]
        places = ["/kaggle/working"] if walls.files else [str(self.stage.working)]
        wanted = [name for name in ALL_WALLS if getattr(walls, name)]
        return self._warden(
            {"walls": wanted, "weaker": False, "steps": steps, "measured": [*map(str, written), *places]}
        )

    def _warden(self, spec: dict[str, Any]) -> _Found:
        """Run the warden to its end, or kill it, and all that it started, when this process is interrupted."""
        work = self.stage.work
        path = work / "warden.json"
        whole = {
            **spec,
            "parent": os.getpid(),
            "root": str(work / "root"),
            "work": str(work),
            "tmp": str(work / "tmp"),
            "log": str(self.stage.log),
            "seen": self.stage.seen(self.cache.root),
            "inputs": {place: str(source) for place, source in self._inputs().items()},
            "working_bytes": self.options.working,
        }
        path.write_text(json.dumps(whole), encoding="utf-8")
        found = _Found()
        with subprocess.Popen(
            [sys.executable, "-I", str(_WARDEN), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            try:
                for line in child.stdout:
                    self._heard(json.loads(line), found)
                said = child.stderr.read()
            except BaseException:
                child.kill()
                child.stdout.read()  # ends when the last process that the warden forked is gone
                raise
        if child.returncode or found.walls is None:
            raise MachineError(
                f"the rehearsal's own process failed: {said.strip().rpartition(chr(10))[2] or child.returncode}",
                next="run it again with --keep, and report what it left",
            )
        return found

    def _heard(self, row: dict[str, Any], found: _Found) -> None:
        if row["kind"] == "walls":
            why = tuple(dict.fromkeys(row.get("why", ())))
            found.walls = Walls(network=row["network"], files=row["files"], processes=row["processes"], why=why)
        elif row["kind"] == "step":
            self.on_phase(
                {"line": "running the line, importing what is packed"}.get(row["name"], f"running the {row['name']}")
            )
        elif row["kind"] == "done":
            found.done[row["name"]] = row
        elif row["kind"] == "disk":
            found.peak_disk = row["peak"]

    def _again(
        self,
        missing: set[str],
        made_real: set[str],
        packages: Path,
        imports: tuple[Imported, ...],
        walls: Walls,
    ) -> tuple[Imported, ...]:
        """Make stubs real that imports asked for, and import once more what failed."""
        for name in missing:
            for info in packages.glob(f"{name.replace('-', '_')}-*.dist-info"):
                if (info / "INSTALLER").read_text(encoding="utf-8").strip() == stubs.INSTALLER:
                    for file in info.iterdir():
                        file.unlink()
                    info.rmdir()
        self.stage.unwatch(packages)
        made_real |= self._make_real(missing) | missing
        owners = {module: owner for module, owner in self.owners.items() if owner not in made_real}
        self.stage.watch(packages, owners, refuse=not walls.network)
        failed = [Module(item.module, item.distribution) for item in imports if not item.ok]
        self._act([self._line_step(failed, walls, name="again")], walls)
        newer = {item.module: item for item in self._imports(failed)}
        return tuple(newer.get(item.module, item) for item in imports)

    def _imports(self, modules: Sequence[Module]) -> tuple[Imported, ...]:
        rows = {row["module"]: row for row in network.rows_of(self.stage.out) if row["kind"] == "import"}
        found = []
        for module in modules:
            row = rows.get(module.name)
            if row is None:
                continue
            stub = None if row["stub"] is None else stubs.owner_of(row["stub"], self.owners)
            found.append(
                Imported(
                    module=module.name,
                    distribution=module.distribution,
                    ok=row["ok"],
                    error=row["error"],
                    stub=stub,
                    seconds=row["seconds"],
                )
            )
        return tuple(found)

    def _outcome(self, found: _Found, imports: tuple[Imported, ...], walls: Walls) -> Rehearsal:
        out = self.stage.work / "out"
        rows = network.rows_of(self.stage.out)
        line = next((row for row in rows if row["kind"] == "line"), None)
        steps = []
        for name, done in found.done.items():
            ok = done["code"] == 0
            seconds = done["seconds"] if name != "line" or line is None else line["seconds"]
            error = None if ok else self._error(name, done["code"])
            steps.append(Step(name=name, ok=ok, seconds=seconds, memory=done["memory"], error=error))
        warned = dict.fromkeys(
            f"{row['category']}: {row['message']} ({row['where']}:{row['line']})"
            for row in rows
            if row["kind"] == "warning"
        )
        script = self.options.script.name if self.options.script else ""
        attempts = network.attempts(network.rows_of(self.stage.log), self.stage.kernel, script)
        if self.options.keep:
            self.notes.append(f"left as it was: {self.stage.work}")
        return Rehearsal(
            pack=self.pack.path,
            id=self.pack.id,
            where="local",
            target=self.target.label,
            python=self.interpreter.version,
            steps=tuple(steps),
            imports=imports,
            network=attempts,
            warnings=tuple(warned),
            notes=tuple(self.notes),
            walls=walls,
            seconds=sum(done["seconds"] for done in found.done.values()),
            peak_disk=found.peak_disk,
            peak_memory=max((step.memory for step in steps), default=0),
            said=_text(out / "line.out").partition("\n")[0],
        )

    def _error(self, name: str, code: int) -> str:
        out = self.stage.work / "out"
        result = out / f"{name}.result"
        if result.exists():
            return str(json.loads(result.read_text(encoding="utf-8"))["error"])
        rows = [row for row in _text(out / f"{name}.err").splitlines() if row.strip()]
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        return "\n".join([*rows[-_SHOWN:], f"({how})"] if rows else [how])


def with_notes(outcome: Rehearsal, *notes: str) -> Rehearsal:
    """Return an outcome with more to say."""
    return replace(outcome, notes=(*outcome.notes, *notes))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise MachineError(
            f"cannot read: {error.strerror}", where=str(path), next="name a file that is there"
        ) from error
