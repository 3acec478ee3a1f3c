"""Tests of kpack.resolve."""
