"""Python that a notebook or script is made of: read as a tree, never run."""

from __future__ import annotations

import ast
import re
import sys
from itertools import accumulate
from typing import TYPE_CHECKING

from kpack.importing import calls, commands, pip, shell
from kpack.importing.calls import Call
from kpack.importing.cells import MARK, Magic, taken_apart, translated
from kpack.importing.constants import Constants, dotted
from kpack.importing.finding import Lines
from kpack.importing.functions import Function, Given, function
from kpack.importing.harvest import Import, Line
from kpack.syntax import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kpack.importing.sitting import Sitting

_INSTALLS = re.compile(r"\b(?:pip3?|conda|mamba|apt-get)\s+install\b|['\"]install['\"]")
_SHOWN, _ROWS = 300, 8
"""Characters and rows of a statement that are shown, at most."""

_NESTED, _FOLLOWED = 4, 2000
"""How deep functions that call each other are followed, and how many calls of them, at most."""


class PythonReader:
    """Reads cells one after the other; what one has named is known to the next."""

    def __init__(self, sitting: Sitting, file: str) -> None:
        self.sitting = sitting
        self.file = file
        self.constants = Constants(sitting.texts)
        self.names: dict[str, str] = {}
        """What imports have bound, by its full name."""
        self.functions: dict[str, Function] = {}
        """Those that take something and hand it on to a shell."""
        self._open: dict[ast.Call, frozenset[str]] = {}
        """The calls in their bodies, and the names of what they take."""
        self._dependent: dict[ast.Call, Line] = {}
        """The calls among them that say nothing before the function is called."""
        self._waiting: dict[ast.Call, Magic | None] = {}
        """Those of a function that nothing has called yet."""
        self._within: list[str] = []
        """The functions that are followed at the moment."""
        self._followed = 0

    def read(self, text: str, cell: int, magics: Sequence[Magic] = (), *, at: Lines | None = None) -> None:
        """Read Python text, in which `MARK` stands for each of ``magics``.

        With ``at`` the text stood within that line, and is told there.
        """
        rows = text.split("\n")
        for first, last in _parts(text, rows):
            part = "\n".join(rows[first:last])
            tree = parsed(part)
            if tree is not None:
                self._walk(tree, rows, cell, magics, first, at)
                continue
            place = at or Lines(self.file, cell, first + 1, last)
            if _INSTALLS.search(part):
                write = "add by hand what it installs: kpack add NAME"
                self.sitting.harvest.left(Line(place, part.strip()[:200]), "it is no Python that can be read", write)
            for number in map(int, re.findall(rf"{MARK}\((\d+)\)", part)):
                if number < len(magics):
                    self._magic(magics[number], cell, at)

    def finish(self) -> None:
        """Say of what functions would install that nothing here calls them."""
        for node, magic in self._waiting.items():
            line = self._dependent[node]
            if magic is not None:
                commands.run(magic.text, line, self.sitting, self.script)
            elif _INSTALLS.search(line.said):
                self._unsaid(line)
        self._waiting.clear()

    def script(self, text: str, line: Line, sitting: Sitting) -> None:
        """Read what stands behind ``python -c``, or in a here-document."""
        del sitting
        plain, magics = translated(text.split("\n"))
        self.read(plain, line.place.cell, magics, at=line.place)

    def _walk(
        self, tree: ast.AST, rows: list[str], cell: int, magics: Sequence[Magic], offset: int, at: Lines | None
    ) -> None:
        """Go through a tree in the order of its text."""
        waiting: list[ast.AST] = [tree]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.stmt | ast.Call):
                first, last = node.lineno + offset, (node.end_lineno or node.lineno) + offset
                shown = " ".join(row[:_SHOWN].strip() for row in rows[first - 1 : min(last, first + _ROWS)])
                self._node(node, Line(at or Lines(self.file, cell, first, last), shown), cell, magics, at)
            waiting += reversed(list(ast.iter_child_nodes(node)))

    def _node(self, node: ast.AST, line: Line, cell: int, magics: Sequence[Magic], at: Lines | None) -> None:
        if isinstance(node, ast.Call):
            self._call(node, line, cell, magics, at)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, line)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._defined(node, magics)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                self._assigned(inner, f"{node.name}.")
        else:
            self._assigned(node)
            if isinstance(node, ast.Assign):
                self._set(node, line)

    def _set(self, node: ast.Assign, line: Line) -> None:
        """Take in a name for IPython's shell, and variables of pip's in the environment."""
        shell_of = isinstance(node.value, ast.Call) and self._name(node.value) == "get_ipython"
        for target in node.targets:
            if isinstance(target, ast.Name) and shell_of:
                self.names[target.id] = "get_ipython"
            elif isinstance(target, ast.Subscript) and dotted(target.value) in {"os.environ", "environ"}:
                name, value = self.constants.text(target.slice), self.constants.text(node.value)
                if name and value:
                    pip.setting(name, value, line, self.sitting)

    def _import(self, node: ast.Import | ast.ImportFrom, line: Line) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.names[alias.asname or top] = alias.name if alias.asname else top
                self._imported([alias.name], line)
        elif not node.level and node.module:
            for alias in node.names:
                self.names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            self._imported([f"{node.module}.{alias.name}" for alias in node.names], line)

    def _assigned(self, node: ast.AST, prefix: str = "") -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self.constants.assign(target, node.value, prefix)
        elif isinstance(node, ast.AnnAssign):
            self.constants.assign(node.target, node.value, prefix)
        elif isinstance(node, ast.For):
            self.constants.assign(node.target, node.iter)

    def _defined(self, node: ast.FunctionDef | ast.AsyncFunctionDef, magics: Sequence[Magic]) -> None:
        """Forget texts of the same name as a parameter, and see whether the function is a shell by another name."""
        args = node.args
        named = (*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, [args.vararg]))
        parameters = frozenset(one.arg for one in named)
        for name in parameters:
            self.sitting.texts.pop(name, None)
        if not parameters:
            return
        found = function(node, magics)
        inner = [one for one in found.inner if isinstance(one, ast.Call)]
        shells = {*calls.SHELLS, MARK, *self.functions}
        if any(self._name(one) in shells for one in inner):
            self.functions[node.name] = found
            self._open |= dict.fromkeys(inner, parameters)

    def _name(self, node: ast.Call) -> str:
        name = dotted(node.func) or ""
        first, mark, rest = name.partition(".")
        whole = f"{self.names.get(first, first)}{mark}{rest}"
        return whole.removeprefix("IPython.") if whole.startswith("IPython.get_ipython") else whole

    def _imported(self, names: Sequence[str], line: Line) -> None:
        top = names[0].partition(".")[0]
        if top not in sys.stdlib_module_names and not self.sitting.brings(top):
            held = self.sitting.harvest.imports.setdefault(top, Import(top, line.place, line.said, set()))
            held.names.update(above for name in names for above in accumulate(name.split("."), "{}.{}".format))

    def _call(self, node: ast.Call, line: Line, cell: int, magics: Sequence[Magic], at: Lines | None) -> None:
        name = self._name(node)
        if name == MARK:
            number = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
            if isinstance(number, int) and 0 <= number < len(magics):
                if self._depends(node, magics[number]):
                    self._later(node, Line(line.place, f"!{magics[number].text}"), magics[number])
                else:
                    self._magic(magics[number], cell, at)
            return
        call = Call(node, name, self.constants, line, self.sitting)
        if name in self.functions:
            self._handed_on(call, cell)
        elif name in calls.SHELLS:
            self._shell(call)
        elif name in {"get_ipython.run_line_magic", "get_ipython.magic"}:
            words = [call.text(0) or "", call.text(1) or ""]
            self._line_magic(" ".join(filter(None, words)), line)
        elif name in {"get_ipython.run_cell_magic", "get_ipython.run_cell"}:
            self._cell(call)
        elif name in {"pip.main", "pip._internal.main", "pip._internal.cli.main.main"}:
            given = self.constants.texts(node.args[0]) if node.args else None
            commands.call(shell.Command(("pip", *(given or ("install",)))), line, self.sitting, self.script)
        elif name == "os.chdir":
            self.sitting.enter(call.text(0) or ".")
        elif name in {"sys.path.append", "sys.path.insert"}:
            self._search_path(call)
        elif name.startswith("torchvision.models."):
            calls.torchvision(call)
        else:
            calls.read(call)

    def _cell(self, call: Call) -> None:
        """Read a cell that stands in a text, as nbconvert writes those that begin with a magic."""
        given = [call.text(0, "magic_name", "raw_cell"), call.text(1, "line"), call.text(2, "cell")]
        whole = call.name.endswith("run_cell")
        text = given[0] if whole else f"%%{given[0]} {given[1] or ''}\n{given[2] or ''}"
        if not given[0] or text is None:
            return
        cell = taken_apart(text)
        place = call.line.place
        if cell.kind == "python":
            self.read(cell.text, place.cell, cell.lines, at=place)
        elif cell.kind == "shell":
            shell_cell(cell.text, cell.first, place.cell, self, at=place)
        elif cell.kind == "file":
            commands.written(cell.name, cell.text.rstrip("\n") + "\n", call.line, self.sitting)

    def _search_path(self, call: Call) -> None:
        folder = call.text(1 if call.name.endswith("insert") else 0)
        if folder:
            self.sitting.harvest.search_path.append(folder)

    def _shell(self, call: Call) -> None:
        """Read a command that Python runs: a line for a shell, or a list of words."""
        node = call.node_of(0, "args", "cmd", "command")
        value = None if node is None else self.constants.value(node)
        if value is None and call.node in self._open and call.node not in self._dependent:
            self._later(call.node, call.line)
            return
        before = self.sitting.cwd
        folder = call.text(-1, "cwd")
        if folder:
            self.sitting.enter(folder)
        if isinstance(value, str):
            commands.run(value, call.line, self.sitting, self.script)
        elif value:
            commands.call(shell.Command(tuple(value)), call.line, self.sitting, self.script)
        elif _INSTALLS.search(call.line.said + self._dependent.get(call.node, call.line).said):
            self._unsaid(call.line)
        self.sitting.cwd = before

    def _unsaid(self, line: Line) -> None:
        why = "it installs something that is not said in plain words"
        self.sitting.harvest.left(line, why, "kpack add NAME, for each package that it installs")

    def _depends(self, node: ast.Call, magic: Magic) -> bool:
        """Tell whether a shell line in a function says what it runs only when that is called."""
        names = self._open.get(node, frozenset())
        return magic.name == "!" and any(re.search(rf"[{{$]\{{?{re.escape(name)}\b", magic.text) for name in names)

    def _later(self, node: ast.Call, line: Line, magic: Magic | None = None) -> None:
        self._dependent[node] = line
        self._waiting[node] = magic

    def _handed_on(self, call: Call, cell: int) -> None:
        """Follow a call into a function of the notebook, as far as what it hands on to a shell."""
        followed = self.functions[call.name]
        given = followed.bound(call.node, self.constants)
        if call.name in self._within or (not self._within and call.node in self._open and None in given.values()):
            return  # it calls itself, or is called by one that nothing has called yet
        self._within.append(call.name)
        self._followed += 1
        told = False
        with Given(self.sitting.texts, given):
            for one in followed.inner if len(self._within) <= _NESTED and self._followed <= _FOLLOWED else ():
                if not isinstance(one, ast.Call):
                    self._filled(one)
                elif one in self._dependent or self._name(one) in self.functions:
                    told = True
                    self._waiting.pop(one, None)
                    self._again(one, call.line, cell, followed.magics)
        self._within.pop()
        if not told:  # what it runs stands in its body, or is made in a way that is not followed
            self._shell(call)

    def _again(self, node: ast.Call, line: Line, cell: int, magics: Sequence[Magic]) -> None:
        """Read a call in a function's body with what the function was given."""
        if self._name(node) == MARK:
            number = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            assert isinstance(number, int)
            commands.run(magics[number].text, line, self.sitting, self.script)
        else:
            self._call(node, line, cell, magics, line.place)

    def _filled(self, node: ast.Assign | ast.AnnAssign | ast.For) -> None:
        """Take in what a function's body makes of what it was given; what cannot be read keeps what is known."""
        value = node.iter if isinstance(node, ast.For) else node.value
        if value is not None and self.constants.value(value) is not None:
            self._assigned(node)

    def _magic(self, magic: Magic, cell: int, at: Lines | None) -> None:
        mark = "" if magic.name == "?" else magic.name if magic.name == "!" else f"%{magic.name} "
        line = Line(at or Lines(self.file, cell, magic.line, magic.last), f"{mark}{magic.text}")
        if magic.name == "!":
            before = self.sitting.cwd
            commands.run(magic.text, line, self.sitting, self.script)
            self.sitting.cwd = before
        else:
            self._line_magic(f"{magic.name} {magic.text}", line)

    def _line_magic(self, text: str, line: Line) -> None:
        name, _, rest = text.partition(" ")
        if name in {"cd", "pushd"}:
            words = shell.substituted(rest.strip(), self.sitting.texts).strip("'\"")
            self.sitting.enter(words or "~")
        elif name in {
            "pip",
            "pip3",
            "uv",
            "conda",
            "mamba",
            "micromamba",
            "apt",
            "apt-get",
            "wget",
            "git",
            "mim",
            "poetry",
        }:
            commands.run(text, line, self.sitting, self.script)
        elif name in {"sx", "system"}:
            commands.run(rest, line, self.sitting, self.script)
        elif name in {"env", "set_env"} and "=" in rest:
            key, _, value = rest.partition("=")
            self.sitting.texts[key.strip()] = value.strip()
            pip.setting(key.strip(), value.strip(), line, self.sitting)
        elif name in {"time", "timeit", "memit", "prun"}:
            plain, magics = translated([rest])
            self.read(plain, line.place.cell, magics, at=line.place)
        elif name == "run" and rest:
            self._run(rest, line)

    def _run(self, rest: str, line: Line) -> None:
        words = [word for word in rest.split() if not word.startswith("-")]
        text = self.sitting.files.pop(self.sitting.path(words[0]), None) if words else None
        if text is not None:
            self.script(text, line, self.sitting)


