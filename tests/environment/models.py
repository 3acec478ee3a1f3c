"""Any valid environment, and how a person might write it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st
from packaging.utils import canonicalize_name

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9]{0,5}([._-][A-Za-z0-9]{1,4})?", fullmatch=True)
VERSIONS = st.from_regex(r"[0-9]{1,2}\.[0-9]{1,2}(\.post[0-9])?", fullmatch=True)
WORDS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=12)
PARTS = st.text(
    st.characters(exclude_categories=["C", "Zl", "Zp"], exclude_characters="/\\~?#"), min_size=1, max_size=8
)
PATHS = st.lists(PARTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=3).map("/".join)
DIGESTS = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
MOMENTS = st.one_of(
    st.dates(date(2000, 1, 1), date(2100, 1, 1)),
    st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-5, minutes=-30))])).map(
        lambda moment: moment.replace(year=2000 + moment.year % 100, month=3, microsecond=0)
    ),
)


def unique(names: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(names, max_size=4, unique_by=canonicalize_name)


@st.composite
def requirements(draw: st.DrawFn) -> str:
    name = draw(NAMES)
    extras = draw(st.sampled_from(["", "[one]", "[one, Two]"]))
    specifier = draw(st.sampled_from(["", ">={}", " >={},<99", "=={}", "~={}", " @ https://host/{}.zip"])).format(
        draw(VERSIONS)
    )
    marker = draw(st.sampled_from(["", " ; python_version < '3.13'"]))
    return f"{name}{extras}{specifier}{marker}"


@st.composite
def documents(draw: st.DrawFn, *, needs: str = "") -> dict[str, Any]:
    """Return a document, as tomllib would read it, that is a valid kaggle-env.toml; ``needs`` is a key that it has."""
    data: dict[str, Any] = {"name": draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,39}", fullmatch=True))}
    with_base = draw(st.booleans())
    if with_base:
        data["base"] = draw(st.one_of(WORDS, st.lists(WORDS, min_size=1, max_size=3, unique=True)))
    else:
        data["python"] = draw(st.sampled_from(["3.8", "3.12", "3.13"]))
        if draw(st.booleans()):
            data["platform"] = f"manylinux_2_{draw(st.integers(0, 99))}_{draw(st.sampled_from(['x86_64', 'aarch64']))}"
    optional: dict[str, st.SearchStrategy[Any]] = {
        "packages": st.lists(
            st.one_of(
                requirements(), PATHS.filter(lambda path: not set(path) & {";", "]"}).map(lambda path: f"./{path}")
            ),
            max_size=4,
            unique_by=lambda text: text.rstrip() if text.startswith("./") else canonicalize_name(text.split()[0]),
        ).map(_one_entry_per_name),
        "exclude": unique(NAMES),
        "allow-source": unique(NAMES),
        "allow-broken": unique(NAMES),
        "allow-preloaded": unique(NAMES),
        "lax-record": unique(NAMES),
        "lax-archive": unique(NAMES),
        "allow-native": unique(NAMES),
        "accelerator": st.sampled_from(["P100", "T4", "RTX-PRO-6000"]),
        "apt": st.lists(
            st.from_regex(r"[a-z][a-z0-9+.-]{1,9}(=[0-9]:[0-9]\.[0-9]~x)?", fullmatch=True), max_size=2
        ).map(lambda entries: list({entry.partition("=")[0]: entry for entry in entries}.values())),
        "no-deps": unique(NAMES),
        "no-build-isolation": unique(NAMES),
        "exclude-newer": MOMENTS,
        "max-size": st.one_of(
            st.integers(1, 1 << 50), st.from_regex(r"[1-9][0-9]{0,3} ?(kB|MB|GB|GiB)", fullmatch=True)
        ),
        "checkpoints": st.lists(checkpoint_tables(), max_size=3, unique_by=lambda table: table["path"].split("/")[0]),
        "restore": st.fixed_dictionaries(
            {},
            optional={
                "directory": PATHS.map(lambda path: f"/{path}"),
                "env": st.dictionaries(
                    st.from_regex(r"[A-KM-O][A-Z0-9_]{0,8}", fullmatch=True), st.one_of(st.just(""), WORDS)
                ),
            },
        ),
        "publish": st.fixed_dictionaries(
            {}, optional={"dataset": st.from_regex(r"[a-z]{1,9}/[a-z0-9]{1,9}", fullmatch=True)}
        ),
    }
    for key, strategy in optional.items():
        if key == needs:
            data[key] = draw(strategy.filter(bool))
        elif draw(st.booleans()):
            data[key] = draw(strategy)
    if with_base and "exclude" not in data and draw(st.booleans()):
        data["replace"] = draw(unique(NAMES))
    if draw(st.booleans()):
        data["indexes"] = [
            {"name": f"i{number}", "url": f"https://host/{number}", "packages": [f"own{number}-*"]}
            for number in range(draw(st.integers(0, 3)))
        ]
    return data


def _one_entry_per_name(entries: list[str]) -> list[str]:
    import re

    kept: dict[str, str] = {}
    for entry in entries:
        bare = re.match(r"[A-Za-z0-9._-]*[A-Za-z0-9]", entry)
        key = entry.strip() if entry.startswith("./") or bare is None else canonicalize_name(bare[0])
        kept.setdefault(key, entry)
    return list(kept.values())


@st.composite
def checkpoint_tables(draw: st.DrawFn) -> dict[str, Any]:
    table: dict[str, Any] = {"path": draw(PATHS)}
    urls = [f"https://host{number}/x" for number in range(draw(st.integers(1, 3)))]
    if len(urls) == 1:
        table["url"] = urls[0]
    else:
        table["urls"] = urls
    if draw(st.booleans()):
        table["sha256"] = draw(DIGESTS)
    if draw(st.booleans()):
        table["attached"] = f"/kaggle/input/{draw(PATHS)}"
    return table


@dataclass
class Writer:
    """Writes a document as TOML, in a style drawn from ``random``."""

    random: Any

    def write(self, data: dict[str, Any]) -> str:
        keys = list(data)
        self.random.shuffle(keys)
        lines: list[str] = []
        later: list[str] = []
        for key in keys:
            value = data[key]
            if isinstance(value, list) and value and isinstance(value[0], dict) and self.random.random() < 0.7:
                for table in value:
                    later += ["", f"[[{key}]]" + self.comment(), *self.pairs(table)]
            elif isinstance(value, dict) and self.random.random() < 0.7:
                later += ["", f"[{key}]" + self.comment(), *self.pairs(value)]
            elif isinstance(value, dict) and value and self.random.random() < 0.5:
                lines += [pair if pair.startswith("#") else f"{key}.{pair}" for pair in self.pairs(value)]
            else:
                lines += self.pairs({key: value})
        return self.newline().join([*lines, *later, ""])

    def newline(self) -> str:
        return "\r\n" if self.random.random() < 0.2 else "\n"

    def comment(self) -> str:
        return ' # [a] = "x"' if self.random.random() < 0.3 else ""

    def pairs(self, table: dict[str, Any]) -> list[str]:
        written = []
        for key, value in table.items():
            if self.random.random() < 0.2:
                written.append("# a word = [")
            shown = key if self.random.random() < 0.8 else json.dumps(key)
            written.append(f"{shown} = {self.value(value)}{self.comment()}")
        return written

    def value(self, value: Any) -> str:
        if isinstance(value, (date, datetime)):
            return value.isoformat()
        if isinstance(value, str):
            if "'" not in value and self.random.random() < 0.3:
                return f"'{value}'"
            return json.dumps(value, ensure_ascii=self.random.random() < 0.5 and value.isascii())
        if isinstance(value, list):
            items = [self.value(item) for item in value]
            if self.random.random() < 0.4 and not any("\n" in item for item in items):
                body = "".join(f"  {item},{self.comment()}\n" for item in items)
                return f"[ # open\n{body}]"
            return f"[{', '.join(items)}]"
        if isinstance(value, dict):
            inner = ", ".join(f"{json.dumps(key)} = {self.inline(item)}" for key, item in value.items())
            return f"{{ {inner} }}"
        return str(value)

    def inline(self, value: Any) -> str:
        """Write a value without line ends: TOML 1.0 has none within inline tables."""
        if isinstance(value, list):
            return f"[{', '.join(self.inline(item) for item in value)}]"
        return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else self.value(value)
