"""What `kpack lock` writes is what `kpack build` reads."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from packaging.pylock import Pylock
from packaging.version import Version

from kpack import locking, project
from kpack.cache import Cache
from kpack.checkpoints import LockedCheckpoint
from kpack.errors import IntegrityError
from kpack.fetch import Fetcher
from kpack.lock import Lock, dumps, from_resolution, loads, requirements, validated
from kpack.resolve.model import HeldBack, Resolution
from tests.lock.locks import locks
from tests.support.kernels import base, environment, pin, resolution, target, use, wheel
from tests.support.long import examples

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = base({"torch": "2.10.0"})
GPU = "flash_attn-2.8.3+cu12torch2.10cxx11abiTRUE-cp312-cp312-linux_x86_64.whl"


def locked(*pins: Any, **facts: Any) -> Lock:
    found = resolution((target(IMAGE), [pin("fine", "1"), *pins]), **facts)
    return from_resolution(environment("fine"), found, meaning="0" * 64)


@settings(max_examples=examples(40), deadline=None)
@given(locks())
def test_a_lock_of_any_resolution_is_valid(lock: Lock) -> None:
    assert validated(lock, "pylock.toml") == dumps(lock)


def test_a_wheel_whose_file_name_has_a_local_version_more_is_listed_under_it() -> None:
    lock = locked(pin("flash-attn", "2.8.3", wheel=wheel(GPU)))
    text = validated(lock, "pylock.toml")
    listed = {package["name"]: package["version"] for package in tomllib.loads(text)["packages"]}
    assert listed["flash-attn"] == "2.8.3+cu12torch2.10cxx11abitrue"
    Pylock.from_dict(tomllib.loads(text))
    again = loads(text, "pylock.toml")
    assert again == lock
    assert again.targets[0].packed[1].version == Version("2.8.3")
    assert requirements(lock).splitlines()[2].startswith(f"./wheels/{GPU} \\")


@pytest.mark.parametrize(
    ("lock", "where", "what"),
    [
        (
            locked(pin("other", "2", wheel=wheel("other-3-py3-none-any.whl"))),
            "other 2",
            "not consistent with package version '2'",
        ),
        (
            locked(pin("other", "2", wheel=wheel("another-2-py3-none-any.whl"))),
            "other 2",
            "not consistent with package name 'other'",
        ),
        (locked(pin("other", "2", wheel=wheel("other-two-py3-none-any.whl"))), "other 2", "Invalid wheel filename"),
        (locked(from_base=(use("torch", "2", ("fine", "torch \ud800")),)), "torch 2", "U+D800"),
        (
            locked(held_back=(HeldBack(name="Fine_x", version=Version("1"), newest=Version("2"), because="x"),)),  # type: ignore[arg-type]
            "Fine_x 1",
            "not a normalised name",
        ),
        (
            replace(locked(), checkpoints=(LockedCheckpoint(path="c/x.ckpt", urls=("u",), sha256="a" * 63, size=1),)),
            "c/x.ckpt",
            "sha256 is 64",
        ),
        (replace(locked(), name="a/b"), "pylock.toml", "not a name for a pack"),
    ],
)
def test_a_lock_that_build_would_refuse_is_refused_with_the_packages_name(lock: Lock, where: str, what: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        validated(lock, "pylock.toml")
    assert caught.value.where == where
    assert what in caught.value.what
    assert "by hand" not in caught.value.next
    assert "kaggle-kpack" in caught.value.next


def test_the_old_lock_stays_when_the_new_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\npackages = ["other"]\n')
    odd = pin("other", "2", wheel=wheel("other-3-py3-none-any.whl"))
    found = resolution((target(python="3.12.13"), [odd]))

    def answer(*_: object, **__: object) -> Resolution:
        return found

    monkeypatch.setattr("kpack.resolve.resolve", answer)
    monkeypatch.setattr("kpack.resolve.consistency.check", lambda environment, resolution, requires_of: resolution)
    path = tmp_path / "pylock.kaggle-env.toml"
    old = dumps(locked())
    path.write_text(old)
    with pytest.raises(IntegrityError, match="other 2: no build would take this lock"):
        locking.anew(project.Project(tmp_path / "kaggle-env.toml"), Fetcher(Cache(tmp_path / "cache")))
    assert path.read_text() == old
