"""Requests that arrive once: tried again after faults of the network, with the same idempotency key."""

from __future__ import annotations

import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid
from typing import Any

#: Statuses after which the same request may be sent again.
AGAIN = (429, 500, 502, 503, 504)
LONGEST_PAUSE = 30.0


class SiteError(Exception):
    """What the site refused, or why it could not be reached, in one line. `status`: of the answer, 0 without one."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """One site and one token.

    timeout: seconds of one try. patience: seconds for which a request is tried again.
    """

    def __init__(self, url: str, token: str, *, timeout: float = 30.0, patience: float = 120.0) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SiteError(f"{url!r} is no address of a site: write it as https://firstlight.example.org")
        if not token or not token.isascii() or not token.isprintable():
            raise SiteError(
                "there is no token: make one on the site's page of API tokens, and set FIRSTLIGHT_TOKEN"
            )
        self.base = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/api/v1"
        self._token, self._timeout, self._patience = token, timeout, patience

    def get(self, path: str, **query: Any) -> Any:
        asked = {name: value for name, value in query.items() if value is not None}
        return json.loads(self.text(f"{path}?{urllib.parse.urlencode(asked)}" if asked else path))

    def text(self, path: str) -> bytes:
        return self._send("GET", path, None, {})

    def rows(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """All rows of a list, page after page."""
        rows, cursor = [], None
        while True:
            page = self.get(path, **query, limit=200, cursor=cursor)
            rows += page["items"]
            cursor = page["next"]
            if cursor is None:
                return rows

    def post(self, path: str, body: dict[str, Any] | None = None) -> Any:
        content = json.dumps(body or {}).encode()
        answer = self._send("POST", path, content, {"Content-Type": "application/json"})
        return json.loads(answer) if answer else None

    def upload(self, path: str, fields: dict[str, str], file: tuple[str, bytes]) -> Any:
        """A form with one file."""
        mark = uuid.uuid4().hex
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        name = urllib.parse.quote(file[0])
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'
        content = b"".join([*parts, head.encode(), file[1], f"\r\n--{mark}--\r\n".encode()])
        kind = {"Content-Type": f"multipart/form-data; boundary={mark}"}
        return json.loads(self._send("POST", path, content, kind))

    def _send(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> bytes:
        headers = headers | {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if method == "POST":
            # one key for all tries: a request whose answer was lost is not done twice
            headers["Idempotency-Key"] = uuid.uuid4().hex
        until, pause = time.monotonic() + self._patience, 0.5
        while True:
            request = urllib.request.Request(self.base + path, data=content, headers=headers, method=method)
            try:
                with urllib.request.urlopen(request, timeout=self._timeout) as answer:
                    received: bytes = answer.read()
                    return received
            except urllib.error.HTTPError as error:
                wait = _retry_after(error) or pause
                if error.code not in AGAIN or time.monotonic() + wait > until:
                    raise SiteError(_sentence(error), error.code) from error
            except (OSError, http.client.HTTPException) as error:
                wait = pause
                if time.monotonic() + wait > until:
                    reason = getattr(error, "reason", None) or error
                    raise SiteError(f"{self.base} cannot be reached: {reason}") from error
            time.sleep(wait * random.uniform(0.8, 1.2))  # so that many loops do not come back together
            pause = min(2 * pause, LONGEST_PAUSE)


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    text = error.headers.get("Retry-After", "")
    return min(float(text), LONGEST_PAUSE) if text.isdigit() else None


def _sentence(error: urllib.error.HTTPError) -> str:
    """The problem's own sentence."""
    try:
        said = json.loads(error.read())
        return str(said["detail"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"the site answered {error.code} {error.reason}"
