"""State that anybody may have written: it is believed only of places where kpack writes."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack.restore.journal import Places, believed, loads, recorded
from kpack.restore.moves import make_folders, remove
from kpack.restore.scheme import for_target
from tests.restore import kit
from tests.restore.kills import HOOK, KILL
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

HERE = ["{}.{}".format(*sys.version_info[:2])]
RUN = "0123456789abcdef"


def journal(**fields: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        key: [] for key in ("folders", "files", "metadata", "aside", "staging", "emptied", "witnesses")
    }
    return {"format": 2, "run": RUN, "id": "x", "name": "tiny", **empty, **fields}


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE).path


@pytest.fixture
def target(tmp_path: Path) -> Path:
    folder = tmp_path / "target"
    (folder / ".kpack").mkdir(parents=True)
    return folder


def victim(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "precious").write_text("of the user")
    (folder / "folder").mkdir()
    (folder / "folder/precious").write_text("of the user, too")
    return folder


PLANTED: dict[str, Any] = {
    "files": {"files": ["{home}/precious"]},
    "climbing files": {"files": ["{target}/../home/precious"]},
    "files through a link": {"files": ["{target}/link/precious"]},
    "files of the state": {"files": ["{target}/.kpack/lock"]},
    "metadata": {"metadata": ["{home}/folder"]},
    "metadata elsewhere": {"metadata": ["{home}/folder.dist-info"]},
    "staging": {"staging": ["{home}/folder"]},
    "aside over a file": {"aside": [["{home}/precious", "{target}/.kpack/aside/0"]]},
    "aside from elsewhere": {"aside": [["{target}/x", "{home}/precious"]]},
    "emptied": {"emptied": ["{home}/folder"]},
    "witnesses": {"witnesses": ["{home}/precious"]},
    "types": {"files": [1]},
    "no lists": {"files": {"a": "b"}},
    "no pairs": {"aside": ["ab"]},
    "run": {"run": "../../x"},
    "nul": {"files": ["{home}/precious\0"], "emptied": ["\0"]},
}


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_journal_touches_nothing(kind: str, pack: Path, target: Path, tmp_path: Path) -> None:
    home = victim(tmp_path)
    (target / "link").symlink_to(home)
    (target / ".kpack/aside").mkdir()
    (target / ".kpack/aside/0").write_text("of the attacker")
    text = json.dumps(journal(**PLANTED[kind])).replace("{home}", str(home)).replace("{target}", str(target))
    (target / ".kpack/journal.json").write_text(text)
    before = kit.listing(home)
    done = kit.restore(sys.executable, pack, target=str(target))
    assert (done.code, done.error["code"]) == (7, 7), done.out + done.err
    assert "nothing was touched" in done.error["what"]
    assert "remove the file" in done.error["next"]
    assert kit.listing(home) == before
    assert (target / ".kpack/aside/0").read_text() == "of the attacker"
    (target / ".kpack/journal.json").unlink()
    kit.good(sys.executable, pack, target=str(target))


@pytest.mark.parametrize("name", ["journal.json", "mark-tiny.json", "mark-other.json", "lock"])
def test_a_pipe_in_the_state_is_not_waited_for(name: str, pack: Path, target: Path) -> None:
    os.mkfifo(target / ".kpack" / name)
    done = kit.restore(sys.executable, pack, target=str(target))
    assert done.code == 7, done.out + done.err
    assert name in done.error["where"]


@pytest.mark.parametrize("name", ["journal.json.part", "mark-tiny.json.part"])
def test_a_planted_temporary_name_is_not_written_through(name: str, pack: Path, target: Path, tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("of the user")
    (target / ".kpack" / name).symlink_to(tmp_path / "precious")
    kit.good(sys.executable, pack, target=str(target))
    assert (tmp_path / "precious").read_text() == "of the user"


@pytest.mark.parametrize("to", ["folder", "nowhere"])
def test_a_state_folder_that_is_a_link_is_refused(to: str, pack: Path, target: Path, tmp_path: Path) -> None:
    home = victim(tmp_path)
    (target / ".kpack").rmdir()
    (target / ".kpack").symlink_to(home / to)
    done = kit.restore(sys.executable, pack, target=str(target))
    assert done.code == 7, done.out + done.err
    assert "not a folder" in done.error["what"]
    assert [path.name for path in (home / "folder").iterdir()] == ["precious"]


@pytest.mark.parametrize("name", ["new", "aside"])
def test_a_planted_staging_folder_is_not_written_into(name: str, pack: Path, target: Path, tmp_path: Path) -> None:
    home = victim(tmp_path)
    before = kit.listing(home)
    (target / ".kpack" / name).symlink_to(home / "folder")
    assert kit.restore(sys.executable, pack, target=str(target)).code in (0, 6)
    assert kit.listing(home) == before


MARKS: dict[str, Any] = {
    "no text": {"run": 1},
    "rows": {"installed": [["a"]]},
    "keys": {"installed": [{"name": "thing", "version": "1"}]},
    "elsewhere": {"installed": [{"name": "thing", "version": "1", "info": "/etc/thing-1.dist-info"}]},
    "sizes": {"checkpoints": [{"path": "/x", "sha256": "y", "size": "1", "modified": 1, "changed": 1, "inode": 1}]},
    "another pack's": {"name": "other"},
}


@pytest.mark.parametrize("kind", MARKS)
def test_a_mark_that_kpack_did_not_write_is_named(kind: str, pack: Path, target: Path) -> None:
    mark = {"format": 2, "run": RUN, "id": "x", "name": "tiny", "target": "t", "installed": [], "checkpoints": []}
    (target / ".kpack/mark-tiny.json").write_text(json.dumps({**mark, **MARKS[kind]}))
    done = kit.restore(sys.executable, pack, target=str(target))
    assert done.code == 7, done.out + done.err
    assert "mark-tiny.json" in done.error["where"]


def test_a_mark_of_the_first_format_is_read_and_vouches_for_no_checkpoint(tmp_path: Path) -> None:
    """Environments that kpack 0.1 restored into go on."""
    thing = make_wheel(tmp_path, "thing")
    pack = kit.make_pack(tmp_path / "pack", [thing], series=HERE, checkpoints={"weights": b"right"}).path
    target = tmp_path / "target"
    kit.good(sys.executable, pack, target=str(target))
    place = target / ".kpack/mark-tiny.json"
    mark = json.loads(place.read_text())
    for row in mark["checkpoints"]:
        del row["changed"], row["inode"]
    place.write_text(json.dumps({**mark, "format": 1}))
    assert not kit.good(sys.executable, pack, target=str(target)).report["changed"]
    newer = kit.make_pack(tmp_path / "newer", [thing], series=HERE, checkpoints={"weights": b"newer"}).path
    assert kit.good(sys.executable, newer, target=str(target)).report["changed"]
    assert (target / "weights").read_bytes() == b"newer"
    place.write_text(json.dumps({**json.loads(place.read_text()), "format": 1}))
    (target / "weights").write_bytes(b"mine!")
    assert kit.restore(sys.executable, newer, target=str(target)).code == 6


def test_a_mark_vouches_for_no_checkpoint_that_was_edited(tmp_path: Path) -> None:
    """Even with its size and times kept: the time of the last change cannot be set."""
    pack = kit.make_pack(tmp_path / "pack", [], series=HERE, checkpoints={"weights": b"right"}).path
    target = tmp_path / "target"
    kit.good(sys.executable, pack, target=str(target))
    weights = target / "weights"
    status = weights.stat()
    weights.write_bytes(b"wrong")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = kit.restore(sys.executable, pack, target=str(target))
    assert done.code == 6, done.out
    assert "a different file is where a checkpoint belongs" in done.error["what"]
    weights.write_bytes(b"right")
    assert not kit.good(sys.executable, pack, target=str(target)).report["changed"]


def test_a_checkpoint_that_two_packs_have_put_in_one_place_is_known_by_either(tmp_path: Path) -> None:
    target = str(tmp_path / "target")
    for name, content in (("one", b"1"), ("two", b"1"), ("one", b"2"), ("one", b"3"), ("two", b"4")):
        pack = kit.make_pack(tmp_path / name, [], name=name, series=HERE, checkpoints={"w": content}).path
        kit.good(sys.executable, pack, target=target)
        assert (tmp_path / "target" / "w").read_bytes() == content


@pytest.mark.parametrize(("content", "damaged"), [(b"right", False), (b"right", True), (b"wrong", False)])
def test_what_comes_into_the_place_of_a_checkpoint_meanwhile_stays(
    content: bytes, damaged: bool, tmp_path: Path
) -> None:
    """Two restores into two places may share the folder of their checkpoints, and both may have found it empty."""
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE, checkpoints={"w": b"right"})
    weights = tmp_path / "target" / "w"
    # An engine makes the file that waits, and somebody else puts one in the place that it is for.
    before = (
        "import os; truncate = os.truncate\n"
        f"def both(*words): truncate(*words); open({str(weights)!r}, 'wb').write({content!r})\n"
        "os.truncate = both\n"
    )
    if damaged:
        data = bytearray(pack.path.read_bytes())
        data[data.rindex(b"right")] ^= 1
        pack.path.write_bytes(data)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"), before=before)
    assert done.code == (5 if damaged else 0 if content == b"right" else 7), done.out
    assert weights.read_bytes() == content
    assert not list(weights.parent.glob(".kpack-*"))


def test_a_run_that_dies_outside_the_scheme_is_taken_back_by_any_pack(tmp_path: Path) -> None:
    """Its checkpoints lie elsewhere; the witness there says that it was begun."""
    outside = tmp_path / "weights" / "deep"
    heavy = kit.make_pack(
        tmp_path / "heavy",
        [make_wheel(tmp_path, "thing")],
        name="heavy",
        series=HERE,
        checkpoints={str(outside / "a"): b"a" * 100, str(outside / "b"): b"b" * 100},
    ).path
    other = kit.make_pack(tmp_path / "other", [make_wheel(tmp_path, "other")], name="other", series=HERE).path
    options: dict[str, Any] = {"target": str(tmp_path / "target"), "allow_absolute": True}
    died = 0
    for number in range(1, 40):
        hook = HOOK.format(number=number, act=KILL, place=str(tmp_path / "weights"), trace=str(tmp_path / "trace"))
        done = kit.restore(sys.executable, heavy, before=hook, **options)
        died += done.code != 0
        kit.good(sys.executable, other, **options)
        left = sorted(path.name for path in (tmp_path / "weights").rglob("*"))
        if (tmp_path / "target/.kpack/mark-heavy.json").exists():  # from there on it counts
            assert left == ["a", "b", "deep"]
            break
        assert left in ([], ["deep"]), (number, left)
    assert died >= 5


def test_a_journal_of_a_real_run_is_believed(tmp_path: Path) -> None:
    scheme = for_target(str(tmp_path / "t"))
    (tmp_path / "w").mkdir()
    (tmp_path / f"w/.kpack-{RUN}").touch()
    raw = journal(
        files=[f"{tmp_path}/t/a/b.py", f"{tmp_path}/w/weights"],
        folders=[f"{tmp_path}/t/a", f"{tmp_path}/w", f"{tmp_path}/elsewhere"],
        metadata=[f"{tmp_path}/t/a-1.dist-info"],
        aside=[[f"{tmp_path}/w/weights", f"{tmp_path}/t/.kpack/aside/0"]],
        staging=[f"{tmp_path}/t/.kpack/new"],
        witnesses=[f"{tmp_path}/w/.kpack-{RUN}"],
    )
    del raw["format"]
    found = believed(loads(raw), Places(scheme))
    assert found.folders == [f"{tmp_path}/t/a", f"{tmp_path}/w"]
    assert found.files == raw["files"]


def test_a_deep_folder_is_removed_without_recursion(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    make_folders(str(deep) + "/d" * ((4000 - len(str(deep))) // 2), [])
    remove(str(deep))
    assert not deep.exists()
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(str(tmp_path / "link"))
    assert (tmp_path / "kept").is_dir()


def test_a_record_that_cannot_be_read_lists_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "RECORD")
    assert list(recorded(str(tmp_path))) == []
    (tmp_path / "RECORD").unlink()
    (tmp_path / "RECORD").write_bytes(b"\xff,,\n")
    assert list(recorded(str(tmp_path))) == []


@pytest.mark.parametrize("name", ["thing/" + "n" * 200 + ".py", "thing-1.0.dist-info/" + "n" * 200, "t/" * 90 + "f"])
def test_paths_that_no_file_system_takes_are_undone_and_block_nothing(name: str, tmp_path: Path) -> None:
    """Every name is legal; below a deep enough folder the path is too long all the same."""
    wheel = make_wheel(tmp_path, "thing", files={"thing/a.py": "", name: "x", "z.py": ""})
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=HERE).path
    target = str(tmp_path / "target")
    while len(target) < 3950:
        target += "/" + "d" * min(200, 3950 - len(target))
    done = kit.restore(sys.executable, pack, target=target)
    assert (done.code, done.error["code"]) == (7, 7), done.out + done.err
    assert "255 bytes" in done.error["next"]
    assert not (tmp_path / "target").exists()
    fine = kit.make_pack(tmp_path / "fine", [make_wheel(tmp_path, "fine")], series=HERE).path
    kit.good(sys.executable, fine, target=target)


def test_names_as_long_as_a_file_system_takes_are_restored(tmp_path: Path) -> None:
    """No temporary name may be longer: not of a file over 8 MiB, not of a checkpoint of 80 letters of 3 bytes."""
    name = "z" * 247 + ".bin"
    wheel = make_wheel(tmp_path, "long", files={f"long/{name}": os.urandom(9 << 20)}, stored=True)
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=HERE, checkpoints={"界" * 80: b"weights"}).path
    target = tmp_path / "target"
    kit.good(sys.executable, pack, target=str(target))
    assert (target / "long" / name).stat().st_size == 9 << 20
    assert (target / ("界" * 80)).read_bytes() == b"weights"


def test_what_a_killed_restore_of_kpack_0_1_left_is_taken_back(pack: Path, target: Path, tmp_path: Path) -> None:
    """Its journal leaves no witness: what lies outside the scheme stays, and is named."""
    home = victim(tmp_path)
    (target / "thing.py").write_text("half")
    (target / "thing-1.0.dist-info").mkdir()
    (target / "other.py").write_text("new")
    (target / ".kpack/aside").mkdir()
    (target / ".kpack/aside/0").write_text("old")
    (target / ".kpack/new/thing-1.0.dist-info").mkdir(parents=True)
    fields = journal(
        format=1,
        files=[str(target / "thing.py"), str(target / "other.py.kpack-part"), str(home / "precious")],
        folders=[str(target / ".kpack/new"), str(home / "folder")],
        metadata=[str(target / "thing-1.0.dist-info")],
        aside=[[str(target / "other.py"), str(target / ".kpack/aside/0")]],
        staging=[str(target / ".kpack/new"), str(target / ".kpack/aside")],
    )
    del fields["witnesses"]
    (target / ".kpack/journal.json").write_text(json.dumps(fields))
    done = kit.good(sys.executable, pack, target=str(target), after="import thing; assert thing.VERSION == '1.0'")
    assert done.report["notes"][:2] == [
        "an earlier restore had not finished; it was cleaned up first",
        f"what it may have written elsewhere stays, as nothing shows that it did: {home}/precious",
    ]
    assert (home / "precious").read_text() == "of the user"
    assert (target / "other.py").read_text() == "old"
    assert sorted(path.name for path in (target / ".kpack").iterdir()) == ["lock", "mark-tiny.json"]


def test_a_journal_of_kpack_0_1_is_believed_of_no_other_place(pack: Path, target: Path, tmp_path: Path) -> None:
    home = victim(tmp_path)
    before = kit.listing(home)
    for planted in (
        {"metadata": [str(home / "folder.dist-info")]},
        {"staging": [str(home / "folder")]},
        {"emptied": [str(home / "folder")]},
        {"aside": [[str(target / "x"), str(home / "precious")]]},
    ):
        fields = journal(format=1, **planted)
        del fields["witnesses"]
        (target / ".kpack/journal.json").write_text(json.dumps(fields))
        assert kit.restore(sys.executable, pack, target=str(target)).code == 7
        assert kit.listing(home) == before
