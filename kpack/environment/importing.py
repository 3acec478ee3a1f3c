"""What other files say that a notebook needs: pip command lines in its cells, requirements files."""

from __future__ import annotations

import json
import os.path
import re
import shlex
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from kpack.environment.errors import quoted, shown_path
from kpack.environment.requirements import NotAPackageError, package
from kpack.errors import MachineError, UsageError
from kpack.files import OddFileError, read_bounded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

# fmt: off
_WITH_VALUE = frozenset(
    {
        "--abi", "--build-option", "--cache-dir", "--cert", "--client-cert", "--config-settings", "--exists-action",
        "--global-option", "--implementation", "--keyring-provider", "--log", "--no-binary", "--only-binary",
        "--platform", "--prefix", "--progress-bar", "--proxy", "--python", "--python-version", "--report",
        "--retries", "--root", "--root-user-action", "--src", "--target", "--timeout", "--trusted-host",
        "--upgrade-strategy", "--use-deprecated", "--use-feature", "--hash", "--index-strategy", "--exclude-newer",
        "--torch-backend", "-C", "-t", "-p",
    }
)
# fmt: on
"""Options of ``pip install`` and ``uv pip install`` whose value says nothing about what is needed."""

_INDEX = frozenset({"-i", "--index-url", "--extra-index-url", "--index", "--default-index", "-f", "--find-links"})
_FILES = frozenset({"-r", "--requirement", "-c", "--constraint"})
_PYTHON_CALL = re.compile(
    r"(?:system|subprocess|run|Popen|check_call|check_output|get_ipython)\b.*\bpip3?\b.*\binstall\b"
)
_MAGIC = re.compile(r"\s*(?:\w+\s*=\s*)?(?:!+|%(?=pip|uv|conda|mamba|sx|system))\s*(.*)", re.DOTALL)
_SHELL_CELL = re.compile(r"\s*%%(?:bash|sh|script\s+(?:ba)?sh|system|sx|!)")
_OPERATOR = re.compile(r"(?:>=|<=|==|~=|!=)\S|[<>]\d")
_REDIRECT = re.compile(r"\d?&?>{1,2}&?\S*|<")


LARGEST = 32 << 20
"""Bytes of the largest notebook or requirements file that is read."""


@dataclass(slots=True)
class Harvest:
    """What was found, and what could not be taken over."""

    folder: Path
    """Where the kaggle-env.toml will stand; local paths are written relative to it."""
    packages: dict[str, str] = field(default_factory=dict)
    """Entries of ``packages`` by normalised name (or path)."""
    said: dict[str, None] = field(default_factory=dict)
    """The notes, in order."""

    @property
    def notes(self) -> list[str]:
        """One sentence each on what a person has to look at."""
        return list(self.said)

    def note(self, sentence: str) -> None:
        """Add a sentence, once."""
        self.said[sentence] = None

    def add(self, entry: str, where: str) -> None:
        """Take one requirement over, or say why not; a later one beats an earlier one of the same name."""
        try:
            found = package(entry)
        except NotAPackageError as error:
            self.note(f"{where}: {error.what}")
            return
        if found.requirement is None:
            self.packages.setdefault((found.path or "").rstrip("/"), entry)
            return
        name = canonicalize_name(found.requirement.name)
        old = self.packages.get(name)
        if old is not None and str(found.requirement) == found.requirement.name:
            return
        if old not in (None, entry) and old != found.requirement.name:
            self.note(f"{where}: {quoted(entry)} takes the place of {quoted(old)}")
        self.packages[name] = entry


def from_notebook(path: Path, harvest: Harvest) -> None:
    """Add what the ``pip install`` lines of a notebook's code cells name.

    Raises:
        UsageError: the file is missing or no notebook.
        MachineError: the file cannot be read.

    """
    where = shown_path(path)
    try:
        notebook = json.loads(_read(path))
    except json.JSONDecodeError as error:
        what = f"is not a notebook: it is not JSON ({error.msg})"
        raise UsageError(what, where=f"{where}:{error.lineno}", next="name an .ipynb file") from error
    except (ValueError, RecursionError) as error:  # more than 4,300 digits, more than 1,000 levels
        what = "is not a notebook: a number in it is too long, or it is nested too deeply"
        raise UsageError(what, where=where, next="name an .ipynb file") from error
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise UsageError("is not a notebook: it has no cells", where=where, next="name an .ipynb file of format 4")
    for number, cell in enumerate(cells, start=1):
        source = cell.get("source", "") if isinstance(cell, dict) and cell.get("cell_type") == "code" else ""
        text = "".join(map(str, source)) if isinstance(source, list) else str(source)
        _cell(text, f"{where}: cell {number}", path.parent, harvest)


def from_requirements(path: Path, harvest: Harvest) -> None:
    """Add the lines of a requirements file, and of the files that it names with ``-r``.

    Raises:
        UsageError: a file is missing.
        MachineError: a file cannot be read.

    """
    _requirements(path, harvest, ())


