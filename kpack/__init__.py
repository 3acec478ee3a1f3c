"""Carry a Python environment and its model checkpoints into a Kaggle notebook that has no internet."""

__version__ = "0.1.0"
