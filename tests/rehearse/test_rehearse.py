"""A rehearsal from begin to end, in real interpreters behind real walls."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.run import ROOT, kpack
from tests.rehearse.conftest import SERIES
from tests.support import kernels
from tests.support.elf import make_elf
from tests.support.index import IndexServer
from tests.support.interpreters import SERIES as EVERY
from tests.support.interpreters import found
from tests.support.long import long_list
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from kpack.rehearse import Rehearsal
    from tests.rehearse.conftest import Theatre

CALLS = """
import socket

def ask():
    for _ in range(2):
        try:
            socket.create_connection(("updates.example.org", 443), 5)
        except OSError:
            pass

ask()
"""

pytestmark = pytest.mark.usefixtures("walled")


def module(outcome: Rehearsal, name: str) -> tuple[bool, str | None, str | None]:
    item = next(item for item in outcome.imports if item.module == name)
    return item.ok, item.error, item.stub


def processes_with(word: str) -> list[str]:
    """Return the command lines of running processes that have ``word`` in them."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if word in line and str(os.getpid()) != entry.parent.name:
            found.append(line)
    return found


@pytest.mark.root
@pytest.mark.parametrize("series", EVERY)
def test_pack_that_works_passes_and_who_asked_the_network_is_named(theatre: Theatre, series: str) -> None:
    if series not in found():
        pytest.skip(f"there is no CPython {series} here")
    home = make_wheel(
        theatre.folder,
        "phone-home",
        files={"phone_home/__init__.py": "from . import calls\n", "phone_home/calls.py": CALLS},
    )
    plain = make_wheel(theatre.folder, "plain", files={"plain/__init__.py": "", "plain/data.bin": b"x" * 2_000_000})
    outcome = theatre.play(theatre.pack([home, plain], series=[series]))
    assert outcome.ok, outcome
    assert outcome.python.startswith(series)
    assert outcome.walls is not None
    assert (outcome.walls.network, outcome.walls.files, outcome.walls.processes) == (True, True, True)
    assert [(item.module, item.ok) for item in outcome.imports] == [("phone_home", True), ("plain", True)]
    (attempt,) = outcome.network
    assert (attempt.host, attempt.tries) == ("updates.example.org", 2)
    assert attempt.by == "phone_home (phone_home/calls.py:7)"
    assert attempt.line == "import phone_home"
    assert attempt.seconds > 0
    assert outcome.said.startswith("kpack: tiny")
    assert "2 packages" in outcome.said
    assert outcome.peak_disk >= 2_000_000
    assert outcome.peak_memory > 5_000_000
    assert theatre.left() == []


@pytest.mark.root
def test_failure_of_a_stub_is_told_from_a_failure_of_the_pack(theatre: Theatre) -> None:
    wheels = [
        theatre.wheel("needs-torch", "import importlib.util as u\nassert u.find_spec('torch')\nimport torch\n"),
        theatre.wheel(
            "wraps", "try:\n    import sklearn.svm\nexcept ImportError as e:\n    raise RuntimeError from e\n"
        ),
        theatre.wheel("broken", "import not_there\n"),
    ]
    image = kernels.base({"torch": "2.10.0+cu128", "scikit-learn": "1.7"}, python=f"{SERIES}.1")
    pack = theatre.pack(wheels, leans={"torch": ("2.10.0+cu128", [("needs-torch", "torch>=2")])}, base="image")
    outcome = theatre.play(pack, base=image)
    assert not outcome.ok
    ok, error, stub = module(outcome, "needs_torch")
    assert (ok, stub) == (False, "torch")
    assert error == "needs the real torch, which is a stub here: --real torch (needs_torch.py:3)"
    assert module(outcome, "broken")[1] == "ModuleNotFoundError: No module named 'not_there' (broken.py:1)"
    assert module(outcome, "broken")[2] is None
    assert [(item.module, item.stub) for item in outcome.unproven] == [
        ("needs_torch", "torch"),
        ("wraps", "scikit-learn"),
    ]


