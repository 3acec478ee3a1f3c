"""Bad input: the right exit code, one clear message, nothing lost, nothing half done."""

from __future__ import annotations

import os
import subprocess
import venv
from typing import TYPE_CHECKING

import pytest

from tests.support.long import ALL

if TYPE_CHECKING:
    from pathlib import Path

    from tests.e2e.conftest import Workshop


def installed(target: Path) -> list[str]:
    """Return what lies in a folder that a restore was aimed at."""
    return sorted(str(p.relative_to(target)) for p in target.rglob("*")) if target.exists() else []


def test_flipped_bytes_are_refused_and_leave_nothing(workshop: Workshop, tmp_path: Path) -> None:
    workshop.built()
    good = workshop.pack.read_bytes()
    bad = tmp_path / "bad.kpack.bin"
    expected = workshop_id(workshop)
    places = 23 if ALL else 7
    for number, position in enumerate(range(50, len(good) - 1100, max(1, len(good) // places))):
        bad.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        target = tmp_path / f"target-{number}"
        done = workshop.kpack("restore", bad, "--target", target, "--expect", expected)
        if done.code == 0:
            # A byte that restore has no use for (another target's file, a tar header): verify must still see it.
            assert workshop.kpack("verify", bad).code == 5, f"byte {position}"
            continue
        assert done.code == 5, f"byte {position}: {done.err}"
        assert done.err.startswith("kpack: ")
        assert "Traceback" not in done.err
        assert [name for name in installed(target) if not name.startswith(".kpack")] == []
        assert not list(target.glob(".kpack/mark*")), "a failed restore is not marked"


def workshop_id(workshop: Workshop) -> str:
    """Return the id of the good pack."""
    found: str = workshop.good("bootstrap", workshop.pack, "--json").json["id"]
    return found


def test_a_flipped_byte_is_refused_by_the_line_too(workshop: Workshop, tmp_path: Path) -> None:
    built = workshop.built()
    data = bytearray(workshop.pack.read_bytes())
    data[data.index(b"beta says hello") if b"beta says hello" in data else len(data) - 20000] ^= 1
    place = tmp_path / "input" / "x"
    place.mkdir(parents=True)
    place.joinpath("tiny.kpack.bin").write_bytes(data)
    venv.create(tmp_path / "kernel", symlinks=True)
    done = subprocess.run(
        [tmp_path / "kernel" / "bin" / "python", "-c", built["bootstrap"]],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "KPACK_INPUT": str(tmp_path / "input")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5, done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "kernel").rglob("alpha*"))
    assert not list((tmp_path / "kernel").rglob("beta*"))


def test_truncated_pack(workshop: Workshop, tmp_path: Path) -> None:
    workshop.built()
    cut = tmp_path / "cut.kpack.bin"
    for keep in (0, 100, 5000, workshop.pack.stat().st_size - 30000):
        cut.write_bytes(workshop.pack.read_bytes()[:keep])
        for words in (("verify", cut), ("restore", cut, "--target", tmp_path / "t")):
            done = workshop.kpack(*words)
            assert done.code == 5, done.err
            assert "Traceback" not in done.err
    assert [name for name in installed(tmp_path / "t") if not name.startswith(".kpack")] == []


def test_wrong_checkpoint_digest(workshop: Workshop) -> None:
    text = workshop.folder.joinpath("kaggle-env.toml").read_text()
    workshop.write(text.replace('path = "check', f'sha256 = "{"0" * 64}"\npath = "check'))
    done = workshop.kpack("lock")
    assert done.code == 5, done.err
    assert "0" * 64 in done.err
    assert not workshop.lock.exists()


def test_a_checkpoint_that_changed_after_the_lock(workshop: Workshop) -> None:
    workshop.built()
    before = workshop.pack.read_bytes()
    weights = workshop.folder / "weights.ckpt"
    weights.write_bytes(b"others!" * 5000)
    stale = workshop.kpack("build")
    assert stale.code == 1, stale.err
    assert "weights.ckpt changed" in stale.err
    os.utime(weights, (0, 0))  # as who moves an older file there: it has the size, and nothing tells that it is new
    done = workshop.kpack("build", env={"KPACK_CACHE": str(workshop.folder / "none")})
    assert done.code == 5, done.err
    assert workshop.pack.read_bytes() == before


def test_missing_sha256_is_said_and_refused_by_strict(workshop: Workshop) -> None:
    strict = workshop.kpack("lock", "--strict")
    assert strict.code == 2, strict.err
    loose = workshop.good("lock")
    assert "sha256" in loose.err + loose.out


def test_unreachable_index(workshop: Workshop) -> None:
    workshop.good("lock")
    before = workshop.lock.read_bytes()
    done = workshop.kpack(
        "lock",
        "--upgrade",
        env={"KPACK_INDEX_URL": "http://127.0.0.1:9/simple/", "KPACK_CACHE": str(workshop.folder / "n")},
    )
    assert done.code == 4, done.err
    assert "127.0.0.1" in done.err
    assert "Traceback" not in done.err
    assert workshop.lock.read_bytes() == before


def test_unknown_key_names_line_and_neighbour(workshop: Workshop) -> None:
    path = workshop.write('name = "tiny"\npython = "3.12"\npackges = ["alpha"]\n')
    done = workshop.kpack("lock")
    assert done.code == 2
    assert f"{path.name}:3" in done.err
    assert "packages" in done.err


def test_build_wants_a_lock_that_is_true(workshop: Workshop) -> None:
    assert workshop.kpack("build").code == 2
    workshop.good("lock")
    workshop.write(workshop.folder.joinpath("kaggle-env.toml").read_text().replace('"alpha"', '"alpha<1"'))
    stale = workshop.kpack("build")
    assert stale.code == 1
    assert "alpha<1" in stale.err
    check = workshop.kpack("lock", "--check")
    assert check.code == 1
    assert "alpha<1" in check.err


def test_comment_is_not_stale(workshop: Workshop) -> None:
    workshop.good("lock")
    workshop.write("# a comment\n" + workshop.folder.joinpath("kaggle-env.toml").read_text())
    workshop.good("lock", "--check")


def test_json_errors_have_four_keys(workshop: Workshop) -> None:
    done = workshop.kpack("verify", "none.kpack.bin", "--json")
    assert done.code == 7
    assert set(done.json["error"]) == {"code", "what", "where", "next"}
    assert done.json["error"]["code"] == 7


@pytest.mark.parametrize("words", [("nonsense",), ("lock", "--nonsense"), ("lok",)])
def test_wrong_words_exit_2(workshop: Workshop, words: tuple[str, ...]) -> None:
    done = workshop.kpack(*words)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_no_solution_exits_3_and_keeps_the_old_lock(workshop: Workshop) -> None:
    workshop.good("lock")
    before = workshop.lock.read_bytes()
    workshop.write(workshop.folder.joinpath("kaggle-env.toml").read_text().replace('"alpha"', '"alpha", "beta<1"'))
    done = workshop.kpack("lock", "--json")
    assert done.code == 3, done.err
    assert "beta" in done.json["error"]["what"]
    assert workshop.lock.read_bytes() == before


def test_max_size_names_the_largest(workshop: Workshop) -> None:
    workshop.write("max-size = 1000\n" + workshop.folder.joinpath("kaggle-env.toml").read_text())
    workshop.good("lock")
    done = workshop.kpack("build")
    assert done.code == 1
    assert "restore.bin" in done.err
    assert not workshop.pack.exists()
