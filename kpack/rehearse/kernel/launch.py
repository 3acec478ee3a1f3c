"""Starts ipykernel in the rehearsed interpreter: ``launch.py FOLDER -f CONNECTION_FILE``.

ipykernel and what it needs lie in ``FOLDER``, looked at after everything else, so that they hide nothing of the
environment; an empty word is for an interpreter that has its own. Standard library only, CPython 3.8 or newer.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    sys.path[0] = ""
    folder = sys.argv.pop(1)
    if folder:
        sys.path.append(folder)
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()
