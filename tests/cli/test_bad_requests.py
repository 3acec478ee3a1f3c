"""What a user gets wrong in kaggle-env.toml, told by ``kpack lock`` before anything is written."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pip
import pytest
from packaging.version import Version

from tests.cli.run import Done, kpack
from tests.support.index import IndexServer
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def index(tmp_path: Path) -> Iterator[IndexServer]:
    with IndexServer() as server:
        server.add(make_wheel(tmp_path / "wheels", "tiny", requires=["small>=1"]))
        server.add(make_wheel(tmp_path / "wheels", "small"))
        yield server


def closed() -> str:
    """Return an address on loopback where nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        return f"127.0.0.1:{held.getsockname()[1]}"


def lock(folder: Path, index: IndexServer, text: str, *words: str) -> Done:
    (folder / "kaggle-env.toml").write_text(f'name = "x"\npython = "3.12"\n{text}\n')
    before = sorted(path.name for path in folder.iterdir())
    done = kpack(folder, "lock", *words, "--json", KPACK_INDEX_URL=index.url, KPACK_CACHE=str(folder / "cache"))
    after = sorted(path.name for path in folder.iterdir() if path.name != "cache")
    assert after == before
    assert "s3cret" not in done.out + done.err
    return done


# Older pips keep git's own words to themselves.
GIT_SAYS = "git clone failed" + (": unable to access" if Version(pip.__version__) >= Version("26") else "")


@pytest.mark.parametrize(
    ("text", "code", "what"),
    [
        ('packages = ["nosuch"]', 3, "there is no nosuch"),
        ('packages = ["tiny>=2"]', 3, "the newest tiny is 1.0"),
        ('packages = ["tiny", "small<1"]', 3, "small"),
        ('packages = ["./fork"]', 2, 'packages[0]: "./fork" is not there'),
        ('packages = ["x @ file:///nosuch/x.zip"]', 2, "is not there"),
        ('packages = ["x @ https://me:s3cret@CLOSED/x.zip"]', 4, "https://CLOSED/x.zip: "),
        ('packages = ["x @ git+https://me:s3cret@CLOSED/x.git@v1"]', 4, GIT_SAYS),
        ('packages = ["x @ ROOT/nosuch.zip"]', 4, "404"),
        (
            'packages = ["a"]\n[[indexes]]\nname = "c"\nurl = "https://me:s3cret@CLOSED/simple"\npackages = ["a"]',
            4,
            "CLOSED",
        ),
        (
            'packages = ["a"]\n[[indexes]]\nname = "c"\nurl = "https://${KPACK_NOT_SET}@host/simple"\npackages = ["a"]',
            2,
            "needs the environment variable KPACK_NOT_SET",
        ),
        ('packages = ["tiny"]\n[[checkpoints]]\nurl = "file:nosuch"\npath = "x"', 7, "cannot read"),
    ],
)
def test_a_wrong_request_has_its_exit_code_and_leaves_no_lock(
    tmp_path: Path, index: IndexServer, text: str, code: int, what: str
) -> None:
    address = closed()
    folder = tmp_path / "project"
    folder.mkdir()
    done = lock(folder, index, text.replace("CLOSED", address).replace("ROOT", index.root))
    assert done.code == code, done.out + done.err
    assert what.replace("CLOSED", address) in done.error["what"] + done.error["where"]
    assert done.error["next"] or code == 3


def test_a_pin_that_is_not_there_cannot_be_let_go_of(tmp_path: Path, index: IndexServer) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\npackages = ["tiny"]\n')
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    assert kpack(folder, "lock", **surroundings).code == 0
    done = kpack(folder, "lock", "--upgrade-package", "smal", "--json", **surroundings)
    assert done.code == 2
    assert done.error["next"] == "did you mean 'small'?"
    assert kpack(folder, "lock", "--upgrade-package", "Small", **surroundings).code == 0


