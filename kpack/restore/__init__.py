"""The restore engine: plan, check, write, mark.

It travels inside the pack and runs in the kernel, so it is standard library only, Python 3.8 or newer, with
relative imports, and imports nothing else of kpack.
"""
