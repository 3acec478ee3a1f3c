"""One run of changes: journal, files, metadata, and the moves that make them count; a failure takes all of it back."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from . import record
from .bytecode import cached_names, compile_files
from .checkpoints import CheckpointPlan, CopyJob, appeared, copy, vouched
from .errors import RestoreError, machine_error
from .journal import ASIDE, Journal, Places, waiting, witness
from .moves import make_folders, relocate, remove, remove_empty
from .parallel import cores
from .schedule import starting_order
from .scripts import command
from .search import refuse_unfound
from .state import Mark, State, refuse_planted
from .wheels import METADATA, RECORD, Job, WheelPlan, staging
from .write import Writer, in_parts

if TYPE_CHECKING:
    from .feed import Feed
    from .inflate import Inflater
    from .paths import Prepared

INSTALLER = b"kpack\n"


class Run:
    """Carries a prepared plan out."""

    def __init__(
        self,
        prepared: Prepared,
        state: State,
        inflater: Inflater,
        feed: Feed,
        *,
        pack_id: str,
        executable: str,
        compile: bool,  # noqa: A002 - the option's name
        on_progress: Optional[Callable[[int, int], None]] = None,
    ) -> None:
        self.prepared = prepared
        self.plan = prepared.plan
        self._state = state
        self._id = pack_id
        self._compile = compile
        self._on_progress = on_progress
        self._feed = feed
        self._writer = Writer(inflater, executable)
        self._bytecode: Dict[str, List[str]] = {}
        self._waiting: List[str] = []
        self._guard = threading.Lock()
        self._left: Dict[str, int] = {}
        """Jobs of each wheel that are not done, by member."""
        self._owner: Dict[str, WheelPlan] = {}

    def carry_out(self) -> Mark:
        """Do all of it and return the mark.

        Raises RestoreError after everything was taken back; so does any other exception.
        """
        journal = self._journal()
        self._state.begin(journal)
        try:
            self._folders(journal)
            self._fill()
            if self._compile:
                self._compile_all()
            for wheel in self.plan.wheels:
                if self._late(wheel):
                    self._metadata(wheel)
            self._commit(journal)
            if self.plan.links:
                from . import links

                links.make(self.plan.links, self.prepared.run)
            hidden = self.prepared.hidden
            refuse_unfound([wheel for wheel in self.plan.wheels if wheel.name not in hidden], self.plan.scheme)
            mark = self._mark()
            self._state.finish(mark)
        except BaseException as error:
            lost = self._state.take_back(journal)
            if lost and isinstance(error, RestoreError):
                error.next = "{} could not be put back, the next restore tries again; {}".format(
                    ", ".join(lost[:3]), error.next
                )
            raise
        self._state.end(journal)
        return mark

    def _journal(self) -> Journal:
        """Name everything that this run may create or move; files of replacing distributions get a waiting place."""
        prepared, plan = self.prepared, self.plan
        away = os.path.join(self._state.folder, ASIDE)
        places = [path for old in prepared.olds for path in old.files] + prepared.overwritten
        places += [item.path for item in plan.checkpoints if not item.present and item.there]
        places = list(dict.fromkeys(places))
        there = set(places)
        files: List[str] = []
        for wheel in plan.wheels:
            for job in wheel.jobs:
                files += [file.path for file in job.files if file.kind < RECORD]
            if self._compile:
                self._bytecode[wheel.name] = cached_names(file.path for file in wheel.payload)
                files += self._bytecode[wheel.name]
            self._stage(wheel, None if wheel.name in prepared.old else there.union(prepared.vacated))
            for path in in_parts(wheel.jobs):
                self._writer.parts[path] = "{}/p{}".format(staging(wheel.lib), len(self._writer.parts))
        files += list(prepared.scripts)
        standing = [wheel for wheel in plan.wheels if os.path.isdir(wheel.final)]
        for wheel in standing:
            files += [_final(wheel, file.path) for file in wheel.files if file.kind in (METADATA, RECORD)]
            files.append(wheel.final + "/INSTALLER")
        for path in [item.path for item in plan.checkpoints if not item.present] + [link.path for link in plan.links]:
            files += [path, waiting(path, prepared.run)]
        return Journal(
            prepared.run,
            self._id,
            plan.manifest.name,
            folders=sorted({*prepared.missing, *self._caches()}),
            files=[path for path in files if path not in there] if there else files,
            metadata=[wheel.final for wheel in plan.wheels if wheel not in standing],
            aside=[(place, os.path.join(away, str(number))) for number, place in enumerate(places)],
            staging=[*sorted(staging(lib) for lib in prepared.libs), away],
            emptied=sorted({folder for old in prepared.olds for folder in old.folders} | _folders_of(standing)),
            witnesses=[os.path.join(folder, witness(prepared.run)) for folder in self._foreign_folders()],
        )

    def _caches(self) -> Set[str]:
        """Return the folders for bytecode that are not there."""
        folders = {os.path.dirname(path) for paths in self._bytecode.values() for path in paths}
        return {folder for folder in folders if not os.path.isdir(folder)}

    def _is_late(self, folder: str) -> bool:
        """Tell whether a folder can be made only when what is in its place has moved."""
        late = self.prepared.late
        return folder in late or os.path.dirname(folder) in late  # a folder for bytecode is not of the plan

    def _foreign_folders(self) -> List[str]:
        """Return the folders outside the scheme where checkpoints are written."""
        places = Places(self.plan.scheme)
        written = [item.path for item in self.plan.checkpoints if not item.present]
        written += [link.path for link in self.plan.links]
        return sorted({os.path.dirname(path) for path in written if not places.holds(path)})

    def _stage(self, wheel: WheelPlan, only: Optional[Set[str]]) -> None:
        """Let files (all, or those in ``only``) wait beside until what is in their place has moved."""
        if only is not None and not only:
            return
        folder = "{}/{}".format(staging(wheel.lib), len(self._waiting))
        staged = self.prepared.staged
        before = len(staged)

        def wait(path: str) -> str:
            if only is None or path in only or self._is_late(os.path.dirname(path)):
                staged[path] = "{}/{}".format(folder, len(staged))
                return staged[path]
            return path

        wheel.jobs = [
            job._replace(
                files=tuple(
                    file if file.kind in (METADATA, RECORD) else file._replace(path=wait(file.path))
                    for file in job.files
                )
            )
            for job in wheel.jobs
        ]
        for path, (owner, _) in self.prepared.scripts.items():
            if owner is wheel:
                wait(path)
        for path in self._bytecode.get(wheel.name, ()):
            wait(path)
        if len(staged) > before:
            self._waiting.append(folder)

    def _folders(self, journal: Journal) -> None:
        for folder in journal.folders:
            if not self._is_late(folder):
                _make(folder)
        for path in journal.witnesses:
            _store(path, b"")
        for folder in journal.staging:
            refuse_planted(os.path.dirname(folder))
            remove(folder)  # journal or not, it is kpack's own, and nothing is written into what is there
            _make(os.path.dirname(folder))
            _make(folder)
        wanted = [*self._waiting]
        for wheel in self.plan.wheels:
            wanted.append(wheel.staged)
            wanted += sorted({file.path.rpartition("/")[0] for file in wheel.files if file.kind == METADATA})
        for folder in wanted:
            _make(folder)

    def _fill(self) -> None:
        """Write every file and checkpoint that the plan names, in parallel."""
        opened: List[int] = []
        jobs = starting_order([job for wheel in self.plan.wheels for job in wheel.jobs], cores())
        self._left = {wheel.member.path: len(wheel.jobs) for wheel in self.plan.wheels}
        self._owner = {wheel.member.path: wheel for wheel in self.plan.wheels}
        try:
            copies: List[CopyJob] = []
            for item in self.plan.checkpoints:
                if not item.present and item.member is not None:
                    copies += self._copies(item, opened)
            self._feed.run(jobs, copies, self._work, copy, self._tick if self._on_progress else None)
        finally:
            for descriptor in opened:
                os.close(descriptor)

    def _copies(self, item: CheckpointPlan, opened: List[int]) -> List[CopyJob]:
        assert item.member is not None
        path = waiting(item.path, self.prepared.run)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(path, flags, 0o666)
            opened.append(descriptor)
            os.truncate(descriptor, item.size)
        except OSError as error:
            raise machine_error(error, "write", path) from error
        return [CopyJob(item.member, span, descriptor, item.path) for span in item.member.spans]

    def _work(self, job: Job, views: Iterator[memoryview]) -> None:
        self._writer.work(job, views)
        path = job.member.path
        with self._guard:
            self._left[path] -= 1
            last = not self._left[path]
        wheel = self._owner[path]
        if last and not self._late(wheel):
            self._metadata(wheel)

    def _late(self, wheel: WheelPlan) -> bool:
        """Tell whether a wheel's RECORD can only be written when all files of all wheels are there."""
        return self._compile or wheel.name in self.prepared.overridden

    def _tick(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self._feed.done, self.plan.packed)

    def _compile_all(self) -> None:
        staged = self.prepared.staged
        sources = []
        for wheel in self.plan.wheels:
            for path in (file.path for file in wheel.payload):
                if path.endswith(".py"):
                    cache = cached_names([path])[0]
                    sources.append((staged.get(path, path), path, staged.get(cache, cache)))
        compile_files(sources, cores())

    def _metadata(self, wheel: WheelPlan) -> None:
        """Write the scripts of a wheel's entry points, INSTALLER and RECORD; the metadata folder stays staged."""
        prepared, writer = self.prepared, self._writer
        packed = writer.kept.pop(wheel.staged + "/RECORD")
        listed = {} if wheel.lax_record else record.read(packed, wheel.member.path).rows
        overridden = prepared.overridden.get(wheel.name, ())
        rows = []
        as_packed = not wheel.lax_record and not overridden
        for file in wheel.files:
            if file.kind == RECORD:
                continue
            row = listed.get(file.entry.name)
            if as_packed and row is not None and row.digest and row.size and ".data/" not in row.path:
                rows.append(row)  # it lands where the wheel says, as it is
                continue
            there = file.path if file.kind == METADATA else prepared.staged.get(file.path, file.path)
            if file.path in prepared.scripts:  # the command of another wheel stays there, perhaps not written yet
                content = prepared.scripts[file.path][1]
                digest, size = record.digest(content), str(len(content))
            elif there in writer.rewritten:
                digest, size = writer.rewritten[there]
            elif row is None or not row.digest or file.path in overridden:
                digest, size = _measured(there)
            else:
                digest, size = row.digest, row.size or str(file.entry.size)
            final = _final(wheel, file.path) if file.kind == METADATA else file.path
            rows.append(record.RecordEntry(_relative(final, wheel.lib), digest, size))
        for point in wheel.points:
            path = "{}/{}".format(self.plan.scheme.scripts, point.name)
            there = prepared.staged.get(path, path)
            owner = prepared.scripts.get(path)
            if owner is not None and owner[0] is wheel:
                self._script(there, owner[1])
            if owner is None and path in overridden:
                digest, size = _measured(there)
            else:
                content = owner[1] if owner is not None else command(point, self._executable)
                digest, size = record.digest(content), str(len(content))
            rows.append(record.RecordEntry(_relative(path, wheel.lib), digest, size))
        rows += [
            record.RecordEntry(_relative(path, wheel.lib), "", "")
            for path in self._bytecode.get(wheel.name, ())
            if os.path.exists(prepared.staged.get(path, path))
        ]
        rows.append(record.RecordEntry(wheel.info + "/INSTALLER", record.digest(INSTALLER), str(len(INSTALLER))))
        rows.append(record.RecordEntry(wheel.info + "/RECORD", "", ""))
        _store(wheel.staged + "/INSTALLER", INSTALLER)
        _store(wheel.staged + "/RECORD", record.dumps({row.path: row for row in rows}.values()))

    @property
    def _executable(self) -> str:
        return self._writer.executable

    def _script(self, path: str, content: bytes) -> None:
        _store(path, content, executable=True)

    def _commit(self, journal: Journal) -> None:
        """Move what was there aside, and what waits into place; each step is one that `undo` can take back."""
        for place, away in journal.aside:
            if os.path.lexists(place):
                relocate(place, away)
        for old in self.prepared.olds:
            remove_empty([folder for folder in old.folders if (folder + "/").startswith(old.info + "/")])
        remove_empty(self.prepared.vacated)
        for folder in journal.folders:
            if self._is_late(folder):
                _make(folder)
        for final, place in self.prepared.staged.items():
            if os.path.lexists(place):  # not every source compiles
                relocate(place, final)
        for item in self.plan.checkpoints:
            part = waiting(item.path, self.prepared.run)
            if not item.present and item.member is None:
                os.symlink(item.attached or "", part)
            if not item.present and not appeared(item):
                relocate(part, item.path)
        for wheel in self.plan.wheels:
            relocate(wheel.staged, wheel.final)

    def _mark(self) -> Mark:
        plan = self.plan
        checkpoints = []
        for item in plan.checkpoints:
            status = os.stat(item.path)
            checkpoints.append({"path": item.path, "sha256": item.sha256, **vouched(status)})
        installed = [{"name": wheel.name, "version": wheel.version, "info": wheel.final} for wheel in plan.wheels]
        before = self._state.mark(plan.manifest.name)
        if before is not None:
            names = {item["name"] for item in installed}
            present = {item.name for item in plan.present}
            installed += [item for item in before.installed if item["name"] in present - names]
        return Mark(self.prepared.run, self._id, plan.manifest.name, plan.target.label, installed, checkpoints)


