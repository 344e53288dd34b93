"""The one door for forecasts: make (or refresh), lock before training, score when the real model arrives."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from firstlight.evaluations.models import Run
from firstlight.evaluations.tallies import run_estimate, tally_rows
from firstlight.files.errors import Refused
from firstlight.forecasts.models import Forecast
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, record, require_writer
from passuntil import PassUntilError, TallyRow, forecast_tallies
from passuntil.laws.base import LEAST_SIZES

LEVEL = 0.9
#: What two dozen tasks say of the deviations of models, more would not say better.
MOST_NEIGHBOURS = 24


def make_forecast(actor: User, task: Task, target: Checkpoint) -> Forecast:
    """Forecast `task` at `target` from every smaller measured checkpoint of its series."""
    team = target.series.team
    require_writer(actor, team)
    if task.team_id != team.pk:
        raise Refused(f"{task} belongs to another team than {target}: import it for {team}.")
    inputs = _inputs(task, target)
    answer = _answer(inputs, LEVEL)  # seconds of computing, before anything is locked
    with transaction.atomic():
        now = _inputs(task, target)
        existing = Forecast.objects.select_for_update().filter(task=task, target=target).first()
        if existing and existing.locked_at:
            raise Refused(
                f"the forecast of {task} at {target} is locked since {existing.locked_at:%Y-%m-%d %H:%M} UTC."
            )
        if existing and existing.scored_at:
            raise Refused(
                f"{target} was measured on {task} already, and the forecast scored: it stays as it was."
            )
        forecast = existing or Forecast(
            series=target.series, task=task, target=target, created_by_id=actor.pk
        )
        _store(forecast, now, answer if now == inputs else _answer(now, LEVEL))
        record(actor, team, "made forecast", forecast, mean=forecast.mean, refused=forecast.refused)
    return forecast


def lock_forecast(actor: User, forecast: Forecast) -> Forecast:
    """Freeze it, with the time. Possible only while its target is unmeasured: afterwards it would be hindsight."""
    team = forecast.series.team
    require_writer(actor, team)
    with transaction.atomic():
        forecast = Forecast.objects.select_for_update().get(pk=forecast.pk)
        if forecast.locked_at:
            raise Refused(f"{forecast} is locked already.")
        if forecast.mean is None:
            raise Refused(f"there is no forecast to lock: {forecast.refused}")
        if Run.objects.filter(checkpoint=forecast.target, task=forecast.task, draws__gt=0).exists():
            raise Refused(
                f"{forecast.target} was measured on {forecast.task} already: lock forecasts before that."
            )
        Forecast.objects.filter(pk=forecast.pk).update(locked_at=Now())
        record(
            actor, team, "locked forecast", forecast, mean=forecast.mean, low=forecast.low, high=forecast.high
        )
        forecast.refresh_from_db()
    return forecast


def run_finished(run: Run) -> None:
    """A run ended: refresh the unlocked forecasts it feeds and score those that aimed at it."""
    task, checkpoint = run.task, run.checkpoint
    with transaction.atomic():
        mine = Forecast.objects.select_for_update().filter(task=task, series=checkpoint.series)
        for forecast in mine.filter(locked_at=None, measured_run=None).filter(
            Q(target__n_params__gt=checkpoint.n_params) & ~Q(target=checkpoint)
        ):
            inputs = _inputs(forecast.task, forecast.target)
            _store(forecast, inputs, _answer(inputs, forecast.level))
        if run.state == Run.State.COMPLETE:
            measured = run_estimate(run, level=LEVEL)
            for forecast in mine.filter(target=checkpoint, measured_run=None).exclude(mean=None):
                forecast.measured_run = run
                forecast.measured = measured.mean
                forecast.measured_low, forecast.measured_high = measured.low, measured.high
                forecast.scored_at = run.finished_at
                forecast.save()
                record(None, run.checkpoint.series.team, "scored forecast", forecast, hit=forecast.hit)


@dataclass(frozen=True)
class _Inputs:
    """What a forecast is made from: the runs of its task, and the rows of these and of its neighbours."""

    task: str
    size: float
    runs: list[int]
    rows: list[TallyRow]

    @property
    def digest(self) -> str:
        frozen = [
            [r.task, r.model, r.n_params, r.instance, r.tally.draws, r.tally.passes, r.tally.stopped_at]
            for r in self.rows
        ]
        return "sha256:" + hashlib.sha256(json.dumps(frozen).encode()).hexdigest()


def _inputs(task: Task, target: Checkpoint) -> _Inputs:
    runs = latest_runs(task, target)
    rows = [row for run in [*runs, *neighbours(task, runs)] for row in _rows(run)]
    return _Inputs(str(task), target.n_params, [run.pk for run in runs], rows)


def _answer(inputs: _Inputs, level: float) -> dict[str, Any] | str:
    """The library's answer, or why there is none. Reads and writes nothing."""
    task = inputs.task if inputs.rows else None
    try:
        return forecast_tallies(inputs.rows, targets=[inputs.size], level=level, task=task).as_dict()
    except PassUntilError as error:
        return str(error)[:500]


def _store(forecast: Forecast, inputs: _Inputs, answer: dict[str, Any] | str) -> None:
    forecast.inputs, forecast.inputs_digest = inputs.runs, inputs.digest
    forecast.mean = forecast.low = forecast.high = None
    forecast.refused, forecast.method, forecast.result = "", "", {}
    if isinstance(answer, str):
        forecast.refused = answer
    else:
        entry = answer["targets"][0]
        best = entry["methods"][entry["recommended"]]
        forecast.method = entry["recommended"]
        forecast.mean, forecast.low, forecast.high = best["mean"], best["low"], best["high"]
        forecast.result = answer
    forecast.save()


def _rows(run: Run) -> list[TallyRow]:
    return [replace(row, task=str(run.task)) for row in tally_rows(run)]


def neighbours(task: Task, runs: list[Run]) -> list[Run]:
    """The newest complete runs of other tasks on the same checkpoints: they tell how these models deviate.

    Other versions of the task itself stay out: their deviations are its own, seen twice. Of another task the
    newest version counts, and the most widely measured tasks, at most `MOST_NEIGHBOURS`.
    """
    complete = (
        Run.objects.filter(checkpoint__in=[run.checkpoint_id for run in runs], state=Run.State.COMPLETE)
        .exclude(task__name=task.name)
        .select_related("checkpoint", "task")
        .order_by("task__version", "id")
    )
    newest: dict[str, dict[int, Run]] = {}
    for run in complete:
        mine = newest.setdefault(run.task.name, {})
        if any(other.task_id != run.task_id for other in mine.values()):
            mine.clear()
        mine[run.checkpoint_id] = run
    widest = sorted(newest.items(), key=lambda item: (-len(item[1]), item[0]))
    enough = [mine for _, mine in widest if len(mine) >= LEAST_SIZES][:MOST_NEIGHBOURS]
    return [run for mine in enough for run in mine.values()]


def latest_runs(task: Task, target: Checkpoint) -> list[Run]:
    """The newest complete run of every smaller checkpoint of the series, the smallest first."""
    newest: dict[int, Run] = {}
    complete = Run.objects.filter(
        task=task,
        checkpoint__series=target.series,
        checkpoint__n_params__lt=target.n_params,
        state=Run.State.COMPLETE,
    ).select_related("checkpoint", "task")
    for run in complete.order_by("id"):
        newest[run.checkpoint_id] = run
    return sorted(newest.values(), key=lambda run: run.checkpoint.n_params)
