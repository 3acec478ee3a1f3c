"""The programs that a notebook's shell lines call, as far as they change what is installed or fetched."""

from __future__ import annotations

import itertools
import posixpath
import re
from typing import TYPE_CHECKING, NamedTuple

from kpack.environment.errors import quoted
from kpack.errors import typed
from kpack.importing import conda, downloads, git, models, pip, requirements, shell
from kpack.importing.harvest import Line
from kpack.importing.options import before_the_command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kpack.importing.harvest import Harvest
    from kpack.importing.shell import Command
    from kpack.importing.sitting import Sitting

_PIP = re.compile(r"pip(?:[0-9.]+)?")
_PYTHON = re.compile(r"(?:python|pypy)[0-9.]*")
_WHEEL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._*]*?)-?(?:\*|[0-9].*)?(?:\.whl)?")
_OTHER_MANAGERS = {
    "conda": "kpack carries what the package index has, not what conda installs",
    "mamba": "kpack carries what the package index has, not what mamba installs",
    "micromamba": "kpack carries what the package index has, not what micromamba installs",
    "apt": "the image may have it already; what it lacks travels as a system package",
    "apt-get": "the image may have it already; what it lacks travels as a system package",
    "brew": "kpack carries Python packages, not what brew installs",
    "npm": "kpack carries Python packages, not what npm installs",
    "mim": "mim takes wheels from pages of OpenMMLab's own, by the versions of torch and CUDA",
    "poetry": "poetry installs what its own project says",
    "pdm": "pdm installs what its own project says",
    "easy_install": "easy_install is not pip: it may bring eggs",
    "pipenv": "pipenv installs what its Pipfile says",
    "rye": "rye installs what its own project says",
    "pixi": "pixi installs what its own project says, from conda's channels",
}
_CONDAS = frozenset({"conda", "mamba", "micromamba"})
_VALUED = frozenset(
    {"-c", "--channel", "-n", "--name", "-p", "--prefix", "--file", "-o", "--option", "-t", "--target-release"}
    | {"-G", "--group", "--python", "--source", "--index-url", "-f", "--find-links", "-i"}
)
"""Options of these programs that take the next word."""

_DEBIAN = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?")
"""A package as apt names it, with its version or without."""
_DEBS = frozenset({"dpkg", "dpkg-deb", "gdebi"})
_DEB = re.compile(r"(?:.*/)?([a-z0-9][a-z0-9+.-]+)(?:[_*][^/]*)?\.deb", re.DOTALL)
"""A file of a Debian package: name, version, architecture, with an underscore between each two; or a pattern."""
_MODULES = frozenset({"pip", "uv", "spacy", "easy_install", "pipenv", "poetry"})
"""What ``python -m`` runs like the program of the same name."""

_SETUP = frozenset({"install", "develop", "bdist_wheel"})
_ADDING = frozenset({"install", "add", "sync"})


class _At(NamedTuple):
    """Where a command stands."""

    line: Line
    sitting: Sitting
    python: Callable[[str, Line, Sitting], None]
    """What reads the text behind ``python -c``."""


def run(text: str, line: Line, sitting: Sitting, python: Callable[[str, Line, Sitting], None]) -> None:
    """Read one line of a shell; ``python`` reads the text behind ``python -c``."""
    whole = shell.substituted(text, sitting.texts)
    if len(whole) > requirements.LONGEST:
        sitting.harvest.left(line, f"a line of {len(whole):,} characters is not read", "kpack add what it installs")
        return
    try:
        for command in shell.commands(whole):
            for name, value in command.given:
                pip.setting(name, value, line, sitting)
            call(command, line, sitting, python)
    except ValueError as error:
        if re.search(r"\b(?:install|download|wget|curl|clone)\b", whole):
            sitting.harvest.left(
                line, f"the line cannot be read: {error}", "correct it, or add what it installs by hand"
            )


