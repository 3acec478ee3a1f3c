"""The trust code of a pack, run by the pasted line after it has checked this file against its own digest.

It checks kpack.json against the digest in the last line, restore.bin (the engine) against the one in kpack.json,
and hands over. It uses nothing of a pack that it has not hashed, and writes only to a private folder.
"""

import os  # every interpreter has these two when it starts; any other name might be a file of the working folder
import sys

ENGINE = "kpack_restore"  # the package inside restore.bin
LIBRARY = os.path.dirname(os.path.realpath(os.__file__))


PATH = list(sys.path)
# An import passes over what is no text, a Path say.
TEXTS = [item for item in PATH if isinstance(item, str) and "\0" not in item]  # type: ignore[redundant-expr]


def strange() -> "dict[str, str]":
    """Return the entries of sys.path that are the working folder or the script's, each with the folder that it is."""
    script = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        places = {os.path.realpath(os.path.dirname(path)) for path in (script, os.getcwd() + os.sep) if path}
        return {item: os.path.realpath(item) for item in TEXTS if os.path.realpath(item) in places - {LIBRARY}}
    except OSError:  # the working folder is not there any more, and so has no modules
        return {"": ""}


STRANGE = strange()


def take_out() -> "dict[str, object]":
    """Take modules out of sys.modules that came from there in place of Python's own, and return them."""
    folders = set(STRANGE.values())
    places = filter(os.path.isdir, (LIBRARY, os.path.join(LIBRARY, "lib-dynload")))
    standard = getattr(sys, "stdlib_module_names", ())  # since 3.10
    standard = standard or {name.partition(".")[0] for place in places for name in os.listdir(place)}
    found = set()
    for name in standard if folders else ():
        path = getattr(sys.modules.get(name), "__file__", None)
        if path:
            place, file = os.path.split(os.path.realpath(path))
            if (os.path.dirname(place) if file.startswith("__init__.") else place) in folders:
                found.add(name)
    return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in found}


TAKEN_OUT = take_out()
sys.path[:] = [item for item in TEXTS if item not in STRANGE]
try:
    import fcntl
    import hashlib
    import importlib.machinery
    import json
    import shutil
    import tempfile
    import zipimport
finally:
    SAFE, sys.path[:] = [item for item in sys.path if "-packages" not in item], PATH


class Untrusted(Exception):
    """The pack or the interpreter cannot be trusted with the other; ``code`` is the exit code."""

    def __init__(self, what: str, code: int = 5) -> None:
        super().__init__(what)
        self.code = code


def run(pack: str, sha256: str, size: int) -> None:
    """Restore ``pack``, a file or the folder it became, whose kpack.json has this digest and size in bytes.

    When that fails, the message is on stderr, and SystemExit raised with the exit code; in an interactive shell, which
    has sys.ps1 (IPython's, too) and would say "use %tb to see the full traceback", RuntimeError, rendered as one line.
    """
    place, folder, options = pack, None, globals().get("OPTIONS", {})
    try:
        boot, manifest, engine = parts(pack, sha256, size)
        place = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 - named only
        folder = tempfile.mkdtemp(prefix="kpack-restore-")
        code = hand_over(folder, engine, pack, manifest, hashlib.sha256(boot).hexdigest(), options)
    except (Untrusted, OSError) as error:
        code = fail(error, pack, place, options)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        put_back()
    if code:
        ending = (SystemExit, RuntimeError)[hasattr(sys, "ps1")](code)
        ending._render_traceback_ = lambda: ["kpack: not restored, exit code {}".format(code)]  # type: ignore[union-attr]
        raise ending


