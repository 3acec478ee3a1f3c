"""A rehearsal of real wheels, among them packages that reach for the network when they are imported."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.run import Done, kpack
from tests.support.long import long_list
from tests.support.wheels import make_wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.index, pytest.mark.root, pytest.mark.usefixtures("walled")]

SERIES = f"{sys.version_info[0]}.{sys.version_info[1]}"

PHONES = """
import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

session = requests.Session()
session.mount("https://", HTTPAdapter(max_retries=Retry(2, backoff_factor=0.3)))
try:
    session.get("https://telemetry.example.org/v1/ping", timeout=5)
except requests.RequestException:
    pass
"""

LOADS = """
from huggingface_hub import hf_hub_download

def load():
    return hf_hub_download("someone/model", "config.json", etag_timeout=2)
"""


def good(folder: Path, *words: str) -> Done:
    for attempt in range(4):
        done = kpack(folder, *words)
        if done.code != 4:
            break
        time.sleep(2**attempt)
    assert done.code == 0, done.out + done.err
    return done


@long_list
def test_packages_that_phone_home_are_found_among_real_wheels(tmp_path: Path) -> None:
    make_wheel(tmp_path / "w", "phone-home", files={"phone_home/__init__.py": PHONES}, requires=["requests"])
    make_wheel(tmp_path / "w", "loader", files={"loader.py": LOADS}, requires=["huggingface-hub<1"])
    real = '"aiohttp", "jinja2", "rich", "pydantic", "httpx", "attrs", "click", "python-dateutil", "regex"'
    tmp_path.joinpath("kaggle-env.toml").write_text(
        f'name = "real"\npython = "{SERIES}"\n'
        f'packages = [{real}, "./w/phone_home-1.0-py3-none-any.whl", "./w/loader-1.0-py3-none-any.whl"]\n'
    )
    script = tmp_path / "inference.py"
    packed = good(tmp_path, "lock", "--json").json["targets"][0]["packed"]
    assert len(packed) >= 20
    line = good(tmp_path, "build", "--json").json["bootstrap"]
    script.write_text(f"{line}\nimport loader\ntry:\n    loader.load()\nexcept Exception as error:\n    print(error)\n")
    done = good(tmp_path, "rehearse", "--script", str(script), "--json").json
    assert all(item["ok"] for item in done["imports"])
    assert {"aiohttp", "jinja2", "phone_home", "loader"} <= {item["module"] for item in done["imports"]}
    calls = {item["host"]: item for item in done["network"]}
    assert set(calls) == {"telemetry.example.org", "huggingface.co"}
    ping = calls["telemetry.example.org"]
    assert ping["by"] == "phone_home (phone_home/__init__.py:9)"
    assert ping["line"] == "import phone_home"
    assert ping["tries"] == 3
    assert ping["seconds"] >= 0.6  # the pause of 0.6 s before the last try is part of the cost
    hub = calls["huggingface.co"]
    assert hub["by"].startswith("loader → huggingface_hub (")
    assert hub["line"].startswith("inference.py, line ")
    assert hub["env"] == {"HF_HUB_OFFLINE": "1"}
