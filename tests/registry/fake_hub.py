"""A hub on loopback that `huggingface_hub` downloads from: one model with branches, as the real one's addresses are."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Hub:
    """What it holds: revision -> (commit, folder). `pace`: bytes a second of weights; None for all at once."""

    name: str
    revisions: dict[str, tuple[str, Path]]
    url: str = ""
    pace: float | None = None
    gated: bool = False
    sent: list[str] = field(default_factory=list)

    def folder(self, revision: str) -> tuple[str, Path] | None:
        by_commit = {commit: (commit, folder) for commit, folder in self.revisions.values()}
        return self.revisions.get(revision) or by_commit.get(revision)


@contextmanager
def hub(name: str, revisions: dict[str, tuple[str, Path]]) -> Iterator[Hub]:
    state = Hub(name, revisions)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key.replace("_", "-"), value)
            if "Content_Length" not in headers:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def _missing(self, code: str, status: int = 404) -> None:
            self._answer(status, b"{}", X_Error_Code=code, X_Error_Message=code)

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if path.startswith(f"/api/models/{state.name}/"):
                kind, _, rest = path.removeprefix(f"/api/models/{state.name}/").partition("/")
                found = state.folder(rest)
                if state.gated:
                    self._missing("GatedRepo", 403)
                elif found is None:
                    self._missing("RevisionNotFound")
                elif kind == "revision":
                    files = [{"rfilename": file.name} for file in sorted(found[1].iterdir())]
                    self._json({"id": state.name, "sha": found[0], "siblings": files})
                else:
                    self._json(
                        [
                            {
                                "type": "file",
                                "path": file.name,
                                "size": file.stat().st_size,
                                "oid": _tag(file),
                            }
                            for file in sorted(found[1].iterdir())
                        ]
                    )
            elif path.startswith(f"/{state.name}/resolve/"):
                revision, _, file = path.removeprefix(f"/{state.name}/resolve/").partition("/")
                found = state.folder(revision)
                if found is None or not (found[1] / file).is_file():
                    self._missing("EntryNotFound")
                else:
                    self._file(found[0], found[1] / file)
            else:
                self._missing("RepoNotFound", 401)

        def _json(self, value: Any) -> None:
            self._answer(200, json.dumps(value).encode(), Content_Type="application/json")

        def _file(self, commit: str, file: Path) -> None:
            content = file.read_bytes()
            start = 0
            if asked := self.headers.get("Range"):
                start = int(asked.removeprefix("bytes=").partition("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", commit)
            self.send_header("ETag", f'"{_tag(file)}"')
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if self.command == "HEAD":
                return
            state.sent.append(file.name)
            try:
                for place in range(start, len(content), 65_536):
                    self.wfile.write(content[place : place + 65_536])
                    if state.pace and file.suffix == ".safetensors":
                        time.sleep(65_536 / state.pace)
            except OSError:  # who asked is gone
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _tag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()
