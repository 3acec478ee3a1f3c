"""Candidates of a name as pip's resolver goes through them: sequences that make each one when it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pip._internal.models.candidate import InstallationCandidate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pip._internal.models.link import Link
    from pip._vendor.packaging.version import Version


class Choice(Sequence[InstallationCandidate]):
    """Candidates of one name, least preferred first; each is made when it is looked at: most never are."""

    def __init__(self, name: str, versions: Sequence[Version], make: Callable[[Version], Link]) -> None:
        self.name = name
        self.versions = versions
        self.make = make

    def __len__(self) -> int:
        return len(self.versions)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Choice(self.name, self.versions[place], self.make)
        version = self.versions[place]
        return InstallationCandidate(self.name, str(version), self.make(version))

    @property
    def applicable_candidates(self) -> Choice:
        """What pip's BestCandidateResult calls it."""
        return self

    def iter_applicable(self) -> Iterator[InstallationCandidate]:
        """Do the same for pip 24.3 and older."""
        return iter(self)


class OwnFirst(Sequence[InstallationCandidate]):
    """The kernel's own version before all others; those are asked of the index when it does not do."""

    def __init__(self, own: InstallationCandidate, others: Callable[[], Choice]) -> None:
        self._own = own
        self._others = others

    def __len__(self) -> int:
        return 1 + len(self._others())

    def __getitem__(self, place: Any) -> Any:
        return [*self._others(), self._own][place]

    def __iter__(self) -> Iterator[InstallationCandidate]:
        """Yield all; pip looks through them for one that is not yanked, and the first is none."""
        yield self._own
        yield from self._others()

    def __reversed__(self) -> Iterator[InstallationCandidate]:
        """Yield the most preferred first."""
        yield self._own
        yield from reversed(self._others())

    @property
    def applicable_candidates(self) -> OwnFirst:
        """What pip's BestCandidateResult calls it."""
        return self

    def iter_applicable(self) -> Iterator[InstallationCandidate]:
        """Yield them for pip 24.3 and older, least preferred first."""
        return iter(self[:])
