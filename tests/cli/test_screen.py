"""What is said, how much of it, and how it looks: on a terminal, in a file, in a notebook."""

from __future__ import annotations

import io
import queue
import random
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack import cli
from kpack.cli import bars, drawn, progress, session, table
from kpack.lock import from_resolution
from kpack.resolve.model import HeldBack
from tests.support.kernels import environment, pin, resolution, target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONG = "a sentence that is much longer than the screen is wide, with an-option-that-stays-whole and an end to it " * 2


class Screen(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def on_screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Put both streams on a terminal; called in a test, as pytest puts its own streams in place after fixtures."""
    made = Screen()
    monkeypatch.setattr(sys, "stderr", made)
    monkeypatch.setattr(sys, "stdout", made)
    for name in ("NO_COLOR", "FORCE_COLOR", "JPY_PARENT_PID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return made


@pytest.fixture(autouse=True)
def volume() -> Iterator[None]:
    yield
    session.SCREEN.volume = 0


def test_eighty_columns_break_at_words(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    session.say(f"  note: {LONG}")
    rows = screen.getvalue().splitlines()
    assert len(rows) > 2
    assert max(map(len, rows)) <= 80
    assert all(row.startswith("    ") for row in rows[1:])
    assert " ".join(screen.getvalue().split()) == " ".join(f"note: {LONG}".split())


def test_what_is_to_be_copied_and_what_goes_to_a_file_is_not_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = on_screen(monkeypatch)
    session.tell(LONG, wrap=False)
    assert screen.getvalue() == f"{LONG}\n"
    monkeypatch.undo()
    session.tell(LONG)
    assert capsys.readouterr().out == f"{LONG}\n"


@pytest.mark.parametrize("variable", ["JPY_PARENT_PID", "TERM"])
def test_a_notebooks_page_gets_lines_and_no_bar(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setenv(variable, "dumb")
    assert not session.live()
    session.say(LONG)
    with progress.phases() as on_phase, progress.counted("packing", 10) as advance:
        advance(10)
        on_phase("restoring")
    assert screen.getvalue() == f"{LONG}\nrestoring …\n"


def test_what_is_over_soon_draws_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setattr(bars, "SOON", 3600)
    with progress.building(100) as (_, packed):
        packed(100)
    assert "packing" not in screen.getvalue()


def test_a_wait_is_said_once_it_is_long(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with progress.busy("asking"):
        pass
    assert capsys.readouterr().err == ""
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    monkeypatch.setattr(progress, "say", said.put)
    with progress.busy("asking"):
        assert said.get(timeout=60).startswith("asking …")


def test_fetching_and_packing_are_drawn_together(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setattr(bars, "SOON", 0)
    with progress.building(100) as (_, packed):
        packed(50)
        while "packing" not in screen.getvalue():
            pass
    assert "fetching" in screen.getvalue()
    assert screen.getvalue().count("\x1b[?25l") == 1


@pytest.mark.parametrize(
    ("no", "force", "terminal", "wanted"),
    [
        ("", "", True, True),
        ("1", "", True, False),
        ("1", "1", False, False),
        ("", "1", False, True),
        ("", "", False, False),
    ],
)
def test_colours_follow_the_variables_before_the_stream(
    monkeypatch: pytest.MonkeyPatch, no: str, force: str, *, terminal: bool, wanted: bool
) -> None:
    screen = on_screen(monkeypatch)
    monkeypatch.setenv("NO_COLOR", no)
    monkeypatch.setenv("FORCE_COLOR", force)
    stream = screen if terminal else io.StringIO()
    assert session.colours(stream) is wanted


@pytest.mark.parametrize(("words", "said"), [(["-q"], ""), ([], "kaggle-py"), (["--quiet"], "")])
def test_quiet_stands_before_or_behind_the_command(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str], tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    for line in ([*words, "probe"], ["probe", *words]):
        assert cli.run(line) == 0
        found = capsys.readouterr()
        assert "kaggle-base.json" in found.out
        assert bool(found.err) is not bool(words)


def test_an_error_begins_in_red_where_there_are_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = on_screen(monkeypatch)
    session.warn("kpack: it is wrong")
    assert screen.getvalue().startswith("\x1b[31m\x1b[1mkpack:\x1b[0m it")


def test_quiet_keeps_no_error_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["-q", "verify"]) == 2
    assert "kaggle-env.toml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["inspect", "bootstrap", "verify"])
def test_without_a_name_the_pack_of_the_project_is_meant(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kaggle-env.toml").write_text('name = "toxic"\npython = "3.12"\n')
    monkeypatch.chdir(tmp_path)
    assert cli.run([command]) == 7
    assert "toxic.kpack.bin: there is no pack" in capsys.readouterr().err


def test_an_error_of_an_option_names_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["inspect", "--html"]) == 2
    assert "see kpack inspect --help" in capsys.readouterr().err


def test_a_long_note_keeps_what_it_says_to_write(capsys: pytest.CaptureFixture[str]) -> None:
    names = ", ".join(['"libgl1"'] * 9)
    session.note(f"{'word ' * 100}end → write apt = [{names}]")
    said = " ".join(capsys.readouterr().err.split())
    assert "word … (kpack -v shows all) → write apt = [" in said
    assert said.count('"libgl1"') == 9


def test_verbose_lists_what_is_counted_otherwise(capsys: pytest.CaptureFixture[str]) -> None:
    held = tuple(
        HeldBack(name=canonicalize_name(f"h{n}"), version=Version("1"), newest=Version("2"), because="x")
        for n in range(20)
    )
    found = resolution((target(), [pin("alpha", "1")]), held_back=held, notes=(f"{'word ' * 100}end",))
    lock = from_resolution(environment("alpha"), found, meaning="0" * 64)
    table.print_lock(lock)
    short = capsys.readouterr()
    assert "8 more; kpack -v lock" in short.out
    assert "… (kpack -v shows all)" in short.err
    session.SCREEN.volume = 1
    table.print_lock(lock)
    full = capsys.readouterr()
    assert "h19 1" in full.out
    assert "word end" in full.err


def test_a_table_in_a_log_is_what_rich_would_draw(capsys: pytest.CaptureFixture[str]) -> None:
    dice, told = random.Random(7), 0
    names = ["a", "torch", "huggingface-hub", "sentence-transformers", "opentelemetry-exporter-otlp-proto-http"]
    for _ in range(300):
        rows = []
        for _ in range(dice.randrange(1, 6)):
            version = dice.choice(
                ["1.0", "2.10.0+cu128", "4.57.1 (base: 4.53.3)", "1 (built from git)" * dice.choice([1, 3])]
            )
            needed = ", ".join(dice.choices(["you", *names], k=dice.choice([1, 2, 3, 9])))
            needed += dice.choice(["", " and 3 more"])
            rows.append((f"  {dice.choice(names)}", version, dice.choice(["1 kB", "100.0 MB"]), needed))
        title = dice.choice(["kernel (Python 3.12): 1 packed", "k" * 119, "k" * 121])
        text = table.written(title, rows)
        if text is None:
            continue
        told += 1
        drawn.draw(title, table._COLUMNS, rows, width=120)
        assert capsys.readouterr().out == f"{text}\n"
        assert all(len(row) <= 120 for row in text.split("\n"))
    assert 100 < told < 300  # both happen


@pytest.mark.parametrize("odd", ["naïve", "東京", "tab\there", "two\nlines"])
def test_what_is_not_plain_is_left_to_rich(odd: str) -> None:
    assert table.written("title", [("  a", "1", "1 kB", odd)]) is None
    assert table.written(odd, []) is None
    assert table.written("title", []) == "title"


def test_a_log_of_a_lock_needs_no_rich() -> None:
    script = (
        "import sys; sys.modules['rich'] = None\n"
        "import kpack.cli.locking, kpack.cli.table\n"
        "print(kpack.cli.table.written('title', [('  a', '1', '1 kB', 'you')]))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0] == "title"
