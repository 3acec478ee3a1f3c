"""The keys of kaggle-env.toml, one row each: whoever adds one writes the model's attribute, its row, and its use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpack.environment import apt, checkpoints, indexes, kinds
from kpack.environment.errors import quoted
from kpack.environment.kinds import BASE_NAMES, NAMES, word
from kpack.environment.model import DEFAULT_PLATFORM, LicenseRules, RestoreOptions
from kpack.environment.rows import (
    LONGEST_NAME,
    NAME,
    SHA256,
    FixedTable,
    Kind,
    Reading,
    Row,
    Text,
    Texts,
    meanings,
    read,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kpack.environment.positions import KeyPath

_PATTERN = Text(
    pattern=r"[A-Za-z0-9._*?-]*[A-Za-z0-9][A-Za-z0-9._*?-]*",
    longest=LONGEST_NAME,
    advice='write a name, or a pattern like "corp-*"',
)
_CHECKPOINT_URL = Text(
    pattern=r"(?:(?:https?|hf|kaggle)://|file:)\S.*",
    advice="write https://…, http://…, file:…, hf://org/repo@revision/path or kaggle://…",
)
_LONGEST_VALUE = 1 << 17
"""Bytes of an environment variable on Linux, at most."""

_PATH = Text(longest=1000, advice="write a path with / between its parts")


def _urls(urls: Iterable[str]) -> list[str]:
    return [kinds.without_credentials(url) for url in urls]


def _directory(text: str, at: KeyPath, reading: Reading) -> str | None:
    try:
        return checkpoints.normal_path(text)
    except ValueError as error:
        reading.say(at, f"{quoted(text)} {error}", 'write a folder, like "/kaggle/tmp"')
        return None


def _restore(table: Mapping[str, Any], at: KeyPath, reading: Reading) -> RestoreOptions:
    return RestoreOptions(**read(table, RESTORE.rows, at, Reading(reading.mistakes)))


def _licenses(table: Mapping[str, Any], at: KeyPath, reading: Reading) -> LicenseRules:
    return LicenseRules(**read(table, LICENSES.rows, at, Reading(reading.mistakes)))


def _dataset(table: Mapping[str, Any], at: KeyPath, reading: Reading) -> str | None:
    del at, reading
    return table.get("dataset")


CHECKPOINT = FixedTable(
    many=True,
    rows=(
        Row(
            key="url",
            kind=Kind(shape=_CHECKPOINT_URL, meaning=_urls),
            attribute="urls",
            word="urls",
            description="Where the file is fetched: https, http, file, hf://org/repo@revision/path, kaggle://.",
            example="https://host.example/model.ckpt",
        ),
        Row(
            key="urls",
            kind=Kind(shape=Texts(item=_CHECKPOINT_URL, at_least=1), meaning=_urls),
            description="Mirrors, tried in order; instead of url.",
            example=["https://host.example/model.ckpt", "https://mirror.example/model.ckpt"],
        ),
        Row(
            key="sha256",
            kind=word(Text(pattern=SHA256, advice="write the SHA-256: 64 lower-case hexadecimal digits")),
            description="SHA-256 of the file; without it the first lock fetches the file and records it.",
            example="4c90269c839278475532f4f3e7a2d348a65097fb05a6b288e64261f28aca3f7c",
        ),
        Row(
            key="path",
            kind=word(_PATH),
            description="Where the file lands; a relative path starts at [restore] directory. '..' is refused.",
            example="checkpoints/model.ckpt",
        ),
        Row(
            key="attached",
            kind=word(
                Text(
                    pattern=r"/kaggle/input/.+",
                    longest=1000,
                    advice="write true, or the absolute path of the mounted file, below /kaggle/input/",
                    or_true=True,
                )
            ),
            description="The file is in an input of its own: not packed, but found by size and digest (true), or taken "
            "from this path, and verified at restore.",
            example=True,
        ),
        Row(
            key="include",
            kind=Kind(shape=Texts(item=Text()), meaning=sorted),
            description="Patterns over the files of a repository (hf, kaggle); all files when absent.",
            example=["*.json", "*.safetensors"],
        ),
    ),
)

INDEX = FixedTable(
    many=True,
    rows=(
        Row(
            key="name",
            kind=word(Text(pattern=NAME, longest=40, advice="write letters, digits, '.', '_' and '-'")),
            description="A name for messages and the lock.",
            example="corp",
            required=True,
        ),
        Row(
            key="url",
            kind=word(
                Text(
                    pattern=r"https?://[^\s]+|file:[^\s]+|\.{0,2}/.*|\.{1,2}",
                    secret=True,
                    advice="write the https:// URL of a Simple index or of a page of links, or the path of a folder of "
                    'wheels, like "./wheels"',
                )
            ),
            description="URL of a Simple index or of a page of links, or path of a folder of wheels; ${NAME} is taken "
            "from the environment.",
            example="https://${USER}:${TOKEN}@host.example/simple",
            required=True,
        ),
        Row(
            key="packages",
            kind=Kind(shape=Texts(item=_PATTERN, at_least=1)),
            description="Names and patterns that come from this index and from no other; for a folder, when absent, "
            "what lies in it.",
            example=["corp-*"],
        ),
        Row(
            key="format",
            kind=word(Text(pattern="simple|links", advice='write "simple", or "links" for a flat page of links')),
            description="simple: a page for each project (PEP 503); links: one flat page, or folder, of files. When "
            "absent, paths and pages that end in .html are links.",
            example="links",
        ),
    ),
)

RESTORE = FixedTable(
    rows=(
        Row(
            key="directory",
            kind=Kind(shape=_PATH, read=_directory, kept="text"),
            description="Where relative checkpoint paths start; /kaggle/tmp on Kaggle when absent.",
            example="/kaggle/tmp",
        ),
        Row(
            key="env",
            kind=kinds.mapping(
                key=Text(
                    pattern=r"(?!LD_|PYTHON|PATH$)[A-Za-z_][A-Za-z0-9_]*",
                    advice="LD_*, PYTHON* and PATH would change how programs are found and are refused",
                ),
                value=Text(empty=True, secret=True, longest=_LONGEST_VALUE),
            ),
            description="Environment variables that restore sets; {directory} in a value is where relative checkpoint "
            "paths start. LD_*, PYTHON* and PATH are refused.",
            example={"NLTK_DATA": "{directory}/nltk_data"},
        ),
        Row(
            key="link",
            kind=kinds.FLAG,
            description="Link checkpoints that have a relative path from the working folder, so that the code finds "
            "them there as it does at home.",
            example=True,
        ),
        Row(
            key="apt",
            kind=word(Text(pattern="dpkg|prefix", advice='write "dpkg" or "prefix"')),
            description="How system packages are installed: by dpkg, or unpacked to a folder of their own; when "
            "absent, by dpkg in Kaggle's kernel and to a folder elsewhere.",
            example="prefix",
        ),
    ),
)

APT_SOURCE = FixedTable(
    many=True,
    rows=(
        Row(
            key="url",
            kind=word(
                Text(
                    pattern=r"https?://[^\s]+|file:/[^\s]*",
                    secret=True,
                    advice="write the https:// or file:/ URL of the archive, the folder above dists",
                )
            ),
            description="URL of an archive of packages; {snapshot} in it stands for the moment of exclude-newer.",
            example="https://host.example/ubuntu",
            required=True,
        ),
        Row(
            key="suites",
            kind=Kind(
                shape=Texts(
                    item=Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._~+/-]*|\./", advice='write it like "jammy-updates"'),
                    at_least=1,
                ),
                asked=tuple,
            ),
            description="Which of its releases, in the order of preference: jammy, jammy-updates; a flat archive's "
            "folder ends in '/'.",
            example=["jammy", "jammy-updates"],
            required=True,
        ),
        Row(
            key="components",
            kind=Kind(
                shape=Texts(item=Text(pattern=r"[A-Za-z0-9][A-Za-z0-9._/-]*", advice='write it like "universe"'))
            ),
            description="Which parts of a release; main when absent.",
            example=["main", "universe"],
        ),
        Row(
            key="signed-by",
            kind=word(
                Text(
                    pattern=r".*\.(?:gpg|pgp|asc)|nobody",
                    longest=1000,
                    advice='write the path of a keyring (.gpg, .pgp, .asc), or "nobody" to trust an unsigned index',
                )
            ),
            description="The keys (.gpg, .pgp, .asc) that sign its index; those of the image's distribution when "
            'absent; "nobody" takes an index that is not signed.',
            example="/usr/share/keyrings/ubuntu-archive-keyring.gpg",
        ),
    ),
)

PUBLISH = FixedTable(
    rows=(
        Row(
            key="dataset",
            kind=word(
                Text(
                    pattern=r"[A-Za-z0-9_-]+/[a-z0-9](?:[a-z0-9-]*[a-z0-9])?",
                    longest=120,
                    advice='write "owner/slug" as in the dataset\'s address',
                )
            ),
            description="The Kaggle dataset that the pack is published as: owner/slug.",
            example="you/my-env",
        ),
    ),
)

LICENSES = FixedTable(
    rows=(
        Row(
            key="allow",
            kind=kinds.SPDX,
            description='SPDX licences that packed distributions may have, like "MIT" or "Apache-2.0"; any other is a '
            "refusal.",
            example=["MIT", "Apache-2.0", "BSD-3-Clause"],
        ),
        Row(
            key="unchecked",
            kind=NAMES,
            description="Distributions whose licence you have read and taken, whatever their metadata says.",
            example=["jiwer"],
        ),
    ),
)

DOCUMENT = FixedTable(
    rows=(
        Row(
            key="name",
            kind=Kind(
                shape=Text(
                    pattern=r"[A-Za-z0-9_][A-Za-z0-9._-]*",
                    longest=40,
                    advice="write letters, digits, '.', '_' and '-', at most 40",
                )
            ),
            description="Name of the pack: its file is <name>.kpack.bin.",
            example="toxic-comments",
            required=True,
        ),
        Row(
            key="base",
            kind=kinds.BASES,
            attribute="bases",
            word="bases",
            description="The Kaggle image that is there already: a shipped snapshot, a probe file's path, or a list.",
            example="kaggle-gpu-py312-2026-08",
        ),
        Row(
            key="python",
            kind=word(
                Text(pattern=r"3\.(?:[89]|[1-9][0-9])", advice='write the series in quotes, like "3.12"; 3.8 or newer')
            ),
            description="Python series of the kernel, when there is no base.",
            example="3.12",
        ),
        Row(
            key="platform",
            kind=word(
                Text(pattern=r"manylinux_2_[0-9]{1,2}_(?:x86_64|aarch64)", advice=f'write it like "{DEFAULT_PLATFORM}"')
            ),
            description=f"Platform of the kernel, when there is no base; {DEFAULT_PLATFORM} when absent.",
            example=DEFAULT_PLATFORM,
        ),
        Row(
            key="packages",
            kind=kinds.PACKAGES,
            description="What the notebook needs: requirements (PEP 508), direct URLs, local paths (./fork, ./x.whl).",
            example=["sentence-transformers>=5", "rank-bm25"],
        ),
        Row(
            key="exclude",
            kind=kinds.EXCLUSIONS,
            description="More that the kernel has already: names, patterns (nvidia-*), pins (torch==2.10.0+cu128).",
            example=["nvidia-*"],
        ),
        Row(
            key="replace",
            kind=BASE_NAMES,
            description="Base packages that the pack may bring in another version.",
            example=["tokenizers"],
        ),
        Row(
            key="allow-source",
            kind=NAMES,
            description="Packages whose sdist may be built; building runs its code. What compiles is for the Python "
            "that runs kpack, and fits an image of that Python whose glibc has the symbols that it asks for.",
            example=["antlr4-python3-runtime"],
        ),
        Row(
            key="allow-broken",
            kind=BASE_NAMES,
            description="Base packages whose requirements may be broken by `replace`.",
            example=["gradio"],
        ),
        Row(
            key="allow-preloaded",
            kind=BASE_NAMES,
            description="Packages that may be replaced although the kernel has imported them before the first cell.",
            example=["pillow"],
        ),
        Row(
            key="lax-record",
            kind=NAMES,
            description="Packages whose wheel may enter the pack with a RECORD that is not in order.",
            example=["decord"],
        ),
        Row(
            key="exclude-newer",
            kind=kinds.MOMENT,
            description="The index as of that moment (UTC); a date includes its whole day.",
            example="2026-11-01",
        ),
        Row(
            key="lax-archive",
            kind=NAMES,
            description="Packages whose wheel may be an archive that is odd but can be read in one way only.",
            example=["old-wheel"],
        ),
        Row(
            key="allow-native",
            kind=NAMES,
            description="Packages that are packed although their native code does not fit the image; it is said.",
            example=["onnxruntime-gpu"],
        ),
        Row(
            key="accelerator",
            kind=word(
                Text(
                    pattern="P100|V100|T4|A100|L4|H100|RTX-PRO-6000",
                    advice='write "P100", "T4", "L4", "A100", "V100", "H100" or "RTX-PRO-6000"',
                )
            ),
            description="The GPU of the session, when it is not the one that the probe saw: what GPU code of a wheel "
            "is not built for is said.",
            example="T4",
        ),
        Row(
            key="no-deps",
            kind=NAMES,
            description="Packages whose requirements are not followed; what they miss is said.",
            example=["simpletransformers"],
        ),
        Row(
            key="substitute",
            kind=kinds.SUBSTITUTES,
            description="Names that another stands for: a requirement on the left counts as one on the right.",
            example={"opencv-python-headless": "opencv-python"},
        ),
        Row(
            key="no-build-isolation",
            kind=NAMES,
            description="Packages that are built with what the kernel has (its torch), where kpack runs in it.",
            example=["flash-attn"],
        ),
        Row(
            key="max-size",
            kind=kinds.BUILD_SIZE,
            description='Bytes that the pack may have: an integer, or a number with a unit ("10 GB", "512 MiB").',
            example="10 GB",
        ),
        Row(
            key="restore",
            kind=Kind(
                shape=RESTORE, read=_restore, meaning=lambda options: meanings(options, RESTORE.rows, "restore.")
            ),
            description="What happens in the kernel beside installing.",
        ),
        Row(
            key="checkpoints",
            kind=Kind(
                shape=CHECKPOINT,
                read=checkpoints.checkpoints,
                meaning=lambda entries: [meanings(entry, CHECKPOINT.rows, "checkpoints.") for entry in entries],
            ),
            description="Model files that travel with the packages.",
        ),
        Row(
            key="indexes",
            kind=Kind(shape=INDEX, read=indexes.indexes, meaning=indexes.meaning),
            description="Other package indexes; a name belongs to exactly one index.",
        ),
        Row(
            key="apt",
            kind=apt.PACKAGES,
            description="System packages that the notebook needs: names, or name=version, of Debian or Ubuntu.",
            example=["ffmpeg", "tesseract-ocr-deu"],
        ),
        Row(
            key="apt-sources",
            kind=Kind(
                shape=APT_SOURCE,
                read=apt.sources,
                meaning=lambda entries: [apt.meaning(entry) for entry in entries],
            ),
            description="Archives that system packages come from; when absent those of the image, where it was probed, "
            "else this machine's own, where it runs the image's distribution.",
        ),
        Row(
            key="publish",
            kind=Kind(shape=PUBLISH, read=_dataset, meaning=None),
            attribute="dataset",
            description="Where the pack is published.",
        ),
        Row(
            key="licenses",
            kind=Kind(
                shape=LICENSES, read=_licenses, meaning=lambda rules: meanings(rules, LICENSES.rows, "licenses.")
            ),
            description="Which licences packed distributions may have.",
        ),
    )
)
"""The file. Rows are read, and kept in the lock, in this order: a reader may look at what the rows above gave."""
