"""The options of pip, and of uv's likeness of it, read by the library that pip reads them with."""

from __future__ import annotations

import optparse
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

# fmt: off
_FLAGS = """
    -q --quiet -v --verbose -y --yes -I --ignore-installed -h --help -V --version --active --all-extras
    --break-system-packages --check-build-dependencies --compile --compile-bytecode --debug --dev
    --disable-pip-version-check --dry-run --exact --force-reinstall --frozen --ignore-requires-python --isolated
    --locked --native-tls --no-build --no-build-isolation --no-cache --no-cache-dir --no-clean --no-color
    --no-compile --no-index --no-input --no-python-version-warning --no-sources --no-sync --no-use-pep517 --no-user
    --no-verify-hashes --no-warn-conflicts --no-warn-script-location --offline --prefer-binary --refresh --reinstall
    --require-hashes --require-virtualenv --strict --system --use-pep517 --user
"""
"""Options without a value that say nothing about what is needed."""

_VALUES = """
    -C --config-settings --config-setting -t --target -p --python -b --build-constraint -o --override --abi
    --allow-insecure-host --build-option --cache-dir --cert --client-cert --exclude-newer --exists-action
    --global-option --implementation --index-strategy --install-option --keyring-provider --link-mode --log
    --platform --prefix --prerelease --progress-bar --proxy --python-platform --python-version --refresh-package
    --reinstall-package --report --resolution --resume-retries --retries --root --root-user-action --src --timeout
    --torch-backend --trusted-host --upgrade-strategy --use-deprecated --use-feature --only-binary
"""
"""Options whose value says nothing about what is needed."""
# fmt: on


@dataclass(slots=True)
class Arguments:
    """What the words after ``pip install`` (download, wheel, uninstall) mean."""

    requirements: list[str] = field(default_factory=list)
    editable: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)
    indexes: list[str] = field(default_factory=list)
    """``--index-url``: instead of the default."""
    extra_indexes: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    """``--find-links``: pages or folders."""
    hashes: list[str] = field(default_factory=list)
    no_binary: list[str] = field(default_factory=list)
    destinations: list[str] = field(default_factory=list)
    """Folders of ``pip download`` and ``pip wheel``."""
    no_deps: bool = False
    pre: bool = False
    upgrade: bool = False
    unknown: list[str] = field(default_factory=list)
    """Options that neither pip nor uv has."""


class _WordsRefused(Exception):
    pass


class _PipParser(optparse.OptionParser):
    """A parser that ends no process."""

    def error(self, msg: str) -> NoReturn:
        raise _WordsRefused(msg) from sys.exception()


def _parser() -> _PipParser:
    parser = _PipParser(add_help_option=False)
    for option in _FLAGS.split():
        parser.add_option(option, action="store_true", dest="ignored")
    for option in _VALUES.split():
        parser.add_option(option, dest="ignored_value")
    lists = {
        "editable": ("-e", "--editable"),
        "files": ("-r", "--requirement", "--requirements"),
        "constraints": ("-c", "--constraint", "--constraints"),
        "indexes": ("-i", "--index-url", "--pypi-url", "--default-index"),
        "extra_indexes": ("--extra-index-url", "--index"),
        "links": ("-f", "--find-links"),
        "hashes": ("--hash",),
        "no_binary": ("--no-binary",),
        "destinations": ("-d", "--dest", "--destination-dir", "-w", "--wheel-dir"),
        "upgraded": ("-P", "--upgrade-package"),
    }
    for name, spellings in lists.items():
        parser.add_option(*spellings, action="append", dest=name, default=[])
    for name, spellings in {
        "no_deps": ("--no-deps", "--no-dependencies"),
        "pre": ("--pre",),
        "upgrade": ("-U", "--upgrade"),
    }.items():
        parser.add_option(*spellings, action="store_true", dest=name, default=False)
    return parser


_PARSER = _parser()
_MOST_UNKNOWN = 20


def _place(words: Sequence[str], fault: BaseException | None) -> int | None:
    """Return which of the words is the option that nobody has; None when the fault is another one."""
    if not isinstance(fault, optparse.BadOptionError):
        return None
    option = fault.opt_str
    wanted = (lambda word: word.partition("=")[0] == option) if option.startswith("--") else option.__eq__
    return next((place for place, word in enumerate(words) if wanted(word)), None)


def arguments(words: Sequence[str]) -> Arguments:
    """Read the words that follow ``pip install``: options may be clustered (``-qr FILE``), cut short and anywhere.

    Raises:
        ValueError: an option lacks its value.

    """
    left = list(words)
    unknown: list[str] = []
    while True:
        values = _PARSER.get_default_values()
        for name, value in list(vars(values).items()):
            setattr(values, name, list(value) if isinstance(value, list) else value)
        try:
            held, plain = _PARSER.parse_args(list(left), values)
        except _WordsRefused as refused:
            at = _place(left, refused.__cause__)
            if at is None or len(unknown) == _MOST_UNKNOWN:
                raise ValueError(str(refused)) from refused
            unknown.append(left.pop(at))
            continue
        known = {name: getattr(held, name) for name in Arguments.__dataclass_fields__ if hasattr(held, name)}
        return Arguments(**known, requirements=[*plain, *held.upgraded], unknown=unknown)
