"""What other files say that a notebook needs, with a word on each of their lines: nothing in them is run."""

from __future__ import annotations

from kpack.importing.finding import Finding, Outcome
from kpack.importing.harvest import Harvest
from kpack.importing.image import constrain, distributions_of, settle
from kpack.importing.kinds import read

__all__ = ["Finding", "Harvest", "Outcome", "constrain", "distributions_of", "read", "settle"]
