from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from packaging.utils import canonicalize_name

from kpack.environment import EnvironmentFileError, against, load
from tests.environment.corpus import HEAD

if TYPE_CHECKING:
    from pathlib import Path

KNOWN = [canonicalize_name(name) for name in ("numpy", "tokenizers", "transformers")]


def check(folder: Path, text: str) -> None:
    path = folder / "kaggle-env.toml"
    path.write_text(text)
    against.check(load(path), KNOWN)


def test_names_that_a_base_has_pass(tmp_path: Path) -> None:
    check(tmp_path, HEAD + 'replace = ["Tokenizers"]\nallow-broken = ["transformers"]\nallow-preloaded = ["numpy"]\n')


@pytest.mark.parametrize("key", ["replace", "allow-broken", "allow-preloaded"])
def test_a_name_that_no_base_has_is_a_mistake(tmp_path: Path, key: str) -> None:
    with pytest.raises(EnvironmentFileError) as caught:
        check(tmp_path, HEAD + f'{key} = ["numpy", "tokeniser"]\n')
    assert caught.value.what == f'{key}[1]: "tokeniser" is not in the base kaggle-gpu-py312-2026-08'
    assert caught.value.next == 'did you mean "tokenizers"?'
    with pytest.raises(EnvironmentFileError) as caught:
        check(tmp_path, HEAD + f'{key} = ["zzz"]\n')
    assert "remove it" in caught.value.next


def test_without_a_base_there_is_nothing_to_hold_against(tmp_path: Path) -> None:
    check(tmp_path, 'name = "x"\npython = "3.12"\nallow-preloaded = ["zzz"]\n')
