"""What a reader says of its first files with one token in the place of another: ``python -m tests.fuzz.tokens lock``.

A fuzzer that changes bytes seldom writes a number of 5,000 digits, ``null`` for a text or a lone surrogate; this does
nothing else. ``all`` takes all readers in turn, each for ``--seconds``.
"""

from __future__ import annotations

import argparse
import logging
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[0-9]+(?:\.[0-9]+)*|[A-Za-z_][A-Za-z_0-9-]*|[\[\]{}:,=]')
ODD = (
    *(b"null", b"true", b"inf", b"NaN", b"1e999", b"1.5", b"0x1p3"),
    *(b"0", b"-1", b"9223372036854775807", b"18446744073709551616", b"9" * 3000, b"1" * 5000),
    *(b"[]", b"{}", b"[" * 2000 + b"]" * 2000, b'{"a":' * 500 + b"1" + b"}" * 500),
    *(b'""', b"''", b'"x"', b'"' + b"a" * 70_000 + b'"', b'"../../x"', b'"C:\\\\x"', b'"\\\\\\\\srv\\\\a"', b'"%00"'),
    *(
        b'"\\u0000"',
        b'"\\ud800"',
        b'"\xe2\x80\xa8"',
        b'"' + b"\\u0301" * 50 + b'"',
        b"\xff",
        b"\x00",
        b"\r",
        b"\n",
        b"# ",
    ),
    *(b'"1.0.post1.dev2+local"', b'"==1;python_version"', b'"linux" == "x"', b"1970-13-45", b"2026-01-02T03:04:05"),
)


def changed(seeds: Sequence[bytes], drawn: random.Random) -> Iterator[bytes]:
    """Yield the files without end, each with one of its tokens replaced by one of `ODD`."""
    places = [(data, found.span()) for data in seeds for found in _TOKEN.finditer(data)]
    while places:
        data, (begin, end) = drawn.choice(places)
        yield data[:begin] + drawn.choice(ODD) + data[end:]


def main() -> int:
    from tests.fuzz.harnesses import ALL, ALLOWED

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable()
    finds = 0
    for name in ALL if options.name == "all" else [options.name]:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as work:
            files = changed(list(ALL[name].seeds(Path(folder))), random.Random(options.seed))
            told: set[str] = set()
            count, until = 0, time.monotonic() + options.seconds
            for data in files:
                if time.monotonic() > until:
                    break
                count += 1
                try:
                    ALL[name].run(data, Path(work))
                except ALLOWED:
                    continue
                except Exception as error:  # noqa: BLE001 - what is looked for
                    place = traceback.extract_tb(error.__traceback__)[-1]
                    where = f"{type(error).__name__} at {place.filename}:{place.lineno}: {error}"
                    if where not in told:
                        told.add(where)
                        print(f"{name}: {where[:300]}\n    {data[:200]!r}", flush=True)
        finds += len(told)
        print(f"{name}: {count} inputs, {len(told)} finds", flush=True)
    return int(bool(finds))


if __name__ == "__main__":
    sys.exit(main())
