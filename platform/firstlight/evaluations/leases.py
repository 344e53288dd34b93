"""Units under leases, batches under a fence: what keeps counts right when workers die, stall or answer twice.

A claim sets a lease in the database's own time and raises the unit's fence token, in one transaction. An append
locks the unit and requires that token and the next batch number; otherwise the work is dropped and counted as
dropped. No transaction is held while an engine draws or a grader judges.
"""

import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import numpy as np
from django.db import connection, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from firstlight.evaluations.models import Batch, Run, Sample, Unit
from firstlight.evaluations.progress import settle_state
from passuntil import rule_from_dict

log = logging.getLogger(__name__)
LEASE = timedelta(seconds=60)
HEARTBEAT_SECONDS = 15
MAX_ATTEMPTS = 5


@dataclass(frozen=True)
class Claim:
    """A unit that this worker may draw for, with the counts to go on from."""

    unit: int
    instance: int
    token: int
    next_batch: int
    drawn: int
    passes: int


@dataclass(frozen=True)
class NewBatch:
    """What one engine call drew for a claimed unit. `passed` holds the outcomes in draw order."""

    claim: Claim
    passed: Sequence[bool]
    seed: int
    fingerprint: str
    tokens: int
    seconds: float
    samples: list[tuple[int, str, bool]] = field(default_factory=list)


def claim_units(run_id: int, worker: str, limit: int) -> list[Claim]:
    """Lease up to `limit` due units of an open run to `worker`; an empty list where nothing is due."""
    with transaction.atomic():
        run = Run.objects.filter(pk=run_id, state__in=Run.OPEN).first()
        if run is None:
            return []
        lock = {"skip_locked": True} if connection.features.has_select_for_update_skip_locked else {}
        units = list(due_units(run_id).select_for_update(**lock).order_by("id")[:limit])
        exhausted = [unit for unit in units if unit.attempts >= MAX_ATTEMPTS]
        for unit in exhausted:
            _quarantine(unit, unit.last_error or f"{MAX_ATTEMPTS} workers in a row died with it")
        units = [unit for unit in units if unit not in exhausted]
        Unit.objects.filter(pk__in=[unit.pk for unit in units]).update(
            token=F("token") + 1,
            attempts=F("attempts") + 1,
            worker=worker,
            lease_until=Now() + LEASE,
            not_before=None,
        )
        if run.state == Run.State.QUEUED:
            Run.objects.filter(pk=run_id, state=Run.State.QUEUED).update(
                state=Run.State.RUNNING, started_at=Now()
            )
        if exhausted:
            settle_state(run)
    return [
        Claim(unit.pk, unit.instance_id, unit.token + 1, unit.next_batch, unit.drawn, unit.passes)
        for unit in units
    ]


def due_units(run_id: int):  # type: ignore[no-untyped-def]  # a QuerySet[Unit]
    """Pending units without a living lease whose back-off is over."""
    return Unit.objects.filter(
        Q(lease_until=None) | Q(lease_until__lt=Now()),
        Q(not_before=None) | Q(not_before__lte=Now()),
        run_id=run_id,
        state=Unit.State.PENDING,
    )


def heartbeat(claims: Sequence[Claim]) -> int:
    """Prolong the leases that are still this worker's. Returns how many."""
    return _mine(claims).update(lease_until=Now() + LEASE) if claims else 0


def release(claims: Sequence[Claim]) -> None:
    """Give units back unfinished, at once: another slice goes on with them."""
    if claims:
        _mine(claims).update(lease_until=None, attempts=0)


