"""What base packages require, where the snapshot does not say: asked of the index once, then kept for good."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

from kpack.files import write_text
from kpack.resolve.ask import address
from kpack.resolve.child import ask
from kpack.resolve.worker.request import Provided, WorkerRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from packaging.utils import NormalizedName
    from packaging.version import Version

    from kpack.environment import Environment
    from kpack.target import Target

FILE = "base-requires.json"


class BaseRequires:
    """Requires-Dist by name and version: call it, or `fetch` many at once first.

    A version that no wheel of the index has is None: nobody can say what it requires without building it. A local
    version (``2.10.0+cu128``) that the index does not have is answered by its public version.
    """

    def __init__(
        self, environment: Environment, target: Target, *, cache_dir: Path | None, index_url: str | None = None
    ) -> None:
        self._environment = environment
        self._target = target
        self._index_url = index_url
        self._cache_dir = cache_dir
        self._lock = threading.Lock()
        self._known = self._kept()

    def __call__(self, name: NormalizedName, version: Version) -> tuple[str, ...] | None:
        """Return the Requires-Dist lines, or None when the index does not have them.

        Raises:
            NetworkError: an index did not answer.

        """
        with self._lock:
            self._fetch([(name, version)])
            lines = self._known[_key(name, version)]
        return None if lines is None else tuple(lines)

    def fetch(self, wanted: Iterable[tuple[NormalizedName, Version]]) -> None:
        """Ask the index for all of ``wanted`` that is not known yet, in one go."""
        with self._lock:
            self._fetch(wanted)

    def _fetch(self, wanted: Iterable[tuple[NormalizedName, Version]]) -> None:
        missing = [(name, version) for name, version in wanted if _key(name, version) not in self._known]
        if not missing:
            return
        request = WorkerRequest(
            label=self._target.label,
            python_version=self._target.python_version,
            python_full_version=self._target.python_full_version,
            environment=dict(self._target.environment),
            tags=tuple(str(tag) for tag in self._target.tags),
            asked=(),
            provided=tuple(Provided(name=name, version=str(version)) for name, version in missing),
            indexes=address(self._environment, self._index_url),
            cache_dir=str(self._cache_dir) if self._cache_dir else "",
            only_requires=True,
        )
        found: dict[str, list[str] | None] = ask([request])[0]["requires"]
        self._known |= self._kept() | {_key(name, version): found[name] for name, version in missing}
        if self._cache_dir is not None:
            write_text(self._cache_dir / FILE, json.dumps(self._known, sort_keys=True, indent=0) + "\n")

    def _kept(self) -> dict[str, list[str] | None]:
        if self._cache_dir is None:
            return {}
        try:
            found = json.loads((self._cache_dir / FILE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _key(name: NormalizedName, version: Version) -> str:
    return f"{name}=={version}"
