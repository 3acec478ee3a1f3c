"""The proof before Kaggle: a pack restored in a look-alike of the kernel, with the network cut."""

from kpack.rehearse.model import Attempt, Imported, Rehearsal, Step, Walls
from kpack.rehearse.run import NEEDED, Options, rehearse

__all__ = ["NEEDED", "Attempt", "Imported", "Options", "Rehearsal", "Step", "Walls", "rehearse"]