def test_a_file_of_this_week_is_locked_without_another_version_of_a_package(tmp_path: Path, index: IndexServer) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "w.txt").write_text("last week")
    (folder / "kaggle-env.toml").write_text(
        'name = "x"\npython = "3.12"\npackages = ["tiny"]\n[[checkpoints]]\nurl = "file:w.txt"\npath = "data/w.txt"\n'
    )
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    done = kpack(folder, "lock", **surroundings)
    assert done.code == 0
    assert "needed by" in done.out
    assert [row for row in done.out.splitlines() if row != row.rstrip()] == []
    index.add(make_wheel(tmp_path / "wheels", "small", "2.0"))
    (folder / "w.txt").write_text("this week it is longer")
    done = kpack(folder, "build", "--json", **surroundings)
    assert done.code == 1
    assert "data/w.txt changed" in done.error["what"]
    assert kpack(folder, "lock", "-P", "data/w.text", "--json", **surroundings).error["next"] == (
        "did you mean 'data/w.txt'?"
    )
    done = kpack(folder, "lock", "-P", "data/w.txt", "--json", **surroundings)
    assert done.code == 0, done.err
    assert [change["name"] for change in done.json["changes"]] == ["data/w.txt"]
    assert kpack(folder, "build", **surroundings).code == 0


def test_build_that_is_not_the_expected_one_leaves_the_pack_that_is_there(tmp_path: Path, index: IndexServer) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    config = folder / "kaggle-env.toml"
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    config.write_text('name = "x"\npython = "3.12"\npackages = ["small"]\n')
    assert kpack(folder, "lock", **surroundings).code == 0
    first = kpack(folder, "build", "--json", **surroundings).json["id"]
    pack = folder / "dist" / "x.kpack.bin"
    before = {path.name: path.read_bytes() for path in pack.parent.iterdir()}
    config.write_text('name = "x"\npython = "3.12"\npackages = ["tiny"]\n')
    assert kpack(folder, "lock", **surroundings).code == 0
    done = kpack(folder, "build", "--expect", first, "--json", **surroundings)
    assert done.code == 1
    assert f"{first} was expected" in done.error["what"]
    assert {path.name: path.read_bytes() for path in pack.parent.iterdir()} == before
    assert pack.name in before


def test_restore_wants_a_real_interpreter(tmp_path: Path, index: IndexServer) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\n')
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    assert kpack(folder, "lock", **surroundings).code == 0
    assert kpack(folder, "build", **surroundings).code == 0
    for words in (["--python", "/bin/true"], ["--python", "/nosuch"], []):
        done = kpack(folder, "restore", "dist/x.kpack.bin", *words, "--json")
        assert done.code == (7 if words else 2)
        assert "interpreter" in done.error["what"]


@pytest.mark.parametrize(("name", "unpacked"), [("other.kpack.bin", False), ("x.zip", True), ("x.kpack.bin", None)])
def test_a_pack_by_another_name_than_its_line_looks_for_is_told(
    tmp_path: Path, index: IndexServer, name: str, *, unpacked: bool | None
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\npackages = ["small"]\n')
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    assert kpack(folder, "lock", **surroundings).code == 0
    done = kpack(folder, "build", "-o", f"there/{name}", **surroundings)
    assert done.code == 0, done.err
    assert ("note: the line looks for x.kpack.bin: call it so on Kaggle" in done.err) is (unpacked is not None)
    assert ("Kaggle unpacks a file of that kind" in done.err) is bool(unpacked)


@pytest.mark.parametrize("file", ["kaggle-env.toml", "pylock.kaggle-env.toml"])
@pytest.mark.parametrize("command", [["lock"], ["lock", "--check"], ["build"]])
def test_a_conflict_that_git_left_is_told_as_one(
    tmp_path: Path, index: IndexServer, file: str, command: list[str]
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "kaggle-env.toml").write_text('name = "x"\npython = "3.12"\npackages = ["small"]\n')
    surroundings = {"KPACK_INDEX_URL": index.url, "KPACK_CACHE": str(tmp_path / "cache")}
    assert kpack(folder, "lock", **surroundings).code == 0
    first, _, rest = (folder / file).read_text().partition("\n")
    mixed = f"{first}\n<<<<<<< HEAD\n{rest}=======\n{rest}>>>>>>> theirs\n"
    (folder / file).write_text(mixed)
    done = kpack(folder, *command, "--json", **surroundings)
    assert done.code == (2 if file == "kaggle-env.toml" else 5)
    assert "git left two versions here" in done.error["what"]
    assert done.error["where"].endswith(f"{file}:2")
    words = "take out the lines <<<<<<<" if file == "kaggle-env.toml" else "git checkout --ours FILE"
    assert words in done.error["next"]
    assert (folder / file).read_text() == mixed
