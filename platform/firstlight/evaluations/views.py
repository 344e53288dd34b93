"""Pages of runs: list, new, the live page, its buttons, the export."""

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from firstlight.evaluations import actions
from firstlight.evaluations.engine_workers import living
from firstlight.evaluations.figures import (
    accounts,
    counts_by_state,
    estimates,
    expected_draws_left,
    export_rows,
    grouped_errors,
    rates,
    rule_words,
    unit_facts,
)
from firstlight.evaluations.forms import DEFAULTS, Cost, RunForm, cost, rule_settings
from firstlight.evaluations.models import Batch, Run, Sample, Unit
from firstlight.evaluations.tallies import losses, precision_facts
from firstlight.files.errors import Refused
from firstlight.pages.forms import form_facts
from firstlight.pages.listing import keyset, whole_parameter
from firstlight.pages.page import attempt, render_page
from firstlight.registry.models import Checkpoint, Series, Task
from firstlight.teams.access import get_visible, may_write, require_some_team, visible, writable_teams
from passuntil import rule_from_dict
from passuntil.counts.tables import COLUMNS, TallyRow


def run_list(request: HttpRequest) -> HttpResponse:
    """Runs, the newest first; `?state=`, `?task=`, `?series=` narrow them."""
    rows = visible(Run, request.user).select_related("checkpoint__series", "task", "created_by")
    state = request.GET.get("state", "")
    if state == "open":
        rows = rows.filter(state__in=(*Run.OPEN, Run.State.PAUSED))
    elif state in Run.State.values:
        rows = rows.filter(state=state)
    chosen = {name: whole_parameter(request, name) for name in ("task", "series", "checkpoint")}
    paths = {"task": "task_id", "series": "checkpoint__series_id", "checkpoint": "checkpoint_id"}
    rows = rows.filter(**{paths[name]: value for name, value in chosen.items() if value is not None})
    found = keyset(request, rows, {"newest": "-id", "oldest": "id", "draws": "-draws"}, default="newest")
    speed = rates(found.rows)
    data = {
        **found.facts(),
        "filters": {"state": state, **chosen},
        "runs": [
            {
                "id": run.pk,
                "url": reverse("run", args=[run.pk]),
                "series": run.checkpoint.series.name,
                "checkpoint": run.checkpoint.name,
                "checkpoint_url": reverse("checkpoint", args=[run.checkpoint_id]),
                "task": str(run.task),
                "state": run.state,
                "reason": run.reason,
                "units_done": run.units_done,
                "units_total": run.units_total,
                "draws": run.draws,
                "passes": run.passes,
                **speed[run.pk],
                "by": run.created_by.get_username() if run.created_by else None,
                "created_at": run.created_at,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
            }
            for run in found.rows
        ],
    }
    return render_page(
        request,
        "evaluations/run_list.html",
        data,
        states=[("open", "Open"), *Run.State.choices],
        tasks=visible(Task, request.user).order_by("name", "-version")[:200],
        all_series=visible(Series, request.user).order_by("name")[:200],
        can_write=writable_teams(request.user).exists(),
    )


