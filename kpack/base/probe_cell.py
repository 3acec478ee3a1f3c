"""kpack probe: write down what this kernel has, for ``base = "./kaggle-base.json"`` in kaggle-env.toml.

Run it as the first cell of a fresh session, then download kaggle-base.json from the notebook's output.
Standard library only, CPython 3.8 or newer. Of environment variables it reads the digest of the image and the
loader's search path (the names of the shared libraries in its folders are written down), and no other.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from importlib import metadata
from typing import Any, Dict, List, Optional, Set, Tuple

MANY = 2000
"""Entries of ``outside`` up to which a distribution's are written down."""
COMMON = {
    *["bench", "benchmark", "benchmarks", "bin", "ci", "conf", "config", "data", "doc", "docs", "example", "examples"],
    *["include", "lib", "notebooks", "resources", "samples", "script", "scripts", "share", "src", "test", "testing"],
    *["tests", "tools", "util", "utils"],
}
"""Names of folders that tell nothing of whose they are: their files are written down one by one, up to `FEW`."""
FEW = 64
SHIPPED: Dict[str, str] = {}
"""The snapshot that kpack ships by the digest of its docker image; `kpack.base.probe` fills it in."""
MOST = 20000
"""Libraries up to which they are written down: kpack reads no longer list."""
LARGEST = 64 << 20
"""Characters of a file that are read at most."""
LIBRARY = re.compile(r"lib[\w+.-]*\.so(\.\d+)*$|ld-linux[\w-]*\.so\.\d+$", re.ASCII)
LOADER = {"x86_64": "x86-64", "aarch64": "AArch64"}
"""What ``ldconfig -p`` calls the libraries of this machine."""

VERSION = re.compile(
    r"v?(\d+!)?\d+(\.\d+)*([-_.]?(a|b|c|rc|alpha|beta|pre|preview|post|rev|r|dev)[-_.]?\d*|-\d+)*(\+[\w.-]+)?",
    re.IGNORECASE,
)


def matching(pattern: str, text: Optional[str]) -> Optional[str]:
    """Return the first match of ``pattern``."""
    found = re.search(pattern, text or "")
    return found.group(0) if found else None


def first_line(path: str) -> Optional[str]:
    """Return the start of a small file in harmless characters, None when it is not there."""
    try:
        with open(path) as stream:
            return matching(r"^[\w:./ +-]{1,64}", stream.readline())
    except OSError:
        return None


def marker_environment() -> Dict[str, str]:
    """Return the variables of environment markers (dependency specifiers specification)."""
    info = sys.implementation.version
    suffix = "" if info.releaselevel == "final" else info.releaselevel[0] + str(info.serial)
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": "{}.{}.{}{}".format(info.major, info.minor, info.micro, suffix),
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": platform.python_version(),
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "sys_platform": sys.platform,
    }


def glibc() -> str:
    """Return the version of the C library, ``0.0`` when it is not glibc."""
    try:
        said = os.confstr("CS_GNU_LIBC_VERSION")
    except (AttributeError, OSError, ValueError):
        said = None
    return matching(r"\d+\.\d+", said) or matching(r"^\d+\.\d+", platform.libc_ver()[1]) or "0.0"


def image() -> Dict[str, str]:
    """Return what tells Kaggle's images apart."""
    found = {
        "digest": matching(r"sha256:[0-9a-f]{64}", os.environ.get("KAGGLE_DOCKER_IMAGE")),
        "build-date": first_line("/etc/build_date"),
        "git-commit": first_line("/etc/git_commit"),
    }
    return {key: value for key, value in found.items() if value}


def contents(path: str) -> str:
    """Return a file's bytes as characters, nothing when it cannot be read."""
    try:
        with open(path, encoding="latin-1") as stream:
            return stream.read(LARGEST)
    except OSError:
        return ""


def highest(versions: List[str]) -> str:
    """Return the highest of versions that are numbers and dots, the empty string for none."""
    return max(versions, key=lambda text: [int(part) for part in text.split(".")], default="")


