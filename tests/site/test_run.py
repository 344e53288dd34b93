import csv
import io

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from firstlight.config.celery import app as celery_app
from firstlight.evaluations import failures, health, turns
from firstlight.evaluations.actions import parse_rule
from firstlight.evaluations.cost import cost
from firstlight.evaluations.engine_workers import say_alive
from firstlight.evaluations.failures import fail_units
from firstlight.evaluations.leases import claim_units
from firstlight.evaluations.models import EngineWorker, Likelihood, Quota, Run, Unit
from firstlight.evaluations.progress import settle_state
from firstlight.pages.exports import safe_cell
from tests.site.conftest import QueryCount, World, draw, finish
from workers.slices import work_next


def form(world: World, **more: object) -> dict[str, object]:
    return {
        "checkpoint": world.checkpoint.pk,
        "task": world.task.pk,
        "r": 5,
        "floor": 64,
        "cap": 10_000,
        "temperature": 1,
        "top_p": 1,
        "seed": 7,
        "do": "start",
    } | more


def test_a_run_is_started(client: Client, world: World) -> None:
    answer = client.post("/runs/new", form(world))
    run = Run.objects.get()
    assert answer.headers["Location"] == f"/runs/{run.pk}"
    assert run.rule == {"kind": "until_passes", "r": 5, "floor": 64, "cap": 10_000}
    assert (run.seed, run.units_total) == (7, 4)


def test_the_cost_comes_before_the_start(client: Client, world: World) -> None:
    answer = client.post("/runs/new", form(world, do="cost"), headers={"HX-Request": "true"})
    page = answer.content.decode()
    assert page.lstrip().startswith('<div id="cost"')
    assert "256 – 40k" in page  # 4 items x 64 .. 4 items x 10,000 draws
    assert "1.02k – 160k" in page  # 4 tokens each
    assert not Run.objects.exists()


def test_without_javascript_the_cost_is_on_the_page(client: Client, world: World) -> None:
    assert "256 – 40k" in client.post("/runs/new", form(world, do="cost")).content.decode()
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        {"cap": 3},
        {"r": 1},
        {"floor": 20_000},
        {"temperature": "nan"},
        {"top_p": 0},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_an_impossible_rule_is_refused(client: Client, world: World, wrong: dict[str, object]) -> None:
    page = client.post("/runs/new", form(world, **wrong))
    assert page.status_code == 200
    assert b"errors" in page.content or b"note-error" in page.content
    assert not Run.objects.exists()


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"kind": "fixed_draws", "n": 70}, {"kind": "fixed_draws", "n": 70}),
        (
            {"kind": "relative_error", "epsilon": 0.5, "level": 0.9},
            {"kind": "relative_error", "epsilon": 0.5, "level": 0.9, "cap": 10_000, "floor": 64},
        ),
        (
            {"kind": "dataset_precision", "target": 0.05, "relative": "on", "pilot": 20},
            {"kind": "dataset_precision", "target": 0.05, "relative": True, "pilot": 20, "cap": 10_000},
        ),
        (
            {"kind": "dataset_precision", "target": 0.05, "pilot": 20},
            {"kind": "dataset_precision", "target": 0.05, "relative": False, "pilot": 20, "cap": 10_000},
        ),
    ],
    ids=str,
)
def test_every_stopping_rule_can_be_started_and_cloned(
    client: Client, world: World, fields: dict[str, object], rule: dict[str, object]
) -> None:
    client.post("/runs/new", form(world, engine="vllm", **fields))
    run = Run.objects.get()
    assert (run.rule, run.engine) == (rule, "vllm")
    assert client.get(f"/runs/{run.pk}").status_code == 200
    shown = client.get(f"/runs/new.json?clone={run.pk}").json()["fields"]
    assert {name: shown[name]["initial"] for name in rule} == rule


def test_a_rule_without_its_number_is_refused_at_the_field(client: Client, world: World) -> None:
    page = client.post("/runs/new", form(world, kind="fixed_draws", n="")).content.decode()
    assert "This rule needs a value here." in page
    assert not Run.objects.exists()


