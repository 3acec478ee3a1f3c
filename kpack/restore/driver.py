"""How ``kpack restore --python PATH`` runs the engine of a pack in another interpreter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, List, Mapping

if TYPE_CHECKING:
    import os

_SCRIPT = """\
import sys
sys.path[:] = [path for path in sys.path if path]
import hashlib, json, os
pack, expected, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
start = 0 if os.path.isdir(pack) else 512
with open(os.path.join(pack, "bootstrap.py") if os.path.isdir(pack) else pack, "rb") as stream:
    data = stream.read(1 << 20)
if start:
    data = data[start:start + int(data[124:135], 8)]
found = hashlib.sha256(data).hexdigest()
if found != expected:
    error = {"code": 5, "what": "the pack has id " + found + ", expected " + expected, "where": pack,
             "next": "name the pack that was verified"}
    print(json.dumps({"error": error}) if options.get("json") else "kpack: " + pack + ": " + error["what"],
          file=sys.stdout if options.get("json") else sys.stderr)
    sys.exit(5)
exec(compile(data, "bootstrap.py", "exec"), {"PACK": pack, "__name__": "kpack_bootstrap", "OPTIONS": options})
"""


def command(
    python: str | os.PathLike[str], pack: str | os.PathLike[str], pack_id: str, options: Mapping[str, Any]
) -> List[str]:
    """Return the command that restores a pack with the interpreter ``python``.

    ``pack_id`` is the id that the caller trusts: other bytes are not run (exit code 5). ``options`` are those of
    `kpack.restore.main.main`; with ``json`` the command prints one object on stdout, the report or the error. Its exit
    code is the one of the restore.
    """
    return [str(python), "-c", _SCRIPT, str(pack), pack_id, json.dumps(dict(options))]
