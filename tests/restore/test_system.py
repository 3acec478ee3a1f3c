"""System packages of a pack, unpacked to a folder of their own."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import lzma
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from kpack.debian import SystemPackage, content
from kpack.errors import IntegrityError
from kpack.pack.content import DebFile
from kpack.pack.read import read
from kpack.restore import deb, prefix, system
from kpack.restore.errors import INTEGRITY, MACHINE, MISFIT, RestoreError
from kpack.restore.manifest import PackedSystem
from kpack.restore.pack import Pack
from kpack.restore.scheme import for_target
from tests.restore import kit
from tests.support.debs import Deb, ar, tar
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from kpack.pack.writer import BuiltPack
    from kpack.restore.scheme import Scheme

TOOL = Deb(
    name="tool",
    version="1:2.0~rc1+b1",
    files={
        "usr/bin/tool*": b"#!/bin/sh\necho tool $TESSDATA_PREFIX\n",
        "lib/x86_64-linux-gnu/libtool.so.5.1": b"\x7fELF",
        "usr/lib/x86_64-linux-gnu/pulse/libcommon-16.1.so": b"\x7fELF",
        "usr/share/tesseract-ocr/5/tessdata/deu.traineddata": b"deu",
    },
    links={
        "lib/x86_64-linux-gnu/libtool.so.5": "libtool.so.5.1",
        "usr/bin/tool2": "/bin/tool",
        "usr/share/elsewhere": "/usr/share/doc",
    },
    scripts={"postinst": "touch /kpack-was-here"},
)


def pack(folder: Path, *debs: Deb, name: str = "tiny", apt: str | None = None, wheel: str = "one") -> BuiltPack:
    """Make a pack of system packages and one wheel."""
    files = [(item, item.write(folder / "debs")) for item in debs]
    packed = tuple(
        PackedSystem(item.name, item.version, item.architecture, f"debs/{path.name}", 100) for item, path in files
    )
    return kit.make_pack(
        folder,
        [make_wheel(folder / "w", wheel)],
        name=name,
        system=packed,
        apt=apt,
        debs=tuple(
            DebFile(filename=path.name, sha256=kit.sha256(path.read_bytes()), size=path.stat().st_size, path=path)
            for _, path in files
        ),
    )


def test_a_folder_of_its_own_has_programs_libraries_and_data_found(tmp_path: Path) -> None:
    made = pack(tmp_path, TOOL)
    after = (
        "import subprocess; print(os.environ['LD_LIBRARY_PATH']);"
        "print(subprocess.run(['tool'], stdout=-1).stdout.decode());"
        "print(os.path.realpath(__import__('shutil').which('tool2')))"
    )
    done = kit.good(sys.executable, made.path, target=str(tmp_path / "t"), after=after)
    home = next((tmp_path / "t/.kpack/system/tiny").iterdir())
    assert done.report["system"] == [{"name": "tool", "version": TOOL.version, "by": "prefix"}]
    assert done.printed == [
        f"{home}/usr/lib/x86_64-linux-gnu:{home}/usr/lib/x86_64-linux-gnu/pulse",
        f"tool {home}/usr/share/tesseract-ocr/5/tessdata",
        "",
        str(home / "usr/bin/tool"),
    ]
    assert (home / "usr/share/elsewhere").readlink().as_posix() == "/usr/share/doc"
    assert not os.path.lexists("/kpack-was-here")
    again = kit.good(sys.executable, made.path, target=str(tmp_path / "t"), after=after)
    assert not again.report["changed"]
    assert again.printed == done.printed


def test_a_folder_that_lost_a_file_is_filled_again(tmp_path: Path) -> None:
    made = pack(tmp_path, TOOL)
    kit.good(sys.executable, made.path, target=str(tmp_path / "t"))
    home = next((tmp_path / "t/.kpack/system/tiny").iterdir())
    (home / "usr/bin/tool").unlink()
    assert kit.good(sys.executable, made.path, target=str(tmp_path / "t")).report["changed"]
    assert (home / "usr/bin/tool").exists()


def test_a_newer_pack_takes_the_place_of_an_older_ones_folder(tmp_path: Path) -> None:
    target = str(tmp_path / "t")
    kit.good(sys.executable, pack(tmp_path / "old", TOOL).path, target=target)
    newer = dataclasses.replace(TOOL, version="1:3.0")
    kit.good(sys.executable, pack(tmp_path / "new", newer).path, target=target)
    assert len(list((tmp_path / "t/.kpack/system/tiny").iterdir())) == 1


def planned(made: BuiltPack, target: Path) -> tuple[Pack, Scheme, system.SystemPlan]:
    manifest = read(made.path).manifest
    scheme = for_target(str(target))
    found = system.plan(manifest, manifest.targets[0], scheme, kaggle=True, disposable=True)
    return Pack(str(made.path), manifest), scheme, found


def test_what_was_unpacked_goes_again_when_the_rest_of_the_restore_fails(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    opened, scheme, plan = planned(pack(tmp_path, TOOL), tmp_path / "t")

    def fail() -> None:
        with system.installing(plan, opened, scheme):
            assert (Path(plan.folder) / "usr/bin/tool").exists()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    opened.close()
    assert not (tmp_path / "t/.kpack/system").exists()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    return info


@pytest.mark.parametrize(
    ("entries", "code", "what"),
    [
        ([entry("../out")], INTEGRITY, "would write to"),
        ([entry("/etc/out")], INTEGRITY, "would write to"),
        ([entry("a\nb")], INTEGRITY, "would write to"),
        ([entry("dev/null", tarfile.CHRTYPE)], MISFIT, "only dpkg can make"),
        ([entry("pipe", tarfile.FIFOTYPE)], MISFIT, "only dpkg can make"),
        ([entry("x", tarfile.LNKTYPE, "../etc/passwd")], INTEGRITY, "would write to"),
        ([entry("x", tarfile.LNKTYPE, "y")], INTEGRITY, "is not there"),
    ],
)
def test_nothing_leaves_the_folder(tmp_path: Path, entries: list[tarfile.TarInfo], code: int, what: str) -> None:
    item = Deb(name="odd", more=entries)
    with pytest.raises(RestoreError, match=what) as caught:
        unpacked(tmp_path, item)
    assert caught.value.code == code
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "in"]
    assert list((tmp_path / "home").iterdir()) == []


@pytest.mark.parametrize(
    ("entries", "what"),
    [
        ([entry("./")], "no file can be named ''"),
        ([entry(".kpack-files")], "no file can be named '.kpack-files'"),
        ([entry("a/" + "n" * 256)], "no file can be named 'nnn"),
        ([entry("n" * 256 + "/a")], "no folder can be named 'nnn"),
        ([entry("a"), entry("a/b")], "its folder a is to take the place of a file"),
        ([entry("a"), entry("a/", tarfile.DIRTYPE)], "its folder a is to take the place of a file"),
        ([entry("a/b"), entry("a")], "its file a is to take the place of a folder"),
        ([entry("a", tarfile.SYMTYPE, "")], "its link a leads to ''"),
        ([entry("s", tarfile.SYMTYPE, "b"), entry("a", tarfile.LNKTYPE, "s")], "a is a link to s, which is not there"),
        ([entry("a"), entry("a", tarfile.LNKTYPE, "a")], "a is a link to a, which is not there"),
    ],
)
def test_what_dpkg_does_not_unpack_is_refused_where_the_pack_is_made(
    tmp_path: Path, entries: list[tarfile.TarInfo], what: str
) -> None:
    item = Deb(name="odd", more=entries)
    said = SystemPackage(name="odd", version="1.0", architecture="amd64", url="", size=0, sha256="")
    with pytest.raises(IntegrityError, match=what):
        content.read(item.write(tmp_path / "in"), said)
    with pytest.raises(RestoreError, match=what):
        unpacked(tmp_path, item)


def test_a_link_that_climbs_beyond_the_root_ends_there_as_on_any_system(tmp_path: Path) -> None:
    links = {"usr/share/in": "../../../../etc/x", "usr/share/out": "../../../../kpack-nowhere/x"}
    home = unpacked(tmp_path, Deb(name="a", files={"etc/x": b"x"}, links=links))
    assert (home / "usr/share/in").resolve() == home / "etc/x"
    assert (home / "usr/share/out").readlink().as_posix() == "/kpack-nowhere/x"


def test_files_of_a_folder_that_is_a_link_of_another_package_go_where_it_leads(tmp_path: Path) -> None:
    first = Deb(name="a", files={"usr/share/real/one": b"1"}, links={"usr/share/by": "far", "usr/share/far": "real"})
    loop = {"usr/share/l": "m", "usr/share/m": "l"}
    second = Deb(name="b", files={"usr/share/by/two": b"2", "usr/share/l/three": b"3"}, links=loop)
    home = unpacked(tmp_path, first, second)
    assert (home / "usr/share/real/two").read_bytes() == (home / "usr/share/by/two").read_bytes() == b"2"
    assert (home / "usr/share/by").is_symlink()
    assert (home / "usr/share/l/three").exists()
    assert prefix.whole(str(home))


def test_a_later_packages_link_takes_the_place_of_a_file(tmp_path: Path) -> None:
    home = unpacked(tmp_path, Deb(name="a", files={"usr/x": b"1"}), Deb(name="b", links={"usr/x": "y"}))
    assert (home / "usr/x").readlink().as_posix() == "y"
    assert prefix.whole(str(home))


def unpacked(folder: Path, *items: Deb) -> Path:
    debs = [(PackedSystem(i.name, i.version, "amd64", "", 1), str(i.write(folder / "in"))) for i in items]
    (folder / "home").mkdir()
    prefix.fill(str(folder / "home/x"), debs)
    return folder / "home/x"


def test_a_link_leads_no_later_entry_away_and_bits_of_other_users_are_left_out(tmp_path: Path) -> None:
    first = Deb(name="first", more=[entry("usr/a", tarfile.SYMTYPE, str(tmp_path)), entry("usr/s", mode=0o4755)])
    second = Deb(name="second", files={"usr/a/b": b"x"}, links={"usr/a/c": "b"})
    home = unpacked(tmp_path, first, second)
    assert (home / "usr/a/b").read_bytes() == b"x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home", "in"]
    assert (home / "usr/s").stat().st_mode & 0o7777 == 0o755


def test_of_two_files_of_one_name_the_later_packages_stays(tmp_path: Path) -> None:
    home = unpacked(tmp_path, Deb(name="a", files={"bin/x": b"1"}), Deb(name="b", files={"usr/bin/x": b"22"}))
    assert (home / "usr/bin/x").read_bytes() == b"22"
    assert prefix.whole(str(home))


GOOD = Deb(name="good", files={"usr/share/" + "long/" * 40 + "name": b"x" * 3000})


@pytest.mark.parametrize(
    ("compress", "suffix"),
    [
        (gzip.compress, ".gz"),
        (lzma.compress, ".xz"),
        (lambda data: lzma.compress(data) + bytes(8), ".xz"),
        (bz2.compress, ".bz2"),
        (bytes, ""),
    ],
)
def test_reads_what_the_standard_library_decompresses(tmp_path: Path, compress: Any, suffix: str) -> None:
    path = tmp_path / GOOD.filename
    path.write_bytes(GOOD.build(compress, suffix))
    assert deb.control(str(path)).fields["Version"] == "1.0"
    with deb.entries(str(path)) as found:
        sizes = {item.path: len(b"".join(pieces())) for item, pieces in found if item.kind == deb.FILE}
    assert sizes == {next(iter(GOOD.files)): 3000}


@pytest.mark.skipif(
    shutil.which("zstd") is None or shutil.which("dpkg-deb") is None, reason="zstd or dpkg-deb is not here"
)
def test_reads_zstd_by_python_3_14_or_dpkg_deb(tmp_path: Path) -> None:
    def compress(data: bytes) -> bytes:
        return subprocess.run(["zstd", "-c"], input=data, capture_output=True, check=True).stdout

    path = tmp_path / GOOD.filename
    path.write_bytes(GOOD.build(compress, ".zst"))
    assert deb.control(str(path)).fields["Package"] == "good"
    with deb.entries(str(path)) as found:
        assert sum(entry.size for entry, _ in found) == 3000
    path.write_bytes(GOOD.build(lambda data: compress(data)[:-4] + bytes(4), ".zst"))
    with pytest.raises(RestoreError, match=r"control\.tar\.zst (is damaged|cannot be read)|cut short") as caught:
        deb.control(str(path))
    assert caught.value.code == INTEGRITY


CONTROL = tar([(entry("./control"), b"")])


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"PK\3\4", "does not begin as an ar"),
        (b"!<arch>\nx", "none of an ar archive"),
        (ar({"debian-binary": b"3.0\n", "control.tar": CONTROL, "data.tar": CONTROL}), "format is not 2"),
        (ar({"debian-binary": b"2.0\n", "data.tar": CONTROL}), "in this order"),
        (ar({"debian-binary": b"2.0\n", "control.tar": CONTROL, "control.tar.gz": b""}), "in this order"),
        (ar({"debian-binary": b"2.0\n", "control.tar.gz": b"nothing of it"}), "cannot be read"),
        (ar({"debian-binary": b"2.0\n", "control.tar.xz": lzma.compress(CONTROL)[:-20]}), "cut short|cannot be read"),
        (ar({"debian-binary": b"2.0\n", "control.tar": CONTROL[:700]}), "cut short"),
        (ar({"debian-binary": b"2.0\n", "control.tar": b"x" + CONTROL[1:]}), "header in its archive is damaged"),
        (ar({"debian-binary": b"2.0\n", "control.tar": tar([(entry("x"), b"")])}), "no control file"),
        (ar({"debian-binary": b"2.0\n", "control.tar": tar([(entry("x", b"x"), b"")])}), "an entry of kind"),
        (GOOD.build()[:-200], "stands twice or is cut short"),
        (ar({"debian-binary": b"2.0 or so\n", "control.tar": CONTROL, "data.tar": CONTROL}), "format is not 2"),
        (ar({"debian-binary": b"2.0\n", "data.tar": CONTROL, "control.tar": CONTROL}), "in this order"),
        (ar({"debian-binary": b"2.0\n", "x": b"", "control.tar": CONTROL, "data.tar": CONTROL}), "in this order"),
        (ar({"debian-binary": b"2.0\n", "control.tar.bz2": bz2.compress(CONTROL), "data.tar": CONTROL}), "order"),
        (ar({"debian-binary": b"2.0\n", "control.tar.zst": b"", "data.tar": CONTROL}), "not compressed with zstd"),
        (GOOD.build(lambda data: lzma.compress(data, format=lzma.FORMAT_ALONE)), "control.tar.xz cannot be read"),
        (Deb(name="a", fields={"X-Y": "1\n\nPackage: b"}).build(), "more than one paragraph"),
        (Deb(name="a", scripts={"sub/postinst": ""}).build(), "has sub/postinst, which is no plain file"),
        (Deb(name="a", fields={"X-Y": "1\nPackage: b"}).build(), "says Package twice"),
    ],
)
def test_refuses_what_dpkg_deb_would_not_have_written(tmp_path: Path, data: bytes, what: str) -> None:
    path = tmp_path / "odd.deb"
    path.write_bytes(data)
    with pytest.raises(RestoreError, match=what) as caught:
        deb.control(str(path))
    assert caught.value.code == INTEGRITY


def test_refuses_a_path_longer_than_any(tmp_path: Path) -> None:
    path = Deb(name="long", more=[entry("a/" * 3000)]).write(tmp_path)
    with pytest.raises(RestoreError, match=r"has 60\d\d bytes"), deb.entries(str(path)) as found:
        list(found)


@pytest.mark.parametrize(
    ("apt", "disposable", "root", "road"),
    [
        (None, True, True, "dpkg"),
        (None, False, True, "prefix"),
        (None, True, False, "prefix"),
        ("prefix", True, True, "prefix"),
        ("dpkg", False, True, "prefix"),
        ("dpkg", True, False, ""),
    ],
)
def test_dpkg_changes_only_a_disposable_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, apt: str | None, disposable: bool, root: bool, road: str
) -> None:
    made = pack(tmp_path, TOOL, apt=apt)
    manifest = read(made.path).manifest
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setattr(system, "_wait", lambda: None)
    monkeypatch.setattr(system, "_installed", dict)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    scheme = for_target(str(tmp_path))._replace(target=None)
    if not road:
        with pytest.raises(RestoreError, match="needs root"):
            system.plan(manifest, manifest.targets[0], scheme, kaggle=True, disposable=disposable)
        return
    found = system.plan(manifest, manifest.targets[0], scheme, kaggle=True, disposable=disposable)
    assert found.road == road


def test_a_virtual_environment_is_on_somebodys_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read(pack(tmp_path, TOOL, apt="dpkg").path).manifest
    monkeypatch.setattr(sys, "prefix", "/venv")
    scheme = for_target(str(tmp_path))._replace(target=None)
    found = system.plan(manifest, manifest.targets[0], scheme, kaggle=True, disposable=True)
    assert (found.road, found.notes) == (
        "prefix",
        ["this machine's own packages are left alone: system packages are unpacked to a folder"],
    )


def dpkg(monkeypatch: pytest.MonkeyPatch, *rows: str) -> list[list[str]]:
    """Let dpkg-query say ``rows``, once a package of them is purged or removed no more; return what dpkg is told."""
    told: list[list[str]] = []

    def run(words: list[str]) -> subprocess.CompletedProcess[bytes]:
        if words[0] == "dpkg-query":
            gone = {name for words in told if words[1] in {"--purge", "--remove"} for name in words}
            said = "".join(f"{row}\n" for row in rows if row.partition("\t")[0] not in gone)
            return subprocess.CompletedProcess(words, 0, said.encode())
        told.append(words)
        return subprocess.CompletedProcess(words, 1, b"")

    monkeypatch.setattr(system, "_run", run)
    monkeypatch.setattr(shutil, "which", lambda name, **_: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "uname", lambda: os.uname_result(("Linux", "", "", "", "x86_64")))
    return told


def test_a_package_of_another_architecture_is_not_the_one_that_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pack(tmp_path, TOOL, GOOD)
    dpkg(monkeypatch, f"tool\tii \t{TOOL.version}\ti386", "good\tii \t1.0\tamd64", "good\tii \t1.0\ti386")
    assert [item.name for item in planned(made, tmp_path)[2].install] == ["tool"]


def test_it_is_said_that_a_package_on_hold_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = read(pack(tmp_path, TOOL, apt="dpkg").path).manifest
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(system, "_wait", lambda: None)
    scheme = for_target(str(tmp_path))._replace(target=None)
    for want, notes in (("h", ["tool 0.9 is on hold and is replaced all the same; that ends the hold"]), ("i", [])):
        dpkg(monkeypatch, f"tool\t{want}i \t0.9\tamd64")
        plan = system.plan(manifest, manifest.targets[0], scheme, kaggle=True, disposable=True)
        assert (plan.notes, plan.there) == (notes, {"tool": "0.9"})


def test_a_file_whose_name_this_locale_cannot_write_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    with pytest.raises(RestoreError, match=r"names files in iso8859-1, and the pack brings 'usr/\\xfc'") as caught:
        unpacked(tmp_path, Deb(name="a", files={"usr/ü": b"1"}))
    assert caught.value.code == MACHINE
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == []


def test_settings_that_a_removed_package_left_stay_when_a_restore_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pack(tmp_path, TOOL, GOOD)
    told = dpkg(monkeypatch, "tool\trc \t1:1.0\tamd64", "good\tun \t\tamd64")
    plan = planned(made, tmp_path)[2]
    assert [item.name for item in plan.install] == ["tool", "good"]
    assert plan.there == {}
    told = dpkg(monkeypatch, "tool\tii \t1:2.0\tamd64", "good\tiF \t1.0\tamd64")
    assert system._purge(plan) == ""
    assert told == [["dpkg", "--remove", "--force-depends", "tool"], ["dpkg", "--purge", "--force-depends", "good"]]


@pytest.mark.skipif(shutil.which("sleep") is None, reason="sleep is not here")
def test_a_service_that_a_maintainer_script_starts_holds_nothing_up() -> None:
    done = system._run(["sh", "-c", "sleep 60 & echo $!"])
    os.kill(int(done.stdout), signal.SIGKILL)  # it is there still


@pytest.mark.skipif(sys.platform != "linux", reason="only dpkg is waited for")
def test_who_holds_the_lock_of_dpkg_is_named_at_once_and_the_wait_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tmp_path.joinpath("lock-frontend").touch()
    tmp_path.joinpath("lock").touch()
    monkeypatch.setattr(system, "_DATABASE", str(tmp_path))
    system._wait()
    assert capsys.readouterr().err == ""
    code = (
        "import fcntl, sys; f = open('lock', 'r+'); fcntl.lockf(f, fcntl.LOCK_EX); print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()

        def pressed(_: float) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("time.sleep", pressed)
        with pytest.raises(KeyboardInterrupt):
            system._wait()
        told = capsys.readouterr().err
        assert f"(process {holder.pid}) is at work" in told
        assert "600 s at most" in told
        monkeypatch.setattr(system, "_PATIENCE", -1.0)
        with pytest.raises(RestoreError, match=rf"\(process {holder.pid}\) has been at work for") as caught:
            system._wait()
        assert (caught.value.code, caught.value.where) == (7, str(tmp_path / "lock"))
        assert holder.stdin is not None
        holder.stdin.close()


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"Depends": "a b"}, "has 'a b' in depends"),
        ({"Depends": "a,"}, "has '' in depends"),
        ({"Pre-Depends": "a (== 1)"}, "has 'a (== 1)' in pre-depends"),
        ({"Recommends": "a (>= 1:)"}, "in recommends"),
        ({"Conflicts": "a | b"}, "in conflicts"),
        ({"Multi-Arch": "junk"}, "dpkg knows no, same, foreign, allowed"),
        ({"Essential": "maybe"}, "dpkg knows yes, no"),
        ({"Status": "install ok installed"}, "of dpkg's database alone"),
        ({"#Depends": "a"}, "which is no field"),
        ({"Homepage": ""}, "ends with Homepage"),
    ],
)
def test_fields_that_dpkg_refuses_are_refused_before_it_is_asked(
    tmp_path: Path, fields: dict[str, str], why: str
) -> None:
    with pytest.raises(RestoreError) as told:
        deb.control(str(Deb(name="tool", fields=fields).write(tmp_path)))
    assert told.value.code == INTEGRITY
    assert why in told.value.what


def test_fields_that_dpkg_takes_are_taken(tmp_path: Path) -> None:
    depends = "a (>= 1:2~),\n b:any | c:amd64 (=1.0-1) ,\n\tlibstdc++6 (>> 13.1+b2)"
    fields = {"Depends": depends, "Multi-Arch": "Same", "Conflicts": "a, b", "Provides": "d (= 1)", "Essential": "no"}
    said = deb.control(str(Deb(name="tool", fields=fields).write(tmp_path)))
    assert said.fields["Multi-Arch"] == "Same"
    assert said.fields["Depends"] == "a (>= 1:2~),"


def test_an_archive_of_two_streams_and_a_path_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tool_1.0_amd64.deb"
    path.write_bytes(TOOL.build(lambda data: lzma.compress(data[:512]) + lzma.compress(data[512:])))
    with pytest.raises(RestoreError, match=r"something stands behind its one stream|cut short"):
        deb.control(str(path))
    long = Deb(name="tool", files={"/".join(["n" * 200] * 16): b""}).write(tmp_path)
    with pytest.raises(RestoreError, match="a path of it has"), deb.entries(str(long)) as entries:
        list(entries)