def test_the_cost_expects_what_an_earlier_run_found(client: Client, world: World) -> None:
    finish(world.run(), 4)
    page = client.post("/runs/new", form(world, do="cost", r=10, floor=0)).content.decode()
    assert "Expected" in page
    until = cost(world.checkpoint, world.task, parse_rule(r=10, floor=0, cap=10_000))
    assert until.draws_expected is not None
    assert 4 * 30 < until.draws_expected < 4 * 60  # each passes every fourth draw
    fixed = cost(world.checkpoint, world.task, parse_rule("fixed_draws", n=50))
    assert fixed.draws_expected == fixed.draws_least == fixed.draws_most == 200


def test_the_form_says_which_engines_have_a_worker(client: Client, world: World) -> None:
    from firstlight.evaluations.engine_workers import say_alive

    say_alive("host/1/1", ["vllm"])
    page = client.get("/runs/new").content.decode()
    assert "vllm (a worker is running)" in page
    assert "torch (no worker running)" in page


def test_the_exact_bound_stands_beside_the_drawn_estimate(client: Client, world: World) -> None:
    run = finish(world.run(), 4)
    instance = run.units.first().instance
    Likelihood.objects.create(
        checkpoint=world.checkpoint, instance=instance, nll_answer=1.0, nll_terminator=0.5, tokens=1
    )
    units = client.get(f"/runs/{run.pk}.json").json()["units"]
    assert [unit["bound"] for unit in units] == [pytest.approx(0.22313, abs=1e-5), None, None, None]
    assert "Exact lower bound" in client.get(f"/runs/{run.pk}").content.decode()
    rows = list(csv.DictReader(io.StringIO(b"".join(client.get(f"/runs/{run.pk}/units.csv")).decode())))
    assert [row["nll"] for row in rows] == ["1.5", "", "", ""]


@pytest.mark.parametrize("field", ["checkpoint", "task"])
def test_a_foreign_id_is_no_choice(client: Client, world: World, field: str) -> None:
    foreign = {"task": world.other_task.pk, "checkpoint": world.planned.pk}[field]
    assert (
        "Select a valid choice" in client.post("/runs/new", form(world, **{field: foreign})).content.decode()
    )


def test_the_same_again(client: Client, world: World) -> None:
    run = world.run(cap=77)
    fields = client.get(f"/runs/new.json?clone={run.pk}").json()["fields"]
    assert (fields["cap"]["initial"], fields["checkpoint"]["initial"]) == (77, [world.checkpoint.pk])


def test_an_open_run_asks_again_and_a_finished_one_does_not(client: Client, world: World) -> None:
    run = world.run()
    path = f"/runs/{run.pk}"
    draw(run, 5, units=2)
    live = client.get(f"{path}/live").content.decode()
    assert "hx-trigger" in live
    assert "hx-trigger" in client.get(path).content.decode()
    finish(run, 5)
    assert "hx-trigger" not in client.get(f"{path}/live").content.decode()
    assert "hx-trigger" not in client.get(path).content.decode()


def test_the_facts_of_a_run(client: Client, world: World) -> None:
    run = finish(world.run(), 4)
    data = client.get(f"/runs/{run.pk}.json").json()
    assert (data["state"], data["units_done"], data["units_total"]) == ("complete", 4, 4)
    assert data["overshoot"] == data["drawn"] - data["draws"] > 0
    assert data["fingerprint"] == "reference test"
    unit = data["units"][0]
    assert unit["low"] < unit["estimate"] < unit["high"]
    assert unit["stopped_at"] == 8
    assert data["estimate"]["instances"] == 4


def test_pausing_resuming_and_cancelling(client: Client, world: World) -> None:
    run = world.run()
    states = []
    for button, data in (
        ("pause", {}),
        ("resume", {}),
        ("cancel", {}),
        ("cancel", {"sure": "yes"}),
        ("pause", {}),
    ):
        answer = client.post(f"/runs/{run.pk}/{button}", data, follow=True)
        assert answer.status_code == 200
        run.refresh_from_db()
        states.append(run.state)
    assert states == ["paused", "running", "running", "cancelled", "cancelled"]
    assert "possible only while it is" in answer.content.decode()


