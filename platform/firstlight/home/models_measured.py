"""Pages of one series and of one checkpoint: what is registered, beside what was measured of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from firstlight.evaluations.figures import estimates, newest_by_checkpoint
from firstlight.evaluations.models import Run
from firstlight.pages.listing import keyset
from firstlight.pages.page import render_page
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.access import get_visible, may_write, visible


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
        "home/series.html",
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
                "rule": run.stopping_rule.words(),
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
        request, "home/checkpoint.html", data, can_write=may_write(request.user, it.series.team)
    )
