"""Headers are those that `email` reads, by which pip and importlib.metadata go."""

from __future__ import annotations

from email.parser import HeaderParser

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kpack.restore.headers import headers

PIECES = st.sampled_from(
    [
        *("\n", "\r", "\r\n", "\n\n", " ", "\t", ":", ": ", "a", "Name", "A-b: ", "From ", "From a:", "N: v\n"),
        *("\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\0", "\xe4"),
    ]
)


@settings(max_examples=1000)
@given(st.lists(PIECES, max_size=14).map("".join))
@example("Name: a\r\rName: b\n")
@example("a: b\n \n c\nby hand\nd: e\n")
def test_headers_are_those_of_email(text: str) -> None:
    expected: dict[str, list[str]] = {}
    for key, value in HeaderParser().parsestr(text).items():
        expected.setdefault(key.lower(), []).append(value.replace("\r\n", "\n").replace("\r", "\n"))
    # Newer Pythons leave out the end of a line before a folded value.
    assert _bare(headers(text)) == _bare(expected)


def _bare(found: dict[str, list[str]]) -> dict[str, list[str]]:
    return {key: [value.lstrip(" \t\n").rstrip("\n") for value in values] for key, values in found.items()}
