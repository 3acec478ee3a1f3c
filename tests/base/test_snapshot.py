from __future__ import annotations

import functools
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.base import Removal, load, loads, shipped
from kpack.base import reader as bounds
from kpack.base.shipped import SNAPSHOTS, by_digest, names, nearest
from kpack.errors import KpackError, MachineError, UsageError
from kpack.target import marker_environment

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet
    from packaging.utils import NormalizedName

    from kpack.base import BaseImage

HERE = Path()
IMAGES = Path(__file__).parents[2] / "images"


def snapshot(**changes: Any) -> dict[str, Any]:
    return {
        "kpack-base": 1,
        "name": "tiny",
        "environment": marker_environment("3.12.13", "x86_64"),
        "glibc": "2.35",
        "preloaded": {"numpy": ["numpy"], "google": []},
        "default-from": "probe",
        "distributions": [
            {"name": "numpy", "version": "2.0.2"},
            {"name": "Torch", "version": "2.10.0+cu128", "requires-dist": ["numpy"], "provides-extra": []},
        ],
        **changes,
    }


def parsed(**changes: Any) -> Any:
    return loads(json.dumps(snapshot(**changes)), Path("kaggle.json"))


@pytest.mark.parametrize("name", names())
def test_every_shipped_snapshot_is_whole(name: str) -> None:
    base = load(name, HERE)
    data = json.loads(gzip.decompress((SNAPSHOTS / f"{name}.json.gz").read_bytes()))
    assert base.name == name == data["name"]
    assert base.shipped
    assert len(base.certainty) > 40
    assert base.glibc == (2, 35)
    assert base.glibc_inferred == ((2, 41) if "tpu" in name else (2, 39) if "py313" in name else None)
    assert base.accelerator == next((kind for kind in ("gpu", "cpu", "tpu") if kind in name), "any")
    assert base.environment["platform_machine"] == "x86_64"
    assert base.preloaded_by[canonicalize_name("numpy")] == "numpy"
    assert "google" in base.preloaded
    assert set(base.preloaded_by) <= base.distributions.keys()
    assert not set(base.unknown) & base.distributions.keys()
    assert len(base.distributions) > 250
    listed = [row["name"] for row in data["distributions"]]
    assert listed == sorted(listed)
    for item in base.distributions.values():
        assert item.provenance in base.provenance
        assert item.certainty in ("", "seen", "medium", "low")
        assert canonicalize_name(item.name) == item.name
    # What no index has in a form that can be read: vendors' packages, the system's own, huge source archives.
    assert sum(item.requires_dist is None for item in base.distributions.values()) <= 18
    assert sum(item.top_level is None for item in base.distributions.values()) <= 40


parsed_once = functools.cache(Requirement)  # most lines stand in several images


@functools.cache
def judged(marker: str, environment: tuple[tuple[str, str], ...]) -> bool:
    return Marker(marker).evaluate(dict(environment))


def holds(marker: Marker | None, base: BaseImage, extra: str) -> bool:
    return marker is None or judged(str(marker), (*base.environment.items(), ("extra", extra)))


def broken(base: BaseImage) -> set[tuple[str, str, SpecifierSet, str]]:
    """Return (who, with its extra; what it needs, in which versions; what is there) of all that an image breaks."""
    found, seen = set(), set()
    waiting: list[tuple[NormalizedName, str]] = [(name, "") for name in base.distributions]
    while waiting:
        name, extra = waiting.pop()
        if name not in base.distributions or (name, extra) in seen:
            continue
        seen.add((name, extra))
        for wanted in map(parsed_once, base.distributions[name].requires_dist or ()):
            if extra and wanted.marker is None:
                continue
            if holds(wanted.marker, base, "") == bool(extra) or not holds(wanted.marker, base, extra):
                continue
            other = canonicalize_name(wanted.name)
            there = base.distributions.get(other)
            if there is None or not wanted.specifier.contains(there.version, prereleases=True):
                who = f"{name}[{extra}]" if extra else str(name)
                found.add((who, str(other), wanted.specifier, str(there.version) if there else "absent"))
            waiting += [(other, canonicalize_name(more)) for more in wanted.extras]
    return found


