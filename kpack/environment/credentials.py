"""The secrets that a lock leaves out, from the file that has them, or names the variables that do."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kpack import urls
from kpack.urls import Credentials

if TYPE_CHECKING:
    from kpack.environment.model import Environment


def credentials_of(environment: Environment) -> Credentials:
    """Return the secrets that a lock of ``environment`` leaves out: of its indexes, packages and checkpoints.

    Raises:
        UsageError: an index URL names an environment variable that is not set.

    """
    folder = environment.path.parent
    direct = (word for package in environment.packages for word in package.text.split() if "://" in word)
    return Credentials.of(
        [
            os.environ.get("KPACK_INDEX_URL", ""),
            *(index.location(folder) for index in environment.indexes),
            *direct,
            *(url for checkpoint in environment.checkpoints for url in checkpoint.urls),
            *(urls.expanded(source.url, of="apt-sources") for source in environment.apt_sources),
        ]
    )
