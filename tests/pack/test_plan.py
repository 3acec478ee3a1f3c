"""The plan of a whole pack: what the kernel would say is said at home, in the same words."""

from __future__ import annotations

import random
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace as Some
from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version
from pip._internal.resolution.resolvelib.resolver import get_topological_weights
from pip._vendor.resolvelib.structs import DirectedGraph

from kpack.base.model import BaseDistribution
from kpack.errors import IntegrityError
from kpack.pack import plan
from kpack.pack.order import installation_order
from kpack.restore.manifest import PackedDistribution, PackTarget
from tests.restore import kit
from tests.restore.test_install import check_record
from tests.support.kernels import base as kernel_base
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from kpack.base import BaseImage

SERIES = "{}.{}".format(*sys.version_info[:2])


FIRST = (
    "one and two both bring 9 files (bin/both, bin/run, pkg/m0.py, and 6 more); those of two stay, which is "
    "installed later"
)
INSIDE = (
    "headless brings 2 files into cv2, which the image's opencv-python has as its own: where both have a file, "
    "that of headless stays, as by pip"
)


def notes(wheels: Sequence[Path], *bases: BaseImage) -> tuple[str, ...]:
    """Plan wheels of one target in the order given."""
    distributions = []
    for path in wheels:
        name, version = path.name.split("-")[:2]
        distributions.append(PackedDistribution(canonicalize_name(name), version, f"wheels/{path.name}"))
    target = PackTarget(
        label="here",
        base=bases[0].name if bases else None,
        python=SERIES,
        machine=kit.MACHINE,
        glibc=(2, 17),
        distributions=tuple(distributions),
    )
    return plan.notes([target], {f"wheels/{path.name}": path for path in wheels}, bases)


def test_what_the_kernel_notes_is_noted_at_home_in_the_same_words(tmp_path: Path) -> None:
    many = {f"pkg/m{number}.py": "first" for number in range(5)}
    wheels = [
        make_wheel(
            tmp_path,
            "one",
            files={
                "shared.py": "1",
                "same.py": "same",
                "Case.py": "",
                "one-1.0.data/data/share/x": "1",
                "one-1.0.data/scripts/both": "a file",
                **many,
            },
            entry_points="[console_scripts]\nrun = one:main\nown = one:main\n",
        ),
        make_wheel(
            tmp_path,
            "two",
            files={
                "shared.py": "2",
                "same.py": "same",
                "case.py": "",
                "two-1.0.data/data/share/x": "2",
                **dict.fromkeys(many, "second"),
            },
            entry_points="[console_scripts]\nrun = two:main\nboth = two:main\n",
        ),
        make_wheel(tmp_path, "three", files={"shared.py": "3"}),
    ]
    said = notes(wheels)
    assert said == (
        FIRST,
        "two and three both bring shared.py; that of three stays, which is installed later",
        "one and two bring Case.py and case.py, which differ only in case: on Linux both stay",
    )
    pack = kit.make_pack(tmp_path / "pack", wheels, series=[SERIES])
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert tuple(done.report["notes"]) == said
    for name in ("one", "two", "three"):
        check_record(tmp_path / f"target/{name}-1.0.dist-info")


@pytest.mark.parametrize("inner", ["deep/x.py", "deep/a/b/c/x.py"])
def test_a_file_where_another_wheel_needs_a_folder_ends_the_build(inner: str, tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path, "one", files={"deep": "a file"}), make_wheel(tmp_path, "two", files={inner: ""})]
    for order in (wheels, wheels[::-1]):
        with pytest.raises(IntegrityError, match="one brings a file where two needs a folder") as caught:
            notes(order)
        assert "exclude one of the two" in caught.value.next
        assert "deep" in caught.value.where


def test_wheels_that_share_nothing_give_no_note(tmp_path: Path) -> None:
    assert notes([make_wheel(tmp_path, "one"), make_wheel(tmp_path, "two")]) == ()


