"""What a run cost, the ceiling it is compared with, the canary, and the exact likelihood beside the drawn estimate."""

import json
import math
from typing import Any

import pytest

from firstlight.evaluations import engine_workers
from firstlight.evaluations.figures import accounts, export_rows
from firstlight.evaluations.models import Batch, EngineProbe, EngineWorker, Likelihood, Run
from firstlight.evaluations.progress import reconcile
from firstlight.evaluations.tallies import losses, tally_rows
from firstlight.files.task_file import parse_task_lines
from firstlight.registry import actions
from firstlight.registry.models import Instance
from tests.evaluations.conftest import World
from workers import engine_cache
from workers.engines import open_engine
from workers.engines.base import EngineRefusal, Wave
from workers.references import score_references
from workers.slices import work_slice

pytestmark = pytest.mark.usefixtures("fresh_worker")


def exact_run(world: World, *, answers: str = "abcd", **more: Any) -> Run:
    lines = [
        json.dumps({"id": f"e{k}", "prompt": "abc=", "answer": letter, "grader": "exact", "max_tokens": 4})
        for k, letter in enumerate(answers)
    ]
    specs = parse_task_lines([line.encode() for line in lines], source="exact")
    world.task = actions.import_task(world.user, world.team, name=f"exact {answers}", specs=specs)
    return world.run(**more)


def complete(run: Run) -> Run:
    while work_slice(run.pk):
        pass
    run.refresh_from_db()
    return run


def test_tokens_and_draws_are_split_into_used_and_overshot(world: World) -> None:
    run = complete(world.run(r=2, floor=0, cap=200, seed=1))
    account = accounts(run)
    assert account["drawn"] == run.draws + account["overshoot"]
    assert account["tokens"] == account["tokens_used"] + account["tokens_overshot"]
    assert 0 < account["overshoot_share"] < 1
    assert sum(Batch.objects.values_list("tokens_used", flat=True)) == run.tokens_used < run.tokens
    Batch.objects.filter(pk=Batch.objects.latest("pk").pk).update(tokens_used=0)
    assert any("tokens used" in str(problem) for problem in reconcile(run))


def test_the_rate_stands_beside_the_ceiling_of_the_load(world: World) -> None:
    run = complete(world.run(r=60, floor=500, cap=2000))
    account = accounts(run)
    probe = EngineProbe.objects.get(checkpoint=world.checkpoint, engine="reference")
    assert account["ceiling_tokens_per_second"] == pytest.approx(probe.tokens_per_second)
    assert account["device_tokens_per_second"] == pytest.approx(run.tokens / run.engine_seconds)
    assert account["share_of_ceiling"] == pytest.approx(
        account["device_tokens_per_second"] / probe.tokens_per_second
    )
    assert 0 < account["share_of_ceiling"] < 3


def test_a_checkpoint_that_falls_silent_is_refused_when_it_is_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(world.run())
    assert EngineProbe.objects.get().answered > 0.5
    engine_cache.close()
    silence(monkeypatch)
    run = world.run(seed=1)
    work_slice(run.pk)
    run.refresh_from_db()
    assert run.drawn == 0
    assert "canary" in run.reason


def test_an_engine_that_falls_silent_while_loaded_has_nothing_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(world.run())
    silence(monkeypatch)
    run = world.run(seed=1, r=50, floor=150, cap=150)
    work_slice(run.pk)
    run.refresh_from_db()
    assert run.drawn == 0
    assert "canary" in run.reason
    assert engine_cache.kept() is None


def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine answers nothing, in good form."""
    from workers.engines.reference import ReferenceEngine

    whole = ReferenceEngine._wave

    def empty(self: ReferenceEngine, *args: Any) -> Wave:
        wave = whole(self, *args)
        return Wave(
            wave.instance,
            wave.first_draw,
            [""] * len(wave.texts),
            wave.tokens,
            wave.finish,
            wave.seconds,
        )

    monkeypatch.setattr(ReferenceEngine, "_wave", empty)


def test_reference_answers_are_scored_once_a_checkpoint(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = complete(exact_run(world))
    assert Likelihood.objects.filter(checkpoint=world.checkpoint).count() == 4
    engine = open_engine("reference", world.models / "tiny")
    for instance in Instance.objects.filter(task=world.task):
        (score,) = engine.score([(instance.prompt, instance.answer)], stop=instance.stop)
        row = Likelihood.objects.get(instance=instance)
        assert row.nll == pytest.approx(score.nll, rel=1e-6)
    assert score_references(engine, world.checkpoint, [run.pk]) == 0
    assert {row.nll for row in tally_rows(run)} == {row.nll for row in Likelihood.objects.all()}
    assert all(row.nll is not None for row in export_rows(run))


def test_the_bound_lies_below_what_is_drawn(world: World) -> None:
    run = complete(exact_run(world, r=50, floor=3000, cap=3000))
    known = losses(run)
    rows = {row.instance: row for row in tally_rows(run)}
    for instance, likelihood in known.items():
        assert likelihood.nll is not None
        key = Instance.objects.get(pk=instance).key
        assert math.exp(-likelihood.nll) <= rows[key].tally.interval(0.9999).high


def test_an_answer_that_cannot_be_scored_is_asked_once_and_its_neighbours_are_scored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = exact_run(world, answers="ab")
    engine = open_engine("reference", world.models / "tiny")
    whole, calls = engine.score, []

    def picky(pairs: list[tuple[str, str]], stop: tuple[str, ...], max_tokens: int) -> Any:
        calls.append(pairs)
        if any(answer == "b" for _, answer in pairs):
            raise EngineRefusal("no such answer", pair=0)
        return whole(pairs, stop, max_tokens)

    monkeypatch.setattr(engine, "score", picky)
    assert score_references(engine, world.checkpoint, [run.pk]) == 2
    assert list(Likelihood.objects.order_by("instance__position").values_list("refused", flat=True)) == [
        "",
        "no such answer",
    ]
    calls_before = len(calls)
    assert score_references(engine, world.checkpoint, [run.pk]) == 0
    assert len(calls) == calls_before
    assert len(losses(run)) == 1


def test_a_likelihood_says_nothing_of_draws_at_another_temperature(world: World) -> None:
    run = complete(exact_run(world, temperature=0.7))
    assert Likelihood.objects.exists()
    assert losses(run) == {}
    assert {row.nll for row in tally_rows(run)} == {None}


def test_living_workers_are_those_heard_of_lately(world: World) -> None:
    from datetime import timedelta

    from django.db.models.functions import Now

    engine_workers.say_alive("a/1/1", ["reference", "torch"])
    engine_workers.say_alive("b/1/1", ["reference"])
    engine_workers.say_alive("b/1/1", ["reference"])
    assert engine_workers.living() == {"reference": 2, "torch": 1}
    EngineWorker.objects.filter(name="b/1/1").update(seen_at=Now() - timedelta(minutes=3))
    engine_workers.say_goodbye("a/1/1")
    assert engine_workers.living() == {}
