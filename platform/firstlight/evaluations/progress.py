"""Where a run stands: its state follows from its units, and its counters must equal the sum of its batches."""

from dataclasses import dataclass

from django.db.models import Count, Sum
from django.db.models.functions import Now

from firstlight.evaluations.models import Batch, Run, Unit


def settle_state(run: Run) -> bool:
    """Move a run without pending units to its final state. True for the one caller that moved it."""
    counts = dict(run.units.values_list("state").annotate(Count("id")).order_by())
    if counts.get(Unit.State.PENDING):
        return False
    lost = counts.get(Unit.State.QUARANTINED, 0)
    reason = ""
    if not lost:
        state = Run.State.COMPLETE
    else:
        state = Run.State.PARTIAL if counts.get(Unit.State.DONE) else Run.State.FAILED
        first = run.units.filter(state=Unit.State.QUARANTINED).order_by("id").first()
        reason = f"{lost} of {run.units_total} units are quarantined; the first: {first.last_error if first else ''}"
    moved = Run.objects.filter(pk=run.pk, state__in=Run.OPEN).update(
        state=state, reason=reason[:500], finished_at=Now()
    )
    return bool(moved)


@dataclass(frozen=True)
class Discrepancy:
    """One place where a counter and its batches disagree."""

    subject: str
    expected: object
    counted: object


def reconcile(run: Run) -> list[Discrepancy]:
    """Check counters = sum of batches and that no batch number is missing. An empty list is good news."""
    wrong: list[Discrepancy] = []
    sums = {
        row["unit"]: row
        for row in Batch.objects.filter(unit__run=run)
        .values("unit")
        .annotate(n=Count("id"), drawn=Sum("draws"), tokens=Sum("tokens"), used=Sum("tokens_used"))
        .order_by()
    }
    totals = {"draws": 0, "drawn": 0, "passes": 0, "done": 0}
    for unit in run.units.all():
        row = sums.get(unit.pk, {"n": 0, "drawn": 0, "tokens": 0, "used": 0})
        if row["n"] != unit.next_batch:
            wrong.append(Discrepancy(f"batches of unit {unit.pk}", unit.next_batch, row["n"]))
        if row["drawn"] != unit.drawn:
            wrong.append(Discrepancy(f"draws made of unit {unit.pk}", unit.drawn, row["drawn"]))
        totals["draws"] += unit.draws
        totals["drawn"] += unit.drawn
        totals["passes"] += unit.passes
        totals["done"] += unit.state == Unit.State.DONE
    run.refresh_from_db()
    for name, counter in (
        ("draws", run.draws),
        ("drawn", run.drawn),
        ("passes", run.passes),
        ("done", run.units_done),
    ):
        if totals[name] != counter:
            wrong.append(Discrepancy(f"{name} of run {run.pk}", counter, totals[name]))
    for name, total, counter in (
        ("tokens", sum(row["tokens"] for row in sums.values()), run.tokens),
        ("tokens used", sum(row["used"] for row in sums.values()), run.tokens_used),
    ):
        if total != counter:
            wrong.append(Discrepancy(f"{name} of run {run.pk}", counter, total))
    return wrong