def loadable() -> Optional[Dict[str, str]]:
    """Return path by name of the shared libraries that the loader finds, None when its cache cannot be listed."""
    said = None
    for program in ("/sbin/ldconfig", "/usr/sbin/ldconfig"):
        if os.access(program, os.X_OK):
            try:
                said = subprocess.run([program, "-p"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
            except (OSError, subprocess.SubprocessError):
                continue
            break
    if said is None or said.returncode:
        return None
    found = {}  # type: Dict[str, str]
    own = LOADER.get(platform.machine(), "")
    for line in said.stdout.decode("latin-1").split("\n"):
        row = re.match(r"\s+(\S+) \(libc6([^)]*)\) => (\S+)", line)
        if row and own in row.group(2):
            found.setdefault(row.group(1), row.group(3))
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        try:
            names = sorted(os.listdir(folder)) if folder else []
        except OSError:
            continue  # the loader does not mind either
        for name in names:
            if LIBRARY.match(name):
                found.setdefault(name, os.path.join(folder, name))
    return found


def gpus() -> List[str]:
    """Return model and compute capability of each GPU (``Tesla T4, 7.5``), nothing when there is none."""
    try:
        words = ["nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader"]
        said = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = said.stdout.decode("latin-1").split("\n") if not said.returncode else []
    return [row.strip() for row in rows if re.match(r"\s*[\w ./()-]{1,64}, \d{1,3}\.\d{1,3}\s*$", row)][:64]


def native() -> Dict[str, object]:
    """Return what native code finds: the system, its libraries, symbol versions of libstdc++, CUDA, driver, GPUs."""
    release = dict(line.split("=", 1) for line in contents("/etc/os-release").split("\n") if "=" in line)
    name = " ".join(release.get(key, "").strip("\"'") for key in ("NAME", "VERSION_ID"))
    found = {
        "os": matching(r"^[\w./ +-]{1,64}", name.strip()),
        "driver": matching(r"(?<=Module  )[\d.]+", contents("/proc/driver/nvidia/version")[:256]),
        "gpus": gpus(),
    }  # type: Dict[str, object]
    libraries = loadable()
    if libraries is not None and len(libraries) <= MOST:
        found["libraries"] = sorted(name for name in libraries if LIBRARY.match(name))
        symbols = contents(libraries.get("libstdc++.so.6", ""))
        for key in ("GLIBCXX", "CXXABI"):
            found[key.lower()] = highest(re.findall(key + r"_(\d+(?:\.\d+)+)\0", symbols))
        runtime = [os.path.realpath(path) for name, path in libraries.items() if name.startswith("libcudart.so")]
        found["cuda"] = highest(re.findall(r"\.so\.(\d+\.\d+)", " ".join(runtime)))
    return {key: value for key, value in found.items() if value}


def packages() -> List[str]:
    """Return name and version of the system packages that dpkg installed for this machine."""
    rows = {}
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), "")
    for block in contents("/var/lib/dpkg/status").split("\n\n"):
        row = dict(line.split(": ", 1) for line in block.split("\n") if re.match(r"[A-Z]\S*: \S", line))
        name, version = row.get("Package", ""), row.get("Version", "")
        whole = row.get("Status", "").split(" ")[-1] == "installed" and row.get("Architecture") in (machine, "all")
        if whole and re.match(r"[a-z0-9][a-z0-9+.-]{0,200}$", name) and re.match(r"\S{1,200}$", version):
            rows[name] = version
    return [name + " " + rows[name] for name in sorted(rows)]


def one_line(text: str) -> List[str]:
    """Return the archives in the one-line format of sources.list(5)."""
    found = re.findall(r"^[ \t]*deb[ \t]+(?:\[[^]\n]*\][ \t]+)?([^#\s]+(?:[ \t]+[^#\s]+)+)", text, re.MULTILINE)
    return [" ".join(row.split()) for row in found]


