"""Wheels, packs, system packages and native code."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from kpack import bootstrap, pack
from kpack.native import elf, opening
from kpack.pack import line, tarfmt
from kpack.pack import manifest as written
from kpack.pack.content import Content, WheelFile
from kpack.pack.wheel import Lax, admit
from kpack.pack.writer import write as write_pack
from kpack.restore import deb, manifest
from kpack.restore.engine import Options, restore
from kpack.restore.manifest import PackedDistribution, PackTarget
from tests.fuzz import framing
from tests.fuzz.harness import HERE, WHEEL, Harness, fresh, put, unchanged
from tests.restore import kit
from tests.support.debs import Deb
from tests.support.elf import make_elf
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def _wheel(data: bytes, folder: Path) -> None:
    path = put(folder, WHEEL, data)
    for lax in (Lax(), Lax(record=True, archive=True)):
        admit(path, WHEEL, lax)


def _wheel_seeds(folder: Path) -> Iterator[bytes]:
    for stored in (True, False):
        yield make_wheel(
            folder, "small", stored=stored, entry_points="[console_scripts]\nx = small:main\n"
        ).read_bytes()


def _wheel_files(data: bytes, folder: Path) -> None:
    """A wheel whose checksums are right; what the gate lets in is packed and restored, and stays in its folder."""
    path = put(folder, WHEEL, framing.wheel(framing.split(data)))
    admitted = admit(path, WHEEL)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    item = PackedDistribution("small", str(admitted.version), f"wheels/{WHEEL}")
    target = PackTarget(label="here", base=None, python=HERE, machine=kit.MACHINE, glibc=(2, 17), distributions=(item,))
    content = Content(
        name="fuzz",
        lock_name="pylock.toml",
        lock_text="",
        requirements="",
        targets=(target,),
        wheels=(WheelFile(filename=WHEEL, sha256=digest, path=path),),
        blobs=(),
        checkpoints=(),
    )
    built = write_pack(content, folder / "fuzz.kpack.bin")
    outer = fresh(folder, "outer")
    with unchanged():
        try:
            head = pack.read(built.path)
            restore(
                str(built.path), head.manifest, id=head.id, options=Options(target=str(outer / "target"), kaggle=False)
            )
        finally:
            assert [entry.name for entry in outer.iterdir()] in ([], ["target"]), "it wrote beside its folder"
    assert pack.verify(head) == ()


def _wheel_files_seeds(folder: Path) -> Iterator[bytes]:
    info = "small-1.0.dist-info"
    about = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: small\nVersion: 1.0\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    ending = {f"{info}/RECORD": b""}
    yield framing.join({"small.py": b"S = 1\n", **about, **ending})
    yield framing.join(
        {
            "small/__init__.py": b"S = 1\n",
            "small.pth": b"import os\n",
            "small-1.0.data/scripts/tool": b"#!python\n",
            "small-1.0.data/data/share/x": b"",
            "small-1.0.data/headers/x.h": b"",
            **about,
            f"{info}/entry_points.txt": b"[console_scripts]\nx = small:main\n[gui_scripts]\ny=small:main [z]\n",
            **ending,
        }
    )


def _pack(data: bytes, folder: Path) -> None:
    path = put(folder, "flips.kpack.bin", data)
    found = pack.read(path)
    pack.verify(found)


def _pack_seeds(folder: Path) -> Iterator[bytes]:
    wheel = make_wheel(folder / "wheels", "small")
    yield kit.make_pack(folder, [wheel], series=[HERE], checkpoints={"a.ckpt": b"a"}).path.read_bytes()


def _manifest(data: bytes, folder: Path) -> None:
    """A manifest that the bootstrap of its pack pins: all that it says is then looked at, and a restore planned."""
    model = manifest.loads(data)
    assert manifest.loads(written.dumps(model)) == model
    code = line.generate(hashlib.sha256(data).hexdigest(), len(data))
    whole = b""
    for name, content in ((tarfmt.BOOTSTRAP, code), (tarfmt.MANIFEST, data)):
        whole += tarfmt.header(name, len(content)) + content + bytes(tarfmt.padding(len(content)))
    seed = folder / "rest"
    if not seed.exists():
        made = next(iter(_pack_seeds(fresh(folder, "seed"))))
        seed.write_bytes(made[_origin(made) :])
    path = put(folder, "tiny.kpack.bin", whole + seed.read_bytes())
    found = pack.read(path)
    pack.verify(found)
    with unchanged():
        bootstrap.parts(str(path), hashlib.sha256(data).hexdigest(), len(data))
        options = Options(target=str(folder / "target"), kaggle=False, dry_run=True)
        restore(str(path), model, id=found.id, options=options)


def _origin(made: bytes) -> int:
    """Return where the members of a pack begin that its manifest names."""
    first = tarfmt.first_size(made[: tarfmt.BLOCK]) or 0
    code = made[tarfmt.BLOCK : tarfmt.BLOCK + first]
    size = line.parse(code, "").manifest_size
    return 2 * tarfmt.BLOCK + first + tarfmt.padding(first) + size + tarfmt.padding(size)


def _manifest_seeds(folder: Path) -> Iterator[bytes]:
    wheels = [make_wheel(folder / "wheels", "small")]
    plain = kit.make_pack(folder, wheels, series=[HERE], checkpoints={"a.ckpt": b"a"}).path
    leaning = kit.make_pack(
        folder,
        wheels,
        name="leans",
        series=["3.8", HERE],
        leans={"torch": ("2.10", [("who", "torch>=2")])},
        replaces={"small": "0.9"},
        env={"A": "b"},
    ).path
    for path in (plain, leaning):
        made = path.read_bytes()
        at = made.index(b'{"', tarfmt.BLOCK + (tarfmt.first_size(made[: tarfmt.BLOCK]) or 0))
        yield made[at : made.index(b"\0", at)]


def _deb(data: bytes, folder: Path) -> None:
    path = str(put(folder, "x.deb", data))
    deb.control(path)
    with deb.entries(path) as entries:
        for _, read in entries:
            for _piece in read():
                pass


def _deb_seeds(_: Path) -> Iterator[bytes]:
    made = Deb(name="x", files={"usr/lib/libx.so.1": b"x", "usr/bin/x*": b"y"}, links={"usr/lib/libx.so": "libx.so.1"})
    yield made.build()
    yield made.build(compress=lambda data: data, suffix="")


def _elf(data: bytes, _: Path) -> None:
    elf.read(data, "x.so")
    elf.read(data, "x", executable=True)
    opening.read(data, "x.so")
    elf.read_sparse(lambda size, offset: data[offset : offset + size], len(data), "x.so")


def _elf_seeds(_: Path) -> Iterator[bytes]:
    yield make_elf(needed=["libc.so.6"], soname="libx.so", runpath="$ORIGIN", versions={"libc.so.6": ["GLIBC_2.17"]})
    yield make_elf(symbols=["cudaMalloc"], order=">", bits=32)


HARNESSES = (
    Harness("wheel", _wheel, _wheel_seeds),
    Harness("wheel-files", _wheel_files, _wheel_files_seeds),
    Harness("pack", _pack, _pack_seeds),
    Harness("manifest", _manifest, _manifest_seeds),
    Harness("deb", _deb, _deb_seeds),
    Harness("elf", _elf, _elf_seeds),
)
