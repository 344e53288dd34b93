"""Pages of runs: list, new, the live page, its buttons, the export."""

import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from firstlight.evaluations import actions
from firstlight.evaluations.figures import (
    accounts,
    counts_by_state,
    estimates,
    expected_draws_left,
    export_rows,
    grouped_errors,
    rates,
    unit_facts,
)
from firstlight.evaluations.health import why_it_waits
from firstlight.evaluations.models import Batch, Run, Sample, Unit
from firstlight.evaluations.tallies import losses, precision_facts
from firstlight.pages.exports import safe_cell
from firstlight.pages.listing import keyset, whole_parameter
from firstlight.pages.page import attempt, render_page
from firstlight.registry import endings
from firstlight.registry.models import Series, Task
from firstlight.teams.access import get_visible, may_write, visible, writable_teams
from passuntil import write_tallies


def run_list(request: HttpRequest) -> HttpResponse:
    """Runs, the newest first; `?state=`, `?task=`, `?series=` narrow them."""
    archived = endings.wants_archived(request)
    rows = endings.current(visible(Run, request.user), archived=archived)
    rows = rows.select_related("checkpoint__series", "task", "created_by")
    state = request.GET.get("state", "")
    if state == "open":
        rows = rows.filter(state__in=(*Run.OPEN, Run.State.PAUSED))
    elif state in Run.State.values:
        rows = rows.filter(state=state)
    chosen = {name: whole_parameter(request, name) for name in ("task", "series", "checkpoint")}
    paths = {"task": "task_id", "series": "checkpoint__series_id", "checkpoint": "checkpoint_id"}
    rows = rows.filter(**{paths[name]: value for name, value in chosen.items() if value is not None})
    listing = keyset(request, rows, {"newest": "-id", "oldest": "id", "draws": "-draws"}, default="newest")
    speed = rates(listing.rows)
    data = {
        **listing.facts(),
        "filters": {"state": state, **chosen},
        "archived": archived,
        "runs": [run_facts(run) | speed[run.pk] for run in listing.rows],
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


def run_facts(run: Run) -> dict[str, Any]:
    """A run in a list."""
    return {
        "id": run.pk,
        "url": reverse("run", args=[run.pk]),
        "name": run.name,
        "series": run.checkpoint.series.name,
        "checkpoint": run.checkpoint.name,
        "checkpoint_url": reverse("checkpoint", args=[run.checkpoint_id]),
        "task": str(run.task),
        "state": run.state,
        "reason": run.reason,
        "priority": run.get_priority_display().lower(),
        "units_done": run.units_done,
        "units_total": run.units_total,
        "draws": run.draws,
        "passes": run.passes,
        "by": run.created_by.get_username() if run.created_by else None,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "archived_at": run.archived_at,
        "left_out": run.left_out,
    }


def _run(request: HttpRequest, pk: int) -> Run:
    rows = visible(Run, request.user).select_related("checkpoint__series__team", "task", "created_by")
    run = rows.filter(pk=pk).first()
    return run or get_visible(Run, request.user, pk=pk)


def live_facts(request: HttpRequest, run: Run) -> dict[str, Any]:
    """What moves while a run goes on."""
    states = counts_by_state(run)
    speed = rates([run])[run.pk]
    is_open = run.state in Run.OPEN
    rows = visible(Unit, request.user).filter(run=run).select_related("instance")
    shown = request.GET.get("units", "")
    if shown in Unit.State.values:
        rows = rows.filter(state=shown)
    listing = keyset(
        request, rows, {"instance": "id", "draws": "-draws", "passes": "-passes"}, default="instance"
    )
    fingerprint = (
        Batch.objects.filter(unit__run=run).order_by("-id").values_list("fingerprint", flat=True).first()
        if run.drawn
        else None
    )
    left = expected_draws_left(run) if is_open else 0.0
    pace = speed["draws_per_second"]
    rule, known = run.stopping_rule, losses(run)
    return {
        "id": run.pk,
        "state": run.state,
        "reason": run.reason,
        "waits": why_it_waits(run),
        "priority": run.get_priority_display().lower(),
        "units_total": run.units_total,
        "units_done": run.units_done,
        "units_by_state": states,
        "share_done": run.units_done / run.units_total if run.units_total else 0.0,
        "draws": run.draws,
        "passes": run.passes,
        **accounts(run),
        "precision": precision_facts(run) if run.drawn else None,
        "stale_batches_refused": run.dropped,
        **speed,
        "eta_seconds": left / pace if is_open and pace else None,
        "expected_draws_left": left if is_open else None,
        "estimate": estimates([run]).get(run.pk),
        "fingerprint": fingerprint,
        "errors": grouped_errors(run),
        "created_at": run.created_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "units_shown": shown,
        **listing.facts(),
        "units": [unit_facts(rule, unit, known.get(unit.instance_id)) for unit in listing.rows],
        "bounds": bool(known),
    }


def _live_context(request: HttpRequest, run: Run) -> dict[str, Any]:
    return {
        "run": run,
        "is_open": run.state in Run.OPEN,
        "can_write": may_write(request.user, run.checkpoint.series.team),
        "unit_states": Unit.State.choices,
        "verdicts": [("pass", "Passes"), ("fail", "Failures")],
        "page_path": reverse("run", args=[run.pk]),
        "can_pause": run.state in Run.OPEN,
        "can_resume": run.state == Run.State.PAUSED,
        "can_cancel": run.state in (*Run.OPEN, Run.State.PAUSED),
        "priorities": Run.Priority.labels,
    }


def run(request: HttpRequest, pk: int) -> HttpResponse:
    """The live page of a run: progress, estimate, units, errors, samples."""
    run = _run(request, pk)
    data = {
        "title": f"Run {run.pk}",
        "name": run.name,
        **endings.facts(run, "run"),
        "digest_state": run.checkpoint.digest_state,
        "digest_read": run.checkpoint.digest_read,
        "digest_size": run.checkpoint.digest_size,
        "series": run.checkpoint.series.name,
        "series_url": reverse("series", args=[run.checkpoint.series_id]),
        "checkpoint": run.checkpoint.name,
        "checkpoint_url": reverse("checkpoint", args=[run.checkpoint_id]),
        "n_params": run.checkpoint.n_params,
        "task": str(run.task),
        "task_url": reverse("task", args=[run.task_id]),
        "curve_url": f"{reverse('curve', args=[run.checkpoint.series_id])}?task={run.task_id}",
        "rule": run.rule,
        "rule_words": run.stopping_rule.words(),
        "temperature": run.temperature,
        "top_p": run.top_p,
        "seed": run.seed,
        "engine": run.engine,
        "by": run.created_by.get_username() if run.created_by else None,
        **live_facts(request, run),
        "samples": _samples(request, run),
    }
    context = _live_context(request, run) | endings.choices(run)
    return render_page(request, "evaluations/run.html", data, **context)


@login_not_required
@require_safe
def run_live(request: HttpRequest, pk: int) -> HttpResponse:
    """The moving part of the run page. Once the run ended it carries no trigger, so the page stops asking."""
    # the session ended while the page was open: send the page, not the fragment
    if not request.user.is_authenticated:
        answer = HttpResponse(status=401)
        answer["HX-Redirect"] = f"{reverse('login')}?next={reverse('run', args=[pk])}"
        return answer
    run = _run(request, pk)
    return render(request, "evaluations/_live.html", live_facts(request, run) | _live_context(request, run))


def _samples(request: HttpRequest, run: Run) -> dict[str, Any] | None:
    """The kept texts of one unit: `?sample=UNIT`, else the first unit that has any."""
    kept = visible(Sample, request.user).filter(unit__run=run).select_related("unit__instance")
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
    samples = list(rows.order_by("draw")[:50])
    unit = (
        samples[0].unit
        if samples
        else visible(Unit, request.user).filter(run=run, pk=asked).select_related("instance").first()
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
        "samples": [{"draw": s.draw, "text": s.text, "passed": s.passed} for s in samples],
    }


def _button(request: HttpRequest, pk: int, action: Callable[[Any, Run], Run], done: str) -> HttpResponse:
    run = get_visible(Run, request.user, pk=pk)
    return attempt(request, lambda: action(request.user, run), reverse("run", args=[pk]), done=done)


def run_pause(request: HttpRequest, pk: int) -> HttpResponse:
    return _button(
        request,
        pk,
        actions.pause_run,
        "The run is paused. Its draws are kept; you can resume it at any time.",
    )


def run_resume(request: HttpRequest, pk: int) -> HttpResponse:
    return _button(request, pk, actions.resume_run, "The run goes on where it stopped.")


def run_priority(request: HttpRequest, pk: int) -> HttpResponse:
    """`priority` by its name."""
    name = request.POST.get("priority", "")
    return _button(
        request,
        pk,
        lambda user, run: actions.set_priority(user, run, actions.priority_of(name)),
        f"The priority is {name.lower()} now.",
    )


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
def run_csv(request: HttpRequest, pk: int) -> HttpResponse:
    """The units as TALLIES.csv, for `firstlight forecast` or a spreadsheet."""
    run = _run(request, pk)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="run-{run.pk}-tallies.csv"'
    rows = export_rows(run)
    text = io.StringIO()
    write_tallies(text, [replace(r, model=safe_cell(r.model), instance=safe_cell(r.instance)) for r in rows])
    answer.write(text.getvalue())
    return answer
