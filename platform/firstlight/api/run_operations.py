"""Operations on runs and forecasts."""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Router
from pydantic import Field

from firstlight.api.answers import (
    GONE,
    MADE,
    MANY,
    ONE,
    Id,
    Input,
    Name,
    Size,
    Where,
    Whole,
    answer,
    once,
    rows_page,
)
from firstlight.evaluations import actions
from firstlight.evaluations.cost import cost_of_all
from firstlight.evaluations.figures import estimates, unit_facts
from firstlight.evaluations.models import Run, Sample, Unit
from firstlight.evaluations.tallies import losses
from firstlight.evaluations.views import run_csv, run_facts
from firstlight.files.errors import Refused
from firstlight.forecasts import actions as forecasting
from firstlight.forecasts.models import Forecast
from firstlight.forecasts.views import forecast_facts
from firstlight.registry import endings
from firstlight.registry.models import Checkpoint, Series, Task
from firstlight.teams.access import get_visible, require_some_team, visible
from passuntil.rules import RULES, Rule

router = Router(tags=["runs"])
forecasts = Router(tags=["forecasts"])


class NewRuns(Input):
    """Which checkpoints on which tasks; a task by its name is its newest version."""

    checkpoints: list[Id] = Field(min_length=1, max_length=500)
    tasks: list[Id | Name] = Field(min_length=1, max_length=500)
    rule: dict[str, Any] = Field(
        default={},
        description="kind and settings of the stopping rule",
        examples=[{"r": 5, "floor": 64, "cap": 10000}],
    )
    seed: Whole = 0
    temperature: float = Field(default=1.0, ge=0.01, le=10)
    top_p: float = Field(default=1.0, ge=0.01, le=1)
    engine: Name = ""
    priority: Name = Field(default="normal", description="low, normal or high, among the team's own runs")


@router.get("/runs", response=MANY, operation_id="list_runs", summary="Runs, the newest first")
def list_runs(
    request: HttpRequest,
    where: Where,
    series: Id | None = None,
    checkpoint: Id | None = None,
    task: Id | None = None,
    state: Name | None = None,
    archived: bool = False,
) -> HttpResponse:
    rows = endings.current(visible(Run, request.user), archived=archived)
    narrowed = {"checkpoint__series": series, "checkpoint": checkpoint, "task": task, "state": state}
    rows = rows.filter(**{name: value for name, value in narrowed.items() if value is not None})
    return rows_page(rows.select_related("checkpoint__series", "task", "created_by"), where, run_facts)


def _asked(request: HttpRequest, body: NewRuns) -> tuple[list[Checkpoint], list[Task], Rule]:
    require_some_team(request.user)
    checkpoints = [get_visible(Checkpoint, request.user, pk=pk) for pk in dict.fromkeys(body.checkpoints)]
    team = checkpoints[0].series.team
    tasks = []
    for which in dict.fromkeys(body.tasks):
        if isinstance(which, int):
            tasks.append(get_visible(Task, request.user, pk=which))
            continue
        newest = visible(Task, request.user).filter(team=team, name=which).order_by("-version").first()
        if newest is None:
            raise Refused(f"No task {which!r} in {team}: upload it first, or give its id.")
        tasks.append(newest)
    settings = {str(name): value for name, value in body.rule.items()}
    kind = settings.pop("kind", None)
    words = {"kind": kind} if isinstance(kind, str) else {}
    try:
        return checkpoints, tasks, actions.parse_rule(**words, **(_defaults(words) | settings))
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(f"The stopping rule does not fit: {error}") from error


def _defaults(words: dict[str, str]) -> dict[str, Any]:
    rule = RULES.get(words.get("kind", next(iter(RULES))))
    return {setting.name: setting.start for setting in rule.settings} if rule else {}


