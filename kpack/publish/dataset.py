"""A pack as a version of a Kaggle dataset: what is there, what to send, and whether it can be mounted yet."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kpack.environment.checkpoints import ANYWHERE
from kpack.errors import IntegrityError, KpackError, NetworkError, UsageError
from kpack.pack import SUFFIX, bootstrap_of, read, tarfmt
from kpack.publish.client import BUSY, SLOWER, TRIES, RefusedError, filled, pause, shown
from kpack.publish.names import split, title_of
from kpack.publish.upload import UploadMemory, upload
from kpack.publish.waiting import turns

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kpack.pack import ReadPack
    from kpack.publish.client import Kaggle

LIMIT = 200 * 1000**3
"""Bytes that a dataset may have."""

_SERVICE = "datasets.DatasetApiService"
_ID = re.compile(r"\bkpack id ([0-9a-f]{64})\b")
_PAGES = 50
"""Pages of a file list that are read at most."""

_WHERE = "[publish] dataset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A pack that was looked at and may be sent."""

    pack: ReadPack
    name: str
    """The file's name on Kaggle: the one that the pasted line looks for."""
    code_size: int
    """Bytes of bootstrap.py, whose digest is the id."""

    @property
    def note(self) -> str:
        """What is written down at Kaggle: which pack it is."""
        manifest = self.pack.manifest
        packages = len({(item.name, item.version) for target in manifest.targets for item in target.distributions})
        return (
            f"kpack id {self.pack.id}: {packages} packages and {len(manifest.checkpoints)} checkpoints, "
            f"packed by kpack {manifest.kpack}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What Kaggle has of a dataset."""

    ref: str
    exists: bool
    """It can be seen by who is signed in."""
    version: int = 0
    """The version that a notebook would get now."""
    status: str = ""
    """Of the newest version: ``ready``, ``failed``, or a step on the way."""
    id: str | None = None
    """The pack's id in that version, as far as Kaggle shows it."""
    holds: bool = False
    """That version is the very pack: name, size and id."""
    private: bool = True
    coming: str | None = None
    """The pack's id in a version that is being processed, as far as its notes say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What `push` did."""

    dataset: str
    version: int
    changed: bool
    mountable: bool


def parcel(path: Path) -> Parcel:
    """Look at the pack at ``path`` as Kaggle will.

    Raises:
        MachineError: there is no such file.
        IntegrityError: it is no whole pack.
        UsageError: it is a folder, or larger than a dataset may be.

    """
    pack = read(path)
    if pack.is_folder:
        raise UsageError("it is the folder that a pack became", where=str(path), next="push the .kpack.bin file itself")
    size = path.stat().st_size
    if size != pack.size:
        raise IntegrityError(
            f"the file has {size} bytes, its manifest says {pack.size}", where=str(path), next="run kpack build again"
        )
    if size > LIMIT:
        raise UsageError(
            f"the pack has {size} bytes, a Kaggle dataset takes {LIMIT}",
            where=str(path),
            next='keep large checkpoints in datasets of their own: attached = "/kaggle/input/…"',
        )
    return Parcel(pack=pack, name=pack.manifest.name + SUFFIX, code_size=len(bootstrap_of(pack)))


def look(kaggle: Kaggle, ref: str, parcel: Parcel) -> Standing:
    """Ask Kaggle what it has of the dataset ``ref``, and whether that is this pack.

    Raises:
        NetworkError: Kaggle cannot be reached, or refuses.

    """
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetRequest

    status = _status(kaggle, ref)
    if status is None:
        return Standing(ref=ref, exists=False)
    owner, slug = split(ref, _WHERE)
    request = filled(ApiGetDatasetRequest, owner_slug=owner, dataset_slug=slug)
    found = kaggle.ask(lambda client: client.datasets.dataset_api_client.get_dataset(request), where=ref)
    version = max(found.current_version_number, 0)
    notes = {item.version_number: item.version_notes or "" for item in found.versions or []}
    newest = max(notes, default=0)
    coming = _ID.search(notes[newest]) if newest > version else None
    standing = Standing(
        ref=ref,
        exists=True,
        version=version,
        status=status,
        private=found.is_private,
        coming=coming[1] if coming and status not in ("ready", "failed", "deleted") else None,
    )
    if not version:
        return standing
    listed = _listed(kaggle, ref, version, parcel.name)
    if listed is None:
        return standing
    size, description = listed
    said = _ID.search(description) or _ID.search(notes.get(version, ""))
    identity = _head_id(kaggle, ref, version, parcel) or (said[1] if said else None)
    return replace(standing, id=identity, holds=identity == parcel.pack.id and size == parcel.pack.size)


def _status(kaggle: Kaggle, ref: str) -> str | None:
    """Return how far the newest version is, None when no such dataset can be seen."""
    from kagglesdk.datasets.types.dataset_api_service import ApiGetDatasetStatusRequest

    owner, slug = split(ref, _WHERE)
    request = filled(ApiGetDatasetStatusRequest, owner_slug=owner, dataset_slug=slug)
    try:
        answer = kaggle.ask(lambda client: client.datasets.dataset_api_client.get_dataset_status(request), where=ref)
    except RefusedError as error:
        if error.status in (403, 404):  # Kaggle says "denied" of a private dataset that does not exist
            return None
        raise
    return str(answer.status.name).lower()


def _listed(kaggle: Kaggle, ref: str, version: int, name: str) -> tuple[int, str] | None:
    """Return size and description of the file ``name`` in a version, None when it is not there."""
    for item in _files(kaggle, ref, version):
        if item.name == name:
            return item.total_bytes, item.description or ""
    return None


def _files(kaggle: Kaggle, ref: str, version: int) -> list[Any]:
    from kagglesdk.datasets.types.dataset_api_service import ApiListDatasetFilesRequest

    owner, slug = split(ref, _WHERE)
    request = filled(
        ApiListDatasetFilesRequest,
        owner_slug=owner,
        dataset_slug=slug,
        dataset_version_number=version,
        page_size=200,
    )
    found: list[Any] = []
    for _ in range(_PAGES):
        page = kaggle.ask(lambda client: client.datasets.dataset_api_client.list_dataset_files(request), where=ref)
        if page.error_message:
            raise RefusedError(kaggle.scrub(page.error_message), status=200, where=ref)
        found += page.dataset_files or []
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    return found


def _head_id(kaggle: Kaggle, ref: str, version: int, parcel: Parcel) -> str | None:
    """Return the id of the pack that Kaggle really has, from its first bytes; None when it does not show them."""
    from kagglesdk.datasets.types.dataset_api_service import ApiDownloadDatasetRequest

    owner, slug = split(ref, _WHERE)
    request = filled(
        ApiDownloadDatasetRequest,
        owner_slug=owner,
        dataset_slug=slug,
        dataset_version_number=version,
        file_name=parcel.name,
    )

    def head(client: Any) -> bytes:
        with client.datasets.dataset_api_client.download_dataset(request) as response:
            data: bytes = response.raw.read(tarfmt.BLOCK + (1 << 20), decode_content=True)
            return data

    try:
        data = kaggle.ask(head, where=ref)
    except NetworkError:
        return None  # then the list of files has to do
    size = tarfmt.first_size(data[: tarfmt.BLOCK]) if len(data) > tarfmt.BLOCK else None
    if size is None or len(data) < tarfmt.BLOCK + size:
        return None
    return hashlib.sha256(data[tarfmt.BLOCK : tarfmt.BLOCK + size]).hexdigest()


def creation(ref: str, parcel: Parcel, token: str, *, public: bool, license_name: str) -> Any:
    """Return the request that makes the dataset with the pack as its first version."""
    from kagglesdk.datasets.types.dataset_api_service import ApiCreateDatasetRequest, ApiDatasetNewFile

    owner, slug = split(ref, _WHERE)
    return filled(
        ApiCreateDatasetRequest,
        owner_slug=owner,
        slug=slug,
        title=title_of(slug, _WHERE),
        license_name=license_name,
        is_private=not public,
        description=_DESCRIPTION,
        files=[filled(ApiDatasetNewFile, token=token, description=parcel.note)],
        category_ids=[],
    )


def next_version(ref: str, parcel: Parcel, token: str) -> Any:
    """Return the request that makes the pack the newest version of the dataset; nothing else of it is touched."""
    from kagglesdk.datasets.types.dataset_api_service import (
        ApiCreateDatasetVersionRequest,
        ApiCreateDatasetVersionRequestBody,
        ApiDatasetNewFile,
    )

    owner, slug = split(ref, _WHERE)
    body = filled(
        ApiCreateDatasetVersionRequestBody,
        version_notes=parcel.note,
        files=[filled(ApiDatasetNewFile, token=token, description=parcel.note)],
        category_ids=[],
    )
    return filled(ApiCreateDatasetVersionRequest, owner_slug=owner, dataset_slug=slug, body=body)


_DESCRIPTION = (
    "An environment for notebooks without internet, packed by kpack. Attach the dataset and paste, as the first cell, "
    "the line that `kpack build` printed (`kpack bootstrap` prints it again). Each file's description names its id."
)


def planned(standing: Standing, parcel: Parcel, *, public: bool, license_name: str) -> list[dict[str, object]]:
    """Return the requests that `push` would send; none when Kaggle has this pack."""
    if standing.holds:
        return []
    token = "(token of the upload)"  # noqa: S105 - a placeholder
    upload_request: dict[str, object] = {
        "call": "blobs.BlobApiService/StartBlobUpload",
        "body": {"type": "DATASET", "name": parcel.name, "contentLength": parcel.pack.size},
    }
    send: dict[str, object] = {
        "call": "PUT (the address that Kaggle hands out)",
        "body": f"{parcel.pack.size} bytes of {parcel.pack.path}",
    }
    if standing.exists:
        last = shown(_SERVICE, "CreateDatasetVersion", next_version(standing.ref, parcel, token))
    else:
        request = creation(standing.ref, parcel, token, public=public, license_name=license_name)
        last = shown(_SERVICE, "CreateDataset", request)
    return [upload_request, send, last]


def push(
    kaggle: Kaggle,
    standing: Standing,
    parcel: Parcel,
    *,
    memories: Path,
    public: bool = False,
    license_name: str = "other",
    patience: float = 1800.0,
    on_bytes: Callable[[int], None] | None = None,
    on_state: Callable[[str], None] | None = None,
) -> Published:
    """Make the pack the newest version of the dataset, wait until it can be mounted, and check it there.

    ``memories`` is a folder for what an interrupted run leaves to the next; ``patience`` (seconds) limits the wait
    for the version, and 0 does not wait. A version that holds this pack already is not sent again.

    Raises:
        UsageError: Kaggle does not take the name.
        NetworkError: Kaggle cannot be reached, refuses, cannot process the version, or is not done in time.
        IntegrityError: what Kaggle has is not what was sent.

    """
    if standing.holds:
        return Published(dataset=standing.ref, version=standing.version, changed=False, mountable=True)
    if not standing.exists:
        title_of(split(standing.ref, _WHERE)[1], _WHERE)
    memory = UploadMemory(memories, kaggle.username, standing.ref, parcel.name, parcel.pack.id)
    begun = memory.recall(parcel.pack.size)
    if standing.status == "failed":
        memory.forget()
        begun = None
    posted = begun is not None and begun.posted is not None and standing.version <= begun.posted
    if not posted and standing.coming != parcel.pack.id:
        begun = upload(kaggle, parcel.pack.path, parcel.name, memory, on_bytes=on_bytes)
        _post(kaggle, standing, parcel, begun.token, public=public, license_name=license_name)
        begun = replace(begun, posted=standing.version)
        memory.keep(begun)
    elif on_bytes is not None:
        on_bytes(parcel.pack.size)
    if not patience:
        return Published(dataset=standing.ref, version=standing.version + 1, changed=True, mountable=False)
    try:
        found = _mountable(kaggle, standing, parcel, patience, on_state)
    except (RefusedError, IntegrityError):
        memory.forget()
        raise
    memory.forget()
    return Published(dataset=standing.ref, version=found.version, changed=True, mountable=True)


def _post(kaggle: Kaggle, standing: Standing, parcel: Parcel, token: str, *, public: bool, license_name: str) -> None:
    if standing.exists:
        request = next_version(standing.ref, parcel, token)
        call = "create_dataset_version"
    else:
        request = creation(standing.ref, parcel, token, public=public, license_name=license_name)
        call = "create_dataset"
    for attempt in range(1, TRIES + 1):
        try:
            answer = kaggle.ask(
                lambda client: getattr(client.datasets.dataset_api_client, call)(request),
                where=standing.ref,
                again=False,
                busy=SLOWER,
            )
        except NetworkError as error:
            busy = isinstance(error, RefusedError) and error.status in BUSY
            if isinstance(error, RefusedError) and not busy:
                raise
            # It may have arrived all the same, and a second one would make a second version.
            if _arrived(standing, look(kaggle, standing.ref, parcel), parcel):
                return
            if not busy or attempt == TRIES:
                raise
            time.sleep(pause(None, attempt))
        else:
            if answer.error or (answer.status or "ok").lower() != "ok":
                raise _no(kaggle.scrub(answer.error or answer.status), standing.ref)
            return


def _arrived(before: Standing, now: Standing, parcel: Parcel) -> bool:
    """Tell whether a request was carried out of which no answer came: a dataset that was made is the pack's alone."""
    return now.exists and (not before.exists or now.version > before.version or now.coming == parcel.pack.id)


def _no(said: str, ref: str) -> KpackError:
    """Return the error for a refusal that came with HTTP 200."""
    low = said.lower()
    if "already in use" in low or "already exists" in low:
        return UsageError(
            f"Kaggle does not take the name: {said}",
            where=f"{_WHERE} = {ref!r}",
            next="choose another slug, or sign in as the account that the dataset belongs to",
        )
    advice = ""
    if any(word in low for word in ("quota", "limit", "exceed")):
        advice = "delete old datasets or versions (www.kaggle.com/settings shows the quota), or make the pack smaller"
    return RefusedError(said, status=200, where=ref, next=advice)


def _mountable(
    kaggle: Kaggle, before: Standing, parcel: Parcel, patience: float, on_state: Callable[[str], None] | None
) -> Standing:
    """Wait until notebooks get a version after ``before``, and check that it is the pack."""
    said = ""
    for _ in turns(patience):
        status = _status(kaggle, before.ref) or "not there yet"
        if status != said and on_state is not None:
            on_state(status.replace("_", " "))
        said = status
        if status in ("failed", "deleted"):
            raise RefusedError(
                f"the new version is {status}",
                status=200,
                where=before.ref,
                next="look at the dataset's page: Kaggle says there what it could not process",
            )
        if status == "ready":
            # For a moment it may still be the old version that is ready.
            now = look(kaggle, before.ref, parcel)
            if now.version > before.version:
                if not now.holds:
                    raise _other(kaggle, now, parcel)
                return now
    raise NetworkError(
        f"the new version cannot be mounted yet after {patience / 60:.0f} minutes (it is {said})",
        where=before.ref,
        next="run kpack push again later: it sends nothing twice and waits on",
    )


def _other(kaggle: Kaggle, now: Standing, parcel: Parcel) -> IntegrityError:
    names = [f"{item.name} ({item.total_bytes} bytes)" for item in _files(kaggle, now.ref, now.version)]
    return IntegrityError(
        f"version {now.version} is not the pack that was sent: it has {', '.join(names[:5]) or 'no files'}"
        + (f", id {now.id[:12]}" if now.id else "")
        + f"; sent was {parcel.name} ({parcel.pack.size} bytes), id {parcel.pack.id[:12]}",
        where=now.ref,
        next="somebody else may have pushed at the same time: run kpack push again",
    )


def attachments(parcel: Parcel, source: dict[str, object]) -> list[dict[str, object]]:
    """Return what the notebook needs attached: ``source`` with the pack, and what checkpoints stay in."""
    wanted = [source]
    for item in parcel.pack.manifest.checkpoints:
        if item.attached is not None:
            # One that is found by its digest may be in any input; its path in the kernel tells the user which.
            kind, ref = ("unknown", item.path) if item.attached == ANYWHERE else mounted(item.attached)
            place: dict[str, object] = {"kind": kind, "ref": ref}
            if place not in wanted:
                wanted.append(place)
    return wanted


def mounted(path: str) -> tuple[str, str]:
    """Return kind and name of what is mounted at ``path``, as far as the path tells; else ``unknown``."""
    parts = path.removeprefix("/kaggle/input/").split("/")
    kinds = {"datasets": ("dataset", 2), "notebooks": ("notebook", 2), "models": ("model", 5)}
    if parts[0] in kinds and len(parts) > kinds[parts[0]][1]:
        kind, count = kinds[parts[0]]
        return kind, "/".join(parts[1 : 1 + count])
    if parts[0] == "competitions" and len(parts) > 1:
        return "competition", parts[1]
    return "unknown", parts[0]
