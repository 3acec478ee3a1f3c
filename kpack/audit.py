"""Known vulnerabilities of what a lock packs, by way of pip-audit (``pip install "kaggle-kpack[audit]"``)."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kpack import tether, urls
from kpack.errors import MachineError, NetworkError, UsageError, installing
from kpack.files import parsed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from packaging.utils import NormalizedName
    from packaging.version import Version

Service = Literal["pypi", "osv"]
"""Where advisories are asked for: the JSON interface of the package index, or OSV."""

_SECONDS, _SECONDS_EACH = 120, 5
"""How long all answers may take: at least, and for each distribution. pip-audit bounds no answer itself."""
_MEMORY = 2 << 30
"""Bytes that pip-audit may need, on systems that count them."""
_SAID = 300
"""Characters of what pip-audit says that an error repeats."""
_RUN = f"""
try:
    import resource
    resource.setrlimit(resource.RLIMIT_DATA, ({_MEMORY}, {_MEMORY}))
except (ImportError, OSError, ValueError):
    pass
import runpy
runpy.run_module("pip_audit", run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """One advisory about one packed version."""

    name: str
    version: str
    id: str
    aliases: tuple[str, ...]
    """Other names of it: ``CVE-2024-1234``."""
    fixed_in: tuple[str, ...]
    """Versions that have it no more; empty where none is known."""
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found."""

    asked: int
    """Distributions."""
    found: tuple[Vulnerability, ...]
    unknown: tuple[tuple[str, str], ...]
    """Name of a distribution that the service knows nothing of, and the reason."""


def audit(
    pins: Iterable[tuple[NormalizedName, Version]],
    *,
    service: Service = "pypi",
    osv_url: str | None = None,
    ignore: Sequence[str] = (),
    cache: Path | None = None,
) -> Audit:
    """Ask ``service`` about the versions of ``pins``; a local version (``+cu128``) is asked for as its public one.

    ``ignore`` are identifiers of advisories that do not count; ``cache`` is a folder where answers are kept.

    Raises:
        UsageError: ``osv_url`` is no address.
        MachineError: pip-audit is not installed.
        NetworkError: the service cannot be reached, gives no answer of its kind or none that ends, or knows none of the
            distributions.

    """
    if importlib.util.find_spec("pip_audit") is None:
        raise MachineError(
            "kpack audit asks pip-audit, which kpack's own Python does not have",
            next=installing("audit"),
        )
    if osv_url is not None and not urls.is_web(osv_url):
        raise UsageError(
            f"{urls.shown(osv_url)!r} is no address of an OSV service",
            where="--osv-url",
            next="write one that begins with https://",
        )
    lines = sorted({f"{name}=={version.public}" for name, version in pins})
    if not lines:
        return Audit(asked=0, found=(), unknown=())
    with tempfile.TemporaryDirectory(prefix="kpack-audit-") as folder:
        file = Path(folder, "requirements.txt")
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        command = [sys.executable, "-I", "-c", _RUN, "--requirement", str(file), "--no-deps", "--disable-pip"]
        command += ["--format", "json", "--progress-spinner", "off", "--desc", "on", "--aliases", "on"]
        command += ["--vulnerability-service", service]
        command += ["--osv-url", osv_url] if osv_url is not None else []
        command += ["--cache-dir", str(cache)] if cache is not None else []
        for each in ignore:
            command += [f"--ignore-vuln={each}"]
        seconds = _SECONDS + _SECONDS_EACH * len(lines)
        try:
            done = tether.run(command, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise NetworkError(
                f"the service has not answered for {len(lines)} distributions in {seconds} s",
                next="try again later, or ask the other service: --service osv",
            ) from error
    report = _report(done.stdout)
    if report is None:
        # The last line of its log, or of a traceback: what it makes of an answer that it did not expect.
        said = [line.rpartition("pip_audit._cli:")[2] for line in done.stderr.splitlines() if line.strip()]
        raise NetworkError(
            f"pip-audit gave no answer: {urls.redacted(said[-1].strip())[:_SAID] if said else done.returncode}",
            next="check the network, or ask the other service: --service osv",
        )
    rows: list[dict[str, Any]] = report["dependencies"]
    unknown = tuple((str(row["name"]), str(row["skip_reason"])) for row in rows if "skip_reason" in row)
    if len(unknown) == len(rows):
        raise NetworkError(
            f"none of {len(rows)} distributions could be asked about: {unknown[0][1]}",
            next="ask the other service: --service osv" if service == "pypi" else "try again later",
        )
    return Audit(asked=len(rows), found=tuple(_found(rows)), unknown=unknown)


def _report(text: str) -> dict[str, Any] | None:
    try:
        report = parsed(text)
    except ValueError:
        return None
    return report if isinstance(report, dict) and isinstance(report.get("dependencies"), list) else None


def _found(rows: Iterable[dict[str, Any]]) -> Iterable[Vulnerability]:
    for row in rows:
        for each in row.get("vulns", ()):
            yield Vulnerability(
                name=str(row["name"]),
                version=str(row["version"]),
                id=str(each["id"]),
                aliases=tuple(map(str, each.get("aliases", ()))),
                fixed_in=tuple(map(str, each.get("fix_versions", ()))),
                description=" ".join(str(each.get("description", "")).split()),
            )
