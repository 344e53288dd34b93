"""Pages of one series and of one checkpoint: what is registered, beside what was measured of it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from firstlight.evaluations.figures import estimates, newest_by_checkpoint
from firstlight.evaluations.models import Run
from firstlight.evaluations.views import run_facts
from firstlight.pages.listing import keyset
from firstlight.pages.page import render_page
from firstlight.registry import endings
from firstlight.registry.models import Checkpoint, Series
from firstlight.teams.access import get_visible, may_write, visible

#: Runs in progress that a series shows.
SHOWN = 12


def series(request: HttpRequest, pk: int) -> HttpResponse:
    """The checkpoints of a series and the newest estimate of each on each task."""
    series = get_visible(Series, request.user, pk=pk)
    ours = visible(Run, request.user).filter(checkpoint__series=series)
    running = list(
        ours.filter(state__in=(*Run.OPEN, Run.State.PAUSED))
        .select_related("checkpoint__series", "task", "created_by")
        .order_by("id")[:SHOWN]
    )
    if request.headers.get("HX-Request") == "true" and not running:
        # the runs that the page watched have ended: what follows from them stands all over it
        return HttpResponse(headers={"HX-Refresh": "true"})
    archived = endings.wants_archived(request)
    every = visible(Checkpoint, request.user).filter(series=series, archived_at__isnull=not archived)
    rows = every.select_related("configuration")
    page = keyset(request, rows, {"size": "n_params", "newest": "-id", "name": "name"}, default="size")
    complete = visible(Run, request.user).filter(
        checkpoint__in=page.rows, state=Run.State.COMPLETE, left_out="", archived_at=None
    )
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
        for c in page.rows
        if any((c.pk, task.pk) in newest for task in tasks)
    ]
    data = {
        "id": series.pk,
        "name": series.name,
        "description": series.description,
        "scale_axis": series.get_scale_axis_display(),
        **endings.facts(series, "series"),
        **page.facts(),
        "checkpoints": [checkpoint_facts(c) for c in page.rows],
        "running": [run_facts(run) for run in running],
        "tasks": [
            {
                "id": task.pk,
                "name": str(task),
                "url": reverse("task", args=[task.pk]),
                "curve_url": f"{reverse('curve', args=[series.pk])}?task={task.pk}",
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
        team=series.team,
        archived=archived,
        measured_sizes=len({row["n_params"] for row in matrix}),
        **endings.choices(series),
        can_write=may_write(request.user, series.team),
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
        "digest_state": c.digest_state,
        "digest_read": c.digest_read,
        "digest_size": c.digest_size,
        "digest_error": c.digest_error,
        "source": c.source,
        "left_out": c.left_out,
        "archived_at": c.archived_at,
        "step": c.step,
        "seed": c.seed,
        "created_at": c.created_at,
    }


def checkpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Identity of a checkpoint and every run of it."""
    checkpoint = get_visible(Checkpoint, request.user, pk=pk)
    runs = visible(Run, request.user).filter(checkpoint=checkpoint).select_related("task")
    page = keyset(request, runs, {"newest": "-id"}, default="newest")
    values = estimates(page.rows)
    data = {
        **checkpoint_facts(checkpoint),
        **endings.facts(checkpoint, "checkpoint"),
        "series": checkpoint.series.name,
        "series_url": reverse("series", args=[checkpoint.series_id]),
        "location": checkpoint.location,
        "served_model": checkpoint.served_model,
        "tokenizer": checkpoint.tokenizer,
        "architecture": checkpoint.architecture,
        "context_length": checkpoint.context_length,
        **page.facts(),
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
            for run in page.rows
        ],
    }
    return render_page(
        request,
        "home/checkpoint.html",
        data,
        can_write=may_write(request.user, checkpoint.series.team),
        **endings.choices(checkpoint),
    )
