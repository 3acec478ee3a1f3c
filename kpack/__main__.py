"""``python -m kpack``, and what the command ``kpack`` runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit with a code of `kpack.errors.ExitCode`."""
    _complete_streams()
    try:
        _main()
    except KeyboardInterrupt:  # before a command could say how to go on
        sys.stderr.write("kpack: stopped\n")
        sys.exit(130)


def _complete_streams() -> None:
    """Let what the caller has closed (``>&-``) be the null device: the next file that is opened takes its place."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
            setattr(sys, name, os.fdopen(number, mode, encoding="utf-8"))


def _main() -> NoReturn:
    from kpack.shortcut import plain_restore

    asked = plain_restore(sys.argv[1:]) if "_KPACK_COMPLETE" not in os.environ else None
    if asked is None:
        from kpack import cli

        cli.main()
    from kpack.restoring import exit_code, run_engine

    try:
        sys.exit(exit_code(run_engine(asked.path, asked.options, expect=asked.expect, as_json=asked.as_json)))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - said by whoever says all errors
        from kpack import cli

        sys.exit(cli.failed(error, as_json=asked.as_json))


if __name__ == "__main__":
    main()
