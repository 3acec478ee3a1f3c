"""One set of rules: what the gate admits the engine plans and restores, and the tree is the one that pip makes.

``KPACK_ODD_WHEELS`` is how many wheels are drawn (120 by default).
"""

from __future__ import annotations

import csv
import os
import shutil
import stat
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from packaging.version import Version
from pip._internal.models.scheme import Scheme as PipScheme
from pip._internal.operations.install.wheel import install_wheel

from kpack import pack as packs
from kpack.errors import IntegrityError
from kpack.pack.content import Content, WheelFile
from kpack.pack.engine import engine as engine_archive
from kpack.pack.wheel import Admitted, Lax, admit
from kpack.restore import engine, record
from kpack.restore.engine import Options
from kpack.restore.errors import RestoreError
from kpack.restore.inflate import Inflater
from kpack.restore.manifest import PackedDistribution, PackTarget
from kpack.restore.pack import Pack
from kpack.restore.scheme import Scheme
from kpack.restore.wheels import read_tail, read_wheel
from tests.restore.kit import MACHINE, sha256
from tests.support.odd_wheels import NAME, OddWheel, Recipe, recipes

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("KPACK_ODD_WHEELS", "120"))
HERE = "{}.{}".format(*sys.version_info[:2])


class Places(NamedTuple):
    """Where the parts of one installation go."""

    purelib: Path
    platlib: Path
    scripts: Path
    data: Path
    include: Path


def apart(root: Path) -> Places:
    return Places(root / "pure", root / "plat", root / "scripts", root / "data", root / "include")


def together(root: Path) -> Places:
    return Places(root, root, root / "bin", root, root / "include" / "python")


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Make the engine's archive once, and keep what a restore does to this process apart."""
    with pytest.MonkeyPatch.context() as patch:
        made = engine_archive()
        patch.setattr(sys.modules["kpack.pack.writer"], "engine", lambda: made)
        patch.setattr(engine, "finish", lambda *_: None)
        yield


def judged(wheel: OddWheel) -> Admitted | IntegrityError:
    try:
        return admit(wheel.path, lax=Lax(wheel.lax_record, wheel.lax_archive))
    except IntegrityError as error:
        return error


def packed(wheel: OddWheel, verdict: Admitted | IntegrityError) -> packs.ReadPack:
    """Return a pack of the wheel, whatever the gate said."""
    if isinstance(verdict, IntegrityError):
        with zipfile.ZipFile(wheel.path) as archive:
            start = archive.start_dir
        size = wheel.path.stat().st_size
        verdict = Admitted(name=NAME, version=Version("1.0"), size=size, cuts=(0, start), unpacked=0, files=0)
    path = f"wheels/{wheel.path.name}"
    item = PackedDistribution(NAME, "1.0", path, None, lax_record=wheel.lax_record, lax_archive=wheel.lax_archive)
    target = PackTarget("here", None, HERE, MACHINE, (2, 17), (item,), (), (), None)
    content = Content(
        name="tiny",
        lock_name="pylock.tiny.toml",
        lock_text="",
        requirements="",
        targets=(target,),
        wheels=(WheelFile(filename=wheel.path.name, sha256=sha256(wheel.path.read_bytes()), path=wheel.path),),
    )
    made = packs.write(content, wheel.path.parent / "tiny.kpack.bin", admission=lambda _: verdict, workers=1)
    return packs.read(made.path)


def planned(pack: packs.ReadPack, root: Path) -> RestoreError | None:
    item = pack.manifest.targets[0].distributions[0]
    opened = Pack(str(pack.path), pack.manifest)
    try:
        read_wheel(opened, item, read_tail(opened, item), scheme(apart(root)), Inflater())
    except RestoreError as error:
        return error
    finally:
        opened.close()
    return None


def scheme(places: Places) -> Scheme:
    purelib, platlib, scripts, data, include = map(str, places)
    return Scheme(purelib, platlib, scripts, data, include, target=purelib)


def restored(pack: packs.ReadPack, places: Places) -> RestoreError | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "for_target", lambda _: scheme(places))
        patch.setattr(sys, "path", [str(places.purelib), str(places.platlib), *sys.path])
        places.purelib.mkdir(parents=True)
        try:
            engine.restore(str(pack.path), pack.manifest, id=pack.id, options=Options(target="x", kaggle=False))
        except RestoreError as error:
            return error
        finally:
            shutil.rmtree(places.purelib / ".kpack", ignore_errors=True)
    return None


def by_pip(wheel: OddWheel, places: Places) -> Exception | None:
    pure, plat, scripts, data, include = map(str, places)
    folders = PipScheme(purelib=pure, platlib=plat, headers=f"{include}/{NAME}", scripts=scripts, data=data)
    try:
        install_wheel(NAME, str(wheel.path), folders, NAME, pycompile=False, warn_script_location=False)
    except Exception as error:  # noqa: BLE001 - whatever pip does with it
        return error
    return None


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    """Return mode and content of every file, without what each installer writes in its own words."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file() and path.name not in ("INSTALLER", "RECORD"):
            found[path.relative_to(root).as_posix()] = (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
    return found


def compared(name: str, mine: tuple[int, bytes], pips: tuple[int, bytes]) -> bool:
    mode = pips[0]
    if name.startswith(("scripts/", "bin/")) and mine[0] & 0o111:
        # The specification has every script made executable, as uv does; pip looks at its first line and its mode.
        mode = mine[0]
    if mine == (mode, pips[1]):
        return True
    # A command: the same call in other words.
    calls = [line for line in mine[1].splitlines() if line.startswith((b"from ", b"    sys.exit("))]
    return mine[0] == mode and bool(calls) and all(line in pips[1] for line in calls)


def check_record(places: Places) -> None:
    """Hold the RECORD that a restore wrote against what is there, in both directions."""
    roots = {place for place in places if place.is_dir()}
    files = {path.resolve() for root in roots for path in root.rglob("*") if path.is_file()}
    (info,) = {path.parent for path in files if path.name == "INSTALLER" and path.parent.name.endswith(".dist-info")}
    rows = list(csv.reader((info / "RECORD").read_text(encoding="utf-8").splitlines()))
    assert len({row[0] for row in rows}) == len(rows)
    for path, digest, size in rows:
        there = (info.parent / path).resolve()
        assert there in files, path
        if digest:
            assert record.digest_of(str(there)) == (digest, int(size)), path
        else:
            assert there == info / "RECORD"
    assert {(info.parent / row[0]).resolve() for row in rows} == files


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(recipe=recipes())
def test_what_the_gate_admits_is_restored_as_by_pip_and_what_it_refuses_is_not_planned(recipe: Recipe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        wheel = recipe.make(root)
        verdict = judged(wheel)
        pack = packed(wheel, verdict)
        refused = planned(pack, root / "plan")
        if isinstance(verdict, IntegrityError):
            assert refused is not None or wheel.bytes_differ, verdict
            return
        assert refused is None, refused
        for layout in (apart, together):
            mine, pips = layout(root / layout.__name__ / "mine"), layout(root / layout.__name__ / "pip")
            error, said = restored(pack, mine), by_pip(wheel, pips)
            if error is not None:
                # Two doors of one wheel lead to one place in this layout, a file in the way of a folder.
                assert layout is together
                assert said is not None
                continue
            assert said is None, said
            check_record(mine)
            mine_tree, pips_tree = tree(root / layout.__name__ / "mine"), tree(root / layout.__name__ / "pip")
            assert mine_tree.keys() == pips_tree.keys()
            for name in mine_tree:
                assert compared(name, mine_tree[name], pips_tree[name]), (name, mine_tree[name], pips_tree[name])