def stanzas(text: str) -> List[str]:
    """Return the archives in its deb822 format."""
    found = []  # type: List[str]
    for block in re.split(r"\n\s*\n", text):
        table = {key: value.split() for key, value in re.findall(r"^([A-Za-z-]+):(.*)", block, re.MULTILINE)}
        if "deb" in table.get("Types", []) and table.get("Enabled") != ["no"]:
            pairs = [(url, suite) for url in table.get("URIs", []) for suite in table.get("Suites", [])]
            found.extend(" ".join([*pair, *table.get("Components", [])]) for pair in pairs)
    return found


def archives() -> List[str]:
    """Return the archives of packages that apt is set up for: URL without credentials, suite, components."""
    folder = "/etc/apt/sources.list.d"
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        names = []
    rows = one_line(contents("/etc/apt/sources.list"))
    for path in (os.path.join(folder, name) for name in names):
        if path.endswith((".list", ".sources")):
            rows += (one_line if path.endswith(".list") else stanzas)(contents(path))
    rows = [re.sub(r"://[^/@\s]*@", "://", row) for row in rows]
    return [row for row in dict.fromkeys(rows) if re.match(r"(https?|file):/[^?\s]* [\x21-\x7e ]+$", row)][:64]


def described(item: metadata.Distribution) -> Dict[str, object]:
    """Return name, version and requirements of a distribution, URLs without credentials."""
    return {
        "name": re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower(),
        "version": item.metadata["Version"],
        "requires-dist": [re.sub(r"://[^/@\s]*@", "://", line) for line in item.requires or []],
        "provides-extra": item.metadata.get_all("Provides-Extra") or [],
    }


def scheme() -> Dict[str, str]:
    """Return the folders that ``pip install`` installs to; Debian patched only distutils before 3.10."""
    preferred = getattr(sysconfig, "get_preferred_scheme", None)
    paths = sysconfig.get_paths(preferred("prefix")) if preferred else sysconfig.get_paths()
    if preferred is None and paths["purelib"] not in sys.path and sys.prefix == sys.base_prefix:
        data = os.path.join(sys.prefix, "local")
        local = os.path.join(data, "lib", "python{}.{}".format(*sys.version_info[:2]), "dist-packages")
        if local in sys.path:
            paths.update(purelib=local, platlib=local, scripts=os.path.join(data, "bin"), data=data)
    if sys.prefix != sys.base_prefix:
        paths["include"] = os.path.join(sys.prefix, "include", "site", "python{}.{}".format(*sys.version_info[:2]))
    return {key: os.path.abspath(paths[key]) for key in ("purelib", "platlib", "scripts", "data", "include")}


class Place:
    """Where a distribution is, and what it says of its files."""

    def __init__(self, item: metadata.Distribution) -> None:
        self.library = os.path.abspath(str(item.locate_file("")))
        """The folder that its modules are imported from."""
        self.metadata = str(getattr(item, "_path", ""))
        self.tops = (self._read(item, "top_level.txt") or "").split()
        self.list = ""
        """The name of the file that lists its files; empty when none does."""
        self.files: List[str] = []
        """Absolute paths, bytecode left out."""
        for name in ("RECORD", "installed-files.txt"):
            text = self._read(item, name)
            if not text:
                continue
            # Paths of a RECORD start at the library, those that setuptools wrote at the metadata folder.
            start = self.library if name == "RECORD" else self.metadata
            try:
                rows = (
                    [row[0] for row in csv.reader(io.StringIO(text)) if row] if name == "RECORD" else text.split("\n")
                )
            except csv.Error:
                continue  # a list that cannot be read is none
            self.list = name
            paths = {os.path.normpath(os.path.join(start, row)) for row in rows if row.strip()}
            self.files = sorted(path for path in paths if not path.endswith(".pyc"))
            break

    @staticmethod
    def _read(item: metadata.Distribution, name: str) -> Optional[str]:
        try:
            return item.read_text(name)
        except (OSError, UnicodeError):
            return None  # a list that cannot be read is none

    def modules(self) -> Set[str]:
        """Return the paths of the modules that it installed, as far as it says."""
        if self.list:
            return {path for path in self.files if path.endswith((".py", ".so"))}
        ends = (".py", os.sep + "__init__.py")
        return {os.path.join(self.library, top + end) for top in self.tops for end in ends}

    def removal(self, own: Dict[str, str]) -> Optional[str]:
        """Return how a restore makes room for another version of it; None when that cannot be told."""
        homes = [own["purelib"], own["platlib"]]
        if self.library in homes:
            if self.metadata.endswith(".dist-info"):
                return "record" if self.list == "RECORD" else "none"
            return "installed-files" if self.list else "none"
        order = [os.path.abspath(folder or ".") for folder in sys.path]
        if self.library not in order or not set(homes) & set(order):
            return None
        return "hidden" if order.index(self.library) > min(order.index(at) for at in homes if at in order) else "hides"


