"""Verdicts on native code, over real wheels."""
