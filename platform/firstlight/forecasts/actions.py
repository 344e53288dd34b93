"""The one door for forecasts: make (or refresh), lock before training, score when the real model arrives."""

import hashlib
import json
from dataclasses import replace

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from firstlight.config.errors import Refused
from firstlight.evaluations.models import Run
from firstlight.evaluations.results import run_estimate, tally_rows
from firstlight.forecasts.models import Forecast
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, record, require_writer
from passuntil import PassUntilError, TallyRow, forecast_tallies
from passuntil.laws import LEAST_SIZES

LEVEL = 0.9
#: What two dozen tasks say of the deviations of models, more would not say better.
MOST_NEIGHBOURS = 24


def make_forecast(actor: User, task: Task, target: Checkpoint) -> Forecast:
    """Forecast `task` at `target` from every smaller measured checkpoint of its series."""
    team = target.series.team
    require_writer(actor, team)
    if task.team_id != team.pk:
        raise Refused(f"{task} belongs to another team than {target}: import it for {team}.")
    with transaction.atomic():
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
        _compute(forecast)
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
            _compute(forecast)
        if run.state == Run.State.COMPLETE:
            measured = run_estimate(run, level=LEVEL)
            for forecast in mine.filter(target=checkpoint, measured_run=None).exclude(mean=None):
                forecast.measured_run = run
                forecast.measured = measured.mean
                forecast.measured_low, forecast.measured_high = measured.low, measured.high
                forecast.scored_at = run.finished_at
                forecast.save()
                record(None, run.checkpoint.series.team, "scored forecast", forecast, hit=forecast.hit)


def _compute(forecast: Forecast) -> None:
    target = forecast.target
    runs = latest_runs(forecast.task, target)
    rows = [row for run in [*runs, *neighbours(forecast.task, runs)] for row in _rows(run)]
    forecast.inputs = [run.pk for run in runs]
    frozen = [
        [r.task, r.model, r.n_params, r.instance, r.tally.draws, r.tally.passes, r.tally.stopped_at]
        for r in rows
    ]
    forecast.inputs_digest = "sha256:" + hashlib.sha256(json.dumps(frozen).encode()).hexdigest()
    forecast.mean = forecast.low = forecast.high = None
    forecast.refused, forecast.method, forecast.result = "", "", {}
    try:
        result = forecast_tallies(
            rows, targets=[target.n_params], level=forecast.level, task=str(forecast.task) if rows else None
        ).as_dict()
    except PassUntilError as error:
        forecast.refused = str(error)[:500]
    else:
        entry = result["targets"][0]
        best = entry["methods"][entry["recommended"]]
        forecast.method = entry["recommended"]
        forecast.mean, forecast.low, forecast.high = best["mean"], best["low"], best["high"]
        forecast.result = result
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