def _read(path: Path) -> str:
    try:
        return read_bounded(path, LARGEST).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError("is not UTF-8", where=f"{shown_path(path)}:{line}", next="save the file as UTF-8") from error
    except OddFileError as error:
        raise UsageError(str(error), where=shown_path(path), next="name a file without its outputs") from error
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise UsageError("there is no such file", where=shown_path(path), next="check the path") from error
    except OSError as error:
        raise MachineError(f"cannot be read: {error.strerror}", where=shown_path(path)) from error


def _cell(text: str, where: str, folder: Path, harvest: Harvest) -> None:
    """Read one code cell: lines with ``!`` or ``%``, or all of a shell cell."""
    whole = _SHELL_CELL.match(text) is not None
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        magic = _MAGIC.match(line)
        if line.lstrip().startswith("#"):
            continue
        if magic or whole:
            _shell(magic[1] if magic else line, where, folder, harvest)
        elif _PYTHON_CALL.search(line):
            harvest.note(f"{where}: pip is called from Python; add what it installs by hand")


def _shell(line: str, where: str, folder: Path, harvest: Harvest) -> None:
    try:
        words = _words(line.replace("{sys.executable}", "python"))
    except ValueError:
        if "install" in line:
            harvest.note(f"{where}: the line cannot be read: {quoted(line.strip())}")
        return
    for command in _commands(words):
        _command(command, where, folder, harvest)


def _words(line: str) -> list[str]:
    """Return the words of a shell line up to its comment, in which a quote may stand alone."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = shlex.split(re.sub(r"(^|\s)#.*$", "", line))
    comment = next((number for number, word in enumerate(words) if word.startswith("#")), len(words))
    return words[:comment]


def _commands(words: Sequence[str]) -> Iterator[list[str]]:
    """Yield the commands of a shell line, without redirections."""
    command: list[str] = []
    skip = False
    for word in words:
        if skip:
            skip = False
            if word.endswith(";"):
                yield command
                command = []
        elif word in {"|", "||", "&&", "&", ";"}:
            yield command
            command = []
        elif _REDIRECT.fullmatch(word) and not _OPERATOR.match(word):
            skip = word.endswith((">", "<"))
        elif word.endswith(";"):
            yield [*command, word[:-1]]
            command = []
        else:
            command.append(word)
    yield command


def _command(words: list[str], where: str, folder: Path, harvest: Harvest) -> None:
    names = [os.path.basename(word) for word in words]  # noqa: PTH119 - words of a shell, not paths
    if "install" not in names:
        if names[-3:-1] == ["spacy", "download"]:
            harvest.note(f"{where}: spacy downloads {names[-1]}; add its wheel as name @ URL")
        elif names[:1] in (["wget"], ["curl"], ["gdown"]):
            harvest.note(f"{where}: {names[0]} fetches a file; declare it in [[checkpoints]]")
        return
    at = names.index("install")
    program = next((name for name in names[:at] if not name.startswith("-")), "")
    if any(re.fullmatch(r"pip(?:[0-9.]+)?", name) for name in names[:at]):
        _arguments(words[at + 1 :], where, folder, harvest, ())
    elif program in {"conda", "mamba", "micromamba", "apt", "apt-get", "sudo", "npm"}:
        harvest.note(f"{where}: kpack carries Python packages, not what {program} installs")


def _arguments(words: Sequence[str], where: str, folder: Path, harvest: Harvest, opened: tuple[Path, ...]) -> None:
    """Read the arguments of one ``pip install``."""
    queue = deque(piece for word in words for piece in _expanded(word))
    last = ""
    while queue:
        word = queue.popleft()
        option, equals, value = word.partition("=")
        if not word.startswith("-"):
            if last and _OPERATOR.match(word):
                harvest.add(last + word, where)
            elif word:
                _entry(word, where, folder, harvest)
                last = word
            continue
        if word[:2] in {"-r", "-c", "-e", "-i", "-f"} and len(word) > 2 and word[2] != "-":
            option, equals, value = word[:2], "=", word[2:].removeprefix("=")
        takes = option in _WITH_VALUE | _INDEX | _FILES | {"-e", "--editable"}
        if takes and not equals:
            value = queue.popleft() if queue else ""
        if option in {"-e", "--editable"}:
            _entry(value, where, folder, harvest)
        elif option in _FILES:
            _named_file(option, value, where, folder, harvest, opened)
        elif option in _INDEX and "://" in value:
            harvest.note(
                f"{where}: {option} {quoted(value)}: declare it in [[indexes]] with the packages that it serves"
            )
        elif option == "--no-deps":
            harvest.note(f"{where}: --no-deps was used; name in `exclude` what must not come with the package")
        elif option == "--pre":
            harvest.note(f"{where}: --pre was used; write a pre-release into the requirement, like name>=2.0rc1")


def _named_file(option: str, value: str, where: str, folder: Path, harvest: Harvest, opened: tuple[Path, ...]) -> None:
    path = folder / value
    if "\0" in value:
        harvest.note(f"{where}: {quoted(value)} is not the name of a file")
    elif option in {"-c", "--constraint"}:
        harvest.note(f"{where}: constraints of {quoted(value)} are not taken over; write them into the requirements")
    elif opened or os.path.isfile(path):  # noqa: PTH113 - False for a name that no file can have
        _requirements(path, harvest, opened)
    else:
        harvest.note(f"{where}: {quoted(value)} is not here; use --from-requirements with a copy of it")


def _requirements(path: Path, harvest: Harvest, opened: tuple[Path, ...]) -> None:
    path = path.resolve()
    if path in opened:
        return
    text = re.sub(r"\\\r?\n", " ", _read(path))
    for number, line in enumerate(text.splitlines(), start=1):
        where = f"{shown_path(path)}:{number}"
        bare = re.sub(r"(^|\s)#.*$", "", line).strip()
        if bare.startswith("-"):
            try:
                words = shlex.split(bare)
            except ValueError:
                harvest.note(f"{where}: the line cannot be read: {quoted(bare)}")
                continue
            _arguments(words, where, path.parent, harvest, (*opened, path))
        elif bare:
            _entry(re.sub(r"\s--[a-z-]+[ =].*$", "", bare).strip(), where, path.parent, harvest)


def _entry(word: str, where: str, folder: Path, harvest: Harvest) -> None:
    """Take one argument over: a requirement, a URL, a path."""
    plain = word.strip()
    if re.search(r"\{\w|\$[\w{(]", plain) and "://" not in plain.partition("$")[0]:
        harvest.note(f"{where}: {quoted(plain)} holds a variable; add what it stands for by hand")
    elif re.match(r"(?:git\+)?[a-z]+://", plain):
        _url(plain, where, harvest)
    elif "://" not in plain and (plain.startswith((".", "/", "~")) or plain.endswith((".whl", ".zip", ".tar.gz"))):
        _local(plain, where, folder, harvest)
    else:
        harvest.add(plain, where)


def _url(url: str, where: str, harvest: Harvest) -> None:
    """Give a bare URL the name that its fragment, its wheel's name or (with a note) its repository says."""
    address, _, fragment = url.partition("#")
    egg = re.search(r"egg=([A-Za-z0-9._-]+(?:\[[^\]]*\])?)", fragment)
    tail = address.rstrip("/").rpartition("/")[2]
    kept = "&".join(part for part in fragment.split("&") if part.startswith(("subdirectory=", "sha256=")))
    whole = f"{address}#{kept}" if kept else address
    if egg:
        harvest.add(f"{egg[1]} @ {whole}", where)
        return
    try:
        wheel = parse_wheel_filename(tail)[0]
    except ValueError:  # InvalidWheelFilename, or a number of more than 4,300 digits
        name = re.match(r"[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*", re.sub(r"(?:\.git)?(?:@.*)?$", "", tail))
    else:
        harvest.add(f"{wheel} @ {whole}", where)
        return
    if not address.startswith("git+") or name is None:
        harvest.note(f"{where}: {quoted(url)} does not say which package it is; add it as name @ URL")
        return
    harvest.note(
        f"{where}: {quoted(url)} is taken for the package {quoted(name[0])}; correct the name if it has another"
    )
    harvest.add(f"{name[0]} @ {whole}", where)


