"""``kpack lock``, ``kpack probe``, ``kpack why`` and ``kpack drift`` as their users call them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack import locking, pack
from kpack.base.probe import cell
from kpack.cli import run
from kpack.errors import NoSolution
from kpack.files import sha256_of
from kpack.lock import dumps, from_resolution
from kpack.lock import load as load_lock
from kpack.pack.layout import content_of
from kpack.resolve.model import HeldBack, Need
from kpack.target import marker_environment
from tests.support.kernels import base, environment, pin, resolution, target, use, wheel
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = 'name = "tiny"\nbase = "./kernel.json"\npackages = ["lightning"]\n'


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a kaggle-env.toml and its lock."""
    image = base({"torch": "2.10.0", "tokenizers": "0.22"}, name="kernel")
    found = resolution(
        (target(image), [pin("lightning", "2.5"), pin("tokenizers", "0.23", by="lightning", replaces=Version("0.22"))]),
        from_base=(use("torch", "2.10.0", ("lightning", "torch<3")),),
    )
    (tmp_path / "kaggle-env.toml").write_text(CONFIG)
    (tmp_path / "pylock.kaggle-env.toml").write_text(
        dumps(from_resolution(environment("lightning"), found, meaning="0" * 64))
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snapshot(path: Path, python: str = "3.12.13", **distributions: str) -> None:
    rows = [{"name": name, "version": version} for name, version in distributions.items()]
    data = {
        "kpack-base": 1,
        "environment": marker_environment(python, "x86_64"),
        "glibc": "2.35",
        "distributions": rows,
    }
    path.write_text(json.dumps(data))


def call(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = run(list(words))
    said = capsys.readouterr()
    return code, said.out, said.err


def test_probe_prints_the_cell_alone_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = call(capsys, "probe")
    assert code == 0
    assert out == cell()
    assert "kaggle-base.json" in err
    assert json.loads(call(capsys, "probe", "--json")[1]) == {"cell": cell()}


def test_probe_lists_the_snapshots_with_their_certainty(capsys: pytest.CaptureFixture[str]) -> None:
    out = call(capsys, "probe", "--list")[1]
    assert "kaggle-gpu-py312-2026-08" in out
    assert out.count("certainty:") == 9
    assert out.count("sha256:") == 14
    rows = json.loads(call(capsys, "probe", "--list", "--json")[1])["bases"]
    assert {"name", "python", "glibc", "distributions", "unknown", "certainty"} <= rows[0].keys()


def test_why_tells_people_and_machines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "why", "Tokenizers")
    assert code == 0
    assert "tokenizers 0.23 in kernel: packed" in out
    assert "in place of the image's 0.22" in out
    (row,) = json.loads(call(capsys, "why", "torch", "--json")[1])["targets"]
    assert (row["state"], row["version"], row["if_excluded"]) == ("base", "2.10.0", None)
    (row,) = json.loads(call(capsys, "why", "lightning", "--json")[1])["targets"]
    assert row["if_excluded"]["packed"] == ["lightning", "tokenizers"]
    assert row["if_excluded"]["leans"] == ["torch"]


def test_why_takes_what_kaggle_env_toml_says_and_names_that_only_debian_has(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forked = pin("lightning", "2.5", needed_by=(Need(by="", requirement="./forks/light/"),))
    found = resolution((target(base({}, name="kernel")), [forked]))
    lock = project / "pylock.kaggle-env.toml"
    lock.write_text(dumps(from_resolution(environment("lightning"), found, meaning="0" * 64)))
    for entry in ("./forks/light", "./forks/light/", "Lightning>=2"):
        assert call(capsys, "why", entry)[1].startswith("lightning 2.5 in kernel: packed")
    (project / "pylock.kaggle-env.toml").unlink()
    (project / "kaggle-env.toml").write_text('name = "x"\nbase = "kaggle-gpu-py312-2026-08"\n')
    assert "a system package of the image" in call(capsys, "why", "libstdc++6")[1]


def test_why_of_a_stranger_points_to_the_nearest_name(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = call(capsys, "why", "tokenisers")
    assert code == 2
    assert "did you mean 'tokenizers'?" in err


def test_why_without_a_lock_tells_what_the_image_has(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pylock.kaggle-env.toml").unlink()
    assert call(capsys, "why", "torch")[0] == 2  # its image is a file that is not there
    snapshot(project / "kernel.json", torch="2.10.0")
    code, out, err = call(capsys, "why", "torch")
    assert code == 0
    assert "torch 2.10.0 in kernel: in the image" in out
    assert "kpack lock" in err


def test_lock_says_what_its_image_is_worth_whether_there_is_a_solution_or_not(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot(project / "kernel.json", torch="2.10.0")
    made = locking.Locked(
        project / "pylock.kaggle-env.toml", load_lock(project / "pylock.kaggle-env.toml"), changed=True
    )
    monkeypatch.setattr(locking, "anew", lambda *_, **__: made)
    code, _, err = call(capsys, "lock")
    assert (code, "image: kernel: your own list" in err) == (0, True)
    (image,) = json.loads(call(capsys, "lock", "--json")[1])["images"]
    assert (image["base"], image["shipped"], image["days"]) == ("kernel", False, None)

    def conflict(*_: object, **__: object) -> None:
        raise NoSolution("lightning needs torch>=3, but the base image has 2.10.0")

    monkeypatch.setattr(locking, "anew", conflict)
    code, _, err = call(capsys, "lock")
    assert code == 3
    assert re.search(r"image: kernel: .*\nkpack: .*torch>=3", err)
    code, out, err = call(capsys, "lock", "--json")
    assert (code, err) == (3, "")
    assert "torch>=3" in json.loads(out)["error"]["what"]


def test_why_without_a_lock_and_an_image_says_to_make_one(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "pylock.kaggle-env.toml").unlink()
    (project / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\nplatform = "manylinux_2_35_x86_64"\n')
    code, _, err = call(capsys, "why", "torch")
    assert code == 7
    assert "kpack lock" in err


def test_why_answers_from_the_lock_when_the_image_cannot_be_read(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "kernel.json").write_text("{")
    code, out, err = call(capsys, "why", "torch")
    assert (code, "in the image, not packed" in out) == (0, True)
    assert re.search(r"The image is left out: .*kernel.json:1: not JSON", err)
    assert call(capsys, "why", "nobody")[0] == 2


def test_why_tells_what_a_replace_in_a_shipped_image_would_break(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "kaggle-env.toml").write_text('name = "x"\nbase = "kaggle-gpu-py313-2026-10-estimate"\n')
    code, out, _ = call(capsys, "why", "Pillow")
    assert code == 0
    assert "preloaded:  PIL is imported before the first cell" in out
    assert re.search(r"a replace must respect.*\n    gradio \S+ needs pillow<", out)
    assert "certainty" not in call(capsys, "why", "numpy")[1]  # it is in the list of the day
    assert "certainty:  12.3.0 is resolved, not seen" in out
    _, out, _ = call(capsys, "why", "fastcore")
    assert "broken in the image already: fastai" in out
    assert "in a version that nobody wrote down" in call(capsys, "why", "learntools")[1]
    (image,) = json.loads(call(capsys, "why", "pillow", "--json")[1])["images"]
    assert (image["version"], image["certainty"], image["provenance"]) == ("12.3.0", "medium", "uv-estimate")
    assert {"by", "version", "requirement", "extra", "holds"} == set(image["needed_by"][0])


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("", "is neither the name of a distribution nor"),
        ("numpy 1", "is neither the name of a distribution nor"),
        ("../x", "is neither the name of a distribution nor"),
        ("sklearn", "the module 'sklearn' is of scikit-learn"),
        ("cv2", "opencv-"),
        ("tensorflo", "did you mean 'tens"),
    ],
)
def test_why_knows_import_names_and_slips(
    project: Path, capsys: pytest.CaptureFixture[str], asked: str, said: str
) -> None:
    (project / "kaggle-env.toml").write_text('name = "x"\nbase = "kaggle-gpu-py312-2026-08"\n')
    code, _, err = call(capsys, "why", asked)
    assert code == 2
    assert said in err


@pytest.mark.parametrize(
    ("distributions", "python", "code"),
    [
        ({"torch": "2.10.0", "tokenizers": "0.22"}, "3.12.13", 0),
        ({"torch": "2.11.0", "tokenizers": "0.22"}, "3.12.13", 0),
        ({"torch": "3.0", "tokenizers": "0.22"}, "3.12.13", 1),
        ({"torch": "2.10.0", "tokenizers": "0.22"}, "3.13.15", 1),
    ],
)
def test_drift_exits_1_when_something_breaks(
    project: Path, capsys: pytest.CaptureFixture[str], distributions: dict[str, str], python: str, code: int
) -> None:
    snapshot(project / "new.json", python, **distributions)
    found, out, _ = call(capsys, "drift", "pylock.kaggle-env.toml", "--base", "./new.json")
    assert found == code
    assert ("does not fit" in out) == bool(code)
    found, out, _ = call(capsys, "drift", "--base", "./new.json", "--json")
    answer: dict[str, Any] = json.loads(out)
    assert found == code
    assert answer["fits"] == (code == 0)
    assert {"path", "base", "target", "fits", "drift", "notes"} <= answer.keys()
    assert all({"name", "locked", "found", "breaks"} <= item.keys() for item in answer["drift"])


def test_drift_against_an_unknown_base_is_wrong_words(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = call(capsys, "drift", "--base", "kaggle-gpu-py312-2027-08", "--json")
    assert code == 2
    assert json.loads(out)["error"]["code"] == 2


def test_drift_reads_a_pack_as_it_reads_a_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = make_wheel(tmp_path, "x", "1")
    packed = pin("x", "1", wheel=wheel(path.name, sha256=sha256_of(path), size=path.stat().st_size))
    found = resolution((target(base({"torch": "2"})), [packed]), from_base=(use("torch", "2", ("x", "torch<3")),))
    lock = from_resolution(environment("x"), found, meaning="0" * 64)
    out = tmp_path / "tiny.kpack.bin"
    images = {lock.targets[0].label: ("sha256:" + "1" * 64,)}
    content = content_of(lock, "pylock.kaggle-env.toml", {sha256_of(path): path}, images)
    pack.write(content, out)
    assert pack.read(out).manifest.targets[0].images == images[lock.targets[0].label]
    snapshot(tmp_path / "same.json", torch="2")
    snapshot(tmp_path / "newer.json", torch="3")
    assert call(capsys, "drift", str(out), "--base", str(tmp_path / "same.json"))[0] == 0
    code, said, _ = call(capsys, "drift", str(out), "--base", str(tmp_path / "newer.json"))
    assert code == 1
    assert "breaks: torch 2 → 3: x wants torch<3" in said


def test_why_tells_what_is_held_back_excluded_and_lost(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = HeldBack(name=canonicalize_name("light"), version=Version("1"), newest=Version("2"), because="torch 2")
    found = resolution(
        (target(base({"torch": "2"})), [pin("light", "1")]),
        (target(base({}, name="other", python="3.13.15")), []),
        from_base=(use("torch", "2", ("light", "torch")),),
        held_back=(held,),
        dropped=(canonicalize_name("torch-xla"),),
    )
    lock = from_resolution(environment("light"), found, meaning="0" * 64)
    (project / "pylock.kaggle-env.toml").write_text(dumps(lock))
    said = call(capsys, "why", "light")[1]
    assert "held back:  the newest is 2; torch 2" in said
    assert "the pack loses light" in said
    assert "leans no more on torch" in said
    assert "light in other: not needed" in said
    assert "torch-xla in image: left out, because of exclude" in call(capsys, "why", "torch-xla")[1]
    assert "torch 2 in image: in the image, not packed" in call(capsys, "why", "torch")[1]
