"""Notebooks on Kaggle: what to ask for, a run, and what it left behind."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from kpack.errors import CheckFailed, IntegrityError, KpackError, NetworkError, UsageError
from kpack.files import given_text, parsed
from kpack.publish.client import RefusedError, filled
from kpack.publish.names import slug_of, split, title_of
from kpack.publish.waiting import turns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from kpack.publish.client import Kaggle

METADATA = "kernel-metadata.json"
SOURCE_LIMIT = 1_000_000
"""Bytes that the source of a notebook may have."""

MACHINES: Mapping[str, Mapping[str, object]] = {
    "cpu": {"enable_gpu": False, "enable_tpu": False, "machine_shape": None},
    "gpu": {"enable_gpu": True, "enable_tpu": False, "machine_shape": "NvidiaTeslaT4"},
    "tpu": {"enable_gpu": False, "enable_tpu": True, "machine_shape": "TpuV5E8"},
}
"""What kernel-metadata.json says for each accelerator."""

_REGISTRY = {"cpu": "gcr.io/kaggle-images/python", "gpu": "gcr.io/kaggle-gpu-images/python"}
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_WHERE = "kernel-metadata.json"
_PAGES = 500
"""Pages of a list of outputs that are read at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """A notebook as it is pushed: always private, and the internet always said."""

    ref: str
    """``owner/slug``."""
    source: str
    """The notebook's JSON."""
    internet: bool
    accelerator: str = "cpu"
    image: str | None = None
    """Full reference of a container image with its digest; None for Kaggle's newest."""
    datasets: tuple[str, ...] = ()
    kernels: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    competitions: tuple[str, ...] = ()
    code_file: str = "notebook.ipynb"

    def metadata(self) -> dict[str, object]:
        """Return the content of kernel-metadata.json, which the ``kaggle`` command reads as well.

        Raises:
            UsageError: Kaggle does not take the name.

        """
        return {
            "id": self.ref,
            "title": title_of(split(self.ref, _WHERE)[1], "the notebook's name"),
            "code_file": self.code_file,
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_internet": self.internet,
            **{key: value for key, value in MACHINES[self.accelerator].items() if value is not None},
            "dataset_sources": list(self.datasets),
            "kernel_sources": list(self.kernels),
            "model_sources": list(self.models),
            "competition_sources": list(self.competitions),
            **({"docker_image": self.image, "docker_image_pinning_type": "original"} if self.image else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A run that came to its end."""

    ref: str
    version: int
    url: str
    ok: bool
    failure: str
    """Kaggle's word for what went wrong; may be empty."""
    log: str
    """What the cells wrote, as text."""
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Files of ``/kaggle/working`` and signed URLs to fetch them by: as good as credentials, never shown."""

    def tail(self, rows: int = 40) -> str:
        """Return the last rows of the log."""
        return "\n".join([row for row in self.log.splitlines() if row.strip()][-rows:])


class RunFailed(CheckFailed):
    """A notebook ran on Kaggle and failed; ``log`` is the end of what it wrote."""

    def __init__(self, run: FinishedRun) -> None:
        reason = f": {run.failure}" if run.failure else ""
        super().__init__(f"the notebook failed on Kaggle{reason}", where=run.ref, next="its log is above")
        self.log = run.tail()


def image_reference(image: str, accelerator: str) -> str:
    """Return the full reference of an image that was named by it, or by its digest alone.

    Raises:
        UsageError: it is neither.

    """
    if _DIGEST.fullmatch(image):
        return f"{_REGISTRY.get(accelerator, _REGISTRY['cpu'])}@{image}"
    if re.fullmatch(r"[a-z0-9.-]+(?:/[a-z0-9._-]+)+@sha256:[0-9a-f]{64}", image):
        return image
    raise UsageError(
        f"{image!r:.120} does not name an image",
        where="--image",
        next='write sha256:… with its 64 digits, or gcr.io/…/python@sha256:…; a probed base has it under "image"',
    )


def read_folder(folder: Path) -> Kernel:
    """Return the notebook in ``folder``, as its kernel-metadata.json asks for it.

    Raises:
        MachineError: a file is missing.
        UsageError: the metadata would not do what it looks like.

    """
    place = folder / METADATA
    try:
        data = parsed(given_text(place, next="kpack notebook writes it"))
        source = given_text(folder / str(data["code_file"]), next="kpack notebook writes it")
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"this is no kernel metadata: {error}", where=str(place)) from error
    for key in ("enable_internet", "is_private"):
        if not isinstance(data.get(key), bool):
            raise UsageError(f"{key} must be true or false: Kaggle takes a missing one for true", where=str(place))
    if not data["is_private"]:
        raise UsageError(
            "kpack pushes private notebooks only", where=f"{place}: is_private", next="publish it on Kaggle"
        )
    title, slug = str(data.get("title", "")), split(str(data.get("id", "")), str(place))[1]
    if slug_of(title) != slug:
        raise UsageError(
            f"Kaggle would make {slug_of(title)!r} of the title {title!r}, and the id says {slug!r}", where=str(place)
        )
    machine = "tpu" if data.get("enable_tpu") is True else "gpu" if data.get("enable_gpu") is True else "cpu"
    return Kernel(
        ref=str(data["id"]),
        source=source,
        internet=data["enable_internet"],
        accelerator=machine,
        image=data.get("docker_image"),
        datasets=tuple(data.get("dataset_sources") or ()),
        kernels=tuple(data.get("kernel_sources") or ()),
        models=tuple(data.get("model_sources") or ()),
        competitions=tuple(data.get("competition_sources") or ()),
        code_file=str(data["code_file"]),
    )


def request_of(kernel: Kernel, longest: float | None = None) -> Any:
    """Return the request that saves and runs a notebook; ``longest`` limits its run (seconds).

    Raises:
        UsageError: the source is too large, or no notebook.

    """
    from kagglesdk.kernels.types.kernels_api_service import ApiSaveKernelRequest

    metadata = kernel.metadata()
    text = _bare(kernel.source, kernel.ref)
    if len(text.encode()) > SOURCE_LIMIT:
        raise UsageError(
            f"the notebook has {len(text.encode())} bytes, Kaggle takes {SOURCE_LIMIT}",
            where=kernel.ref,
            next="a lock or probe file that is this large cannot be embedded: name a shipped base, or use kpack push",
        )
    return filled(
        ApiSaveKernelRequest,
        slug=kernel.ref,
        new_title=metadata["title"],
        text=text,
        language="python",
        kernel_type="notebook",
        is_private=True,
        enable_internet=kernel.internet,
        **{key: value for key, value in MACHINES[kernel.accelerator].items() if value is not None},
        dataset_data_sources=list(kernel.datasets),
        kernel_data_sources=list(kernel.kernels),
        model_data_sources=list(kernel.models),
        competition_data_sources=list(kernel.competitions),
        category_ids=[],
        **({"docker_image": kernel.image, "docker_image_pinning_type": "original"} if kernel.image else {}),
        **({"session_timeout_seconds": int(longest)} if longest else {}),
    )


def _bare(source: str, where: str) -> str:
    """Return a notebook as the server takes it: without outputs, each source one string."""
    try:
        data = parsed(source)
        for cell in data["cells"]:
            if isinstance(cell["source"], list):
                cell["source"] = "".join(cell["source"])
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError("this is no notebook", where=where) from error
    return json.dumps(data, ensure_ascii=False)


def run(
    kaggle: Kaggle,
    kernel: Kernel,
    *,
    patience: float,
    longest: float | None = None,
    on_state: Callable[[str], None] | None = None,
) -> FinishedRun:
    """Push a notebook, wait until its run ends, and return what it left; a run that failed is returned, too.

    ``patience`` (seconds) limits the wait, ``longest`` (seconds) the run itself.

    Raises:
        UsageError: Kaggle does not take the name or the sources.
        NetworkError: Kaggle cannot be reached or refuses, or the run has not ended in time.

    """
    version, url = _save(kaggle, kernel, longest)
    status, failure = _ended(kaggle, kernel, version, patience, on_state)
    found = _finished(kaggle, kernel.ref, version)
    return replace(found, ok=status == "complete", failure=failure, url=url)


def _save(kaggle: Kaggle, kernel: Kernel, longest: float | None) -> tuple[int, str]:
    request = request_of(kernel, longest)
    answer = kaggle.ask(
        lambda client: client.kernels.kernels_api_client.save_kernel(request), where=kernel.ref, again=False
    )
    if answer.error:
        raise _no(kaggle.scrub(answer.error), kernel.ref)
    invalid = [
        *(answer.invalid_dataset_sources or []),
        *(answer.invalid_kernel_sources or []),
        *(answer.invalid_model_sources or []),
        *(answer.invalid_competition_sources or []),
    ]
    if invalid:
        raise UsageError(
            f"Kaggle does not attach {', '.join(invalid)}",
            where=kernel.ref,
            next="check that it exists and that this account may read it",
        )
    slug = split(kernel.ref, _WHERE)[1]
    found = str(answer.ref or answer.url or "").rstrip("/").rpartition("/")[2]
    if found and found != slug:
        raise UsageError(f"Kaggle saved it as {found!r}, not as {slug!r}", where=kernel.ref, next="rename it on Kaggle")
    return int(answer.version_number or 0), str(answer.url or "")


def _no(said: str, ref: str) -> KpackError:
    low = said.lower()
    if "already in use" in low or "already exists" in low:
        return UsageError(
            f"Kaggle does not take the name: {said}",
            where=ref,
            next="a notebook and a dataset cannot share a name: choose another one",
        )
    busy = any(word in low for word in ("quota", "limit", "maximum"))
    return RefusedError(
        said,
        status=200,
        where=ref,
        next="wait, or use a machine without that accelerator; www.kaggle.com/settings shows the quota" if busy else "",
    )


def _ended(
    kaggle: Kaggle, kernel: Kernel, version: int, patience: float, on_state: Callable[[str], None] | None
) -> tuple[str, str]:
    """Wait for the end of a run; return Kaggle's word for it and for what went wrong."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    request = filled(ApiGetKernelSessionStatusRequest, **_session(kernel.ref, version))
    said = ""
    for _ in turns(patience):
        answer = kaggle.ask(
            lambda client: client.kernels.kernels_api_client.get_kernel_session_status(request), where=kernel.ref
        )
        status = str(answer.status.name).lower()
        if status != said and on_state is not None:
            on_state(status.replace("_", " "))
        said = status
        if status in ("complete", "error", "cancel_acknowledged"):
            return status, kaggle.scrub(answer.failure_message or "")
    raise NetworkError(
        f"the notebook is still {said.replace('_', ' ')} after {patience / 60:.0f} minutes",
        where=kernel.ref,
        next="it runs on at Kaggle; wait longer with --wait MINUTES",
    )


def _session(ref: str, version: int) -> dict[str, str]:
    owner, slug = split(ref, _WHERE)
    # The number alone is answered with 404: the label is v3.
    return {"user_name": owner, "kernel_slug": slug, **({"version_label": f"v{version}"} if version else {})}


def last_run(kaggle: Kaggle, ref: str) -> FinishedRun | None:
    """Return the newest run of a notebook when it ended well, else None."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelSessionStatusRequest

    request = filled(ApiGetKernelSessionStatusRequest, **_session(ref, 0))
    try:
        answer = kaggle.ask(
            lambda client: client.kernels.kernels_api_client.get_kernel_session_status(request), where=ref
        )
        if answer.status.name != "COMPLETE":
            return None
        return _finished(kaggle, ref, 0)
    except RefusedError as error:
        if error.status in (403, 404):
            return None
        raise


def _finished(kaggle: Kaggle, ref: str, version: int) -> FinishedRun:
    from kagglesdk.kernels.types.kernels_api_service import ApiListKernelSessionOutputRequest

    request = filled(ApiListKernelSessionOutputRequest, **_session(ref, version), page_size=100)
    outputs: dict[str, str] = {}
    log = ""
    for _ in range(_PAGES):
        page = kaggle.ask(
            lambda client: client.kernels.kernels_api_client.list_kernel_session_output(request), where=ref
        )
        log = log or page.log or ""
        outputs.update({item.file_name: item.url for item in page.files or []})
        if not page.next_page_token or page.next_page_token == request.page_token:
            break
        request.page_token = page.next_page_token
    return FinishedRun(
        ref=ref, version=version, url="", ok=True, failure="", log=kaggle.scrub(log_text(log)), outputs=outputs
    )


def log_text(log: str) -> str:
    """Return what the cells wrote, from the log as Kaggle keeps it: a JSON list of events, or plain text."""
    try:
        events = parsed(log)
    except ValueError:
        return log
    if not isinstance(events, list):
        return log
    return _ANSI.sub("", "".join(str(event.get("data", "")) for event in events if isinstance(event, dict)))


def fetch(kaggle: Kaggle, run: FinishedRun, name: str, limit: int) -> bytes:
    """Return an output file of at most ``limit`` bytes.

    Raises:
        IntegrityError: the run left no such file, or a larger one.
        NetworkError: it cannot be fetched.

    """
    import requests

    if name not in run.outputs:
        raise IntegrityError(
            f"the notebook left no {name}: it has {', '.join(sorted(run.outputs)[:5]) or 'no output'}", where=run.ref
        )

    def get(_: object) -> bytes:
        with requests.get(run.outputs[name], stream=True, timeout=(30, 300)) as response:
            response.raise_for_status()
            data: bytes = response.raw.read(limit + 1, decode_content=True)
            return data

    data: bytes = kaggle.ask(get, where=f"{run.ref}: {name}")
    if len(data) > limit:
        raise IntegrityError(f"{name} is larger than {limit} bytes", where=run.ref)
    return data


def image_of(kaggle: Kaggle, ref: str) -> str | None:
    """Return the image that Kaggle says a notebook runs in, None when it does not say."""
    from kagglesdk.kernels.types.kernels_api_service import ApiGetKernelRequest

    owner, slug = split(ref, _WHERE)
    request = filled(ApiGetKernelRequest, user_name=owner, kernel_slug=slug)
    answer = kaggle.ask(lambda client: client.kernels.kernels_api_client.get_kernel(request), where=ref)
    said = str(answer.metadata.docker_image or "") if answer.metadata else ""
    return said if _DIGEST.search(said) else None
