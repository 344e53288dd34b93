"""Forecasts on the site, over real models of the ladder: made, locked before the measurement, scored by it."""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models import F

from firstlight.evaluations.actions import create_run, parse_rule
from firstlight.evaluations.models import Likelihood, Run
from firstlight.evaluations.tallies import run_estimate, tally_rows
from firstlight.files.errors import Refused
from firstlight.files.task_file import parse_task_lines
from firstlight.forecasts.actions import LEVEL, lock_forecast, make_forecast
from firstlight.forecasts.inputs import gather, latest_runs
from firstlight.forecasts.models import Forecast
from firstlight.registry import actions
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.actions import create_team
from firstlight.teams.models import AuditEvent, Team
from passuntil import forecast_tallies
from tests.cli.conftest import LADDER
from workers.slices import work_slice

SMALLER = ("ladder-24k", "ladder-59k", "ladder-142k", "ladder-237k")
TARGET, TARGET_SIZE = "ladder-425k", 424_800


@dataclass
class Series:
    """Four checkpoints with weights, a planned one that forecasts aim at, and a task."""

    user: User
    team: Team
    checkpoints: list[Checkpoint]
    target: Checkpoint
    task: Task

    def start(self, checkpoint: Checkpoint, *, seed: int = 0) -> Run:
        rule = parse_rule(r=4, floor=48, cap=48)
        return create_run(self.user, checkpoint, self.task, rule=rule, seed=seed)

    def measure(self, checkpoint: Checkpoint, *, seed: int = 0) -> Run:
        run = self.start(checkpoint, seed=seed)
        while work_slice(run.pk):
            pass
        run.refresh_from_db()
        return run

    def measure_smaller(self, count: int = len(SMALLER)) -> list[Run]:
        return [self.measure(checkpoint) for checkpoint in self.checkpoints[:count]]

    def arrive(self) -> Run:
        """The planned model's weights come, and it is measured."""
        arrived = actions.attach_weights(self.user, self.target, location=f"models/{TARGET}")
        return self.measure(arrived)

    def beside(self, name: str, count: int) -> Task:
        """Another task, measured on the first `count` checkpoints."""
        lines = (LADDER / "tasks" / f"{name}.jsonl").read_bytes().splitlines()[:8]
        other = actions.import_task(
            self.user, self.team, name=name, specs=parse_task_lines(lines, source=name)
        )
        before, self.task = self.task, other
        self.measure_smaller(count)
        self.task = before
        return other

    def forecast(self) -> Forecast:
        return make_forecast(self.user, self.task, self.target)


@pytest.fixture
def series(db: None, settings: Any) -> Series:
    settings.MODEL_ROOTS = [LADDER]
    settings.CELERY_BROKER_URL = "memory://"
    user = User.objects.create_user("owner")
    team = create_team("Team", user)
    ladder = actions.create_series(user, team, name="ladder")
    recipe = actions.create_configuration(user, team, name="main", recipe={})
    checkpoints = [
        actions.register_checkpoint(user, ladder, recipe, name=name, location=f"models/{name}")
        for name in SMALLER
    ]
    target = actions.plan_checkpoint(user, ladder, recipe, name=TARGET, n_params=TARGET_SIZE)
    lines = (LADDER / "tasks" / "total.jsonl").read_bytes().splitlines()[:8]
    task = actions.import_task(user, team, name="total", specs=parse_task_lines(lines, source="total"))
    return Series(user, team, checkpoints, target, task)


def numbers(forecast: Forecast) -> tuple[Any, ...]:
    forecast.refresh_from_db()
    return forecast.mean, forecast.low, forecast.high, forecast.inputs, forecast.inputs_digest


