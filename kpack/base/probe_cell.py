"""kpack probe: write down what this kernel has, for ``base = "./kaggle-base.json"`` in kaggle-env.toml.

Run it as the first cell of a fresh session, then download kaggle-base.json from the notebook's output.
Standard library only, CPython 3.8 or newer. Of environment variables it reads the digest of the image and no other.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import sys
import sysconfig
from importlib import metadata
from typing import Any, Dict, List, Optional, Set, Tuple

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


def described(item: metadata.Distribution) -> Dict[str, object]:
    """Return name, version and requirements of a distribution, URLs without credentials."""
    return {
        "name": re.sub(r"[-_.]+", "-", item.metadata["Name"]).lower(),
        "version": item.metadata["Version"],
        "requires-dist": [re.sub(r"://[^/@\s]*@", "://", line) for line in item.requires or []],
        "provides-extra": item.metadata.get_all("Provides-Extra") or [],
    }


def places(item: metadata.Distribution) -> Set[str]:
    """Return the paths of the modules that a distribution installed, as far as it says."""
    folder = str(item.locate_file(""))
    record = item.read_text("RECORD") or item.read_text("installed-files.txt") or ""
    names = [line.split(",")[0].strip('"') for line in record.splitlines()]
    if not names:
        tops = (item.read_text("top_level.txt") or "").split()
        names = [top + end for top in tops for end in (".py", "/__init__.py")]
    return {os.path.abspath(os.path.join(folder, name)) for name in names if name.endswith((".py", ".so"))}


def distributions(
    loaded: Dict[str, Any],
) -> Tuple[Dict[str, Dict[str, object]], Set[str], List[str], Dict[str, Set[str]]]:
    """Return distributions by name, names of unknown version, unreadable ones, and who owns which loaded module.

    They come in the order of the import system: the first of a name is the one that counts.
    """
    files = {}
    for name, module in loaded.items():
        place = getattr(module, "__file__", None)
        if isinstance(place, str):
            files[os.path.abspath(place)] = name.partition(".")[0]
    rows: Dict[str, Dict[str, object]] = {}
    unknown: Set[str] = set()
    skipped: List[str] = []
    owners: Dict[str, Set[str]] = {}
    for item in metadata.distributions():
        try:
            row = described(item)
            mine = places(item)
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
        for place in files.keys() & mine:
            owners.setdefault(files[place], set()).add(name)
    return rows, unknown, sorted(skipped), owners


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


def snapshot() -> str:
    """Return the JSON text, one distribution a line."""
    loaded = dict(sys.modules)
    environment = marker_environment()
    rows, unknown, skipped, owners = distributions(loaded)
    tag = "cp{}{}".format(*sys.version_info[:2])
    libc = glibc()
    data = {
        "kpack-base": 1,
        "name": "probe-{}-{}".format(tag, platform.machine()),
        "taken": dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%d"),
        "certainty": "exact: written down by the kernel itself",
        "environment": environment,
        "glibc": libc,
        "tags": {
            "interpreter": tag,
            "abi": tag + ("t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""),
            "platform": "manylinux_{}_{}".format(libc.replace(".", "_"), platform.machine()),
        },
        "image": image(),
        "preloaded": preloaded(loaded, owners),
        "default-from": "probe",
        "skipped": skipped,
        "unknown": sorted(unknown),
        "distributions": [],
    }
    head = json.dumps(data, indent=1).rpartition("[]")[0]
    body = ",\n  ".join(json.dumps(rows[name]) for name in sorted(rows))
    return "{}[\n  {}\n ]\n}}\n".format(head, body)


def probe(path: str = "kaggle-base.json") -> None:
    """Write the snapshot to ``path`` in a notebook or on Kaggle, and to stdout elsewhere."""
    text = snapshot()
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None and not os.path.isdir("/kaggle/working"):
        sys.stdout.write(text)
        return
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    print("written:", os.path.abspath(path))
    print('Download it, put it beside kaggle-env.toml, and write  base = "./{}"'.format(os.path.basename(path)))


if __name__ == "__main__":
    probe()
