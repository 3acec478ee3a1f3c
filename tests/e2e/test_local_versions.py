"""Wheels whose file name has a local version that their METADATA lacks, as prebuilt GPU wheels have."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.long import listed
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Workshop

NAMED = "attn-2.8+cu12torch2.10-py3-none-any.whl"


def wheel(folder: Path) -> Path:
    """Make attn 2.8 and name it as its publisher does."""
    made = make_wheel(folder, "attn", "2.8")
    return made.rename(made.with_name(NAMED))


@pytest.mark.parametrize(
    "asked",
    listed(
        ("attn", "attn>=2.8", "attn==2.8", "attn==2.8+cu12torch2.10", "./attn", "url"),
        ("attn==2.8", "./attn", "url").__contains__,
    ),
)
def test_such_a_wheel_is_packed_and_restored_from_an_index_by_path_and_by_url(
    workshop: Workshop, tmp_path: Path, asked: str
) -> None:
    made = workshop.index.add(wheel(tmp_path))
    if asked == "./attn":
        shutil.copy(made, workshop.folder)
        asked = f"./{NAMED}"
    elif asked == "url":
        asked = f"attn @ {workshop.index.root}/files/{NAMED.replace('+', '%2B')}"
    text = (workshop.folder / "kaggle-env.toml").read_text(encoding="utf-8")
    workshop.write(text.replace('"alpha"', f'"{asked}"'))
    built = workshop.built()
    target = ("restore", workshop.pack, "--target", tmp_path / "there", "--json", "--expect", built["id"])
    first = workshop.good(*target).json
    assert (first["installed"], first["changed"]) == ([{"name": "attn", "version": "2.8"}], True)
    assert not workshop.good(*target).json["changed"]
    workshop.good("verify", workshop.pack)


def test_another_local_version_inside_is_another_distribution(workshop: Workshop, tmp_path: Path) -> None:
    made = make_wheel(tmp_path, "attn", "2.8+cu11")
    workshop.index.add(made.rename(made.with_name(NAMED)))
    text = (workshop.folder / "kaggle-env.toml").read_text(encoding="utf-8")
    workshop.write(text.replace('"alpha"', '"attn"'))
    done = workshop.kpack("lock")
    assert done.code in (3, 5)
    assert NAMED in done.err
    assert "2.8+cu11" in done.err
