"""A rehearsal in a container: by a stand-in for podman, and by podman itself where there is an image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kpack.rehearse import container
from tests.cli.run import ROOT, Done, kpack
from tests.rehearse.conftest import SERIES
from tests.restore.kit import make_venv
from tests.support.interpreters import SERIES as EVERY
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from tests.rehearse.conftest import Theatre

CALLS = "import socket\ntry:\n    socket.getaddrinfo('updates.example.org', 443)\nexcept OSError:\n    pass\n"
IMAGE = os.environ.get("KPACK_TEST_IMAGE")
"""An image with Python that podman or docker has, for the test of the real engine."""

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("walled")]


@pytest.fixture
def python(theatre: Theatre) -> Path:
    """The interpreter of the image, which has torch and no numpy."""
    made = make_venv(SERIES, theatre.folder / "image")
    site = next((made.parents[1] / "lib").glob("python3.*")) / "site-packages"
    info = site / "torch-2.10.0.dist-info"
    info.mkdir()
    info.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0\n")
    site.joinpath("torch.py").write_text("REAL = True\n")
    return made


def rehearse(theatre: Theatre, *words: str, image: str = "localhost/kernel", **variables: str) -> Done:
    programs = theatre.folder / "bin"
    programs.mkdir(exist_ok=True)
    for name in container.ENGINES:
        program = programs / name
        program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path(__file__).with_name("engine.py")} "$@"\n')
        program.chmod(0o755)
    return kpack(
        theatre.folder,
        "rehearse",
        *words,
        "--container",
        image,
        "--json",
        PATH=f"{programs}:{os.environ['PATH']}",
        ENGINE_CALLS=str(theatre.folder / "calls"),
        KPACK_CACHE=str(theatre.folder / "cache"),
        **variables,
    )


def test_image_gives_the_interpreter_and_its_packages(theatre: Theatre, python: Path) -> None:
    wheels = [
        theatre.wheel("phone-home", CALLS),
        theatre.wheel("uses-torch", "import torch\nassert torch.REAL\n"),
        theatre.wheel("uses-numpy", "import numpy\n"),
    ]
    leans = {"torch": ("2.10.0", [("uses-torch", "torch>=2")]), "numpy": ("2.0.2", [("uses-numpy", "numpy")])}
    pack = theatre.pack(wheels, series=["3.8", SERIES], leans=leans)
    script = theatre.folder / "inference.py"
    script.write_text(
        "import os\nassert os.getcwd() == '/kaggle/working'\nassert 'KAGGLE_KERNEL_RUN_TYPE' in os.environ\n"
    )
    done = rehearse(theatre, str(pack), "--python", str(python), "--script", str(script))
    assert done.code == 0, done.out + done.err
    said = done.json
    assert (said["where"], said["target"], said["ok"]) == ("container", f"python-{SERIES}", True)
    assert [(step["name"], step["ok"]) for step in said["steps"]] == [("script", True), ("line", True)]
    assert {item["module"]: (item["ok"], item["stub"]) for item in said["imports"]} == {
        "phone_home": (True, None),
        "uses_torch": (True, None),
        "uses_numpy": (False, "numpy"),
    }
    assert [item["host"] for item in said["network"]] == ["updates.example.org"]
    assert any("lacks 1 of the base's 2 packages" in note for note in said["notes"])
    assert theatre.left() == []
    assert json.loads(pack.with_name("tiny.ledger.json").read_text())["rehearsed"]["container"]["ok"] is True


def test_an_image_that_cannot_be_written_is_a_failed_step(theatre: Theatre, python: Path) -> None:
    pack = theatre.pack(
        [theatre.wheel("uses-numpy", "import numpy\n")], leans={"numpy": ("2.0.2", [("uses-numpy", "numpy")])}
    )
    done = rehearse(theatre, str(pack), "--python", str(python), ENGINE_READONLY="1")
    assert done.code == 1, done.out + done.err
    (step,) = done.json["steps"]
    assert (step["name"], step["ok"]) == ("prepare", False)
    assert "Read-only file system" in step["error"]


@pytest.mark.parametrize(
    ("words", "image", "code", "part"),
    [
        ((), "localhost/other", 7, "image not known"),
        (("--base", "3.8"), "localhost/kernel", 7, "the pack is for"),
        (("--real", "needed"), "localhost/kernel", 2, "packages are real"),
    ],
)
def test_what_does_not_fit_a_container_is_said(
    theatre: Theatre, python: Path, words: tuple[str, ...], image: str, code: int, part: str
) -> None:
    pack = theatre.pack([theatre.wheel("plain")], series=["3.8", SERIES])
    done = rehearse(theatre, str(pack), "--python", str(python), *words, image=image)
    assert done.code == code
    assert part in str(done.error["what"])


def test_machine_without_an_engine_says_so(theatre: Theatre) -> None:
    pack = theatre.pack([theatre.wheel("plain")])
    done = kpack(theatre.folder, "rehearse", str(pack), "--container", "any", "--json", PATH="/nowhere")
    assert done.code == 7
    assert "podman" in str(done.error["what"])


@pytest.mark.skipif(IMAGE is None, reason="KPACK_TEST_IMAGE names no image with Python")
def test_real_engine_runs_it(theatre: Theatre) -> None:
    wheels = [theatre.wheel("phone-home", CALLS), make_wheel(theatre.folder, "plain")]
    pack = theatre.pack(wheels, series=EVERY)
    script = theatre.folder / "inference.py"
    script.write_text("import os\nassert os.listdir('/sys/class/net') == ['lo']\nopen('/kaggle/working/x', 'w')\n")
    done = kpack(theatre.folder, "rehearse", str(pack), "--container", str(IMAGE), "--script", str(script), "--json")
    assert done.code == 0, done.out + done.err
    assert [item["host"] for item in done.json["network"]] == ["updates.example.org"]


def test_interrupted_container_is_removed(theatre: Theatre, python: Path) -> None:
    script = theatre.folder / "inference.py"
    script.write_text("import time\ntime.sleep(600)\n")
    pack = theatre.pack([theatre.wheel("plain")])
    code = (
        "import sys\nfrom kpack.rehearse import call, container\n"
        "def stop(*_):\n    raise KeyboardInterrupt\n"
        "call._hear = stop\n"
        "from kpack.cli import run\nsys.exit(run(sys.argv[1:]))\n"
    )
    rehearse(theatre, str(pack), "--python", str(python), image="localhost/other")  # lays the programs out
    done = subprocess.run(
        [sys.executable, "-c", code, "rehearse", str(pack), "--container", "localhost/kernel", "--python", str(python)],
        cwd=theatre.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{theatre.folder / 'bin'}:{os.environ['PATH']}",
            "ENGINE_CALLS": str(theatre.folder / "calls"),
            "KPACK_CACHE": str(theatre.folder / "cache"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 130, done.stderr
    last = json.loads((theatre.folder / "calls").read_text().splitlines()[-1])
    assert last[:2] == ["rm", "--force"]
    assert theatre.left() == []
