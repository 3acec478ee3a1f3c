"""The pasted line, and the bootstrap that it pins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import kpack
from kpack.errors import IntegrityError
from kpack.files import is_sha256

LIMIT = 1000
"""Characters that the line stays under."""

NAME = re.compile(r"[A-Za-z0-9._-]{1,40}")
"""What a pack may be called; the line, which carries the name, stays under `LIMIT` with it."""

_TAIL = re.compile(rb'\nrun\(PACK, "([0-9a-f]{64})", ([1-9][0-9]{0,11})\)\n\Z')

_PROGRAM = """\
import sys
P=sys.path;s=P.pop(0)
import hashlib,os
P[:0]=s,;g=os.getenv;t=os.path;n='{name}.kpack.bin';w='{id}';\
p=g('KPACK_PACK')or g('KPACK_INPUT','/kaggle/input');q=[(3e3,p)];f=[f'kpack: no {{n}} of id {{w:.12}} in {{p}}'];k=7
for v,x in q:
 try:
  b=t.basename(x);y=x+'/bootstrap.py'*t.isdir(x);a=x==p or b in(n,n[:-4])
  if(a or'.kp'in b)and t.isfile(y):
   z=open(y,'rb').read(9**5)[512*(x==y):];h=hashlib.sha256(c:=z[:{size}]).hexdigest();k&=7-a*2;\
o=h==w;f+=x+': '+['damaged','other pack, id '[12*o:]+h[:12]][b'run(PACK'in z],
   if o*a:break
  if v*(x<y)>1:e=[z.path for z,_ in zip(os.scandir(x),'0'*999)if z.is_dir()or'.kp'in z.name];\
q+=[(v/-~len(e),z)for z in e]
 except OSError as e:f+=e,
else:print(*f,'attach or update it, or set KPACK_PACK',sep=chr(10),file=sys.stderr);\
'ps1'in dir(sys)or sys.exit(k);e=OSError(k);e._render_traceback_=list;raise e
PACK=x;exec(c)"""
"""What the line does; in the line itself a bar stands for each line end.

``P`` is sys.path; its first entry, the folder of the script or the working folder, provides none of the imports.
``q`` are places to look at with their share ``v`` of the search: a folder divides its share equally among the folders
in it, and one with a share of 1 or less is not listed. So at most some 3,000 folders are, of each at most 999
entries, no large input can use up the share of another one, and what Kaggle mounts is found at whatever depth: a
dataset, a notebook's output, a model, each in the old and in the new layout, and one folder deeper in them. ``x`` is
a pack when its name ``b`` is exactly right (or KPACK_PACK names it) and its bootstrap ``z`` has the digest ``w``.
``f`` tells what was found instead; ``c`` is the code that is run; ``k`` is the exit code. An interactive shell (it
has ``sys.ps1``: IPython and Jupyter kernels, too) would show an exit as ``use %tb to see the full traceback``: there it
is an error that renders as nothing beside that message.
"""


class Bootstrap(NamedTuple):
    """The first member of a pack: the fixed trust code and the digest of the manifest."""

    code: bytes
    manifest_sha256: str
    manifest_size: int


def generate(manifest_sha256: str, manifest_size: int) -> bytes:
    """Return bootstrap.py for a manifest of that digest and size (bytes)."""
    source = (Path(kpack.__file__).parent / "bootstrap.py").read_bytes()
    return source + f'\nrun(PACK, "{manifest_sha256}", {manifest_size})\n'.encode("ascii")


def parse(code: bytes, where: str) -> Bootstrap:
    """Read back what `generate` wrote.

    Raises:
        IntegrityError: the code does not end as kpack ends it.

    """
    tail = _TAIL.search(code)
    if tail is None:
        raise IntegrityError(
            "bootstrap.py does not end with the digest of a manifest", where=where, next="build the pack again"
        )
    return Bootstrap(code, tail[1].decode(), int(tail[2]))


def line(name: str, pack_id: str, size: int) -> str:
    """Return the line to paste: it finds the pack ``name``, checks its bootstrap of ``size`` bytes and runs it.

    It has no double quote, backslash, ``$`` or backtick, so that it also survives a shell.

    Raises:
        IntegrityError: the name is not one that a pack can have.

    """
    if not NAME.fullmatch(name):
        raise IntegrityError(
            f"a pack cannot be called {name!r:.80}: letters, digits, '.', '_' and '-' are allowed, 40 at most",
            where="name",
            next="build the pack again under another name",
        )
    if not is_sha256(pack_id):
        raise ValueError(f"not a pack id: {pack_id!r}")
    program = _PROGRAM.format(name=name, id=pack_id, size=size).replace("\n", "|")
    return f"exec('''{program}'''.translate({{124:10}}),{{}})"
