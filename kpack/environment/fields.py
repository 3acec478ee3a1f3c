"""The keys of kaggle-env.toml and the shape of each value: one table, from which reader and JSON Schema both work."""

from __future__ import annotations

from dataclasses import dataclass

from kpack.environment.model import DEFAULT_PLATFORM

NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
"""A project name as the packaging specifications define it."""

SHA256 = r"[0-9a-f]{64}"

SIZE_UNITS = {
    "B": 1,
    "kB": 1000,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KiB": 1 << 10,
    "MiB": 1 << 20,
    "GiB": 1 << 30,
    "TiB": 1 << 40,
}
"""Bytes per unit of a size in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A string that matches ``pattern`` as a whole and has from one to ``longest`` characters."""

    pattern: str | None = None
    longest: int | None = None
    advice: str = ""
    """What to write instead, for a string that does not match."""
    empty: bool = False
    """Whether the empty string is allowed."""
    secret: bool = False
    """Whether messages may not show it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """An array of strings; with ``single``, one bare string stands for an array of it."""

    item: Text
    single: bool = False
    at_least: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A TOML date or date-time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A number of bytes: an integer, or a number with a unit in a string."""

    pattern: str = r"[0-9]{1,9}(?:\.[0-9]{1,6})? ?(?:" + "|".join(SIZE_UNITS) + ")"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMap:
    """A table whose keys are free (within ``key``) and whose values are strings."""

    key: Text
    value: Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table with fixed keys; with ``many``, an array of such tables."""

    fields: tuple[Field, ...]
    many: bool = False


Shape = Text | Texts | Moment | Size | TextMap | Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One key of a table."""

    key: str
    shape: Shape
    description: str
    required: bool = False


_DISTRIBUTION = Text(pattern=NAME, advice='write a package\'s name alone, like "tokenizers"')
_PATTERN = Text(
    pattern=r"[A-Za-z0-9._*?-]*[A-Za-z0-9][A-Za-z0-9._*?-]*", advice='write a name, or a pattern like "corp-*"'
)
_EXCLUSION = Text(
    pattern=r"[A-Za-z0-9._*?-]*[A-Za-z0-9][A-Za-z0-9._*?-]*(?: *== *[A-Za-z0-9.+!_-]+)?",
    advice='write a name ("torch-xla"), a pattern ("nvidia-*") or a pin ("torch==2.10.0+cu128")',
)
_CHECKPOINT_URL = Text(
    pattern=r"(?:(?:https?|hf|kaggle)://|file:)[^\s]+",
    advice="write https://…, http://…, file:…, hf://org/repo@revision/path or kaggle://…",
)
_PATH = Text(longest=1000, advice="write a path with / between its parts")

CHECKPOINT = Table(
    many=True,
    fields=(
        Field(
            key="url",
            shape=_CHECKPOINT_URL,
            description="Where the file is fetched: https, http, file, hf://org/repo@revision/path, kaggle://.",
        ),
        Field(
            key="urls",
            shape=Texts(item=_CHECKPOINT_URL, at_least=1),
            description="Mirrors, tried in order; instead of url.",
        ),
        Field(
            key="sha256",
            shape=Text(pattern=SHA256, advice="write the SHA-256: 64 lower-case hexadecimal digits"),
            description="SHA-256 of the file; without it the first lock fetches the file and records it.",
        ),
        Field(
            key="path",
            shape=_PATH,
            description="Where the file lands; a relative path starts at [restore] directory. '..' is refused.",
        ),
        Field(
            key="attached",
            shape=Text(
                pattern=r"/kaggle/input/.+",
                longest=1000,
                advice="write the absolute path of the mounted file, below /kaggle/input/",
            ),
            description="The file is mounted here in the kernel already: it is not packed, but verified at restore.",
        ),
        Field(
            key="include",
            shape=Texts(item=Text()),
            description="Patterns over the files of a repository (hf, kaggle); all files when absent.",
        ),
    ),
)

INDEX = Table(
    many=True,
    fields=(
        Field(
            key="name",
            shape=Text(pattern=NAME, longest=40, advice="write letters, digits, '.', '_' and '-'"),
            description="A name for messages and the lock.",
            required=True,
        ),
        Field(
            key="url",
            shape=Text(pattern=r"https?://[^\s]+", secret=True, advice="write the https:// URL of the Simple index"),
            description="URL of the Simple index; ${NAME} is taken from the environment.",
            required=True,
        ),
        Field(
            key="packages",
            shape=Texts(item=_PATTERN, at_least=1),
            description="Names and patterns that come from this index and from no other.",
            required=True,
        ),
    ),
)