def test_errors_are_grouped_and_retried(client: Client, world: World) -> None:
    run = world.run()
    fail_units(claim_units(run.pk, "test/0/0", 3), "prompt is too long", final=True)
    draw(run, 4)
    settle_state(run)
    data = client.get(f"/runs/{run.pk}.json").json()
    assert data["state"] == "partial"
    assert data["errors"] == [
        {"reason": "prompt is too long", "state": "quarantined", "units": 3, "example": "i0"}
    ]
    assert data["estimate"]["instances"] == 1
    client.post(f"/runs/{run.pk}/retry")
    assert not run.units.filter(state=Unit.State.QUARANTINED).exists()


def test_samples_show_what_cannot_be_seen(client: Client, world: World) -> None:
    run = world.run()
    draw(run, 3, text="<script>\u202e\x07")
    unit = run.units.last()
    page = client.get(f"/runs/{run.pk}?sample={unit.pk}").content.decode()
    assert "&lt;script&gt;" in page
    assert "U+202E" in page
    assert "\u202e" not in page
    passes = client.get(f"/runs/{run.pk}.json?sample={unit.pk}&verdict=pass").json()["samples"]["samples"]
    assert [s["passed"] for s in passes] == [True]


def test_a_sample_of_another_run_is_not_shown(client: Client, world: World) -> None:
    ours, other = world.run(), world.run()
    draw(other, 3)
    data = client.get(f"/runs/{ours.pk}.json?sample={other.units.first().pk}").json()
    assert data["samples"] is None


def test_the_export_is_a_tallies_file(client: Client, world: World) -> None:
    run = finish(world.run(), 4)
    answer = client.get(f"/runs/{run.pk}/units.csv")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))
    assert len(rows) == 4
    assert rows[0]["model"] == "tiny"
    assert (rows[0]["draws"], rows[0]["stopped_at"], rows[0]["r"], rows[0]["nll"]) == ("10", "8", "2", "")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\rx"])
def test_no_cell_of_the_export_is_a_formula(text: str) -> None:
    assert safe_cell(text) == f"'{text}"
    assert safe_cell(f"a{text}") == f"a{text}"


def test_the_list_filters_and_pages(client: Client, world: World) -> None:
    runs = [world.run() for _ in range(55)]
    client.post(f"/runs/{runs[0].pk}/pause")
    assert [r["id"] for r in client.get("/runs.json?state=paused").json()["runs"]] == [runs[0].pk]
    first = client.get("/runs.json").json()
    assert len(first["runs"]) == 50
    rest = client.get(f"/runs.json?after={first['next_after']}").json()
    assert [r["id"] for r in rest["runs"]] == [r.pk for r in runs[4::-1]]
    assert client.get(f"/runs.json?task={world.other_task.pk}").json()["runs"] == []


def test_queries_do_not_grow(client: Client, world: World, queries: QueryCount) -> None:
    cache.set("problems", [], 600)  # it is looked at every few seconds, not at every page
    world.run()
    few = queries(lambda: client.get("/runs"))
    runs = [world.run() for _ in range(8)]
    assert queries(lambda: client.get("/runs")) == few <= 10
    draw(runs[0], 5, units=1)
    one = queries(lambda: client.get(f"/runs/{runs[0].pk}"))
    draw(runs[0], 5)
    assert queries(lambda: client.get(f"/runs/{runs[0].pk}")) == one <= 16


def test_a_live_page_without_a_session_leads_to_the_login(world: World) -> None:
    answer = Client().get(f"/runs/{world.run().pk}/live")
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/login?next=/runs/")


