"""The engine as the bootstrap calls it: options in, text or JSON out, an exit code back."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any, Dict, Mapping

from . import temporary
from .engine import Options, restore
from .errors import MACHINE, OPTIONS, RestoreError, machine_error
from .manifest import loads
from .report import Progress, printable, show

_FIELDS = ("target", "dry_run", "compile", "allow_absolute", "obey_managed", "tolerate", "kaggle")


def main(pack: str, manifest: bytes, pack_id: str, options: Mapping[str, Any]) -> int:
    """Restore and say so; return the exit code.

    ``manifest`` are verified bytes. ``options`` are the fields of `Options`, and ``json`` for one object on
    stdout instead of text. Errors go to stderr, or with ``json`` to stdout as ``{"error": ...}``.
    """
    try:
        # What .pth files print when they are run does not belong into the answer.
        with contextlib.redirect_stdout(sys.stderr) if options.get("json") else contextlib.nullcontext():
            report = _run(pack, manifest, pack_id, options)
    except OSError as error:
        failed = machine_error(error, "restore")
        say(failed, options)
        return failed.code
    except RestoreError as error:
        say(error, options)
        return error.code
    text = json.dumps(report.to_dict()) if options.get("json") else "\n".join([report.summary(), *report.lines()])
    failed_to_say = show(text + "\n", sys.stdout)
    if failed_to_say is None:
        return 0
    show("kpack: restored, but stdout cannot be written: {}\n".format(failed_to_say.strerror), sys.stderr)
    return MACHINE


def _run(pack: str, manifest: bytes, pack_id: str, options: Mapping[str, Any]) -> Any:
    unknown = sorted(set(options) - {*_FIELDS, "json"})
    if unknown:
        raise RestoreError(OPTIONS, "unknown option {!r}".format(unknown[0]))
    chosen: Dict[str, Any] = {key: options[key] for key in _FIELDS if key in options}
    progress = Progress()
    try:
        temporary.sweep()
        return restore(
            pack,
            loads(manifest),
            id=pack_id,
            options=Options(**chosen),
            on_progress=None if options.get("json") else progress,
            on_wait=_waiting,
        )
    finally:
        progress.close()


def _waiting() -> None:
    show("kpack: another restore into the same place is running, waiting for it\n", sys.stderr)


def say(error: RestoreError, options: Mapping[str, Any]) -> None:
    """Print an error: to stderr as text, or to stdout as JSON."""
    if options.get("json"):
        show(json.dumps({"error": error.to_dict()}) + "\n", sys.stdout)
        return
    show("kpack: " + "\n".join(map(printable, error.lines())) + "\n", sys.stderr)
