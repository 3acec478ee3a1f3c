"""The way of a restore: plan, check, write, mark."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Callable, ContextManager, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple

from . import check, checkpoints, drift, tags
from .accelerator import Accelerator
from .activate import finish, pth_files, refuse_environment, unseen
from .errors import OPTIONS, RestoreError, few
from .feed import Feed
from .install import Run
from .installed import has_record, installed, left_over, unsound
from .journal import recorded
from .pack import Pack
from .paths import prepare
from .plan import Plan, choose_target, plan_wheels, sort
from .report import Report
from .scheme import default, for_target, refuse_managed
from .search import order
from .shared import Digests
from .state import Mark, State
from .versions import normalize_name, same_version
from .wheels import refuse_unfit

if TYPE_CHECKING:
    from .inflate import Inflater
    from .installed import Installed
    from .links import Link
    from .manifest import Manifest, PackTarget
    from .scheme import Scheme
    from .system import SystemPlan


class Options(NamedTuple):
    """How to restore."""

    target: Optional[str] = None
    """Folder to install to instead of the interpreter's own scheme."""
    dry_run: bool = False
    compile: bool = False
    """Byte-compile what is installed."""
    allow_absolute: bool = False
    """Take absolute checkpoint paths outside Kaggle."""
    obey_managed: bool = False
    """Obey EXTERNALLY-MANAGED: the interpreter was started for this restore, and what it has imported ends with it."""
    tolerate: Optional[bool] = None
    """Make drift, other versions and what would be hidden notes; None asks ``KPACK_DRIFT``."""
    kaggle: Optional[bool] = None
    """Whether this is a Kaggle kernel; None looks."""


def restore(
    path: str,
    manifest: Manifest,
    *,
    id: str,  # noqa: A002 - the word of the design
    options: Optional[Options] = None,
    on_progress: Optional[Callable[[int, int], None]] = None,
    on_wait: Optional[Callable[[], None]] = None,
) -> Report:
    """Restore a pack whose manifest is verified into the running interpreter, or the folder of the options.

    ``path`` is the pack file or the folder that it became, ``id`` the pack id. ``on_progress`` is told bytes
    done and bytes in all; ``on_wait`` is called when another restore into the same place must end first.

    Raises RestoreError: code 2 for options that do not fit the pack, 5 for damage, 6 when interpreter or image do
    not fit, 7 when the machine refuses. Whatever was begun is taken back before.
    """
    began = time.monotonic()
    options = options or Options()
    pack = Pack(path, manifest)
    collecting = gc.isenabled()
    gc.disable()  # tens of thousands of small values that live to the end, beside a kernel's millions
    try:
        report = _Restore(pack, id, options, on_progress, on_wait).run()
    finally:
        if collecting:
            gc.enable()
        pack.close()
    report.seconds = time.monotonic() - began
    return report


