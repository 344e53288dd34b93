"""Rings: a chain lasts to the end without growing, workers join, what is loaded goes first, lost rings are swept."""

from typing import Any

import pytest
from django.db import transaction

from firstlight.config.celery import app
from firstlight.evaluations import doorbell, leases
from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.models import Doorbell, Run, Unit
from firstlight.evaluations.turns import due_units
from firstlight.registry import actions
from tests.evaluations.conftest import World
from tests.tiny_model import write_tiny_llama
from workers import engine_cache, tasks
from workers.slices import work_slice


@pytest.fixture(autouse=True)
def _fresh(fresh_worker: None) -> None:
    """Every test is a new worker process."""


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rings that reached the broker, which is not there in this test."""
    rings: list[int] = []

    def deliver(bell: Doorbell) -> None:
        rings.append(bell.run_id)
        bell.delete()

    monkeypatch.setattr(doorbell, "deliver", deliver)
    return rings


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("limit", [1, 2, 12])
def test_the_chain_of_rings_lasts_to_the_end_and_does_not_grow_with_the_slices(
    world: World, rung: list[int], limit: int
) -> None:
    run = world.run(r=60, floor=16, cap=1000)
    assert rung == [run.pk]
    slices = 0
    while rung:
        assert len(rung) == 1  # with one worker, one ring is in flight, however many slices it took
        rung.pop()
        slices += 1
        work_slice(run.pk, seconds=0, limit=limit)
    run.refresh_from_db()
    assert run.state == Run.State.COMPLETE
    assert slices > 3
    assert not Doorbell.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_second_worker_is_called_at_once_and_both_carry_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = world.run(r=40, floor=16, cap=150)
    rings: list[int] = []

    def second_worker(bell: Doorbell) -> None:
        rings.append(len(leases.claim_units(run.pk, "another/1/1", 12)))
        bell.delete()

    monkeypatch.setattr(doorbell, "deliver", second_worker)
    work_slice(run.pk, seconds=0, limit=1)
    # The first ring, before the drawing, got the second worker the other three units; it rings at its own end.
    # No unit waited when the first worker ended, so it rings for the one that it gave back.
    assert rings == [3, 1]


def test_a_sweep_delivers_what_a_dead_broker_left(
    world: World, django_capture_on_commit_callbacks: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionError("no broker")

    with monkeypatch.context() as dead:
        dead.setattr(app, "send_task", refuse)
        with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
            run = world.run()
            with transaction.atomic():
                ring(run)
        waiting = list(Doorbell.objects.filter(run=run).values_list("pk", flat=True))
        tasks.sweep()
        assert list(Doorbell.objects.values_list("pk", flat=True)) == waiting
        assert len(waiting) == 2
    sent: list[object] = []
    monkeypatch.setattr(app, "send_task", lambda name, **more: sent.append((name, more["args"])))
    tasks.sweep()
    assert sent == [("workers.work", [run.pk])] * 2
    assert not Doorbell.objects.filter(pk__in=waiting).exists()


def test_a_sweep_settles_a_run_whose_last_worker_died_before_it_could(world: World) -> None:
    run = world.run()
    Unit.objects.filter(run=run).update(state=Unit.State.QUARANTINED, last_error="the disk is full")
    tasks.sweep()
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert "the disk is full" in run.reason


def test_a_sweep_rings_for_a_run_whose_ring_was_lost_and_not_for_a_paused_one(
    world: World, rung: list[int], django_capture_on_commit_callbacks: object
) -> None:
    from firstlight.evaluations.actions import pause_run

    lost, paused = world.run(), world.run()
    pause_run(world.user, paused)
    Doorbell.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        tasks.sweep()
    assert rung == [lost.pk]


# --- One engine is kept while units of its checkpoint are due. ---


def second_checkpoint(world: World) -> Run:
    """A run of another checkpoint on the same task."""
    from firstlight.evaluations.actions import create_run, parse_rule

    write_tiny_llama(world.models / "other", d=32, layers=1, heads=1, seed=8)
    checkpoint = actions.register_checkpoint(
        world.user,
        world.series,
        world.checkpoint.configuration,
        name="other",
        location=str(world.models / "other"),
    )
    return create_run(world.user, checkpoint, world.task, rule=parse_rule(r=2, floor=16, cap=200))


@pytest.mark.django_db(transaction=True)
def test_a_ring_for_another_checkpoint_is_passed_on_while_the_loaded_one_has_due_units(
    world: World, rung: list[int]
) -> None:
    first, other = world.run(r=60, floor=16, cap=1000), second_checkpoint(world)
    work_slice(first.pk, seconds=0, limit=2)
    assert due_units().filter(run=first).exists()
    rung.clear()
    tasks.work(other.pk)  # the ring finds the first checkpoint loaded
    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.state, other.drawn) == (Run.State.COMPLETE, 0)
    assert rung.count(other.pk) == 1
    tasks.work(other.pk)  # nothing is due of the first any more
    other.refresh_from_db()
    assert other.state == Run.State.COMPLETE


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_longer_for_an_engine_than_agreed(world: World, rung: list[int], settings: Any) -> None:
    first, other = world.run(r=60, floor=16, cap=1000), second_checkpoint(world)
    work_slice(first.pk, seconds=0, limit=2)
    loaded = engine_cache.kept()
    assert loaded is not None
    loaded.since -= settings.KEEP_SECONDS + 1
    tasks.work(other.pk)
    first.refresh_from_db()
    other.refresh_from_db()
    assert (first.state, other.state) == (Run.State.RUNNING, Run.State.COMPLETE)


@pytest.mark.django_db(transaction=True)
def test_one_slice_draws_all_open_runs_of_its_checkpoint_and_rings_do_not_pile_up(
    world: World, rung: list[int]
) -> None:
    runs = [world.run(r=3, floor=16, cap=300, seed=seed) for seed in range(5)]
    assert len(rung) == len(runs)
    while rung:
        assert len(rung) <= len(runs)
        tasks.work(rung.pop(0))
    assert set(Run.objects.values_list("state", flat=True)) == {Run.State.COMPLETE}
