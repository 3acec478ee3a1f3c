"""One source -> one normalised wheel, and the proof that it can be made again."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name, parse_wheel_filename

from kpack.errors import CheckFailed, IntegrityError, MachineError, MisfitError
from kpack.fetch import Announced, Download, Making
from kpack.files import sha256_of
from kpack.resolve.build_system import build_system
from kpack.source import environment, imports, interpreter, tree, wheel
from kpack.source.built import BuiltWheel, Memory
from kpack.source.environment import BuildEnvironment, ImageEnvironment
from kpack.source.host import this_host
from kpack.urls import shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from packaging.version import Version

    from kpack.fetch import Fetcher
    from kpack.resolve.model import Source, Wheel
    from kpack.source.environment import Indexes
    from kpack.source.host import Host
    from kpack.target import Target

HEAVY = 300_000_000
"""Bytes of build requirements that are not fetched for a Python that no target has: torch, and what it brings."""

NAMED = 3
"""Wheels that are named as the largest."""


class Builder:
    """Builds sources for one project.

    ``relative_to`` is the folder of kaggle-env.toml; ``indexes`` say where build requirements come from;
    ``unisolated`` are the names of what is built with the packages of `interpreter.running` instead; ``image`` is
    what the targets have (name → version), and what a build takes where it may choose; ``pythons`` are the series of
    their interpreters.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        relative_to: Path,
        indexes: Indexes,
        unisolated: Collection[str] = (),
        image: Mapping[str, str] | None = None,
        pythons: Collection[str] = (),
    ) -> None:
        self.fetcher = fetcher
        self.cache = fetcher.cache
        self.relative_to = relative_to
        self.indexes = indexes
        self.unisolated = frozenset(unisolated)
        self.image = dict(image or {})
        self.pythons = frozenset(pythons)
        self.memory = Memory(self.cache)

    def build(self, source: Source, *, name: str, version: Version, expected: Wheel | None = None) -> BuiltWheel:
        """Return the wheel of ``source``.

        Without ``expected`` (at lock time) a wheel that this machine built from the same source is taken up again,
        and a new one is built twice to see whether it is reproducible. With ``expected`` the locked build
        requirements are used, and the result must be that wheel. A build with an interpreter's packages takes place
        once: it may take hours, and depends on them in any case.

        Raises:
            IntegrityError: the source is not the locked one, or the wheel comes out differently.
            CheckFailed: a local folder changed since it was locked.
            MisfitError: a platform wheel is expected, and this host cannot build it.
            MachineError, NetworkError, NoSolution, UsageError: it cannot be fetched or built.

        """
        if source.kind == "wheel":
            return self._local_wheel(source, expected)
        if expected is not None:
            return self._again(source, expected, name, version)
        with self.cache.temporary() as folder:
            source, root = self._tree(source, folder / "source", name)
            known = self.memory.find(source, self._circumstances(name))
            if known is not None:
                _check_name(known.filename, name, version)
                return known
            project = tree.inside(root, source.subdirectory, name=name)
            if name in self.unisolated:
                return self._with_the_image(source, project, folder, name, version)
            place, requires = self._requirements(project, folder, name)
            source = replace(source, build_requires=requires)
            with ThreadPoolExecutor(1) as pool:
                other = pool.submit(self._second, source, folder, place, name, version)
                first = self._made(place, project, folder / "first", name, version)
                second = other.result()
            built = self._adopt(first, source)
            if sha256_of(second) != built.sha256:
                files = ", ".join(wheel.differing(built.path, second)[:5])
                return replace(built, note=f"{name}: its build is not reproducible: {files} came out differently")
            self.memory.keep(source, self._circumstances(name), built)
            return built

    def _circumstances(self, name: str) -> list[object]:
        """Return what else than the source can change the bytes of a wheel."""
        if name in self.unisolated:
            return [interpreter.running().fingerprint]
        host, newer = this_host(), self.indexes.exclude_newer
        addresses = [address.url for address in self.indexes.addresses]
        of_its_day = newer.isoformat() if newer else None
        return [host.python_full_version, host.marker, of_its_day, addresses, sorted(self.image.items())]

    def _with_the_image(self, source: Source, project: Path, folder: Path, name: str, version: Version) -> BuiltWheel:
        image = interpreter.running()
        place = ImageEnvironment(folder / "environment", image, name=name)
        made = self._adopt(self._made(place, project, folder / "first", name, version), source, image.marker)
        built = replace(made, against=image.versions_of(imports.of(project, name=name)))
        self.memory.keep(source, self._circumstances(name), built)
        return built

    def _again(self, source: Source, expected: Wheel, name: str, version: Version) -> BuiltWheel:
        """Build what the lock names; the cache's copy is the same wheel, if it has one."""
        path = self.cache.find(expected.sha256, expected.size)
        if path is not None:
            return self._known(path, expected.filename, expected.sha256, source)
        marker = interpreter.running().marker if name in self.unisolated else this_host().marker
        if source.built_on not in {None, marker}:
            raise MisfitError(
                f"its wheel is compiled for {source.built_on}, this machine is {marker}",
                where=name,
                next="build in the chained kernel (kpack notebook), or give a wheel's path in packages",
            )
        with self.cache.temporary() as folder:
            filled, root = self._tree(source, folder / "source", name)
            project = tree.inside(root, source.subdirectory, name=name)
            place = self._environment(filled, folder, name)
            made = self._made(place, project, folder / "first", name, version)
            found = sha256_of(made)
            if found == expected.sha256 and made.name == expected.filename:
                return self._adopt(made, source)
            files = wheel.differing(made, self._second(filled, folder, place, name, version))
        why = (
            f"two builds here differ in {', '.join(files[:5])}"
            if files
            else "two builds here agree, so this machine's compiler or Python makes the difference"
        )
        raise IntegrityError(
            f"the build gives {made.name} with sha256 {found}, the lock says {expected.filename} with "
            f"{expected.sha256}; {why}",
            where=name,
            next="lock and build on one machine (its cache keeps the wheel), or give a wheel's path in packages",
        )

    def _tree(self, source: Source, folder: Path, name: str) -> tuple[Source, Path]:
        """Lay the sources out below ``folder``; return them with their digest and the root."""
        if source.kind == "directory":
            place = self.relative_to / source.url
            digest = tree.digest_of_folder(place)
            if source.sha256 not in {None, digest}:
                raise CheckFailed(
                    f"the folder {source.url} changed since it was locked", where=name, next="run kpack lock"
                )
            return replace(source, sha256=digest), tree.copy_folder(place, folder)
        if source.kind == "vcs":
            assert source.commit is not None
            if self.fetcher.offline and urlsplit(source.url).scheme != "git+file":
                raise _offline(name, source)
            return source, tree.check_out(self.fetcher.credentials.on(source.url), source.commit, folder)
        archive, digest = self._archive(source, name)
        folder.mkdir(parents=True)
        return replace(source, sha256=digest), tree.unpack(archive, folder, name=name)

    def _archive(self, source: Source, name: str) -> tuple[Path, str]:
        url = source.url
        if urlsplit(url).scheme not in {"http", "https", "file"}:
            url = (self.relative_to / url).absolute().as_uri()
        download = Download(name=name, urls=(url,), sha256=source.sha256)
        fetched = self.fetcher.fetch([download])[download]
        return (fetched.path if fetched.hashed else self.cache.path(fetched.sha256)), fetched.sha256

    def _requirements(self, project: Path, folder: Path, name: str) -> tuple[BuildEnvironment, tuple[Wheel, ...]]:
        """Choose what the build needs: what pyproject.toml says, then also what the backend says when it runs."""
        system = build_system(project, name=name)
        if self.fetcher.offline:
            raise MachineError(
                "--offline, and its build requirements are not locked yet", where=name, next="lock without --offline"
            )
        found = environment.resolve(system.requires, self.indexes, self.cache, name=name, image=self.image)
        self._weigh(found, name)
        self._announce(found, name)
        place = self._installed(found, folder / "environment", name)
        more = place.dynamic_requires(project, system)
        if not more:
            return place, found
        everything = [*system.requires, *more]
        found = environment.resolve(everything, self.indexes, self.cache, name=name, image=self.image)
        self._weigh(found, name)
        self._announce(found, name)
        return self._installed(found, folder / "whole-environment", name), found

    def _weigh(self, wheels: tuple[Wheel, ...], name: str) -> None:
        """Refuse to fetch what is large and for another Python than the targets': what it compiles would not fit."""
        here, size = this_host().python, sum(wheel.size or 0 for wheel in wheels)
        others = sorted(self.pythons - {here})
        if size < HEAVY or not others:
            return
        largest = sorted(wheels, key=lambda wheel: wheel.size or 0, reverse=True)[:NAMED]
        named = ", ".join(f"{wheel.filename} ({(wheel.size or 0) / 1e6:,.0f} MB)" for wheel in largest)
        raise MisfitError(
            f"its build needs {size / 1e9:.1f} GB of wheels for Python {here}, and the target has {others[0]}; nothing "
            f"of them was fetched: {named}",
            where=name,
            next=interpreter.WAYS_OUT,
        )

    def _announce(self, wheels: tuple[Wheel, ...], name: str) -> None:
        """Say what a build needs before it is fetched."""
        if not wheels:
            return
        size = sum(wheel.size or 0 for wheel in wheels)
        largest = sorted(wheels, key=lambda wheel: wheel.size or 0, reverse=True)
        named = ", ".join(f"{wheel.filename} ({(wheel.size or 0) / 1e6:,.1f} MB)" for wheel in largest[:NAMED])
        more = f" and {len(wheels) - NAMED} more" if len(wheels) > NAMED else ""
        sentence = f"the build of {name} needs {size / 1e6:,.1f} MB of wheels: {named}{more}"
        self.fetcher.tell(Announced(sentence=sentence))

    def _environment(self, source: Source, folder: Path, name: str) -> BuildEnvironment:
        """Make the environment of the locked requirements."""
        if name in self.unisolated:
            return ImageEnvironment(folder / "environment", interpreter.running(), name=name)
        wheels = source.build_requires
        if not environment.fits(wheels):
            # Locked on another Python: the same versions for this one; the wheel's digest is the judge.
            wheels = environment.resolve(environment.pinned(wheels), self.indexes, self.cache, name=name)
        return self._installed(wheels, folder / "environment", name)

    def _installed(self, wheels: tuple[Wheel, ...], folder: Path, name: str) -> BuildEnvironment:
        folder.mkdir()
        place = BuildEnvironment(folder, name=name)
        place.install(wheels, self.fetcher)
        return place

    def _second(self, source: Source, folder: Path, place: BuildEnvironment, name: str, version: Version) -> Path:
        """Build once more, from sources in another folder."""
        _, root = self._tree(source, folder / "again" / "source", name)
        return self._made(place, tree.inside(root, source.subdirectory, name=name), folder / "second", name, version)

    def _made(self, place: BuildEnvironment, project: Path, room: Path, name: str, version: Version) -> Path:
        """Build, and return the normalised wheel below ``room``."""
        self.fetcher.tell(Making(title=f"building {name} {version}"))
        room.mkdir()
        raw = place.wheel(project, room / "raw")
        out = room / "out"
        out.mkdir()
        wheel.normalise(raw, out / raw.name)
        wheel.facts(out / raw.name)
        _check_name(raw.name, name, version)
        return out / raw.name

    def _adopt(self, path: Path, source: Source, marker: str = "") -> BuiltWheel:
        filename, sha256 = path.name, sha256_of(path)
        facts = wheel.facts(path)
        built_on = None if facts.pure else marker or this_host().marker
        kept = self.cache.adopt(path, sha256, hashed=True)
        return BuiltWheel(
            path=kept,
            filename=filename,
            sha256=sha256,
            size=kept.stat().st_size,
            source=replace(source, built_on=built_on),
            pure=facts.pure,
            requires_dist=facts.requires_dist,
        )

    def _local_wheel(self, source: Source, expected: Wheel | None) -> BuiltWheel:
        """Keep a wheel that the user gives, byte for byte."""
        path = self.relative_to / source.url
        if expected is not None:
            cached = self.cache.find(expected.sha256, expected.size)
            if cached is not None and not path.exists():
                return self._known(cached, expected.filename, expected.sha256, source)
        if not path.is_file():
            raise MachineError("there is no such wheel", where=source.url, next="check the path in kaggle-env.toml")
        sha256 = sha256_of(path)
        if expected is not None and sha256 != expected.sha256:
            raise CheckFailed(f"the wheel {source.url} changed since it was locked", next="run kpack lock")
        with self.cache.temporary() as folder:
            copy = folder / path.name
            shutil.copyfile(path, copy)
            facts = wheel.facts(copy)
            size = copy.stat().st_size
            kept = self.cache.adopt(copy, sha256)
        return BuiltWheel(
            path=kept,
            filename=path.name,
            sha256=sha256,
            size=size,
            source=replace(source, sha256=sha256),
            pure=facts.pure,
            requires_dist=facts.requires_dist,
        )

    def _known(self, path: Path, filename: str, sha256: str, source: Source) -> BuiltWheel:
        return BuiltWheel(
            path=path,
            filename=filename,
            sha256=sha256,
            size=path.stat().st_size,
            source=source,
            pure=source.built_on is None,
            requires_dist=(),
        )


