"""Sources become wheels whose bytes come out the same again, from locked build requirements."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack import source as sources
from kpack.cache import Cache
from kpack.errors import CheckFailed, IntegrityError, MachineError, MisfitError, NetworkError, NoSolution, UsageError
from kpack.fetch import Announced, Event, Fetcher, Making
from kpack.files import sha256_of
from kpack.resolve.build_system import BuildSystem
from kpack.resolve.model import Pin, Resolution, Source, TargetResolution, Wheel
from kpack.resolve.wire import IndexAddress
from kpack.source import environment, interpreter, tree
from kpack.source.build import check_target
from kpack.source.built import BuiltWheel
from kpack.source.environment import Indexes
from kpack.source.host import this_host
from kpack.target import Target, marker_environment, supported_tags
from tests.source.conftest import PYPROJECT, Shop, project_files, sdist, write
from tests.support.elf import make_elf
from tests.support.kernels import environment as environment_of
from tests.support.long import listed
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path


def target(python: str = "3.12", machine: str = "x86_64", glibc: tuple[int, int] = (2, 35)) -> Target:
    return Target(
        base=None,
        python_version=python,
        python_full_version=f"{python}.0",
        machine=machine,
        glibc=glibc,
        environment=marker_environment(f"{python}.0", machine),
        tags=supported_tags(python, machine, glibc),
    )


def test_gigabytes_for_another_python_than_the_targets_are_named_and_not_fetched(
    own: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = Wheel(filename="torch-2.11.0-cp38-cp38-linux_x86_64.whl", sha256="0" * 64, size=900_000_000, url=None)
    monkeypatch.setattr(environment, "resolve", lambda *_, **_more: (torch,))
    with pytest.raises(MisfitError, match=r"needs 0\.9 GB of wheels for Python .*the target has 3\.7; .*torch.*900 MB"):
        own.builder(pythons={"3.7"}).build(own.project(), name="fork", version=Version("1.0"))


def test_what_a_build_needs_is_said_before_it_is_fetched(own: Shop) -> None:
    said: list[Event] = []
    builder = own.builder()
    builder.fetcher = Fetcher(own.cache, listener=said.append)
    builder.build(own.project(), name="fork", version=Version("1.0"))
    assert isinstance(said[0], Announced)
    assert said[0].sentence.startswith("the build of fork needs 0.0 MB of wheels: carelessbackend-1.0-py3-none-any.whl")
    assert said[-2:] == [Making(title="building fork 1.0")] * 2


def platform_tag() -> str:
    host = this_host()
    series = "cp" + host.python.replace(".", "")
    return f"{series}-{series}-linux_{host.machine}"


def test_folder_becomes_a_stored_wheel_with_its_build_requirements_locked(own: Shop) -> None:
    built = own.build(own.project(requires=["helper>=1"]))
    assert built.filename == "fork-1.0-py3-none-any.whl"
    assert (built.pure, built.note, built.source.built_on) == (True, None, None)
    assert built.requires_dist == ("helper>=1",)
    assert [wheel.filename for wheel in built.source.build_requires] == ["carelessbackend-1.0-py3-none-any.whl"]
    assert built.source.build_requires[0].url is not None
    assert sha256_of(built.path) == built.sha256
    assert built.wheel.url is None
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("src_fork.py") == b"X = 1\n"
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())


def test_wheel_is_the_same_from_another_folder_umask_zone_and_locale(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {
        f"src_{name}.txt": name
        for name in ("TZ", "LC_ALL", "PYTHONHASHSEED", "SOURCE_DATE_EPOCH", "HOME_SET", "PIP_FIND_LINKS", "MY_SECRET")
    }
    first = shop.build(shop.project(variables=variables))
    for name, value in {"TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": "7", "SOURCE_DATE_EPOCH": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MY_SECRET", "token")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    other = Shop(tmp_path / "elsewhere" / "deep", shop.index, Cache(tmp_path / "other-cache"))
    other.folder.mkdir(parents=True)
    old = os.umask(0o077)
    try:
        second = other.build(other.project(variables=variables))
    finally:
        os.umask(old)
    assert second.sha256 == first.sha256
    with zipfile.ZipFile(first.path) as archive:
        assert archive.read("src_MY_SECRET.txt") == b"unset"


def test_unchanged_source_is_not_built_again(shop: Shop) -> None:
    source = shop.project(requires=["other"])
    first = shop.build(source)
    asked = len(shop.index.requests)
    assert shop.build(source) == first
    assert len(shop.index.requests) == asked
    write(shop.folder / "fork", project_files())
    assert shop.build(source).sha256 != first.sha256


@pytest.mark.parametrize("name", listed(["fork-1.0.tar.gz", "fork-1.0.zip"], lambda name: name.endswith(".tar.gz")))
def test_archive_from_a_url_is_checked_then_built(shop: Shop, name: str) -> None:
    path = sdist(shop.folder / name, project_files())
    shop.index.add(path)
    url = f"{shop.index.root}/files/{name}"
    built = shop.build(Source(kind="sdist", url=url, sha256=sha256_of(path)))
    assert built.source.sha256 == sha256_of(path)
    folder = shop.build(shop.project("again"))
    assert folder.sha256 == built.sha256
    with pytest.raises(IntegrityError, match="0000"):
        shop.build(Source(kind="archive", url=url, sha256="0" * 64))


def test_archive_without_a_digest_is_locked_with_the_one_it_has(shop: Shop) -> None:
    path = sdist(shop.folder / "fork-1.0.zip", project_files(), top="fork-abc123/")
    built = shop.build(Source(kind="archive", url="fork-1.0.zip"))
    assert built.source.sha256 == sha256_of(path)


def test_subdirectory_of_an_archive_is_built(shop: Shop) -> None:
    files = {f"python/{name}": text for name, text in project_files().items()}
    sdist(shop.folder / "fork.zip", files)
    built = shop.build(Source(kind="archive", url="fork.zip", subdirectory="python"))
    assert built.filename.startswith("fork-1.0")
    with pytest.raises(UsageError, match="no folder"):
        shop.build(Source(kind="archive", url="fork.zip", subdirectory="none"))
    with pytest.raises(UsageError, match="no folder"):
        shop.build(Source(kind="archive", url="fork.zip", subdirectory="../.."))
    sdist(shop.folder / "none.zip", {"README": ""})
    with pytest.raises(UsageError, match=r"neither pyproject\.toml"):
        shop.build(Source(kind="archive", url="none.zip"))


def test_archive_that_is_none_is_refused(shop: Shop) -> None:
    (shop.folder / "fork.zip").write_bytes(b"not an archive")
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        shop.build(Source(kind="archive", url="fork.zip"))


def test_archive_with_an_entry_outside_its_folder_is_refused(shop: Shop) -> None:
    sdist(shop.folder / "fork.tar.gz", {"evil": "x"}, top="../")
    with pytest.raises(IntegrityError, match="outside"):
        shop.build(Source(kind="archive", url="fork.tar.gz"))
    assert not (shop.cache.root / "tmp" / "evil").exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_full_disk_is_no_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def full(*_: object, **_more: object) -> None:
        raise OSError(number, "full")

    archive = sdist(tmp_path / "fork.tar.gz", project_files())
    monkeypatch.setattr("tarfile.TarFile.extractall", full)
    with pytest.raises(MachineError, match="full"):
        tree.unpack(archive, tmp_path / "out", name="fork")


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    archive = sdist(tmp_path / "fork.zip", {"setup.py": "x"})
    data = archive.read_bytes()
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        place = data.index(mark) + offset
        data = data[:place] + b"\x01" + data[place + 1 :]
    archive.write_bytes(data)
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        tree.unpack(archive, tmp_path / "out", name="fork")


def git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@localhost", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def repository(folder: Path) -> str:
    """Make a repository of the project, and return its first commit."""
    write(folder, project_files())
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return git(folder, "rev-parse", "HEAD")


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git")


@needs_git
def test_repository_is_built_at_its_commit(shop: Shop) -> None:
    commit = repository(shop.folder / "repo")
    write(shop.folder / "repo", project_files(code="X = 2\n"))
    git(shop.folder / "repo", "commit", "-qam", "two")
    url = "git+" + (shop.folder / "repo").as_uri()
    built = shop.build(Source(kind="vcs", url=url, commit=commit, revision="main"))
    with zipfile.ZipFile(built.path) as archive:
        assert archive.read("src_fork.py") == b"X = 1\n"
    assert shop.build(Source(kind="vcs", url=url, commit=commit)).sha256 == built.sha256
    with pytest.raises(NetworkError, match="git failed"):
        shop.build(Source(kind="vcs", url=url, commit="0" * 40))


@needs_git
def test_commit_that_no_branch_has_is_checked_out(tmp_path: Path) -> None:
    repository(tmp_path / "repo")
    git(tmp_path / "repo", "checkout", "-q", "--detach")
    write(tmp_path / "repo", project_files(code="X = 7\n"))
    git(tmp_path / "repo", "commit", "-qam", "a pull request")
    commit = git(tmp_path / "repo", "rev-parse", "HEAD")
    git(tmp_path / "repo", "update-ref", "refs/pull/7/head", commit)
    git(tmp_path / "repo", "checkout", "-q", "-")
    folder = tree.check_out("git+" + (tmp_path / "repo").as_uri(), commit, tmp_path / "out")
    assert (folder / "src_fork.py").read_text() == "X = 7\n"


@needs_git
def test_what_git_says_is_passed_on_without_the_password(shop: Shop) -> None:
    with pytest.raises(NetworkError, match="git failed") as caught:
        shop.build(Source(kind="vcs", url="git+http://me:s3cret@127.0.0.1:9/r", commit="0" * 40))
    assert "s3cret" not in str(caught.value.to_dict())


@needs_git
def test_repository_of_a_surrounding_hook_is_left_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = repository(shop.folder / "repo")
    (shop.folder / "other").mkdir()
    git(shop.folder / "other", "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(shop.folder / "other" / ".git"))
    built = shop.build(Source(kind="vcs", url="git+" + (shop.folder / "repo").as_uri(), commit=commit))
    assert built.filename == "fork-1.0-py3-none-any.whl"
    assert shop.build(Source(kind="directory", url="repo")).sha256 == built.sha256


@needs_git
def test_only_gits_usual_transports_are_used(shop: Shop) -> None:
    with pytest.raises(UsageError, match="cannot build from it"):
        shop.build(Source(kind="vcs", url="git+ext::sh -c evil", commit="0" * 40))


@needs_git
def test_ignored_files_of_a_repository_do_not_count(shop: Shop) -> None:
    repository(shop.folder / "repo")
    (shop.folder / "repo" / ".gitignore").write_text("scratch\n")
    first = shop.build(Source(kind="directory", url="repo"))
    (shop.folder / "repo" / "scratch").write_text("x")
    assert shop.build(first.source, expected=first.wheel).sha256 == first.sha256
    assert shop.build(Source(kind="directory", url="repo")) == first


def test_what_the_backend_asks_for_when_it_runs_is_locked_too(shop: Shop) -> None:
    built = shop.build(shop.project(dynamic=["helper"], **{"import": "helper"}))
    assert [wheel.filename.split("-")[0] for wheel in built.source.build_requires] == ["carelessbackend", "helper"]


@pytest.mark.parametrize(
    ("code", "wanted"),
    [
        ("import atexit\natexit.register(print, 'the last word')\nx = print('[')", ("helper",)),
        ("import os\nos._exit(0)", None),
        ("import sys\nsys.exit()", None),
    ],
)
def test_what_a_backend_prints_is_no_answer(tmp_path: Path, code: str, wanted: tuple[str, ...] | None) -> None:
    write(tmp_path, {"backend.py": f"def get_requires_for_build_wheel(_):\n    return ['helper']\n{code}\n"})
    place = environment.ImageEnvironment(tmp_path / "environment", interpreter.running(), name="fork")
    system = BuildSystem(requires=(), backend="backend", backend_path=(".",))
    if wanted is not None:
        assert place.dynamic_requires(tmp_path, system) == wanted
        return
    with pytest.raises(MachineError, match="ended without an answer"):
        place.dynamic_requires(tmp_path, system)


@pytest.mark.parametrize(
    ("promised", "given", "kept"),
    [
        ((), ("ghost",), False),
        ((), ('ghost; python_version >= "3"',), False),
        ((), ('ghost; python_version < "3"',), True),
        ((), ('ghost; extra == "x"',), True),
        (("Ghost.Two >=1,<2",), ("ghost-two<2,>=1",), True),
        (("ghost",), (), True),
    ],
)
def test_a_build_needs_nothing_that_its_sdist_does_not_promise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, promised: tuple[str, ...], given: tuple[str, ...], kept: bool
) -> None:
    source = Source(kind="sdist", url="https://h/fork-1.0.tar.gz", sha256="0" * 64)
    pin = Pin(
        name=canonicalize_name("fork"), version=Version("1.0"), wheel=None, needed_by=(), source=source,
        requires_dist=promised,
    )  # fmt: skip
    made = BuiltWheel(
        path=tmp_path, filename="fork-1.0-py3-none-any.whl", sha256="1" * 64, size=1, source=source, pure=True,
        requires_dist=given,
    )  # fmt: skip
    monkeypatch.setattr("kpack.source.build.Builder.build", lambda *_, **__: made)
    found = Resolution(targets=(TargetResolution(target=target(), packed=(pin,), from_base=()),))
    fetcher = Fetcher(Cache(tmp_path / "cache"))
    if kept:
        assert sources.fill(environment_of(), found, fetcher).targets[0].packed[0].wheel == made.wheel
        return
    with pytest.raises(IntegrityError, match=r"needs ghost.* of which its PKG-INFO says nothing"):
        sources.fill(environment_of(), found, fetcher)
    sources.fill(environment_of(no_deps=(canonicalize_name("fork"),)), found, fetcher)


def test_build_sees_nothing_but_its_locked_requirements(shop: Shop) -> None:
    with pytest.raises(MachineError, match="No module named 'helper'") as caught:
        shop.build(shop.project(**{"import": "helper"}))
    assert caught.value.where == "fork"


def test_files_named_as_modules_of_the_standard_library_are_not_imported(shop: Shop) -> None:
    source = shop.project(dynamic=["helper"])
    for name in ("json", "importlib", "logging", "typing", "runpy"):
        (shop.folder / "fork" / f"{name}.py").write_text("raise SystemExit('this is the project')\n")
    built = shop.build(source)
    assert {wheel.filename for wheel in built.source.build_requires} == {
        "carelessbackend-1.0-py3-none-any.whl",
        "helper-1.0-py3-none-any.whl",
    }


def test_build_does_not_see_what_kpack_runs_with(shop: Shop) -> None:
    with pytest.raises(MachineError, match="No module named 'click'"):
        shop.build(shop.project(**{"import": "click"}))


def test_what_a_failing_build_says_is_passed_on(shop: Shop) -> None:
    with pytest.raises(MachineError, match="the compiler is on strike") as caught:
        shop.build(shop.project(fail="the compiler is on strike"))
    assert "╰─>" not in caught.value.what


def test_build_requirement_without_a_wheel_is_no_solution(shop: Shop) -> None:
    with pytest.raises(NoSolution) as caught:
        shop.build(shop.project(pyproject=PYPROJECT.replace("carelessbackend", "nothere", 1)))
    assert caught.value.what.startswith("it needs ")
    assert caught.value.where == "the build of fork"
    assert caught.value.next.startswith("take another version of fork, or give the URL or path of a prebuilt wheel")


def test_build_requirements_count_by_their_markers(own: Shop) -> None:
    own.index.add(make_wheel(own.folder.parent / "old", "helper", "0.9"))
    lines = "\"helper==0.9; python_version < '3'\", \"helper>=1; python_version >= '3'\""
    built = own.build(own.project(pyproject=PYPROJECT.replace('"]', f'", {lines}]', 1)))
    assert [wheel.filename for wheel in built.source.build_requires][1].startswith("helper-1.0")


@pytest.mark.parametrize("line", ["helper >= 2x", "helper; python_version ~= 'x'"])
def test_build_requirement_that_is_none_is_told(shop: Shop, line: str) -> None:
    with pytest.raises(UsageError, match=r"its build requires .helper.*which is no valid requirement"):
        shop.build(shop.project(pyproject=PYPROJECT.replace('"]', f'", "{line}"]', 1)))


def test_build_requirements_are_of_the_day_that_exclude_newer_names(own: Shop, tmp_path: Path) -> None:
    newer = make_wheel(tmp_path / "wheels", "helper", "2.0", files={"helper.py": "X = 2\n"})
    own.index.add(newer, upload_time="2026-06-01T00:00:00Z")
    source = own.project(pyproject=PYPROJECT.replace('"]', '", "helper"]', 1))
    indexes = Indexes(addresses=(IndexAddress(url=own.index.url),), exclude_newer=datetime(2026, 2, 1, tzinfo=UTC))
    old = own.build(source, indexes=indexes)
    assert [wheel.filename for wheel in old.source.build_requires][1].startswith("helper-1.0")
    assert [wheel.filename for wheel in own.build(source).source.build_requires][1].startswith("helper-2.0")


def test_build_takes_the_images_version_of_what_it_needs_where_it_may(own: Shop, tmp_path: Path) -> None:
    for version in ("2.0", "2.4"):
        own.index.add(make_wheel(tmp_path / version, "numbers", version))
    free = PYPROJECT.replace('"carelessbackend"]', '"carelessbackend", "numbers"]')
    source = own.project("free", pyproject=free)
    for image, taken in (({"numbers": "2.0"}, "2.0"), ({"numbers": "1.9"}, "2.4"), ({}, "2.4")):
        built = own.build(source, image=image)
        assert f"numbers-{taken}-py3-none-any.whl" in [wheel.filename for wheel in built.source.build_requires]


def test_compiled_requirement_of_another_version_than_the_images_is_said() -> None:
    requires = tuple(
        Wheel(filename=filename, sha256="0" * 64, size=1, url=None)
        for filename in ("numbers-2.4-cp311-cp311-linux_x86_64.whl", "setuptools-80.0-py3-none-any.whl")
    )
    pin = Pin(
        name=canonicalize_name("fork"),
        version=Version("1.0"),
        wheel=Wheel(filename="fork-1.0-cp311-cp311-linux_x86_64.whl", sha256="0" * 64, size=1, url=None),
        needed_by=(),
        source=Source(kind="directory", url="fork", build_requires=requires),
    )
    (said,) = sources._unlike(pin, {"numbers": "2.0", "setuptools": "75.0"})
    assert "fork was built with numbers 2.4" in said
    assert "the image has numbers 2.0" in said
    assert not [*sources._unlike(pin, {"numbers": "2.4"})]


def test_wheel_is_rebuilt_from_locked_requirements_though_newer_ones_came(own: Shop, tmp_path: Path) -> None:
    built = own.build(own.project())
    own.index.add(make_wheel(tmp_path / "wheels", "carelessbackend", "9.9", files={"carelessbackend.py": "no"}))
    fresh = Shop(own.folder, own.index, Cache(tmp_path / "fresh"))
    again = fresh.build(built.source, expected=built.wheel)
    assert (again.sha256, again.filename) == (built.sha256, built.filename)
    assert not any(path.startswith("/simple") and "careless" in path for path in own.index.requests[-2:])


def test_rebuild_needs_no_network_when_the_requirements_are_cached(shop: Shop) -> None:
    built = shop.build(shop.project())
    built.path.unlink()
    asked = len(shop.index.requests)
    again = shop.build(built.source, expected=built.wheel, offline=True)
    assert again.sha256 == built.sha256
    assert len(shop.index.requests) == asked


def test_damaged_build_requirement_is_refused(shop: Shop) -> None:
    built = shop.build(shop.project())
    path = shop.cache.path(built.source.build_requires[0].sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    built.path.unlink()
    with pytest.raises(IntegrityError, match="damaged"):
        shop.build(built.source, expected=built.wheel)


def test_cached_wheel_is_not_built_again(shop: Shop) -> None:
    built = shop.build(shop.project())
    shutil.rmtree(shop.folder / "fork")
    assert shop.build(built.source, expected=built.wheel).path == built.path


def test_folder_that_changed_since_the_lock_is_exit_1(shop: Shop) -> None:
    built = shop.build(shop.project())
    built.path.unlink()
    write(shop.folder / "fork", project_files(code="X = 2\n"))
    with pytest.raises(CheckFailed, match="changed since it was locked"):
        shop.build(built.source, expected=built.wheel)


def test_unreproducible_build_is_said_at_lock_and_refused_later_by_the_files_name(shop: Shop) -> None:
    built = shop.build(shop.project(random=["stamp.txt"]))
    assert built.note is not None
    assert "stamp.txt came out differently" in built.note
    assert shop.build(built.source, expected=built.wheel).path == built.path
    built.path.unlink()
    with pytest.raises(IntegrityError, match=r"two builds here differ in stamp\.txt") as caught:
        shop.build(built.source, expected=built.wheel)
    assert built.sha256 in caught.value.what


def test_build_that_another_machine_does_differently_is_refused(shop: Shop) -> None:
    built = shop.build(shop.project())
    with pytest.raises(IntegrityError, match="two builds here agree"):
        shop.build(built.source, expected=replace(built.wheel, sha256="0" * 64))


def test_other_name_or_version_than_locked_is_refused(shop: Shop) -> None:
    with pytest.raises(IntegrityError, match=r"the build gives fork 1\.0, not fork 2\.0"):
        shop.build(shop.project(), version="2.0")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux wheel")
def test_compiled_wheel_fits_only_where_host_and_target_match(shop: Shop) -> None:
    host = this_host()
    assert host.glibc is not None
    built = shop.build(shop.project(tag=platform_tag()))
    assert not built.pure
    assert built.source.built_on == host.marker
    check_target(built, target(host.python, host.machine, host.glibc), name="fork")
    other = "3.9" if host.python != "3.9" else "3.10"
    for wrong in (
        target(other, host.machine, host.glibc),
        target(host.python, "aarch64" if host.machine == "x86_64" else "x86_64", host.glibc),
    ):
        with pytest.raises(MisfitError) as caught:
            check_target(built, wrong, name="fork")
        assert "chained kernel" in caught.value.next
        assert "path of a wheel" in caught.value.next
        assert caught.value.to_dict()["code"] == 6


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a Linux wheel")
def test_compiled_wheel_fits_an_older_glibc_that_has_all_its_symbols(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = replace(this_host(), glibc=(2, 36))
    made = shop.build(shop.project(tag=platform_tag()))
    monkeypatch.setattr("kpack.source.build.this_host", lambda: host)
    older = target(host.python, host.machine, (2, 35))

    def checked(*symbols: str, where: Target = older) -> None:
        elf = make_elf(versions={"libc.so.6": symbols} if symbols else {})
        path = make_wheel(tmp_path, "fork", files={"_fork.so": elf, "fork.txt": "not ELF"}, tag=platform_tag())
        check_target(replace(made, path=path), where, name="fork")

    checked()
    checked("GLIBC_2.2.5", "GLIBC_2.34")
    for symbol in ("GLIBC_2.36", "GLIBC_ABI_DT_RELR", "GLIBC_PRIVATE"):
        with pytest.raises(MisfitError, match=r"made here \(Python .*, glibc 2\.36\), not for .*, glibc 2\.35\)"):
            checked("GLIBC_2.17", symbol)
    with pytest.raises(MisfitError, match=r"glibc 2\.36 of which it needs 2\.34"):
        checked("GLIBC_2.34", where=target(host.python, host.machine, (2, 28)))
    torn = make_wheel(tmp_path, "fork", files={"_fork.so": make_elf()[:80]}, tag=platform_tag())
    with pytest.raises(MisfitError):
        check_target(replace(made, path=torn), older, name="fork")
    monkeypatch.setattr("kpack.source.build.this_host", lambda: replace(host, glibc=None))
    with pytest.raises(MisfitError):
        checked()


def test_compiled_wheel_of_another_host_is_not_rebuilt_here(shop: Shop) -> None:
    built = shop.build(shop.project(tag=platform_tag()))
    built.path.unlink()
    with pytest.raises(MisfitError, match="compiled for cp27-linux_vax"):
        shop.build(replace(built.source, built_on="cp27-linux_vax"), expected=built.wheel)


def test_pure_wheel_fits_every_target(shop: Shop) -> None:
    built = shop.build(shop.project())
    for python, machine in (("3.8", "x86_64"), ("3.13", "aarch64")):
        check_target(built, target(python, machine), name="fork")


def test_local_wheel_is_kept_byte_for_byte(shop: Shop) -> None:
    path = make_wheel(shop.folder, "fork")
    source = Source(kind="wheel", url=path.name)
    built = shop.build(source)
    assert built.path.read_bytes() == path.read_bytes()
    assert built.source.sha256 == sha256_of(path)
    assert shop.build(built.source, expected=built.wheel).sha256 == built.sha256
    make_wheel(shop.folder, "fork", files={"fork.py": "changed"})
    with pytest.raises(CheckFailed, match="changed since"):
        shop.build(built.source, expected=built.wheel)
    path.unlink()
    assert shop.build(built.source, expected=built.wheel).path == built.path
    built.path.unlink()
    with pytest.raises(MachineError, match="no such wheel"):
        shop.build(built.source, expected=built.wheel)


def test_locked_requirements_of_another_python_are_taken_in_the_same_version(own: Shop, tmp_path: Path) -> None:
    for tag in ("cp27-cp27m-manylinux1_x86_64", "py3-none-any"):
        own.index.add(make_wheel(tmp_path / "w", "helper", "1.5", files={"helper.py": "X = 1\n"}, tag=tag))
    built = own.build(own.project(dynamic=["helper"], **{"import": "helper"}))
    elsewhere = tuple(
        replace(wheel, filename=wheel.filename.replace("py3-none-any", "cp27-cp27m-manylinux1_x86_64"), sha256="1" * 64)
        if wheel.filename.startswith("helper")
        else wheel
        for wheel in built.source.build_requires
    )
    built.path.unlink()
    again = own.build(replace(built.source, build_requires=elsewhere), expected=built.wheel)
    assert again.sha256 == built.sha256


@pytest.mark.index
def test_real_setuptools_builds_a_project_with_setup_py_alone(own: Shop) -> None:
    write(
        own.folder / "old",
        {"setup.py": "from setuptools import setup\nsetup(name='old', version='1', py_modules=['m'])\n"},
    )
    (own.folder / "old" / "m.py").write_text("")
    built = own.build(Source(kind="directory", url="old"), name="old", version="1", indexes=Indexes())
    assert built.note is None
    assert [wheel.filename.split("-")[0] for wheel in built.source.build_requires] == ["setuptools"]
