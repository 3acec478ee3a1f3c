"""One target's resolution: from a `WorkerRequest` to the answer that travels back as JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pip._internal.exceptions import DistributionNotFound, InstallationError, PipError, UnsupportedPythonVersion
from pip._vendor.requests import RequestException

from kpack.resolve.worker import answer, failures, seams, stepwise
from kpack.resolve.worker.diagnose import Diagnosis
from kpack.resolve.worker.held_back import HeldBack
from kpack.resolve.worker.requirements import UrlDependency
from kpack.resolve.worker.seams import ROUNDS, Lost
from kpack.resolve.worker.web import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kpack.resolve.worker.readers import Readers


NO_SOLUTION = (DistributionNotFound, UnsupportedPythonVersion, InstallationError)
"""What pip raises when the requests, and not the network or kpack, are at fault."""


class Session:
    """The worker's readers and pip-tools' repository, open for one target."""

    def __init__(self, readers: Readers) -> None:
        self.request = readers.request
        self.web = readers.web
        self.markers = readers.markers
        self.notes: list[str] = []
        self.finder = seams.Finder(
            readers.request, readers.pages, readers.metadata, readers.sdists, readers.kernel, readers.markers
        )
        self.repository = seams.open_repository(self.finder, readers.arguments, readers.session)
        seams.install()
        if self.request.prefetch:
            self.finder.on_metadata = readers.prefetcher.ahead

    def resolve(
        self,
        asked: Iterable[tuple[str, str]],
        pins: dict[str, str],
        *,
        until: float | None = None,
        limited: bool = True,
    ) -> list[Any]:
        """Return pip-tools' pins for (line, comes_from) pairs, sorted by name.

        Without ``limited`` what the base asks of opened names does not count.

        Raises:
            TimeoutError: it was not done by ``until`` (a moment of `time.monotonic`).

        """
        self.finder.until = until
        constraints = [seams.requirement(line, comes_from=comes_from) for line, comes_from in asked]
        constraints += [
            seams.requirement(limit.requirement, comes_from=limit.by, constraint=True)
            for limit in self.request.limits
            if limited
        ]
        existing = {
            name: seams.requirement(f"{name}=={version}", comes_from="the old lock", constraint=True)
            for name, version in sorted(pins.items())
        }
        return sorted(seams.solve(self.repository, constraints, existing), key=lambda ireq: str(ireq.name))

    def forget(self) -> None:
        """Ask anew for candidates: what the kernel has was opened or closed."""
        self.finder.known.clear()


def run(readers: Readers) -> dict[str, Any]:
    """Return ``{"resolved": [...], ...}`` or ``{"error": {...}}``; the readers are closed then."""
    try:
        return _run(Session(readers))
    except Unreachable as error:
        return {"error": {"kind": "network", "host": error.host, "reason": error.reason, "status": error.status}}
    except UrlDependency as error:
        return {"error": _url_dependency(error)}
    except seams.OldPip:
        return {"error": {"kind": "old-pip"}}
    finally:
        readers.web.close()


def _run(session: Session) -> dict[str, Any]:
    request = session.request
    asked = [(item.line, item.text) for item in request.asked]
    accelerator = session.web.pool.submit(_accelerator, session) if request.accelerator else None
    try:
        found = _resolve_with_pins(session, asked)
    except (PipError, RequestException) as error:
        if fetch := failures.network(error, [line for line, _ in asked]):
            return {"error": fetch}
        if wrong := failures.digest(error):
            return {"error": wrong}
        if not isinstance(error, NO_SOLUTION):
            raise
        return {"error": Diagnosis(session, asked).error(error)}
    except stepwise.Part as part:
        return {"error": Diagnosis(session, part.asked).error(part.error)}
    except stepwise.Stuck as stuck:
        return {"error": _no_answer(stuck.last)}
    named = answer.requests(session, found)
    if other := answer.misnamed(named, found):
        return {"error": other}
    rows = [answer.row(session, ireq) for ireq in found]
    barred = next((row for row in rows if row.get("direct") and session.finder.kernel.fixed(row["name"])), None)
    if barred is not None:
        return {"error": _over_the_kernel(session, barred)}
    return {
        "asked": named,
        "resolved": rows,
        "held_back": HeldBack(session.finder, session.markers, rows).list(named),
        "accelerator": accelerator.result() if accelerator else None,
        "notes": answer.notes(session, rows),
        "figures": {"requests": session.web.requests, "metadata": session.finder.metadata.reads},
    }


def _over_the_kernel(session: Session, row: dict[str, Any]) -> dict[str, Any]:
    """Return the error for a direct URL or folder of what the kernel has already."""
    name = row["name"]
    has = session.finder.kernel.provided[name]
    return {
        "kind": "no-solution",
        "text": f"kaggle-env.toml brings {name} {row['version']} of its own, but {has.by} has {name} {has.version}",
        "next": f'write replace = ["{name}"] to put yours in its place',
        "name": name,
        "because": "kernel",
    }


def _url_dependency(error: UrlDependency) -> dict[str, Any]:
    shown = re.sub(r"(://)[^/@\s]*@", r"\1", error.requirement)
    return {
        "kind": "no-solution",
        "text": f"{error.by} needs {shown}, and only kaggle-env.toml may take something from a URL",
        "next": f'if you trust it, add "{shown}" to packages yourself',
        "name": error.requirement.partition(" ")[0],
        "because": "url",
    }


def _no_answer(last: str) -> dict[str, Any]:
    return {
        "kind": "no-solution",
        "text": f"no versions that fit together were found in {ROUNDS:,} tries once {last} was added to the requests",
        "next": "give it, or what it needs, a tighter range of versions; or put it in an environment of its own",
        "name": "",
        "because": "too-many-tries",
    }


def _resolve_with_pins(session: Session, asked: list[tuple[str, str]]) -> list[Any]:
    try:
        return session.resolve(asked, session.request.pins)
    except Lost:
        return stepwise.resolve(session, asked, NO_SOLUTION)
    except DistributionNotFound:
        if not session.request.pins:
            raise
    try:
        return session.resolve(asked, {})
    except Lost:
        return stepwise.resolve(session, asked, NO_SOLUTION)


def _accelerator(session: Session) -> dict[str, Any] | None:
    """Return the newest final wheel of the accelerator that fits; None when there is none or its index is silent."""
    name = session.request.accelerator
    try:
        best = session.finder.pages.best(name)
    except Unreachable:
        return None
    fitting = [
        version
        for version, file in best.items()
        if file.is_wheel and file.yanked is None and not version.is_prerelease and file.hashes.get("sha256")
    ]
    return answer.file_row(best[max(fitting)]) if fitting else None
