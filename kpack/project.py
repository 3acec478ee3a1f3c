"""A project: one kaggle-env.toml, the lock beside it, the pack in ``dist``. The steps are `locking` and `building`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kpack import environment as environments
from kpack import source
from kpack.errors import CheckFailed, UsageError
from kpack.lock import load as load_lock
from kpack.lock import stale

if TYPE_CHECKING:
    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.lock import Lock
    from kpack.urls import Credentials


@dataclass(frozen=True)
class Project:
    """The files of one environment; reading them is put off until they are asked for."""

    config: Path
    """kaggle-env.toml."""

    @classmethod
    def find(cls, config: Path | None) -> Project:
        """Return the project of ``config``, or of the nearest kaggle-env.toml upwards.

        Raises:
            UsageError: there is none.

        """
        return cls(environments.find(Path.cwd()) if config is None else config)

    @cached_property
    def environment(self) -> Environment:
        """The checked kaggle-env.toml; raises UsageError with every mistake in it."""
        return environments.load(self.config)

    @cached_property
    def meaning(self) -> str:
        """SHA-256 of what the file means."""
        return environments.meaning_digest(self.environment)

    @cached_property
    def bases(self) -> tuple[BaseImage, ...]:
        """The base images that the file names."""
        from kpack import base

        return tuple(base.load(ref, self.config.parent) for ref in self.environment.bases)

    @cached_property
    def credentials(self) -> Credentials:
        """What a lock leaves out of its URLs, as the file and its environment variables hold it."""
        from kpack.environment.credentials import credentials_of

        return credentials_of(self.environment)

    @property
    def lock_path(self) -> Path:
        """``pylock.<stem>.toml``."""
        return self.environment.lock_path

    @property
    def pack_path(self) -> Path:
        """``dist/<name>.kpack.bin``."""
        return self.config.parent / "dist" / f"{self.environment.name}.kpack.bin"

    @cached_property
    def lock(self) -> Lock | None:
        """The lock, or None when there is none; raises IntegrityError for one that kpack did not write."""
        return load_lock(self.lock_path) if self.lock_path.exists() else None

    def stale(self) -> tuple[str, ...]:
        """Return why the lock does not speak for the file any more; empty when it does."""
        if self.lock is None:
            return (f"there is no {self.lock_path.name}",)
        reasons = stale(self.lock, self.environment, self.bases, meaning=self.meaning)
        files = (f"{path} changed" for path in self.changed_checkpoints)
        return (*reasons, *source.changed(self.lock, self.config.parent), *files)

    @cached_property
    def changed_checkpoints(self) -> tuple[str, ...]:
        """Paths of checkpoints whose local file is not the one that was locked any more; large ones are read for it.

        Those whose sha256 stands in kaggle-env.toml are not meant: for them another file is a wrong one.
        """
        if self.lock is None or not any(each.urls[0].startswith("file:") for each in self.lock.checkpoints):
            return ()
        from kpack.checkpoints import local

        declared = {each.path for each in self.environment.checkpoints if each.sha256 is not None}
        meant = (each for each in self.lock.checkpoints if each.path not in declared)
        return local.changed(meant, self.config.parent, since=self.lock_path.stat().st_mtime_ns)

    def current_lock(self) -> Lock:
        """Return the lock that speaks for the file.

        Raises:
            UsageError: there is none.
            CheckFailed: it is stale.

        """
        if self.lock is None:
            raise UsageError("there is no lock", where=str(self.lock_path), next="run kpack lock first")
        if reasons := self.stale():
            raise CheckFailed(
                "the lock is stale: " + "; ".join(reasons), where=str(self.lock_path), next="run kpack lock, then build"
            )
        return self.lock
