"""The pasted line, and the bootstrap that it pins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import resources

from kpack.errors import IntegrityError
from kpack.files import is_sha256

LIMIT = 1000
"""Characters that the line stays under."""

_TAIL = re.compile(rb'\nrun\(PACK, "([0-9a-f]{64})", ([1-9][0-9]*)\)\n\Z')

_LINE = (
    "exec('''import glob,hashlib,os,sys;n='{name}.kpack';w='{id}';m={size};"
    "r=os.environ.get('KPACK_INPUT','/kaggle/input');"
    "p=os.environ.get('KPACK_PACK');"
    "c=[p] if p else [f for g in ('*','datasets/*/*','notebooks/*/*','models/*/*/*/*/*') for d in ('/','/dist/') "
    "for s in ('.bin','') for f in sorted(glob.glob(glob.escape(r)+'/'+g+d+n+s))];"
    "c=[(f,d,hashlib.sha256(d).hexdigest()) "
    "for f in c for b,k in [(f+'/bootstrap.py',0) if os.path.isdir(f) else (f,512)]"
    " if os.path.isfile(b) for d in [open(b,'rb').read(k+m)[k:]]];"
    "g=[x for x in c if x[2]==w];"
    "g or sys.exit(print('kpack: no '+n+'.bin of id '+w[:12],"
    "*['found '+f+': another version (still mounted?) or damaged, id '+h[:12] for f,d,h in c]"
    " or ['nothing of that name in '+(p or r)+': attach it'],sep=chr(10),file=sys.stderr) or (5 if c else 7));"
    "exec(compile(g[0][1],'bootstrap.py','exec'),{{'PACK':g[0][0],'__name__':'kpack_bootstrap'}})''',{{}})"
)


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """The first member of a pack: the fixed trust code and the digest of the manifest."""

    code: bytes
    manifest_sha256: str
    manifest_size: int


def generate(manifest_sha256: str, manifest_size: int) -> bytes:
    """Return bootstrap.py for a manifest of that digest and size (bytes)."""
    source = resources.files("kpack").joinpath("bootstrap.py").read_bytes()
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
    """
    assert is_sha256(pack_id)
    text = _LINE.format(name=name, id=pack_id, size=size)
    assert len(text) < LIMIT, f"the line has {len(text)} characters"
    assert not set(text) & set('"\\$`\n')
    return text
