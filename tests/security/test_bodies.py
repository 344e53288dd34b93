"""What is sent is refused by its size before it is read, over a real server: the body never comes or is stored."""

import socket
from pathlib import Path

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from firstlight.pages.limits import SLACK
from firstlight.teams.actions import create_user
from firstlight.teams.tokens import create_token

ENDS = [
    ("POST", "/login"),
    ("POST", "/tasks/new"),
    ("POST", "/api/v1/tasks"),
    ("PUT", "/nothing"),
    ("PATCH", "/"),
]


@pytest.mark.parametrize(("method", "path"), ENDS)
def test_an_anonymous_body_of_300_megabytes_is_refused_unread(
    web: tuple[int, Path], method: str, path: str
) -> None:
    port, scratch = web
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        wire.sendall(f"{head}Content-Length: {300 * 2**20}\r\n\r\n".encode() + b"--x\r\n")
        answer = wire.recv(200).decode()  # it comes although the body does not
    assert answer.startswith("HTTP/1.1 413"), answer
    assert list(scratch.iterdir()) == []


def test_a_body_of_unknown_length_is_refused(web: tuple[int, Path]) -> None:
    with socket.create_connection(("127.0.0.1", web[0]), timeout=20) as wire:
        wire.sendall(
            b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        )
        assert wire.recv(200).decode().startswith("HTTP/1.1 411")


def test_a_wrong_token_may_send_no_more_than_nobody(db: None) -> None:
    file = SimpleUploadedFile("t.jsonl", b"x" * (settings.ANONYMOUS_MAX_BYTES + 1))
    wrong = Client(headers={"Authorization": "Bearer fl_" + "a" * 40})
    assert wrong.post("/api/v1/tasks", {"file": file}).status_code == 413
    owner = create_user("ada", password="dawn-over-the-hills")
    right = Client(
        headers={"Authorization": f"Bearer {create_token(owner, name='t', scope='write', days=1)[1]}"}
    )
    file.seek(0)
    assert right.post("/api/v1/tasks", {"file": file}).status_code not in (401, 413)


def test_who_is_signed_in_may_send_a_task_file_and_no_more(db: None) -> None:
    client = Client()
    client.force_login(create_user("ada", password="dawn-over-the-hills"))
    sizes = {settings.ANONYMOUS_MAX_BYTES + 1: 200, settings.TASK_UPLOAD_MAX_BYTES + SLACK + 1: 413}
    for size, status in sizes.items():
        answer = client.post("/tasks/new", CONTENT_LENGTH=str(size))
        assert (answer.status_code == 413) == (status == 413)
    assert b"Cut the file into parts" in answer.content


def test_a_small_form_of_nobody_is_read(db: None) -> None:
    answer = Client().post("/login", {"username": "ada", "password": "wrong"})
    assert answer.status_code == 200
    assert b"correct username and password" in answer.content
