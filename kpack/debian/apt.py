"""apt in a root of its own: its solver and its checks of signatures and sums, without the machine's own packages."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING

from kpack import tether
from kpack.errors import IntegrityError, KpackError, MachineError, NetworkError, NoSolution

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

_UNTRUSTED = re.compile(
    r"is not signed|NO_PUBKEY|BADSIG|EXPKEYSIG|REVKEYSIG|INVALID|invalid signature|GPG error|OpenPGP|not trusted"
    r"|Hash Sum mismatch|unexpected size|Clearsigned file|is expired|not valid yet|insecure repository"
    r"|Unable to parse package file|Problem with MergeList|weak security information",
    re.IGNORECASE,
)
_OF_ANOTHER_DAY = re.compile(r"is expired|not valid yet")
_MISNAMED = re.compile(r"(?m)^W: Conflicting distribution: (\S+) (\S+) .*\(expected (\S+) but got (\S*)\)")
_FOLDERS = (
    *("etc/apt/sources.list.d", "etc/apt/preferences.d", "etc/apt/apt.conf.d", "etc/apt/trusted.gpg.d", "keys"),
    *("var/lib/dpkg", "var/lib/apt/lists/partial", "var/cache/apt/archives/partial"),
)


class AptRoot:
    """A folder that apt takes for the root of a system; ``folder`` is empty and the caller's to remove.

    Raises:
        MachineError: apt is not on this machine.

    """

    def __init__(self, folder: Path, architecture: str) -> None:
        if shutil.which("apt-get") is None:
            raise MachineError(
                "system packages are resolved by apt, which is not on this machine",
                where="apt",
                next="lock on Debian or Ubuntu, in a container of one, or on Kaggle (kpack notebook --relock); "
                "building the pack needs no apt",
            )
        self.folder = folder
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.status = folder / "var/lib/dpkg/status"
        self.status.write_text("", encoding="utf-8")
        self.sources = folder / "etc/apt/sources.list.d/kpack.sources"
        self.keys = folder / "keys"
        self._conf = folder / "apt.conf"
        self._conf.write_text(_configuration(folder, architecture) + self._of_the_machine(), encoding="utf-8")

    def _of_the_machine(self) -> str:
        """Return how this machine reaches the network; nothing else of its settings counts."""
        said = _run(["apt-config", "dump", "--empty=0", "--format", '%f "%v";%n', "Acquire::http", "Acquire::https"])
        return said.stdout if said.returncode == 0 else ""

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a program of apt's with this root."""
        return _run(words, self._conf)

    def update(self) -> tuple[str, ...]:
        """Fetch the indexes, check their signatures and sums, and return what is odd all the same.

        Raises:
            IntegrityError: one is not signed by the keys that were named, or damaged.
            NetworkError: one cannot be had.

        """
        done = self.run("apt-get", "update")
        if done.returncode == 0 and not re.search(r"(?m)^(?:E|Err)[:0-9]", done.stdout + done.stderr):
            # apt takes it: repositories of vendors call themselves anything. So may a mirror that serves another suite.
            return tuple(
                f"the index of {_without_password(url)} for {asked} calls itself {got or 'nothing'}"
                for url, _, asked, got in _MISNAMED.findall(done.stdout + done.stderr)
            )
        said = _complaints(done.stdout + done.stderr)
        where = "apt-sources"
        if _OF_ANOTHER_DAY.search(said):
            raise IntegrityError(
                f"the archive's index is not of today: {said}",
                where=where,
                next="take another mirror, or set this machine's clock; one of the past has {snapshot} in its url",
            )
        if _UNTRUSTED.search(said):
            raise IntegrityError(
                f"the archive's index cannot be trusted: {said}",
                where=where,
                next="name the keys that sign it by signed-by, or another archive; an index that nobody signs is taken "
                'only with signed-by = "nobody"',
            )
        raise NetworkError(
            f"the archive's index cannot be had: {said}",
            where=where,
            next="check url, suites and components, try again",
        )

    def show(self, names: Sequence[str]) -> str:
        """Return the index's paragraphs (deb-control(5)) of packages, every version of them."""
        return self.run("apt-cache", "show", "--no-generate", "--", *names).stdout if names else ""

    def names(self) -> list[str]:
        """Return the names of all packages of the archives."""
        return self.run("apt-cache", "pkgnames", "--no-generate").stdout.split()

    def install(self, wanted: Sequence[str], *options: str) -> str:
        """Return what ``apt-get install`` would do, as it says it.

        Raises:
            NoSolution: it cannot be done.

        """
        done = self.run("apt-get", "-y", "--no-remove", "--no-install-recommends", *options, "install", "--", *wanted)
        if done.returncode:
            raise self._unsolved(done.stdout + done.stderr)
        return done.stdout

    def _unsolved(self, said: str) -> KpackError:
        if missing := re.search(r"E: Unable to locate package (\S+)", said):
            from difflib import get_close_matches

            near = get_close_matches(missing[1], self.names(), 1)
            return NoSolution(
                f"there is no package {missing[1]} in the archives",
                where="apt",
                next=f"did you mean {near[0]!r}?"
                if near
                else "check the spelling, or add its archive to [[apt-sources]]",
            )
        if virtual := re.search(r"Package (\S+) is a virtual package provided by:\n((?:  .*\n)+)", said):
            bringers = dict.fromkeys(line.split()[0] for line in virtual[2].splitlines())
            return NoSolution(
                f"{virtual[1]} is no package of its own: {', '.join(bringers)} provide it",
                where="apt",
                next=f"write one of them, such as {next(iter(bringers))!r}",
            )
        if unmet := re.search(r"(?s)unmet dependencies:\n(.*?)\n(?=E:|\Z)", said):
            lines = [" ".join(line.split()) for line in unmet[1].split("\n")]
            return NoSolution(
                "what is needed is not to be had: " + "; ".join(line for line in lines if line),
                where="apt",
                next="add the archive or the component (universe, contrib) that has it to [[apt-sources]], or ask for "
                "another version",
            )
        removed = re.search(r"(?s)will be REMOVED:\n(.*?)\n(?=\S)", said)
        if removed:
            return NoSolution(
                "it would take away what the image has: " + ", ".join(removed[1].split()),
                where="apt",
                next="leave out what conflicts with the image, or ask for another version",
            )
        return NoSolution(
            f"apt finds no way: {_complaints(said)}", where="apt", next="ask for another version, or another package"
        )


