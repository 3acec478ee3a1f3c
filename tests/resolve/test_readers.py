"""The worker's readers: file names, metadata, pages, Range, one fetch per key."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name, parse_sdist_filename, parse_wheel_filename

from kpack.resolve.child import error_of
from kpack.resolve.wire import Asked, Failure, IndexAddress, Limit, Provided, Question, dumps, loads
from kpack.resolve.worker.files import read_file, read_name
from kpack.resolve.worker.pages import read_page
from kpack.resolve.worker.requirements import Markers, Metadata, bare, excess, readable, repaired, together
from kpack.resolve.worker.web import Once, Response, Unreachable

NAMES = st.from_regex(r"[a-z][a-z0-9]{0,5}([_.-][a-z0-9]{1,4}){0,2}", fullmatch=True)
VERSIONS = st.from_regex(
    r"([1-9]!)?[0-9]{1,2}(\.[0-9]{1,2}){0,2}((a|b|rc)[0-9])?(\.post[0-9])?(\.dev[0-9])?(\+[a-z0-9]{1,5})?",
    fullmatch=True,
)
WORDS = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)


@given(
    NAMES, VERSIONS, st.sampled_from(["", "1", "20abc"]), st.sampled_from(["py3-none-any", "cp312-abi3-linux_x86_64"])
)
def test_wheel_names_are_read_as_packaging_reads_them(name: str, version: str, build: str, tags: str) -> None:
    """The file name is {distribution}-{version}(-{build tag})?-{python tag}-{abi tag}-{platform tag}.whl."""
    stem = name.replace("-", "_")
    filename = "-".join([stem, version, *([build] if build else []), tags]) + ".whl"
    project, parsed, build_tag, _ = parse_wheel_filename(filename)
    found = read_name(str(project), filename)
    assert found is not None
    assert (str(found[0]), found[1], found[2] if build else ()) == (str(parsed), tags, build_tag)
    assert read_name("another", filename) is None


@given(NAMES, VERSIONS, st.sampled_from([".tar.gz", ".zip"]))
def test_sdist_names_are_read_as_packaging_reads_them(name: str, version: str, suffix: str) -> None:
    filename = f"{name}-{version}{suffix}"
    _, parsed = parse_sdist_filename(filename)
    found = read_name(str(canonicalize_name(name)), filename)
    assert found is not None
    assert (str(found[0]), *found[1:]) == (str(parsed), None, (0, ""))


@given(st.text(max_size=40))
def test_any_text_is_a_file_name_or_none(text: str) -> None:
    read_name("top", text)
    read_name("top", f"top-1.0-{text}.whl")
    read_name("top", f"top-{text}.tar.gz")


@given(
    st.lists(WORDS.map(lambda word: f"{word}0>=1; python_version > '3'"), max_size=4),
    st.lists(WORDS, max_size=3),
    st.none() | st.just(">=3.8"),
)
def test_metadata_that_is_written_is_read_as_the_same(
    requires: list[str], extras: list[str], requires_python: str | None
) -> None:
    first = Metadata("Top", "1.0", requires, extras, requires_python)
    second = Metadata.parse(first.dumps())
    for field in Metadata.__slots__:
        assert getattr(first, field) == getattr(second, field)


@given(st.binary(max_size=200))
def test_any_bytes_are_metadata_without_a_name_at_worst(content: bytes) -> None:
    Metadata.parse(content)
    Metadata.parse(b"Name: x\nVersion: 1\n" + content)


def test_metadata_ends_at_the_first_empty_line_and_folds_lines() -> None:
    found = Metadata.parse(b"Name: x\r\nVersion: 1\r\nRequires-Dist: one>=1,\r\n <2\r\n\r\nRequires-Dist: two\r\n")
    assert found.requires == ("one>=1, <2",)


def test_metadata_ends_at_a_line_that_is_no_header_as_for_pip() -> None:
    found = Metadata.parse(b"Name: x\rRequires-Dist: one\rVersion: 1\rby hand\rRequires-Dist: two\r")
    assert (found.name, found.version, found.requires) == ("x", "1", ("one",))


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("dep>=1.7.*", "dep>=1.7"),
        ("dep (~=1.7.*,<2)", "dep (~=1.7,<2)"),
        ("dep==1.7.*", "dep==1.7.*"),
        ("dep!=1.7.*,>=1.6.*", "dep!=1.7.*,>=1.6"),
        ("dep nonsense", "dep nonsense"),
    ],
)
def test_star_is_taken_off_only_where_it_means_nothing(line: str, read: str) -> None:
    assert repaired(line) == read


def test_marker_is_judged_once_for_each_extra() -> None:
    markers = Markers({"python_version": "3.12", "sys_platform": "linux"})
    line = "dep; extra == 'one' or python_version < '3'"
    assert [markers.holds(line, extra) for extra in ("", "one", "two", "one")] == [False, True, False, True]


_NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,4}[A-Za-z0-9])?"
_CLAUSE = r"(==|!=|>=|<=|<|>|~=) ?[0-9]{1,3}(\.[0-9]{1,2}){0,3}(\.\*|rc1)?"


@given(
    st.from_regex(
        rf"\A{_NAME}(\[{_NAME}(, ?{_NAME})?\])? ?({_CLAUSE}(, ?{_CLAUSE})?)? ?; ?extra ?== ?('{_NAME}'|\"{_NAME}\")\Z"
    ),
    st.from_regex(rf"\A{_NAME}\Z"),
)
def test_the_usual_line_of_an_extra_is_judged_as_packaging_judges_it(line: str, other: str) -> None:
    try:
        read = Requirement(line)
    except InvalidRequirement:
        assert not readable(line)
        return
    assert readable(line)
    assert read.marker is not None
    own = line.split("==")[-1].strip(" '\"")
    for extra in ("", own, own.upper(), other):
        assert Markers({}).holds(line, extra) == read.marker.evaluate({"extra": extra})


def test_request_travels_as_json() -> None:
    request = Question(
        label="kernel",
        python_version="3.12",
        python_full_version="3.12.13",
        environment={"python_version": "3.12"},
        tags=("py3-none-any",),
        asked=(Asked(text="x", line="x"),),
        provided=(
            Provided(name="a", version="1", requires_dist=("b",), provides_extra=(), opened=True),
            Provided(name="c", version="1", by="exclude"),
        ),
        limits=(Limit(by="a 1", requirement="b<2"),),
        pins={"x": "1"},
        allow_source=("y",),
        exclude_newer="2026-01-01T00:00:00",
        indexes=(IndexAddress(url=""), IndexAddress(url="http://x/", packages=("z-*",))),
        cache_dir="/c",
    )
    assert loads(dumps(request)) == request


# -- pages


def answer(body: str, kind: str) -> Response:
    return Response(200, "http://127.0.0.1/simple/top/", kind, body.encode())


def test_html_and_json_pages_say_the_same() -> None:
    digest = "a" * 64
    rows = [
        {
            "filename": "top-1.0-py3-none-any.whl",
            "url": "../../f/top-1.0-py3-none-any.whl",
            "hashes": {"sha256": digest},
            "requires-python": ">=3.8",
            "yanked": "bad & gone",
            "core-metadata": {"sha256": "b" * 64},
        },
        {"filename": "top-0.9.tar.gz", "url": "http://elsewhere/top-0.9.tar.gz", "hashes": {}, "yanked": True},
    ]
    page = (
        f'<a href="../../f/top-1.0-py3-none-any.whl#sha256={digest}" data-requires-python="&gt;=3.8"'
        f' data-yanked="bad &amp; gone" data-dist-info-metadata="sha256={"b" * 64}">x</a>'
        '<a href="http://elsewhere/top-0.9.tar.gz" data-yanked>y</a><a>z</a>'
    )
    files = []
    for text, kind in ((json.dumps({"files": rows}), "application/vnd.pypi.simple.v1+json"), (page, "text/html")):
        found, base = read_page("top", answer(text, kind))
        files.append([read_file("top", row, base, "http://127.0.0.1/simple/") for row in found])
    assert files[0] == files[1]
    first, second = files[0]
    assert first is not None
    assert second is not None
    assert first.url == "http://127.0.0.1/f/top-1.0-py3-none-any.whl"
    assert (first.yanked, second.yanked) == ("bad & gone", "")


def test_lines_and_spaces_in_a_url_of_an_html_page_are_none_of_it() -> None:
    digest = "0" * 64
    page = f'<base href=" /a/ "><a href="\n  top-1.0.\n\tzip#sha256={digest} \r\n">'
    (row,), base = read_page("top", answer(page, "text/html; charset=utf-8"))
    assert (row["filename"], row["url"], row["hashes"]) == ("top-1.0.zip", "top-1.0.zip", {"sha256": digest})
    assert base.endswith("/a/")


def test_base_element_of_an_html_page_counts() -> None:
    found, base = read_page("top", answer('<base href="/other/"><a href="top-1.0.zip">', "text/html; charset=utf-8"))
    file = read_file("top", found[0], base, "")
    assert file is not None
    assert file.url == "http://127.0.0.1/other/top-1.0.zip"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | WORDS, lambda inner: st.lists(inner) | st.dictionaries(WORDS, inner)
    )
)
def test_any_json_is_a_page_or_refused(value: Any) -> None:
    for body in (value, {"files": value}, {"files": [value, {"filename": "top-1.zip", "url": "x", "size": value}]}):
        try:
            rows, base = read_page("top", answer(json.dumps(body), "application/vnd.pypi.simple.v1+json"))
        except Unreachable:
            continue
        for row in rows:
            read_file("top", row, base, "")


# -- the web


def test_function_runs_once_for_a_key_whoever_asks() -> None:
    calls: list[str] = []
    gate = threading.Event()

    def slow(key: str) -> str:
        calls.append(key)
        gate.wait(5)
        if key == "bad":
            raise ValueError(key)
        return key.upper()

    once = Once(slow)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(once("a"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert once.known("a") is None
    gate.set()
    for thread in threads:
        thread.join()
    assert (calls, found, once.known("a")) == (["a"], ["A"] * 4, "A")
    for _ in range(2):
        with pytest.raises(ValueError, match="bad"):
            once("bad")
    assert calls == ["a", "bad"]


def test_words_are_shown_without_credentials_and_control_characters() -> None:
    failure = Failure(kind="no-solution", text="see git+https://u:p@host/x and https://t@h\n\x1b[31mred")
    assert error_of("kernel", failure).what == "see git+https://host/x and https://h\n\\x1b[31mred"


# -- bounds


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([f"dep!=1.{number}" for number in range(20_000)], "20,000 requirements"),
        ([f"name{number}" for number in range(2_001)], "2,001 belong to no extra"),
        ([f"dep; extra == 'x{number}'" for number in range(10_001)], "10,001 requirements"),
        ([f"dep!=1.{number}; extra == 'x'" for number in range(201)], "201 clauses on the versions of dep"),
        (["Dep" + ",".join(f"!=1.{number}" for number in range(202))], "202 clauses on the versions of dep"),
    ],
)
def test_more_requirements_than_can_be_resolved_are_told(lines: list[str], words: str) -> None:
    assert words in (excess(Metadata("top", "1", lines, (), None)) or "")


def test_what_extras_repeat_is_not_too_much() -> None:
    lines = [f"dep{number % 300}>=1,<2; extra == 'x{number}'" for number in range(9_000)]
    assert excess(Metadata("top", "1", lines, (), None)) is None
    assert excess(Metadata("top", "1", [f"name{number}" for number in range(1_500)], (), None)) is None


def test_many_requirements_on_one_name_are_put_together_and_few_are_not() -> None:
    few = [bare(f"dep!=1.{number}") for number in range(5)]
    assert list(together(few)) == few
    (one,) = together([bare(f"dep[a]!=1.{number % 20}") for number in range(150)])
    assert (one.name, one.extras, len(one.specifier)) == ("dep", {"a"}, 20)
