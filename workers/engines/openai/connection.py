"""JSON requests to one server: checked addresses, a pool of connections, no redirects, answers of bounded size."""

from __future__ import annotations

import asyncio
import json
import math
import socket
from collections.abc import Iterable
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

import httpcore2 as http
from httpcore2 import AnyIOBackend, AsyncNetworkBackend, AsyncNetworkStream

from firstlight.files.addresses import AddressError, EndpointAddress, check_addresses

CONNECT_SECONDS = 10.0
WRITE_SECONDS = 30.0
IDLE_SECONDS = 4.0  # before a server closes it: many do after 5 s
MAX_ANSWER_BYTES = 10_000_000
MAX_RETRY_AFTER = 120.0
NOT_FINITE = "not JSON compliant"  # what vLLM says instead of NaN


class Trouble(Exception):
    """The server did not do it; another one, or the same one later, may."""


class Busy(Trouble):
    """It said so (429, 503). `retry_after` is in seconds, None where it named no time."""

    def __init__(self, message: str, retry_after: float | None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Garbage(Trouble):
    """It answered, but not what was asked for."""


class Denied(Trouble):
    """Key, model or address are wrong: this server is of no use before an administrator looks at it."""


class Impossible(Exception):
    """The server refuses this request for what it asks; asking again cannot help."""


class Connection:
    """Requests to one server, at most `address.parallel` and one probe at a time."""

    def __init__(self, address: EndpointAddress) -> None:
        self._address = address
        self._pool = http.AsyncConnectionPool(
            max_connections=address.parallel + 1,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=CheckedBackend(allow_private=address.allow_private),
        )
        self._headers = [("Accept", "application/json"), ("Content-Type", "application/json")]
        if address.key:
            self._headers.append(("Authorization", f"Bearer {address.key}"))

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST below the base URL; the answer's JSON object."""
        return await self._ask("POST", self._address.base_url + path, json.dumps(body).encode())

    async def get(self, path: str, *, at_root: bool = False) -> dict[str, Any]:
        """GET below the base URL, or beside it (`/version` stands beside `/v1`)."""
        base = self._address.base_url
        return await self._ask("GET", (base.removesuffix("/v1") if at_root else base) + path, None)

    async def close(self) -> None:
        await self._pool.aclose()

    async def _ask(self, method: str, url: str, body: bytes | None) -> dict[str, Any]:
        # How long an answer may take depends on what else the server has to do: the dispatcher watches that.
        timeout = {"connect": CONNECT_SECONDS, "write": WRITE_SECONDS, "pool": None, "read": None}
        try:
            async with self._pool.stream(
                method, url, headers=self._headers, content=body, extensions={"timeout": timeout}
            ) as response:
                headers = {name.lower().decode("latin-1"): value for name, value in response.headers}
                data = bytearray()
                async for chunk in response.aiter_stream():
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES:
                        raise Garbage(f"the answer has more than {MAX_ANSWER_BYTES:,} bytes")
        except AddressError as error:
            raise Denied(str(error)) from error
        except (http.TimeoutException, http.NetworkError, http.ProtocolError) as error:
            raise Trouble(f"no connection: {type(error).__name__} {error}".rstrip()) from error
        if response.status != 200:
            raise _refused(response.status, headers, bytes(data))
        return _parse(bytes(data))


class CheckedBackend(AsyncNetworkBackend):
    """Resolves a name, judges every address, and connects to one of those that it judged."""

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self._backend = AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> AsyncNetworkStream:
        try:
            async with asyncio.timeout(timeout):
                answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise http.ConnectTimeout("the name server does not answer") from error
        except (OSError, UnicodeError) as error:
            raise http.ConnectError(f"{host} does not resolve") from error
        checked = check_addresses(
            host, (str(answer[4][0]) for answer in answers), allow_private=self._allow_private
        )
        for last, address in enumerate(checked, 1 - len(checked)):
            try:
                return await self._backend.connect_tcp(address, port, timeout, local_address, socket_options)
            except (http.ConnectError, http.ConnectTimeout):
                if last == 0:
                    raise
        raise AssertionError("unreachable: check_addresses returns at least one")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def _refused(status: int, headers: dict[str, bytes], body: bytes) -> Exception:
    said = f"HTTP {status}: {_message(body)}" if body else f"HTTP {status}"
    if NOT_FINITE in said:
        return Garbage(
            "its log-probabilities are not finite; the weights are damaged or overflow in its precision"
        )
    if status in (429, 503):
        return Busy(said, retry_after(headers.get("retry-after", b"").decode("latin-1")))
    if status >= 500 or status in (408, 409, 425):
        return Trouble(said)
    if 300 <= status < 400:
        return Denied(f"HTTP {status}: it redirects, and redirects are not followed; name the final address")
    if status in (401, 403, 404, 405):
        return Denied(said)
    if status >= 400:
        return Impossible(said)
    return Garbage(said)


def _message(body: bytes) -> str:
    """The server's own words, in one short printable line."""
    text = body[:2000].decode("utf-8", "replace")
    try:
        content = json.loads(body)
        inner = content.get("error", content)
        text = str(inner.get("message", inner) if isinstance(inner, dict) else inner)
    except (ValueError, AttributeError, RecursionError):
        pass
    return "".join(c if c.isprintable() else " " for c in text)[:300].strip()


def retry_after(text: str) -> float | None:
    """Seconds to wait, from a number of seconds or a date; None where it is neither."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None


def _parse(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body, parse_constant=_not_a_number)
    except (ValueError, RecursionError) as error:
        raise Garbage(f"the answer is not JSON: {error}"[:200]) from error
    if not isinstance(value, dict):
        raise Garbage(f"the answer is a {type(value).__name__}, not a JSON object")
    return value


def _not_a_number(name: str) -> float:
    raise ValueError(f"it holds {name}")