@pytest.mark.parametrize("name", names())
def test_an_image_breaks_itself_only_where_it_is_known_to(name: str) -> None:
    rows = [line.split("\t") for line in (IMAGES / "violations.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    assert all(why for *_, why in rows)
    expected = {
        (package, str(canonicalize_name(Requirement(needs).name)), Requirement(needs).specifier, there)
        for image, package, needs, there, _ in rows
        if image == name
    }
    assert broken(load(name, HERE)) == expected


def test_an_image_is_known_by_the_digest_that_its_kernels_name() -> None:
    digests = [digest for info in shipped() for digest in info.images]
    assert len(digests) == len(set(digests)) == 14
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests)


FINGERPRINTS = {
    "kaggle-cpu-py312-2026-02": "68718228938e5d8644bca60edf796bf80515307403be91c6162dd9d2356d086b",
    "kaggle-cpu-py312-2026-08": "b7509c58cc9670d7171799a2b2f777dcb3d5faf7026a826145ec0295a111b016",
    "kaggle-cpu-py313-2026-10-estimate": "80bb50327bf002fe815a9e9d575b22338517980057e2741c8c750a48c4f845ac",
    "kaggle-gpu-py312-2026-02": "891baca8ae4e9755a6024aa39e36ded33247356752361c8022946ea06346f4d5",
    "kaggle-gpu-py312-2026-08": "b6632d29ae4a543544a8f2998a70092691af0e296b3933d1c8193a87351b6588",
    "kaggle-gpu-py313-2026-10-estimate": "91e9a267a5b1010eb2cba00cd5d6c73244b5ae029a5701aee20bbb1e7f7d86cd",
    "kaggle-py310-2025-01": "d50c7fdafce30b266d6965e7031fff0144d6125367985e0c6a4bfdb40700006a",
    "kaggle-py311-2025-09": "f4db8121e307b2b51c9f42d1e9bfb5854ffe7be0f91c85366dc06388d51d4a9b",
    "kaggle-tpu-py312-2026-08-estimate": "8691e3e2e1355e959a234d6d0e1b52679ada76254458889ec497153901bbb9cf",
}


def test_the_fingerprints_of_shipped_snapshots_change_only_with_their_lists() -> None:
    # Locks name them: another value makes every lock of that base stale.
    assert {name: load(name, HERE).fingerprint for name in FINGERPRINTS} == FINGERPRINTS
    assert set(FINGERPRINTS) == {info.name for info in shipped()}


def test_a_shipped_snapshot_says_that_it_does_not_know_files() -> None:
    base = load("kaggle-gpu-py312-2026-08", HERE)
    assert base.scheme is None
    for item in base.distributions.values():
        assert (item.library, item.outside, item.removal) == (None, None, None)
    assert base.distributions[canonicalize_name("scikit-learn")].top_level == ("scikit_learn.libs", "sklearn")


SITE = "/usr/local/lib/python3.12/dist-packages"
SCHEME = {
    "purelib": SITE,
    "platlib": SITE,
    "scripts": "/usr/local/bin",
    "data": "/usr/local",
    "include": "/usr/include",
}


def test_what_a_probe_says_of_files_is_read_and_is_not_part_of_the_fingerprint() -> None:
    rows = snapshot()["distributions"]
    more = {
        "top-level": ["torch", "functorch"],
        "outside": ["/usr/local/bin/torchrun", "ns/torch/"],
        "removal": "record",
    }
    other = {"library": "/usr/lib/python3/dist-packages", "top-level": [], "removal": "hidden"}
    base = parsed(scheme=SCHEME, distributions=[{**rows[0], **other}, {**rows[1], **more}])
    assert base.scheme == SCHEME
    torch, numpy = (base.distributions[canonicalize_name(name)] for name in ("torch", "numpy"))
    assert (torch.library, torch.removal) == (SITE, Removal.RECORD)
    assert (torch.top_level, torch.outside) == (("torch", "functorch"), ("/usr/local/bin/torchrun", "ns/torch/"))
    assert (numpy.library, numpy.removal) == ("/usr/lib/python3/dist-packages", Removal.HIDDEN)
    assert (numpy.top_level, numpy.outside) == ((), None)
    assert base.fingerprint == parsed().fingerprint


def row(**facts: Any) -> dict[str, Any]:
    return {"distributions": [{"name": "x", "version": "1", **facts}]}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        (row(**{"top-level": "x"}), "distributions[0].top-level"),
        (row(**{"top-level": [1]}), "distributions[0].top-level"),
        (row(outside=["../x"]), "distributions[0].outside"),
        (row(outside=["a//b"]), "distributions[0].outside"),
        (row(outside=["/"]), "distributions[0].outside"),
        (row(outside=["a\0b"]), "distributions[0].outside"),
        (row(removal="perhaps"), "distributions[0].removal"),
        (row(removal=["record"]), "distributions[0].removal"),
        (row(library="relative"), "distributions[0].library"),
        (row(version="1" * 5000), "distributions[0].version"),
        (row(**{"requires-dist": ["x" * (bounds.LONGEST + 1)]}), "distributions[0].requires-dist"),
        (row(**{"requires-dist": ["x"] * (bounds.MOST + 1)}), "distributions[0].requires-dist"),
        ({"distributions": [{"name": "x\x1b[2J", "version": "1"}]}, "distributions[0].name"),
        ({"distributions": [{"name": "x" * 300, "version": "1"}]}, "distributions[0].name"),
        ({"distributions": [{"name": 10**9, "version": "1"}]}, "distributions[0].name"),
        ({"distributions": [1] * (bounds.MOST + 1)}, "distributions"),
        ({"scheme": "/usr"}, "scheme"),
        ({"scheme": {**SCHEME, "purelib": "../x"}}, "scheme.purelib"),
        ({"scheme": {**SCHEME, "stdlib": "/usr"}}, "scheme.stdlib"),
        ({"scheme": {}}, "scheme.purelib"),
        ({"preloaded": {"no module": []}}, "preloaded"),
        ({"certainty": "\ud800"}, "certainty"),
        ({"certainty": {}}, "certainty"),
        ({"tags": []}, "tags"),
        ({"tags": {"abi": 1}}, "tags"),
        ({"image": {"digest": []}}, "image"),
        ({"skipped": "x"}, "skipped"),
        ({"kpack-base": True}, "kpack-base"),
        ({"glibc": "\u0662.35"}, "glibc"),
    ],
)
def test_foreign_bytes_are_checked_for_type_size_and_depth(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(**changes)
    assert caught.value.where == f"kaggle.json: {place}"


def test_a_number_without_end_and_a_file_without_end_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="number without end"):
        loads('{"kpack-base": ' + "1" * 5000 + "}", Path("kaggle.json"))
    with pytest.raises(UsageError, match="a list of strings is needed"):
        parsed(unknown=[json.loads("[" * 400 + "]" * 400)])
    with (tmp_path / "large.json").open("wb") as stream:
        stream.truncate(bounds.LARGEST + 1)
    with pytest.raises(UsageError, match="larger than"):
        load("./large.json", tmp_path)