def _check_name(filename: str, name: str, version: Version) -> None:
    found, number, _, _ = parse_wheel_filename(filename)
    if (found, number) != (canonicalize_name(name), version):
        raise IntegrityError(
            f"the build gives {found} {number}, not {name} {version} as its index says",
            where=name,
            next="its own files are at odds with their index: take another version, or the URL of its repository "
            f"at that tag ({name} @ git+https://…@TAG), or give the path of a wheel of it in packages",
        )


def check_target(built: BuiltWheel, target: Target, *, name: str) -> None:
    """Refuse a wheel that the target cannot take.

    Raises:
        MisfitError: it names the two ways out.

    """
    tags = wheel.tags_of(built.filename)
    host = this_host()
    fits = bool(tags & frozenset(target.tags))
    needs = (0, 0) if built.pure or built.source.kind == "wheel" else _libc_of(built, host, target)
    if fits and needs is not None and needs <= target.glibc:
        return
    if built.source.kind == "wheel":
        what = (
            f"the wheel {built.filename} is not for {target.label} ({target.machine}, Python {target.python_version})"
        )
    else:
        libc = f", glibc {host.glibc[0]}.{host.glibc[1]}" if host.glibc else ""
        if needs and needs not in {(0, 0), host.glibc}:
            libc += f" of which it needs {needs[0]}.{needs[1]}"
        what = (
            f"its build gives {built.filename}: made here (Python {host.python}, {host.machine}{libc}), "
            f"not for {target.label} (Python {target.python_version}, {target.machine}, "
            f"glibc {'.'.join(map(str, target.glibc))})"
        )
    raise MisfitError(
        what,
        where=name,
        next="build in the chained kernel (kpack notebook), or give the path of a wheel for it in packages",
    )


def _libc_of(built: BuiltWheel, host: Host, target: Target) -> tuple[int, int] | None:
    """Return the release of glibc that a compiled wheel needs: what its symbols ask for, at the most this machine's.

    None where this machine has another C library.
    """
    if host.glibc is None or host.glibc <= target.glibc:
        return host.glibc
    from kpack.native import glibc

    return min(glibc.asked_for(built.path) or host.glibc, host.glibc)


def _offline(name: str, source: Source) -> MachineError:
    return MachineError(
        "--offline, and the wheel built from it is not in the cache",
        where=f"{name} ({shown(source.url)})",
        next="run once without --offline",
    )
