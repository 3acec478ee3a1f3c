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
    -q --quiet -v --verbose -y --yes -I --ignore-installed -h --help -V --version --active --all-extras --all-releases
    --break-system-packages --check --check-build-dependencies --compile --compile-bytecode --debug --dev
    --disable-pip-version-check --dry-run --exact --force-reinstall --frozen --ignore-requires-python --isolated
    --locked --managed-python --native-tls --no-break-system-packages --no-build --no-build-isolation --no-cache
    --no-cache-dir --no-clean --no-color --no-compile --no-config --no-editable --no-index --no-input
    --no-managed-python --no-progress --no-proxy-env --no-python-downloads --no-python-version-warning
    --no-require-hashes --no-sources --no-sync --no-use-pep517 --no-user --no-verify --no-verify-hashes
    --no-warn-conflicts --no-warn-script-location --offline --only-final --prefer-binary --refresh --reinstall
    --require-build-hashes --require-hashes --require-venv --require-virtualenv --strict --system --system-certs
    --use-pep517 --user
"""
"""Options without a value that say nothing about what is needed."""

_VALUES = """
    -C --config-settings --config-setting --config-settings-package -t --target -p --python -b --build-constraint
    --build-constraints -o --override --overrides --abi --allow-insecure-host --build-option --cache-dir --cert
    --client-cert --color --config-file --default-timeout --directory --exclude-newer --exclude-newer-package
    --excludes --exists-action --fork-strategy --global-option --implementation --index-strategy --install-option
    --keyring-provider --link-mode --local-log --log --log-file --no-build-isolation-package --no-editable-package
    --no-sources-package --output-format --platform --prefix --prerelease --prerelease-package --progress-bar
    --project --proxy --python-platform --python-version --refresh-package --reinstall-package --report
    --resolution --resume-retries --retries --root --root-user-action --source --source-dir --source-directory --src
    --timeout --torch-backend --trusted-host --upgrade-strategy --uploaded-prior-to --use-deprecated --use-feature
    --only-binary
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
    groups: list[str] = field(default_factory=list)
    """``--group``, ``--extra``: parts of a project, as options name them."""
    scripts: list[str] = field(default_factory=list)
    """``--requirements-from-script``: scripts with metadata (PEP 723)."""
    no_deps: bool = False
    only_deps: bool = False
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
        "destinations": ("-d", "--dest", "--destination-dir", "--destination-directory", "-w", "--wheel-dir"),
        "groups": ("--group", "--extra", "--upgrade-group"),
        "scripts": ("--requirements-from-script",),
        "upgraded": ("-P", "--upgrade-package"),
    }
    for name, spellings in lists.items():
        parser.add_option(*spellings, action="append", dest=name, default=[])
    for name, spellings in {
        "no_deps": ("--no-deps", "--no-dependencies"),
        "only_deps": ("--only-deps", "--only-dependencies"),
        "pre": ("--pre",),
        "upgrade": ("-U", "--upgrade"),
    }.items():
        parser.add_option(*spellings, action="store_true", dest=name, default=False)
    return parser


_PARSER = _parser()
_MOST_UNKNOWN = 20


def before_the_command(words: Sequence[str]) -> list[str]:
    """Return the options, with their values, that stand before ``install``."""
    found: list[str] = []
    for word in words:
        option = _PARSER.get_option(found[-1]) if found and found[-1].startswith("-") else None
        if not word.startswith("-") and (option is None or not option.takes_value()):
            break
        found.append(word)
    return found


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
