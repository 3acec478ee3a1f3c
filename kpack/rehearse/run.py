"""A rehearsal on this machine from begin to end: environment, walls, steps, and what they wrote down."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name

from kpack.errors import MachineError, UsageError
from kpack.pack import native
from kpack.pack.admission import Verdicts
from kpack.pack.verification import admitted
from kpack.rehearse import interpreter as interpreters
from kpack.rehearse import jupyter, outcome, programs, real, stubs
from kpack.rehearse.call import WARDEN, Found, call
from kpack.rehearse.modules import Module, modules_of
from kpack.rehearse.options import ALL_WALLS, NEEDED, RehearsalOptions
from kpack.rehearse.stage import Stage, folder
from kpack.rehearse.steps import Steps, inputs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpack.base import BaseImage
    from kpack.cache import Cache
    from kpack.pack import ReadPack
    from kpack.rehearse.interpreter import KernelPython
    from kpack.rehearse.model import Imported, Rehearsal, Walls
    from kpack.restore.manifest import PackTarget

_ROUNDS = 4
"""Times that more of the base is made real because an import asked for it."""


def rehearse(
    pack: ReadPack,
    options: RehearsalOptions,
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
    with folder(cache, keep=options.keep) as work:
        return _Run(pack, options, target, interpreter, Stage(work, interpreter), cache, on_phase).run(base_of)


def choose(pack: ReadPack, options: RehearsalOptions) -> tuple[PackTarget, KernelPython]:
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
        options: RehearsalOptions,
        target: PackTarget,
        interpreter: KernelPython,
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
        steps = self._steps(walls)
        own = self._own(steps, walls)
        self.stage.watch(packages, self.owners, refuse=not walls.network)
        if not walls.files:
            self.stage.show(inputs(self.pack, self.options))
        wanted = modules_of(self.pack, self.target, self.options.skip)
        found = self._act([*own, steps.line(self.pack.line, wanted)], walls)
        tried = outcome.imports(self.stage, wanted, self.owners)
        for _ in range(_ROUNDS if NEEDED in self.options.real else 0):
            missing = {item.stub for item in tried if item.stub is not None and not item.ok} - made_real
            if not missing:
                break
            tried = self._again({str(name) for name in missing}, made_real, packages, tried, walls)
        return outcome.outcome(
            self.stage,
            self.pack,
            self.options,
            found,
            tried,
            where="local",
            target=self.target.label,
            python=self.interpreter.version,
            walls=walls,
            notes=self.notes,
        )

    def _steps(self, walls: Walls) -> Steps:
        cwd = "/kaggle/working" if walls.files else str(self.stage.working)
        return Steps(self.stage, str(self.stage.python), self.stage.variables(files=walls.files), cwd)

    def _own(self, steps: Steps, walls: Walls) -> list[dict[str, Any]]:
        """Return the steps of the user's own code, which come first: they find the environment as Kaggle gives it."""
        own = []
        if self.options.script is not None:
            own.append(steps.script(self.options.script, shown=walls.files))
        if self.options.notebook is not None:
            self.on_phase("getting ipykernel for the environment")
            site = jupyter.kernel_folder(self.interpreter, self.stage.python, self.pins, self.cache, self.stage.work)
            own.append(steps.notebook(self.options.notebook, site))
        for place in filter(None, (self.options.script, self.options.notebook)):
            if self.pack.id.encode() not in place.read_bytes():
                self.notes.append(f"{place.name} does not have the line of this pack: it has to come first there")
        return own

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
        if base is not None:
            # This machine's libraries are not the image's, so that an import here does not show that one works there.
            known = Verdicts(self.cache.root / "admitted").known
            objects = {name: verdict.objects for name, verdict in admitted(self.pack, known)}
            self.notes += native.report([self.target], objects, {base.name: base}).all

    def _walls(self) -> Walls:
        """Find out what this machine lets one cut off."""
        wanted = [name for name in ALL_WALLS if name in self.options.walls]
        walls = self._warden({"walls": wanted, "weaker": True, "steps": [], "measured": []}).walls
        assert walls is not None, "the warden says them first"
        why = f" ({'; '.join(walls.why)})" if walls.why else ""
        if not walls.network:
            self.notes.append(f"this machine lets no network be cut{why}: connections of Python were refused instead")
        if not walls.files:
            self.notes.append(programs.UNSEEN)
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

    def _act(self, steps: list[dict[str, Any]], walls: Walls) -> Found:
        work = self.stage.work
        written = [self.stage.env, work / "home", work / "tmp", work / "kaggle-tmp", work / "kaggle-temp"]
        measured = [*map(str, written), "/kaggle/working" if walls.files else str(self.stage.working)]
        wanted = [name for name in ALL_WALLS if getattr(walls, name)]
        return self._warden({"walls": wanted, "weaker": False, "steps": steps, "measured": measured})

    def _warden(self, spec: dict[str, Any]) -> Found:
        work = self.stage.work
        whole = {
            **spec,
            "own": False,
            "root": str(work / "root"),
            "work": str(work),
            "tmp": str(work / "tmp"),
            "log": str(self.stage.log),
            "seen": self.stage.seen(self.cache.root),
            "inputs": {place: str(source) for place, source in inputs(self.pack, self.options).items()},
            "working_bytes": self.options.working,
        }
        return call([sys.executable, "-I", str(WARDEN)], whole, work, on_phase=self.on_phase)

    def _again(
        self,
        missing: set[str],
        made_real: set[str],
        packages: Path,
        tried: tuple[Imported, ...],
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
        failed = [Module(item.module, item.distribution) for item in tried if not item.ok]
        self._act([self._steps(walls).line(self.pack.line, failed, name="again")], walls)
        newer = {item.module: item for item in outcome.imports(self.stage, failed, self.owners)}
        return tuple(newer.get(item.module, item) for item in tried)