def test_a_module_that_hides_a_folder_of_another_wheel_is_noted_at_home_and_there(tmp_path: Path) -> None:
    wheels = [
        make_wheel(tmp_path, "one", files={"ns/a.py": ""}),
        make_wheel(tmp_path, "two", files={"ns.py": "", "ns/own.py": ""}),
    ]
    said = notes(wheels)
    assert said == ("ns of two hides ns.a of one, which then cannot be imported",)
    pack = kit.make_pack(tmp_path / "pack", wheels, series=[SERIES])
    done = kit.good(sys.executable, pack.path, target=str(tmp_path / "target"))
    assert tuple(done.report["notes"]) == said


def test_what_is_known_of_the_image_is_said(tmp_path: Path) -> None:
    image = kernel_base({"opencv-python": "4.13", "lazy": "1"})
    wheel = make_wheel(tmp_path, "headless", files={"cv2/a.py": "", "cv2/b.py": "", "LICENSE": "", "headless.py": ""})
    (unknown,) = notes([wheel], image)
    assert "does not list the image's files" in unknown
    known = {
        canonicalize_name("opencv-python"): BaseDistribution(
            name=canonicalize_name("opencv-python"), version=Version("4.13"), top_level=("cv2",), outside=()
        ),
        canonicalize_name("lazy"): BaseDistribution(
            name=canonicalize_name("lazy"), version=Version("1"), top_level=("lazy",), outside=("LICENSE",)
        ),
    }
    assert sorted(notes([wheel], replace(image, distributions=known))) == [
        INSIDE,
        "headless overwrites 1 file (LICENSE) of the image's lazy, as by pip",
    ]


def test_what_is_needed_is_installed_before_who_needs_it_then_from_z_to_a() -> None:
    """The rule of pip's own resolver: in a circle, what is further from the requests comes first."""
    needed = {
        "aatop": [],
        "zzdep": ["aatop"],
        "middle": ["aatop"],
        "bottom": ["middle", "zzdep"],
        "ring-a": ["ring-b", "aatop"],
        "ring-b": ["ring-a"],
        "alone": [""],
    }
    pins = [Some(name=name, needed_by=[Some(by=by) for by in who]) for name, who in needed.items()]
    leans = [Some(name="numpy", needed_by=[Some(by="alone")])]
    order = [pin.name for pin in installation_order(Some(packed=pins, leans=leans))]  # type: ignore[arg-type]
    assert order == ["bottom", "zzdep", "middle", "alone", "ring-b", "ring-a", "aatop"]


def _ways(graph: Mapping[str, Sequence[str]], way: tuple[str, ...]) -> Iterator[str]:
    """Yield a name as often as a way leads to it that meets nothing twice."""
    for name in graph[way[-1]]:
        if name not in way:
            yield name
            yield from _ways(graph, (*way, name))


def test_the_order_is_that_of_pip() -> None:
    dice = random.Random(4)
    tried = 0
    while tried < 200:
        names = dice.sample("abcdef", dice.randrange(2, 6))
        graph = {name: [other for other in dice.sample(names, min(2, len(names))) if other != name] for name in names}
        graph[""] = dice.sample(names, dice.randrange(1, len(names)))
        ways = Counter(_ways(graph, ("",)))
        if max(ways.values()) > 5:  # pip goes no more of them, and which ones is chance
            continue
        tried += 1
        theirs: DirectedGraph[str | None] = DirectedGraph()
        for name in ("", *ways):
            theirs.add(name or None)
        for name in ("", *ways):
            for other in graph[name]:
                theirs.connect(name or None, other)
        weights = get_topological_weights(theirs, set(ways))
        needed_by = {name: [Some(by=by) for by in ("", *ways) if name in graph[by]] for name in ways}
        pins = [Some(name=name, needed_by=who) for name, who in sorted(needed_by.items())]
        order = [pin.name for pin in installation_order(Some(packed=pins, leans=()))]  # type: ignore[arg-type]
        assert order == sorted(ways, key=lambda name: (weights[name], name), reverse=True)
