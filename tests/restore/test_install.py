"""A restored wheel is what the wheel specification says, on every interpreter."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pip
import pytest
from packaging.version import Version

from tests.restore import kit
from tests.support.interpreters import found
from tests.support.wheels import make_wheel


def check_record(info: Path) -> set[str]:
    """Hold RECORD against the files it names; return their paths."""
    with (info / "RECORD").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert len({row[0] for row in rows}) == len(rows)
    for path, digest, size in rows:
        data = (info.parent / path).read_bytes()
        if path == f"{info.name}/RECORD" or path.endswith(".pyc"):
            assert (digest, size) == ("", "")
            continue
        expected = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        assert (digest, size) == (f"sha256={expected}", str(len(data))), path
    return {row[0] for row in rows}


def test_installs_into_the_default_scheme_of_every_python(python: Path, tmp_path: Path) -> None:
    pack = kit.make_pack(
        tmp_path / "pack", kit.rich_wheels(tmp_path), checkpoints={"models/a.ckpt": b"weights" * 3000000, "b": b""}
    )
    after = (
        "import rich_thing, rich_single, rich_pure, rich_plat, rich_space.part.one, rich_space.part_two.two, os\n"
        "from importlib.metadata import version\n"
        "print(version('rich-thing'), version('rich_space_two'), os.environ['RICH_PTH'])\n"
    )
    cwd = tmp_path / "cwd"
    cwd.mkdir()
    done = kit.good(python, pack.path, after=after, cwd=cwd)
    assert done.report["changed"]
    assert done.report["id"] == pack.id
    assert [item["name"] for item in done.report["installed"]] == ["rich-space-two", "rich-thing"]
    assert done.printed == ["1.0 2.0 ran"]
    assert (cwd / "models/a.ckpt").read_bytes() == b"weights" * 3000000
    assert (cwd / "b").read_bytes() == b""
    lib = kit.purelib(python)
    root = python.parents[1]
    record = check_record(lib / "Rich_Thing-1.0.dist-info")
    check_record(lib / "rich_space_two-2.0.dist-info")
    for name in ("rich-script", "rich-command", "rich-gui"):
        ran = subprocess.run([root / "bin" / name], capture_output=True, text=True, check=True)
        assert ran.stdout == "called\n"
        assert f"../../../bin/{name}" in record
    assert subprocess.run([root / "bin/rich-shell"], capture_output=True, check=True).stdout == b"shell\n"
    assert subprocess.run([lib / "rich_thing/tool"], capture_output=True, check=True).stdout == b"tool\n"
    assert (root / "share/rich/data.txt").is_file()
    assert list((root / "include/site").rglob("rich.h"))
    assert (lib / "rich_thing/größe.txt").read_text(encoding="utf-8") == "ü"
    assert (lib / "Rich_Thing-1.0.dist-info/INSTALLER").read_text() == "kpack\n"
    assert sorted(path.name for path in (lib / ".kpack").iterdir()) == ["lock", "mark-tiny.json"]


def test_second_run_changes_nothing_and_says_so(python: Path, tmp_path: Path) -> None:
    pack = kit.make_pack(
        tmp_path / "pack", kit.rich_wheels(tmp_path), checkpoints={"a": b"x"}, env={"RICH_VARIABLE": "set"}
    )
    kit.good(python, pack.path)
    before = kit.listing(python.parents[1])
    after = "import os; print(os.environ['RICH_VARIABLE'], os.environ['RICH_PTH'])"
    again = kit.good(python, pack.path, after=after)
    assert not again.report["changed"]
    assert again.printed == ["set ran"]
    assert again.report["installed"] == kit.good(python, pack.path).report["installed"]
    assert kit.listing(python.parents[1]) == before


def test_the_folder_that_the_pack_became_is_as_good(python: Path, tmp_path: Path) -> None:
    wheels = [*kit.rich_wheels(tmp_path), make_wheel(tmp_path, "local", "1.0+cu128")]
    pack = kit.make_pack(tmp_path / "pack", wheels, checkpoints={"a": b"x" * 20000000})
    folder = tmp_path / "input" / "tiny.kpack"
    with tarfile.open(pack.path) as archive:
        for member in archive.getmembers():
            target = folder / member.name.replace("+", "")  # which Kaggle strips
            target.parent.mkdir(parents=True, exist_ok=True)
            stream = archive.extractfile(member)
            assert stream is not None
            target.write_bytes(stream.read())
    done = kit.good(python, folder, after="import rich_thing, local; print(local.VERSION)")
    assert done.printed == ["1.0+cu128"]


def test_target_folder_is_seen_by_every_kind_of_child(python: Path, tmp_path: Path) -> None:
    wheels = [
        *kit.rich_wheels(tmp_path),
        make_wheel(tmp_path, "hooked", files={"hooked.pth": "hooked_folder\n", "hooked_folder/hooked_module.py": ""}),
    ]
    pack = kit.make_pack(tmp_path / "pack", wheels)
    script = tmp_path / "main.py"
    script.write_text(
        "import multiprocessing, subprocess, sys, os\n"
        "def child(): \n    import rich_thing, hooked_module; print(rich_thing.VALUE, flush=True)\n"
        "if __name__ == '__main__':\n"
        "    import json\n"
        f"    sys.argv = ['x', {str(pack.path)!r}, {json.dumps({'target': str(tmp_path / 'env'), 'json': True})!r},"
        " 'pass']\n"
        f"    exec({kit.RUN!r})\n"
        "    import rich_thing, hooked_module\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    process = context.Process(target=child); process.start(); process.join()\n"
        "    subprocess.run([sys.executable, '-c', 'import rich_thing, hooked_module; print(2)'], check=True)\n"
        "    subprocess.run('rich-command', shell=True, check=True)\n"
        "    subprocess.run(['rich-script'], check=True)\n"
    )
    ran = subprocess.run([python, script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[1:] == ["1", "2", "called", "called"]
    check_record(tmp_path / "env" / "Rich_Thing-1.0.dist-info")
    assert [path.parent.name for path in (tmp_path / "env/include").rglob("rich.h")] == ["rich-thing"]
    assert not [path for path in kit.purelib(python).iterdir() if "rich" in path.name.lower()]


def test_compiles_in_parallel_on_demand(python: Path, tmp_path: Path) -> None:
    wheel = make_wheel(
        tmp_path,
        "many",
        files={**{f"many/m{n}.py": f"X = {n}\n" for n in range(60)}, "many/__init__.py": "", "many/bad.py": "((("},
    )
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    kit.good(python, pack.path, compile=True, after="import many.m1; print(many.m1.__cached__)")
    lib = kit.purelib(python)
    assert len(list((lib / "many/__pycache__").iterdir())) == 61
    record = check_record(lib / "many-1.0.dist-info")
    assert len([path for path in record if path.endswith(".pyc")]) == 61
    code = "import many.m5, sys; print(many.m5.__spec__.cached, many.m5.X)"
    before = kit.listing(lib)
    subprocess.run([python, "-c", code], check=True, capture_output=True)
    assert kit.listing(lib) == before, "the bytecode was good"


@pytest.mark.skipif(
    Version(pip.__version__) < Version("26"),
    reason="older ones write scripts, and name folders of headers, in another way",
)
def test_equals_what_pip_installs(tmp_path: Path) -> None:
    wheels = [
        *kit.rich_wheels(tmp_path / "wheels"),
        make_wheel(
            tmp_path / "wheels",
            "shared",
            files={"rich_space/part/one.py": "ONE = 1\n", "shared/a.py": "", "shared/sub/b.py": "x"},
        ),
    ]
    compare_with_pip(wheels, tmp_path)


def compare_with_pip(wheels: list[Path], tmp_path: Path) -> int:
    """Restore wheels and let pip install them, each to a folder of its own; return the number of files compared."""
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    pack = kit.make_pack(tmp_path / "pack", wheels, series=[series])
    kit.good(sys.executable, pack.path, target=str(tmp_path / "ours"))
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--target",
            str(tmp_path / "theirs"),
            *map(str, wheels),
        ],
        check=True,
    )
    ours = kit.listing(tmp_path / "ours", without=[".kpack"])
    theirs = kit.listing(tmp_path / "theirs")
    for name in [name for name in theirs if own(name) in ("REQUESTED", "direct_url.json")]:
        del theirs[name]
    assert sorted(ours) == sorted(theirs)
    different = {name for name in ours if ours[name] != theirs[name]}
    for name in sorted(different):
        mine, other = tmp_path / "ours" / name, tmp_path / "theirs" / name
        if own(name) == "INSTALLER":
            continue
        if own(name) == "RECORD":
            check_record(mine.parent)
            continue
        assert name.startswith("bin/"), f"{name}: {ours[name]} and {theirs[name]}"
        assert same_script(mine.read_text(), other.read_text()), name
        assert ours[name][0] == theirs[name][0]
    return len(ours)


def own(name: str) -> str:
    """Return the name of a file that stands directly in an installed metadata folder, else nothing."""
    folder, _, file = name.partition("/")
    return file if folder.endswith(".dist-info") else ""


def same_script(ours: str, theirs: str) -> bool:
    """Compare but for the interpreter line, and the line that takes `.exe` off on Windows."""

    def body(text: str) -> list[str]:
        return [line for line in text.splitlines()[1:] if "sys.argv[0] =" not in line and line != "import re"]

    return body(ours) == body(theirs)


def test_pip_lists_checks_and_uninstalls_what_was_restored(tmp_path: Path) -> None:
    series = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = kit.make_venv(series, tmp_path / "venv")
    before = kit.listing(python.parents[1], without=["lib64"])
    pack = kit.make_pack(tmp_path / "pack", kit.rich_wheels(tmp_path / "wheels"))
    kit.good(python, pack.path)
    pip = [sys.executable, "-m", "pip", "--python", str(python)]
    listed = json.loads(subprocess.run([*pip, "list", "--format=json"], capture_output=True, check=True).stdout)
    assert {(item["name"], item["version"]) for item in listed} >= {("Rich.Thing", "1.0"), ("rich-space-two", "2.0")}
    subprocess.run([*pip, "check"], check=True, capture_output=True)
    subprocess.run([*pip, "uninstall", "--yes", "Rich.Thing", "rich-space-two"], check=True, capture_output=True)
    left = kit.listing(python.parents[1], without=["lib64"])
    assert {name for name in left.keys() - before.keys() if not name.endswith("/")} == {
        f"lib/python{series}/site-packages/.kpack/{name}" for name in ("lock", "mark-tiny.json")
    }


def test_uv_lists_what_was_restored(kernel: Path, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    if uv is None:
        pytest.skip("uv is not installed")
    kit.good(kernel, kit.make_pack(tmp_path / "pack", kit.rich_wheels(tmp_path / "wheels")).path)
    listed = subprocess.run(
        [uv, "pip", "list", "--offline", "--python", str(kernel), "--format=json"], capture_output=True, check=True
    )
    assert {(item["name"], item["version"]) for item in json.loads(listed.stdout)} == {
        ("rich-thing", "1.0"),
        ("rich-space-two", "2.0"),
    }


def test_accelerated_restore_gives_the_same_tree(tmp_path: Path) -> None:
    stand_in = make_wheel(
        tmp_path / "wheels",
        "isal",
        files={
            "isal/__init__.py": "",
            "isal/isal_zlib.py": (
                "import os, zlib\nfrom zlib import decompress, decompressobj, error\n"
                "open(os.environ['ISAL_USED'], 'w').close()\n"
            ),
        },
    )
    broken = make_wheel(
        tmp_path / "broken", "isal", files={"isal/__init__.py": "", "isal/isal_zlib.py": "raise ImportError('no')\n"}
    )
    trees = {}
    for name, wheel in (("fast", stand_in), ("broken", broken), ("plain", None)):
        pack = kit.make_pack(tmp_path / name, kit.rich_wheels(tmp_path / "wheels"), accelerator=wheel)
        after = "import sys; print('isal' in sys.modules, [p for p in sys.path if 'kpack' in p.rpartition('/')[2]])"
        flag = tmp_path / f"used-{name}"
        target = tmp_path / "trees" / name
        done = kit.good(sys.executable, pack.path, target=str(target), after=after, env={"ISAL_USED": str(flag)})
        assert done.printed == ["False []"]
        assert flag.exists() == (name == "fast")
        trees[name] = kit.listing(target, without=[".kpack"])
    assert trees["fast"] == trees["plain"] == trees["broken"]
    assert not [name for name in trees["fast"] if "isal" in name]


@pytest.mark.root
def test_lands_in_dist_packages_of_a_debian_python(tmp_path: Path) -> None:
    python = shutil.which("python3", path="/usr/bin")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    where = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout if python else ""
    if not where.strip().endswith("dist-packages") or python is None:
        pytest.skip("there is no interpreter that Debian patched")
    if os.geteuid() or not shutil.which("unshare"):
        pytest.skip("it needs root for a mount of its own over the real folder")
    pack = kit.make_pack(tmp_path / "pack", kit.rich_wheels(tmp_path / "wheels"))
    inside = 'mkdir -p /usr/local && mount -t tmpfs none /usr/local && mkdir -p "$(dirname "$1")" && shift && exec "$@"'
    wrap = ["unshare", "-m", "sh", "-ec", inside, "sh", where.strip()]
    after = "import rich_thing, subprocess; print(rich_thing.__file__); subprocess.run(['rich-command'], check=True)"
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = kit.good(python, pack.path, wrap=wrap, after="import os; " + after, env=env)
    assert sorted(done.printed) == sorted([f"{where.strip()}/rich_thing/__init__.py", "called"])
    managed = kit.restore(python, pack.path, wrap=wrap, obey_managed=True)
    marker = list(Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED"))
    if marker:
        assert (managed.code, managed.error["code"]) == (6, 6)


def test_every_series_was_found() -> None:
    assert found(), "no interpreter to restore into"


class Unseekable(io.RawIOBase):
    """A stream that makes zipfile write data descriptors."""

    def __init__(self, stream: io.BufferedWriter) -> None:
        self.stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self.stream.write(data)


@pytest.mark.parametrize("kind", ["descriptors", "zip64", "folders", "folders like files", "metadata first"])
def test_installs_what_old_and_odd_tools_have_zipped(tmp_path: Path, kind: str) -> None:
    path = make_wheel(tmp_path, "thing", files={"thing/__init__.py": "X = 1\n", "thing/b.bin": bytes(300_000)})
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    if kind == "metadata first":
        entries.sort(key=lambda entry: not entry[0].startswith("thing-1.0.dist-info/"))
    with path.open("wb") as stream:
        out: Any = Unseekable(stream) if kind == "descriptors" else stream
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            if kind == "folders":
                archive.mkdir("thing")
                archive.mkdir("empty")
            if kind == "folders like files":
                for folder, mode in (("thing/", stat.S_IFREG | 0o644), ("empty/", stat.S_IFREG)):
                    info = zipfile.ZipInfo(folder)
                    info.external_attr = mode << 16
                    archive.writestr(info, b"")
            for name, data in entries:
                with archive.open(name, "w", force_zip64=kind == "zip64") as entry:
                    entry.write(data)
    pack = kit.make_pack(tmp_path / "pack", [path])
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"), after="import thing; print(thing.X)")
    assert done.printed == ["1"]
    assert (tmp_path / "target/thing/b.bin").read_bytes() == bytes(300_000)
    assert not (tmp_path / "target/empty").exists(), "pip makes no empty folders"
    check_record(tmp_path / "target/thing-1.0.dist-info")


def test_a_pth_file_that_ends_the_interpreter_is_named(kernel: Path, tmp_path: Path) -> None:
    line = "import os, sys; os.environ.get('BOOM') and sys.exit(9)\n"
    wheel = make_wheel(tmp_path, "boom", files={"boom.py": "VERSION = '1.0'\n", "boom.pth": line})
    pack = kit.make_pack(tmp_path / "pack", [wheel])
    done = kit.restore(kernel, pack.path, env={"BOOM": "1"})
    assert (done.code, done.error["code"]) == (7, 7)
    assert "boom.pth" in done.error["where"]
    assert "which boom brings" in done.error["what"]
    assert "everything is installed" in done.error["what"]
    assert kit.good(kernel, pack.path, after="import boom; print(boom.VERSION)").report["installed"]
