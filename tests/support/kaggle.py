"""A Kaggle on loopback for the official client: datasets, uploads that break, notebooks that really run.

Point the client at it with the variables of `Kaggle.environment`: the client's own ``LOCALHOST`` environment is
``http://localhost``, which a proxy variable leads here. ``https`` leads nowhere, so that a mistake stays on loopback.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import urllib.parse
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self, cast

from tests.support.sandbox import Ran, Sandbox

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "KGAT-canary-5eCr3t-t0k3n"
KEY = "canary5ecr3tk3y0123456789abcdef"
IMAGE = "gcr.io/kaggle-images/python@sha256:" + "4" * 64
_RAN: dict[tuple[object, ...], Ran] = {}
"""What came of notebooks without internet and sources: the same one in the same image is run once by the tests of a
process."""
_UNPACKED = (".zip", ".tar", ".tar.gz", ".tgz", ".7z")


@dataclass(frozen=True)
class Fault:
    """An answer that is not the good one."""

    status: int = 200
    message: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    answer: dict[str, object] | None = None
    """A whole answer instead of ``{"code", "message"}``."""


@dataclass(frozen=True)
class Call:
    """A request as it came."""

    method: str
    body: dict[str, Any]


@dataclass
class Blob:
    """An upload."""

    name: str
    size: int
    data: bytearray = field(default_factory=bytearray)

    @property
    def complete(self) -> bool:
        return len(self.data) == self.size


@dataclass
class Version:
    """A version of a dataset."""

    files: dict[str, tuple[bytes, str]]
    """Content and description by name."""
    notes: str
    pending: int
    """Questions for the status that are answered with a step on the way."""
    failed: bool = False

    @property
    def status(self) -> str:
        if self.pending:
            return "BLOBS_RECEIVED"
        return "FAILED" if self.failed else "READY"


@dataclass
class Dataset:
    """A dataset and all its versions."""

    private: bool
    title: str
    license: str
    description: str
    versions: list[Version] = field(default_factory=list)

    @property
    def current(self) -> int:
        """The newest version that can be mounted; 0 for none."""
        return max((n for n, one in enumerate(self.versions, 1) if one.status == "READY"), default=0)


@dataclass
class Run:
    """One version of a notebook, and what became of it."""

    request: dict[str, Any]
    queued: int
    """Questions for the status that are answered with QUEUED."""
    done: threading.Event = field(default_factory=threading.Event)
    ran: Ran | None = None

    @property
    def status(self) -> str:
        if self.queued:
            return "QUEUED"
        if not self.done.is_set():
            return "RUNNING"
        return "COMPLETE" if self.ran and self.ran.ok else "ERROR"


@dataclass
class Kaggle:
    """The stand-in; ``folder`` is where notebooks run."""

    folder: Path
    user: str = "me"
    ready_after: int = 1
    """Questions for its status until a new version can be mounted."""
    fails: bool = False
    """New versions cannot be processed."""
    faults: dict[str, list[Fault | None]] = field(default_factory=dict)
    """By method (``SaveKernel``), used up one per request; None is a good answer."""
    breaks: list[int] = field(default_factory=list)
    """Bytes of an upload after which the connection breaks, one per ``PUT`` with bytes."""
    stalls: int | None = None
    """Bytes of an upload after which no more is read until `let_go`; then the connection breaks."""
    stalled: threading.Event = field(default_factory=threading.Event)
    """Set when an upload stalls."""
    let_go: threading.Event = field(default_factory=threading.Event)
    expired: bool = False
    """The token is no longer good."""
    hides_content: bool = False
    """Files are not handed out."""
    hides_descriptions: bool = False
    damages: bool = False
    """What is stored is not what was sent."""
    quota: str = ""
    """Why no notebook may run."""
    kernel_environment: dict[str, str] = field(default_factory=dict)
    """Variables of notebooks that run with internet: where the loopback index is."""
    image: str = ""
    """The image that notebooks run in, whatever they ask for."""
    image_files: dict[str, str] = field(default_factory=dict)
    """What it has in site-packages beside what the tests have: text by path."""
    longest: float = 300.0
    """Seconds that a notebook may run."""
    taken: set[str] = field(default_factory=set)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    blobs: dict[str, Blob] = field(default_factory=dict)
    kernels: dict[str, list[Run]] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)
    puts: list[tuple[str, int]] = field(default_factory=list)
    """``Content-Range`` and bytes received of every ``PUT``."""
    _server: ThreadingHTTPServer | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that lead the official client here, and nowhere else."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "KAGGLE_API_TOKEN": TOKEN,
            "HTTP_PROXY": self.url,
            "http_proxy": self.url,
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "https_proxy": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / "config"),
        }

    @property
    def handler(self) -> type[BaseHTTPRequestHandler]:
        """What answers its requests."""
        assert self._server is not None
        return cast("type[BaseHTTPRequestHandler]", self._server.RequestHandlerClass)

    def __enter__(self) -> Self:
        outer = self

        class Handler(_Handler):
            kaggle: Kaggle = outer

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for runs in self.kernels.values():
            for run in runs:
                run.done.wait(self.longest)

    def said(self, method: str) -> list[dict[str, Any]]:
        """Return the bodies of all requests of one method."""
        return [call.body for call in self.calls if call.method == method]

    # What each method answers; a Fault instead of a dict is an error.

    def introspect_token(self, body: dict[str, Any]) -> dict[str, Any]:
        good = body.get("token") == TOKEN and not self.expired
        return {"active": good, "username": self.user if good else ""}

    def start_blob_upload(self, body: dict[str, Any]) -> dict[str, Any]:
        token = f"blob-{len(self.blobs)}-canary"
        self.blobs[token] = Blob(body["name"], body["contentLength"])
        return {"token": token, "createUrl": f"{self.url}/upload/{token}?signature=canary-signature"}

    def create_dataset(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        ref = f"{body['ownerSlug']}/{body['slug']}"
        if ref in self.datasets or ref in self.taken:
            return {
                "status": "error",
                "error": f'The requested title "{body["title"]}" is already in use by a dataset.',
            }
        if not 6 <= len(body["title"]) <= 50 or slugify(body["title"]) != body["slug"]:
            return Fault(400, "Invalid title")
        if not body.get("licenseName"):
            return Fault(400, "Exactly one license is needed")
        self.datasets[ref] = Dataset(
            body.get("isPrivate", False), body["title"], body["licenseName"], body.get("description", "")
        )
        return self._version(ref, body, "Initial release")

    def create_dataset_version(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        ref = f"{body['ownerSlug']}/{body['datasetSlug']}"
        if ref not in self.datasets:
            return Fault(403, "Permission 'datasets.update' was denied")
        return self._version(ref, body["body"], body["body"]["versionNotes"])

    def _version(self, ref: str, body: dict[str, Any], notes: str) -> dict[str, Any]:
        files: dict[str, tuple[bytes, str]] = {}
        for item in body["files"]:
            blob = self.blobs[item["token"]]
            if not blob.complete:
                return {"status": "error", "error": f"Upload of {blob.name} is not complete"}
            data = bytes(blob.data[:-1]) + b"\1" if self.damages else bytes(blob.data)
            name = re.sub(r"[+~]", "", blob.name)
            if name.endswith(_UNPACKED):
                name = f"{name.partition('.')[0]}/unpacked"
            files[name] = (data, item.get("description", ""))
        self.datasets[ref].versions.append(Version(files, notes, self.ready_after, self.fails))
        return {"status": "ok", "ref": ref, "url": f"{self.url}/datasets/{ref}", "error": ""}

    def _dataset(self, body: dict[str, Any]) -> Dataset | None:
        return self.datasets.get(f"{body['ownerSlug']}/{body['datasetSlug']}")

    def get_dataset_status(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        dataset = self._dataset(body)
        if dataset is None:
            return Fault(403, "Permission 'datasets.get' was denied")
        newest = dataset.versions[-1]
        status = newest.status
        newest.pending = max(0, newest.pending - 1)
        return {"status": status}

    def get_dataset(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        dataset = self._dataset(body)
        if dataset is None:
            return Fault(403, "Permission 'datasets.get' was denied")
        return {
            "ref": f"{body['ownerSlug']}/{body['datasetSlug']}",
            "title": dataset.title,
            "isPrivate": dataset.private,
            "currentVersionNumber": dataset.current,
            "versions": [
                {"versionNumber": n, "versionNotes": v.notes, "status": v.status}
                for n, v in enumerate(dataset.versions, 1)
            ],
        }

    def list_dataset_files(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        dataset = self._dataset(body)
        number = body.get("datasetVersionNumber", dataset.current if dataset else 0)
        if dataset is None or not 0 < number <= len(dataset.versions):
            return Fault(404, "Not found")
        return {
            "datasetFiles": [
                {"name": name, "totalBytes": len(data), "description": "" if self.hides_descriptions else description}
                for name, (data, description) in dataset.versions[number - 1].files.items()
            ]
        }

    def download_dataset(self, body: dict[str, Any]) -> bytes | Fault:
        dataset = self._dataset(body)
        if dataset is None or self.hides_content:
            return Fault(403, "Permission 'datasets.get' was denied")
        name: str = body["fileName"]
        return dataset.versions[int(body["datasetVersionNumber"]) - 1].files[name][0]

    def save_kernel(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        owner = body["slug"].partition("/")[0]
        if owner != self.user:
            return Fault(403, "Permission 'kernels.update' was denied")
        if self.quota:
            return {"error": self.quota}
        if body["slug"] in self.taken or body["slug"] in self.datasets:
            return {"error": "The requested title is already in use. Please choose another title."}
        ref = f"{owner}/{slugify(body['newTitle'])}"  # the title decides, whatever the slug says
        answer = {
            "ref": f"/code/{ref}",
            "url": f"{self.url}/code/{ref}",
            "invalidDatasetSources": [one for one in body.get("datasetDataSources", []) if one not in self.datasets],
            "invalidKernelSources": [one for one in body.get("kernelDataSources", []) if one not in self.kernels],
        }
        run = Run(body, queued=1)
        self.kernels.setdefault(ref, []).append(run)
        threading.Thread(target=self._run, args=(run,), daemon=True).start()
        return {**answer, "versionNumber": len(self.kernels[ref])}

    def _run(self, run: Run) -> None:
        """Execute a notebook as Kaggle would: its sources mounted, without network unless it is asked for."""
        body = run.request
        internet = body.get("enableInternet", True)  # the trap: a missing key means true
        environment = {
            "KAGGLE_KERNEL_RUN_TYPE": "Batch",
            "KAGGLE_DOCKER_IMAGE": self.image or body.get("dockerImage", IMAGE),
            **(self.kernel_environment if internet else {}),
        }
        longest = min(self.longest, body.get("sessionTimeoutSeconds", self.longest))
        alone = not (internet or body.get("datasetDataSources") or body.get("kernelDataSources"))
        facts = (body["text"], *sorted(environment.items()), longest, *sorted(self.image_files.items()))
        if alone and facts in _RAN:
            run.ran = _RAN[facts]
            run.done.set()
            return
        with Sandbox(self.folder, self.image_files) as sandbox:
            for ref in body.get("datasetDataSources", []):
                dataset = self.datasets[ref]
                for name, (data, _) in dataset.versions[dataset.current - 1].files.items():
                    sandbox.mount(f"datasets/{ref}/{name}", data)
            for ref in body.get("kernelDataSources", []):
                ran = next(one.ran for one in reversed(self.kernels[ref]) if one.ran is not None)
                for name, path in ran.outputs.items():
                    sandbox.mount(f"notebooks/{ref}/{name}", path)
            run.ran = sandbox.run(body["text"], internet=internet, environment=environment, longest=longest)
        if alone:
            _RAN[facts] = run.ran
        run.done.set()

    def _find_run(self, body: dict[str, Any]) -> Run | None:
        runs = self.kernels.get(f"{body['userName']}/{body['kernelSlug']}")
        if not runs:
            return None
        label = body.get("versionLabel", f"v{len(runs)}")
        return runs[int(label[1:]) - 1]

    def get_kernel_session_status(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        run = self._find_run(body)
        if run is None:
            return Fault(403, "Permission 'kernels.get' was denied")
        status = run.status
        run.queued = max(0, run.queued - 1)
        return {"status": status, "failureMessage": run.ran.failure if run.ran and status == "ERROR" else ""}

    def list_kernel_session_output(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        run = self._find_run(body)
        if run is None or run.ran is None:
            return Fault(404, "Not found")
        names = sorted(run.ran.outputs)
        start, count = int(body.get("pageToken") or 0), body.get("pageSize", 20)
        ref = f"{body['userName']}/{body['kernelSlug']}"
        number = self.kernels[ref].index(run)
        return {
            "files": [
                {"fileName": name, "url": f"{self.url}/output/{ref}/{number}/{urllib.parse.quote(name)}?sig=canary-sig"}
                for name in names[start : start + count]
            ],
            "log": json.dumps(run.ran.log),
            "nextPageToken": str(start + count) if start + count < len(names) else "",
        }

    def get_kernel(self, body: dict[str, Any]) -> dict[str, Any] | Fault:
        run = self._find_run(body)
        if run is None:
            return Fault(403, "Permission 'kernels.get' was denied")
        request = run.request
        return {
            "metadata": {
                "ref": f"{body['userName']}/{body['kernelSlug']}",
                "title": request["newTitle"],
                "isPrivate": request.get("isPrivate", False),
                "dockerImage": request.get("dockerImage", IMAGE),
                "currentVersionNumber": len(self.kernels[f"{body['userName']}/{body['kernelSlug']}"]),
            }
        }


def slugify(title: str) -> str:
    """Return the slug that Kaggle makes of a title."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kaggle: Kaggle

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def answer(self, status: int, body: bytes = b"", *headers: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for key, value in headers:
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def json(self, status: int, value: object, *headers: tuple[str, str]) -> None:
        self.answer(status, json.dumps(value).encode(), ("Content-Type", "application/json"), *headers)

    @property
    def route(self) -> list[str]:
        """The parts of the path; as a proxy this server is asked for whole URLs."""
        return urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).strip("/").split("/")

    def signed_in(self) -> bool:
        held = self.headers.get("Authorization", "")
        basic = base64.b64encode(f"{self.kaggle.user}:{KEY}".encode()).decode()
        return not self.kaggle.expired and held in (f"Bearer {TOKEN}", f"Basic {basic}")

    def do_POST(self) -> None:
        kaggle = self.kaggle
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        method = self.route[-1]
        with kaggle._lock:
            kaggle.calls.append(Call(method, body))
            queue = kaggle.faults.get(method, [])
            fault = queue.pop(0) if queue else None
            value: Any = fault
            if fault is None:
                if method != "IntrospectToken" and not self.signed_in():
                    value = Fault(401, "Unauthenticated")
                else:
                    value = getattr(kaggle, re.sub(r"(?<!^)([A-Z])", r"_\1", method).lower())(body)
        if isinstance(value, bytes):
            self.answer(200, value, ("Content-Type", "application/octet-stream"))
        elif isinstance(value, Fault):
            said = value.answer or {"code": value.status, "message": value.message}
            self.json(value.status, said, *value.headers)
        else:
            self.json(200, value)

    def do_GET(self) -> None:
        kind, owner, slug, number, *name = self.route
        assert kind == "output"
        ran = self.kaggle.kernels[f"{owner}/{slug}"][int(number)].ran
        assert ran is not None
        self.answer(200, ran.outputs["/".join(name)].read_bytes(), ("Content-Type", "application/octet-stream"))

    def do_PUT(self) -> None:
        kaggle = self.kaggle
        claim = self.headers.get("Content-Range", "")
        length = int(self.headers.get("Content-Length", 0))
        blob = kaggle.blobs.get(self.route[-1])
        if blob is None:
            self.rfile.read(length)
            self.answer(404)
            return
        received = self.receive(blob, claim, length)
        kaggle.puts.append((claim, received))
        if received < length:
            self.close_connection = True  # the break: no answer
        elif blob.complete:
            self.answer(200)
        else:
            held = (("Range", f"bytes=0-{len(blob.data) - 1}"),) if blob.data else ()
            self.answer(308, b"", *held)

    def receive(self, blob: Blob, claim: str, length: int) -> int:
        """Take the bytes of a ``PUT`` as far as they come, and return how many."""
        found = re.match(r"bytes (\d+)-", claim)
        position = int(found[1]) if found else 0
        limit = self.kaggle.breaks.pop(0) if length and self.kaggle.breaks else length
        stalls = self.kaggle.stalls if length else None
        limit = limit if stalls is None else stalls
        received = 0
        while received < min(length, limit):
            piece = self.rfile.read(min(1 << 16, min(length, limit) - received))
            if not piece:
                break
            received += len(piece)
            # Bytes that are there already come again when the client did not ask first.
            fresh = piece[max(0, len(blob.data) - position) :] if position <= len(blob.data) else b""
            blob.data += fresh
            position += len(piece)
        if stalls is not None:
            self.kaggle.stalled.set()
            self.kaggle.let_go.wait(120)
        return received
