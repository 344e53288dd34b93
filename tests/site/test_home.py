import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.site.conftest import Measured, QueryCount, World


def test_an_empty_site_says_the_next_step(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("new"))
    page = client.get("/").content.decode()
    assert "You are in no team yet" in page
    assert "Create a team" in page
    assert "firstlight demo" in page


def test_it_shows_what_runs_and_what_was_forecast(client: Client, world: World, measured: Measured) -> None:
    run = world.run()
    data = client.get("/.json").json()
    assert [r["id"] for r in data["running"]] == [run.pk]
    assert [f["id"] for f in data["forecasts"]] == [measured.forecast.pk]
    assert data["next_step"] is None


def test_its_queries_do_not_grow_with_its_rows(
    client: Client, world: World, queries: QueryCount, measured: Measured
) -> None:
    world.run()
    few = queries(lambda: client.get("/"))
    for _ in range(4):
        world.run()
    assert queries(lambda: client.get("/")) == few <= 10


def test_health(db: None) -> None:
    assert Client().get("/healthz").content == b"ok\n"
    assert Client().get("/readyz").content == b"ready\n"


@pytest.mark.parametrize(("path", "kind"), [("/nothing", "text/html"), ("/nothing.json", "application/json")])
def test_a_missing_page_answers_in_kind(client: Client, path: str, kind: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith(kind)


def test_a_broken_page_answers_in_kind(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("firstlight.home.front.next_step", broken)
    client.raise_request_exception = False
    page = client.get("/")
    assert page.status_code == 500
    assert b"Something broke" in page.content
    assert client.get("/.json").json()["status"] == 500


def test_the_policy_lets_no_inline_script_run(client: Client) -> None:
    answer = client.get("/")
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy
    page = answer.content.decode()
    assert "<script>" not in page
    assert " onclick=" not in page
