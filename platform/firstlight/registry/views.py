"""Pages of series, checkpoints and training configurations; those of tasks stand in `task_views`."""

from typing import Any

from django.contrib import messages
from django.db.models import Count, Max, Min, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from firstlight.config.errors import Refused
from firstlight.config.pages import form_facts, keyset, render_page, require_some_team, writable_teams
from firstlight.evaluations.figures import estimates, newest_by_checkpoint, rule_words
from firstlight.evaluations.models import Run
from firstlight.registry import actions
from firstlight.registry.forms import (
    FolderForm,
    PlanForm,
    RegisterForm,
    SeriesForm,
)
from firstlight.registry.locations import known_folders
from firstlight.registry.model_folder import ModelFolder
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.access import get_visible, may_write, require_writer, visible


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
    found = keyset(request, rows, {"newest": "-id", "name": "name"}, default="newest")
    data = {
        **found.facts(),
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
            for s in found.rows
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
        made = form.attempt(lambda: actions.create_series(request.user, **values))
        if made:
            messages.success(request, f"Series {made} is there. Register its first checkpoint next.")
            return redirect("series", made.pk)
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


def series(request: HttpRequest, pk: int) -> HttpResponse:
    """The checkpoints of a series and the newest estimate of each on each task."""
    it = get_visible(Series, request.user, pk=pk)
    rows = visible(Checkpoint, request.user).filter(series=it).select_related("configuration")
    found = keyset(request, rows, {"size": "n_params", "newest": "-id", "name": "name"}, default="size")
    complete = visible(Run, request.user).filter(checkpoint__in=found.rows, state=Run.State.COMPLETE)
    newest = newest_by_checkpoint(complete.select_related("task"))
    values = estimates(newest.values())
    tasks = sorted({run.task for run in newest.values()}, key=lambda task: (task.name, -task.version))
    matrix = [
        {
            "checkpoint": c.name,
            "n_params": c.n_params,
            "url": reverse("checkpoint", args=[c.pk]),
            "cells": [_cell(newest.get((c.pk, task.pk)), values) for task in tasks],
        }
        for c in found.rows
        if any((c.pk, task.pk) in newest for task in tasks)
    ]
    data = {
        "id": it.pk,
        "name": it.name,
        "description": it.description,
        "scale_axis": it.get_scale_axis_display(),
        **found.facts(),
        "checkpoints": [checkpoint_facts(c) for c in found.rows],
        "tasks": [
            {
                "id": task.pk,
                "name": str(task),
                "url": reverse("task", args=[task.pk]),
                "curve_url": f"{reverse('curve', args=[it.pk])}?task={task.pk}",
            }
            for task in tasks
        ],
        "estimates": matrix,
    }
    chart = {
        "kind": "series",
        "series": [
            {
                "name": str(task),
                "points": [
                    row["cells"][i] | {"n_params": row["n_params"], "name": row["checkpoint"]}
                    for row in matrix
                    if row["cells"][i]
                ],
            }
            for i, task in enumerate(tasks)
        ],
    }
    return render_page(
        request,
        "registry/series.html",
        data,
        chart=chart,
        team=it.team,
        can_write=may_write(request.user, it.team),
    )


def _cell(run: Run | None, values: dict[int, dict[str, Any]]) -> dict[str, Any] | None:
    if run is None or run.pk not in values:
        return None
    value = values[run.pk]
    return {
        "run": run.pk,
        "url": reverse("run", args=[run.pk]),
        "mean": value["mean"],
        "low": value["low"],
        "high": value["high"],
        "level": value["level"],
        "draws": run.draws,
        "instances": value["instances"],
    }


def checkpoint_facts(c: Checkpoint) -> dict[str, Any]:
    return {
        "id": c.pk,
        "url": reverse("checkpoint", args=[c.pk]),
        "name": c.name,
        "planned": c.planned,
        "n_params": c.n_params,
        "tokens": c.tokens,
        "flops": 6 * c.n_params * c.tokens if c.tokens else None,
        "configuration": c.configuration.name,
        "configuration_url": reverse("configuration", args=[c.configuration_id]),
        "dtype": c.dtype,
        "digest": c.digest,
        "step": c.step,
        "seed": c.seed,
        "created_at": c.created_at,
    }


def checkpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Identity of a checkpoint and every run of it."""
    it = get_visible(Checkpoint, request.user, pk=pk)
    runs = visible(Run, request.user).filter(checkpoint=it).select_related("task")
    found = keyset(request, runs, {"newest": "-id"}, default="newest")
    values = estimates(found.rows)
    data = {
        **checkpoint_facts(it),
        "series": it.series.name,
        "series_url": reverse("series", args=[it.series_id]),
        "location": it.location,
        "served_model": it.served_model,
        "tokenizer": it.tokenizer,
        "architecture": it.architecture,
        "context_length": it.context_length,
        **found.facts(),
        "runs": [
            {
                "id": run.pk,
                "url": reverse("run", args=[run.pk]),
                "task": run.task.name,
                "task_version": run.task.version,
                "task_url": reverse("task", args=[run.task_id]),
                "state": run.state,
                "rule": rule_words(run.rule),
                "temperature": run.temperature,
                "top_p": run.top_p,
                "seed": run.seed,
                "instances": run.units_total,
                "draws": run.draws,
                "estimate": values.get(run.pk),
                "created_at": run.created_at,
            }
            for run in found.rows
        ],
    }
    return render_page(
        request, "registry/checkpoint.html", data, can_write=may_write(request.user, it.series.team)
    )


def checkpoint_register(request: HttpRequest, pk: int) -> HttpResponse:
    """Read a folder, look at what it holds, save. Two steps, with or without JavaScript."""
    it = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, it.team)
    form = RegisterForm(request.user, it, request.POST or None)
    folder: ModelFolder | None = None
    if request.method == "POST" and request.POST.get("do") != "save":
        form, folder = _read_folder(request, RegisterForm(request.user, it, initial=request.POST.dict()))
        if request.headers.get("HX-Request") == "true":
            return render(request, "registry/_folder.html", _folder_context(form, folder))
    elif form.is_valid():
        values = dict(form.cleaned_data)
        if not values["expected_digest"]:
            form, folder = _read_folder(request, form)
            if folder:
                form.add_error(None, "Look at what the folder holds, then save.")
        else:
            made = form.attempt(lambda: actions.register_checkpoint(request.user, it, **values))
            if made:
                messages.success(request, f"{made} is registered with N = {made.n_params:,}.")
                return redirect("checkpoint", made.pk)
    return render_page(
        request,
        "registry/register.html",
        form_facts(form),
        form=form,
        series=it,
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
    it = get_visible(Series, request.user, pk=pk)
    require_writer(request.user, it.team)
    form = PlanForm(request.user, it, request.POST or None)
    if form.is_valid():
        values = form.cleaned_data
        made = form.attempt(lambda: actions.plan_checkpoint(request.user, it, **values))
        if made:
            messages.success(request, f"{made} is planned. Forecast a task at it, then lock the forecast.")
            return redirect("checkpoint", made.pk)
    return render_page(
        request,
        "registry/form.html",
        form_facts(form),
        form=form,
        title=f"Plan a checkpoint of {it}",
        lead="A model to come: it has N and no weights, and forecasts aim at it.",
        save="Plan checkpoint",
        back=reverse("series", args=[it.pk]),
    )


def checkpoint_attach(request: HttpRequest, pk: int) -> HttpResponse:
    it = get_visible(Checkpoint, request.user, pk=pk)
    require_writer(request.user, it.series.team)
    form = FolderForm(request.POST or None)
    if form.is_valid():
        location = form.cleaned_data["location"]
        if form.attempt(lambda: actions.attach_weights(request.user, it, location=location)):
            messages.success(request, f"{it} has its weights. Measure it, and its forecasts are scored.")
            return redirect("checkpoint", it.pk)
    return render_page(
        request,
        "registry/form.html",
        form_facts(form),
        form=form,
        title=f"Attach weights to {it}",
        lead=f"The folder's N must be the planned one, {it.n_params:,}.",
        save="Attach weights",
        back=reverse("checkpoint", args=[it.pk]),
        folders=list(known_folders()),
    )
