"""How the API behaves: keys that happen once, pages, problems, its schema, and what it makes."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client

from firstlight.api.answers import forget_old_keys
from firstlight.api.docs import openapi
from firstlight.api.models import IdempotentRequest
from firstlight.api.site import api
from firstlight.evaluations.models import Run
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.tokens import create_token
from tests.site.conftest import Measured, World, measured, world  # noqa: F401  # fixtures

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def call(world: World) -> Any:  # noqa: F811
    _, text = create_token(world.owner, name="x", scope="manage", days=1)
    client = Client()

    def send(method: str, path: str, body: Any = None, **headers: str) -> Any:
        return client.generic(
            method,
            f"/api/v1{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/json",
            headers={"Authorization": f"Bearer {text}"}
            | {k.replace("_", "-"): v for k, v in headers.items()},
        )

    return send


def test_the_schema_is_the_one_on_record() -> None:
    """`make openapi` writes it anew: look at the difference before it goes out."""
    assert json.loads((ROOT / "docs" / "openapi.json").read_text()) == openapi()


def test_every_operation_says_what_it_does_and_how_it_fails() -> None:
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], path
            if not path.endswith(".csv"):
                assert {"401", "403", "404", "422"} <= set(operation["responses"]), (method, path)


def test_the_same_key_makes_one_thing_and_gives_the_same_answer(call: Any) -> None:
    first = call("POST", "/series", {"name": "fresh"}, Idempotency_Key="k1")
    again = call("POST", "/series", {"name": "fresh"}, Idempotency_Key="k1")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Series.objects.filter(name="fresh").count() == 1
    other = call("POST", "/series", {"name": "other"}, Idempotency_Key="k1")
    assert (other.status_code, other.json()["title"]) == (422, "Key used before")
    assert not Series.objects.filter(name="other").exists()


def test_what_was_refused_is_not_kept_and_may_be_tried_again(call: Any, world: World) -> None:  # noqa: F811
    body = {"name": world.series.name}
    assert call("POST", "/series", body, Idempotency_Key="k").status_code == 422
    assert not IdempotentRequest.objects.exists()
    Series.objects.filter(pk=world.series.pk).update(name="moved")
    assert call("POST", "/series", body, Idempotency_Key="k").status_code == 201


def test_a_secret_is_in_the_first_answer_only(call: Any) -> None:
    body = {"name": "t", "scope": "read"}
    first = call("POST", "/tokens", body, Idempotency_Key="k").json()
    assert first["token"].startswith("fl_")
    assert "token" not in call("POST", "/tokens", body, Idempotency_Key="k").json()
    assert first["token"] not in str(IdempotentRequest.objects.values())


def test_old_keys_are_forgotten(call: Any) -> None:
    from datetime import timedelta

    from django.utils import timezone

    call("POST", "/series", {"name": "a"}, Idempotency_Key="k")
    assert forget_old_keys() == 0
    IdempotentRequest.objects.update(created_at=timezone.now() - timedelta(days=3))
    assert forget_old_keys() == 1


def test_pages_behind_a_cursor_miss_nothing(call: Any, world: World) -> None:  # noqa: F811
    for k in range(7):
        world.weights(f"w{k}", 1000 + k)
    seen, cursor = [], None
    while True:
        page = call("GET", f"/checkpoints?limit=3{f'&cursor={cursor}' if cursor else ''}").json()
        seen += [one["name"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [*(f"w{k}" for k in reversed(range(7))), "planned", "tiny"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/series?limit=0", None, 422),
        ("GET", "/series?cursor=nonsense", None, 422),
        ("GET", "/series/999999", None, 404),
        ("GET", f"/series/{10**30}", None, 422),
        ("GET", "/series/x", None, 422),
        ("GET", "/nowhere", None, 404),
        ("PUT", "/series", {}, 405),
        ("POST", "/series", {"nmae": "misspelt", "name": "x"}, 422),
        ("POST", "/series", {"name": "a\x00b"}, 422),
        ("POST", "/series", {"name": "\ud800"}, 422),
        ("POST", "/series", [], 422),
        ("POST", "/runs", {"checkpoints": [1], "tasks": ["none"], "rule": {"kind": ["x"]}}, 422),
        ("GET", "/tasks?name=%00", None, 422),
        ("GET", "/audit?since=yesterday", None, 422),
    ],
)
def test_what_is_wrong_is_a_problem_with_a_sentence(
    call: Any, method: str, path: str, body: Any, status: int
) -> None:
    answer = call(method, path, body)
    assert answer.status_code == status, answer.content
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["detail"]


def test_a_body_that_is_no_json_is_a_problem(world: World) -> None:  # noqa: F811
    client = world.client("owner")
    answer = client.post("/api/v1/series", "{", content_type="application/json")
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


def test_three_lines_of_a_training_loop(call: Any, world: World) -> None:  # noqa: F811
    body = {
        "location": str(world.folder),
        "series": "loop",
        "configuration": "base",
        "step": 1000,
        "name": "s1000",
    }
    made = call("POST", "/checkpoints", body)
    assert made.status_code == 201
    checkpoint = Checkpoint.objects.get(pk=made.json()["id"])
    assert (checkpoint.step, checkpoint.series.name, checkpoint.configuration.name) == (1000, "loop", "base")
    runs = call(
        "POST", "/runs", {"checkpoints": [checkpoint.pk], "tasks": ["sums"], "rule": {"cap": 50, "floor": 5}}
    )
    assert runs.status_code == 201, runs.content
    run = Run.objects.get(pk=runs.json()["runs"][0]["id"])
    assert run.rule["cap"] == 50
    assert call("GET", f"/runs/{run.pk}").json()["engine"] == "reference"


@pytest.mark.parametrize("rule", [{"r": 1}, {"kind": "none"}, {"cap": "many"}, {"r": None}, {"cap": 10**400}])
def test_an_impossible_rule_is_refused(call: Any, world: World, rule: dict[str, Any]) -> None:  # noqa: F811
    body = {"checkpoints": [world.checkpoint.pk], "tasks": [world.task.pk], "rule": rule}
    answer = call("POST", "/runs/cost", body)
    assert answer.status_code in (200, 422), answer.content
    assert answer.status_code == 422 or rule == {"r": None}


def test_what_was_measured_is_read_back(call: Any, measured: Measured) -> None:  # noqa: F811
    run = measured.runs[2]
    facts = call("GET", f"/runs/{run.pk}").json()
    assert facts["estimate"]["mean"] == pytest.approx(1 / 12, rel=0.6)
    units = call("GET", f"/runs/{run.pk}/units").json()["items"]
    assert len(units) == 4
    assert b"model,n_params" in b"".join(call("GET", f"/runs/{run.pk}/tallies.csv"))
    samples = call("GET", f"/runs/{run.pk}/samples?passed=false").json()["items"]
    assert samples
    assert not any(sample["passed"] for sample in samples)
    forecast = call("GET", f"/forecasts/{measured.forecast.pk}").json()
    assert forecast["result"]["targets"]


def test_a_task_is_uploaded(world: World) -> None:  # noqa: F811
    from django.core.files.uploadedfile import SimpleUploadedFile

    line = b'{"id": "a", "prompt": "1+1=", "answer": "2", "grader": "exact", "max_tokens": 3}'
    client = world.client("owner")
    made = client.post("/api/v1/tasks", {"name": "more", "file": SimpleUploadedFile("m.jsonl", line)})
    assert made.status_code == 201, made.content
    assert made.json()["instances"] == 1
    broken = client.post("/api/v1/tasks", {"name": "bad", "file": SimpleUploadedFile("m.jsonl", b"{")})
    assert (broken.status_code, "line 1" in broken.json()["detail"]) == (422, True)


def test_the_page_of_the_api_lists_every_operation(world: World) -> None:  # noqa: F811
    page = world.client("viewer").get("/api/v1/docs").content.decode()
    for methods in openapi()["paths"].values():
        for operation in methods.values():
            assert operation["operationId"] in page
    assert Client().get("/api/v1/docs").status_code == 200


def test_a_token_that_asks_too_often_is_told_to_wait(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (throttle,) = api.throttle  # type: ignore[misc]
    monkeypatch.setattr(throttle, "num_requests", 2)
    monkeypatch.setattr(throttle, "duration", 60)
    cache.clear()
    answers = [call("GET", "/me") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Content-Type"] == "application/problem+json"
    assert 0 < int(answers[2].headers["Retry-After"]) <= 60
    cache.clear()


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/series", {"name": "x", "scale_axis": "colour"}, "no scale axis 'colour'"),
        ("/configurations", {"name": "x", "status": "lost"}, "no status 'lost'"),
    ],
)
def test_a_word_that_is_no_choice_is_refused(call: Any, path: str, body: Any, told: str) -> None:
    answer = call("POST", path, body)
    assert (answer.status_code, told in answer.json()["detail"]) == (422, True)


def test_an_invitation_is_for_an_address(call: Any, world: World) -> None:  # noqa: F811
    path = f"/teams/{world.team.pk}/invitations"
    assert call("POST", path, {"email": "no address"}).status_code == 422
    assert call("POST", path, {"email": "ada@example.org"}).status_code == 201


def test_a_path_that_no_column_holds_is_refused(call: Any, world: World) -> None:  # noqa: F811
    deep = world.folder.parent / "/".join(["d" * 200] * 6)
    deep.parent.mkdir(parents=True)
    world.folder.rename(deep)
    body = {"location": str(deep), "series": "s", "configuration": "c", "name": "x"}
    answer = call("POST", "/checkpoints", body)
    assert (answer.status_code, "at most 1,000" in answer.json()["detail"]) == (422, True)