RESTORE = Table(
    fields=(
        Field(
            key="directory",
            shape=_PATH,
            description="Where relative checkpoint paths start; /kaggle/tmp on Kaggle when absent.",
        ),
        Field(
            key="env",
            shape=TextMap(
                key=Text(
                    pattern=r"(?!LD_|PYTHON|PATH$)[A-Za-z_][A-Za-z0-9_]*",
                    advice="LD_*, PYTHON* and PATH would change how programs are found and are refused",
                ),
                value=Text(empty=True, secret=True),
            ),
            description="Environment variables that restore sets; LD_*, PYTHON* and PATH are refused.",
        ),
    ),
)

PUBLISH = Table(
    fields=(
        Field(
            key="dataset",
            shape=Text(
                pattern=r"[A-Za-z0-9_-]+/[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
                longest=120,
                advice='write "owner/slug" as in the dataset\'s address',
            ),
            description="The Kaggle dataset that the pack is published as: owner/slug.",
        ),
    ),
)

DOCUMENT = Table(
    fields=(
        Field(
            key="name",
            shape=Text(
                pattern=r"[A-Za-z0-9_][A-Za-z0-9._-]*",
                longest=40,
                advice="write letters, digits, '.', '_' and '-', at most 40",
            ),
            description="Name of the pack: its file is <name>.kpack.bin.",
            required=True,
        ),
        Field(
            key="base",
            shape=Texts(item=Text(), single=True, at_least=1),
            description="The Kaggle image that is there already: a shipped snapshot, a probe file's path, or a list.",
        ),
        Field(
            key="python",
            shape=Text(
                pattern=r"3\.(?:[89]|[1-9][0-9])", advice='write the series in quotes, like "3.12"; 3.8 or newer'
            ),
            description="Python series of the kernel, when there is no base.",
        ),
        Field(
            key="platform",
            shape=Text(
                pattern=r"manylinux_2_[0-9]{1,2}_(?:x86_64|aarch64)", advice=f'write it like "{DEFAULT_PLATFORM}"'
            ),
            description=f"Platform of the kernel, when there is no base; {DEFAULT_PLATFORM} when absent.",
        ),
        Field(
            key="packages",
            shape=Texts(item=Text()),
            description="What the notebook needs: requirements (PEP 508), direct URLs, local paths (./fork, ./x.whl).",
        ),
        Field(
            key="exclude",
            shape=Texts(item=_EXCLUSION),
            description="More that the kernel has already: names, patterns (nvidia-*), pins (torch==2.10.0+cu128).",
        ),
        Field(
            key="replace",
            shape=Texts(item=_DISTRIBUTION),
            description="Base packages that the pack may bring in another version.",
        ),
        Field(
            key="exclude-newer",
            shape=Moment(),
            description="The index as of that moment (UTC); a date includes its whole day.",
        ),
        Field(
            key="allow-source",
            shape=Texts(item=_DISTRIBUTION),
            description="Packages whose sdist may be built; building runs its code.",
        ),
        Field(
            key="allow-broken",
            shape=Texts(item=_DISTRIBUTION),
            description="Base packages whose requirements may be broken by `replace`.",
        ),
        Field(
            key="allow-preloaded",
            shape=Texts(item=_DISTRIBUTION),
            description="Packages that may be replaced although the kernel has imported them before the first cell.",
        ),
        Field(
            key="lax-record",
            shape=Texts(item=_DISTRIBUTION),
            description="Packages whose wheel may enter the pack with a RECORD that is not in order.",
        ),
        Field(
            key="max-size",
            shape=Size(),
            description='Bytes that the pack may have: an integer, or a number with a unit ("10 GB", "512 MiB").',
        ),
        Field(key="checkpoints", shape=CHECKPOINT, description="Model files that travel with the packages."),
        Field(key="indexes", shape=INDEX, description="Other package indexes; a name belongs to exactly one index."),
        Field(key="restore", shape=RESTORE, description="What happens in the kernel beside installing."),
        Field(key="publish", shape=PUBLISH, description="Where the pack is published."),
    ),
)
