"""Which modules a wheel brings."""

from __future__ import annotations

from pathlib import Path

import pytest

from kpack.rehearse.modules import importable
from kpack.rehearse.network import attempts, rows_of
from kpack.rehearse.quiet import variable


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pkg/__init__.py", "pkg/sub/__init__.py", "pkg-1.dist-info/METADATA"], ["pkg"]),
        (["one.py", "two.py"], ["one", "two"]),
        (["_fast.cpython-312-x86_64-linux-gnu.so", "plain.abi3.so", "lib/libx.so", "libfoo.so"], ["_fast", "plain"]),
        (["google/cloud/storage/__init__.py", "google/cloud/storage/x.py"], ["google.cloud.storage"]),
        (["ns/one.py", "ns/two/__init__.py"], ["ns.one", "ns.two"]),
        (["pkg/__init__.py", "tests/__init__.py", "docs/conf.py", "setup.py"], ["pkg"]),
        (["tests/__init__.py"], ["tests"]),
        (["data-folder/x.py", "assets/logo.png", "pkg/data/file.txt"], []),
        (["pkg.py", "pkg/helper.py"], ["pkg"]),
        (["native/__init__.cpython-312-x86_64-linux-gnu.so"], ["native"]),
    ],
)  # fmt: skip
def test_outermost_importable_modules_are_found(names: list[str], expected: list[str]) -> None:
    assert list(importable(names)) == expected


@pytest.mark.parametrize(
    ("chain", "host", "name"),
    [
        (("transformers", "huggingface_hub"), "huggingface.co", "HF_HUB_OFFLINE"),
        (("trainer", "wandb"), "api.wandb.ai", "WANDB_MODE"),
        (("albumentations",), "index.example", "NO_ALBUMENTATIONS_UPDATE"),
        ((), "cdn-lfs.hf.co", "HF_HUB_OFFLINE"),
        (("own",), "nothf.co", None),
    ],
)
def test_variable_that_stops_a_package_is_known(chain: tuple[str, ...], host: str, name: str | None) -> None:
    found = variable(chain, host)
    assert (found[0] if found else None) == name


def test_tries_of_one_place_are_one_attempt_that_costs_its_pauses() -> None:
    site = "/e/lib/python3.12/site-packages"
    stack = [
        [f"{site}/urllib3/connection.py", 9, "urllib3.connection"],
        [f"{site}/requests/api.py", 9, "requests.api"],
        [f"{site}/huggingface_hub/file_download.py", 33, "huggingface_hub.file_download"],
        [f"{site}/transformers/hub.py", 12, "transformers.hub"],
        ["<import trainer>", 1, "__main__"],
    ]
    rows = []
    for number, at in enumerate((10.0, 15.0, 25.0)):
        common = {"kind": "network", "host": "huggingface.co", "port": 443, "cells": {}, "stack": stack}
        rows.append({**common, "id": f"1-{number}", "event": "socket.getaddrinfo", "at": at})
        rows.append({"kind": "end", "id": f"1-{number}", "at": at + 1})
    (found,) = attempts(rows, own=Path("/own"))
    assert found.by == "transformers → huggingface_hub (huggingface_hub/file_download.py:33)"
    assert (found.seconds, found.tries, found.line) == (16.0, 3, "import trainer")
    assert found.stops == ("HF_HUB_OFFLINE", "1")


def test_what_other_code_writes_into_a_log_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"kind": "import", "n": 1}\n5\n[]\nnull\n{"kind": 5}\n{}\n' + "[" * 200_000 + '\n{"kind": "cut')
    assert rows_of(log) == ({"kind": "import", "n": 1},)