@router.post(
    "/runs",
    response=MADE,
    operation_id="create_runs",
    summary="A run of each checkpoint on each task, all or none",
)
@once
def create_runs(request: HttpRequest, body: NewRuns) -> HttpResponse:
    checkpoints, tasks, rule = _asked(request, body)
    served = bool(checkpoints[0].served_model)
    made = actions.create_runs(
        request.user,
        checkpoints,
        tasks,
        rule=rule,
        seed=body.seed,
        temperature=body.temperature,
        top_p=body.top_p,
        engine=body.engine or (actions.SERVED_BY if served else actions.ENGINES[0]),
        priority=actions.priority_of(body.priority),
    )
    return answer({"runs": [run_facts(run) for run in made]}, 201)


@router.post(
    "/runs/cost",
    response=ONE,
    operation_id="estimate_cost",
    summary="What runs would cost, before they are started",
)
def estimate_cost(request: HttpRequest, body: NewRuns) -> HttpResponse:
    checkpoints, tasks, rule = _asked(request, body)
    return answer(asdict(cost_of_all(checkpoints, tasks, rule)))


def _run(request: HttpRequest, pk: int) -> Run:
    rows = visible(Run, request.user).select_related("checkpoint__series__team", "task", "created_by")
    return rows.filter(pk=pk).first() or get_visible(Run, request.user, pk=pk)


@router.get("/runs/{pk}", response=ONE, operation_id="get_run", summary="One run with its estimate")
def get_run(request: HttpRequest, pk: Id) -> HttpResponse:
    run = _run(request, pk)
    more = {
        "rule": run.rule,
        "seed": run.seed,
        "temperature": run.temperature,
        "top_p": run.top_p,
        "engine": run.engine,
        "estimate": estimates([run]).get(run.pk),
        "digest_state": run.checkpoint.digest_state,
    }
    return answer(run_facts(run) | more)


@router.get(
    "/runs/{pk}/units",
    response=MANY,
    operation_id="list_units",
    summary="Instances of a run with their counts",
)
def list_units(request: HttpRequest, pk: Id, where: Where) -> HttpResponse:
    run = _run(request, pk)
    known = losses(run)
    rows = visible(Unit, request.user).filter(run=run).select_related("instance")
    return rows_page(
        rows,
        where,
        lambda unit: unit_facts(run.stopping_rule, unit, known.get(unit.instance_id)),
        rising=True,
    )


@router.get("/runs/{pk}/samples", response=MANY, operation_id="list_samples", summary="Texts that were kept")
def list_samples(request: HttpRequest, pk: Id, where: Where, passed: bool | None = None) -> HttpResponse:
    rows = visible(Sample, request.user).filter(unit__run=_run(request, pk)).select_related("unit__instance")
    rows = rows.filter(passed=passed) if passed is not None else rows
    return rows_page(rows, where, _sample, rising=True)


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.pk,
        "instance": sample.unit.instance.key,
        "draw": sample.draw,
        "passed": sample.passed,
        "text": sample.text,
    }


@router.get(
    "/runs/{pk}/tallies.csv",
    operation_id="export_tallies",
    summary="TALLIES.csv of a run, for firstlight forecast",
)
def export_tallies(request: HttpRequest, pk: Id) -> HttpResponseBase:
    return run_csv(request, pk)


def _button(name: str, summary: str) -> None:
    action = getattr(actions, {"retry": "retry_failed"}.get(name, f"{name}_run"))

    def press(request: HttpRequest, pk: Id) -> HttpResponse:
        return answer(run_facts(action(request.user, _run(request, pk))))

    router.post(f"/runs/{{pk}}/{name}", response=ONE, operation_id=f"{name}_run", summary=summary)(
        once(press)
    )


for _name, _summary in (
    ("pause", "Draw no more for now"),
    ("resume", "Go on"),
    ("cancel", "End it for good; its draws stay on record"),
    ("retry", "Try the quarantined instances again"),
):
    _button(_name, _summary)


class NewPriority(Input):
    priority: Name = Field(description="low, normal or high")