def call(command: Command, line: Line, sitting: Sitting, python: Callable[[str, Line, Sitting], None]) -> None:
    """Read one command."""
    set_to = shell.assignment(command)
    program = posixpath.basename(command.words[0])
    handler = _HANDLERS.get("pip" if _PIP.fullmatch(program) else "python" if _PYTHON.fullmatch(program) else program)
    if set_to:
        sitting.texts[set_to[0]] = set_to[1]
        pip.setting(set_to[0], set_to[1], line, sitting)
    elif program in downloads.PROGRAMS:
        downloads.command(program, command.words[1:], command.into, piped=command.piped, line=line, sitting=sitting)
    elif program in _OTHER_MANAGERS:
        _manager(program, command.words[1:], line, sitting)
    elif handler is not None:
        handler(command, _At(line, sitting, python))


def _python(command: Command, at: _At) -> None:
    line, sitting = at.line, at.sitting
    options = [word for word in command.words[1:] if word != "-u"]
    if options[:1] == ["-c"] and len(options) > 1:
        at.python(options[1], line, sitting)
    elif options[:1] == ["-m"] and options[1:2] == ["nltk.downloader"]:
        for name in options[2:]:
            if not name.startswith("-"):
                models.nltk(name, line, sitting)
    elif options[:1] == ["-m"] and options[1:2] and options[1] in _MODULES:
        call(shell.Command(tuple(options[1:])), line, sitting, at.python)
    elif options and posixpath.basename(options[0]) == "setup.py" and _SETUP.intersection(options):
        _setup(posixpath.dirname(options[0]) or ".", line, sitting)


def _setup(folder: str, line: Line, sitting: Sitting) -> None:
    clone = sitting.clone_of(folder)
    write = 'kpack add ./FOLDER, or kpack add "NAME @ git+https://…"'
    if clone:
        clone[0].used = True
        url = f"git+{clone[0].url}"
        write = typed("kpack", "add", f"{pip.repository_name(url) or 'NAME'} @ {url}")
    sitting.harvest.left(line, "setup.py installs the project of its folder with options of its own", write)


