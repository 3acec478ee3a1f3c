"""Whether a requirement counts where it is read, by its marker (PEP 508)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from packaging.markers import UndefinedEnvironmentName

if TYPE_CHECKING:
    from collections.abc import Mapping

    from packaging.requirements import Requirement


class OddMarker(ValueError):
    """A marker that nobody can answer; what it says stands behind the marker: ``"…" compares what …``."""


def counts(requirement: Requirement, environment: Mapping[str, str], extra: str = "") -> bool:
    """Tell whether ``requirement`` counts in an environment of markers when ``extra`` is asked for.

    Raises:
        OddMarker: it compares what cannot be compared (``python_version ~= "x"``), or asks for ``extras`` or
            ``dependency_groups``, which are of lock files alone (PEP 751).

    """
    if requirement.marker is None:
        return True
    try:
        return requirement.marker.evaluate({**environment, "extra": extra})
    except ValueError as error:
        raise OddMarker(f"compares what cannot be compared: {error}") from error
    except UndefinedEnvironmentName as error:  # a KeyError
        raise OddMarker(
            f"asks for {error.args[0]!r:.100}, which a requirement has not: extras are asked for by name[extra]"
        ) from error