class Files:
    """Which folder belongs to which distribution as a whole."""

    def __init__(self, places: Dict[str, Place], data: str) -> None:
        self.data = data
        self.counts: Dict[str, Dict[str, int]] = {}
        """Files below each folder by distribution."""
        for name, place in places.items():
            for path in place.files:
                folder = os.path.dirname(path)
                while len(folder) > 1:
                    by = self.counts.setdefault(folder, {})
                    by[name] = by.get(name, 0) + 1
                    folder = os.path.dirname(folder)

    def summary(self, name: str, place: Place) -> Tuple[List[str], Optional[List[str]]]:
        """Return top-level names, and what else belongs to a distribution: files, and folders with a slash behind.

        A folder of its own directly in the library is told by its top-level name alone. What lies in the library is
        relative to it, the rest absolute. None when that is too much to write down.
        """
        tops = set(place.tops)
        outside = set()
        inside = place.library + os.sep
        for path in place.files:
            if path.startswith(inside):
                first, _, rest = path[len(inside) :].partition(os.sep)
                if rest and first.endswith((".dist-info", ".egg-info")):
                    continue
                if rest:
                    tops.add(first)
                elif first.endswith((".py", ".pyi", ".so")):
                    tops.add(first.partition(".")[0])
            entry = self._whole(name, path, inside)
            if entry != inside + entry[len(inside) :].partition(os.sep)[0] + os.sep:
                outside.add(entry[len(inside) :] if entry.startswith(inside) else entry)
        return sorted(tops), sorted(outside) if len(outside) <= MANY else None

    def _whole(self, name: str, path: str, inside: str) -> str:
        """Return the topmost folder above ``path`` that is the distribution's own, or ``path`` itself."""
        base, least = (inside[:-1], 1) if path.startswith(inside) else (self.data, 3)
        if not path.startswith(base + os.sep):
            return path
        parts = path[len(base) + 1 :].split(os.sep)[:-1]
        for depth in range(least, len(parts) + 1):
            folder = os.path.join(base, *parts[:depth])
            by = self.counts[folder]
            common = base == self.data or (depth == 1 and parts[0] in COMMON)
            if len(by) == 1 and (not common or by[name] > FEW):
                return folder + os.sep
        return path


def distributions(
    loaded: Dict[str, Any], own: Dict[str, str]
) -> Tuple[Dict[str, Dict[str, object]], Set[str], List[str], Dict[str, Set[str]]]:
    """Return distributions by name, names of unknown version, unreadable ones, and who owns which loaded module.

    They come in the order of the import system: the first of a name is the one that counts.
    """
    imported = {}
    for name, module in loaded.items():
        place = getattr(module, "__file__", None)
        if isinstance(place, str):
            imported[os.path.abspath(place)] = name.partition(".")[0]
    rows: Dict[str, Dict[str, object]] = {}
    places: Dict[str, Place] = {}
    unknown: Set[str] = set()
    skipped: List[str] = []
    owners: Dict[str, Set[str]] = {}
    for item in metadata.distributions():
        try:
            row = described(item)
            mine = Place(item)
        except Exception:  # noqa: BLE001 - metadata that cannot be read is no reason to be silent about the rest
            skipped.append(os.path.basename(str(getattr(item, "_path", "?"))))
            continue
        name = str(row["name"])
        if name in rows or name in unknown:
            continue
        if VERSION.fullmatch(str(row["version"])):
            rows[name] = row
        else:
            unknown.add(name)
        places[name] = mine
        for path in imported.keys() & mine.modules():
            owners.setdefault(imported[path], set()).add(name)
    files = Files(places, own["data"])
    for name, row in rows.items():
        row.update(whereabouts(name, places[name], files, own))
    return rows, unknown, sorted(skipped), owners