def test_known_facts_of_the_images_are_there() -> None:
    gpu, cpu = load("kaggle-gpu-py312-2026-08", HERE), load("kaggle-cpu-py312-2026-08", HERE)
    torch = canonicalize_name("torch")
    assert gpu.python_full_version == cpu.python_full_version == "3.12.13"
    assert str(gpu.distributions[torch].version) == "2.10.0+cu128"
    assert str(cpu.distributions[torch].version) == "2.10.0+cpu"
    assert gpu.unknown == cpu.unknown == ("jupyter-kernel-gateway", "learntools")
    assert len(gpu.distributions) + len(gpu.unknown) == 933  # what a probe of the real image counted
    datasets = gpu.distributions[canonicalize_name("datasets")]
    assert (str(datasets.version), datasets.certainty, datasets.provenance) == ("5.0.0", "seen", "uv-estimate")
    assert gpu.system["libc6"].startswith("2.35")
    assert load("kaggle-gpu-py313-2026-10-estimate", HERE).python_full_version == "3.13.15"


def test_the_list_shows_the_newest_first_with_its_certainty() -> None:
    infos = shipped()
    assert len(infos) == 9
    assert [info.taken for info in infos] == sorted((info.taken for info in infos), reverse=True)
    assert all(info.certainty and info.distributions > 250 for info in infos)


def test_an_unknown_name_is_met_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        load("kaggle-gpu-py312-2026-8", HERE)
    assert "did you mean 'kaggle-gpu-py312-2026-08'?" in caught.value.what
    assert "kpack probe" in caught.value.next


