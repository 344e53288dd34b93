"""Home, the health addresses, and the pages that errors get."""

from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse

from firstlight.config.pages import json_response, render_page, wants_json, writable_teams
from firstlight.evaluations.figures import rates
from firstlight.evaluations.models import Run, Unit
from firstlight.forecasts.models import Forecast
from firstlight.forecasts.views import forecast_facts
from firstlight.registry.models import Checkpoint, Series, Task
from firstlight.teams.access import User, visible

SHOWN = 6


def home(request: HttpRequest) -> HttpResponse:
    """Running now, what needs a look, the newest forecasts, and the next step."""
    runs = visible(Run, request.user).select_related("checkpoint__series", "task")
    quarantined = Count("units", filter=Q(units__state=Unit.State.QUARANTINED))
    running = list(runs.filter(state__in=(*Run.OPEN, Run.State.PAUSED)).order_by("-id")[:SHOWN])
    troubled = (
        runs.filter(
            Q(state__in=(Run.State.FAILED, Run.State.PARTIAL)) | Q(units__state=Unit.State.QUARANTINED)
        )
        .annotate(quarantined=quarantined)
        .order_by("-id")[:SHOWN]
    )
    forecasts = list(
        visible(Forecast, request.user)
        .select_related("series", "task", "target")
        .order_by("-updated_at")[:SHOWN]
    )
    speed = rates(running)
    data: dict[str, Any] = {
        "running": [run_line(run) | speed[run.pk] for run in running],
        "troubled": [run_line(run) | {"quarantined": run.quarantined} for run in troubled],
        "forecasts": [forecast_facts(forecast) for forecast in forecasts],
        "next_step": None if running or forecasts else next_step(request.user),
    }
    return render_page(request, "site/home.html", data)


def run_line(run: Run) -> dict[str, Any]:
    """A run in a list."""
    return {
        "id": run.pk,
        "url": reverse("run", args=[run.pk]),
        "checkpoint": run.checkpoint.name,
        "series": run.checkpoint.series.name,
        "task": str(run.task),
        "state": run.state,
        "reason": run.reason,
        "units_done": run.units_done,
        "units_total": run.units_total,
        "draws": run.draws,
        "started_at": run.started_at,
        "created_at": run.created_at,
    }


def next_step(user: User) -> dict[str, str] | None:
    """What to do where nothing is measured yet."""
    if not writable_teams(user).exists():
        return {
            "text": "You are in no team in which you may change things: ask an owner to add you.",
            "url": "",
        }
    if not visible(Series, user).exists():
        return {"text": "Create a series: models that differ in size only.", "url": reverse("series-new")}
    if not visible(Checkpoint, user).exists():
        newest = visible(Series, user).order_by("-id").first()
        assert newest is not None
        return {
            "text": f"Register the first checkpoint of {newest.name}.",
            "url": reverse("checkpoint-register", args=[newest.pk]),
        }
    if not visible(Task, user).exists():
        return {"text": "Upload a task: a JSONL file, one instance a line.", "url": reverse("task-new")}
    if not visible(Run, user).exists():
        return {"text": "Start a run: a checkpoint, a task and a stopping rule.", "url": reverse("run-new")}
    return {
        "text": "Plan a larger checkpoint in a series and forecast it before it is trained.",
        "url": reverse("series-list"),
    }


@login_not_required
def healthz(request: HttpRequest) -> HttpResponse:
    """The process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers too."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("the database does not answer\n", content_type="text/plain", status=503)
    return HttpResponse("ready\n", content_type="text/plain")


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 400, "That request cannot be read.")


def denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 403, str(exception) or "Your role does not allow that.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error(request, 404, "There is no such page, or it belongs to a team that you are not in.")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return _error(
        request, 403, "This form is too old or came from elsewhere: go back, reload it and send it again."
    )


def server_error(request: HttpRequest) -> HttpResponse:
    """No query and no context processor: the database may be what failed."""
    message = "Something broke on our side. It is in the log; nothing was half saved."
    if wants_json(request):
        return json_response({"error": message, "status": 500}, status=500)
    return HttpResponse(render_to_string("500.html", {"message": message}), status=500)


def _error(request: HttpRequest, status: int, message: str) -> HttpResponse:
    if wants_json(request):
        return json_response({"error": message, "status": status}, status=status)
    return render(request, f"{status}.html", {"message": message}, status=status)
