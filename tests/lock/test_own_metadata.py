from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from packaging.utils import canonicalize_name

from kpack.environment.model import Exclusion
from kpack.errors import IntegrityError
from kpack.lock import from_resolution
from kpack.lock.own_metadata import check
from kpack.resolve.model import BaseUse, Need, Pin, Source
from tests.support.kernels import base, environment, pin, resolution, target, use

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kpack.base import BaseImage


def judged(
    *pins: Pin,
    image: BaseImage | None = None,
    own: Mapping[str, tuple[str, ...]],
    python: str = "",
    leans: tuple[BaseUse, ...] = (),
    **facts: Any,
) -> None:
    """Lock ``pins`` and hold the lock to wheels that require ``own``, by name, and ``python``."""
    asked = environment("top", **facts)
    here = target(image or base({}))
    found = resolution((here, pins), from_base=leans)
    made = from_resolution(asked, found, meaning="0" * 64)
    wheels = {
        item.wheel.filename: SimpleNamespace(requires_dist=own.get(item.name, ()), requires_python=python)
        for item in made.targets[0].packed
    }
    check(made, asked, [here], wheels)


TOP = pin("top", "1.0")
GHOST = {"top": ("ghost>=2; python_version >= '3'", "win; sys_platform == 'win32'", "more; extra == 'all'")}


def test_a_requirement_that_only_the_wheel_knows_ends_the_build() -> None:
    with pytest.raises(IntegrityError) as caught:
        judged(TOP, pin("dep", "3", by="top"), own=GHOST)
    assert caught.value.where == "top-1.0-py3-none-any.whl"
    assert caught.value.what == (
        "top 1.0 needs ghost>=2, which is neither packed nor in the base: so says METADATA in its wheel; by the "
        "metadata that http://127.0.0.1/simple has for it, which the lock was made from, it needs dep"
    )
    assert caught.value.next == (
        'tell the owner of http://127.0.0.1/simple; until then write "ghost>=2" in packages and lock, or ask for '
        "another version of top"
    )


def test_so_does_one_that_asks_for_another_version() -> None:
    with pytest.raises(IntegrityError, match=r"top 1\.0 needs ghost>=2, and ghost 1 is packed: .* it needs ghost$"):
        judged(TOP, pin("ghost", "1", by="top"), own=GHOST)
    leans = (use("ghost", "1", ("top", "ghost>=1")),)
    with pytest.raises(IntegrityError, match=r"top 1\.0 needs ghost>=2, and ghost 1 is in the base: .* ghost>=1$"):
        judged(TOP, image=base({"ghost": "1"}), own=GHOST, leans=leans)


def test_what_the_kernel_has_or_the_file_leaves_open_is_met() -> None:
    judged(TOP, pin("ghost", "2"), own=GHOST)
    judged(TOP, image=base({"ghost": "2.1"}), own=GHOST)
    ghost, other = canonicalize_name("ghost"), canonicalize_name("other")
    judged(TOP, own=GHOST, exclude=(Exclusion(pattern="ghost"),))
    judged(TOP, own=GHOST, exclude=(Exclusion(pattern="ghost", version="2"),))
    judged(TOP, own=GHOST, no_deps=(canonicalize_name("top"),))
    judged(TOP, pin("other", "2"), own=GHOST, substitute={ghost: other})


def test_extras_that_were_asked_for_count() -> None:
    with pytest.raises(IntegrityError, match="needs more, which is neither"):
        judged(pin("top", "1.0", extras=("all",)), pin("ghost", "2"), own=GHOST)


def test_another_python_ends_the_build_and_an_invalid_one_asks_for_nothing() -> None:
    judged(TOP, own={}, python=">=3.8")
    judged(TOP, own={}, python="three")
    with pytest.raises(IntegrityError, match=r"asks for Python >=3\.13, and image has 3\.12\.13"):
        judged(TOP, own={}, python=">=3.13")


def test_of_a_built_wheel_no_index_is_blamed() -> None:
    source = Source(kind="sdist", url="http://127.0.0.1/top-1.0.tar.gz", sha256="0" * 64)
    made = pin("top", "1.0", source=source, needed_by=(Need(by="", requirement="top"),))
    with pytest.raises(IntegrityError) as caught:
        judged(made, own=GHOST)
    assert "by what was known of it at the lock it needs nothing" in caught.value.what
    assert (caught.value.next or "").startswith("tell the owner of top;")
