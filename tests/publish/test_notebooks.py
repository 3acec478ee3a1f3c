from __future__ import annotations

import json
import shutil
import sys
from typing import TYPE_CHECKING

import nbformat
import pytest

from tests.support.index import IndexServer
from tests.support.kaggle import Fault
from tests.support.long import long_list
from tests.support.sandbox import missing
from tests.support.unisolated import TORCH, kernels
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.publish.conftest import Desk

PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
WEIGHTS = bytes(range(256)) * 100
TOML = f"""
name = "tiny"
python = "{PYTHON}"  # as on Kaggle
platform = "manylinux_2_17_x86_64"
packages = ["alpha"]

[[checkpoints]]
url = "URL"
path = "checkpoints/w.bin"

[publish]
dataset = "me/tiny-env"
"""

sandboxed = [pytest.mark.root, pytest.mark.skipif(bool(missing()), reason=missing() or "sandboxes work")]


@pytest.fixture
def index(desk: Desk, tmp_path: Path) -> Iterator[IndexServer]:
    """An index with one package, a server of one checkpoint, and a project that wants both."""
    weights = tmp_path / "w.bin"
    weights.write_bytes(WEIGHTS)
    with IndexServer() as server:
        server.add(make_wheel(tmp_path / "served", "alpha", "1.0"))
        server.add(weights)
        server.files["w"] = server.files.pop("w.bin", server.files.get("w", []))
        text = TOML.replace("URL", f"{server.root}/files/w.bin")
        desk.folder.joinpath("kaggle-env.toml").write_text(text, encoding="utf-8")
        desk.environ["KPACK_INDEX_URL"] = server.url
        yield server


def builder_of(desk: Desk) -> str:
    return (desk.folder / "notebooks" / "builder" / "builder.ipynb").read_text(encoding="utf-8")


