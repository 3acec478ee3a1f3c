"""``kaggle://``: the real client brings files, kpack pins and keeps them."""

from __future__ import annotations

import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from kpack.cache import Cache
from kpack.checkpoints.kaggle import refuse_odd
from kpack.errors import IntegrityError, KpackError, NetworkError, UsageError
from kpack.hubs import kaggle_address
from tests.checkpoints.conftest import Bench, ask
from tests.checkpoints.servers import KaggleServer
from tests.support.long import long_list

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.origin import Origin

pytest.importorskip("kagglehub", reason="needs the extra kaggle")

OLD = {"a.ckpt": b"old" * 100, "sub/b.txt": b"b"}
NEW = {"a.ckpt": b"new" * 100, "sub/b.txt": b"b"}


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def kaggle(monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with KaggleServer(
        datasets={"me/weights": {1: OLD, 2: NEW}}, models={"me/net/pytorch/base": {1: OLD, 3: NEW}}
    ) as server:
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        yield server


def test_file_of_a_dataset_is_pinned_to_its_version(bench: Bench, kaggle: KaggleServer) -> None:
    (locked,) = bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"))
    assert locked.urls == ("kaggle://datasets/me/weights@2/a.ckpt#newest",)
    assert (locked.sha256, locked.size) == (sha(NEW["a.ckpt"]), 300)
    assert locked.note is not None
    (old,) = bench.lock(ask("kaggle://datasets/me/weights@1/a.ckpt"), strict=True)
    assert (old.urls, old.sha256) == (("kaggle://datasets/me/weights@1/a.ckpt",), sha(OLD["a.ckpt"]))
    calls = len(kaggle.calls)
    assert bench.fetch(locked)[locked.sha256].path.read_bytes() == NEW["a.ckpt"]
    assert len(kaggle.calls) == calls
    assert bench.empty().fetch(old)[old.sha256].path.read_bytes() == OLD["a.ckpt"]


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n"


def linked() -> bytes:
    """Return an archive with a link in it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for info in (tarfile.TarInfo("a.bin"), tarfile.TarInfo("z.bin")):
            info.type, info.linkname = (tarfile.SYMTYPE, "z.bin") if info.name == "a.bin" else (tarfile.REGTYPE, "")
            archive.addfile(info)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "error", "what"),
    [
        ("link", None, IntegrityError, "its link is a link"),
        ("a\nb", b"", IntegrityError, "no path below a folder"),
        ("a\udce9", b"", IntegrityError, "no path below a folder"),
        ("a.bin", POINTER, NetworkError, "its a.bin cannot be taken: it is a git-lfs pointer"),
        ("a.bin", b"<html>", NetworkError, "its a.bin cannot be taken: it is a web page"),
    ],
)
def test_what_is_no_file_of_a_dataset_is_told(
    tmp_path: Path, name: str, data: bytes | None, error: type[KpackError], what: str
) -> None:
    path = tmp_path / "brought.bin"
    if data is None:
        path.symlink_to("elsewhere")
    else:
        path.write_bytes(data)
    with pytest.raises(error, match=what):
        refuse_odd(path, name, kaggle_address("kaggle://datasets/me/weights"), Cache(tmp_path))


@long_list
@pytest.mark.parametrize(
    ("files", "error", "what"),
    [
        ({"": linked()}, IntegrityError, "its a.bin is a link"),
        ({"a\nb": b"x"}, IntegrityError, "no path below a folder"),
        ({"a.bin": POINTER}, NetworkError, "its a.bin cannot be taken: it is a git-lfs pointer"),
    ],
)
def test_what_is_no_file_of_a_dataset_is_refused(
    bench: Bench, kaggle: KaggleServer, files: dict[str, bytes], error: type[KpackError], what: str
) -> None:
    kaggle.datasets["me/weights"][3] = files
    with pytest.raises(error, match=what):
        bench.lock(ask("kaggle://datasets/me/weights", path="w"))


@long_list
def test_a_page_in_place_of_a_file_is_taken_only_with_its_digest(bench: Bench, kaggle: KaggleServer) -> None:
    page = b"<html>log in</html>"
    kaggle.datasets["me/weights"][3] = {"a.bin": page}
    with pytest.raises(NetworkError, match=r"its a\.bin cannot be taken: it is a web page"):
        bench.lock(ask("kaggle://datasets/me/weights/a.bin"))
    (locked,) = bench.lock(ask("kaggle://datasets/me/weights/a.bin", sha256=sha(page)))
    assert locked.size == len(page)


def test_what_cannot_be_taken_is_asked_for_anew_the_next_time(bench: Bench, kaggle: KaggleServer) -> None:
    kaggle.datasets["me/weights"][3] = {"a.bin": b"<html>log in</html>"}
    with pytest.raises(NetworkError, match="it is a web page"):
        bench.lock(ask("kaggle://datasets/me/weights/a.bin"))
    kaggle.datasets["me/weights"][3] = {"a.bin": b"weights" * 30}
    (locked,) = bench.lock(ask("kaggle://datasets/me/weights/a.bin"))
    assert locked.sha256 == sha(b"weights" * 30)


def test_pin_stays_though_a_newer_version_came(bench: Bench, kaggle: KaggleServer) -> None:
    known = bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"))
    kaggle.datasets["me/weights"][3] = OLD
    calls = len(kaggle.calls)
    (again,) = bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"), known=known)
    assert (again.urls, again.sha256) == (known[0].urls, known[0].sha256)
    assert len(kaggle.calls) == calls


@pytest.mark.parametrize("url", ["kaggle://datasets/me/weights", "kaggle://models/me/net/pytorch/base"])
def test_all_files_land_below_the_path(bench: Bench, kaggle: KaggleServer, url: str) -> None:
    locked = bench.lock(ask(url, path="w"))
    assert [(item.path, item.sha256) for item in locked] == [
        ("w/a.ckpt", sha(NEW["a.ckpt"])),
        ("w/sub/b.txt", sha(b"b")),
    ]
    fetched = bench.empty().fetch(*locked)
    assert {digest: item.path.read_bytes() for digest, item in fetched.items()} == {
        sha(data): data for data in NEW.values()
    }
    assert not list(bench.cache.parts_dir.rglob("*.ckpt"))


def test_patterns_and_folders_choose_files(bench: Bench, kaggle: KaggleServer) -> None:
    (one,) = bench.lock(ask("kaggle://datasets/me/weights@2", path="w", include=("*.ckpt",)))
    assert one.path == "w/a.ckpt"
    (other,) = bench.lock(ask("kaggle://datasets/me/weights@2/sub/", path="w"))
    assert other.path == "w/b.txt"
    with pytest.raises(UsageError, match="no file there matches") as caught:
        bench.lock(ask("kaggle://datasets/me/weights@2", path="w", include=("*.bin",)))
    assert "a.ckpt" in caught.value.next


def test_version_of_a_model_is_pinned(bench: Bench, kaggle: KaggleServer) -> None:
    (locked,) = bench.lock(ask("kaggle://models/me/net/pytorch/base/a.ckpt"))
    assert locked.urls == ("kaggle://models/me/net/pytorch/base@3/a.ckpt#newest",)
    (old,) = bench.lock(ask("kaggle://models/me/net/pytorch/base@1/a.ckpt"))
    assert old.sha256 == sha(OLD["a.ckpt"])


def test_other_bytes_than_locked_are_refused(bench: Bench, kaggle: KaggleServer) -> None:
    with pytest.raises(IntegrityError, match=sha(OLD["a.ckpt"])):
        bench.lock(ask("kaggle://datasets/me/weights@1/a.ckpt", sha256="0" * 64))
    locked = bench.lock(ask("kaggle://datasets/me/weights@1", path="w"))
    kaggle.datasets["me/weights"][1] = NEW
    with pytest.raises(IntegrityError, match=sha(NEW["a.ckpt"])):
        bench.empty().fetch(*locked)


def test_unknown_dataset_is_named(bench: Bench, kaggle: KaggleServer) -> None:
    with pytest.raises(NetworkError, match="404"):
        bench.lock(ask("kaggle://datasets/me/none@1/a"))
    with pytest.raises(UsageError, match="strict"):
        bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"), strict=True)
    with pytest.raises(NetworkError, match="offline"):
        bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"), offline=True)


def test_kaggle_is_the_mirror_when_the_web_fails(bench: Bench, kaggle: KaggleServer, origin: Origin) -> None:
    urls = (origin.url + "/gone", "kaggle://datasets/me/weights@2/a.ckpt")
    (locked,) = bench.lock(ask(*urls))
    assert locked.urls == urls
    assert bench.empty().fetch(locked)[locked.sha256].path.read_bytes() == NEW["a.ckpt"]
    origin.files["/gone"] = NEW["a.ckpt"]
    calls = len(kaggle.calls)
    assert bench.empty("third").fetch(locked)[locked.sha256].size == 300
    assert len(kaggle.calls) == calls


def test_without_the_client_the_extra_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match="kagglehub") as caught:
        bench.lock(ask("kaggle://datasets/me/weights/a.ckpt"))
    assert '"kaggle-kpack[kaggle]"' in caught.value.next


@pytest.mark.parametrize(
    "url", ["kaggle://datasets/o", "kaggle://models/o/m", "kaggle://datasets/o/s@x", "kaggle://x/o/s"]
)
def test_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        kaggle_address(url)
