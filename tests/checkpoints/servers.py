"""Local servers that speak the protocols of the Hugging Face Hub and of Kaggle, as far as their clients need it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.origin import Origin


def commit_of(files: Mapping[str, bytes]) -> str:
    """Return the commit that a content has."""
    return hashlib.sha1(repr(sorted(files.items())).encode()).hexdigest()


def put_repository(
    origin: Origin,
    repo: str,
    files: Mapping[str, bytes],
    *,
    revisions: tuple[str, ...] = ("main",),
    large: tuple[str, ...] = (),
    kind: str = "models",
    measured: bool = True,
    capitals: bool = False,
) -> str:
    """Serve a repository of the Hub at ``origin`` and return its commit; names in ``large`` are in LFS.

    Without ``measured`` the Hub says that these have size 0, as it did for some; ``capitals`` are a mirror's digests.
    """
    commit = commit_of(files)
    siblings = []
    for name, data in sorted(files.items()):
        sibling: dict[str, object] = {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
        if name in large:
            size = sibling["size"] = len(data) if measured else 0
            digest = hashlib.sha256(data).hexdigest()
            sibling["lfs"] = {"sha256": digest.upper() if capitals else digest, "size": size, "pointerSize": 130}
        siblings.append(sibling)
    info = json.dumps({"id": repo, "sha": commit, "siblings": siblings, "private": False}).encode()
    prefix = "" if kind == "models" else f"/{kind}"
    for revision in (*revisions, commit):
        origin.files[f"/api/{kind}/{repo}/revision/{revision}"] = info
    for name, data in files.items():
        at = f"{prefix}/{repo}/resolve/{commit}/{name}"
        if name in large:
            origin.redirects[at] = f"{origin.url}/lfs/{commit}/{name}"
            origin.files[f"/lfs/{commit}/{name}"] = data
        else:
            origin.files[at] = data
    return commit


@dataclass
class KaggleServer:
    """Answers the calls of kagglehub; to be used as its HTTP proxy."""

    datasets: dict[str, dict[int, dict[str, bytes]]] = field(default_factory=dict)
    """``owner/slug`` → version → files; one without a name is the archive of them."""
    models: dict[str, dict[int, dict[str, bytes]]] = field(default_factory=dict)
    """``owner/model/framework/variation`` → version → files."""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stored: dict[str, bytes] = field(default_factory=dict)
    """What downloads were led to, by its SHA-256."""
    handler: type[BaseHTTPRequestHandler] = BaseHTTPRequestHandler
    """What answers, once the server runs."""
    _server: ThreadingHTTPServer | None = None

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that make the client talk to this server."""
        assert self._server is not None
        url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            "HTTP_PROXY": url,
            "http_proxy": url,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "KAGGLE_USERNAME": "me",
            "KAGGLE_KEY": "key",
        }

    def __enter__(self) -> Self:
        outer: KaggleServer = self

        class Handler(_Handler):
            kaggle = outer

        self.handler = Handler
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kaggle: KaggleServer

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, body: bytes, status: int = 200, content_type: str = "application/octet-stream") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hand_over(self, body: bytes) -> None:
        """Lead to the storage, as Kaggle does: a signed address, and what is there has its digest with it."""
        key = hashlib.sha256(body).hexdigest()
        self.kaggle.stored[key] = body
        self.send_response(302)
        self.send_header("Location", f"http://localhost/storage/{key}?X-Goog-Signature=canary")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        body = self.kaggle.stored[self.path.partition("?")[0].rpartition("/")[2]]
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        first = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("x-goog-hash", f"crc32c=AAAAAA==,md5={digest}")
        self.send_header("Content-Length", str(len(body) - first))
        self.end_headers()
        self.wfile.write(body[first:])

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "{}")
        method = self.path.rpartition("/")[2]
        self.kaggle.calls.append((method, call))
        if "modelSlug" in call:
            framework = call["framework"].removeprefix("MODEL_FRAMEWORK_").replace("_", "").lower()
            versions = next(
                (
                    found
                    for name, found in self.kaggle.models.items()
                    if name.lower() == f"{call['ownerSlug']}/{call['modelSlug']}/{framework}/{call['instanceSlug']}"
                ),
                None,
            )
            number = call.get("versionNumber")
        else:
            versions = self.kaggle.datasets.get(f"{call['ownerSlug']}/{call['datasetSlug']}")
            number = call.get("datasetVersionNumber")
        if versions is None:
            self.answer(b'{"code": 404, "message": "not found"}', 404, "application/json")
            return
        files = versions[int(number)] if number else versions[max(versions)]
        wanted = call.get("path") or call.get("fileName")
        if method == "GetDataset":
            self.answer(json.dumps({"currentVersionNumber": max(versions)}).encode(), 200, "application/json")
        elif method == "GetModelInstance":
            self.answer(json.dumps({"versionNumber": max(versions)}).encode(), 200, "application/json")
        elif method == "ListModelInstanceVersionFiles":
            listed = {"files": [{"name": name, "size": len(data)} for name, data in files.items()], "nextPageToken": ""}
            self.answer(json.dumps(listed).encode(), 200, "application/json")
        elif not wanted and "" in files:
            self.hand_over(files[""])
        elif wanted and wanted not in files:
            self.answer(b"{}", 404)
        elif wanted:
            self.hand_over(files[wanted])
        else:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                for name, data in files.items():
                    archive.writestr(zipfile.ZipInfo(name), data)
            self.hand_over(packed.getvalue())