def sources(text: str) -> dict[str, str]:
    return {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"]}


def test_the_pair_is_valid_says_internet_and_is_written_in_the_same_bytes_again(desk: Desk, index: IndexServer) -> None:
    desk.good("lock")
    built = desk.good("build", "--json").json
    said = desk.good("notebook", "--json").json
    assert (said["id"], said["line"]) == (built["id"], built["bootstrap"])
    before = {path: path.read_bytes() for path in (desk.folder / "notebooks").rglob("*") if path.is_file()}
    assert sorted(path.relative_to(desk.folder / "notebooks").as_posix() for path in before) == [
        "builder/builder.ipynb",
        "builder/kernel-metadata.json",
        "inference/inference.ipynb",
        "inference/kernel-metadata.json",
    ]
    for path in before:
        if path.suffix == ".ipynb":
            nbformat.validate(nbformat.read(path, as_version=4))
    told = json.loads((desk.folder / "notebooks/builder/kernel-metadata.json").read_text())
    assert (told["id"], told["enable_internet"], told["is_private"]) == ("me/tiny-builder", True, True)
    told = json.loads((desk.folder / "notebooks/inference/kernel-metadata.json").read_text())
    assert (told["enable_internet"], told["kernel_sources"]) == (False, ["me/tiny-builder"])
    inference = sources((desk.folder / "notebooks/inference/inference.ipynb").read_text())
    assert inference["kpack-line"] == built["bootstrap"]
    assert "/kaggle/tmp/checkpoints/w.bin" in inference["kpack-checkpoints"]
    desk.good("notebook")
    assert {path: path.read_bytes() for path in before} == before


def test_the_builder_probes_before_it_installs_and_writes_every_byte_of_the_files(
    desk: Desk, index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (desk.folder / "kaggle-env.toml").read_text() + "\n# \"quotes\" \\ ''' ü — and no end of line"
    (desk.folder / "kaggle-env.toml").write_text(text)
    desk.good("lock")
    desk.good("notebook", "--owner", "me")
    cells = sources(builder_of(desk))
    order = list(cells)
    assert order.index("kpack-probe") < order.index("kpack-get") < order.index("kpack-build")
    monkeypatch.chdir(tmp_path)
    exec(cells["kpack-files"], {})
    for name in ("kaggle-env.toml", "pylock.kaggle-env.toml"):
        assert (tmp_path / name).read_bytes() == (desk.folder / name).read_bytes()


def test_of_an_inference_notebook_that_is_there_only_the_line_changes(desk: Desk, index: IndexServer) -> None:
    desk.good("lock")
    desk.good("notebook")
    place = desk.folder / "notebooks" / "inference" / "inference.ipynb"
    mine = json.loads(place.read_text())
    assert "raise SystemExit" in "".join(mine["cells"][1]["source"])
    mine["cells"][-1]["source"] = ["import alpha\n", "print('mine')"]
    mine["metadata"]["mine"] = True
    place.write_text(json.dumps(mine))
    metadata = place.with_name("kernel-metadata.json")
    held = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**held, "kernel_sources": ["me/other"], "competition_sources": ["titanic"]}))
    line = desk.good("build", "--json").json["bootstrap"]
    desk.good("notebook")
    after = json.loads(place.read_text())
    assert "".join(after["cells"][1]["source"]) == line
    assert after["cells"][-1]["source"] == ["import alpha\n", "print('mine')"]
    assert after["metadata"]["mine"] is True
    told = json.loads(metadata.read_text())
    assert told["kernel_sources"] == ["me/other", "me/tiny-builder"]
    assert told["competition_sources"] == ["titanic"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('packages = ["./fork"]', "./fork"),
        ('[[indexes]]\nname = "corp"\nurl = "https://me:canary@127.0.0.1/simple"\npackages = ["corp-*"]', "${NAME}"),
        ('[[indexes]]\nname = "c"\nurl = "https://me:canary@${HOST}/simple"\npackages = ["corp-*"]', "${NAME}"),
        ('[[checkpoints]]\nurl = "file:w.bin"\npath = "w.bin"', "file:w.bin"),
        ('[[checkpoints]]\nurl = "https://h/w?X-Amz-Signature=canary"\npath = "w.bin"', "X-Amz-Signature=…"),
        ('packages = ["x @ https://canary@h/x-1-py3-none-any.whl"]', "holds a secret"),
    ],
)
def test_what_kaggle_cannot_reach_or_must_not_read_is_refused(desk: Desk, line: str, word: str) -> None:
    (desk.folder / "fork").mkdir()
    (desk.folder / "kaggle-env.toml").write_text(f'name = "tiny"\npython = "{PYTHON}"\n{line}\n')
    done = desk.kpack("notebook", "--owner", "me")
    assert done.code == 2
    assert word in done.err
    assert not (desk.folder / "notebooks").exists()


def test_a_dataset_that_would_bear_a_notebooks_name_is_refused(desk: Desk, index: IndexServer) -> None:
    place = desk.folder / "kaggle-env.toml"
    place.write_text(place.read_text().replace("me/tiny-env", "me/tiny-builder"))
    done = desk.kpack("notebook", "--relock")
    assert done.code == 2
    assert "me/tiny-builder" in done.err


def test_relock_takes_the_base_that_the_builder_probes(desk: Desk, index: IndexServer) -> None:
    desk.good("notebook", "--relock", "--accelerator", "gpu", "--image", "sha256:" + "a" * 64)
    cells = sources(builder_of(desk))
    assert 'base = "./kaggle-base.json"  # as on Kaggle' in cells["kpack-files"]
    assert "pylock" not in cells["kpack-files"]
    assert '"lock"' in cells["kpack-build"]
    told = json.loads((desk.folder / "notebooks/builder/kernel-metadata.json").read_text())
    assert told["docker_image"] == "gcr.io/kaggle-gpu-images/python@sha256:" + "a" * 64
    assert (told["enable_gpu"], told["machine_shape"]) == (True, "NvidiaTeslaT4")


