"""Plan and checks: the right target, nothing written too early, and words that help."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kpack.restore.entry_points import EntryPoint, entry_points
from kpack.restore.errors import RestoreError
from kpack.restore.feed import reading_order
from kpack.restore.installed import Installed
from kpack.restore.manifest import Lean, Manifest, Member, PackedCheckpoint, PackTarget, Requirer, Span
from kpack.restore.plan import choose_target
from kpack.restore.report import Report
from kpack.restore.scripts import command, interpreter_line, rewrite
from kpack.restore.tags import Interpreter
from kpack.restore.wheels import Job
from tests.restore import kills, kit
from tests.restore.test_install import check_record
from tests.support.interpreters import found
from tests.support.wheels import make_wheel

HERE = (kills.series(),)


def test_dry_run_checks_everything_and_writes_nothing(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", kit.rich_wheels(tmp_path), checkpoints={"a": b"x"}, series=HERE)
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"), dry_run=True)
    assert done.report["dry_run"]
    assert done.report["changed"]
    assert done.report["bytes"] > 500_000
    assert not (tmp_path / "target").exists()
    text = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"), dry_run=True, json=False)
    assert "would restore 2 packages, 1 checkpoint" in text.out
    assert f"install rich-thing 1.0 to {tmp_path / 'target'}" in text.out


def test_an_interpreter_that_the_pack_is_not_for_is_told_what_it_is_for(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=["2.7", "3.7"])
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (6, 6)
    assert "python-2.7 (Python 2.7," in done.error["what"]
    assert f"this is Python {kills.series()}" in done.error["what"]
    assert not (tmp_path / "target").exists()


def test_a_wheel_that_cannot_run_here_is_named(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "thing", tag="cp38-cp38-manylinux_2_99_x86_64")
    pack = kit.make_pack(tmp_path / "pack", [wheel], series=HERE)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (done.code, done.error["code"]) == (6, 6)
    assert wheel.name in done.error["what"]


def target_of(label: str, torch: str, *, python: str = "3.12", glibc: tuple[int, int] = (2, 35)) -> PackTarget:
    lean = Lean("torch", torch, (Requirer("lightning", "torch>=2"),))
    return PackTarget(label, label, python, "x86_64", glibc, (), leans=(lean,))


def test_of_several_targets_the_one_with_the_least_drift_is_chosen() -> None:
    targets = (
        target_of("py311", "2.6", python="3.11"),
        target_of("gpu", "2.10.0+cu128"),
        target_of("cpu", "2.10.0+cpu"),
        target_of("newer-glibc", "2.10.0+cpu", glibc=(2, 39)),
    )
    manifest = Manifest("0", "x", "lock", "engine", targets, (), ())
    interpreter = Interpreter((3, 12), "cp312", "x86_64", (2, 35))

    def chosen(version: str) -> str:
        return choose_target(manifest, interpreter, {"torch": Installed("torch", version, "/x")}).label

    assert chosen("2.10.0+cpu") == "cpu"
    assert chosen("2.10.0+cu128") == "gpu"
    assert chosen("2.11.0") == "gpu", "the first when they are equally far"
    for named, words in ((False, "pin the notebook"), (True, "kpack restore --python PATH")):
        with pytest.raises(RestoreError, match=r"this is Python 3\.13") as told:
            choose_target(manifest, Interpreter((3, 13), "cp313", "x86_64", (2, 35)), {}, chosen=named)
        assert words in told.value.next


def test_another_docker_image_than_the_packs_is_a_short_note(tmp_path: Path) -> None:
    mine, other = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE, base="gpu", images=[mine])

    def notes(image: str) -> list[str]:
        done = kit.good(
            sys.executable, pack.path, target=str(tmp_path / "t"), dry_run=True, env={"KAGGLE_DOCKER_IMAGE": image}
        )
        found: list[str] = done.report["notes"]
        return found

    assert notes(f"gcr.io/kaggle-gpu-images/python@{mine}") == notes("") == notes("latest") == notes("sha256:x") == []
    assert notes(f"gcr.io/kaggle-images/python@{other}") == [
        f"this kernel runs image sha256:{'2' * 12}…, the pack was locked for python-{HERE[0]} (sha256:{'1' * 12}…)"
    ]


def test_a_managed_interpreter_is_obeyed_by_the_command_and_not_by_the_line(tmp_path: Path) -> None:
    code = "import sysconfig, sys; print(sysconfig.get_path('stdlib'))"
    python = shutil.which("python3", path="/usr/bin")
    stdlib = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout if python else ""
    if python is None or not (Path(stdlib.strip()) / "EXTERNALLY-MANAGED").exists():
        pytest.skip("there is no interpreter that its distributor manages")
    series = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=True
    )
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=[series.stdout.strip()])
    done = kit.restore(python, pack.path, obey_managed=True, dry_run=True)
    assert (done.code, done.error["code"]) == (6, 6)
    assert "managed by the operating system" in done.error["what"]
    kit.good(python, pack.path, obey_managed=False, dry_run=True)
    kit.good(python, pack.path, obey_managed=True, dry_run=True, target=str(tmp_path / "target"))


def test_every_interpreter_can_be_asked_whether_it_is_managed(series: str, tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "kpack-test-thing")], series=[series])
    done = kit.restore(found()[series], pack.path, obey_managed=True, dry_run=True)
    assert done.code in (0, 6), done.out + done.err
    assert done.code == 0 or "managed by" in done.error["what"]


def test_a_journal_of_another_kpack_is_not_guessed_at(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [make_wheel(tmp_path, "thing")], series=HERE)
    state = tmp_path / "target" / ".kpack"
    state.mkdir(parents=True)
    for text in (
        '{"format": 2, "later": true}',
        '{"format": 1}',
        "[]",
        "half wri",
        "[" * 100000,
        '{"format": ' + "9" * 5000 + "}",
    ):
        (state / "journal.json").write_text(text)
        done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"))
        assert (done.code, done.error["code"]) == (7, 7), text
        assert "journal.json" in done.error["where"]
    assert not (tmp_path / "target/thing.py").exists()


@pytest.mark.parametrize("options", [{"unknown": 1}, {"tolerate": None, "nonsense": True}])
def test_unknown_options_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], series=HERE)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"), **options)
    assert (done.code, done.error["code"]) == (2, 2)


def test_a_wrong_value_of_kpack_drift_is_refused(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], series=HERE)
    done = kit.restore(sys.executable, pack.path, target=str(tmp_path / "target"), env={"KPACK_DRIFT": "yes"})
    assert (done.code, done.error["code"]) == (2, 2)


def test_checkpoints_land_where_the_rules_say(tmp_path: Path) -> None:
    data = {"models/a.ckpt": b"a" * 100, "b.ckpt": b"b"}
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints=data, series=HERE, directory="deep/er")
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (tmp_path / "target/deep/er/models/a.ckpt").read_bytes() == b"a" * 100
    absolute = kit.make_pack(
        tmp_path / "absolute", [], checkpoints=data, series=HERE, directory=str(tmp_path / "elsewhere"), name="absolute"
    )
    venv = kit.make_venv(kills.series(), tmp_path / "venv")
    done = kit.restore(venv, absolute.path)
    assert (done.code, done.error["code"]) == (2, 2)
    assert "--allow-absolute" in done.error["next"]
    kit.good(venv, absolute.path, allow_absolute=True)
    assert (tmp_path / "elsewhere/b.ckpt").read_bytes() == b"b"
    shutil.rmtree(tmp_path / "elsewhere")
    kit.good(venv, absolute.path, kaggle=True)
    assert (tmp_path / "elsewhere/b.ckpt").read_bytes() == b"b"


def test_home_paths_are_taken_when_allowed(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints={"~/cache/a": b"home"}, series=HERE)
    home = {"HOME": str(tmp_path / "home")}
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"), allow_absolute=True, env=home)
    assert (tmp_path / "home/cache/a").read_bytes() == b"home"


def test_a_checkpoint_that_is_there_is_not_copied_and_another_is_not_overwritten(tmp_path: Path) -> None:
    target = tmp_path / "target"
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints={"a": b"right", "b": b"right too"}, series=HERE)
    target.mkdir()
    (target / "a").write_bytes(b"right")
    inode = (target / "a").stat().st_ino
    (target / "b").write_bytes(b"precious")
    done = kit.restore(sys.executable, pack.path, target=str(target))
    assert (done.code, done.error["code"]) == (6, 6)
    assert (target / "b").read_bytes() == b"precious"
    kit.good(sys.executable, pack.path, target=str(target), env={"KPACK_DRIFT": "note"})
    assert (target / "b").read_bytes() == b"right too"
    assert (target / "a").stat().st_ino == inode
    newer = kit.make_pack(tmp_path / "newer", [], checkpoints={"a": b"newer", "b": b"right too"}, series=HERE)
    kit.good(sys.executable, newer.path, target=str(target))
    assert (target / "a").read_bytes() == b"newer", "kpack's own file gives way to kpack"
    (target / "a").write_bytes(b"changed by hand")
    assert kit.restore(sys.executable, newer.path, target=str(target)).code == 6


def test_checkpoints_with_the_same_content_are_stored_once_and_land_twice(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints={"a": b"same" * 1000, "x/b": b"same" * 1000}, series=HERE)
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert (tmp_path / "target/a").read_bytes() == (tmp_path / "target/x/b").read_bytes() == b"same" * 1000


def test_attached_checkpoints_are_verified_where_they_are(tmp_path: Path) -> None:
    place = tmp_path / "input" / "model.ckpt"
    attached = PackedCheckpoint("models/m.ckpt", kit.sha256(b"model"), 5, str(place))
    pack = kit.make_pack(tmp_path / "pack", [], extra_checkpoints=[attached], series=HERE)
    target = tmp_path / "target"
    assert kit.restore(sys.executable, pack.path, target=str(target)).error["code"] == 7
    place.parent.mkdir()
    place.write_bytes(b"wrong")
    assert kit.restore(sys.executable, pack.path, target=str(target)).error["code"] == 5
    assert not target.exists()
    place.write_bytes(b"model")
    kit.good(sys.executable, pack.path, target=str(target))
    assert (target / "models/m.ckpt").read_bytes() == b"model"
    assert not kit.good(sys.executable, pack.path, target=str(target)).report["changed"]


def test_a_wheel_let_in_with_a_wrong_record_gets_a_right_one(tmp_path: Path) -> None:
    record = (
        b"thing.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
        b"thing-1.0.dist-info/RECORD,,\nnot/there.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n"
    )
    wheel = make_wheel(tmp_path, "thing", record=record, files={"thing.py": "X = 1\n", "unlisted.py": "Y = 2\n"})
    pack = kit.make_pack(tmp_path / "pack", [wheel], lax=["thing"], series=HERE)
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    paths = check_record(tmp_path / "target/thing-1.0.dist-info")
    assert {"thing.py", "unlisted.py"} <= paths
    assert "not/there.py" not in paths


def test_umask_is_respected_and_scripts_stay_executable(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", kit.rich_wheels(tmp_path), series=HERE)
    kit.good(sys.executable, pack.path, target=str(tmp_path / "target"), before="import os; os.umask(0o077)\n")
    assert (tmp_path / "target/rich_single.py").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "target/rich_thing/tool").stat().st_mode & 0o777 == 0o711
    assert (tmp_path / "target/bin/rich-command").stat().st_mode & 0o777 == 0o711


def test_variables_of_the_pack_are_set(tmp_path: Path) -> None:
    env = {"HF_HUB_OFFLINE": "1", "HF_HOME": "{directory}/hub"}
    pack = kit.make_pack(tmp_path / "pack", [], env=env, series=HERE)
    after = "import os; print(os.environ['HF_HUB_OFFLINE'], os.environ['HF_HOME'])"
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"), after=after)
    assert done.printed == [f"1 {tmp_path}/target/hub"]


IPYTHON = """
import json, sys, types
shown = []
class Handle:
    def update(self, data, raw): shown.append(data['text/plain'])