def parts(pack: str, sha256: str, size: int) -> "tuple[bytes, bytes, bytes]":
    """Return bootstrap.py, kpack.json and the engine; the last two verified."""
    if sys.version_info < (3, 8):
        raise Untrusted("the pack needs Python 3.8 or newer, this is " + sys.version.split()[0], 6)
    if os.path.isfile(pack):
        # A tar header is one block of 512 bytes; the size in it is octal. Data is padded to whole blocks.
        digits = read(pack, 124, 11)
        if digits.strip(b"01234567") or not 0 < int(digits or b"0", 8) < 1 << 20:
            raise Untrusted("the first header is damaged")
        start = 512 + (int(digits, 8) + 511) // 512 * 512 + 512
        boot, manifest = read(pack, 512, int(digits, 8)), read(pack, start, size)
    else:
        start = -1
        boot, manifest = (read(os.path.join(pack, name)) for name in ("bootstrap.py", "kpack.json"))
    check("kpack.json", manifest, sha256)
    table = json.loads(manifest.decode("ascii"))
    member = next(item for item in table["members"] if item["path"] == table["engine"])
    if start > 0:
        engine = read(pack, start + (size + 511) // 512 * 512 + member["offset"], member["size"])
    else:
        engine = read(os.path.join(pack, member["path"]))
    check(member["path"], engine, member["sha256"])
    return boot, manifest, engine


def read(path: str, offset: int = 0, size: int = -1) -> bytes:
    """Return bytes of a file; a pipe in its place is not waited for."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        stream.seek(offset)
        return stream.read(size)


def check(name: str, data: bytes, sha256: str) -> None:
    """Stop unless the bytes have the digest."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise Untrusted("{} is damaged: sha256 is {}, expected {}".format(name, found, sha256))


def hand_over(folder: str, engine: bytes, pack: str, manifest: bytes, mark: str, options: "dict[str, object]") -> int:
    """Import the engine from ``folder`` under a name of its own and run it; return the exit code."""
    held, path = os.open(folder, os.O_RDONLY), os.path.join(folder, "restore.zip")
    fcntl.flock(held, fcntl.LOCK_EX)  # what has content and is held by nobody other restores remove
    with open(path, "xb") as stream:
        stream.write(engine)
    forget()
    finders = {place: Sources(place) for place in (path, os.path.join(path, ENGINE))}
    sys.path_importer_cache.update(finders)
    finder = importlib.machinery.PathFinder
    sys.meta_path.insert(sys.meta_path.index(finder) if finder in sys.meta_path else 0, Safe())
    before, sys.path[:] = sys.path[:], [path, *SAFE]
    try:
        try:
            main = importlib.import_module(ENGINE + ".main").main
        finally:
            sys.path[:] = before
        code: int = main(pack, manifest, mark, options)
    finally:
        sys.meta_path[:] = [item for item in sys.meta_path if not isinstance(item, Safe)]
        for place in finders:
            sys.path_importer_cache.pop(place, None)
        forget()
        os.close(held)
    return code


class Safe:
    """Finds Python's own modules where they are, and nowhere else, before the working folder has its turn."""

    def find_spec(self, fullname, path=None, target=None):  # type: ignore[no-untyped-def]  # noqa: ARG002
        """Return the spec of such a module, None for any other. Raises ImportError for one of another platform."""
        spec = importlib.machinery.PathFinder.find_spec(fullname, SAFE) if path is None else None
        if spec is None and fullname in getattr(sys, "stdlib_module_names", ()):
            raise ModuleNotFoundError("No module named {!r}".format(fullname), name=fullname)
        return spec


def put_back() -> None:
    """Give the process the modules back that were taken out; name those whose place the engine needed."""
    for name, module in TAKEN_OUT.items():
        if name in sys.modules and "." not in name:
            place = getattr(module, "__file__", "")
            print("kpack: {} hides Python's own module {}: rename it".format(place, name), file=sys.stderr)
    sys.modules.update(TAKEN_OUT)  # type: ignore[arg-type]


class Sources(zipimport.zipimporter):
    """Modules of the engine. Its base compiles each one twice, the first time only to tell its file name."""

    def get_filename(self, fullname: str) -> str:
        """Return what the base returns."""
        name = fullname.rpartition(".")[2] + (os.sep + "__init__" if self.is_package(fullname) else "")
        return os.path.join(self.archive, self.prefix + name + ".py")


def forget() -> None:
    """Drop the engine's modules, so that another pack brings its own."""
    for name in [name for name in sys.modules if name.split(".")[0] == ENGINE]:
        del sys.modules[name]


def fail(error: Exception, pack: str, place: str, options: "dict[str, object]") -> int:
    """Say what went wrong, and in which place, and return the exit code."""
    code, n = getattr(error, "code", 7), getattr(error, "errno", 0) or 0
    advice = "check that the input is attached" if place == pack else "free some space there, or set TMPDIR"
    advice = {5: "upload or copy the pack again", 6: "use a newer image", -27: "lift ulimit -f"}.get(-n or code, advice)
    if options.get("json"):
        print(json.dumps({"error": {"code": code, "what": str(error), "where": place, "next": advice}}))
    else:
        print("kpack: {}: {}\n  next: {}".format(place, error, advice), file=sys.stderr)
    return code
