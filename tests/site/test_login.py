from django.test import Client

from tests.site.conftest import World


def test_signing_in_and_out(world: World) -> None:
    client = Client()
    answer = client.post("/login", {"username": "owner", "password": "a-long-pass-word", "next": "/runs"})
    assert answer.headers["Location"] == "/runs"
    assert client.get("/").status_code == 200
    assert client.post("/logout").headers["Location"] == "/login"
    assert client.get("/").status_code == 302


def test_a_wrong_password_is_said_without_naming_which(world: World) -> None:
    page = Client().post("/login", {"username": "owner", "password": "x"}).content.decode()
    assert "correct" in page


def test_the_next_page_is_one_of_ours(world: World) -> None:
    data = {"username": "owner", "password": "a-long-pass-word", "next": "https://example.org/"}
    assert Client().post("/login", data).headers["Location"] == "/"


def test_a_post_without_a_token_is_refused(world: World) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.owner)
    assert client.post("/series/new", {"name": "x"}).status_code == 403
