"""Files appear whole, with the permissions that the user's umask leaves."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from kpack import files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("proc", [True, False])
def test_umask_is_respected_and_survives_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proc: bool
) -> None:
    if not proc:

        def no_proc(*_: object, **__: object) -> object:
            raise FileNotFoundError

        monkeypatch.setattr("builtins.open", no_proc)
    old = os.umask(0o027)
    try:

        def write(number: int) -> None:
            for turn in range(20):
                files.write_text(tmp_path / f"{number}-{turn}", "x")

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