def test_several_checkpoints_and_tasks_make_a_run_for_each_pair(client: Client, world: World) -> None:
    others = [world.weights(f"m{n}", n) for n in (1000, 2000)]
    ticked = [world.checkpoint.pk, *(c.pk for c in others)]
    page = client.post("/runs/new", form(world, checkpoint=ticked, do="cost")).content.decode()
    assert "768 – 120k" in page  # three times 4 x 64 .. 4 x 10,000
    answer = client.post("/runs/new", form(world, checkpoint=ticked))
    assert answer.headers["Location"] == f"/series/{world.series.pk}"
    assert sorted(Run.objects.values_list("checkpoint_id", flat=True)) == sorted(ticked)


def test_a_task_is_uploaded_with_the_start(client: Client, world: World) -> None:
    line = b'{"id": "a", "prompt": "1+1=", "answer": "2", "grader": "exact", "max_tokens": 3}'
    for expected in (1, 1):  # a second time the same file is the same task
        file = SimpleUploadedFile("more sums.jsonl", line)
        answer = client.post("/runs/new", form(world, task=[], file=file))
        run = Run.objects.order_by("-pk")[0]
        assert answer.headers["Location"] == f"/runs/{run.pk}"
        assert (run.task.name, run.task.version) == ("more sums", expected)


def test_a_broken_task_file_starts_nothing(client: Client, world: World) -> None:
    page = client.post("/runs/new", form(world, task=[], file=SimpleUploadedFile("x.jsonl", b"{")))
    assert "line 1" in page.content.decode()
    assert not Run.objects.exists()


def test_one_pair_that_is_refused_starts_none(client: Client, world: World) -> None:
    served = world.weights("served", 5000)
    served.location = f"{served.SERVED}org/served-7b"
    served.save()
    page = client.post("/runs/new", form(world, checkpoint=[world.checkpoint.pk, served.pk]))
    assert "behind endpoints" in page.content.decode()
    assert not Run.objects.exists()


def test_no_task_at_all_is_said_at_the_field(client: Client, world: World) -> None:
    assert "Choose a task, or upload one" in client.post("/runs/new", form(world, task=[])).content.decode()


def test_of_many_checkpoints_the_ticked_and_the_newest_are_offered_and_others_found(
    client: Client, world: World
) -> None:
    for n in range(60):
        world.weights(f"model-{n:02d}", 1000 + n)
    first = f"/runs/new?checkpoint={world.checkpoint.pk}"
    page = client.get(first).content.decode()
    assert "tiny" in page
    assert "model-59" in page
    assert "model-05" not in page
    assert "more: find them by name" in page
    page = client.get(f"{first}&find=model-05").content.decode()
    assert "model-05" in page
    assert "tiny" in page


def test_a_larger_model_is_planned_and_forecast_from_the_series(client: Client, world: World) -> None:
    for n, every in ((20_000, 0), (80_000, 30), (320_000, 12), (1_280_000, 6)):
        finish(world.run(world.weights(f"m{n}", n)), every)
    answer = client.post(f"/series/{world.series.pk}/forecast-size", {"n_params": "7B"}, follow=True)
    planned = world.series.checkpoints.get(n_params=7 * 10**9)
    assert planned.planned
    assert planned.forecasts.get().mean is not None
    assert "sums v1" in answer.content.decode()
    client.post(f"/series/{world.series.pk}/forecast-size", {"n_params": "7e9"})
    assert world.series.checkpoints.filter(n_params=7 * 10**9).count() == 1
    page = client.post(f"/series/{world.series.pk}/forecast-size", {"n_params": "big"}, follow=True)
    assert "is not a size" in page.content.decode()


def test_a_series_page_that_watched_its_runs_is_loaded_anew_when_they_end(
    client: Client, world: World
) -> None:
    run = world.run()
    path, asks = f"/series/{world.series.pk}", {"HX-Request": "true"}
    assert "hx-trigger" in client.get(path, headers=asks).content.decode()
    finish(run, 5)
    assert client.get(path, headers=asks).headers["HX-Refresh"] == "true"
    assert 'id="running"' not in client.get(path).content.decode()


# --- Why it waits. ---


