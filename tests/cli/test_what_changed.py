"""After a lock and a build: what changed, what it means, and what lies beside the pack."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kpack import beside
from tests.restore.kit import make_pack
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Desk


def test_lock_and_build_say_what_changed_and_what_to_do(desk: Desk) -> None:
    tmp_path, dist = desk.folder, desk.folder / "dist"
    desk.wants(("alpha", "1.0"), ("beta", "1.0"))
    assert "since the last lock" not in desk("lock")
    desk("build", "--offline")
    assert "nothing is known of a pack before this one" in desk("diff", code=2)
    line = dist.joinpath("tiny.line.py").read_text().splitlines()[1]
    assert line == desk("bootstrap", "dist/tiny.kpack.bin").strip()
    cells = json.loads(dist.joinpath("tiny.ipynb").read_text())["cells"]
    assert [cell["id"] for cell in cells] == ["kpack-about", "kpack-line", "kpack-checkpoints", "your-code"]
    assert "".join(cells[1]["source"]) == line
    assert "same id: nothing to do" in desk("build", "--offline")

    old = tmp_path / "old.toml"
    old.write_bytes(tmp_path.joinpath("pylock.kaggle-env.toml").read_bytes())
    desk.wants(("alpha", "2.0"), ("gamma", "1.0"))
    said = desk("lock")
    assert said.index("  ~ alpha 1.0") < said.index("  - beta 1.0") < said.index("  + gamma 1.0") < said.index("packed")
    assert "→ 2.0" in said
    cells[3]["source"] = ["mine"]
    dist.joinpath("tiny.ipynb").write_text(json.dumps({"cells": cells}))
    built = json.loads(desk("build", "--offline", "--json"))
    assert line not in dist.joinpath("tiny.line.py").read_text()
    kept = json.loads(dist.joinpath("tiny.ipynb").read_text())["cells"]
    assert ("".join(kept[1]["source"]), kept[3]["source"]) == (built["bootstrap"], ["mine"])

    packs = json.loads(desk("diff", "--json"))
    assert (packs["old"], packs["new"], packs["same"]) == (built["before"], built["id"], False)
    assert [(row["name"], row["before"] is None, row["after"] is None) for row in packs["changes"]] == [
        ("alpha", False, False), ("beta", False, True), ("gamma", True, False),
    ]  # fmt: skip
    locks = json.loads(desk("diff", "old.toml", "--json"))
    assert [row["name"] for row in locks["changes"]] == ["alpha", "beta", "gamma"]
    assert "the same packages and checkpoints" in desk("diff", "pylock.kaggle-env.toml", "dist/tiny.kpack.bin")
    assert "together: " in desk("diff", "--exit-code", code=1)
    assert "id changed" not in desk("build", "--offline")  # the same pack again


def test_a_notebook_of_the_users_own_is_left_alone(tmp_path: Path) -> None:
    made = make_pack(tmp_path / "dist", [make_wheel(tmp_path, "alpha")])
    mine = beside.beside(made.path).notebook
    mine.write_text('{"cells": []}')
    (note,) = beside.deliver(made, None, {}).notes
    assert f"{mine.name} has no cell of kpack's for the line" in note
    assert mine.read_text() == '{"cells": []}'


def test_what_a_killed_build_left_goes_with_the_next_one_of_the_same_pack(tmp_path: Path) -> None:
    made = make_pack(tmp_path / "dist", [make_wheel(tmp_path, "alpha")])
    beside.deliver(made, None, {})
    there = sorted(made.path.parent.iterdir())
    for path in beside.beside(made.path):
        path.with_name(f".{path.name}.0123abcd.part").write_bytes(b"half")
    beside.deliver(made, (made.id, b""), {})
    assert sorted(made.path.parent.iterdir()) == there