def _pip(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    first = before_the_command(rest)
    words = list(rest[len(first) :])
    what = words[0] if words else ""
    if what in {"install", "download", "wheel"}:
        requirements.install([*first, *words[1:]], line, sitting)
    elif what == "uninstall":
        pip.uninstall(words[1:], line, sitting)
    elif words[:2] == ["config", "set"] and len(words) > 3:
        name = words[2].rpartition(".")[2].replace("-", "_")
        pip.setting(f"PIP_{name.upper()}", words[3], line, sitting)


def _uv(command: Command, at: _At) -> None:
    line, sitting = at.line, at.sitting
    first = before_the_command(command.words[1:])
    words = list(command.words[1 + len(first) :])
    if words[:1] == ["pip"]:
        words[1:] = [word for word in words[1:] if word not in {"-q", "--quiet", "--no-cache"}]
        if words[1:2] == ["sync"]:
            requirements.install(
                [part for word in words[2:] for part in (("-r", word) if not word.startswith("-") else (word,))],
                line,
                sitting,
            )
        else:
            _pip(shell.Command(tuple(words)), at)
    elif words[:1] == ["add"]:
        requirements.install(words[1:], line, sitting)
    elif words[:2] in (["tool", "install"], ["tool", "run"]) and words[2:]:
        _apart("uv tool", words[2:], line, sitting)
    elif words[:1] == ["run"] and (given := _with(words)):
        _apart("uv run", given, line, sitting)
    elif words[:1] == ["sync"]:
        sitting.harvest.left(line, "uv sync installs what uv.lock of its project says", "kpack init --from uv.lock")


def _with(words: Sequence[str]) -> list[str]:
    """Return what ``uv run --with`` has beside its project."""
    after = [after for word, after in itertools.pairwise(words) if word == "--with"]
    return after + [word.partition("=")[2] for word in words if word.startswith("--with=")]


def _apart(program: str, words: Sequence[str], line: Line, sitting: Sitting) -> None:
    """Leave a program that is installed beside the notebook to a person: the notebook cannot import it."""
    name = next((word for word in words if not word.startswith("-")), "NAME")
    what = f"`{program}` has what it runs in an environment of its own, which a pack does not make"
    sitting.harvest.left(line, what, f"kpack add {typed(name)}, if the notebook needs it offline")


def _pipx(command: Command, at: _At) -> None:
    if command.words[1:2] in (("install",), ("run",)):
        _apart("pipx", command.words[2:], at.line, at.sitting)


def _xargs(command: Command, at: _At) -> None:
    if "install" in command.words:
        what = "which words another program hands to pip is not said here"
        at.sitting.harvest.left(at.line, what, "kpack init --from FILE for a list of requirements, or kpack add NAME")


def _hub(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    if rest[:1] != ("download",) or len(rest) < 2:
        return
    plain: list[str] = []
    values: dict[str, list[str]] = {}
    option = ""
    for word in rest[1:]:
        if word.startswith("--"):
            option, _, value = word.partition("=")
            if value:
                values.setdefault(option, []).append(value)
            if value or option in {"--quiet", "--force-download", "--resume-download", "--local-dir-use-symlinks"}:
                option = ""
        elif option:
            values.setdefault(option, []).append(word)
            option = option if option in {"--include", "--exclude"} else ""
        else:
            plain.append(word)
    if not plain:
        return
    kind = values.get("--repo-type", ["model"])[0]
    name = plain[0] if kind == "model" else f"{kind}s/{plain[0]}"
    folder = values.get("--local-dir", [""])[0]
    revision = values.get("--revision", [""])[0]
    if not plain[1:]:
        path = sitting.lands(folder) if folder else None
        models.repository(name, line, sitting, revision=revision, path=path, include=values.get("--include", ()))
    for filename in plain[1:]:
        path = sitting.lands(f"{folder}/{filename}") if folder else None
        models.repository(name, line, sitting, revision=revision, path=path, filename=filename)


def _kaggle(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    if "download" not in rest:
        return
    if rest[:1] == ("competitions",):
        sitting.harvest.left(
            line, "the data of a competition is an input on Kaggle", "attach the competition (Add Input)"
        )
        return
    handle = next((word for word in rest if re.fullmatch(r"[\w.-]+/[\w.-]+(?:/[\w.-]+)*", word)), "")
    models.kaggle("datasets" if rest[:1] == ("datasets",) else "models", handle, line, sitting)


def _spacy(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    if rest[:1] == ("download",):
        for name in rest[1:]:
            if not name.startswith("-"):
                models.spacy(name, line, sitting)


def _rm(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    """Take the removal of downloaded wheels for what it means: they shall not come with the rest."""
    for word in rest:
        folder, name = posixpath.split(word)
        match = _WHEEL.fullmatch(name)
        downloaded = "*" in name and sitting.path(folder or ".") in sitting.wheels
        if word.startswith("-") or match is None or not (name.endswith(".whl") or downloaded):
            continue
        plain = match[1].rstrip("*-_.")
        if plain:
            exact = re.match(re.escape(plain) + r"-[*0-9]", name)
            sitting.harvest.remove(plain if exact else f"{plain}*", line, "its wheel is taken off what pip downloaded")


def _moves(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    folders = {sitting.path(posixpath.dirname(word) or ".") for word in rest} | {sitting.path(word) for word in rest}
    if sitting.wheels & folders or any(re.search(r"\.whl$", word) for word in rest):
        sitting.harvest.understood(line, "", "not needed: a pack is one file, and sources are built when it is locked")


def written(into: str, text: str, line: Line, sitting: Sitting, *, more: bool = False) -> None:
    """Remember a file that a cell writes (or adds to), for whatever uses it below."""
    path = sitting.path(into)
    sitting.written.add(posixpath.basename(path))
    sitting.files[path] = (sitting.files.get(path, "") if more else "") + text
    if re.search(r"require.*\.(?:txt|in)$", into):
        sitting.unused[path] = line


def _cd(command: Command, at: _At) -> None:
    if len(command.words) == 2:
        at.sitting.enter(command.words[1])


def _echo(command: Command, at: _At) -> None:
    if command.into:
        words = [word for word in command.words[1:] if word not in {"-e", "-n", "-en", "-ne"}]
        text = " ".join(words)
        if command.words[0] == "printf" or len(words) < len(command.words) - 1:
            text = text.replace("\\n", "\n")
        written(command.into, text + "\n", at.line, at.sitting, more=command.more)


def _script(command: Command, at: _At) -> None:
    rest, line, sitting = command.words[1:], at.line, at.sitting
    if rest[:1] == ("-c",) and len(rest) > 1:
        run(rest[1], line, sitting, at.python)
        return
    name = next((word for word in rest if not word.startswith("-")), "")
    text = sitting.files.pop(sitting.path(name), None) if name else None
    if text is not None:
        sitting.harvest.understood(line, "", f"{name}: as a cell above wrote it")
        for inner in shell.logical_lines(text.splitlines()):
            run(inner.text, Line(line.place, inner.text), sitting, at.python)
    elif name:
        sitting.harvest.left(
            line, f"what {quoted(name)} does is not said here", "if it installs something: kpack add NAME"
        )


def _plain(words: Sequence[str]) -> list[str]:
    """Return the words that are neither an option nor the value of one."""
    left = []
    pending = iter(words)
    for word in pending:
        if word in _VALUED:
            next(pending, None)
        elif not word.startswith("-"):
            left.append(word)
    return left


def _debs(command: Command, at: _At) -> None:
    """Take files of Debian packages for their names: kpack packs them anew, with what each of them needs."""
    rest = command.words[1:]
    files = [word for word in rest if word.endswith(".deb")]
    if files or {"-i", "--install", "-x", "--extract", "--unpack"}.intersection(rest):
        at.sitting.harvest.left(at.line, _OTHER_MANAGERS["apt"], _system_packages(files, at.sitting.harvest))


def _system_packages(names: Sequence[str], harvest: Harvest) -> str:
    """Return what to write for packages that apt or dpkg installs: one list, whichever lines ask for them."""
    told = [file[1] if (file := _DEB.fullmatch(name)) else name for name in names]
    plain = [name for name in dict.fromkeys(told) if _DEBIAN.fullmatch(name)]
    if not plain:
        return 'apt = ["NAME"] at the top of kaggle-env.toml, with the name of each package'
    new = ", ".join(f'"{name}"' for name in plain if name not in harvest.system)
    first = not harvest.system
    harvest.system.update(dict.fromkeys(plain))
    if first:
        return f"apt = [{new}] at the top of kaggle-env.toml"
    return f"{new} in the same list, apt" if new else "nothing more: a line above asks for it"


def _manager(program: str, rest: Sequence[str], line: Line, sitting: Sitting) -> None:
    plain = _plain(rest)
    adds = program == "easy_install" or any(word in _ADDING for word in plain)
    if not adds:
        return
    names = plain if program == "easy_install" else plain[next(n for n, w in enumerate(plain) if w in _ADDING) + 1 :]
    if program in _CONDAS and names:
        for name in names:
            wanted = conda.on_the_index(name)
            write = f"kpack add {typed(wanted)}, if the index has it under that name"
            sitting.harvest.left(line, _OTHER_MANAGERS[program], write, conda.bare(wanted))
        return
    wanted = typed(*names)
    if program in {"apt", "apt-get"}:
        write = _system_packages(names, sitting.harvest)
    elif program in {"brew", "npm"}:
        write = "look for a wheel that brings it, or attach its files as an input"
    elif program == "pipenv" and not names:
        write = "kpack init --from Pipfile"
    elif program in {"poetry", "pdm", "rye"} and not names:
        write = "kpack init --from pyproject.toml"
    elif program == "mim":
        write = f"kpack add {wanted}, and the page of its wheels in [[indexes]]; or the wheel's URL: NAME @ https://…"
    else:
        write = f"kpack add {wanted or 'NAME'}, if the index has it under that name"
    sitting.harvest.left(line, _OTHER_MANAGERS[program], write)


_HANDLERS: Mapping[str, Callable[[Command, _At], None]] = {
    "pip": _pip,
    "python": _python,
    "uv": _uv,
    "uvx": lambda command, at: _apart("uvx", command.words[1:], at.line, at.sitting),
    "pipx": _pipx,
    "xargs": _xargs,
    "cd": _cd,
    **dict.fromkeys(_DEBS, _debs),
    "pushd": _cd,
    "git": lambda command, at: git.command(command.words[1:], at.line, at.sitting),
    "huggingface-cli": _hub,
    "hf": _hub,
    "kaggle": _kaggle,
    "spacy": _spacy,
    "rm": _rm,
    "mv": _moves,
    "cp": _moves,
    "tar": _moves,
    "zip": _moves,
    "echo": _echo,
    "printf": _echo,
    "bash": _script,
    "sh": _script,
    "source": _script,
    ".": _script,
}