def newer(left: str, right: str) -> bool:
    """Tell whether version ``left`` is newer than ``right``, as dpkg compares them."""
    return _run(["dpkg", "--compare-versions", left, "gt", right]).returncode == 0


def _run(words: Sequence[str], conf: Path | None = None) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if key not in {"APT_CONFIG", "LANGUAGE"}}
    environ |= {"LC_ALL": "C", "LANG": "C", "DEBIAN_FRONTEND": "noninteractive"}
    if conf is not None:
        environ["APT_CONFIG"] = str(conf)
    try:
        return tether.run(words, env=environ)
    except OSError as error:
        raise MachineError(f"cannot run {words[0]}: {error.strerror}", where="apt") from error


def _complaints(said: str) -> str:
    lines = [line.strip() for line in said.split("\n") if re.match(r"(?:E|W|Err)[:0-9]|\s{2,}\S", line)]
    kept = [re.sub(r"^(?:E|W): ", "", line) for line in lines if line.startswith(("E:", "W:"))] or lines
    text = " ".join(dict.fromkeys(kept)) or " ".join(said.split()[-40:])
    return _without_password(text)[:1000]


def _without_password(text: str) -> str:
    return re.sub(r"://[^/@\s]*@", "://", text)


def _configuration(folder: Path, architecture: str) -> str:
    return f"""Dir "{folder}";
Dir::State::status "{folder}/var/lib/dpkg/status";
Dir::Etc::sourcelist "/dev/null";
Dir::Bin::methods "/usr/lib/apt/methods";
Dir::Log "{folder}";
APT::Architecture "{architecture}";
APT::Architectures {{ "{architecture}"; }};
APT::Sandbox::User "{os.environ.get("USER") if os.geteuid() else "root"}";
APT::Update::Error-Mode "any";
APT::Get::Show-User-Simulation-Note "false";
APT::Cache::AllVersions "true";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::AllowInsecureRepositories "false";
Debug::NoLocking "true";
"""