def _local(word: str, where: str, folder: Path, harvest: Harvest) -> None:
    path = folder / os.path.expanduser(word)  # noqa: PTH111 - a home that is not there is no error here
    if not os.path.exists(path):  # noqa: PTH110 - neither is a name that no file can have
        pin = _pin(word.rpartition("/")[2])
        if pin is None:
            harvest.note(f'{where}: {quoted(word)} is not here; add the package itself, or a copy as "./…"')
        else:
            harvest.note(f"{where}: {quoted(word)} is not here; {pin} is asked of the index instead")
            harvest.add(pin, where)
        return
    relative = os.path.relpath(path, harvest.folder).replace(os.sep, "/")
    harvest.add(relative if relative.startswith("..") else f"./{relative}", where)


def _pin(filename: str) -> str | None:
    """Return ``name==version`` as the name of a wheel or sdist says it; None for any other name."""
    for parse in (parse_wheel_filename, parse_sdist_filename):
        try:
            name, version, *_ = parse(filename)
        except ValueError:  # no such name, or a number of more than 4,300 digits
            continue
        return f"{name}=={version}"
    return None


def _expanded(word: str) -> list[str]:
    """Return the words that a shell makes of ``a/{b,c}.whl``."""
    braces = re.fullmatch(r"([^{}]*)\{([^{}]*,[^{}]*)\}([^{}]*)", word)
    return [f"{braces[1]}{part}{braces[3]}" for part in braces[2].split(",")] if braces else [word]
