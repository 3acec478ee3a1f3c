"""Carry a Python environment and its model checkpoints into a Kaggle notebook that has no internet."""

__version__ = "0.1.0"

DISTRIBUTION = "kaggle-kpack"
"""What a package index knows kpack as; the distribution named ``kpack`` there is somebody else's project."""
