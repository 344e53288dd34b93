"""The page of one instance: what was measured of it over checkpoints, and who left it out, when and why."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from firstlight.evaluations.figures import unit_facts
from firstlight.evaluations.models import Likelihood, Run, Unit
from firstlight.pages.listing import keyset
from firstlight.pages.page import render_page
from firstlight.registry.instances import EXCLUDED, INCLUDED
from firstlight.registry.models import Instance
from firstlight.registry.task_views import instance_facts
from firstlight.teams.access import get_visible, history_of, may_write, visible

#: Column of a sort word; a smaller model first is how a law is read.
SORTS = {
    "size": "run__checkpoint__n_params",
    "newest": "-id",
    "draws": "draws",
    "passes": "passes",
}


def instance(request: HttpRequest, pk: int) -> HttpResponse:
    instance = get_visible(Instance, request.user, pk=pk)
    task = instance.task
    units = visible(Unit, request.user).filter(instance=instance, draws__gt=0)
    units = units.exclude(run__state=Run.State.CANCELLED).select_related(
        "instance", "run__checkpoint__series", "run__checkpoint__configuration"
    )
    page = keyset(request, units, SORTS, default="size")
    likelihoods = Likelihood.objects.filter(
        instance=instance, checkpoint__in={unit.run.checkpoint_id for unit in page.rows}
    )
    known = {row.checkpoint_id: row for row in likelihoods}
    measured = [_measured(unit, known.get(unit.run.checkpoint_id)) for unit in page.rows]
    data: dict[str, Any] = {
        **instance_facts(instance),
        "task": str(task),
        "task_url": reverse("task", args=[task.pk]),
        "measured": measured,
        "bounds": any(row["bound"] is not None for row in measured),
        **page.facts(),
        "history": history_of(instance, task.team, (EXCLUDED, INCLUDED)),
    }
    return render_page(
        request,
        "evaluations/instance.html",
        data,
        chart=_chart(measured),
        i=instance_facts(instance),
        can_write=may_write(request.user, task.team),
    )


def _measured(unit: Unit, likelihood: Likelihood | None) -> dict[str, Any]:
    run, checkpoint = unit.run, unit.run.checkpoint
    return unit_facts(run.stopping_rule, unit, likelihood) | {
        "run": run.pk,
        "run_url": f"{reverse('run', args=[run.pk])}?sample={unit.pk}#samples",
        "run_state": run.state,
        "checkpoint": checkpoint.name,
        "checkpoint_url": reverse("checkpoint", args=[checkpoint.pk]),
        "series": checkpoint.series.name,
        "configuration": checkpoint.configuration.name,
        "n_params": checkpoint.n_params,
    }


def _chart(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """A line for each series, of the newest run of each checkpoint."""
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(measured, key=lambda row: row["run"]):
        newest[row["series"], row["checkpoint"]] = row
    lines: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(newest.values(), key=lambda row: row["n_params"]):
        point = {"mean": row["estimate"], "low": row["low"], "high": row["high"], "url": row["run_url"]}
        lines.setdefault(row["series"], []).append(
            point | {"n_params": row["n_params"], "name": row["checkpoint"]}
        )
    return {
        "kind": "series",
        "series": [{"name": name, "points": points} for name, points in lines.items()],
    }
