"""The page of new runs, with what they would cost."""

from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from firstlight.evaluations import actions
from firstlight.evaluations.cost import Cost, cost_of_all
from firstlight.evaluations.engine_workers import living
from firstlight.evaluations.forms import DEFAULTS, RunForm
from firstlight.evaluations.models import Run
from firstlight.files.errors import Refused
from firstlight.pages.forms import form_facts
from firstlight.pages.listing import whole_parameter, whole_parameters
from firstlight.pages.page import render_page
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import get_visible, require_some_team, visible


def run_new(request: HttpRequest) -> HttpResponse:
    """New runs, with their cost before the start. `?clone=RUN` fills in what another run had.

    `?checkpoint=` and `?task=` tick rows, each as often as one likes; `?find=` narrows what is offered to tick.
    """
    require_some_team(request.user)
    start: dict[str, Any] = dict(DEFAULTS)
    clone = whole_parameter(request, "clone")
    if clone is not None:
        start |= _settings_of(get_visible(Run, request.user, pk=clone))
    start |= {n: ids for n in ("checkpoint", "task") if (ids := whole_parameters(request, n))}
    find = request.GET.get("find", "")[:100]
    form = RunForm(request.user, request.POST or None, request.FILES or None, initial=start, find=find)
    planned: Cost | None = None
    only_cost = request.method == "POST" and request.POST.get("do") != "start"
    if form.is_valid():
        values = form.cleaned_data
        checkpoints, tasks, new = list(values["checkpoint"]), list(values["task"]), values["file"]
        if only_cost:
            planned = cost_of_all(checkpoints, tasks, values["rule"], new[1] if new else ())
        else:
            runs = form.attempt(
                lambda: actions.create_runs(
                    request.user,
                    checkpoints,
                    tasks,
                    new_task=new,
                    rule=values["rule"],
                    seed=values["seed"],
                    temperature=values["temperature"],
                    top_p=values["top_p"],
                    engine=values["engine"],
                    priority=int(values["priority"]),
                )
            )
            if runs:
                return _started(request, runs)
    elif not form.is_bound:
        planned = _cost_of(request, form, start)
    if only_cost and request.headers.get("HX-Request") == "true":
        return render(request, "evaluations/_cost.html", {"cost": planned, "form": form, "asked": True})
    data = form_facts(form) | {
        "cost": asdict(planned) if planned else None,
        "clone": clone,
        "workers": living(),
    }
    return render_page(
        request,
        "evaluations/run_new.html",
        data,
        form=form,
        cost=planned,
        find=find,
        kept=[(name, value) for name in ("checkpoint", "task") for value in start.get(name) or []],
        back=reverse("run-list"),
    )


def _started(request: HttpRequest, runs: list[Run]) -> HttpResponse:
    """One run has a page; several of a series are seen on the series' page."""
    if len(runs) == 1:
        return redirect("run", runs[0].pk)
    messages.success(request, f"{len(runs)} runs have been started.")
    series = {run.checkpoint.series_id for run in runs}
    return redirect("series", series.pop()) if len(series) == 1 else redirect("run-list")


def _settings_of(run: Run) -> dict[str, Any]:
    return {
        "checkpoint": [run.checkpoint_id],
        "task": [run.task_id],
        **run.rule,
        "engine": run.engine,
        "priority": run.priority,
        "temperature": run.temperature,
        "top_p": run.top_p,
        "seed": run.seed,
    }


def _cost_of(request: HttpRequest, form: RunForm, start: dict[str, Any]) -> Cost | None:
    """The cost of what is ticked when the page opens."""
    checkpoints = list(visible(Checkpoint, request.user).filter(pk__in=form["checkpoint"].value() or []))
    tasks = list(visible(Task, request.user).filter(pk__in=form["task"].value() or []))
    if not checkpoints or not tasks:
        return None
    try:
        return cost_of_all(checkpoints, tasks, actions.parse_rule(**start))
    except Refused:
        return None