@pytest.mark.parametrize("ref", ["./missing.json", "kaggle.json", "/nowhere/x.json", "../../etc/passwd"])
def test_a_path_that_leads_nowhere_is_not_taken_for_a_name(ref: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        load(ref, tmp_path / "a" / "b")


def test_a_path_starts_at_the_folder_of_the_file_and_names_the_base(tmp_path: Path) -> None:
    (tmp_path / "my-kernel.json").write_text(json.dumps(snapshot()))
    for ref in ("./my-kernel.json", "my-kernel.json", str(tmp_path / "my-kernel.json")):
        base = load(ref, tmp_path)
        assert base.name == "my-kernel"
        assert not base.shipped
    torch = base.distributions[canonicalize_name("torch")]
    assert (torch.version, torch.requires_dist) == (Version("2.10.0+cu128"), ("numpy",))
    assert base.distributions[canonicalize_name("numpy")].requires_dist is None


def test_a_folder_in_the_way_of_a_shipped_name_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "kaggle-gpu-py312-2026-08").mkdir()
    assert load("kaggle-gpu-py312-2026-08", tmp_path).shipped


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"mood": 1}, "mood"),
        ({"kpack-base": 2}, "kpack-base"),
        ({"glibc": "musl"}, "glibc"),
        ({"glibc": None}, "glibc"),
        ({"environment": {}}, "environment.implementation_name"),
        ({"environment": None}, "environment"),
        ({"environment": {**marker_environment("3.12.1", "x86_64"), "sys_platform": "darwin"}}, "environment"),
        ({"environment": {**marker_environment("3.12.1", "x86_64"), "implementation_name": "pypy"}}, "environment"),
        ({"environment": {**marker_environment("x", "x86_64")}}, "environment.python_full_version"),
        ({"environment": {**marker_environment("4.0.0", "x86_64")}}, "environment.python_full_version"),
        (
            {"environment": {**marker_environment("3.12.1", "x86_64"), "python_version": "3.13"}},
            "environment.python_version",
        ),
        ({"environment": {**marker_environment("3.12.1", "x86 64")}}, "environment.platform_machine"),
        ({"distributions": {}}, "distributions"),
        ({"distributions": ["x"]}, "distributions[0]"),
        ({"distributions": [{"name": "x"}]}, "distributions[0].version"),
        ({"distributions": [{"name": "x", "version": "one"}]}, "distributions[0].version"),
        ({"distributions": [{"name": "x", "version": "1", "size": 3}]}, "distributions[0].size"),
        ({"distributions": [{"name": "x", "version": "1", "requires-dist": "y"}]}, "distributions[0].requires-dist"),
        ({"distributions": [{"name": "x", "version": "1"}, {"name": "X", "version": "2"}]}, "distributions[1]"),
        ({"unknown": "x"}, "unknown"),
        ({"preloaded": ["numpy"]}, "preloaded"),
        ({"preloaded": {"numpy": "numpy"}}, "preloaded.numpy"),
        ({"provenance": {"a": 1}}, "provenance"),
        ({"tags": {"abi": "cp313t"}}, "tags.abi"),
    ],
)
def test_a_bad_file_is_named_with_the_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(UsageError) as caught:
        parsed(**changes)
    assert caught.value.where == f"kaggle.json: {place}"
    assert caught.value.next


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", "[" * 100000, '{"installed": 1, "environment": 2}'])
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        loads(text, Path("kaggle.json"))
    assert caught.value.where.startswith("kaggle.json")


KEYS = st.sampled_from(["kpack-base", "installed", "environment", "distributions", "name"])
LEAVES = st.none() | st.text(max_size=5)
NESTED = st.recursive(LEAVES, lambda s: st.lists(s) | st.dictionaries(KEYS, s), max_leaves=8)


@given(st.text(max_size=60) | NESTED.map(json.dumps))
def test_no_text_brings_anything_but_an_error_that_teaches(text: str) -> None:
    with pytest.raises(KpackError):
        loads(text, Path("kaggle.json"))


def test_a_file_that_cannot_be_read_is_told_from_a_bad_one(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        load("x.json", tmp_path)


def test_the_fingerprint_sees_what_a_resolution_sees_and_nothing_else() -> None:
    same = parsed().fingerprint
    rows = snapshot()["distributions"]
    assert parsed(certainty="other", name="other", taken="1999").fingerprint == same
    assert parsed(distributions=rows[::-1]).fingerprint == same
    assert parsed(environment={**snapshot()["environment"], "platform_release": "6.1"}).fingerprint == same
    assert parsed(distributions=[{**row, "from": "elsewhere"} for row in rows]).fingerprint == same
    assert parsed(preloaded={"google": [], "numpy": ["numpy"]}).fingerprint == same
    others: tuple[dict[str, Any], ...] = (
        {"distributions": rows[:1]},
        {"distributions": [rows[0], {**rows[1], "version": "2.11"}]},
        {"distributions": [rows[0], {**rows[1], "requires-dist": []}]},
        {"environment": marker_environment("3.12.12", "x86_64")},
        {"glibc": "2.36"},
        {"preloaded": {}},
        {"unknown": ["x"]},
    )
    for other in others:
        assert parsed(**other).fingerprint != same, other


def test_pip_inspect_is_taken_as_it_is(tmp_path: Path) -> None:
    report = subprocess.run(
        [sys.executable, "-m", "pip", "inspect", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "inspect.json").write_text(report.stdout)
    if sys.platform != "linux":
        with pytest.raises(UsageError, match="linux"):
            load("inspect.json", tmp_path)
        return
    base = load("inspect.json", tmp_path)
    pytest_found = base.distributions[canonicalize_name("pytest")]
    assert pytest_found.version == Version(pytest.__version__)
    assert any(line.startswith("pluggy") for line in pytest_found.requires_dist or ())
    assert base.python_full_version == ".".join(map(str, sys.version_info[:3]))
    assert "glibc" in base.certainty


def test_a_missing_snapshot_file_is_a_machine_error_only_when_it_vanishes_while_reading(tmp_path: Path) -> None:
    unreadable = tmp_path / "x.json"
    unreadable.symlink_to(unreadable)
    with pytest.raises((UsageError, MachineError)):
        load("./x.json", tmp_path)


def test_a_probe_outside_a_kernel_takes_what_is_preloaded_from_the_nearest_snapshot() -> None:
    rows = [{"name": "numpy", "version": "2.0.2"}, {"name": "own", "version": "1"}]
    base = parsed(kernel=False, certainty="exact for distributions", preloaded={"own": ["own"]}, distributions=rows)
    assert base.preloaded_by == {"numpy": "numpy", "own": "own"}
    assert "google" in base.preloaded  # a bare namespace, owned by nobody
    assert "PIL" not in base.preloaded  # its pillow is not in that image
    assert re.search(r"exact for distributions; what a notebook kernel loads .* kaggle-\S+ has it", base.certainty)
    assert parsed(distributions=rows).preloaded == ("numpy", "google")


def test_the_nearest_snapshot_is_that_of_the_image_else_that_with_most_in_common() -> None:
    old = load("kaggle-cpu-py312-2026-02", HERE)
    rows = [(str(name), str(item.version)) for name, item in old.distributions.items()]
    assert nearest("3.12.1", rows).name == old.name
    assert nearest("3.13.1", rows).python.startswith("3.13.")
    image = load("kaggle-gpu-py312-2026-08", HERE).images[0]
    assert nearest("3.13.1", rows, image).name == "kaggle-gpu-py312-2026-08"
    assert nearest("3.7.3", []).name in names()


def test_a_digest_tells_the_snapshot_of_an_image() -> None:
    image = load("kaggle-gpu-py312-2026-08", HERE).images[0]
    for written in (image, f"gcr.io/kaggle-gpu-images/python@{image}"):
        found = by_digest(written)
        assert found is not None
        assert found.name == "kaggle-gpu-py312-2026-08"
    assert by_digest("sha256:" + "0" * 64) is None
    assert by_digest("latest") is None


def test_the_snapshots_leave_room_in_a_wheel_of_two_megabytes() -> None:
    tables = [path.stat().st_size for path in SNAPSHOTS.parent.glob("*.tsv")]
    assert sum(path.stat().st_size for path in SNAPSHOTS.iterdir()) + sum(tables) < 1 << 20
