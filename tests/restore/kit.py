"""Packs of tiny wheels, and restores of them in child interpreters."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.utils import canonicalize_name, parse_wheel_filename

from kpack.pack.content import BlobFile, Content, WheelFile
from kpack.pack.wheel import Lax
from kpack.pack.writer import write
from kpack.restore.manifest import Lean, PackedCheckpoint, PackedDistribution, PackedSystem, PackTarget, Requirer
from tests.support.answers import checked
from tests.support.interpreters import SERIES, found
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kpack.pack.writer import BuiltPack

REPOSITORY = Path(__file__).parents[2]
MACHINE = sysconfig.get_platform().partition("-")[2] or platform.machine()

RUN = """
import json, os, sys
pack, options, after = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
with open(os.path.join(pack, "bootstrap.py") if os.path.isdir(pack) else pack, "rb") as stream:
    code = stream.read(1 << 20)
if not os.path.isdir(pack):
    code = code[512:512 + int(code[124:135], 8)]
exec(compile(code, "bootstrap.py", "exec"), {"PACK": pack, "__name__": "kpack_bootstrap", "OPTIONS": options})
exec(after)
"""


@dataclass(frozen=True)
class Done:
    """What a restore in a child said."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> Any:
        """The JSON object that it printed first, as its schema has it."""
        return checked(["restore"], self.out.splitlines()[0])

    @property
    def error(self) -> Any:
        """The JSON error that it printed."""
        return self.report["error"]

    @property
    def printed(self) -> list[str]:
        """The lines after the report."""
        return self.out.splitlines()[1:]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_pack(
    folder: Path,
    wheels: Sequence[Path],
    *,
    series: Sequence[str] = SERIES,
    name: str = "tiny",
    checkpoints: Mapping[str, bytes] | None = None,
    replaces: Mapping[str, str] | None = None,
    leans: Mapping[str, tuple[str, Sequence[tuple[str, str]]]] | None = None,
    accelerator: Path | None = None,
    base: str | None = None,
    images: Sequence[str] = (),
    lax: Sequence[str] = (),
    odd: Sequence[str] = (),
    extra_checkpoints: Sequence[PackedCheckpoint] = (),
    system: Sequence[PackedSystem] = (),
    elsewhere: Mapping[str, Sequence[Path]] | None = None,
    **facts: Any,
) -> BuiltPack:
    """Write ``<name>.kpack.bin`` for Pythons of ``series`` and return it.

    ``checkpoints`` gives content by path, ``leans`` base distributions: ``{"torch": ("2.10", [("who", "torch>=2")])}``.
    ``elsewhere`` has Pythons with wheels of their own.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def packed_of(path: Path) -> PackedDistribution:
        project, version, _, _ = parse_wheel_filename(path.name)
        return PackedDistribution(
            project,
            str(version),
            f"wheels/{path.name}",
            replaces=(replaces or {}).get(project),
            lax_record=project in lax,
            lax_archive=project in odd,
        )

    other = elsewhere or {}
    targets = tuple(
        PackTarget(
            label=f"python-{python}",
            base=base,
            python=python,
            machine=MACHINE,
            glibc=(2, 17),
            distributions=tuple(map(packed_of, other.get(python, wheels))),
            leans=tuple(
                Lean(canonicalize_name(key), version, tuple(Requirer(by, text) for by, text in needs))
                for key, (version, needs) in (leans or {}).items()
            ),
            accelerator=f"wheels/{accelerator.name}" if accelerator else None,
            images=tuple(images),
            system=tuple(system),
        )
        for python in (*series, *other)
    )
    blobs: list[BlobFile] = []
    packed = []
    for place, data in (checkpoints or {}).items():
        blob = folder / f"blob-{sha256(data)}"
        blob.write_bytes(data)
        if sha256(data) not in {item.sha256 for item in blobs}:
            blobs.append(BlobFile(sha256=sha256(data), size=len(data), path=blob))
        packed.append(PackedCheckpoint(place, sha256(data), len(data)))
    content = Content(
        name=name,
        lock_name="pylock.kaggle-env.toml",
        lock_text='lock-version = "1.0"\n',
        requirements="",
        targets=targets,
        wheels=tuple(
            WheelFile(
                filename=path.name,
                sha256=sha256(path.read_bytes()),
                path=path,
                lax=Lax(
                    record=parse_wheel_filename(path.name)[0] in lax,
                    archive=parse_wheel_filename(path.name)[0] in odd,
                ),
            )
            for path in [
                *wheels,
                *(one for each in other.values() for one in each),
                *([accelerator] if accelerator else []),
            ]
        ),
        blobs=tuple(blobs),
        checkpoints=(*packed, *extra_checkpoints),
        **facts,
    )
    return write(content, folder / f"{name}.kpack.bin")


def restore(
    python: str | Path,
    pack: Path,
    *,
    after: str = "",
    before: str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    isolated: bool = False,
    wrap: Sequence[str] = (),
    **options: Any,
) -> Done:
    """Run a pack's bootstrap in ``python`` with JSON output, between ``before`` and ``after`` (Python code)."""
    done = subprocess.run(
        [
            *wrap,
            str(python),
            *(["-I"] if isolated else []),
            "-W",
            "error",
            "-c",
            before + RUN,
            str(pack),
            json.dumps({"json": True, "kaggle": False, **options}),
            after,
        ],
        cwd=cwd or Path(pack).parent,
        env={**_environment(), **(env or {})},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def good(python: str | Path, pack: Path, **facts: Any) -> Done:
    """Restore and expect that it works."""
    done = restore(python, pack, **facts)
    assert done.code == 0, done.out + done.err
    return done


def _environment() -> dict[str, str]:
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("KPACK", "KAGGLE", "PYTHON", "COVERAGE")) and key != "VIRTUAL_ENV"
    }