def test_metadata_that_would_not_do_what_it_looks_like_is_refused(desk: Desk, index: IndexServer) -> None:
    desk.good("lock")
    desk.good("notebook")
    place = desk.folder / "notebooks" / "inference" / "kernel-metadata.json"
    held = json.loads(place.read_text())
    wrong: list[tuple[dict[str, object], str]] = [
        ({"enable_internet": None}, "enable_internet"),
        ({"is_private": False}, "private"),
        ({"title": "Another title"}, "another-title"),
    ]
    for change, word in wrong:
        place.write_text(json.dumps({**held, **change}))
        done = desk.kpack("push", "--notebooks")
        assert done.code == 2
        assert word in done.err
    assert not desk.kaggle.said("SaveKernel")


def test_dry_run_prints_what_would_be_saved(desk: Desk, index: IndexServer) -> None:
    desk.good("lock")
    desk.good("notebook")
    requests = desk.good("push", "--notebooks", "--dry-run", "--json").json["requests"]
    assert [one["body"]["slug"] for one in requests] == ["me/tiny-builder", "me/tiny-inference"]
    assert [one["body"]["enableInternet"] for one in requests] == [True, False]
    assert not desk.kaggle.calls


@pytest.mark.parametrize(
    ("answer", "code", "word"),
    [
        ({"error": "Maximum weekly GPU quota of 30.00 hours reached."}, 4, "quota"),
        ({"error": "The requested title is already in use."}, 2, "another"),
        ({"ref": "/code/me/something-else", "versionNumber": 1}, 2, "something-else"),
        ({"ref": "/code/me/tiny-builder", "versionNumber": 1, "invalidKernelSources": ["me/x"]}, 2, "me/x"),
    ],
)
def test_what_the_command_line_client_would_pass_over_is_an_error(
    desk: Desk, index: IndexServer, answer: dict[str, object], code: int, word: str
) -> None:
    desk.good("lock")
    desk.good("notebook")
    desk.kaggle.faults = {"SaveKernel": [Fault(answer=answer)]}
    done = desk.kpack("push", "--notebooks")
    assert done.code == code
    assert word in done.err


