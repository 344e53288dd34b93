"""The nginx configuration that we ship: it asks the site who sends before it takes a body."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import nginx


@pytest.fixture
def proxy(web: tuple[int, Path], tmp_path: Path) -> Iterator[int]:
    """nginx in front of the web process: its port."""
    with nginx(tmp_path, web=web[0]) as port:
        yield port


def status(port: int, head: str, body: bytes = b"") -> int:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(f"{head}\r\nHost: 127.0.0.1\r\n\r\n".encode() + body)
        return int(wire.recv(12).split()[1])


@pytest.mark.parametrize("path", ["/tasks/new", "/api/v1/tasks", "/checkpoints/register"])
@pytest.mark.parametrize(("megabytes", "answer"), [(50, 403), (300, 413)])
def test_an_anonymous_body_is_refused_before_it_is_received(
    proxy: int, tmp_path: Path, path: str, megabytes: int, answer: int
) -> None:
    assert status(proxy, f"POST {path} HTTP/1.1\r\nContent-Length: {megabytes * 2**20}", b"x") == answer
    assert list((tmp_path / "client_body").iterdir()) == []


def test_pages_small_forms_and_the_question_itself(proxy: int) -> None:
    assert status(proxy, "GET /login HTTP/1.1") == 200
    assert status(proxy, "GET /readyz HTTP/1.1") == 200
    assert status(proxy, "GET /tasks/new HTTP/1.1") == 302
    assert (
        status(proxy, "POST /login HTTP/1.1\r\nContent-Length: 3", b"a=b") == 403
    )  # read, and without its token
    assert status(proxy, "POST /login HTTP/1.1\r\nContent-Length: 5000000", b"x") == 413
    assert status(proxy, "GET /may-send HTTP/1.1") == 404  # for nginx alone
