"""The child process that resolves one target: JSON in, JSON lines out.

It runs pip-tools' resolver for the *target*, never for the interpreter that runs it, so nothing here looks at the host.
pip's and pip-tools' internals are touched in `seams`, what it puts in (`finder`, `candidates`, `pip_builds`, `quiet`)
and `distribution` only.
"""