def run_new(request: HttpRequest) -> HttpResponse:
    """A new run, with its cost before the start. `?clone=RUN` fills in what another run had."""
    require_some_team(request.user)
    start: dict[str, Any] = dict(DEFAULTS)
    clone = whole_parameter(request, "clone")
    if clone is not None:
        start |= _settings_of(get_visible(Run, request.user, pk=clone))
    start |= {n: v for n in ("checkpoint", "task") if (v := whole_parameter(request, n)) is not None}
    form = RunForm(request.user, request.POST or None, initial=start)
    found: Cost | None = None
    only_cost = request.method == "POST" and request.POST.get("do") != "start"
    if form.is_valid():
        values = form.cleaned_data
        found = cost(values["checkpoint"], values["task"], values["rule"])
        if not only_cost:
            made = form.attempt(
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
            if made:
                return redirect("run", made.pk)
    elif not form.is_bound and start.get("checkpoint") and start.get("task"):
        found = _cost_of(request, start)
    if only_cost and request.headers.get("HX-Request") == "true":
        return render(request, "evaluations/_cost.html", {"cost": found, "form": form, "asked": True})
    data = form_facts(form) | {
        "cost": asdict(found) if found else None,
        "clone": clone,
        "workers": living(),
    }
    return render_page(
        request, "evaluations/run_new.html", data, form=form, cost=found, back=reverse("run-list")
    )


def _settings_of(run: Run) -> dict[str, Any]:
    return {
        "checkpoint": run.checkpoint_id,
        "task": run.task_id,
        **rule_settings(run.rule),
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


def _run(request: HttpRequest, pk: int) -> Run:
    rows = visible(Run, request.user).select_related("checkpoint__series__team", "task", "created_by")
    found = rows.filter(pk=pk).first()
    return found or get_visible(Run, request.user, pk=pk)


def live_facts(request: HttpRequest, it: Run) -> dict[str, Any]:
    """What moves while a run goes on."""
    states = counts_by_state(it)
    speed = rates([it])[it.pk]
    is_open = it.state in Run.OPEN
    rows = visible(Unit, request.user).filter(run=it).select_related("instance")
    shown = request.GET.get("units", "")
    if shown in Unit.State.values:
        rows = rows.filter(state=shown)
    found = keyset(
        request, rows, {"instance": "id", "draws": "-draws", "passes": "-passes"}, default="instance"
    )
    fingerprint = (
        Batch.objects.filter(unit__run=it).order_by("-id").values_list("fingerprint", flat=True).first()
        if it.drawn
        else None
    )
    left = expected_draws_left(it) if is_open else 0.0
    pace = speed["draws_per_second"]
    rule, known = rule_from_dict(it.rule), losses(it)
    return {
        "id": it.pk,
        "state": it.state,
        "reason": it.reason,
        "units_total": it.units_total,
        "units_done": it.units_done,
        "units_by_state": states,
        "share_done": it.units_done / it.units_total if it.units_total else 0.0,
        "draws": it.draws,
        "passes": it.passes,
        **accounts(it),
        "precision": precision_facts(it) if it.drawn else None,
        "stale_batches_refused": it.dropped,
        **speed,
        "eta_seconds": left / pace if is_open and pace else None,
        "expected_draws_left": left if is_open else None,
        "estimate": estimates([it]).get(it.pk),
        "fingerprint": fingerprint,
        "errors": grouped_errors(it),
        "created_at": it.created_at,
        "started_at": it.started_at,
        "finished_at": it.finished_at,
        "units_shown": shown,
        **found.facts(),
        "units": [unit_facts(rule, unit, known.get(unit.instance_id)) for unit in found.rows],
        "bounds": bool(known),
    }


def _live_context(request: HttpRequest, it: Run) -> dict[str, Any]:
    return {
        "run": it,
        "is_open": it.state in Run.OPEN,
        "can_write": may_write(request.user, it.checkpoint.series.team),
        "unit_states": Unit.State.choices,
        "verdicts": [("pass", "Passes"), ("fail", "Failures")],
        "page_path": reverse("run", args=[it.pk]),
        "can_pause": it.state in Run.OPEN,
        "can_resume": it.state == Run.State.PAUSED,
        "can_cancel": it.state in (*Run.OPEN, Run.State.PAUSED),
    }


def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The live page of a run: progress, estimate, units, errors, samples."""
    it = _run(request, pk)
    data = {
        "title": f"Run {it.pk}",
        "series": it.checkpoint.series.name,
        "series_url": reverse("series", args=[it.checkpoint.series_id]),
        "checkpoint": it.checkpoint.name,
        "checkpoint_url": reverse("checkpoint", args=[it.checkpoint_id]),
        "n_params": it.checkpoint.n_params,
        "task": str(it.task),
        "task_url": reverse("task", args=[it.task_id]),
        "curve_url": f"{reverse('curve', args=[it.checkpoint.series_id])}?task={it.task_id}",
        "rule": it.rule,
        "rule_words": rule_words(it.rule),
        "temperature": it.temperature,
        "top_p": it.top_p,
        "seed": it.seed,
        "engine": it.engine,
        "by": it.created_by.get_username() if it.created_by else None,
        **live_facts(request, it),
        "samples": _samples(request, it),
    }
    return render_page(request, "evaluations/run.html", data, **_live_context(request, it))


@login_not_required
@require_safe
def run_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of the run page. Once the run ended it carries no trigger, so the page stops asking."""
    if (
        not request.user.is_authenticated
    ):  # the session ended while the page was open: send the page, not the fragment
        answer = HttpResponse(status=401)
        answer["HX-Redirect"] = f"{reverse('login')}?next={reverse('run', args=[pk])}"
        return answer
    it = _run(request, pk)
    return render(request, "evaluations/_live.html", live_facts(request, it) | _live_context(request, it))


def _samples(request: HttpRequest, it: Run) -> dict[str, Any] | None:
    """The kept texts of one unit: `?sample=UNIT`, else the first unit that has any."""
    kept = visible(Sample, request.user).filter(unit__run=it).select_related("unit__instance")
    asked = whole_parameter(request, "sample")
    verdict = request.GET.get("verdict", "")
    if asked is None:
        first = kept.order_by("-passed", "unit_id").values_list("unit_id", flat=True).first()
        if first is None:
            return None
        asked = first
    rows = kept.filter(unit_id=asked)
    if verdict in ("pass", "fail"):
        rows = rows.filter(passed=verdict == "pass")
    found = list(rows.order_by("draw")[:50])
    unit = (
        found[0].unit
        if found
        else visible(Unit, request.user).filter(run=it, pk=asked).select_related("instance").first()
    )
    if unit is None:
        return None
    instance = unit.instance
    return {
        "unit": unit.pk,
        "instance": instance.key,
        "prompt": instance.prompt,
        "answer": instance.answer,
        "grader": instance.grader,
        "verdict": verdict,
        "kept": Sample.KEPT,
        "samples": [{"draw": s.draw, "text": s.text, "passed": s.passed} for s in found],
    }


def _button(request: HttpRequest, pk: int, action: Callable[[Any, Run], Run], done: str) -> HttpResponse:
    it = get_visible(Run, request.user, pk=pk)
    return attempt(request, lambda: action(request.user, it), reverse("run", args=[pk]), done=done)


def run_pause(request: HttpRequest, pk: int) -> HttpResponse:
    return _button(
        request,
        pk,
        actions.pause_run,
        "The run is paused. Its draws are kept; you can resume it at any time.",
    )


def run_resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _button(request, pk, actions.resume_run, "The run goes on where it stopped.")


def run_cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """Cancelling is final, so the person says so first."""
    get_visible(Run, request.user, pk=pk)
    if request.POST.get("sure") != "yes":
        messages.error(request, "Cancelling is final: tick the box to confirm it, or pause the run instead.")
        return redirect("run", pk)
    return _button(request, pk, actions.cancel_run, "The run is cancelled. Its draws stay on record.")


def run_retry(request: HttpRequest, pk: int) -> HttpResponse:
    return _button(request, pk, actions.retry_failed, "The quarantined instances are tried again.")


@require_safe
def run_csv(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The units as TALLIES.csv, for `firstlight forecast` or a spreadsheet."""
    it = _run(request, pk)
    answer = StreamingHttpResponse(_csv_lines(export_rows(it)), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{it.pk}-tallies.csv"'
    return answer


class _Echo:
    def write(self, text: str) -> str:
        return text


def _csv_lines(rows: Iterable[TallyRow]) -> Iterator[str]:
    writer = csv.writer(_Echo())
    yield writer.writerow(COLUMNS)
    for row in rows:
        t = row.tally
        values = (
            guarded(row.model),
            row.n_params,
            row.tokens,
            guarded(row.instance),
            t.draws,
            t.passes,
            t.stopped_at,
            t.r,
            t.floor,
            t.cap,
            row.nll,
        )
        yield writer.writerow(["" if value is None else _plain(value) for value in values])


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def guarded(text: str) -> str:
    """A spreadsheet would run a cell that begins with these as a formula: a leading quote keeps it text."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
