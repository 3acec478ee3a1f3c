"""``python -m kpack``, and what the command ``kpack`` runs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from kpack import streams


def main() -> NoReturn:
    """Run the command line and exit with a code of `kpack.errors.ExitCode`."""
    streams.install()
    try:
        _main()
    except KeyboardInterrupt:  # before a command could say how to go on
        sys.stderr.write("kpack: stopped\n")
        sys.exit(130)


def _main() -> NoReturn:
    from kpack.shortcut import plain_restore

    asked = plain_restore(sys.argv[1:]) if "_KPACK_COMPLETE" not in os.environ else None
    if asked is None:
        from kpack import cli

        cli.main()
    from kpack.restoring import exit_code, run_engine

    try:
        code = exit_code(run_engine(asked.path, asked.options, expect=asked.expect, as_json=asked.as_json))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - said by whoever says all errors
        from kpack import cli

        code = cli.failed(error, as_json=asked.as_json)
    sys.exit(streams.settled(code))


if __name__ == "__main__":
    main()