def _measured(path: str) -> Tuple[str, str]:
    """Return digest and size of a file that is there as RECORD spells them."""
    digest, size = record.digest_of(path)
    return digest, str(size)


def _final(wheel: WheelPlan, staged: str) -> str:
    """Return where a metadata file will be."""
    return wheel.final + staged[len(wheel.staged) :]


def _folders_of(wheels: Iterable[WheelPlan]) -> Set[str]:
    """Return the metadata folders of wheels, with those inside."""
    return {
        _final(wheel, file.path).rpartition("/")[0]
        for wheel in wheels
        for file in wheel.files
        if file.kind in (METADATA, RECORD)
    }


def _relative(path: str, lib: str) -> str:
    """Return how RECORD in ``lib`` spells ``path``."""
    return path[len(lib) + 1 :] if path.startswith(lib + "/") else os.path.relpath(path, lib)


def _make(folder: str) -> None:
    try:
        try:
            os.mkdir(folder)
        except OSError:  # there already, or its parents are missing
            make_folders(folder, [])
    except OSError as error:
        raise machine_error(error, "write", folder) from error


def _store(path: str, data: bytes, *, executable: bool = False) -> None:
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(path, flags, 0o777 if executable else 0o666)
        with os.fdopen(descriptor, "wb") as stream:
            if executable:
                os.fchmod(descriptor, os.fstat(descriptor).st_mode | 0o111)
            stream.write(data)
    except OSError as error:
        raise machine_error(error, "write", path) from error
