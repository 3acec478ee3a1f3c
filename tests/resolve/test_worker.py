"""The child process: same question, same answer, whoever runs it; and the seams by which pip is told of the target."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import queue
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pip._vendor.packaging.version import Version

from kpack.cache import Cache
from kpack.errors import MachineError
from kpack.resolve import resolve
from kpack.resolve.ask import question
from kpack.resolve.child import Workers
from kpack.resolve.process import COMMAND, StartedWorker, surroundings
from kpack.resolve.wire import MARK, Answer, Underway, dumps, loads
from kpack.resolve.worker import __main__ as worker_main
from kpack.resolve.worker import seams
from kpack.resolve.worker.kept_pages import KeptPages
from kpack.resolve.worker.pages import Page
from kpack.resolve.worker.session import open_session
from kpack.target import targets
from tests.resolve.scenario import Scenario, base_image, known, packed

if TYPE_CHECKING:
    from kpack.resolve.wire import Question

ROOT = Path(__file__).resolve().parents[2]

FAKE_HOST = """
import json, os, platform, sys
from kpack.resolve.wire import dumps, loads
from kpack.resolve.worker.connection import connect
from kpack.resolve.worker.readers import Readers
from kpack.resolve.worker.solve import run
import kpack.resolve.worker.resolution, kpack.resolve.worker.session
import pip._vendor.truststore  # it chooses its system when it is imported
system, machine, name, tag = json.loads(sys.argv[1])
from pip._vendor.packaging import markers, tags
sys.platform = name
platform.system = lambda: system
platform.machine = lambda: machine
platform.release = lambda: "99"
platform.python_version = lambda: "3.99.0"
platform.python_version_tuple = lambda: ("3", "99", "0")
tags.platform_tags = lambda: iter([tag])
getattr(markers, "_cached_default_environment", None) and markers._cached_default_environment.cache_clear()
assert markers.default_environment()["sys_platform"] == name
question = loads(sys.stdin.readline())
print(dumps(run(Readers(question, connect(question.indexes, question.cache_dir, lambda count: None)))))
sys.stdout.flush()
os._exit(0)
"""


def busy(scenario: Scenario) -> Question:
    """Return a question that goes through markers, tags, extras, backtracking, a base and a replaced name."""
    for version, tag in (("1.0", "cp312-cp312-manylinux_2_17_x86_64"), ("2.0", "cp312-cp312-macosx_11_0_arm64")):
        scenario.wheel("native", version, tag=tag)
    scenario.wheel("native", "3.0", tag="cp312-cp312-win_amd64")
    for number in range(1, 5):
        scenario.wheel("top", f"{number}.0", f"dep>={number}", "linux-only; sys_platform == 'linux'", "torch")
    scenario.wheel("dep", "3.0", "py312; python_version == '3.12'", "other; python_version != '3.12'")
    for name in ("linux-only", "py312", "other", "more"):
        scenario.wheel(name)
    for version in ("0.21", "0.22", "0.23"):
        scenario.wheel("tokenizers", version)
    scenario.wheel("late", "2.0", upload_time="2026-06-01T00:00:00Z")
    base = base_image(
        {
            "torch": "2.10.0+cu128",
            "tokenizers": "0.21",
            "transformers": known("transformers", "4.5", ["tokenizers<0.23", "more; extra == 'm'"], ["m"]),
        }
    )
    environment = scenario.environment("top", "native", "transformers[m]", "tokenizers", replace=["tokenizers"])
    requires = {name: item.requires_dist for name, item in base.distributions.items() if item.requires_dist}
    return question(
        environment,
        targets(environment, [base])[0],
        pins={},
        sources={},
        cache_dir=None,
        index_url=scenario.index.url,
        requires=requires,
    )


def run(python: str, request: Question, *words: str, seed: str = "0") -> Answer:
    """Return the worker's answer under another interpreter, or inside a script."""
    with subprocess.Popen(
        [python, *(words or COMMAND)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**surroundings(), "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        start_new_session=True,
    ) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(dumps(request) + "\n")
        worker.stdin.flush()
        answers = (loads(line) for line in worker.stdout if line.startswith(MARK))
        answer = next(found for found in answers if isinstance(found, Answer))
        worker.stdin.close()
    return answer


def test_worker_in_a_process_gives_what_it_gives_in_this_one(scenario: Scenario) -> None:
    request = busy(scenario)
    alone = run(sys.executable, request)
    assert {row.name: row.version for row in alone.resolved} == {
        "dep": "3.0",
        "linux-only": "1.0",
        "more": "1.0",
        "native": "1.0",
        "py312": "1.0",
        "tokenizers": "0.22",
        "top": "3.0",
        "torch": "2.10.0+cu128",
        "transformers": "4.5",
    }


@pytest.mark.parametrize(
    "host",
    [
        ("Darwin", "arm64", "darwin", "macosx_14_0_arm64"),
        ("Windows", "AMD64", "win32", "win_amd64"),
        ("Linux", "aarch64", "linux", "manylinux_2_17_aarch64"),
    ],
)
def test_host_has_no_say(scenario: Scenario, host: tuple[str, ...]) -> None:
    request = busy(scenario)
    assert run(sys.executable, request, "-c", FAKE_HOST, json.dumps(host)) == run(sys.executable, request)


def test_prefetching_changes_nothing(scenario: Scenario) -> None:
    from dataclasses import replace

    request = busy(scenario)
    assert run(sys.executable, replace(request, prefetch=False)) == run(sys.executable, request)


@pytest.mark.parametrize("seed", ["1", "4242"])
def test_hash_seed_changes_nothing(scenario: Scenario, seed: str) -> None:
    request = busy(scenario)
    assert run(sys.executable, request, seed=seed) == run(sys.executable, request)


def test_several_targets_answer_what_each_answers_alone(scenario: Scenario, real_worker: None) -> None:
    for python in ("cp311", "cp312"):
        scenario.wheel("native", "1.0" if python == "cp311" else "2.0", tag=f"{python}-{python}-manylinux_2_17_x86_64")
    scenario.wheel("top", "1.0", "native", "torch")
    one = base_image({"torch": "2.0"}, python="3.11.13", name="one")
    two = base_image({"torch": "2.1"}, python="3.12.13", name="two")
    environment = scenario.environment("top")
    both = resolve(environment, targets(environment, [one, two]), cache_dir=None, index_url=scenario.index.url)
    alone = [
        resolve(environment, targets(environment, [base]), cache_dir=None, index_url=scenario.index.url).targets[0]
        for base in (one, two)
    ]
    assert [packed(target) for target in both.targets] == [
        {"native": "1.0", "top": "1.0"},
        {"native": "2.0", "top": "1.0"},
    ]
    assert list(both.targets) == alone


def test_progress_is_told_while_it_works(scenario: Scenario, real_worker: None) -> None:
    scenario.index.latency = 0.06
    scenario.wheel("top", "1.0", "one")
    scenario.wheel("one", "1.0", "two")
    scenario.wheel("two", "1.0")
    events: list[tuple[str, Underway]] = []
    with Workers(1, lambda label, event: events.append((label, event))) as workers:
        scenario.resolve(scenario.environment("top"), base_image({}), workers=workers)
    assert {label for label, _ in events} == {"kernel"}
    counts = [event.requests for _, event in events]
    assert counts == sorted(counts)


def test_worker_that_dies_is_a_machine_error_with_its_last_words(
    scenario: Scenario, real_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kpack.resolve.process.COMMAND", ("-c", "raise RuntimeError('out of paper')"))
    with pytest.raises(MachineError, match="out of paper"):
        scenario.lock("top")


def test_module_beside_kpack_does_not_hide_one_of_the_standard_library(
    scenario: Scenario, real_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scenario.folder / "json.py").write_text("raise RuntimeError('hidden')\n")
    monkeypatch.chdir(scenario.folder)
    monkeypatch.syspath_prepend(str(scenario.folder))
    scenario.wheel("top")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_an_interpreter_that_prints_when_it_starts_disturbs_no_answer(
    scenario: Scenario, real_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = scenario.folder / "noise"
    noise.mkdir()
    (noise / "sitecustomize.py").write_text("print('hello')\nprint({}, end='')\n")
    monkeypatch.setenv("PYTHONPATH", str(noise))
    scenario.wheel("top")
    assert packed(scenario.lock("top")) == {"top": "1.0"}


def test_workers_that_are_not_asked_are_ended() -> None:
    with Workers(1) as workers:
        process = workers._idle[0].process
        assert process.poll() is None
    assert process.poll() is not None


def test_worker_that_is_done_gets_the_time_to_end_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = tmp_path / "kept"
    script = "import sys; from pathlib import Path; sys.stdin.read(); Path(sys.argv[1]).write_text('all')"
    monkeypatch.setattr("kpack.resolve.process.COMMAND", ("-c", script, str(kept)))
    worker = StartedWorker(None)
    worker.dismiss()
    worker.end(60)
    assert (worker.process.returncode, kept.read_text()) == (0, "all")


def test_worker_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kpack.resolve.process.COMMAND", ("-c", "import threading; threading.Event().wait()"))
    worker = StartedWorker(None)
    worker.end(0.01)
    assert worker.process.returncode not in {None, 0}


def test_end_of_questions_waits_for_the_pages_of_the_last_answer(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping, ended = threading.Lock(), threading.Event()
    said: list[bool] = []
    monkeypatch.setattr(worker_main, "_end", ended.set)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    class Said(io.StringIO):
        def write(self, text: str) -> int:
            if not text.startswith('{"is": "Answer"'):
                return len(text)
            said.append(keeping.locked())
            threading.Thread(target=worker_main._listen, args=(queue.SimpleQueue(), keeping)).start()
            return len(text)

    monkeypatch.setattr(KeptPages, "write", lambda _: said.append(not ended.wait(0.01)))
    worker = worker_main.Worker(worker_main.Answers(Said()), keeping)
    worker.answer(busy(scenario))
    assert ended.wait(60)
    assert said == [True, True]
    assert worker._connection is not None
    worker._connection.web.close()


def gone(pid: int) -> bool:
    """Tell whether a process is no more (or only waits for init to take note of its end)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("busy_with", ["nothing", "an index that never answers"])
def test_worker_ends_with_its_parent_however_that_ends(tmp_path: Path, busy_with: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/simple/"
        script = f"""
import sys
from pathlib import Path
from kpack.cache import Cache
from kpack.resolve.child import Workers
from kpack.resolve.wire import IndexAddress, Named, RequiresQuestion
with Cache(Path({str(tmp_path / "cache")!r})).temporary() as scratch, Workers(1, scratch=scratch) as workers:
    print(workers._idle[0].process.pid, flush=True)
    if {busy_with != "nothing"}:
        named = Named(name="top", version="1.0")
        workers.requires(RequiresQuestion(label="x", distributions=(named,), indexes=(IndexAddress(url={url!r}),)))
    sys.stdin.read()
"""
        parent = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        with contextlib.ExitStack() as stack:
            if busy_with != "nothing":
                stack.enter_context(silent.accept()[0])
            parent.kill()
            parent.communicate()
    deadline = time.monotonic() + 20
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert gone(pid)
    cache = Cache(tmp_path / "cache")
    left = set((cache.root / "tmp").iterdir())
    assert left
    with cache.temporary():
        assert not left & set((cache.root / "tmp").iterdir())


def test_credentials_are_in_neither_words_nor_variables_of_the_worker(
    scenario: Scenario, real_worker: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    original = subprocess.Popen

    def watched(command: Any, **more: Any) -> Any:
        seen.append((command, more["env"]))
        return original(command, **more)

    monkeypatch.setattr(subprocess, "Popen", watched)
    scenario.wheel("top")
    environment = scenario.environment("top")
    url = scenario.index.url.replace("http://", "http://user:s3cret@")
    resolve(environment, targets(environment, [base_image({})]), cache_dir=None, index_url=url)
    assert seen
    assert "s3cret" not in repr(seen)


# -- the seams: what pip and pip-tools must have for `kpack.resolve.worker.seams` to hold


def test_pip_has_the_methods_that_are_answered_in_its_place() -> None:
    from pip._internal.index.package_finder import PackageFinder
    from pip._internal.operations.prepare import RequirementPreparer
    from pip._internal.resolution.resolvelib.candidates import LinkCandidate

    assert "project_name" in inspect.signature(PackageFinder.find_all_candidates).parameters
    assert set(inspect.signature(PackageFinder.find_best_candidate).parameters) >= {"project_name", "specifier"}
    assert "req" in inspect.signature(RequirementPreparer.prepare_linked_requirement).parameters
    assert hasattr(RequirementPreparer, "prepare_linked_requirements_more")
    assert hasattr(LinkCandidate, "_check_metadata_consistency")


def test_pip_asks_the_command_for_finder_preparer_and_resolver() -> None:
    from pip._internal.commands.install import InstallCommand

    assert "target_python" in inspect.signature(InstallCommand._build_package_finder).parameters
    assert "py_version_info" in inspect.signature(InstallCommand.make_resolver).parameters
    assert "wheel_cache" in inspect.signature(InstallCommand.make_resolver).parameters
    assert inspect.signature(InstallCommand.make_requirement_preparer).parameters


def test_pip_tools_makes_its_command_where_the_seam_replaces_it() -> None:
    import piptools.repositories.pypi as module

    assert module.PyPIRepository.__init__.__globals__["create_command"] is module.create_command


def test_resolver_sees_the_target_and_no_candidate_of_pips_own(scenario: Scenario) -> None:
    from kpack.resolve.worker.connection import connect
    from kpack.resolve.worker.readers import Readers
    from kpack.resolve.worker.search import Search

    request = busy(scenario)
    search = Search(Readers(request, connect(request.indexes, request.cache_dir, lambda _count: None)))
    finder = search.repository.finder
    assert finder.target_python.py_version_info == (3, 12, 13)
    assert [str(tag) for tag in finder.target_python.get_sorted_tags()] == list(request.tags)
    assert finder.find_best_candidate.__self__ is search.finder
    search.web.close()


@pytest.mark.skipif(not seams.DIRECT_REFERENCES, reason="this pip does not look for URLs in all requirements")
def test_url_behind_an_extra_that_nobody_asks_for_is_no_obstacle(monkeypatch: pytest.MonkeyPatch) -> None:
    from pip._internal.exceptions import InstallationError
    from pip._internal.metadata import direct_references
    from pip._internal.models.index import PyPI
    from pip._internal.models.link import Link
    from pip._internal.operations import prepare

    # Another test of this process may have applied the seams.
    monkeypatch.setattr(prepare, "check_pypi_direct_references", direct_references.check_pypi_direct_references)
    requirement = SimpleNamespace(source_link=Link(f"https://{PyPI.file_storage_domain}/x-1.0.tar.gz"))
    distribution = SimpleNamespace(
        raw_name="x", iter_raw_dependencies=lambda: ['y @ git+https://host/y ; extra == "tests"']
    )
    with pytest.raises(InstallationError, match="direct URL"):
        prepare._check_linked_requirement_metadata(requirement, distribution)
    seams.install()
    prepare._check_linked_requirement_metadata(requirement, distribution)


def test_rows_of_a_long_page_are_told_by_their_names_and_odd_ones_are_read() -> None:
    names = ["a-1.0.tar.gz", "a-2.0.tar.gz", "a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl"]
    odd = ["a-b-1.0.tar.gz", "a-1.0.exe", "a.tar.gz", "a-x.zip", "a-1.0-1.tar.gz"]
    page = Page("a", "https://host.example/", [{"filename": name, "url": name} for name in (*names, *odd)])
    above = [row["filename"] for row in page.rows_above(Version("1.0"))]
    assert above == ["a-2.0.tar.gz", "a-2.0-py3-none-any.whl", *odd]
    assert [row["filename"] for row in page.rows_of(Version("2.0"))] == ["a-2.0.tar.gz", "a-2.0-py3-none-any.whl"]


def test_proxies_of_a_host_are_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:1")
    session = open_session(["--no-cache-dir"])
    first = session.merge_environment_settings("https://a.example/x", {}, True, None, None)
    first["proxies"].clear()
    monkeypatch.setenv("https_proxy", "http://proxy.example:2")
    again = session.merge_environment_settings("https://a.example/y", {}, True, None, None)
    other = session.merge_environment_settings("https://b.example/y", {}, True, None, None)
    assert again["proxies"]["https"] == "http://proxy.example:1"
    assert other["proxies"]["https"] == "http://proxy.example:2"


def test_certificates_are_read_once_for_all_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    command = pytest.importorskip("pip._internal.cli.index_command")
    make = command._create_truststore_ssl_context
    monkeypatch.setattr(command, make.__name__, getattr(make, "__wrapped__", make))
    monkeypatch.setattr(ssl.SSLContext, "set_default_verify_paths", lambda _: read.append("system"))
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda _, cafile=None, **_more: read.append(cafile))
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: SimpleNamespace(cafile="system.pem", capath=None))
    context = getattr(open_session(["--no-cache-dir"]).adapters["https://"], "_ssl_context", None)
    if context is None:
        pytest.skip("this pip has no truststore: nothing is shared by its connections")
    read.clear()
    for cafile in ("a.pem", "a.pem", "b.pem"):
        context.load_verify_locations(cafile)
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.example")
    assert len(read) == 3  # the system's, and both files
