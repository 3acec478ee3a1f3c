"""Cells as people write them, and what each of their lines comes to: the lists are in cells.toml."""

from __future__ import annotations

import json
import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kpack import base
from kpack.environment import parse
from kpack.environment.template import render
from kpack.importing import Finding, Harvest, Outcome, read, settle

SHAPES: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("cells.toml").read_text(encoding="utf-8"))[
    "shape"
]


@cache
def image() -> base.BaseImage:
    return base.load("kaggle-gpu-py312-2026-08", Path())


def notebook(path: Path, cells: list[str], **metadata: object) -> Path:
    held = [{"cell_type": "code", "source": cell} for cell in cells]
    path.write_text(json.dumps({"cells": held, "metadata": metadata, "nbformat": 4}), encoding="utf-8")
    return path


def told(finding: Finding) -> str:
    """Return a finding as the lists have it: where, what became of it, why, what to write."""
    place = f"{finding.place.cell or finding.place.file}:{finding.place.line}"
    why = f" ({finding.why})" if finding.entry and finding.why else finding.why
    return f"{place} {finding.entry}{why}" + (f" | {finding.write}" if finding.write else "")


def harvested(folder: Path, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Harvest:
    monkeypatch.chdir(folder)
    notebook(folder / "n.ipynb", shape["cells"])
    harvest = Harvest(folder=folder)
    read(Path("n.ipynb"), harvest)
    settle(harvest, [image()])
    return harvest


@pytest.mark.parametrize("shape", SHAPES, ids=[shape["name"] for shape in SHAPES])
def test_each_line_of_a_cell_is_accounted_for(
    tmp_path: Path, shape: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    harvest = harvested(tmp_path, shape, monkeypatch)
    found = {str(verdict): [told(one) for one in harvest.findings if one.verdict is verdict] for verdict in Outcome}
    assert found == {str(verdict): shape.get(str(verdict), []) for verdict in Outcome}
    counts = harvest.counts()
    assert counts["total"] == sum(counts[key] for key in ("understood", "left", "in_image", "nothing"))
    text = render(
        "x",
        python="3.12",
        packages=list(harvest.packages.values()),
        exclude=list(harvest.exclude),
        no_deps=list(harvest.no_deps),
        checkpoints=list(harvest.checkpoints.values()),
        indexes=list(harvest.indexes.values()),
        env=harvest.env,
    )
    parse(text, tmp_path / "kaggle-env.toml")


def test_extras_of_the_notebooks_own_project_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\nversion = '1'\n")
    harvest = harvested(tmp_path, {"cells": ["!pip install -e .[dev,test]\n"]}, monkeypatch)
    assert list(harvest.packages.values()) == ["./.[dev,test]"]


def test_there_are_sixty_shapes_and_more_with_names_of_their_own() -> None:
    names = [shape["name"] for shape in SHAPES]
    assert len(set(names)) == len(names) >= 60


def write_anew() -> None:
    """Write what is found now into the lists, to be read before it is committed."""
    import tempfile

    def text(value: str) -> str:
        return json.dumps(value, ensure_ascii=False)

    out = []
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            harvest = harvested(Path(folder), shape, patch)
            os.chdir("/")
        rows = ["[[shape]]", f"name = {text(shape['name'])}", "cells = ["]
        rows += [f"    '''\n{cell}'''," for cell in shape["cells"]]
        rows.append("]")
        for verdict in Outcome:
            found = [told(one) for one in harvest.findings if one.verdict is verdict]
            rows += [f"{verdict} = [", *(f"    {text(one)}," for one in found), "]"] if found else []
        out.append("\n".join(rows) + "\n")
    Path(__file__).with_name("cells.toml").write_text("\n".join(out), encoding="utf-8")


if __name__ == "__main__":
    write_anew()
