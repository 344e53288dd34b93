"""The one door for forecasts: make (or refresh), lock before training, score when the real model arrives."""

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from firstlight.evaluations.models import Run
from firstlight.evaluations.tallies import run_estimate
from firstlight.files.errors import Refused
from firstlight.forecasts.inputs import ForecastInputs, gather
from firstlight.forecasts.models import Forecast
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, record, require_writer

LEVEL = 0.9


def make_forecast(actor: User, task: Task, target: Checkpoint) -> Forecast:
    """Forecast `task` at `target` from every smaller measured checkpoint of its series."""
    team = target.series.team
    require_writer(actor, team)
    if task.team_id != team.pk:
        raise Refused(f"{task} belongs to another team than {target}: import it for {team}.")
    _, early = gather(task, target, LEVEL)
    answer = early.answer()  # seconds of computing, before anything is locked
    with transaction.atomic():
        runs, inputs = gather(task, target, LEVEL)
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
        _store(forecast, runs, inputs, answer if inputs == early else inputs.answer())
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
        forecasts = Forecast.objects.select_for_update().filter(task=task, series=checkpoint.series)
        for forecast in forecasts.filter(locked_at=None, measured_run=None).filter(
            Q(target__n_params__gt=checkpoint.n_params) & ~Q(target=checkpoint)
        ):
            runs, inputs = gather(forecast.task, forecast.target, forecast.level)
            _store(forecast, runs, inputs, inputs.answer())
        if run.state == Run.State.COMPLETE:
            measured = run_estimate(run, level=LEVEL)
            for forecast in forecasts.filter(target=checkpoint, measured_run=None).exclude(mean=None):
                forecast.measured_run = run
                forecast.measured = measured.mean
                forecast.measured_low, forecast.measured_high = measured.low, measured.high
                forecast.scored_at = run.finished_at
                forecast.save()
                record(None, run.checkpoint.series.team, "scored forecast", forecast, hit=forecast.hit)


def _store(forecast: Forecast, runs: list[Run], inputs: ForecastInputs, answer: dict[str, Any] | str) -> None:
    forecast.inputs = [run.pk for run in runs]
    forecast.inputs_digest, forecast.version = inputs.digest, inputs.version
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