def append_batches(worker: str, batches: Sequence[NewBatch]) -> dict[int, Claim | None]:
    """Append under the fence, all or nothing. Per unit: the claim to go on with, or None where it is done or lost.

    A batch whose token or number is not the unit's is dropped (another worker has the unit). One that this very
    claim stored before, whose answer was lost, is not stored twice.
    """
    following: dict[int, Claim | None] = {}
    with transaction.atomic():
        ids = sorted(batch.claim.unit for batch in batches)
        units = {unit.pk: unit for unit in Unit.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
        runs = {run.pk: run for run in Run.objects.filter(pk__in={unit.run_id for unit in units.values()})}
        for batch in batches:
            unit, claim = units[batch.claim.unit], batch.claim
            mine = unit.token == claim.token
            if mine and unit.next_batch == claim.next_batch + 1:
                log.info("batch %s of unit %s was stored already", claim.next_batch, unit.pk)
            elif not mine or unit.next_batch != claim.next_batch or unit.state != Unit.State.PENDING:
                log.warning("stale batch %s of unit %s by %s dropped", claim.next_batch, unit.pk, worker)
                Run.objects.filter(pk=unit.run_id).update(dropped=F("dropped") + 1)
                following[unit.pk] = None
                continue
            else:
                _store(worker, runs[unit.run_id], unit, batch)
            going_on = unit.state == Unit.State.PENDING
            following[unit.pk] = (
                Claim(unit.pk, unit.instance_id, unit.token, unit.next_batch, unit.drawn, unit.passes)
                if going_on
                else None
            )
    return following


def fail_units(claims: Sequence[Claim], reason: str, *, final: bool = False) -> None:
    """Record a failed engine or grader call: back-off and another try, or quarantine (`final`, or attempts spent)."""
    with transaction.atomic():
        for unit in _mine(claims).select_for_update().order_by("pk"):
            if final or unit.attempts >= MAX_ATTEMPTS:
                _quarantine(unit, reason)
            else:
                Unit.objects.filter(pk=unit.pk).update(
                    lease_until=None,
                    not_before=Now() + timedelta(seconds=2**unit.attempts),
                    last_error=reason[:500],
                )


def stored_bits(unit: Unit) -> np.ndarray:
    """Every outcome of a unit in draw order, overshoot included: a boolean array of `unit.drawn` entries."""
    parts = [
        np.unpackbits(np.frombuffer(bytes(bits), dtype=np.uint8), count=draws).astype(bool)
        for bits, draws in unit.batches.order_by("number").values_list("bits", "draws")
    ]
    return np.concatenate(parts) if parts else np.zeros(0, dtype=bool)


def _store(worker: str, run: Run, unit: Unit, batch: NewBatch) -> None:
    passed = np.asarray(batch.passed, dtype=bool)
    Batch.objects.create(
        unit=unit,
        number=unit.next_batch,
        first_draw=unit.drawn,
        draws=len(passed),
        passes=int(passed.sum()),
        bits=np.packbits(passed).tobytes(),
        seed=batch.seed,
        fingerprint=batch.fingerprint[:200],
        tokens=batch.tokens,
        seconds=batch.seconds,
        fence=unit.token,
        worker=worker,
    )
    Sample.objects.bulk_create(
        [Sample(unit=unit, draw=draw, text=text[:2000], passed=ok) for draw, text, ok in batch.samples]
    )
    rule = rule_from_dict(run.rule)
    tally = rule.settle(stored_bits(unit))
    Run.objects.filter(pk=run.pk).update(
        draws=F("draws") + tally.draws - unit.draws,
        drawn=F("drawn") + len(passed),
        passes=F("passes") + tally.passes - unit.passes,
        tokens=F("tokens") + batch.tokens,
        engine_seconds=F("engine_seconds") + batch.seconds,
        units_done=F("units_done") + int(tally.finished),
    )
    unit.next_batch += 1
    unit.drawn += len(passed)
    unit.draws, unit.passes, unit.stopped_at = tally.draws, tally.passes, tally.stopped_at
    unit.attempts, unit.last_error = 0, ""
    if tally.finished:
        unit.state, unit.lease_until = Unit.State.DONE, None
    unit.save(
        update_fields=[
            "next_batch", "drawn", "draws", "passes", "stopped_at", "attempts", "last_error", "state", "lease_until",
        ]
    )  # fmt: skip


def _quarantine(unit: Unit, reason: str) -> None:
    Unit.objects.filter(pk=unit.pk).update(
        state=Unit.State.QUARANTINED, lease_until=None, last_error=reason[:500]
    )


def _mine(claims: Sequence[Claim]):  # type: ignore[no-untyped-def]  # a QuerySet[Unit]
    mine = Q(pk__in=[])
    for claim in claims:
        mine |= Q(pk=claim.unit, token=claim.token)
    return Unit.objects.filter(mine, state=Unit.State.PENDING)


# --- Who holds a lease. On one host a dead holder is seen at once; elsewhere its lease runs out. ---


def worker_id() -> str:
    """host/process id/start time of this process: a reused process id is another worker."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_started(pid)}"


def release_dead_leases() -> int:
    """Free the units whose holder was a process of this host that is gone. Returns how many.

    Early or wrong release is harmless: the fence refuses whatever the old holder still sends.
    """
    host = socket.gethostname()
    held = Unit.objects.filter(state=Unit.State.PENDING, lease_until__gt=Now(), worker__startswith=f"{host}/")
    dead = [name for name in set(held.values_list("worker", flat=True)) if not _alive(name)]
    if not dead:
        return 0
    return Unit.objects.filter(state=Unit.State.PENDING, worker__in=dead).update(lease_until=None)


def _alive(worker: str) -> bool:
    _, pid, started = worker.rsplit("/", 2)
    return _started(int(pid)) == started


def _started(pid: int) -> str:
    """The process' start time in clock ticks since boot, or "" where it is gone (or a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