class TestOnKaggle:
    """The notebooks really run."""

    pytestmark = sandboxed

    @pytest.fixture
    def served(self, desk: Desk, index: IndexServer) -> IndexServer:
        """The index serves kpack itself, too, and notebooks with internet know it."""
        desk.give_internet(index)
        return index

    def test_the_builder_makes_the_expected_pack_and_the_line_restores_it_offline(
        self, desk: Desk, served: IndexServer
    ) -> None:
        desk.good("lock")
        built = desk.good("build", "--json").json
        desk.good("notebook")
        place = desk.folder / "notebooks" / "inference" / "inference.ipynb"
        mine = json.loads(place.read_text())
        mine["cells"][-1]["source"] = [
            "import alpha, socket\n",
            "print('alpha', alpha.VERSION)\n",
            "try:\n",
            "    socket.create_connection(('192.0.2.1', 80), 2)\n",
            "except OSError as error:\n",
            "    print('offline:', error)\n",
        ]
        place.write_text(json.dumps(mine))
        said = desk.good("push", "--notebooks", "--json").json
        assert said["id"] == built["id"]
        assert said["line"] == built["bootstrap"]
        assert said["attach"] == [{"kind": "notebook", "ref": "me/tiny-builder"}]
        assert [one["ok"] for one in said["notebooks"]] == [True, True]
        builder = desk.kaggle.kernels["me/tiny-builder"][0].ran
        assert builder is not None
        assert {"dist/tiny.kpack.bin", "kpack-build.json", "kaggle-base.json"} <= builder.outputs.keys()
        assert builder.outputs["dist/tiny.kpack.bin"].read_bytes() == (desk.folder / "dist/tiny.kpack.bin").read_bytes()
        inference = desk.kaggle.kernels["me/tiny-inference"][0].ran
        assert inference is not None
        assert "alpha 1.0" in inference.text
        assert "offline: [Errno 101]" in inference.text
        assert f"/kaggle/tmp/checkpoints/w.bin {len(WEIGHTS)} bytes" in inference.text
        again = desk.good("push", "--notebooks", "--json").json
        assert again["changed"] is False
        assert len(desk.kaggle.kernels["me/tiny-builder"]) == 1

    def test_a_builder_that_locks_there_gives_the_line_to_the_inference_notebook(
        self, desk: Desk, served: IndexServer
    ) -> None:
        desk.good("notebook", "--relock")
        said = desk.good("push", "--notebooks", "--json").json
        place = desk.folder / "notebooks" / "inference" / "inference.ipynb"
        assert sources(place.read_text())["kpack-line"] == said["line"]
        assert said["id"] in said["line"]
        assert not (desk.folder / "dist").exists()

    @long_list
    def test_what_needs_the_images_torch_is_built_in_the_builder_and_restored_offline(
        self, desk: Desk, served: IndexServer, tmp_path: Path
    ) -> None:
        desk.kaggle.image_files = TORCH
        served.add(kernels(tmp_path / "sources"))
        desk.folder.joinpath("kaggle-env.toml").write_text(
            f'name = "tiny"\npython = "{PYTHON}"\npackages = ["kernels"]\nno-build-isolation = ["kernels"]\n'
        )
        refused = desk.kpack("lock")
        assert refused.code == 3
        assert "kpack notebook --relock" in refused.err
        desk.good("notebook", "--relock", "--owner", "me")
        place = desk.folder / "notebooks" / "inference" / "inference.ipynb"
        mine = json.loads(place.read_text())
        mine["cells"][-1]["source"] = ["import kernels\n", "print('built with', kernels.TORCH)"]
        place.write_text(json.dumps(mine))
        desk.good("push", "--notebooks")
        ran = desk.kaggle.kernels["me/tiny-inference"][0].ran
        assert ran is not None
        assert "built with 2.10.0+cu128" in ran.text

    def test_a_builder_that_fails_shows_its_log(self, desk: Desk, served: IndexServer) -> None:
        desk.good("lock")
        desk.good("notebook")
        for name in list(served.files):
            if name == "alpha":
                del served.files[name]
        done = desk.kpack("push", "--notebooks")
        assert done.code == 1
        assert "alpha" in done.err
        assert "failed with exit code 4" in done.err
        assert "me/tiny-inference" not in desk.kaggle.kernels

    @long_list
    def test_without_uv_kpack_comes_into_a_folder_by_pip(self, desk: Desk, served: IndexServer) -> None:
        desk.good("lock")
        desk.good("notebook")
        place = desk.folder / "notebooks" / "builder" / "builder.ipynb"
        place.write_text(place.read_text().replace('UV = shutil.which(\\"uv\\")', "UV = None"))
        assert desk.good("push", "--notebooks", "--json").json["notebooks"][0]["ok"]

    def test_a_notebook_that_runs_too_long_is_said_so(self, desk: Desk, index: IndexServer) -> None:
        desk.good("lock")
        desk.good("notebook")
        place = desk.folder / "notebooks" / "builder" / "builder.ipynb"
        text = json.loads(place.read_text())
        text["cells"] = [text["cells"][1] | {"source": "import time\ntime.sleep(600)"}]
        place.write_text(json.dumps(text))
        desk.kaggle.longest = 1.0
        done = desk.kpack("push", "--notebooks")
        assert done.code == 1
        assert "longer than the allowed 1 seconds" in done.err

    def test_what_runs_longer_than_one_waits_is_left_to_run(self, desk: Desk, index: IndexServer) -> None:
        desk.good("lock")
        desk.good("notebook")
        place = desk.folder / "notebooks" / "builder" / "builder.ipynb"
        text = json.loads(place.read_text())
        text["cells"] = [text["cells"][1] | {"source": "import time\ntime.sleep(1)"}]
        place.write_text(json.dumps(text))
        done = desk.kpack("push", "--notebooks", "--wait", "0.001")
        assert done.code == 4
        assert "still" in done.err


def test_an_image_must_be_named_by_its_digest(desk: Desk, index: IndexServer) -> None:
    desk.good("lock")
    shutil.rmtree(desk.folder / "notebooks", ignore_errors=True)
    done = desk.kpack("notebook", "--image", "latest")
    assert done.code == 2
    assert "sha256:" in done.err
