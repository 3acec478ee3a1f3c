from __future__ import annotations

from packaging.utils import canonicalize_name
from packaging.version import Version

from kpack.lock import Lock, from_resolution, loads, relative
from kpack.lock.why import names, why
from kpack.resolve.model import HeldBack, Need
from tests.support.kernels import base, environment, pin, resolution, target, use


def needed(*needs: tuple[str, str]) -> tuple[Need, ...]:
    return tuple(Need(by=by, requirement=requirement) for by, requirement in needs)


def lock() -> Lock:
    """Return flash → lightning → (metrics, utilities ← metrics), and text → utilities; torch in the image."""
    image = base({"torch": "2.10"})
    pins = [
        pin("flash", "1", needed_by=needed(("", "flash[x]>=1"))),
        pin("lightning", "2.5", needed_by=needed(("flash", "lightning>2"))),
        pin("metrics", "3", needed_by=needed(("lightning", "metrics"))),
        pin(
            "utilities",
            "4",
            needed_by=needed(("lightning", "utilities>=3"), ("metrics", "utilities"), ("text", "utilities")),
        ),
        pin("text", "5", needed_by=needed(("", "text"))),
    ]
    held = (
        HeldBack(name=canonicalize_name("metrics"), version=Version("3"), newest=Version("4"), because="torch 2.10"),
    )
    leans = (use("torch", "2.10", ("lightning", "torch>=2")), use("yaml", "6", ("text", "yaml")))
    found = resolution((target(image), pins), from_base=leans, held_back=held, dropped=(canonicalize_name("xla"),))
    return from_resolution(environment("flash[x]>=1", "text"), found, meaning="0" * 64)


def test_a_packed_distribution_knows_its_way_from_the_request() -> None:
    (answer,) = why(lock(), canonicalize_name("metrics"))
    assert answer.state == "packed"
    assert answer.chain == ("flash[x]>=1", "lightning>2", "metrics")
    assert [need.by for need in answer.needed_by] == ["lightning"]
    assert answer.held_back is not None


def test_the_shortest_way_is_told() -> None:
    (answer,) = why(lock(), canonicalize_name("utilities"))
    assert answer.chain == ("text", "utilities")


def test_excluding_takes_along_what_only_it_needed() -> None:
    (answer,) = why(lock(), canonicalize_name("lightning"))
    assert answer.without is not None
    assert [gone.name for gone in answer.without.packed] == ["lightning", "metrics"]
    assert [gone.name for gone in answer.without.leans] == ["torch"]
    assert answer.without.size > 0


def test_what_somebody_else_needs_too_stays() -> None:
    (answer,) = why(lock(), canonicalize_name("metrics"))
    assert answer.without is not None
    assert [gone.name for gone in answer.without.packed] == ["metrics"]
    assert answer.without.leans == ()


def test_what_the_image_has_is_not_packed_and_nothing_would_change() -> None:
    (answer,) = why(lock(), canonicalize_name("torch"))
    assert answer.state == "base"
    assert answer.chain == ("flash[x]>=1", "lightning>2", "torch>=2")
    assert answer.without is None


def test_an_excluded_name_says_so_and_a_stranger_is_absent() -> None:
    assert why(lock(), canonicalize_name("xla"))[0].state == "excluded"
    assert why(lock(), canonicalize_name("numpy"))[0].state == "absent"
    assert names(lock()) == {"flash", "lightning", "metrics", "utilities", "text", "torch", "yaml", "xla"}


def test_a_circle_of_needs_comes_to_an_end() -> None:
    pins = [
        pin("a", "1", needed_by=needed(("", "a"), ("b", "a"))),
        pin("b", "1", needed_by=needed(("a", "b"), ("c", "b"))),
        pin("c", "1", needed_by=needed(("b", "c"))),
    ]
    circle = from_resolution(environment("a"), resolution((target(base({})), pins)), meaning="0" * 64)
    (answer,) = why(circle, canonicalize_name("b"))
    assert answer.chain == ("a", "b")
    assert answer.without is not None
    assert [gone.name for gone in answer.without.packed] == ["b", "c"]


def test_the_lock_in_the_pack_answers_the_same() -> None:
    packed = loads(relative(lock()), "pylock.x.toml")
    assert why(packed, canonicalize_name("metrics"))[0].chain == why(lock(), canonicalize_name("metrics"))[0].chain
