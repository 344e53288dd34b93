"""`DatasetPrecision` as a run's rule: rounds from the counts of all units, the same whoever and however many draw."""

import pytest

from firstlight.evaluations import failures, leases
from firstlight.evaluations.actions import create_run, parse_rule, retry_failed
from firstlight.evaluations.figures import estimates, expected_draws_left, tallies
from firstlight.evaluations.leases import NewBatch
from firstlight.evaluations.models import Doorbell, Run, Unit
from firstlight.evaluations.progress import reconcile
from firstlight.evaluations.rounds import outcomes, rounds
from firstlight.evaluations.tallies import precision_facts, run_estimate
from firstlight.evaluations.turns import due_units
from passuntil import DatasetPrecision
from tests.evaluations.conftest import World, task_lines
from workers.cli.measure import draw_all
from workers.engines import open_engine
from workers.slices import finish, work_slice

pytestmark = pytest.mark.usefixtures("fresh_worker")
TARGET = 0.05


def precise(world: World, *, target: float = TARGET, cap: int = 600, seed: int = 0) -> Run:
    rule = parse_rule("dataset_precision", target=target, relative=True, pilot=16, cap=cap)
    return create_run(world.user, world.checkpoint, world.task, rule=rule, seed=seed)


def complete(run: Run, **how: float) -> Run:
    for _ in range(200):
        if not work_slice(run.pk, **how):  # type: ignore[arg-type]
            break
    run.refresh_from_db()
    return run


def counts(run: Run) -> list[tuple[int, int]]:
    return list(run.units.order_by("instance__position").values_list("draws", "passes"))


def rule_of(run: Run) -> DatasetPrecision:
    rule = run.stopping_rule
    assert isinstance(rule, DatasetPrecision)
    return rule


def test_a_run_ends_where_its_rule_ends_and_its_estimate_is_the_rules(world: World) -> None:
    run = complete(precise(world))
    assert (run.state, run.units_done) == (Run.State.COMPLETE, 4)
    assert reconcile(run) == []
    rule = rule_of(run)
    estimate = rule.estimate(rounds(rule, run.units.order_by("pk")), level=0.95)
    assert estimate.done
    assert estimate.met
    assert run.drawn == run.draws == estimate.draws  # a round is drawn to the draw: nothing in vain
    assert run_estimate(run).mean == estimate.mean
    shown = estimates([run])[run.pk]
    assert (shown["mean"], shown["low"], shown["high"], shown["unfinished"]) == (
        estimate.mean,
        estimate.low,
        estimate.high,
        0,
    )


@pytest.mark.parametrize("how", [{"seconds": 0, "limit": 1}, {"seconds": 0, "limit": 3}])
def test_however_it_is_cut_into_slices_the_rounds_are_the_same(world: World, how: dict[str, float]) -> None:
    whole, cut = complete(precise(world)), precise(world)
    complete(cut, **how)
    assert cut.state == Run.State.COMPLETE
    assert counts(cut) == counts(whole)


def test_the_site_and_the_command_draw_the_same(world: World) -> None:
    from firstlight.files.task_file import parse_task_lines

    run = complete(precise(world))
    engine = open_engine("reference", world.models / "tiny")
    from firstlight.files.decoding import Decoding

    rows, _ = draw_all(
        engine,
        parse_task_lines(task_lines(), source="letters"),
        rule_of(run),
        Decoding(),
        model="tiny",
        n_params=1,
    )
    assert [(row.tally.draws, row.tally.passes) for row in rows] == counts(run)


def test_two_workers_by_turns_open_each_round_once(world: World) -> None:
    """Units of one round lie with two workers; the next one opens with the last draw of the slower one."""
    run = precise(world)
    for turn in range(60):
        claims = [leases.claim_units(run.pk, name, 2) for name in ("a/1/1", "b/1/1")]
        if not any(claims):
            break
        before = set(run.units.values_list("allotted", flat=True))
        for name, held in zip(("a/1/1", "b/1/1"), claims, strict=True):
            for claim in held:
                due = (claim.allotted or 0) - claim.drawn
                passed = [(claim.drawn + k + claim.unit) % 7 == 0 for k in range(due)]
                batch = NewBatch(claim, passed, 0, "test", [1] * due, 0.1)
                assert leases.append_batches(name, [batch]) == {claim.unit: None}
        assert turn > 0 or before == {16}
    finish(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.COMPLETE
    rule = rule_of(run)
    again = rule.rounds_of(outcomes(run.units.order_by("pk")).values())
    assert again.draws.sum() == run.drawn  # exactly what the rule asks for on these outcomes
    assert rule.allocate(again, wave=rule.cap).done


def test_a_unit_with_its_round_made_is_not_due_and_a_new_round_rings(world: World) -> None:
    run = precise(world)
    Doorbell.objects.all().delete()
    (first, *rest) = leases.claim_units(run.pk, "a/1/1", 4)
    leases.append_batches("a/1/1", [NewBatch(first, [True] * 16, 0, "test", [1] * 16, 0.1)])
    leases.release(rest)
    assert first.unit not in due_units().filter(run=run).values_list("pk", flat=True)
    facts = precision_facts(run)
    assert facts is not None
    assert (facts["round"], facts["se_draws"]) == (1, None)
    assert expected_draws_left(run) == 3 * 16
    for claim in leases.claim_units(run.pk, "a/1/1", 4):
        passed = [k % 3 == 0 for k in range(16)]
        leases.append_batches("a/1/1", [NewBatch(claim, passed, 0, "test", [1] * 16, 0.1)])
    assert Doorbell.objects.filter(run=run).exists()
    assert due_units().filter(run=run).exists()


def test_the_round_goes_on_without_a_unit_that_is_quarantined_and_with_it_after_a_retry(world: World) -> None:
    run = precise(world)
    (bad, *rest) = leases.claim_units(run.pk, "a/1/1", 4)
    for claim in rest:
        passed = [k % 3 == 0 for k in range(16)]
        leases.append_batches("a/1/1", [NewBatch(claim, passed, 0, "test", [1] * 16, 0.1)])
    failures.fail_units([bad], "no", final=True)
    assert not due_units().filter(run=run).exists()
    finish(run.pk)
    assert due_units().filter(run=run).count() == 3
    complete(run)
    assert run.state == Run.State.PARTIAL
    assert len(tallies([run])[run.pk]) == 3
    retry_failed(world.user, run)
    complete(run)
    assert (run.state, run.units_done) == (Run.State.COMPLETE, 4)
    assert set(run.units.values_list("state", flat=True)) == {Unit.State.DONE}
    assert reconcile(run) == []