def whereabouts(name: str, place: Place, files: Files, own: Dict[str, str]) -> Dict[str, object]:
    """Return what a row says of files; what is not known is left out."""
    found: Dict[str, object] = {"removal": place.removal(own)}
    if place.library != own["purelib"]:
        found["library"] = place.library
    tops, outside = files.summary(name, place)
    if place.list:
        libraries = {os.path.basename(path) for path in place.files if ".libs" + os.sep not in path}
        found.update({"top-level": tops, "outside": outside})
        found["libraries"] = sorted(name for name in libraries if LIBRARY.match(name)) or None
    elif tops:
        found["top-level"] = tops
    return {key: value for key, value in found.items() if value is not None}


def is_standard(name: str, module: Any) -> bool:
    """Tell whether a module is Python's own."""
    if name in getattr(sys, "stdlib_module_names", ()) or name in sys.builtin_module_names:
        return True
    place = getattr(module, "__file__", None)
    if not isinstance(place, str):
        return not hasattr(module, "__path__")
    own = {os.path.realpath(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib")}
    place = os.path.realpath(place)
    return "-packages" not in place and any(place.startswith(folder + os.sep) for folder in own)


def preloaded(loaded: Dict[str, Any], owners: Dict[str, Set[str]]) -> Dict[str, List[str]]:
    """Return the top-level modules that were imported before this cell, each with the distributions it came from."""
    return {
        name: sorted(owners.get(name, ()))
        for name, module in sorted(loaded.items())
        # setuptools puts a stub for distutils into every interpreter; that is not setuptools.
        if name.isidentifier() and not name.startswith(("__", "_distutils_hack")) and not is_standard(name, module)
    }


def shell() -> Any:
    """Return IPython's shell, None where the cell does not run in one."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def snapshot() -> str:
    """Return the JSON text, one distribution a line."""
    kernel = getattr(shell(), "kernel", None) is not None
    loaded = dict(sys.modules)
    environment = marker_environment()
    own = scheme()
    rows, unknown, skipped, owners = distributions(loaded, own)
    tag = "cp{}{}".format(*sys.version_info[:2])
    libc = glibc()
    data = {
        "kpack-base": 1,
        "name": "probe-{}-{}".format(tag, platform.machine()),
        "taken": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d"),
        "certainty": "exact{}: written down by the {} itself".format(
            "" if kernel else " for distributions", "kernel" if kernel else "interpreter"
        ),
        "kernel": kernel,
        "environment": environment,
        "glibc": libc,
        "tags": {
            "interpreter": tag,
            "abi": tag + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
            "platform": "manylinux_{}_{}".format(libc.replace(".", "_"), platform.machine()),
        },
        "image": image(),
        "native": native(),
        "scheme": own,
        "preloaded": preloaded(loaded, owners),
        "default-from": "probe",
        "skipped": skipped,
        "unknown": sorted(unknown),
        "system": packages(),
        "apt-sources": archives(),
        "distributions": [],
    }
    head = json.dumps(data, indent=1).rpartition("[]")[0]
    body = ",\n  ".join(json.dumps(rows[name]) for name in sorted(rows))
    return "{}[\n  {}\n ]\n}}\n".format(head, body)


def probe(path: str = "kaggle-base.json") -> None:
    """Write the snapshot to ``path`` in a notebook or on Kaggle, and to stdout elsewhere."""
    text = snapshot()
    if shell() is None and not os.path.isdir("/kaggle/working"):
        sys.stdout.write(text)
        return
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    print("written:", os.path.abspath(path))
    digest = image().get("digest")
    if digest is not None:
        print("image:", digest, "({})".format(SHIPPED.get(digest, "none that kpack has a list of")))
    print('Download it, put it beside kaggle-env.toml, and write  base = "./{}"'.format(os.path.basename(path)))


if __name__ == "__main__":
    probe()
