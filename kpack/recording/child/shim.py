"""Stands on PATH in the place of wget, curl, git and aria2c: ``shim.py LOG FOLDER NAME WORD…``.

It writes down the words and the working folder, then becomes the program of that name that PATH has behind ``FOLDER``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

if __name__ == "__main__":
    log, folder, name = sys.argv[1:4]
    row = {"kind": "program", "words": [name, *sys.argv[4:]], "cwd": os.getcwd()}
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(descriptor, (json.dumps(row) + "\n").encode())
    os.close(descriptor)
    places = [place for place in os.environ.get("PATH", "").split(os.pathsep) if place != folder]
    program = shutil.which(name, path=os.pathsep.join(places))
    if program is None:
        sys.stderr.write("{}: command not found\n".format(name))
        sys.exit(127)
    os.execv(program, [name, *sys.argv[4:]])  # noqa: S606
