"""Runs whose rule allots draws to all units together, a round at a time, from the counts of all of them."""

import logging
from collections.abc import Iterable

import numpy as np
from django.db import transaction
from django.db.models import F

from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.models import Batch, Run, Unit
from passuntil.rules import Rounds, RunRule

log = logging.getLogger(__name__)


def stored_bits(unit: Unit) -> np.ndarray:
    """Every outcome of a unit in draw order, overshoot included: a boolean array of `unit.drawn` entries."""
    return outcomes([unit])[unit.pk]


def outcomes(units: Iterable[Unit]) -> dict[int, np.ndarray]:
    """unit id -> its outcomes in draw order, in one query."""
    parts: dict[int, list[np.ndarray]] = {unit.pk: [] for unit in units}
    batches = (
        Batch.objects.filter(unit__in=parts).only("unit_id", "bits", "draws").order_by("unit_id", "number")
    )
    for batch in batches.iterator():
        parts[batch.unit_id].append(batch.passed)
    return {pk: np.concatenate(bits) if bits else np.zeros(0, bool) for pk, bits in parts.items()}


def next_round(run: Run) -> bool:
    """Open the next round where the last one is complete, or end all units. True where either came about.

    What it allots is a function of the outcomes in the database, and the run's row is locked meanwhile: however
    many workers there are, a round is opened once, by whoever sees its last draw, and the same whoever that is.
    """
    rule = run.run_rule
    if rule is None:
        return False
    with transaction.atomic():
        if not Run.objects.select_for_update().filter(pk=run.pk, state__in=(*Run.OPEN, Run.State.PAUSED)):
            return False
        pending = run.units.filter(state=Unit.State.PENDING)
        if not pending.exists() or pending.filter(drawn__lt=F("allotted")).exists():
            return False
        units = list(pending.order_by("pk"))
        allocation = rule.allocate(rounds(rule, units), wave=rule.bounds[1])
        if allocation.done:
            done = pending.update(state=Unit.State.DONE, lease_until=None)
            Run.objects.filter(pk=run.pk).update(units_done=F("units_done") + done)
            return True
        for unit, draws in zip(units, allocation.draws.tolist(), strict=True):
            unit.allotted = (unit.allotted or 0) + draws
        Unit.objects.bulk_update(units, ["allotted"], batch_size=200)
        ring(run)
        log.info("run %s: round %s of %s draws", run.pk, allocation.round, int(allocation.draws.sum()))
    return True


def rounds(rule: RunRule, units: Iterable[Unit]) -> Rounds:
    """The outcomes of these units, cut into the rounds of their rule."""
    return rule.rounds_of(outcomes(units).values())