@router.post(
    "/runs/{pk}/priority",
    response=ONE,
    operation_id="set_run_priority",
    summary="Which of a team's runs is drawn first",
)
@once
def set_run_priority(request: HttpRequest, pk: Id, body: NewPriority) -> HttpResponse:
    run = actions.set_priority(request.user, _run(request, pk), actions.priority_of(body.priority))
    return answer(run_facts(run))


class NewForecast(Input):
    task: Id
    target: Id


class NewSize(Input):
    n_params: Size
    name: Name = ""
    tokens: Size | None = None


@forecasts.get(
    "/forecasts", response=MANY, operation_id="list_forecasts", summary="Forecasts, the newest first"
)
def list_forecasts(
    request: HttpRequest, where: Where, series: Id | None = None, task: Id | None = None
) -> HttpResponse:
    rows = visible(Forecast, request.user).select_related("series", "task", "target")
    narrowed = {"series": series, "task": task}
    return rows_page(
        rows.filter(**{n: v for n, v in narrowed.items() if v is not None}), where, forecast_facts
    )


@forecasts.post(
    "/forecasts",
    response=MADE,
    operation_id="make_forecast",
    summary="Forecast a task at a planned checkpoint",
)
@once
def make_forecast(request: HttpRequest, body: NewForecast) -> HttpResponse:
    task = get_visible(Task, request.user, pk=body.task)
    target = get_visible(Checkpoint, request.user, pk=body.target)
    return answer(forecast_facts(forecasting.make_forecast(request.user, task, target)), 201)


@forecasts.post(
    "/series/{pk}/forecast-size",
    response=MADE,
    operation_id="forecast_size",
    summary="Plan a larger model and forecast every measured task",
)
@once
def forecast_size(request: HttpRequest, pk: Id, body: NewSize) -> HttpResponse:
    series = get_visible(Series, request.user, pk=pk)
    target, made = forecasting.forecast_size(
        request.user,
        series,
        n_params=body.n_params,  # type: ignore[arg-type]
        name=body.name,
        tokens=body.tokens,  # type: ignore[arg-type]
    )
    return answer({"target": target.pk, "forecasts": [forecast_facts(one) for one in made]}, 201)


def _forecast(request: HttpRequest, pk: int) -> Forecast:
    rows = visible(Forecast, request.user).select_related("series__team", "task", "target")
    return rows.filter(pk=pk).first() or get_visible(Forecast, request.user, pk=pk)


@forecasts.get(
    "/forecasts/{pk}",
    response=ONE,
    operation_id="get_forecast",
    summary="One forecast, with the whole answer",
)
def get_forecast(request: HttpRequest, pk: Id) -> HttpResponse:
    forecast = _forecast(request, pk)
    more = {"result": forecast.result, "inputs": forecast.inputs, "inputs_digest": forecast.inputs_digest}
    return answer(forecast_facts(forecast) | more)


@forecasts.post(
    "/forecasts/{pk}/refresh",
    response=ONE,
    operation_id="refresh_forecast",
    summary="Make it again from the newest runs",
)
@once
def refresh_forecast(request: HttpRequest, pk: Id) -> HttpResponse:
    forecast = _forecast(request, pk)
    return answer(forecast_facts(forecasting.make_forecast(request.user, forecast.task, forecast.target)))


@forecasts.post(
    "/forecasts/{pk}/lock",
    response=ONE,
    operation_id="lock_forecast",
    summary="Freeze it before its target is measured",
)
@once
def lock_forecast(request: HttpRequest, pk: Id) -> HttpResponse:
    return answer(forecast_facts(forecasting.lock_forecast(request.user, _forecast(request, pk))))


@forecasts.delete(
    "/forecasts/{pk}", response=GONE, operation_id="remove_forecast", summary="Remove one without a result"
)
def remove_forecast(request: HttpRequest, pk: Id) -> HttpResponse:
    forecasting.remove_forecast(request.user, _forecast(request, pk))
    return HttpResponse(status=204)