def test_a_forecast_is_what_the_library_says_of_the_measured_runs(series: Series) -> None:
    runs = series.measure_smaller()
    forecast = series.forecast()
    rows = [row for run in runs for row in tally_rows(run)]
    assert len(rows) == 4 * 8
    said = forecast_tallies(rows, targets=[TARGET_SIZE], level=LEVEL).as_dict()
    best = said["targets"][0]["methods"][said["targets"][0]["recommended"]]
    assert (forecast.mean, forecast.low, forecast.high) == (best["mean"], best["low"], best["high"])
    assert (forecast.level, forecast.refused, forecast.locked_at, forecast.hit) == (LEVEL, "", None, None)
    assert forecast.inputs == [run.pk for run in runs]
    assert forecast.result["targets"] == said["targets"]
    assert AuditEvent.objects.filter(verb="made forecast").count() == 1


def test_other_tasks_of_the_series_tell_how_its_models_deviate(series: Series) -> None:
    series.measure_smaller()
    alone = numbers(series.forecast())
    other, thin = series.beside("products", 4), series.beside("add", 2)
    forecast = series.forecast()
    # its passes and, since the runs scored its reference answers, its losses
    assert forecast.result["diagnostics"]["pooled"] == [str(other), f"{other} (loss)"]
    assert str(thin) not in forecast.result["diagnostics"]["pooled_left_out"]  # two checkpoints say nothing
    assert numbers(forecast)[-1] != alone[-1]
    assert forecast.inputs == [run.pk for run in latest_runs(series.task, series.target)]
    rows = [
        replace(row, task=str(task))
        for task in (series.task, other)
        for run in latest_runs(task, series.target)
        for row in tally_rows(run)
    ]
    said = forecast_tallies(rows, targets=[TARGET_SIZE], level=LEVEL, task=str(series.task)).as_dict()
    assert forecast.result["targets"] == said["targets"]


def test_with_too_few_sizes_the_reason_is_stored_and_there_is_nothing_to_lock(series: Series) -> None:
    series.measure_smaller(2)
    forecast = series.forecast()
    assert "at least 3" in forecast.refused
    assert (forecast.mean, forecast.low, forecast.high, forecast.method) == (None, None, None, "")
    with pytest.raises(Refused, match=r"no forecast to lock.*at least 3"):
        lock_forecast(series.user, forecast)


def test_without_any_run_the_reason_is_stored(series: Series) -> None:
    forecast = series.forecast()
    assert "no rows" in forecast.refused
    assert forecast.inputs == []


def test_a_refused_forecast_comes_true_by_itself_once_enough_is_measured(series: Series) -> None:
    series.measure_smaller(2)
    forecast = series.forecast()
    series.measure(series.checkpoints[2])
    forecast.refresh_from_db()
    assert forecast.refused == ""
    assert forecast.mean is not None


def test_an_unlocked_forecast_is_refreshed_by_a_newer_run_of_a_smaller_model(series: Series) -> None:
    first = series.measure_smaller()
    forecast = series.forecast()
    before = numbers(forecast)
    newer = series.measure(series.checkpoints[1], seed=5)
    after = numbers(forecast)
    assert after != before
    assert forecast.inputs == [first[0].pk, newer.pk, first[2].pk, first[3].pk]
    assert latest_runs(series.task, series.target)[1] == newer


def test_the_same_runs_give_the_same_digest(series: Series) -> None:
    series.measure_smaller()
    assert numbers(series.forecast()) == numbers(series.forecast())
    assert Forecast.objects.count() == 1


def test_a_likelihood_that_becomes_known_changes_the_digest(series: Series) -> None:
    runs = series.measure_smaller()
    forecast = series.forecast()
    _, inputs = gather(series.task, series.target, LEVEL)
    assert (forecast.inputs_digest, forecast.version) == (inputs.digest, inputs.version)
    Likelihood.objects.filter(checkpoint=runs[0].checkpoint).update(nll_answer=F("nll_answer") + 1)
    assert series.forecast().inputs_digest != forecast.inputs_digest