def display(data, raw, display_id):
    shown.append(data['text/plain'])
    return Handle()
fake = types.ModuleType('IPython')
fake.get_ipython = lambda: object()
fake.display = types.SimpleNamespace(display=display)
sys.modules['IPython'] = fake
import time
real = time.monotonic
clock = [0.0]
def fast():
    clock[0] += 1.0
    return clock[0]
time.monotonic = fast
"""


def test_long_restores_show_progress_in_the_cell(tmp_path: Path) -> None:
    pack = kit.make_pack(tmp_path / "pack", [], checkpoints={"a": os.urandom(30_000_000)}, series=HERE)
    done = kit.restore(
        sys.executable,
        pack.path,
        before=IPYTHON,
        target=str(tmp_path / "target"),
        json=False,
        after="print(json.dumps(shown))",
    )
    assert done.code == 0, done.err
    shown = json.loads(done.out.splitlines()[-1])
    assert shown
    assert all("of 30.0 MB" in text for text in shown)


def test_control_characters_in_messages_are_escaped() -> None:
    report = Report("p", "n", "0" * 64, "t", dry_run=False)
    report.notes = ["bad \x1b[31m name"]
    assert report.lines() == ["  bad \\x1b[31m name"]


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_reading_order_serves_the_workers_side_by_side(workers: int) -> None:
    spans = tuple(Span(offset, 1, "") for offset in range(5))
    jobs = [Job(Member(str(number), 5, "", 0, spans), spans, (), None) for number in range(6)]
    order = [(member.path, span.offset) for member, span in reading_order(jobs, workers)]
    assert sorted(order) == sorted((str(number), offset) for number in range(6) for offset in range(5))
    for number in range(6):
        mine = [offset for path, offset in order if path == str(number)]
        assert mine == sorted(mine)
    begun: list[str] = []
    for path, _ in order:
        if path not in begun:
            begun.append(path)
    assert begun == [str(number) for number in range(6)]


def test_scripts_are_what_pip_writes() -> None:
    assert interpreter_line("/usr/bin/python3") == b"#!/usr/bin/python3\n"
    assert interpreter_line("/a b/python") is None
    assert interpreter_line("/" + "a" * 120) is not None
    assert interpreter_line("/" + "a" * 252) is None
    stanza = b"'''exec' \"/a b/python\" \"$0\" \"$@\"\n' '''"
    assert rewrite(b"#!python\nx = 1\n", "/a b/python") == b"#!/bin/sh\n" + stanza + b"\nx = 1\n"
    assert rewrite(b"#!python\n# coding: latin-1\n\n'x'\n", "/a b/python") == (
        b"#!/bin/sh\n# coding: latin-1\n\n" + stanza + b" \\\n'x'\n"
    )
    assert rewrite(b"#!python\nx", "/p") == b"#!/p\nx"
    assert rewrite(b"#!pythonw -u\nx", "/p") == b"#!/p\nx"
    assert rewrite(b"#!/bin/sh\nx", "/p") == b"#!/bin/sh\nx"
    assert rewrite(b"#!python", "/p") == b"#!/p\n"
    text = command(EntryPoint("x", "a.b", "c.d"), "/p").decode()
    assert "from a.b import c\n" in text
    assert "sys.exit(c.d())" in text


def test_entry_points_are_read_as_the_specification_says() -> None:
    raw = (
        "[console_scripts]\nOne = a.b:c.d [extra]\ntwo=x:y\n# comment\n[gui_scripts]\nthree = g:h\n[other]\nz = not;a\n"
    )
    assert entry_points(raw.encode(), "x") == [
        EntryPoint("One", "a.b", "c.d"),
        EntryPoint("two", "x", "y"),
        EntryPoint("three", "g", "h"),
    ]
    pip = entry_points(b"[console_scripts]\npip = pip:main\npip3 = pip:main\npip3.99 = pip:main\n", "x")
    assert sorted(point.name for point in pip) == ["pip", f"pip{sys.version_info[0]}", f"pip{kills.series()}"]
    assert entry_points(b"[gui_scripts]\npip = a:b\n", "x") == [EntryPoint("pip", "a", "b")]
    both = b"[gui_scripts]\nsame = a:graphical\n[console_scripts]\nsame = a:console\n"
    assert entry_points(both, "x") == [EntryPoint("same", "a", "graphical")]
    with pytest.raises(RestoreError, match="is not UTF-8"):
        entry_points(b"\xff", "x")
