"""The page of a new run, with what it would cost."""

from dataclasses import asdict
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from firstlight.evaluations import actions
from firstlight.evaluations.cost import Cost, cost
from firstlight.evaluations.engine_workers import living
from firstlight.evaluations.forms import DEFAULTS, RunForm
from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.pages.forms import form_facts
from firstlight.pages.listing import whole_parameter
from firstlight.pages.page import render_page
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import get_visible, require_some_team, visible


def run_new(request: HttpRequest) -> HttpResponse:
    """A new run, with its cost before the start. `?clone=RUN` fills in what another run had."""
    require_some_team(request.user)
    start: dict[str, Any] = dict(DEFAULTS)
    clone = whole_parameter(request, "clone")
    if clone is not None:
        start |= _settings_of(get_visible(Run, request.user, pk=clone))
    start |= {n: v for n in ("checkpoint", "task") if (v := whole_parameter(request, n)) is not None}
    form = RunForm(request.user, request.POST or None, initial=start)
    planned: Cost | None = None
    only_cost = request.method == "POST" and request.POST.get("do") != "start"
    if form.is_valid():
        values = form.cleaned_data
        planned = cost(values["checkpoint"], values["task"], values["rule"])
        if not only_cost:
            run = form.attempt(
                lambda: actions.create_run(
                    request.user,
                    values["checkpoint"],
                    values["task"],
                    rule=values["rule"],
                    seed=values["seed"],
                    temperature=values["temperature"],
                    top_p=values["top_p"],
                    engine=values["engine"],
                )
            )
            if run:
                return redirect("run", run.pk)
    elif not form.is_bound and start.get("checkpoint") and start.get("task"):
        planned = _cost_of(request, start)
    if only_cost and request.headers.get("HX-Request") == "true":
        return render(request, "evaluations/_cost.html", {"cost": planned, "form": form, "asked": True})
    data = form_facts(form) | {
        "cost": asdict(planned) if planned else None,
        "clone": clone,
        "workers": living(),
    }
    return render_page(
        request, "evaluations/run_new.html", data, form=form, cost=planned, back=reverse("run-list")
    )


def _settings_of(run: Run) -> dict[str, Any]:
    return {
        "checkpoint": run.checkpoint_id,
        "task": run.task_id,
        **run.rule,
        "engine": run.engine,
        "temperature": run.temperature,
        "top_p": run.top_p,
        "seed": run.seed,
    }


def _cost_of(request: HttpRequest, start: dict[str, Any]) -> Cost | None:
    checkpoint = visible(Checkpoint, request.user).filter(pk=start["checkpoint"]).first()
    task = visible(Task, request.user).filter(pk=start["task"]).first()
    if checkpoint is None or task is None:
        return None
    try:
        return cost(checkpoint, task, actions.parse_rule(**start))
    except Refused:
        return None
