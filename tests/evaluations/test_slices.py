"""Slices: however a run is cut into them, it counts the same; what fails backs off, then is quarantined."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from django.db.models.functions import Now

from firstlight.evaluations import failures, leases
from firstlight.evaluations.actions import pause_run, resume_run
from firstlight.evaluations.models import Batch, Run, Sample, Unit
from firstlight.evaluations.progress import reconcile
from firstlight.evaluations.rounds import stored_bits
from firstlight.evaluations.turns import due_runs, next_run
from firstlight.files.task_file import InstanceSpec, parse_task_lines
from firstlight.registry import actions
from firstlight.registry.models import Checkpoint, Instance, Task
from passuntil import Tally
from tests.evaluations.conftest import World, task_lines
from tests.tiny_model import write_tiny_llama
from workers import engine_cache, scheduler, tasks
from workers.cli.measure import draw_all
from workers.engines import open_engine
from workers.slices import work_slice
from workers.waves import Decoding

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.fixture(autouse=True)
def _fresh(fresh_worker: None) -> None:
    """Every test is a new worker process."""


def specs(*, long: bool = False) -> list[InstanceSpec]:
    lines = task_lines(instances=4)
    if long:
        lines.insert(
            1, json.dumps({"id": "long", "prompt": "a" * 300, "answer": "a", "grader": "exact"}).encode()
        )
    return parse_task_lines(lines, source="letters")


def finish(run: Run, *, limit: int = 12, seconds: float = 20.0, most: int = 500) -> int:
    """Work until nothing is due. Returns the number of slices."""
    for slices in range(most):
        if work_slice(run.pk, seconds=seconds, limit=limit) == 0:
            run.refresh_from_db()
            return slices
    pytest.fail(f"run {run.pk} is still open after {most} slices")


def counts(run: Run) -> list[tuple[int, int, int | None]]:
    rows = run.units.order_by("instance__position")
    return list(rows.values_list("draws", "passes", "stopped_at"))


def end_backoff(run: Run) -> None:
    Unit.objects.filter(run=run).update(not_before=Now() - timedelta(seconds=1))


def end_hold(run: Run) -> None:
    Run.objects.filter(pk=run.pk).update(held_until=Now() - timedelta(seconds=1))


def states(run: Run) -> set[str]:
    return set(run.units.values_list("state", flat=True))


def by_command(world: World, run: Run) -> list[Tally]:
    engine = open_engine("reference", world.models / "tiny")
    rows, _ = draw_all(engine, specs(), run.stopping_rule, Decoding(seed=run.seed), model="tiny", n_params=1)
    return [row.tally for row in rows]


def test_a_slice_takes_a_small_run_to_its_end(world: World) -> None:
    run = world.run(seed=3)
    assert work_slice(run.pk) > 0
    run.refresh_from_db()
    assert (run.state, run.units_done) == (Run.State.COMPLETE, 4)
    assert run.finished_at is not None
    assert run.started_at is not None
    assert states(run) == {Unit.State.DONE}
    assert reconcile(run) == []
    assert work_slice(run.pk) == 0


@pytest.mark.parametrize("seed", [0, 3, 2**63 - 1])
def test_the_site_and_the_command_count_the_same(world: World, seed: int) -> None:
    run = world.run(r=3, floor=16, cap=150, seed=seed)
    finish(run)
    expected = [(tally.draws, tally.passes, tally.stopped_at) for tally in by_command(world, run)]
    assert counts(run) == expected
    assert any(stopped for _, _, stopped in expected)


@pytest.mark.parametrize("limit", [1, 3, 12])
def test_a_run_in_many_slices_counts_the_same_as_one_in_a_single_slice(world: World, limit: int) -> None:
    whole = world.run(r=40, cap=1000, seed=11)
    finish(whole)
    cut = world.run(r=40, cap=1000, seed=11)
    slices = finish(cut, limit=limit, seconds=0)
    assert slices > 1
    assert counts(cut) == counts(whole)
    assert (cut.draws, cut.passes, cut.tokens_used) == (whole.draws, whole.passes, whole.tokens_used)
    assert cut.state == Run.State.COMPLETE
    assert reconcile(cut) == []


def test_another_seed_draws_something_else(world: World) -> None:
    first, second = world.run(seed=1), world.run(seed=2)
    finish(first)
    finish(second)
    assert counts(first) != counts(second)


def test_overshoot_is_drawn_and_accounted_for_but_does_not_count(world: World) -> None:
    run = world.run(r=2, floor=0, cap=200, seed=1)
    finish(run)
    batch_draws = sum(Batch.objects.filter(unit__run=run).values_list("draws", flat=True))
    assert run.drawn == batch_draws
    assert run.draws == sum(draws for draws, _, _ in counts(run))
    assert run.drawn > run.draws
    for draws, passes, stopped_at in counts(run):
        assert draws == (stopped_at or 200)
        assert passes == (2 if stopped_at else passes) <= 2


def test_the_stored_bits_are_the_outcomes_in_draw_order(world: World) -> None:
    run = world.run(r=3, seed=4)
    finish(run)
    rule = run.stopping_rule
    for unit in run.units.all():
        bits = stored_bits(unit)
        assert len(bits) == unit.drawn
        settled = rule.settle(bits)
        assert (settled.draws, settled.passes, settled.stopped_at) == (
            unit.draws,
            unit.passes,
            unit.stopped_at,
        )


def test_few_texts_are_kept_the_first_passes_and_the_first_failures(world: World) -> None:
    run = world.run(r=40, floor=150, cap=150, seed=2)
    finish(run, seconds=0)
    for unit in run.units.all():
        bits = stored_bits(unit)
        kept = {passed: list(unit.samples.filter(passed=passed).order_by("draw")) for passed in (True, False)}
        for passed, samples in kept.items():
            first = [draw for draw, bit in enumerate(bits) if bit == passed][: Sample.KEPT]
            assert [sample.draw for sample in samples] == first
        for sample in kept[True]:
            assert unit.instance.answer in sample.text


def test_a_prompt_longer_than_the_context_fails_alone(world: World) -> None:
    plain = world.run(seed=6)
    finish(plain)
    task = actions.import_task(world.user, world.team, name="long", specs=specs(long=True))
    run = _run_of(world, task, seed=6)
    finish(run)
    bad = run.units.get(instance__key="long")
    assert bad.state == Unit.State.QUARANTINED
    assert "300 prompt tokens" in bad.last_error
    assert "shorten the prompt" in bad.last_error
    assert run.state == Run.State.PARTIAL
    assert "1 of 5 instances is quarantined" in run.reason
    assert [row for row in counts(run) if row[0]] == counts(plain)
    assert reconcile(run) == []


def test_a_pattern_of_an_older_task_that_cannot_be_matched_fails_alone(world: World) -> None:
    old = InstanceSpec("old", "abc=", "(?<=a)b", "regex", max_tokens=4)
    task = actions.import_task(world.user, world.team, name="old", specs=[old, *specs()])
    run = _run_of(world, task)
    finish(run)
    bad = run.units.get(instance__key="old")
    assert (bad.state, bad.drawn) == (Unit.State.QUARANTINED, 0)
    assert "'(?<=a)b' cannot be matched: RE2 has no lookbehind" in bad.last_error
    assert run.state == Run.State.PARTIAL
    assert states(run) == {Unit.State.DONE, Unit.State.QUARANTINED}


def test_a_run_of_impossible_prompts_alone_fails_with_the_reason(world: World) -> None:
    task = actions.import_task(world.user, world.team, name="long", specs=specs(long=True)[1:2])
    run = _run_of(world, task)
    finish(run)
    assert run.state == Run.State.FAILED
    assert "shorten the prompt" in run.reason


def test_an_engine_that_fails_is_tried_again_later_then_quarantined_and_nothing_is_counted(
    world: World,
) -> None:
    """Weights of NaN: every wave is garbage. It is refused, never counted as failures to pass."""
    write_tiny_llama(world.models / "nan", d=32, layers=1, heads=1, scale=float("nan"))
    broken = _register(world, "nan")
    run = _run_of(world, world.task, checkpoint=broken)
    for times in range(1, leases.MAX_ATTEMPTS):
        assert work_slice(run.pk) == 0
        run.refresh_from_db()
        assert (run.state, run.held_times) == (Run.State.RUNNING, times)
        assert "not finite" in run.reason
        assert set(run.units.values_list("state", "attempts", "last_error")) == {(Unit.State.PENDING, 0, "")}
        assert not due_runs("reference").exists()  # it waits
        assert work_slice(run.pk) == 0
        end_hold(run)
    work_slice(run.pk)
    run.refresh_from_db()
    assert (run.state, run.drawn, states(run)) == (Run.State.FAILED, 0, {Unit.State.QUARANTINED})
    assert "not finite" in run.reason


def test_a_file_that_breaks_between_slices_leaves_the_counts_and_names_the_file(world: World) -> None:
    run = world.run(r=40, floor=16, cap=150)
    work_slice(run.pk, seconds=0, limit=4)
    before = counts(run)
    file = world.models / "tiny" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    engine_cache.close()
    finish(run)
    assert run.state == Run.State.FAILED
    assert "truncated" in run.reason
    assert counts(run) == before
    assert run.drawn == sum(draws for draws, _, _ in before) > 0
    assert reconcile(run) == []


def test_weights_that_changed_since_they_were_registered_are_refused_by_name(world: World) -> None:
    run = world.run()
    write_tiny_llama(world.models / "tiny", d=32, layers=1, heads=1, seed=2)
    finish(run)
    assert (run.state, run.drawn) == (Run.State.FAILED, 0)
    assert "changed since tiny was registered" in run.reason


def test_a_run_waits_for_a_folder_that_is_gone_says_so_and_goes_on_by_itself(world: World) -> None:
    whole = world.run(r=40, floor=16, cap=150)
    finish(whole)
    run = world.run(r=40, floor=16, cap=150)
    work_slice(run.pk, seconds=0, limit=4)
    engine_cache.close()
    shutil.move(world.models / "tiny", world.models / "away")
    for times in range(1, 2 * leases.MAX_ATTEMPTS):
        work_slice(run.pk)
        run.refresh_from_db()
        assert (run.state, run.held_times) == (Run.State.RUNNING, times)
        assert "no such folder" in run.reason
        end_hold(run)
    shutil.move(world.models / "away", world.models / "tiny")
    finish(run)
    assert (run.state, run.reason, run.held_until) == (Run.State.COMPLETE, "", None)
    assert counts(run) == counts(whole)


def test_a_root_that_no_longer_allows_the_folder_stops_the_run(
    world: World, settings: object, tmp_path: Path
) -> None:
    run = world.run()
    settings.MODEL_ROOTS = [tmp_path / "elsewhere"]  # type: ignore[attr-defined]
    work_slice(run.pk)
    run.refresh_from_db()
    assert (run.state, run.drawn) == (Run.State.RUNNING, 0)
    assert "outside the allowed folders" in run.reason
    settings.MODEL_ROOTS = [tmp_path]  # type: ignore[attr-defined]
    end_hold(run)
    finish(run)
    assert run.state == Run.State.COMPLETE


def test_an_engine_that_is_open_waits_for_no_other_worker_that_cannot_open_it(world: World) -> None:
    run = world.run(r=40, floor=16, cap=150)
    work_slice(run.pk, seconds=0, limit=2)
    failures.hold(world.checkpoint, "reference", "no memory on this device")
    assert next_run("reference") is None
    assert next_run("reference", loaded=world.checkpoint.pk) == run
    finish(run)
    assert run.state == Run.State.COMPLETE


def test_a_grader_that_this_worker_does_not_know_is_no_endless_loop(world: World) -> None:
    """A row that a newer version wrote during an upgrade: the units fail with the reason, none counts."""
    run = world.run()
    Instance.objects.filter(task=world.task).update(grader="python")
    for _ in range(leases.MAX_ATTEMPTS * run.units_total):
        work_slice(run.pk)
        end_backoff(run)
    run.refresh_from_db()
    assert (run.state, run.drawn) == (Run.State.FAILED, 0)
    assert "'python'" in run.reason


@pytest.mark.parametrize("limit", [2, 4, 12])
def test_only_the_guilty_unit_is_blamed_and_the_others_count_as_in_a_calm_run(
    world: World, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """A grader breaks on one instance, whose draws are in hand together with those of two other runs."""
    calm = world.run(seed=3)
    finish(calm)
    runs = [world.run(seed=3), world.run(seed=3), world.run(seed=3)]
    guilty = runs[1].units.order_by("id")[2]
    judged = scheduler.judge

    def break_on_one(key: object, *args: object, **more: object) -> object:
        if key == guilty.pk:
            raise RuntimeError("the grader fell over")
        return judged(key, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(scheduler, "judge", break_on_one)
    for _ in range(60):
        work_slice(runs[1].pk, limit=limit)
        Unit.objects.update(not_before=None)
    for run in runs:
        run.refresh_from_db()
    assert [run.state for run in runs] == [Run.State.COMPLETE, Run.State.PARTIAL, Run.State.COMPLETE]
    assert counts(runs[0]) == counts(runs[2]) == counts(calm)
    blamed = Unit.objects.exclude(last_error="")
    assert [unit.pk for unit in blamed] == [guilty.pk]
    assert "the grader fell over" in blamed[0].last_error
    others = runs[1].units.exclude(pk=guilty.pk).order_by("id").values_list("draws", "passes", "stopped_at")
    assert list(others) == [row for k, row in enumerate(counts(calm)) if k != 2]


def test_a_retry_goes_on_from_the_counts_of_the_failed_units(world: World) -> None:
    from firstlight.evaluations.actions import retry_failed

    whole = world.run(r=40, floor=16, cap=150)
    finish(whole)
    run = world.run(r=40, floor=16, cap=150)
    work_slice(run.pk, seconds=0, limit=4)
    file = world.models / "tiny" / "model.safetensors"
    kept = file.read_bytes()
    file.write_bytes(kept[:-8])
    engine_cache.close()
    finish(run)
    assert run.state == Run.State.FAILED
    file.write_bytes(kept)
    retry_failed(world.user, run)
    finish(run)
    assert run.state == Run.State.COMPLETE
    assert counts(run) == counts(whole)
    assert reconcile(run) == []


def _register(world: World, name: str) -> Checkpoint:
    return actions.register_checkpoint(
        world.user, world.series, world.checkpoint.configuration, name=name, location=str(world.models / name)
    )


def _run_of(world: World, task: Task, *, checkpoint: Checkpoint | None = None, seed: int = 0) -> Run:
    from firstlight.evaluations.actions import create_run, parse_rule

    rule = parse_rule(r=2, floor=16, cap=200)
    return create_run(world.user, checkpoint or world.checkpoint, task, rule=rule, seed=seed)


def test_a_worker_that_dies_while_it_closes_a_run_leaves_it_to_the_sweep(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's end and the score of the forecasts that waited for it come together or not at all."""
    run = world.run()

    def die(run: Run) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr("workers.slices.run_finished", die)
        with pytest.raises(KeyboardInterrupt):
            work_slice(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING
    assert run.units_done == run.units_total
    tasks.sweep()
    run.refresh_from_db()
    assert run.state == Run.State.COMPLETE


def test_a_run_paused_after_its_last_draw_is_closed_when_it_is_resumed(world: World) -> None:
    run = world.run()
    claims = leases.claim_units(run.pk, "a/1/1", 10)
    pause_run(world.user, run)
    for claim in claims:
        new = leases.NewBatch(
            claim=claim, passed=[True] * 16, seed=0, fingerprint="test", tokens=[1] * 16, seconds=0.1
        )
        leases.append_batches("a/1/1", [new])
    resume_run(world.user, run)
    work_slice(run.pk)
    run.refresh_from_db()
    assert run.state == Run.State.COMPLETE
