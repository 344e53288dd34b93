"""The list of series, and the forms of series and checkpoints; what was measured of one is shown by `home`."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Min, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset
from firstlight.pages.page import render_page
from firstlight.registry import actions, endings
from firstlight.registry.forms import (
    FolderForm,
    PlanForm,
    SeriesForm,
)
from firstlight.registry.locations import known_folders
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.access import (
    get_visible,
    require_some_team,
    require_writer,
    visible,
    writable_teams,
)


def series_list(request: HttpRequest) -> HttpResponse:
    """All series with their sizes."""
    archived = endings.wants_archived(request)
    rows = with_sizes(endings.current(visible(Series, request.user), archived=archived))
    page = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **page.facts(),
        "archived": endings.wants_archived(request),
        "series": [series_facts(s) for s in page.rows],
    }
    return render_page(
        request, "registry/series_list.html", data, can_write=writable_teams(request.user).exists()
    )


def with_sizes(rows: QuerySet[Series]) -> QuerySet[Series]:
    """Series with what `series_facts` says of their checkpoints."""
    return rows.select_related("team").annotate(
        checkpoint_count=Count("checkpoints"),
        planned_count=Count("checkpoints", filter=Q(checkpoints__planned=True)),
        smallest=Min("checkpoints__n_params"),
        largest=Max("checkpoints__n_params"),
        newest=Max("checkpoints__created_at"),
    )


def series_facts(s: Any) -> dict[str, Any]:
    return {
        "id": s.pk,
        "url": reverse("series", args=[s.pk]),
        "name": s.name,
        "team": s.team.name,
        "checkpoints": s.checkpoint_count,
        "planned": s.planned_count,
        "smallest": s.smallest,
        "largest": s.largest,
        "newest_checkpoint_at": s.newest,
        "archived_at": s.archived_at,
    }


def series_new(request: HttpRequest) -> HttpResponse:
    require_some_team(request.user)
    form = SeriesForm(request.user, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        created = form.attempt(lambda: actions.create_series(request.user, **values))
        if created:
            messages.success(
                request, f"Series {created} has been created. Register its first checkpoint next."
            )
            return redirect("series", created.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title="New series",
        save="Create series",
        lead="Models that differ in size only (or in tokens).",
        back=reverse("series-list"),
    )


def checkpoint_plan(request: HttpRequest, pk: int) -> HttpResponse:
    series = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, series.team)
    form = PlanForm(request.user, series, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        checkpoint = form.attempt(lambda: actions.plan_checkpoint(request.user, series, **values))
        if checkpoint:
            messages.success(
                request, f"{checkpoint} is planned. Forecast a task for it, then lock the forecast."
            )
            return redirect("checkpoint", checkpoint.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title=f"Plan a checkpoint of {series}",
        lead="A model to come. It has a size N but no weights yet, and tasks can be forecast for it.",
        save="Plan checkpoint",
        back=reverse("series", args=[series.pk]),
    )


def checkpoint_attach(request: HttpRequest, pk: int) -> HttpResponse:
    checkpoint = get_visible(Checkpoint, request.user, pk=pk)
    require_writer(request.user, checkpoint.series.team)
    form = FolderForm(request.POST or None)
    if form.is_valid():
        location = form.cleaned_data["location"]
        if form.attempt(lambda: actions.attach_weights(request.user, checkpoint, location=location)):
            messages.success(
                request, f"{checkpoint} has its weights now. Its forecasts are scored once it is measured."
            )
            return redirect("checkpoint", checkpoint.pk)
    return render_page(
        request,
        "parts/form.html",
        form_facts(form),
        form=form,
        title=f"Attach weights to {checkpoint}",
        lead=f"The model in the folder must have the planned size, N = {checkpoint.n_params:,}.",
        save="Attach weights",
        back=reverse("checkpoint", args=[checkpoint.pk]),
        folders=list(known_folders()),
    )