def make_venv(series: str, folder: Path) -> Path:
    """Make a virtual environment without pip and return its interpreter."""
    python = found()[series]
    subprocess.run([python, "-m", "venv", "--without-pip", "--symlinks", str(folder)], check=True, cwd=folder.parent)
    return folder / "bin" / "python"


def purelib(python: str | Path) -> Path:
    """Return where pure packages go for an interpreter."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip())


def listing(folder: Path, *, without: Sequence[str] = ()) -> dict[str, tuple[int, str]]:
    """Return (permission bits, digest or link) of everything below a folder, by relative path."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name.startswith(tuple(without)) and without:
            continue
        if path.is_symlink():
            entries[name] = (0, str(path.readlink()))
        elif path.is_dir():
            entries[name + "/"] = (path.stat().st_mode & 0o777, "")
        else:
            entries[name] = (path.stat().st_mode & 0o777, sha256(path.read_bytes()))
    return entries


def rich_wheels(folder: Path) -> list[Path]:
    """Return wheels that have every corner of the specification between them."""
    return [
        make_wheel(
            folder,
            "Rich.Thing",
            "1.0",
            files={
                "rich_thing/__init__.py": "VALUE = 1\n\ndef main():\n    print('called')\n    return 0\n",
                "rich_thing/größe.txt": "ü",
                "rich_thing/empty.py": "",
                "rich_thing/tool": "#!/bin/sh\necho tool\n",
                "rich_thing/large.bin": bytes(range(256)) * 2000,
                "rich_space/part/one.py": "ONE = 1\n",
                "rich_single.py": "SINGLE = 1\n",
                "rich.pth": "import os; os.environ['RICH_PTH'] = 'ran'\n",
                "Rich_Thing-1.0.data/scripts/rich-script": "#!python\nimport rich_thing\nrich_thing.main()\n",
                "Rich_Thing-1.0.data/scripts/rich-shell": "#!/bin/sh\necho shell\n",
                "Rich_Thing-1.0.data/scripts/rich-command": "a wrapper that the entry point takes the place of\n",
                "Rich_Thing-1.0.data/headers/rich.h": "#define RICH\n",
                "Rich_Thing-1.0.data/data/share/rich/data.txt": "data\n",
                "Rich_Thing-1.0.data/data/etc/rich.conf": "x = 1\n",
                "Rich_Thing-1.0.data/purelib/rich_pure.py": "PURE = 1\n",
                "Rich_Thing-1.0.data/platlib/rich_plat.py": "PLAT = 1\n",
                "Rich_Thing-1.0.dist-info/licenses/LICENSE": "free\n",
            },
            entry_points=(
                "[console_scripts]\nrich-command = rich_thing:main\n\n[gui_scripts]\nrich-gui=rich_thing:main\n"
            ),
            executable=[
                "rich_thing/tool",
                "Rich_Thing-1.0.data/scripts/rich-script",
                "Rich_Thing-1.0.data/scripts/rich-shell",
            ],
        ),
        make_wheel(
            folder,
            "rich-space-two",
            "2.0",
            files={"rich_space/part_two/two.py": "TWO = 2\n", "rich_space_two.py": "X = 1\n"},
            purelib=False,
            stored=True,
        ),
    ]
