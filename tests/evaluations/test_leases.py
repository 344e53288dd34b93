"""Leases and fences: a unit has one holder, a stale write is refused, a repeated one is stored once."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now

from firstlight.evaluations import failures, leases
from firstlight.evaluations.leases import Claim, NewBatch, append_batches, claim_units
from firstlight.evaluations.models import Batch, Run, Unit
from firstlight.evaluations.processes import worker_id
from firstlight.evaluations.progress import reconcile, settle_state
from tests.evaluations.conftest import World


def batch(claim: Claim, passed: list[bool]) -> NewBatch:
    return NewBatch(
        claim=claim, passed=passed, seed=0, fingerprint="test", tokens=[1] * len(passed), seconds=0.1
    )


def expire(run: Run) -> None:
    Unit.objects.filter(run=run).update(lease_until=Now() - timedelta(seconds=1))


def test_two_workers_never_hold_one_unit(world: World) -> None:
    run = world.run()
    first = claim_units(run.pk, "a/1/1", 3)
    second = claim_units(run.pk, "b/1/1", 3)
    assert len(first) == 3
    assert len(second) == 1
    assert not {claim.unit for claim in first} & {claim.unit for claim in second}


def test_a_stale_append_is_dropped_and_counted_as_dropped(world: World) -> None:
    run = world.run()
    (old,) = claim_units(run.pk, "a/1/1", 1)
    expire(run)
    fresh = claim_units(run.pk, "b/1/1", 4)
    assert old.unit not in {claim.unit for claim in fresh}
    (new,) = claim_units(run.pk, "b/1/1", 4)  # what another had in hand comes last
    assert (new.unit, new.suspect) == (old.unit, True)
    assert append_batches("a/1/1", [batch(old, [True, False])]) == {old.unit: None}
    append_batches("b/1/1", [batch(new, [False] * 16)])
    run.refresh_from_db()
    assert (run.dropped, run.drawn) == (1, 16)
    assert reconcile(run) == []


def test_an_append_whose_answer_was_lost_is_not_stored_twice(world: World) -> None:
    run = world.run()
    (claim,) = claim_units(run.pk, "a/1/1", 1)
    once = append_batches("a/1/1", [batch(claim, [False] * 16)])
    twice = append_batches("a/1/1", [batch(claim, [False] * 16)])
    assert once == twice
    assert Batch.objects.filter(unit=claim.unit).count() == 1
    assert reconcile(run) == []


def test_counting_stops_at_the_rth_pass_in_draw_order_and_the_rest_is_overshoot(world: World) -> None:
    run = world.run(r=2, floor=4, cap=100)
    (claim,) = claim_units(run.pk, "a/1/1", 1)
    passed = [False] * 20
    passed[7] = passed[11] = passed[15] = True
    append_batches("a/1/1", [batch(claim, passed)])
    unit = Unit.objects.get(pk=claim.unit)
    assert (unit.draws, unit.passes, unit.stopped_at, unit.drawn) == (12, 2, 12, 20)
    assert unit.state == Unit.State.DONE
    run.refresh_from_db()
    assert (run.draws, run.drawn, run.passes, run.units_done) == (12, 20, 2, 1)
    assert reconcile(run) == []


def test_reconcile_notices_a_lost_batch(world: World) -> None:
    run = world.run()
    (claim,) = claim_units(run.pk, "a/1/1", 1)
    append_batches("a/1/1", [batch(claim, [False] * 16)])
    Batch.objects.all().delete()
    assert reconcile(run)


def test_a_unit_that_kills_five_workers_is_quarantined_with_the_reason(world: World) -> None:
    """It is told from the others, which draw on: first all together, then in groups, then alone."""
    run = world.run()
    guilty = run.units.order_by("id")[2].pk
    sizes = []
    while claims := claim_units(run.pk, "a/1/1", 10):
        sizes.append(len(claims))
        if guilty in {claim.unit for claim in claims}:
            expire(run)
        else:
            append_batches("a/1/1", [batch(claim, [True] * 16) for claim in claims])
    assert sizes == [4, 3, 1, 1, 1, 1, 1, 1]
    settle_state(run)
    run.refresh_from_db()
    assert (run.state, run.units_done) == (Run.State.PARTIAL, 3)
    assert Unit.objects.get(state=Unit.State.QUARANTINED).pk == guilty
    assert "5 workers in a row" in run.reason


def test_the_lease_of_a_dead_process_of_this_host_is_free_at_once(world: World) -> None:
    run = world.run()
    gone = worker_id().rsplit("/", 2)[0] + "/999999999/1"
    claim_units(run.pk, gone, 4)
    assert claim_units(run.pk, worker_id(), 4) == []
    assert leases.release_dead_leases() == 4
    assert len(claim_units(run.pk, worker_id(), 16)) == 4
    assert leases.release_dead_leases() == 0


def test_a_worker_that_hung_while_it_opened_an_engine_holds_its_runs_once_and_blames_no_unit(
    world: World,
) -> None:
    runs = [world.run(seed=seed) for seed in range(3)]
    assert len(leases.claim_of_checkpoint(world.checkpoint.pk, "reference", "a/1/1", 12)) == 12
    assert failures.say_killed("a/1/1", "it took too long to open", opening=True) == 12
    for run in runs:
        run.refresh_from_db()
        assert (run.held_times, run.reason) == (1, "it took too long to open")
        assert set(run.units.values_list("attempts", "lease_until")) == {(0, None)}


def test_a_heartbeat_prolongs_only_leases_that_are_still_mine(world: World) -> None:
    run = world.run()
    claims = claim_units(run.pk, "a/1/1", 4)
    expire(run)
    claim_units(run.pk, "b/1/1", 1)
    assert leases.heartbeat(claims) == 3


def test_a_paused_run_gives_out_no_units(world: World) -> None:
    from firstlight.evaluations.actions import pause_run, resume_run

    run = pause_run(world.user, world.run())
    assert claim_units(run.pk, "a/1/1", 4) == []
    resume_run(world.user, run)
    assert len(claim_units(run.pk, "a/1/1", 4)) == 4


@pytest.mark.parametrize(("final", "state"), [(True, Unit.State.QUARANTINED), (False, Unit.State.PENDING)])
def test_a_failed_call_backs_off_or_is_final(world: World, final: bool, state: str) -> None:
    run = world.run()
    claims = claim_units(run.pk, "a/1/1", 4)
    assert len(claims) == 4
    for claim in claims:
        failures.fail_units([claim], "the engine said no", final=final)
    assert set(Unit.objects.values_list("state", "last_error")) == {(state, "the engine said no")}
    assert claim_units(run.pk, "a/1/1", 4) == []


def test_units_that_failed_together_are_free_at_once_and_not_blamed(world: World) -> None:
    run = world.run()
    failures.fail_units(claim_units(run.pk, "a/1/1", 4), "the engine said no")
    assert set(Unit.objects.values_list("last_error", "attempts", "not_before")) == {("", 1, None)}
    run.refresh_from_db()
    assert run.reason.startswith("4 instances were drawn together when it failed")
    assert "the engine said no" in run.reason
    claims = claim_units(run.pk, "a/1/1", 10)
    assert len(claims) == 3
    append_batches("a/1/1", [batch(claim, [False] * 16) for claim in claims])
    run.refresh_from_db()
    assert run.reason == ""
