"""The text of a report."""

from __future__ import annotations

from kpack.restore.errors import FEW
from kpack.restore.report import Report


def lines(*paths: str, dry_run: bool = False) -> list[str]:
    report = Report("p.kpack.bin", "p", "0" * 64, "python-3.12", dry_run=dry_run)
    report.checkpoints = [(path, "0" * 64, 1000) for path in paths]
    return report.lines()


def test_it_says_where_checkpoints_landed() -> None:
    assert lines("/kaggle/tmp/a.ckpt", "/kaggle/tmp/b/c\n.bin") == [
        "  checkpoint: /kaggle/tmp/a.ckpt",
        "  checkpoint: /kaggle/tmp/b/c\\n.bin",
    ]
    assert lines() == []
    assert lines("/kaggle/tmp/a.ckpt", dry_run=True) == ["  copy a checkpoint of 1.0 kB to /kaggle/tmp/a.ckpt"]


def test_notes_stand_before_lists_of_files() -> None:
    report = Report("p.kpack.bin", "p", "0" * 64, "python-3.12", dry_run=False)
    report.checkpoints = [("/kaggle/tmp/a.ckpt", "0" * 64, 1000)]
    report.notes = ["huggingface_hub was imported before this"]
    assert report.lines() == ["  huggingface_hub was imported before this", "  checkpoint: /kaggle/tmp/a.ckpt"]


def test_many_checkpoints_are_counted_by_folder() -> None:
    assert lines(*(f"/tmp/hub/{number}" for number in range(30)), "/tmp/other/x") == [
        "  checkpoints: 30 in /tmp/hub",
        "  checkpoints: 1 in /tmp/other",
    ]
    many = lines(*(f"/tmp/{number:02}/x" for number in range(30)))
    assert len(many) == FEW + 1
    assert many[-1] == f"  checkpoints: {30 - FEW} in other folders"