def shell_cell(text: str, first: int, cell: int, reader: PythonReader, *, at: Lines | None = None) -> None:
    """Read a cell of a shell; it changes the folder only for itself."""
    sitting = reader.sitting
    before = sitting.cwd
    for logical in shell.logical_lines(text.split("\n")):
        place = at or Lines(reader.file, cell, logical.first + first, logical.last + first)
        line = Line(place, logical.text)
        if logical.here is None:
            commands.run(logical.text, line, sitting, reader.script)
        else:
            _here(logical, line, reader)
    sitting.cwd = before


def _here(logical: shell.ShellLine, line: Line, reader: PythonReader) -> None:
    """Read a command that is given a document: a file to write, a program to run."""
    try:
        command = next(iter(shell.commands(logical.text)), None)
    except ValueError:
        return
    if command is None or logical.here is None:
        return
    program = command.words[0].rpartition("/")[2]
    if program in {"cat", "tee"}:
        target = command.into or (command.words[1] if len(command.words) > 1 else "")
        if target:
            commands.written(target, logical.here, line, reader.sitting)
    elif program.startswith("python"):
        reader.script(logical.here, line, reader.sitting)
    elif program in {"bash", "sh"}:
        for inner in shell.logical_lines(logical.here.split("\n")):
            commands.run(inner.text, Line(line.place, inner.text), reader.sitting, reader.script)
    else:
        commands.run(logical.text, line, reader.sitting, reader.script)


def _parts(text: str, rows: list[str]) -> Iterator[tuple[int, int]]:
    """Yield the whole text if it is Python; else each of its outermost statements, so that one fault spoils one."""
    if parsed(text) is not None:
        yield 0, len(rows)
        return
    start = 0
    for number in range(1, len(rows) + 1):
        row = rows[number] if number < len(rows) else "x"
        if (
            row.strip()
            and not row[0].isspace()
            and row[0] not in ")]}#"
            and not re.match(r"(?:else|elif|except|finally)\b", row)
        ):
            yield start, number
            start = number
