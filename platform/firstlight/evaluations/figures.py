"""Figures that pages show of runs, read in a fixed number of queries however many rows there are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import numpy as np
from django.core.cache import cache
from django.db.models import Count, F, Max, Min, QuerySet, Sum
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from firstlight.evaluations.models import Batch, Likelihood, Run, Unit
from firstlight.evaluations.tallies import planned_estimate, rows_of
from passuntil import DatasetEstimate, PassUntilError, Tally, TallyRow, dataset_estimate
from passuntil.rules import InstanceRule, Rule

RECENT = timedelta(seconds=60)


def tallies(runs: Iterable[Run]) -> dict[int, dict[int, Tally]]:
    """run id -> instance id -> tally, in one query.

    Of a run that ended only finished units count. While it goes on every unit with a draw counts: the
    finished ones alone would be the easy ones, and their mean too high.
    """
    by_id = {run.pk: run for run in runs}
    cells: dict[int, dict[int, Tally]] = {pk: {} for pk in by_id}
    rows = Unit.objects.filter(run_id__in=by_id, draws__gt=0).exclude(state=Unit.State.QUARANTINED)
    for run_id, instance, state, draws, passes, stopped_at in rows.values_list(
        "run_id", "instance_id", "state", "draws", "passes", "stopped_at"
    ):
        if state == Unit.State.DONE or by_id[run_id].state not in Run.FINAL:
            cells[run_id][instance] = by_id[run_id].stopping_rule.tally(draws, passes, stopped_at)
    return cells


def estimates(runs: Iterable[Run], *, level: float = 0.95) -> dict[int, dict[str, Any]]:
    """run id -> mean pass probability with its interval, as plain values; runs without a draw are left out.

    What a run says changes with its draws only, so it is remembered.
    """
    runs = list({run.pk: run for run in runs}.values())
    keys = {
        run.pk: f"estimate:{run.pk}:{run.state}:{run.units_done}:{run.drawn}:{run.draws}:{run.passes}:{level}"
        for run in runs
    }
    known = cache.get_many(keys.values())
    answer = {pk: known[key] for pk, key in keys.items() if key in known}
    by_id = {run.pk: run for run in runs}
    fresh = tallies(run for run in runs if run.pk not in answer)
    for pk, cells in fresh.items():
        if not cells:
            continue
        plain = dataset_estimate(cells.values(), level=level)
        answer[pk] = estimate_facts(planned_estimate(by_id[pk], plain))
        cache.set(keys[pk], answer[pk], 3600)
    return answer


def estimate_facts(estimate: DatasetEstimate) -> dict[str, Any]:
    return asdict(estimate)


def rates(runs: Sequence[Run]) -> dict[int, dict[str, float | None]]:
    """run id -> draws and tokens a second: of the last minute while it runs, of its whole time after that."""
    answer: dict[int, dict[str, float | None]] = {}
    running = [run for run in runs if run.state == Run.State.RUNNING]
    recent = (
        {
            row["unit__run"]: row
            for row in Batch.objects.filter(unit__run__in=running, created_at__gte=Now() - RECENT)
            .values("unit__run")
            .annotate(
                draws=Sum("draws"), tokens=Sum("tokens"), first=Min("created_at"), last=Max("created_at")
            )
            .order_by()
        }
        if running
        else {}
    )
    for run in runs:
        draws, tokens, seconds = run.drawn, run.tokens, run.engine_seconds
        if run.started_at and run.finished_at:
            seconds = (run.finished_at - run.started_at).total_seconds()
        row = recent.get(run.pk)
        if run.state == Run.State.RUNNING:
            draws, tokens = (row["draws"], row["tokens"]) if row else (0, 0)
            since = max(run.started_at, timezone.now() - RECENT) if run.started_at else None
            seconds = (timezone.now() - since).total_seconds() if since else 0.0
        answer[run.pk] = {
            "draws_per_second": draws / seconds if seconds > 0 else None,
            "tokens_per_second": tokens / seconds if seconds > 0 else None,
        }
    return answer


def expected_draws_left(run: Run) -> float:
    """Draws that pending units should need, by their rule; where draws are allotted, what is left of the open round."""
    pending = run.units.filter(state=Unit.State.PENDING)
    rule = run.stopping_rule
    if not isinstance(rule, InstanceRule):
        return float(pending.aggregate(left=Sum(F("allotted") - F("drawn")))["left"] or 0)
    rows = list(pending.values_list("draws", "passes").annotate(units=Count("id")).order_by())
    if not rows:
        return 0.0
    draws, passes, units = np.array(rows).T
    return float(units @ rule.expected_left(draws, passes))


def unit_facts(rule: Rule, unit: Unit, likelihood: Likelihood | None) -> dict[str, Any]:
    """A row of the table of units; `unit.instance` is there already."""
    facts: dict[str, Any] = {
        "id": unit.pk,
        "instance": unit.instance.key,
        "instance_url": reverse("instance", args=[unit.instance_id]),
        "state": unit.state,
        "draws": unit.draws,
        "passes": unit.passes,
        "stopped_at": unit.stopped_at,
        "estimate": None,
        "low": None,
        "high": None,
        "nll": likelihood.nll if likelihood else None,
        "bound": math.exp(-likelihood.nll) if likelihood and likelihood.nll is not None else None,
        "error": unit.last_error,
    }
    if unit.draws:
        tally = rule.tally(unit.draws, unit.passes, unit.stopped_at)
        low, high = tally.interval(0.95)
        facts |= {"estimate": tally.estimate(), "low": low, "high": high}
    return facts


def accounts(run: Run) -> dict[str, Any]:
    """What a run cost: draws and tokens made, used and in vain, device time, and the rate beside the ceiling."""
    draws, tokens = run.drawn + run.given_up_draws, run.tokens + run.given_up_tokens
    seconds = run.engine_seconds
    # runs from before used tokens were counted have none of them
    used = run.tokens_used or None
    return {
        "drawn": draws,
        "overshoot": draws - run.draws,
        "overshoot_share": (draws - run.draws) / draws if draws else None,
        "tokens": tokens,
        "tokens_used": used,
        "tokens_overshot": tokens - used if used else None,
        "tokens_overshot_share": (tokens - used) / tokens if used else None,
        "engine_seconds": seconds,
        "device_tokens_per_second": tokens / seconds if seconds else None,
        "ceiling_tokens_per_second": run.ceiling_tokens / seconds if run.ceiling_tokens and seconds else None,
        "share_of_ceiling": tokens / run.ceiling_tokens if run.ceiling_tokens else None,
    }


def mean_over(cells: Sequence[Tally], *, level: float) -> dict[str, Any] | None:
    """Mean of these tallies with its interval, or None where there are none."""
    try:
        return estimate_facts(dataset_estimate(cells, level=level))
    except PassUntilError:
        return None


def counting(runs: QuerySet[Run]) -> QuerySet[Run]:
    """Runs that fits use: neither they nor their checkpoints, configurations or tasks are left out."""
    paths = ("left_out", "checkpoint__left_out", "checkpoint__configuration__left_out", "task__left_out")
    return runs.filter(**dict.fromkeys(paths, ""))


def why_left_out(run: Run) -> str:
    """The reason why fits leave a run out, or ""."""
    checkpoint = run.checkpoint
    return run.left_out or checkpoint.left_out or checkpoint.configuration.left_out or run.task.left_out


def newest_by_checkpoint(runs: Iterable[Run]) -> dict[tuple[int, int], Run]:
    """(checkpoint id, task id) -> its newest run of these."""
    newest: dict[tuple[int, int], Run] = {}
    for run in sorted(runs, key=lambda run: run.pk):
        newest[run.checkpoint_id, run.task_id] = run
    return newest


def export_rows(run: Run) -> list[TallyRow]:
    """Rows of TALLIES.csv for every unit with a draw, in the order of the task, which they name."""
    units = run.units.filter(draws__gt=0).select_related("instance").order_by("instance__position")
    return [replace(row, task=str(run.task)) for row in rows_of(run, units)]


def grouped_errors(run: Run) -> list[dict[str, Any]]:
    """Reasons with the number of units that give them, the most frequent first."""
    rows = (
        run.units.exclude(last_error="")
        .values("last_error", "state")
        .annotate(units=Count("id"), example=Min("instance__key"))
        .order_by("-units", "last_error")
    )
    return [
        {"reason": r["last_error"], "state": r["state"], "units": r["units"], "example": r["example"]}
        for r in rows[:20]
    ]


def counts_by_state(run: Run) -> dict[str, int]:
    counts = dict(run.units.values_list("state").annotate(Count("id")).order_by())
    return {state.value: counts.get(state.value, 0) for state in Unit.State}
