"""A source distribution whose setup.py imports torch and does not say so, and an interpreter that has a stand-in."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SETUP = 'import torch\n\nMODULE = f"TORCH = {torch.__version__!r}\\n"\n'

BACKEND = '''
"""Builds the wheel that setup.py describes."""
import base64, hashlib, os, zipfile
import setup

INFO = "kernels-1.0.dist-info"
METADATA = "Metadata-Version: 2.1\\nName: kernels\\nVersion: 1.0\\n"

def prepare_metadata_for_build_wheel(folder, config_settings=None):
    os.mkdir(os.path.join(folder, INFO))
    with open(os.path.join(folder, INFO, "METADATA"), "w") as stream:
        stream.write(METADATA)
    return INFO

def build_wheel(folder, config_settings=None, metadata_directory=None):
    files = {
        "kernels.py": setup.MODULE,
        INFO + "/METADATA": METADATA,
        INFO + "/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    rows = []
    for name, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(text.encode())}")
    files[INFO + "/RECORD"] = "\\n".join([*rows, INFO + "/RECORD,,", ""])
    with zipfile.ZipFile(os.path.join(folder, "kernels-1.0-py3-none-any.whl"), "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "kernels-1.0-py3-none-any.whl"
'''

FILES = {
    "setup.py": SETUP,
    "own.py": BACKEND,
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "own"\nbackend-path = ["."]\n',
}

TORCH = {
    "torch.py": '__version__ = "2.10.0+cu128"\n',
    "torch-2.10.0+cu128.dist-info/METADATA": "Metadata-Version: 2.1\nName: torch\nVersion: 2.10.0+cu128\n",
    "torch-2.10.0+cu128.dist-info/RECORD": "torch.py,,\ntorch-2.10.0+cu128.dist-info/METADATA,,\n",
}
"""What an image has of its torch, by path in site-packages."""


def kernels(folder: Path) -> Path:
    """Write the sdist of ``kernels`` 1.0."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "kernels-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in FILES.items():
            member = tarfile.TarInfo(f"kernels-1.0/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return path


def image(folder: Path, *, torch: bool = True) -> Path:
    """Make an interpreter that has the stand-in for torch, or nothing; return its executable."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=60)
    site = next(folder.glob("lib/python*/site-packages"))
    for name, text in (TORCH if torch else {}).items():
        (site / name).parent.mkdir(exist_ok=True)
        (site / name).write_text(text)
    return folder / "bin" / "python"
