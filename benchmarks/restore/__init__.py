"""Restore benchmarks: how long until a packed environment is importable, beside uv, pip, installer and the floor."""
