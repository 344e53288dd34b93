"""The front page: what runs, what needs a look, what is new, what to do next."""

from typing import Any

from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from firstlight.evaluations.figures import rates
from firstlight.evaluations.models import Run, Unit
from firstlight.evaluations.views import run_facts
from firstlight.forecasts.models import Forecast
from firstlight.forecasts.views import forecast_facts
from firstlight.pages.page import render_page
from firstlight.registry.models import Checkpoint
from firstlight.teams.access import User, teams_of, visible, why_read_only, writable_teams

SHOWN = 6


def home(request: HttpRequest) -> HttpResponse:
    """Running now, what needs a look, the newest forecasts, and the next step."""
    runs = visible(Run, request.user).select_related("checkpoint__series", "task", "created_by")
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
        "running": [run_facts(run) | speed[run.pk] for run in running],
        "troubled": [run_facts(run) | {"quarantined": run.quarantined} for run in troubled],
        "forecasts": [forecast_facts(forecast) for forecast in forecasts],
        "next_step": None if running or forecasts else next_step(request.user),
    }
    return render_page(request, "home/home.html", data, can_write=writable_teams(request.user).exists())


def next_step(user: User) -> dict[str, str] | None:
    """What to do where nothing is measured yet: a sentence, and the button that leads there."""
    if why := why_read_only(user):
        if not teams_of(user).exists():
            return _step(why, "Create a team", reverse("team-new"))
        return _step(why)
    if not visible(Checkpoint, user).exists():
        return _step(
            "Register the checkpoints of a series: name the folder that they lie in.",
            "Register checkpoints",
            reverse("checkpoints-register"),
        )
    if not visible(Run, user).exists():
        return _step(
            "Measure your checkpoints: choose them, and a task or a task file.", "New run", reverse("run-new")
        )
    return _step(
        "Plan a larger checkpoint in a series and forecast it before it is trained.",
        "Open the series",
        reverse("series-list"),
    )


def _step(text: str, action: str = "", url: str = "") -> dict[str, str]:
    return {"text": text, "action": action, "url": url}