class _Restore:
    """One restore; its parts in the order in which they happen."""

    def __init__(
        self,
        pack: Pack,
        pack_id: str,
        options: Options,
        on_progress: Optional[Callable[[int, int], None]],
        on_wait: Optional[Callable[[], None]],
    ) -> None:
        self.pack = pack
        self.id = pack_id
        self.options = options
        self.on_progress = on_progress
        self.on_wait = on_wait
        self.manifest = pack.manifest
        self.kaggle = checkpoints.on_kaggle() if options.kaggle is None else options.kaggle
        self.scheme = default() if options.target is None else for_target(options.target)
        self.tolerant = _tolerant(options)
        self.interpreter = tags.running()
        self.state = State(self.scheme)
        self.notes: List[str] = []
        self.system: Optional[SystemPlan] = None
        self.start = ""
        self.linked: List[Link] = []
        self.links: List[Link] = []
        """Those of `linked` that are not there yet."""

    def run(self) -> Report:
        if not sys.executable:
            raise RestoreError(OPTIONS, "this Python does not know its own path", next="use a regular interpreter")
        if self.options.obey_managed and self.options.target is None:
            refuse_managed()
        refuse_environment(self.manifest.env)
        chosen = self.options.obey_managed
        target = choose_target(self.manifest, self.interpreter, installed(order(self.scheme)), chosen=chosen)
        other = drift.other_image(target, os.environ.get("KAGGLE_DOCKER_IMAGE", ""))
        if other is not None:
            self.notes.append(other)
        with contextlib.ExitStack() as stack:
            if not self.options.dry_run:
                check.refuse_unwritable([self.scheme.purelib])
                stack.enter_context(self.state.locked(self.on_wait))
                self.notes += self.state.recover()
            return self._under_lock(target)

    def _under_lock(self, target: PackTarget) -> Report:
        packed = {normalize_name(item.name) for item in target.distributions}
        visible = installed(order(self.scheme), packed)
        versions = {name: item.version for name, item in visible.items()}
        found = drift.judge([lean for lean in target.leans if normalize_name(lean.name) not in packed], versions)
        if not self.tolerant and self.scheme.target is None:
            check.refuse_drift(found)
        mark = self.state.mark(self.manifest.name)
        there = visible if self.scheme.target is None else installed([self.scheme.target], packed)
        marks = self.state.marks()
        broken, notes = _broken(target, there, self.scheme)
        self.notes += notes
        sorted_ = sort(target, there, broken, _own(marks, there), tolerant=self.tolerant)
        self.notes += [
            "{} was left over by something else: without METADATA that says so it is no installed distribution".format(
                folder
            )
            for folder in left_over([self.scheme.purelib, self.scheme.platlib], packed)
        ]
        check.refuse_other_encoding(item.path for item in self.manifest.checkpoints)
        self.start = checkpoints.directory(
            self.manifest,
            target=self.scheme.target,
            kaggle=self.kaggle,
            allow_absolute=self.options.allow_absolute,
        )
        planned = checkpoints.plan(
            self.pack,
            [item for one in self.state.marks() for item in one.checkpoints],
            start=self.start,
            kaggle=self.kaggle,
            allow_absolute=self.options.allow_absolute,
        )
        self._plan_links(planned)
        self.notes += unseen(self._env())
        self.system = self._system(target)
        missing = self.system is not None and self.system.install
        done = not (sorted_.install or missing or self.links) and all(item.present for item in planned)
        if done and mark is not None and mark.id == self.id:
            report = self._report(target, [], planned, found)
            report.notes = self.notes
            self._finish()
            return report
        refuse_unfit(sorted_.install, self.interpreter)
        accelerator = Accelerator(self.pack, target.accelerator, self.interpreter)
        with contextlib.closing(Feed(self.pack)) as feed, accelerator as inflater:
            if not self.options.dry_run:
                feed.begin(self.pack.members[item.wheel] for item in sorted_.install)
            wheels = plan_wheels(self.pack, sorted_.install, self.scheme, inflater)
            check.refuse_other_encoding(file.entry.name for wheel in wheels for file in wheel.files)
            plan = Plan(
                self.manifest,
                target,
                self.scheme,
                wheels,
                sorted_.present,
                sorted_.kept,
                sorted_.replaced,
                planned,
                found,
                self.links,
            )
            return self._carry_out(plan, inflater, feed)

    def _plan_links(self, planned: List[checkpoints.CheckpointPlan]) -> None:
        if not self.manifest.link or self.scheme.target is not None:
            return
        from . import links

        self.linked = links.plan(self.manifest, planned, os.getcwd(), self.start)
        if not self.tolerant:
            links.refuse_occupied(self.linked)
        kept = [link.path for link in self.linked if link.occupied]
        if kept:
            self.notes.append("what is there stays, and is no link to a checkpoint: " + ", ".join(few(kept)))
        self.linked = [link for link in self.linked if not link.occupied]
        self.links = [link for link in self.linked if not link.present]

    def _system(self, target: PackTarget) -> Optional[SystemPlan]:
        """Return what is done about system packages; few packs have any, and none other loads what that takes."""
        if not target.system:
            return None
        from . import system

        planned = system.plan(
            self.manifest, target, self.scheme, kaggle=self.kaggle, disposable=not self.options.obey_managed
        )
        self.notes += planned.notes
        return planned

    def _carry_out(self, plan: Plan, inflater: Inflater, feed: Feed) -> Report:
        check.check_checkpoints(plan, tolerant=self.tolerant)
        digests = Digests(self.pack, inflater)
        prepared = prepare(plan, digests, os.urandom(16).hex(), sys.executable, tolerant=self.tolerant)
        stale = self._imported(prepared.given_up)
        if not self.tolerant and self.scheme.target is None:
            check.refuse_imported(stale)
        stale += self._imported(prepared.renewed.union(prepared.overwritten))
        notes = [*self.notes, *prepared.notes]
        notes += [
            "{} {} is there and stays; the pack brings {}".format(item.name, version, item.version)
            for item, version in plan.kept
        ]
        before = self.state.mark(self.manifest.name)
        left = {item["name"] for item in before.installed} if before else set()
        left -= {normalize_name(item.name) for item in plan.target.distributions}
        if left:
            notes.append("an earlier version of this pack brought these too, and they stay: " + _listed(left))
        if stale:
            notes.append("already imported, so this process goes on with the old one: " + _listed(stale))
        size = plan.unpacked + (self.system.unpacked if self.system is not None else 0)
        if not self.options.dry_run:
            run = Run(
                prepared,
                self.state,
                inflater,
                feed,
                pack_id=self.id,
                executable=sys.executable,
                compile=self.options.compile,
                on_progress=self.on_progress,
            )
            with self._installing():
                run.carry_out()
            self._finish()
        replaced = [
            (wheel.name, plan.replaced[normalize_name(wheel.name)].version, wheel.version)
            for wheel in plan.wheels
            if normalize_name(wheel.name) in plan.replaced
        ]
        report = self._report(plan.target, replaced, plan.checkpoints, plan.drift)
        report.notes = notes
        report.bytes = size
        report.planned = [(wheel.name, wheel.version, wheel.lib) for wheel in plan.wheels]
        report.changed = True
        return report

    def _imported(self, files: Set[str]) -> List[str]:
        """Return the modules of ``files`` that the kernel goes on with."""
        return check.imported(files, check.loaded_modules()) if files and not self.options.obey_managed else []

    def _installing(self) -> ContextManager[None]:
        if self.system is None or not self.system.install:
            return contextlib.nullcontext()
        from . import system

        return system.installing(self.system, self.pack, self.scheme)

    def _finish(self) -> None:
        if not self.options.dry_run:
            finish(self.scheme, self._env(), self._pth(), self.system.variables if self.system is not None else {})

    def _env(self) -> Dict[str, str]:
        """Return the variables to set: one may point below the folder where checkpoints land, known only here."""
        start = os.path.abspath(self.start)
        return {name: value.replace("{directory}", start) for name, value in self.manifest.env.items()}

    def _pth(self) -> Dict[str, str]:
        """Return the ``.pth`` files that this pack has installed: who brings each, by path."""
        there = pth_files({self.scheme.purelib, self.scheme.platlib})
        mark = self.state.mark(self.manifest.name) if there else None
        owner: Dict[str, str] = {}
        for item in mark.installed if mark else ():
            owner.update((path, item["name"]) for path in recorded(item["info"]) if path.endswith(".pth"))
        return {path: owner[path] for path in there if path in owner}

    def _report(
        self,
        target: PackTarget,
        replaced: List[Tuple[str, str, str]],
        planned: List[checkpoints.CheckpointPlan],
        found: Tuple[drift.Drift, ...],
    ) -> Report:
        where = target.base or "python-" + target.python
        report = Report(self.pack.path, self.manifest.name, self.id, where, dry_run=self.options.dry_run)
        report.installed = sorted((item.name, item.version) for item in target.distributions)
        report.checkpoints = [(item.path, item.sha256, item.size) for item in planned]
        report.links = [(link.path, link.target) for link in self.linked]
        report.drift = found
        report.replaced = replaced
        report.system = [(item.name, item.version) for item in target.system]
        report.road = self.system.road if self.system is not None else ""
        return report


