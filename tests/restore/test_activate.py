"""What a restore sets in the running process, and who will not see it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

import pytest

from kpack.restore import activate
from kpack.restore.activate import unseen
from kpack.restore.errors import RestoreError
from kpack.restore.scheme import for_target

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"HF_HUB_CACHE": "/kaggle/tmp/hub", "HF_HUB_OFFLINE": "1", "TOKENIZERS": "x"}


def test_a_hub_client_that_was_imported_before_its_variables_are_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENV:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "huggingface_hub.constants", raising=False)
    assert unseen(ENV) == []
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", ModuleType("huggingface_hub.constants"))
    (note,) = unseen(ENV)
    assert note.startswith("huggingface_hub was imported before this and will not see HF_HUB_CACHE and HF_HUB_OFFLINE")
    assert unseen({"OTHER": "1"}) == []


def test_variables_that_were_set_before_need_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub.constants", ModuleType("huggingface_hub.constants"))
    for name, value in ENV.items():
        monkeypatch.setenv(name, value)
    assert unseen(ENV) == []


@pytest.mark.parametrize("content", [b"import sys; sys.exit(3)\n", pytest.param(b"\xff\xfe\xcb\n", id="no text")])
def test_a_pth_file_that_ends_every_python_is_named_with_its_owner(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.version_info >= (3, 13) and b"sys" not in content:
        pytest.skip("reads any bytes")
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PYTHONPATH", "")
    hook = tmp_path / "hook.pth"
    hook.write_bytes(content)
    with pytest.raises(RestoreError, match="which thing brings, ends every Python that starts here") as caught:
        activate.finish(for_target(str(tmp_path)), {}, {str(hook): "thing"})
    assert (caught.value.code, caught.value.where) == (7, str(hook))