def test_a_locked_forecast_stays_as_it_was(series: Series) -> None:
    series.measure_smaller()
    forecast = lock_forecast(series.user, series.forecast())
    assert forecast.locked_at is not None
    before = numbers(forecast)
    series.measure(series.checkpoints[1], seed=5)
    assert numbers(forecast) == before
    with pytest.raises(Refused, match="is locked since"):
        series.forecast()
    with pytest.raises(Refused, match="locked already"):
        lock_forecast(series.user, forecast)
    assert numbers(forecast) == before


def test_the_arrival_of_the_model_scores_the_forecast_and_changes_nothing_else(series: Series) -> None:
    series.measure_smaller()
    forecast = lock_forecast(series.user, series.forecast())
    before = numbers(forecast)
    run = series.arrive()
    assert numbers(forecast) == before
    measured = run_estimate(run, level=LEVEL)
    assert forecast.measured_run == run
    assert (forecast.measured, forecast.measured_low, forecast.measured_high) == (
        measured.mean,
        measured.low,
        measured.high,
    )
    assert forecast.scored_at == run.finished_at
    assert forecast.hit == (forecast.low <= measured.mean <= forecast.high)
    assert AuditEvent.objects.filter(verb="scored forecast").count() == 1


def test_the_first_measurement_stands_whatever_is_measured_later(series: Series) -> None:
    series.measure_smaller()
    forecast = lock_forecast(series.user, series.forecast())
    first = series.arrive()
    series.target.refresh_from_db()
    series.measure(series.target, seed=9)
    forecast.refresh_from_db()
    assert forecast.measured_run == first


def test_a_partial_measurement_scores_nothing(series: Series) -> None:
    lines = (LADDER / "tasks" / "total.jsonl").read_bytes().splitlines()[:8]
    too_long = b'{"id": "long", "prompt": "%s", "answer": "1", "grader": "exact"}' % (b"1" * 2000)
    series.task = actions.import_task(
        series.user, series.team, name="mixed", specs=parse_task_lines([*lines, too_long], source="mixed")
    )
    assert {run.state for run in series.measure_smaller()} == {Run.State.PARTIAL}
    assert "no rows" in series.forecast().refused  # an incomplete mean would be of other instances
    assert series.arrive().state == Run.State.PARTIAL
    assert not Forecast.objects.exclude(measured_run=None).exists()


def test_a_forecast_cannot_be_locked_once_its_target_was_drawn_even_in_part(series: Series) -> None:
    series.measure_smaller()
    forecast = series.forecast()
    arrived = actions.attach_weights(series.user, series.target, location=f"models/{TARGET}")
    run = series.start(arrived)
    work_slice(run.pk, seconds=0, limit=1)
    run.refresh_from_db()
    assert run.state == Run.State.RUNNING
    with pytest.raises(Refused, match="measured on total v1 already"):
        lock_forecast(series.user, forecast)


def test_a_run_that_only_waits_does_not_keep_a_forecast_from_being_locked(series: Series) -> None:
    series.measure_smaller()
    forecast = series.forecast()
    series.start(actions.attach_weights(series.user, series.target, location=f"models/{TARGET}"))
    assert lock_forecast(series.user, forecast).locked_at is not None


def test_models_that_are_not_smaller_than_the_target_do_not_feed_it(series: Series) -> None:
    runs = series.measure_smaller()
    forecast = make_forecast(series.user, series.task, series.checkpoints[3])
    assert forecast.inputs == [run.pk for run in runs[:3]]
    with pytest.raises(Refused, match="already"):
        lock_forecast(series.user, forecast)


def test_a_run_of_another_version_of_the_task_neither_feeds_nor_scores(series: Series) -> None:
    series.measure_smaller()
    forecast = series.forecast()
    before = numbers(forecast)
    lines = (LADDER / "tasks" / "total.jsonl").read_bytes().splitlines()[:9]
    series.task = actions.import_task(
        series.user, series.team, name="total", specs=parse_task_lines(lines, source="total")
    )
    series.measure(series.checkpoints[0], seed=3)
    series.arrive()
    assert numbers(forecast) == before
    assert forecast.measured_run is None