def _listed(names: Iterable[str]) -> str:
    return ", ".join(few(sorted(set(names))))


def _tolerant(options: Options) -> bool:
    if options.tolerate is not None:
        return options.tolerate
    value = os.environ.get("KPACK_DRIFT", "")
    if value not in ("", "note"):
        raise RestoreError(
            OPTIONS,
            "KPACK_DRIFT is {!r}".format(value),
            next="unset it, or set it to note to restore in spite of drift",
        )
    return value == "note"


def _broken(target: PackTarget, there: Dict[str, Installed], scheme: Scheme) -> Tuple[Set[str], List[str]]:
    """Return the packed distributions (normalised) that are to be installed again, as they are there but not whole.

    And what there is to say of them, and of others that nothing installed here would be found before.
    """
    found = set()
    notes = []
    folders = order(scheme)
    libs = {scheme.purelib, scheme.platlib}
    for item in target.distributions:
        known = there.get(normalize_name(item.name))
        if known is None or not same_version(known.version, item.version):
            continue
        lib = os.path.dirname(known.info)
        why = unsound(known) if lib in libs or has_record(known) else ""
        if not why:
            continue
        words = "{} {} is there already, and {}".format(item.name, known.version, why)
        if lib not in libs and folders.index(lib) < min(folders.index(own) for own in libs):
            notes.append("{}; it stays, since {} comes first".format(words, lib))
        else:
            found.add(known.name)
            notes.append("{}; it is installed again".format(words))
    return found, notes


def _own(marks: List[Mark], installed: Dict[str, Installed]) -> Set[str]:
    """Return the distributions (normalised) that are there as an earlier restore left them."""
    places = {item["info"] for mark in marks for item in mark.installed}
    return {name for name, there in installed.items() if there.info in places}
