"""The ledger of forecasts, and the curve of a task over a series with its forecast."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.forecasts import actions, curves
from firstlight.forecasts.forms import ForecastForm, SizeForm
from firstlight.forecasts.models import Forecast
from firstlight.pages.listing import keyset, whole_parameter
from firstlight.pages.page import attempt, render_page
from firstlight.pages.templatetags.words import method_name, told
from firstlight.registry.models import Checkpoint, Series, Task
from firstlight.teams.access import get_visible, may_write, require_writer, visible

HIT = Q(measured__gte=F("low"), measured__lte=F("high"))
SCORED = Q(measured__isnull=False, low__isnull=False)
LOCKED = Q(locked_at__isnull=False)
#: A curve has at most so many checkpoints; a series with more shows its largest ones.
MOST_POINTS = 200


def forecast_facts(forecast: Forecast) -> dict[str, Any]:
    """A forecast in a list."""
    return {
        "id": forecast.pk,
        "url": reverse("forecast", args=[forecast.pk]),
        "series": forecast.series.name,
        "task": str(forecast.task),
        "target": forecast.target.name,
        "n_params": forecast.target.n_params,
        "mean": forecast.mean,
        "low": forecast.low,
        "high": forecast.high,
        "level": forecast.level,
        "method": forecast.method,
        "refused": forecast.refused,
        "locked_at": forecast.locked_at,
        "updated_at": forecast.updated_at,
        "measured": forecast.measured,
        "measured_low": forecast.measured_low,
        "measured_high": forecast.measured_high,
        "hit": forecast.hit,
        "compatible": compatible(forecast),
    }


def compatible(forecast: Forecast) -> bool | None:
    """Whether forecast and measurement overlap as intervals: all that can be asked of a rough measurement."""
    low, high, m_low, m_high = forecast.low, forecast.high, forecast.measured_low, forecast.measured_high
    if low is None or high is None or m_low is None or m_high is None:
        return None
    return low <= m_high and m_low <= high


def forecast_list(request: HttpRequest) -> HttpResponse:
    """The ledger: what was said before, and what came."""
    every = visible(Forecast, request.user)
    rows = every.select_related("series", "task", "target")
    outcome = request.GET.get("outcome", "")
    if outcome == "hit":
        rows = rows.filter(SCORED & HIT)
    elif outcome == "miss":
        rows = rows.filter(SCORED).exclude(HIT)
    elif outcome == "open":
        rows = rows.filter(measured=None)
    chosen = {name: whole_parameter(request, name) for name in ("task", "series")}
    rows = rows.filter(**{f"{name}_id": value for name, value in chosen.items() if value is not None})
    page = keyset(request, rows, {"newest": "-id", "target": "-target__n_params"}, default="newest")
    counts = every.aggregate(
        locked_scored=Count("id", filter=LOCKED & SCORED),
        locked_hit=Count("id", filter=LOCKED & SCORED & HIT),
        open_scored=Count("id", filter=~LOCKED & SCORED),
        open_hit=Count("id", filter=~LOCKED & SCORED & HIT),
        waiting=Count("id", filter=LOCKED & Q(measured=None)),
    )
    data = {
        **page.facts(),
        "filters": {"outcome": outcome, **chosen},
        "counts": counts,
        "forecasts": [forecast_facts(forecast) for forecast in page.rows],
    }
    return render_page(
        request,
        "forecasts/forecast_list.html",
        data,
        outcomes=[("hit", "Hit"), ("miss", "Miss"), ("open", "Not measured yet")],
        tasks=visible(Task, request.user).order_by("name", "-version")[:200],
        all_series=visible(Series, request.user).order_by("name")[:200],
    )


def forecast(request: HttpRequest, pk: int) -> HttpResponse:
    """One forecast on its curve."""
    rows = visible(Forecast, request.user).select_related("series__team", "task", "target", "created_by")
    forecast = rows.filter(pk=pk).first() or get_visible(Forecast, request.user, pk=pk)
    return _curve_page(request, forecast.series, forecast.task, forecast.target, forecast)


def curve(request: HttpRequest, pk: int) -> HttpResponse:
    """PU against N of one task over a series: `?task=ID&target=ID`."""
    series = visible(Series, request.user).select_related("team").filter(pk=pk).first()
    series = series or get_visible(Series, request.user, pk=pk)
    wanted, aim = whole_parameter(request, "task"), whole_parameter(request, "target")
    tasks = _tasks(request, series)
    task = curves.choose_task(tasks, wanted)
    if task is None and wanted is not None:
        task = get_visible(Task, request.user, pk=wanted, team=series.team)
    target = get_visible(Checkpoint, request.user, pk=aim, series=series) if aim is not None else None
    forecast = None
    if task and target:
        forecast = (
            visible(Forecast, request.user)
            .select_related("series__team", "task", "target", "created_by")
            .filter(task=task, target=target)
            .first()
        )
    return _curve_page(request, series, task, target, forecast, tasks)


def _tasks(request: HttpRequest, series: Series) -> list[Task]:
    """Tasks that this series was asked, or all tasks of the team where it was asked none."""
    ours = visible(Task, request.user).filter(team=series.team)
    measured = ours.filter(runs__checkpoint__series=series).distinct()
    return list(measured.order_by("name", "-version")[:50]) or list(ours.order_by("name", "-version")[:50])


def _curve_page(
    request: HttpRequest,
    series: Series,
    task: Task | None,
    target: Checkpoint | None,
    forecast: Forecast | None,
    tasks: list[Task] | None = None,
) -> HttpResponse:
    tasks = _tasks(request, series) if tasks is None else tasks
    every = visible(Checkpoint, request.user).filter(series=series)
    checkpoints = list(every.order_by("-n_params", "-id")[:MOST_POINTS])[::-1]
    runs = list(_runs(request, task, checkpoints)) if task else []
    drawn = curves.build(checkpoints, runs, target, forecast) if task else curves.Curve()
    address = reverse("curve", args=[series.pk])
    diagnostics = forecast.result.get("diagnostics", {}) if forecast else {}
    data: dict[str, Any] = {
        "series": series.name,
        "series_url": reverse("series", args=[series.pk]),
        "task": str(task) if task else None,
        "task_id": task.pk if task else None,
        "target": {
            "id": target.pk,
            "name": target.name,
            "n_params": target.n_params,
            "planned": target.planned,
        }
        if target
        else None,
        "tasks": [{"id": t.pk, "name": str(t), "url": f"{address}?task={t.pk}"} for t in tasks],
        "targets": [
            {
                "id": c.pk,
                "name": c.name,
                "n_params": c.n_params,
                "planned": c.planned,
                "url": f"{address}?task={task.pk}&target={c.pk}" if task else address,
            }
            for c in curves.targets_of(checkpoints)[:12]
        ],
        "forecast": forecast_facts(forecast) if forecast else None,
        "growth": forecast.result.get("growth") if forecast else None,
        "methods": _methods(forecast) if forecast else [],
        "recommended_because": diagnostics.get("recommended_because", ""),
        "pooled": diagnostics.get("pooled", []),
        "backtest": forecast.result.get("backtest", []) if forecast else [],
        "inputs_digest": forecast.inputs_digest if forecast else None,
        "curve": drawn.facts(),
    }
    line = method_name(drawn.law["name"]) if drawn.law else ""
    chart = {"kind": "curve", "line": line, **drawn.facts()}
    return render_page(
        request,
        "forecasts/forecast.html",
        data,
        chart=chart,
        series_id=series.pk,
        by=forecast.created_by.get_username() if forecast and forecast.created_by else "",
        can_write=may_write(request.user, series.team),
        measured_already=target is not None and any(r.checkpoint_id == target.pk and r.draws for r in runs),
    )


def _runs(request: HttpRequest, task: Task, checkpoints: list[Checkpoint]) -> QuerySet[Run]:
    rows = visible(Run, request.user).filter(task=task, checkpoint__in=checkpoints)
    return rows.select_related("checkpoint__configuration", "task")


def size_forecast(request: HttpRequest, pk: int) -> HttpResponse:
    """Plan a larger model of the series and forecast all that was measured."""
    series = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, series.team)
    form = SizeForm(request.POST)
    if not form.is_valid():
        messages.error(request, " ".join(str(error) for errors in form.errors.values() for error in errors))
        return redirect("series", pk)
    values = form.cleaned_data
    try:
        target, made = actions.forecast_size(request.user, series, **values)
    except Refused as error:
        messages.error(request, str(error))
        return redirect("series", pk)
    good = [forecast for forecast in made if not forecast.refused]
    for forecast in made:
        if forecast.refused:
            messages.warning(request, f"{forecast.task}: there is no forecast yet. {told(forecast.refused)}")
    if not good:
        return redirect("checkpoint", target.pk)
    return redirect("forecast", good[0].pk)


def forecast_remove(request: HttpRequest, pk: int) -> HttpResponse:
    forecast = get_visible(Forecast, request.user, pk=pk)
    require_writer(request.user, forecast.series.team)
    back = f"{reverse('curve', args=[forecast.series_id])}?task={forecast.task_id}"
    return attempt(
        request,
        lambda: actions.remove_forecast(request.user, forecast),
        back,
        done="The forecast without a result is removed.",
    )


def forecast_make(request: HttpRequest) -> HttpResponse:
    form = ForecastForm(request.user, request.POST)
    if not form.is_valid():
        raise Http404("no such task or target")  # a foreign id says no more than an absent one
    task, target = form.cleaned_data["task"], form.cleaned_data["target"]
    try:
        forecast = actions.make_forecast(request.user, task, target)
    except Refused as error:
        messages.error(request, str(error))
        return redirect(f"{reverse('curve', args=[target.series_id])}?task={task.pk}&target={target.pk}")
    if forecast.refused:
        messages.warning(request, f"There is no forecast yet. {told(forecast.refused)}")
    return redirect("forecast", forecast.pk)


def forecast_refresh(request: HttpRequest, pk: int) -> HttpResponse:
    forecast = get_visible(Forecast, request.user, pk=pk)
    return attempt(
        request,
        lambda: actions.make_forecast(request.user, forecast.task, forecast.target),
        reverse("forecast", args=[pk]),
        done="The forecast was made again from the newest complete runs.",
    )


def forecast_lock(request: HttpRequest, pk: int) -> HttpResponse:
    forecast = get_visible(Forecast, request.user, pk=pk)
    return attempt(
        request,
        lambda: actions.lock_forecast(request.user, forecast),
        reverse("forecast", args=[pk]),
        done="The forecast is locked. From now on only its measurement can be added.",
    )


def _methods(forecast: Forecast) -> list[dict[str, Any]]:
    """What every method of the library said of the target, the recommended one marked."""
    told: dict[str, Any] = next(iter(forecast.result.get("targets", [])), {"methods": {}})
    return [
        {"name": name, **said, "recommended": name == forecast.method}
        for name, said in told["methods"].items()
    ]
