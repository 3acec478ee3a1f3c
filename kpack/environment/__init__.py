"""kaggle-env.toml as a frozen value: reading it, its meaning, and edits that keep comments."""

from kpack.environment.digest import meaning_digest
from kpack.environment.errors import EnvironmentFileError
from kpack.environment.model import (
    DEFAULT_PLATFORM,
    UNSIGNED,
    AptSource,
    CheckpointRequest,
    Environment,
    Exclusion,
    Index,
    Package,
    RestoreOptions,
)
from kpack.environment.read import find, load, mistakes_in, parse
from kpack.places import FILE_NAME

__all__ = [
    "DEFAULT_PLATFORM",
    "FILE_NAME",
    "UNSIGNED",
    "AptSource",
    "CheckpointRequest",
    "Environment",
    "EnvironmentFileError",
    "Exclusion",
    "Index",
    "Package",
    "RestoreOptions",
    "find",
    "load",
    "meaning_digest",
    "mistakes_in",
    "parse",
]
