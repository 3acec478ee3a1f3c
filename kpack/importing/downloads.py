"""Programs and calls that fetch a file: wget, curl, gdown, urllib, and where the file lands."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs, unquote, urlsplit

from packaging.utils import parse_wheel_filename

from kpack import urls
from kpack.environment.errors import quoted
from kpack.environment.template import CheckpointEntry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kpack.importing.harvest import Line
    from kpack.importing.sitting import Sitting

_DRIVE = re.compile(r"https://drive\.google\.com/(?:file/d/|uc\?|open\?)")
_HUB = re.compile(r"https://huggingface\.co/(datasets/|spaces/)?([^/]+/[^/]+)/(?:resolve|blob|raw)/([^/]+)/([^?#]+)")


_LOGIN = re.compile(r"\s*(?:proxy-)?(?:authorization|cookie|[\w-]*(?:token|key|auth))\s*:", re.IGNORECASE)
"""A header by which a server knows who asks."""


class _CallRefused(Exception):
    pass


class _DownloadParser(argparse.ArgumentParser):
    """A parser that ends no process."""

    def error(self, message: str) -> NoReturn:
        raise _CallRefused(message)


def _parser(values: str, flags: str, *, output: Sequence[str] = (), folder: Sequence[str] = ()) -> _DownloadParser:
    parser = _DownloadParser(add_help=False, prefix_chars="-", usage="")  # else it is made anew for each line
    parser.set_defaults(headers=[], logins=[])
    parser.add_argument("urls", nargs="*")
    if output:
        parser.add_argument(*output, dest="output")
    if folder:
        parser.add_argument(*folder, dest="folder")
    for option in values.split():
        dest = "headers" if option in _HEADERS else "logins" if option in _LOGINS else "ignored"
        parser.add_argument(option, action="append", dest=dest, default=[])
    for option in flags.split():
        parser.add_argument(option, action="store_true", dest=f"flag_{option.strip('-').replace('-', '_')}")
    return parser


_HEADERS = frozenset({"-H", "--header"})
_LOGINS = frozenset({"-u", "--user", "--password", "--load-cookies", "-b", "--cookie"})
_WGET = _parser(
    "--header -U --user-agent -t --tries -T --timeout -w --wait --limit-rate -o --output-file -a --load-cookies"
    " --save-cookies -e -A -R -l --level --cut-dirs --user --password --progress",
    "-q --quiet -c --continue -nc --no-clobber -N -nv --no-verbose -v --no-check-certificate --show-progress"
    " --no-cache --content-disposition -r -np -nH -nd --keep-sitting-cookies",
    output=("-O", "--output-document"),
    folder=("-P", "--directory-prefix"),
)
_WGET.add_argument("-i", "--input-file", dest="listed")
_CURL = _parser(
    "-H --header -u --user -A --user-agent -X --request -d --data --retry --retry-delay -m --max-time"
    " --connect-timeout -C --continue-at -b --cookie -c --cookie-jar -e --referer -w --write-out -x --proxy",
    "-L --location -s --silent -S --show-error -f --fail -k --insecure -O --remote-name -J --remote-header-name -#"
    " -g --globoff --create-dirs -v --compressed -i -I -4",
    output=("-o", "--output"),
    folder=("--output-dir",),
)
_GDOWN = _parser(
    "--proxy --speed --cookies --format",
    "-q --quiet --fuzzy -c --continue --no-cookies --no-check-certificate --folder --remaining-ok",
    output=("-O", "--output"),
)
_GDOWN.add_argument("--id", dest="key")
_ARIA = _parser(
    "-x -s -j -k --max-connection-per-server --split --header --console-log-level --summary-interval -m",
    "-c --continue --allow-overwrite --quiet -q",
    output=("-o", "--out"),
    folder=("-d", "--dir"),
)
_PARSERS = {"wget": _WGET, "curl": _CURL, "gdown": _GDOWN, "aria2c": _ARIA}
PROGRAMS = frozenset(_PARSERS)


def command(program: str, words: Sequence[str], into: str, *, piped: bool, line: Line, sitting: Sitting) -> None:
    """Read a call of one of `PROGRAMS`; ``into`` is the file that the shell sends its output to."""
    harvest = sitting.harvest
    write = 'a [[checkpoints]] table for each file: url = "https://…", path = "…"'
    try:
        given, unknown = _PARSERS[program].parse_known_intermixed_args(list(words))
    except _CallRefused as error:
        harvest.left(line, f"{program} cannot be read: {error}", write)
        return
    addresses = [*given.urls, *(word for word in unknown if "://" in word)]
    if program == "gdown" and (given.key or (addresses and "://" not in addresses[0])):
        addresses = [f"https://drive.google.com/uc?id={given.key or addresses[0]}"]
    if getattr(given, "flag_folder", False) or getattr(given, "flag_r", False):
        harvest.left(line, f"{program} fetches a whole folder", write)
        return
    if getattr(given, "listed", None):
        harvest.left(line, f"{program} fetches what {quoted(given.listed)} lists", write)
        return
    if not addresses:
        harvest.left(line, f"{program} is called without a plain URL", write)
        return
    target = into if into and into != "/dev/null" else given.output
    if piped or target == "-" or (program == "curl" and target is None and not given.flag_O):
        harvest.left(
            line,
            f"{program} hands what it fetches to another program, or prints it",
            "run it where there is internet, and take what it makes along as a file",
        )
        return
    login = bool(given.logins or any(_LOGIN.match(header) for header in given.headers))
    for address in addresses:
        if login and not _HUB.match(address):  # of the Hub, HF_TOKEN is what its client takes
            why = f"it logs in, which a fetch of {urls.shown(address)} by its URL does not"
            harvest.left(line, why, f"{write}; its login in netrc, which kpack lock and build read")
        else:
            file(address, target, line, sitting, folder=getattr(given, "folder", None))


def file(url: str, target: str | None, line: Line, sitting: Sitting, *, folder: str | None = None) -> None:
    """Add what one call fetches: a wheel as a package, any other file as a checkpoint where the code looks for it."""
    if re.search(r"[{$]", url):
        sitting.harvest.left(
            line, f"the URL {quoted(url)} holds a variable", 'a [[checkpoints]] table: url = "https://…", path = "…"'
        )
        return
    if "://" not in url:
        url = f"http://{url}"
    hub = _HUB.fullmatch(url.partition("?")[0])
    try:
        name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2])
    except ValueError as error:
        sitting.harvest.left(line, f"the URL {quoted(url)} cannot be read: {error}", "correct it")
        return
    wheel = _wheel(name)
    if wheel and target is None:
        sitting.harvest.add(f"{wheel} @ {url}", line)
        return
    key = _drive(url)
    if key:
        url = f"https://drive.usercontent.google.com/download?id={key}&export=download&confirm=t"
        name = key
    elif hub:
        url = f"hf://{hub[1] or ''}{hub[2]}@{hub[3]}/{hub[4]}"
    if target is None or target.endswith("/"):
        target = (target or "") + (name or "index.html")
    if folder:
        target = f"{folder.rstrip('/')}/{target}"
    sitting.harvest.fetch(CheckpointEntry(url=url, path=sitting.lands(target)), line)


def _wheel(filename: str) -> str:
    try:
        return str(parse_wheel_filename(filename)[0])
    except ValueError:
        return ""


def _drive(url: str) -> str:
    """Return the key of a file of Google's Drive, behind whose pages its bytes are; empty for any other URL."""
    if not _DRIVE.match(url):
        return ""
    found = re.search(r"/file/d/([\w-]+)", url)
    return found[1] if found else next(iter(parse_qs(urlsplit(url).query).get("id", [])), "")
