"""One run of a notebook or script with the network on, watched: what it downloads becomes ``[[checkpoints]]``."""
