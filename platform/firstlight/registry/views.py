"""The list of series, and the forms of series and checkpoints; what was measured of one is shown by `home`."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from firstlight.files.errors import Refused
from firstlight.files.model_folder import ModelFolder
from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset
from firstlight.pages.page import render_page
from firstlight.registry import actions
from firstlight.registry.forms import (
    FolderForm,
    PlanForm,
    RegisterForm,
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
    rows = (
        visible(Series, request.user)
        .select_related("team")
        .annotate(
            checkpoint_count=Count("checkpoints"),
            planned_count=Count("checkpoints", filter=Q(checkpoints__planned=True)),
            smallest=Min("checkpoints__n_params"),
            largest=Max("checkpoints__n_params"),
            newest=Max("checkpoints__created_at"),
        )
    )
    page = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **page.facts(),
        "series": [
            {
                "id": s.pk,
                "url": reverse("series", args=[s.pk]),
                "name": s.name,
                "team": s.team.name,
                "checkpoints": s.checkpoint_count,
                "planned": s.planned_count,
                "smallest": s.smallest,
                "largest": s.largest,
                "newest_checkpoint_at": s.newest,
            }
            for s in page.rows
        ],
    }
    return render_page(
        request, "registry/series_list.html", data, can_write=writable_teams(request.user).exists()
    )


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
        "registry/form.html",
        form_facts(form),
        form=form,
        title="New series",
        save="Create series",
        lead="Models that differ in size only (or in tokens).",
        back=reverse("series-list"),
    )


def checkpoint_register(request: HttpRequest, pk: int) -> HttpResponse:
    """Read a folder, look at what it holds, save. Two steps, with or without JavaScript."""
    series = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, series.team)
    form = RegisterForm(request.user, series, request.POST or None)
    folder: ModelFolder | None = None
    if request.method == "POST" and request.POST.get("do") != "save":
        form, folder = _read_folder(request, RegisterForm(request.user, series, initial=request.POST.dict()))
        if request.headers.get("HX-Request") == "true":
            return render(request, "registry/_folder.html", _folder_context(form, folder))
    elif form.is_valid():
        values = dict(form.cleaned_data)
        if not values["expected_digest"]:
            form, folder = _read_folder(request, form)
            if folder:
                form.add_error(None, "Check what was found in the folder, then save.")
        else:
            checkpoint = form.attempt(lambda: actions.register_checkpoint(request.user, series, **values))
            if checkpoint:
                messages.success(request, f"{checkpoint} is registered with N = {checkpoint.n_params:,}.")
                return redirect("checkpoint", checkpoint.pk)
    return render_page(
        request,
        "registry/register.html",
        form_facts(form),
        form=form,
        title="Register a checkpoint",
        lead="Choose a folder, read it, check what was found, and save. "
        "Only safetensors files are read, and no code from the folder is run.",
        save="Save checkpoint",
        back=reverse("series", args=[series.pk]),
        series=series,
        folders=list(known_folders()),
        **_folder_context(form, folder),
    )


def _read_folder(request: HttpRequest, form: Any) -> tuple[Any, ModelFolder | None]:
    """What the posted folder holds; a refusal goes to the form, where it is bound, else beside the folder."""
    asked = FolderForm(request.POST)
    asked.is_valid()
    try:
        folder = actions.read_location(asked.cleaned_data.get("location", ""))
    except Refused as error:
        form.folder_error = str(error)
        return form, None
    return form, folder


def _folder_context(form: Any, folder: ModelFolder | None) -> dict[str, Any]:
    return {
        "folder": folder,
        "folder_error": getattr(form, "folder_error", ""),
        "digest_read": folder.digest
        if folder
        else (form.data.get("expected_digest", "") if form.is_bound else ""),
    }


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
        "registry/form.html",
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
        "registry/form.html",
        form_facts(form),
        form=form,
        title=f"Attach weights to {checkpoint}",
        lead=f"The model in the folder must have the planned size, N = {checkpoint.n_params:,}.",
        save="Attach weights",
        back=reverse("checkpoint", args=[checkpoint.pk]),
        folders=list(known_folders()),
    )
