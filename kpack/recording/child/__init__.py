"""What runs in the process that is recorded: standard library only, CPython 3.8 or newer."""
