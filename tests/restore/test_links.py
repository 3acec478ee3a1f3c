"""``[restore] link``: relative checkpoint paths work from the working folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from kpack.restore import links
from kpack.restore.errors import RestoreError
from kpack.restore.journal import Journal, undo, waiting
from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

FILES = {"checkpoints/a.ckpt": b"aa", "b.bin": b"bb", "huggingface/hub/models--x--y/refs/main": b"c" * 40}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A pack whose checkpoints land in ``store``, beside an empty working folder ``work``."""
    kit.make_pack(
        tmp_path / "pack",
        [make_wheel(tmp_path, "thing")],
        checkpoints=FILES,
        directory=str(tmp_path / "store"),
        link=True,
    )
    (tmp_path / "work").mkdir()
    return tmp_path


def restore(place: Path, **options: Any) -> kit.Done:
    """Restore into an environment of the test's own, in ``work``."""
    python = place / "env" / "bin" / "python"
    if not python.exists():
        kit.make_venv(".".join(map(str, sys.version_info[:2])), place / "env")
    return kit.restore(python, place / "pack/tiny.kpack.bin", cwd=place / "work", allow_absolute=True, **options)


def test_relative_paths_are_linked_from_the_working_folder_and_a_second_run_changes_nothing(place: Path) -> None:
    done = restore(place)
    assert done.code == 0, done.out + done.err
    work, store = place / "work", place / "store"
    assert done.report["links"] == [
        {"path": str(work / name), "to": str(store / name)} for name in ("checkpoints/a.ckpt", "b.bin")
    ]
    assert (work / "checkpoints/a.ckpt").read_bytes() == b"aa"
    assert (work / "b.bin").readlink() == store / "b.bin"
    assert {path.name for path in work.iterdir()} == {"b.bin", "checkpoints"}
    again = restore(place)
    assert (again.code, again.report["changed"]) == (0, False)
    (work / "b.bin").unlink()
    assert restore(place).report["changed"] is True
    assert (work / "b.bin").read_bytes() == b"bb"
    said = restore(place, json=False)
    assert f"  linked as {work / 'b.bin'}" in said.out.splitlines()


def test_what_is_in_the_place_of_a_link_is_not_overwritten(place: Path) -> None:
    work = place / "work"
    (work / "b.bin").write_bytes(b"mine")
    (work / "checkpoints").write_bytes(b"a file")
    done = restore(place)
    assert done.code == 6
    assert str(work / "b.bin") in done.error["what"]
    assert str(work / "checkpoints/a.ckpt") in done.error["what"]
    assert "build without link" in done.error["next"]
    assert not (place / "store").exists()
    done = restore(place, tolerate=True)
    assert done.code == 0, done.out
    assert (work / "b.bin").read_bytes() == b"mine"
    assert any("what is there stays" in note for note in done.report["notes"])


def test_links_are_taken_back_when_the_restore_fails(place: Path) -> None:
    # The last word of the run, its mark, cannot be written.
    state = kit.purelib(kit.make_venv(".".join(map(str, sys.version_info[:2])), place / "env")) / ".kpack"
    (state / "mark-tiny.json.part").mkdir(parents=True)
    done = restore(place)
    assert done.code == 7
    assert list((place / "work").iterdir()) == []
    assert not (place / "store").exists()


def test_no_link_is_made_for_a_folder_of_its_own(place: Path) -> None:
    done = restore(place, target=str(place / "target"))
    assert done.code == 0, done.out
    assert done.report["links"] == []
    assert list((place / "work").iterdir()) == []


def test_what_comes_into_the_place_of_a_link_meanwhile_stays(tmp_path: Path) -> None:
    place = tmp_path / "a.ckpt"
    place.write_text("mine")
    link = links.Link(str(place), str(tmp_path / "store"), present=False, occupied=False)
    with pytest.raises(RestoreError, match="cannot make a link: File exists") as caught:
        links.make([link], "0" * 32)
    assert (caught.value.code, caught.value.where) == (7, str(place))
    empty: dict[str, Any] = {key: [] for key in ("folders", "metadata", "aside", "staging", "emptied", "witnesses")}
    undo(Journal("0" * 32, "id", "tiny", files=[str(place), waiting(str(place), "0" * 32)], **empty))
    assert [path.name for path in tmp_path.iterdir()] == ["a.ckpt"]
