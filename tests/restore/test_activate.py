"""What a restore sets in the running process, and who will not see it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING

from kpack.restore.activate import unseen

if TYPE_CHECKING:
    import pytest

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