@pytest.mark.root
def test_base_is_seen_by_drift_and_by_metadata(theatre: Theatre) -> None:
    code = "from importlib.metadata import version\nassert version('torch') == '2.10.0+cu128'\n"
    wheel = theatre.wheel("asks", code)
    pack = theatre.pack([wheel], leans={"torch": ("2.10.0+cu128", [("asks", "torch>=2")])}, base="image")
    assert theatre.play(pack, base=kernels.base({"torch": "2.10.0+cu128"}, python=f"{SERIES}.1")).ok
    drifted = theatre.play(pack, base=kernels.base({"torch": "1.13"}, python=f"{SERIES}.1"))
    assert not drifted.ok
    (line,) = drifted.steps
    assert "torch 1.13" in str(line.error)
    assert drifted.imports == ()


@pytest.mark.root
def test_module_that_ends_the_process_fails_alone(theatre: Theatre) -> None:
    wheels = [
        theatre.wheel("first", ""),
        theatre.wheel("kills", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n"),
        theatre.wheel("leaves", "import os\nos._exit(3)\n"),
        theatre.wheel("vanishes", "import os\nos._exit(0)\n"),
        theatre.wheel("quits", "raise SystemExit(0)\n"),
        theatre.wheel("last", ""),
    ]
    outcome = theatre.play(theatre.pack(wheels))
    assert module(outcome, "first")[0]
    assert module(outcome, "last")[0]
    assert module(outcome, "kills") == (False, "the process ended with signal 9", None)
    assert module(outcome, "leaves") == (False, "the process ended with exit 3", None)
    assert module(outcome, "vanishes") == (False, "the process ended with exit 0", None)
    assert module(outcome, "quits") == (False, "SystemExit: 0 (quits.py:1)", None)


@pytest.mark.root
def test_script_finds_kaggle_as_it_is(theatre: Theatre) -> None:
    script = theatre.folder / "inference.py"
    data = theatre.folder / "data"
    data.mkdir()
    data.joinpath("train.csv").write_text("a,b\n")
    name = f"kpack-{os.urandom(8).hex()}"
    script.write_text(
        textwrap.dedent(f"""
        import errno, os, sys
        assert os.getcwd() == "/kaggle/working", os.getcwd()
        assert sys.version_info[:2] == {tuple(map(int, SERIES.split(".")))}
        assert os.path.isfile("/kaggle/input/datasets/me/tiny-env/tiny.kpack.bin")
        assert os.listdir("/kaggle/input/competitions/titanic") == ["train.csv"]
        for place in ("new", "competitions/titanic/new", "datasets/me/tiny-env/tiny.kpack.bin"):
            try:
                open("/kaggle/input/" + place, "ab")
            except OSError as error:
                assert error.errno == errno.EROFS, error
            else:
                raise AssertionError(place + " can be written")
        try:
            with open("/kaggle/working/large", "wb") as stream:
                stream.write(bytes(3_000_000))
        except OSError as error:
            assert error.errno == {errno.ENOSPC}, error
        else:
            raise AssertionError("/kaggle/working has no limit")
        open("/kaggle/tmp/more", "wb").write(bytes(4_000_000))
        assert os.listdir(os.path.expanduser("~")) == []
        for folder in ("/etc", "/usr/local", "/var/lib"):
            try:
                open(folder + "/{name}", "wb")
            except OSError as error:
                assert error.errno == errno.EROFS, error
            else:
                raise AssertionError(folder + " of the machine can be written")
        for folder in ("/tmp", "/var/tmp", "/root"):
            open(folder + "/{name}", "wb")
        assert "KAGGLE_KERNEL_RUN_TYPE" in os.environ
        assert "SECRET" not in os.environ
        assert os.getpid() < 50
    """)
    )
    wheel = make_wheel(theatre.folder, "plain")
    outcome = theatre.play(
        theatre.pack([wheel]),
        script=script,
        dataset="me/tiny-env",
        inputs={"competitions/titanic": data},
        working=2_000_000,
    )
    assert outcome.ok, outcome.steps
    assert [step.name for step in outcome.steps] == ["script", "line"]
    assert outcome.peak_disk >= 4_000_000
    assert not any(Path(folder, name).exists() for folder in ("/tmp", "/var/tmp", "/root"))


@pytest.mark.root
def test_script_that_fails_is_a_failure(theatre: Theatre) -> None:
    script = theatre.folder / "inference.py"
    script.write_text("import plain\n")  # without the line there is no such module
    outcome = theatre.play(theatre.pack([make_wheel(theatre.folder, "plain")]), script=script)
    assert not outcome.ok
    assert "No module named 'plain'" in str(outcome.steps[0].error)
    assert outcome.steps[1].ok


@pytest.mark.root
def test_name_asked_for_by_other_than_python_is_seen(theatre: Theatre) -> None:
    script = theatre.folder / "inference.py"
    code = "import socket\ntry:\n    socket.getaddrinfo('native.example.org', 443)\nexcept OSError:\n    pass\n"
    # -S leaves the .pth files out, so this Python is as blind as a program in C.
    script.write_text(f"import subprocess, sys\nsubprocess.check_call([sys.executable, '-S', '-c', {code!r}])\n")
    outcome = theatre.play(theatre.pack([theatre.wheel("plain")]), script=script)
    assert outcome.ok, outcome.steps
    (attempt,) = outcome.network
    assert attempt.host == "native.example.org"
    assert attempt.by.startswith("your code → the program python")
    assert attempt.line == "inference.py, line 2"


@pytest.mark.root
def test_program_that_a_package_starts_is_named_with_its_host_and_its_seconds(theatre: Theatre) -> None:
    asks = "import socket, time\ntry: socket.getaddrinfo('git.example.org', 443)\nexcept OSError: time.sleep(0.5)\n"
    code = f"""
import os, subprocess, sys

def fetch():
    # -S leaves the .pth files out, so this Python is as blind as git or curl.
    subprocess.call([sys.executable, "-S", "-c", {asks!r}])
    os.system(f"{{sys.executable}} -S -c 'import socket; socket.getaddrinfo(\\"sh.example.org\\", 1)' 2> /dev/null")
    subprocess.call("true git@10.1.2.3:me/repository https://user:secret@10.1.2.4/x", shell=True)

fetch()
"""
    outcome = theatre.play(theatre.pack([theatre.wheel("fetcher", code)]))
    named, shell, first, second = outcome.network
    assert (named.host, named.line) == ("git.example.org", "import fetcher")
    assert named.by.startswith("fetcher (fetcher.py:6) → the program python")
    assert named.seconds >= 0.5
    assert (shell.host, shell.line) == ("sh.example.org", "import fetcher")
    assert shell.by.startswith("fetcher (fetcher.py:7) → the program python")
    assert [first.host, second.host] == ["10.1.2.3", "10.1.2.4"]
    assert first.by == "fetcher (fetcher.py:8) → the program true"
    assert "secret" not in json.dumps(outcome.to_dict())


@pytest.mark.root
def test_address_without_a_name_and_a_thread_of_a_package_are_told(theatre: Theatre) -> None:
    code = """
import socket, threading

def report():
    with socket.socket() as s:
        try:
            s.connect(("192.0.2.7", 8080))
        except OSError:
            pass

thread = threading.Thread(target=report, name="reporter")
thread.start()
thread.join()
"""
    outcome = theatre.play(theatre.pack([theatre.wheel("telemetry", code)]))
    (attempt,) = outcome.network
    assert attempt.host == "192.0.2.7:8080"
    assert attempt.by == "telemetry (telemetry.py:7)"
    assert attempt.line == "import telemetry"


@pytest.mark.root
def test_notebook_runs_in_a_kernel_of_the_environment(theatre: Theatre) -> None:
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    pack = theatre.pack([theatre.wheel("plain", "VALUE = 7\n")], series=[series])
    line = kpack(theatre.folder, "bootstrap", str(pack)).out.strip()
    asks = "import socket\ntry:\n    socket.getaddrinfo('cell.example.org', 80)\nexcept OSError:\n    pass"
    good = notebook(theatre.folder / "good.ipynb", line, "import plain\nassert plain.VALUE == 7", asks)
    outcome = theatre.play(pack, notebook=good)
    assert outcome.ok, outcome.steps
    assert [step.name for step in outcome.steps] == ["notebook", "line"]
    (attempt,) = outcome.network
    assert (attempt.host, attempt.by, attempt.line) == ("cell.example.org:80", "your code", "cell [3], line 3")

    bad = notebook(theatre.folder / "bad.ipynb", "'no line'", "1 + 1", "1 / 0")
    outcome = theatre.play(pack, notebook=bad)
    assert not outcome.ok
    assert outcome.steps[0].error == "cell [3]: ZeroDivisionError: division by zero"
    assert "bad.ipynb does not have the line of this pack: it has to come first there" in outcome.notes


def notebook(path: Path, *cells: str) -> Path:
    rows: list[dict[str, object]] = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
        for n, text in enumerate(cells)
    ]
    path.write_text(json.dumps({"cells": rows, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


@pytest.mark.root
def test_root_without_the_right_to_mount_has_the_walls_of_any_user(theatre: Theatre) -> None:
    pack = theatre.pack([theatre.wheel("plain")])
    command = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
    done = subprocess.run(
        [*command, sys.executable, "-m", "kpack", "rehearse", str(pack), "--json"],
        cwd=theatre.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["walls"] == {"network": True, "files": True, "processes": True}


@pytest.mark.root
def test_where_only_the_network_can_be_cut_the_rest_is_said(theatre: Theatre) -> None:
    outcome = theatre.play(theatre.pack([theatre.wheel("phone-home", CALLS)]), walls=("network",))
    assert outcome.ok, outcome
    assert [attempt.host for attempt in outcome.network] == ["updates.example.org"]
    assert [note for note in outcome.notes if "KPACK_INPUT" in note]
    assert not [note for note in outcome.notes if "refused instead" in note]


@pytest.mark.root
def test_where_nothing_can_be_cut_off_connections_are_refused_and_it_is_said(theatre: Theatre) -> None:
    home = theatre.wheel("phone-home", CALLS)
    outcome = theatre.play(theatre.pack([home], checkpoints={"weights.bin": b"w"}), walls=())
    assert outcome.ok, outcome
    assert [(attempt.host, attempt.tries) for attempt in outcome.network] == [("updates.example.org", 2)]
    assert any("connections of Python were refused instead" in note for note in outcome.notes)
    assert any("KPACK_INPUT" in note for note in outcome.notes)
    assert theatre.left() == []


@pytest.mark.root
def test_native_code_that_does_not_fit_the_image_is_told_whatever_this_machine_has(theatre: Theatre) -> None:
    files: dict[str, bytes | str] = {"fine.py": "", "fine/libfine.so": make_elf(versions={"libc.so.6": ["GLIBC_2.99"]})}
    pack = theatre.pack([make_wheel(theatre.folder, "fine", files=files)], base="image")
    outcome = theatre.play(pack, base=replace(kernels.base({}, python=f"{SERIES}.1"), system={"libc6": "2.35"}))
    assert outcome.ok, outcome
    assert any(note.startswith("fine 1.0: fine/libfine.so needs GLIBC 2.99; image has") for note in outcome.notes)


@long_list
@pytest.mark.root
def test_base_package_can_be_made_real(theatre: Theatre, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    wheel = theatre.wheel("uses", "import torchlike, hidden\nassert torchlike.VERSION == '2.0'\n")
    pack = theatre.pack([wheel], leans={"torchlike": ("2.0+cu1", [("uses", "torchlike")])}, base="image")
    image = kernels.base({"torchlike": "2.0+cu1", "helper": "1.0", "hidden": "1.0"}, python=f"{SERIES}.1")
    with IndexServer() as index:
        monkeypatch.setenv("KPACK_INDEX_URL", index.url)
        index.add(
            make_wheel(
                theatre.folder / "i",
                "torchlike",
                "2.0",
                requires=["helper"],
                files={"torchlike.py": "import helper\nVERSION = '2.0'\n"},
            )
        )
        index.add(make_wheel(theatre.folder / "i", "helper", "1.0"))
        index.add(make_wheel(theatre.folder / "i", "helper", "2.0"))
        index.add(make_wheel(theatre.folder / "i", "hidden", "1.0"))
        outcome = theatre.play(pack, base=image, real=frozenset({"needed"}))
    assert outcome.ok, outcome
    assert module(outcome, "uses") == (True, None, None)
    assert "the index's own build stood for the image's: torchlike" in outcome.notes


@pytest.mark.root
def test_warnings_are_told_once(theatre: Theatre) -> None:
    code = "import warnings\nfor _ in range(3):\n    warnings.warn('soon gone', FutureWarning)\n"
    outcome = theatre.play(theatre.pack([theatre.wheel("warns", code)]))
    assert outcome.ok
    assert outcome.warnings == ("FutureWarning: soon gone (warns.py:3)",)


@pytest.mark.root
def test_process_left_behind_by_a_module_is_ended(theatre: Theatre) -> None:
    word = f"left-behind-{os.getpid()}"
    outcome = theatre.play(theatre.pack([theatre.wheel("daemon", sleeper(word))]))
    assert outcome.ok
    assert processes_with(word) == []


def sleeper(word: str) -> str:
    """Return code that leaves a process behind whose command line has ``word``."""
    sleep = [f"-Scimport time; time.sleep(600)  # {word}"]
    return f"import subprocess, sys\nsubprocess.Popen([sys.executable, *{sleep!r}], start_new_session=True)\n"


@pytest.mark.root
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_rehearsal_leaves_no_process_and_no_folder(theatre: Theatre, number: int) -> None:
    word = f"interrupted-{os.getpid()}-{int(number)}"
    script = theatre.folder / "inference.py"
    script.write_text(sleeper(word) + "import time\ntime.sleep(600)\n")
    pack = theatre.pack([make_wheel(theatre.folder, "plain")])
    child = subprocess.Popen(
        [sys.executable, "-m", "kpack", "rehearse", str(pack), "--script", str(script)],
        cwd=theatre.folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "KPACK_CACHE": str(theatre.folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: bool(processes_with(word)))
    child.send_signal(number)
    out, err = child.communicate(timeout=60)
    until(lambda: not processes_with(word))
    assert "Traceback" not in out + err
    if number == signal.SIGKILL:  # nobody is left to remove the folder: the next one does
        assert theatre.left()
        assert theatre.play(pack).ok
    else:
        assert child.returncode == 130
    assert theatre.left() == []


def until(condition: object) -> None:
    """Wait until ``condition()`` holds; the test's own time limit is the patience."""
    assert callable(condition)
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it never came true")


@pytest.mark.root
def test_command_exits_1_on_failure_and_remembers(theatre: Theatre) -> None:
    pack = theatre.pack([theatre.wheel("broken", "1 / 0\n")])
    done = kpack(theatre.folder, "rehearse", str(pack), "--json", KPACK_CACHE=str(theatre.folder / "cache"))
    assert done.code == 1
    assert done.json["ok"] is False
    promised = "pack id where ok seconds peak_disk peak_memory imports network notes"
    assert set(promised.split()) <= done.json.keys()
    assert done.json["imports"][0]["error"] == "ZeroDivisionError: division by zero (broken.py:1)"
    remembered = json.loads(pack.with_name("tiny.ledger.json").read_text())["rehearsed"]["local"]
    assert (remembered["id"], remembered["ok"], remembered["where"]) == (done.json["id"], False, "local")
    text = kpack(theatre.folder, "rehearse", str(pack), "--skip", "broken", KPACK_CACHE=str(theatre.folder / "cache"))
    assert text.code == 0
    assert "it works here" in text.out


def test_missing_interpreter_says_how_to_get_one(theatre: Theatre) -> None:
    pack = theatre.pack([make_wheel(theatre.folder, "plain")], series=["3.99"])
    done = kpack(theatre.folder, "rehearse", str(pack), "--json")
    assert done.code == 7
    assert "uv python install 3.99" in str(done.error["next"])


def test_interpreter_of_another_series_is_refused(theatre: Theatre) -> None:
    other = next(path for series, path in found().items() if series != SERIES)
    done = kpack(
        theatre.folder,
        "rehearse",
        str(theatre.pack([make_wheel(theatre.folder, "plain")])),
        "--python",
        other,
        "--json",
    )
    assert done.code == 7
    assert f"runs {SERIES}" in str(done.error["what"])


@pytest.mark.parametrize("text", ["competitions/titanic", "=x", "../up=x", "a//b=x"])
def test_input_that_is_no_mount_is_a_usage_error(theatre: Theatre, text: str) -> None:
    pack = theatre.pack([make_wheel(theatre.folder, "plain")])
    done = kpack(theatre.folder, "rehearse", str(pack), "--input", text, "--json")
    assert done.code == 2
