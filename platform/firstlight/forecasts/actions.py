"""The one door for forecasts: make (or refresh), lock before training, score when the real model arrives."""

from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from firstlight.evaluations.figures import why_left_out
from firstlight.evaluations.models import Run
from firstlight.evaluations.tallies import run_estimate
from firstlight.files.errors import Refused
from firstlight.forecasts.inputs import ForecastInputs, gather
from firstlight.forecasts.models import Forecast
from firstlight.registry.actions import plan_checkpoint
from firstlight.registry.models import Checkpoint, Series, Task, TrainingConfiguration
from firstlight.teams.access import User, record, require_writer

LEVEL = 0.9
#: The task of the workers that makes one again.
MAKE = "make_forecast"


def make_forecast(actor: User, task: Task, target: Checkpoint) -> Forecast:
    """Forecast `task` at `target` from every smaller measured checkpoint of its series."""
    team = target.series.team
    require_writer(actor, team)
    if task.team_id != team.pk:
        raise Refused(f"{task} belongs to another team than {target}: import it for {team}.")
    if task.left_out:
        raise Refused(f"Fits leave {task} out ({task.left_out}): use it in fits again first.")
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


def forecast_size(
    actor: User, series: Series, *, n_params: int, name: str = "", tokens: int | None = None
) -> tuple[Checkpoint, list[Forecast]]:
    """Plan a larger model and forecast every task that the series was measured on.

    The planned checkpoint has the configuration of the largest measured one; one that is planned with this size
    already is taken.
    """
    require_writer(actor, series.team)
    measured = Run.objects.filter(checkpoint__series=series, state=Run.State.COMPLETE, left_out="")
    largest = measured.order_by("-checkpoint__n_params").select_related("checkpoint__configuration").first()
    if largest is None:
        raise Refused(f"Nothing of {series} is measured yet: start runs of at least three sizes first.")
    with transaction.atomic():
        target = Checkpoint.objects.filter(series=series, planned=True, n_params=n_params).first()
        if target is None:
            target = plan_checkpoint(
                actor,
                series,
                largest.checkpoint.configuration,
                name=name or f"planned {n_params:,}",
                n_params=n_params,
                tokens=tokens,
            )
    tasks = Task.objects.filter(runs__in=measured, left_out="", archived_at=None).distinct().order_by("name")
    newest = {task.name: task for task in tasks.order_by("name", "version")}
    made = []
    for task in newest.values():
        locked = Forecast.objects.filter(task=task, target=target).exclude(locked_at=None).first()
        made.append(locked or make_forecast(actor, task, target))
    return target, made


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
        if run.state == Run.State.COMPLETE and not why_left_out(run):
            measured = run_estimate(run, level=LEVEL)
            for forecast in forecasts.filter(target=checkpoint, measured_run=None).exclude(mean=None):
                forecast.measured_run = run
                forecast.measured = measured.mean
                forecast.measured_low, forecast.measured_high = measured.low, measured.high
                forecast.scored_at = run.finished_at
                forecast.save()
                record(None, run.checkpoint.series.team, "scored forecast", forecast, hit=forecast.hit)


def remove_forecast(actor: User, forecast: Forecast) -> None:
    """Take away one that has no result; what said something stays on record."""
    team = forecast.series.team
    require_writer(actor, team)
    with transaction.atomic():
        forecast = Forecast.objects.select_for_update().get(pk=forecast.pk)
        if forecast.mean is not None or forecast.locked_at or forecast.scored_at:
            raise Refused(f"the forecast of {forecast} has a result, so it stays on record.")
        record(actor, team, "removed forecast", forecast)
        forecast.delete()


def mark_stale(subject: Checkpoint | TrainingConfiguration | Task | Run) -> list[int]:
    """Forecasts that a changed choice of what fits use touches: unlocked and unscored. Returns their ids.

    An empty digest says that they wait to be made again, which takes seconds each and is a worker's job.
    """
    rows = Forecast.objects.filter(locked_at=None, scored_at=None)
    if isinstance(subject, Run):
        subject = subject.checkpoint
    if isinstance(subject, Task):
        rows = rows.filter(series__team=subject.team)
    elif isinstance(subject, Checkpoint):
        rows = rows.filter(series=subject.series)
    else:
        rows = rows.filter(series__checkpoints__configuration=subject).distinct()
    touched = list(rows.values_list("pk", flat=True))
    Forecast.objects.filter(pk__in=touched).update(inputs_digest="")
    return touched


def stale() -> QuerySet[Forecast]:
    """Forecasts that wait to be made again."""
    return Forecast.objects.filter(inputs_digest="", locked_at=None, scored_at=None)


def make_again(pk: int) -> bool:
    """Make one forecast again that waits for it. False where it does not, or where its inputs moved meanwhile."""
    forecast = stale().filter(pk=pk).first()
    if forecast is None:
        return False
    _, early = gather(forecast.task, forecast.target, forecast.level)
    answer = early.answer()  # seconds of computing, before anything is locked
    with transaction.atomic():
        waiting = stale().select_for_update().filter(pk=pk).first()
        if waiting is None:
            return False
        runs, inputs = gather(waiting.task, waiting.target, waiting.level)
        if inputs != early:
            return False  # it still waits, and is rung for again
        _store(waiting, runs, inputs, answer)
    return True


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
