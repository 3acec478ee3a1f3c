"""Ways to go wrong in the kernel, and what the pasted line says: all of it in ways_in_the_kernel.txt.

Each is made by running the very line in an interpreter of its own, as a notebook's first cell does.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.restore import kit
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Callable

    from kpack.pack import BuiltPack

GOLDEN = Path(__file__).with_name("ways_in_the_kernel.txt")
SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"
OTHER = "3.8" if SERIES != "3.8" else "3.9"
PLACE = "datasets/me/tiny-env"


class Kernel(NamedTuple):
    """A folder for inputs, and an interpreter with packages of its own."""

    python: Path
    root: Path
    """Where inputs are mounted."""

    def mount(self, pack: BuiltPack, place: str = PLACE, name: str = "tiny.kpack.bin") -> Path:
        """Attach a pack."""
        where = self.root / place / name
        where.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(pack.path, where)
        return where

    def run(self, code: str, **environ: str) -> tuple[int, str]:
        """Run code; return the exit code and what it said."""
        done = subprocess.run(
            [str(self.python), "-c", code],
            cwd=self.root.parent,
            env={"PATH": os.environ["PATH"], "HOME": str(self.root.parent), "KPACK_INPUT": str(self.root), **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return done.returncode, done.stdout + done.stderr


def pack_of(folder: Path, version: str = "1.0", **facts: object) -> BuiltPack:
    wheel = make_wheel(folder / "wheels", "thing", version)
    return kit.make_pack(folder / "dist", [wheel], **{"series": [SERIES], **facts})  # type: ignore[arg-type]


def install(kernel: Kernel, name: str, version: str) -> None:
    """Put a distribution in the kernel, as its image would have it."""
    shutil.unpack_archive(make_wheel(kernel.root.parent / "image", name, version), kit.purelib(kernel.python), "zip")


def not_attached(kernel: Kernel, folder: Path) -> tuple[int, str]:
    return kernel.run(pack_of(folder).line)


def no_input_at_all(kernel: Kernel, folder: Path) -> tuple[int, str]:
    return kernel.run(pack_of(folder).line, KPACK_INPUT=str(kernel.root / "none"))


def previous_version(kernel: Kernel, folder: Path) -> tuple[int, str]:
    kernel.mount(pack_of(folder / "old", "0.9"))
    return kernel.run(pack_of(folder).line)


def cut_short(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    os.truncate(kernel.mount(made), 700)
    return kernel.run(made.line)


def end_is_missing(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    os.truncate(kernel.mount(made), made.size - 20_000)
    return kernel.run(made.line)


def a_byte_is_wrong(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    with kernel.mount(made).open("r+b") as stream:
        stream.seek(made.path.read_bytes().rindex(b"PK\x03\x04") + 60)
        stream.write(b"\0\0\0\0\0\0")
    return kernel.run(made.line)


def renamed_by_a_download(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    kernel.mount(made, name="tiny.kpack (1).bin")
    return kernel.run(made.line)


def far_too_deep(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    kernel.mount(made, "datasets/me/tiny-env/" + "/".join(f"d{number}" for number in range(40)))
    for number in range(60):  # neighbours have their share of the search
        (kernel.root / PLACE / f"other{number}").mkdir(exist_ok=True)
    return kernel.run(made.line)


def a_variable_that_leads_nowhere(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder)
    kernel.mount(made)
    return kernel.run(made.line, KPACK_PACK=str(kernel.root / "tiny.kpack.bin"))


def another_pack(kernel: Kernel, folder: Path) -> tuple[int, str]:
    kernel.mount(pack_of(folder / "other", name="other"), name="other.kpack.bin")
    return kernel.run(pack_of(folder).line)


def another_python(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder, series=[OTHER])
    kernel.mount(made)
    return kernel.run(made.line)


def imported_already(kernel: Kernel, folder: Path) -> tuple[int, str]:
    install(kernel, "thing", "0.1")
    made = pack_of(folder, replaces={"thing": "0.1"})
    kernel.mount(made)
    return kernel.run(f"import thing\n{made.line}")


def there_in_another_version(kernel: Kernel, folder: Path) -> tuple[int, str]:
    install(kernel, "thing", "0.1")
    made = pack_of(folder)
    kernel.mount(made)
    return kernel.run(made.line)


def image_lacks_what_it_leans_on(kernel: Kernel, folder: Path) -> tuple[int, str]:
    made = pack_of(folder, leans={"torch": ("2.10.0", [("thing", "torch>=2")])})
    kernel.mount(made)
    return kernel.run(made.line)


def image_has_moved(kernel: Kernel, folder: Path) -> tuple[int, str]:
    install(kernel, "torch", "1.9")
    made = pack_of(folder, leans={"torch": ("2.10.0", [("thing", "torch>=2")])})
    kernel.mount(made)
    return kernel.run(made.line)


WAYS: list[Callable[[Kernel, Path], tuple[int, str]]] = [
    not_attached,
    no_input_at_all,
    previous_version,
    cut_short,
    end_is_missing,
    a_byte_is_wrong,
    renamed_by_a_download,
    far_too_deep,
    a_variable_that_leads_nowhere,
    another_pack,
    another_python,
    imported_already,
    there_in_another_version,
    image_lacks_what_it_leans_on,
    image_has_moved,
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kit.make_venv(SERIES, tmp_path_factory.mktemp("kernel") / "venv")


def plain(text: str, kernel: Kernel) -> str:
    """Return what was said, with this machine's places and the ids of these packs named alike on any machine."""
    for path, name in (
        (kernel.root, "/kaggle/input"),
        (kit.purelib(kernel.python), "SITE-PACKAGES"),
        (kernel.python, "PYTHON"),
        (kernel.root.parent, "HOME"),
    ):
        text = text.replace(str(path), name)
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "ID", text)
    text = re.sub(rf"\b{re.escape(SERIES)}(\.\d+)?\b", "3.x", text).replace(OTHER, "3.y")
    text = re.sub(r"bytes \d+ to \d+", "bytes N to N", text)
    return re.sub(r"this is Python [^ ]+ \([^)]+\)", "this is Python 3.x (TAG, MACHINE, GLIBC)", text)


def test_every_way_to_go_wrong_in_the_kernel_says_what_where_and_what_next(python: Path, tmp_path: Path) -> None:
    found = []
    place = kit.purelib(python)
    for way in WAYS:
        folder = tmp_path / way.__name__
        kernel = Kernel(python, folder / "input")
        kernel.root.mkdir(parents=True)
        before = set(place.iterdir())
        code, said = way(kernel, folder)
        for path in set(place.iterdir()) - before:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        text = plain(said, kernel).rstrip()
        found.append(f"## {way.__name__.replace('_', ' ')}   [{code}]\n{text}\n")
        assert code, found[-1]
        assert "Traceback" not in text, text
    text = "\n".join(found)
    if GOLDEN.read_text(encoding="utf-8") != text:
        new = GOLDEN.with_suffix(".new")
        new.write_text(text, encoding="utf-8")
        pytest.fail(f"what is said has changed: compare {GOLDEN.name} with {new.name}")
