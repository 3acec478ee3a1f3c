"""Tiny Debian packages, and archives of them with an index that a key made for the test signs."""

from __future__ import annotations

import atexit
import functools
import hashlib
import io
import lzma
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

needs_apt = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("apt-get", "gpg", "gpgv")), reason="apt, gpg or gpgv is not here"
)


@dataclass(frozen=True, kw_only=True)
class Deb:
    """A package to make."""

    name: str
    version: str = "1.0"
    architecture: str = "amd64"
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Content by path without a slash before; ending in ``*`` makes it executable."""
    links: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, str] = field(default_factory=dict)
    """More of its control file: Depends, …"""
    scripts: Mapping[str, str] = field(default_factory=dict)
    papers: Mapping[str, str] = field(default_factory=dict)
    """More of its control archive: conffiles, templates, triggers."""
    more: Sequence[tarfile.TarInfo] = ()
    """Entries of the data archive as they are."""

    @property
    def filename(self) -> str:
        return f"{self.name}_{self.version.partition(':')[2] or self.version}_{self.architecture}.deb"

    @property
    def control(self) -> str:
        rows = {
            "Package": self.name,
            "Version": self.version,
            "Architecture": self.architecture,
            "Maintainer": "Nobody <nobody@localhost>",
            "Description": "a test",
            **self.fields,
        }
        return "".join(f"{key}: {value}\n" for key, value in rows.items())

    def data(self) -> bytes:
        """Return the data archive."""
        entries: list[tuple[tarfile.TarInfo, bytes]] = []
        folders = {str(parent) for path in (*self.files, *self.links) for parent in Path(path).parents} - {"."}
        for folder in sorted(folders):
            info = tarfile.TarInfo(f"./{folder}/")
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            entries.append((info, b""))
        for path, content in self.files.items():
            info = tarfile.TarInfo(f"./{path.rstrip('*')}")
            info.size, info.mode = len(content), 0o755 if path.endswith("*") else 0o644
            entries.append((info, content))
        for path, target in self.links.items():
            info = tarfile.TarInfo(f"./{path}")
            info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
            entries.append((info, b""))
        entries += [(info, bytes(info.size)) for info in self.more]
        return tar(entries)

    def build(self, compress: Callable[[bytes], bytes] = lzma.compress, suffix: str = ".xz") -> bytes:
        """Return the bytes of the package."""
        scripts = {name: f"#!/bin/sh\nset -e\n{text}\n".encode() for name, text in self.scripts.items()}
        entries = []
        papers = {name: text.encode() for name, text in self.papers.items()}
        for name, content in {"control": self.control.encode(), **papers, **scripts}.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size, info.mode = len(content), 0o755 if name in scripts else 0o644
            entries.append((info, content))
        return ar(
            {
                "debian-binary": b"2.0\n",
                # dpkg-deb takes bzip2 for the other archive alone.
                **(
                    {f"control.tar{suffix}": compress(tar(entries))}
                    if suffix != ".bz2"
                    else {"control.tar": tar(entries)}
                ),
                f"data.tar{suffix}": compress(self.data()),
            }
        )

    def write(self, folder: Path) -> Path:
        """Write it to a folder and return its file."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / self.filename
        path.write_bytes(self.build())
        return path


def tar(entries: Sequence[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in entries:
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def ar(members: Mapping[str, bytes]) -> bytes:
    """Return an ar archive as dpkg-deb writes it."""
    parts = [b"!<arch>\n"]
    for name, data in members.items():
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode())
        parts += [data, b"\n" * (len(data) % 2)]
    return b"".join(parts)


@functools.cache
def key(who: str) -> tuple[Path, Path]:
    """Return (a home of gpg with a secret key, the file of its public key)."""
    home = Path(tempfile.mkdtemp(prefix="kpack-gpg-"))
    home.chmod(0o700)
    atexit.register(_forget, home)
    gpg(home, "--quick-gen-key", f"{who} <{who}@localhost>", "ed25519", "sign", "never")
    public = home / "public.asc"
    public.write_text(gpg(home, "--armor", "--export"))
    return home, public


def _forget(home: Path) -> None:
    """End the agent that gpg has started for this home, and remove both."""
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], capture_output=True, check=True)
    shutil.rmtree(home)


def gpg(home: Path, *words: str, stdin: str = "") -> str:
    command = ["gpg", "--homedir", str(home), "--batch", "--yes", "--passphrase", "", "--pinentry-mode", "loopback"]
    return subprocess.run([*command, *words], input=stdin, capture_output=True, text=True, check=True).stdout


def make_archive(
    folder: Path,
    debs: Sequence[Deb],
    *,
    suite: str = "stable",
    signed_by: str | None = "kpack",
    index_as: Callable[[str], str] = str,
    release_as: Callable[[str], str] = str,
) -> str:
    """Write an archive of one release with the component main, and return its ``file:`` URL.

    ``index_as`` and ``release_as`` change Packages and Release before they are signed.
    """
    pool, index = folder / "pool", []
    for item in debs:
        data = item.write(pool).read_bytes()
        index.append(
            f"{item.control}Filename: pool/{item.filename}\nSize: {len(data)}\n"
            f"SHA256: {hashlib.sha256(data).hexdigest()}\n"
        )
    packages = index_as("\n".join(index)).encode()
    release = folder / "dists" / suite
    place = release / "main/binary-amd64/Packages"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(packages)
    text = (
        f"Origin: test\nSuite: {suite}\nCodename: {suite}\nArchitectures: amd64\nComponents: main\n"
        "Date: Thu, 01 Jan 2026 00:00:00 UTC\n"
        f"SHA256:\n {hashlib.sha256(packages).hexdigest()} {len(packages)} main/binary-amd64/Packages\n"
    )
    text = release_as(text)
    if signed_by is None:
        (release / "Release").write_text(text)
    else:
        (release / "InRelease").write_text(gpg(key(signed_by)[0], "--clearsign", stdin=text))
    return folder.as_uri()