def test_a_run_without_a_worker_says_what_to_start_where(client: Client, world: World) -> None:
    run = world.run()
    page = client.get(f"/runs/{run.pk}").content.decode()
    assert "waits for a worker of the engine reference, and none is there" in page
    assert "<code>firstlight up</code>" in page
    Run.objects.filter(pk=run.pk).update(engine="vllm")
    say_alive("gpu-host/1/1", ["vllm"], version="0.0.1")
    (old,) = client.get(f"/runs/{run.pk}.json").json()["waits"]
    assert "A worker on gpu-host runs Firstlight 0.0.1" in old["words"]
    EngineWorker.objects.update(seen_at="2020-01-01T00:00Z")
    (gone,) = client.get(f"/runs/{run.pk}.json").json()["waits"]
    assert gone["command"] == "firstlight worker --engine vllm"
    assert "The last one was on gpu-host." in gone["words"]
    assert world.checkpoint.location in gone["words"]


def test_a_held_run_and_a_spent_team_say_so(client: Client, world: World) -> None:
    run = world.run()
    say_alive("here/1/1", ["reference"])
    assert client.get(f"/runs/{run.pk}.json").json()["waits"] == []
    failures.hold(world.checkpoint, "reference", "no such folder: /models/tiny")
    Quota.objects.filter(team=world.team).update(most_draws_a_day=10)
    turns.charge(world.team.pk, draws=10, seconds=1.0)
    data = client.get(f"/runs/{run.pk}.json").json()
    assert data["reason"] == "no such folder: /models/tiny"
    assert [wait["words"] for wait in data["waits"]] == [
        "It is tried again by itself",
        "The team had its 10 draws of today. It goes on at midnight UTC.",
    ]
    assert "tried again by itself" in client.get(f"/runs/{run.pk}").content.decode()


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("disk", "is full"),
        ("database", "The database cannot be written"),
        ("broker", "The broker does not answer"),
        ("older", "The database is of an older version"),
        ("newer", "The database is of a newer version"),
    ],
)
def test_what_is_wrong_with_the_site_is_said_on_the_run_and_to_machines(
    client: Client,
    world: World,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
    words: str,
) -> None:
    run = world.run()
    say_alive("here/1/1", ["reference"])
    cache.clear()
    monkeypatch.setattr(health, "_complete", [])
    if broken == "disk":
        settings.LEAST_DISK = 1e18
    elif broken == "database":
        monkeypatch.setattr(health, "_WRITE", "UPDATE no_such_table SET app = app")
    elif broken == "broker":
        monkeypatch.setattr(celery_app.conf, "broker_url", "redis://127.0.0.1:1")
    else:
        row = MigrationRecorder.Migration.objects.filter(app="evaluations").latest("id")
        row.name = "9999_of_tomorrow"
        if broken == "newer":
            row.pk = None
        row.save()
    answer = Client().get("/readyz")
    assert answer.status_code == 503
    assert words in answer.content.decode()
    assert "no_such_table" not in answer.content.decode()  # what an error says is not for everybody
    assert words in client.get(f"/runs/{run.pk}").content.decode()
    cache.clear()


def test_nothing_is_claimed_while_nothing_can_be_stored(world: World, settings: LazySettings) -> None:
    run = world.run()
    settings.LEAST_DISK = 1e18
    assert not work_next("reference")
    run.refresh_from_db()
    assert run.state == Run.State.QUEUED
    assert not run.units.filter(attempts__gt=0).exists()


def test_the_priority_is_chosen_at_the_start_and_changed_on_the_page(client: Client, world: World) -> None:
    client.post("/runs/new", form(world, priority=1, do="start"))
    run = Run.objects.latest("id")
    assert run.priority == Run.Priority.HIGH
    assert client.post(f"/runs/{run.pk}/priority", {"priority": "low"}).status_code == 302
    run.refresh_from_db()
    assert run.priority == Run.Priority.LOW
    page = client.get(f"/runs/{run.pk}").content.decode()
    assert 'value="low" selected' in page
    answer = client.post(f"/runs/{run.pk}/priority", {"priority": "urgent"}, follow=True)
    assert "choose one of low, normal, high" in answer.content.decode()
