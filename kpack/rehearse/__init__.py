"""The proof before Kaggle: a pack restored in a look-alike of the kernel, with the network cut."""

from kpack.rehearse.container import rehearse_in
from kpack.rehearse.model import Attempt, Imported, Rehearsal, Step, Walls
from kpack.rehearse.options import NEEDED, RehearsalOptions
from kpack.rehearse.run import rehearse

__all__ = ["NEEDED", "Attempt", "Imported", "Rehearsal", "RehearsalOptions", "Step", "Walls", "rehearse", "rehearse_in"]
