"""A stand-in of the Hub's interface on loopback: it takes a repository, files and one commit."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class HubStandIn:
    """What the Hub would hold after an upload."""

    def __init__(self) -> None:
        self.url = ""
        self.empty()

    def empty(self) -> None:
        """Forgets everything but its address."""
        self.files: dict[str, bytes] = {}
        """Path in the repository → content, once a commit names it."""
        self.repositories: list[dict[str, Any]] = []
        self.tokens: set[str | None] = set()
        self.calls: list[str] = []
        self.refuses = 0
        """An HTTP status with which every request is refused; 0: none is."""
        self.blobs: dict[str, bytes] = {}

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """(status, JSON) of one request."""
        if self.refuses:
            return self.refuses, {"error": "You have no power here"}
        if path == "/api/repos/create":
            content = json.loads(body)
            self.repositories.append(content)
            name = f"{content.get('organization') or 'me'}/{content['name']}"
            return 200, {"url": f"{self.url}/{name}", "name": name, "id": name}
        if path == "/api/whoami-v2":
            return 200, {"name": "me", "type": "user", "orgs": []}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            rows = json.loads(body)["files"]
            return 200, {"files": [_mode(row["path"]) for row in rows]}
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(body)["objects"]
            return 200, {"transfer": "basic", "objects": [self._place(row) for row in objects]}
        if path.startswith("/blob/"):
            self.blobs[hashlib.sha256(body).hexdigest()] = body
            return 200, {}
        if "/commit/" in path:
            for line in body.decode().splitlines():
                self._commit(json.loads(line))
            commit = "0" * 40
            return 200, {
                "success": True,
                "commitOid": commit,
                "commitUrl": f"{self.url}/{path.split('/commit/')[0].removeprefix('/api/models/')}"
                f"/commit/{commit}",
                "hookOutput": "",
            }
        return 404, {"error": f"{method} {path}"}

    def _place(self, row: dict[str, Any]) -> dict[str, Any]:
        href = f"{self.url}/blob/{row['oid']}"
        return {**row, "authenticated": True, "actions": {"upload": {"href": href}}}

    def _commit(self, line: dict[str, Any]) -> None:
        value = line["value"]
        if line["key"] == "file":
            self.files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            self.files[value["path"]] = self.blobs[value["oid"]]


def _mode(path: str) -> dict[str, Any]:
    large = path.endswith(".safetensors")
    return {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}


@contextmanager
def hub_stand_in() -> Iterator[HubStandIn]:
    """The stand-in, answering while the block runs."""
    hub = HubStandIn()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            if self.headers.get("transfer-encoding") == "chunked":
                body = b"".join(iter(self._chunk, b""))
            else:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
            path = self.path.split("?")[0]
            hub.calls.append(f"{self.command} {path}")
            if not path.startswith("/blob/"):
                hub.tokens.add(self.headers.get("authorization"))
            status, content = hub.answer(self.command, path, body)
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def _chunk(self) -> bytes:
            size = int(self.rfile.readline(), 16)
            chunk = self.rfile.read(size)
            self.rfile.readline()
            return chunk

        do_GET = do_POST = do_PUT = do_HEAD = handle_any

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
