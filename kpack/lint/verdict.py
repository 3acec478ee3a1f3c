"""What a lock says of native code: an error with words that were tried, or notes with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kpack.errors import NoSolution
from kpack.lint.report import report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from packaging.utils import NormalizedName

    from kpack.base import BaseImage
    from kpack.environment import Environment
    from kpack.fetch import Fetcher
    from kpack.lint.reading import WheelReading
    from kpack.lock import Lock
    from kpack.native import NativeReport
    from kpack.resolve.bounded import Bounds
    from kpack.resolve.child import Listener
    from kpack.resolve.model import TargetResolution
    from kpack.resolve.wire import Underway
    from kpack.target import Target


def verdict(
    made: Lock,
    environment: Environment,
    targets: Sequence[Target],
    bases: Sequence[BaseImage],
    reading: WheelReading,
    fetcher: Fetcher,
    *,
    where: str,
    on_resolve: Listener | None = None,
) -> NativeReport:
    """Judge the native code of all wheels, as far as it was read; for what does not fit look for a version that does.

    ``where`` is the file that asks for them; ``on_resolve`` hears how far the search for other versions is.

    Raises:
        NoSolution: something cannot work; what to write instead was tried.

    """
    found = report(made, environment, bases, reading)
    wrong = found.stopping or found.mismatched
    if not wrong:
        return found
    from kpack.lint import alternatives
    from kpack.pack import native
    from kpack.resolve.bounded import resolved
    from kpack.resolve.child import Workers

    def heard(label: str, said: Underway) -> None:
        if on_resolve is not None:
            on_resolve(label, replace(said, trying=True))

    with Workers(0, heard) as workers:

        def ask(name: NormalizedName, bounds: Bounds) -> Sequence[TargetResolution] | None:
            cache_dir = fetcher.cache.http_dir
            return resolved(environment, targets, name, bounds, workers=workers, cache_dir=cache_dir)

        seconds = alternatives.SECONDS if found.stopping else alternatives.SECONDS_OF_NOTES
        words = alternatives.words(wrong, made, environment, bases, fetcher, ask, seconds=seconds)
    if found.stopping:
        raise native.error(found.stopping, NoSolution, where, words)
    return found.advised(words)
