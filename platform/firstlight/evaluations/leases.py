"""Units under leases, batches under a fence: what keeps counts right when workers die, stall or answer twice.

A claim sets a lease in the database's own time and raises the unit's fence token, in one transaction. An append
locks the unit and requires that token and the next batch number; otherwise the work is dropped and counted as
dropped. No transaction is held while an engine draws or a grader judges.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from math import isqrt
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Now

from firstlight.evaluations.models import Batch, Run, Sample, Unit
from firstlight.evaluations.processes import is_alive, this_host
from firstlight.evaluations.progress import settle_state
from firstlight.evaluations.rounds import next_round
from firstlight.evaluations.turns import RUNS_A_CLAIM, charge, due_runs, due_units, open_runs
from firstlight.evaluations.writing import writing

log = logging.getLogger(__name__)
MAX_ATTEMPTS = 5
#: SQLite refuses conditions of more than 1,000 terms.
PORTION = 200


@dataclass(frozen=True)
class Claim:
    """A unit that this worker may draw for, with the counts to go on from.

    suspect: it was in hand when an engine failed or a worker died, and has stored no batch since.
    """

    unit: int
    run: int
    instance: int
    token: int
    next_batch: int
    drawn: int
    passes: int
    allotted: int | None = None
    suspect: bool = False


@dataclass(frozen=True)
class NewBatch:
    """What was drawn for a claimed unit since its last batch.

    passed: outcomes in draw order; `tokens`: of each draw.
    seconds: for which a device was held; `ceiling`: the tokens a second that it draws at its best, if known.
    given_up_draws: draws begun in vain beyond these, and their tokens.
    """

    claim: Claim
    passed: Sequence[bool] | np.ndarray
    seed: int
    fingerprint: str
    tokens: Sequence[int] | np.ndarray
    seconds: float
    samples: list[tuple[int, str, bool]] = field(default_factory=list)
    ceiling: float = 0.0
    given_up_draws: int = 0
    given_up_tokens: int = 0


def claim_units(run_id: int, worker: str, limit: int) -> list[Claim]:
    """Lease up to `limit` due units of an open run to `worker`; an empty list where nothing is due."""
    return _claim(open_runs().filter(pk=run_id), worker, limit)


def claim_of_checkpoint(
    checkpoint_id: int,
    engine: str,
    worker: str,
    limit: int,
    *,
    suspects: bool = True,
    opened: bool = False,
) -> list[Claim]:
    """The same over all due runs of one checkpoint with one kind of engine, in the order of their turn.

    suspects: also units that were in hand when an engine failed or a worker died, where no other is due. They come
    in small groups the first time and alone after that, so that only the guilty one is blamed.
    opened: the engine is open here already.
    """
    runs = due_runs(engine, opened=checkpoint_id if opened else None).filter(checkpoint_id=checkpoint_id)
    return _claim(runs, worker, limit, suspects=suspects)


def _claim(runs: QuerySet[Run], worker: str, limit: int, *, suspects: bool = True) -> list[Claim]:
    with writing():
        ids = list(runs.values_list("pk", flat=True)[:RUNS_A_CLAIM])
        units = _due(ids, limit, attempts=0)
        exhausted: list[Unit] = []
        if not units and suspects:
            units = _due(ids, 1, attempts__gt=0)
            if units and units[0].attempts == 1:
                units = _due(ids, max(1, isqrt(limit)), attempts=1)
            exhausted = [unit for unit in units if unit.attempts >= MAX_ATTEMPTS]
        for unit in exhausted:
            quarantine(unit, unit.last_error or f"{MAX_ATTEMPTS} workers in a row died with it")
        units = [unit for unit in units if unit not in exhausted]
        Unit.objects.filter(pk__in=[unit.pk for unit in units]).update(
            token=F("token") + 1,
            attempts=F("attempts") + 1,
            worker=worker,
            lease_until=Now() + lease(),
            not_before=None,
        )
        Run.objects.filter(pk__in={unit.run_id for unit in units}, state=Run.State.QUEUED).update(
            state=Run.State.RUNNING, started_at=Now()
        )
        for run in Run.objects.filter(pk__in={unit.run_id for unit in exhausted}):
            settle_state(run)
        if exhausted and not units:
            return _claim(runs, worker, limit)
    return [_claim_on(unit, unit.token + 1, suspect=unit.attempts > 0) for unit in units]


def _due(runs: list[int], limit: int, **which: int) -> list[Unit]:
    """Due units of these runs, run by run, locked: a condition on all of them would sort all of their units."""
    skip = connection.features.has_select_for_update_skip_locked
    units: list[Unit] = []
    for run in runs:
        due = due_units().filter(run=run, **which).select_for_update(skip_locked=skip)
        due = due.order_by(*([] if which == {"attempts": 0} else ["attempts"]), "id")
        units += due[: limit - len(units)]
        if len(units) == limit:
            break
    return units


def lease() -> timedelta:
    """For how long a claim holds its unit without a word."""
    return timedelta(seconds=settings.LEASE_SECONDS)


def _claim_on(unit: Unit, token: int, *, suspect: bool = False) -> Claim:
    return Claim(
        unit.pk,
        unit.run_id,
        unit.instance_id,
        token,
        unit.next_batch,
        unit.drawn,
        unit.passes,
        unit.allotted,
        suspect,
    )


def heartbeat(claims: Sequence[Claim]) -> int:
    """Prolong the leases that are still this worker's. Returns how many."""
    return sum(units.update(lease_until=Now() + lease()) for units in still_held(claims))


def release(claims: Sequence[Claim]) -> None:
    """Give units back unfinished, at once: another slice goes on with them."""
    for units in still_held(claims):
        units.update(lease_until=None, attempts=0)


def release_dead_leases() -> int:
    """Free the units whose holder was a process of this host that is gone. Returns how many.

    Early or wrong release is harmless: the fence refuses whatever the old holder still sends.
    """
    held = Unit.objects.filter(
        state=Unit.State.PENDING, lease_until__gt=Now(), worker__startswith=this_host()
    )
    dead = [name for name in set(held.values_list("worker", flat=True)) if not is_alive(name)]
    if not dead:
        return 0
    return Unit.objects.filter(state=Unit.State.PENDING, worker__in=dead).update(lease_until=None)


def append_batches(worker: str, batches: Sequence[NewBatch]) -> dict[int, Claim | None]:
    """Append under the fence, all or nothing. Per unit: the claim to go on with, or None where it is done or lost.

    A batch whose token or number is not the unit's is dropped (another worker has the unit). One that this very
    claim stored before, whose answer was lost, is not stored twice. A unit that has its allotted draws is let go
    of: its run's next round calls it back.
    """
    following: dict[int, Claim | None] = {}
    with writing():
        ids = sorted(batch.claim.unit for batch in batches)
        units = {unit.pk: unit for unit in Unit.objects.select_for_update().filter(pk__in=ids).order_by("pk")}
        runs = {run.pk: run for run in Run.objects.filter(pk__in={unit.run_id for unit in units.values()})}
        stored = _Stored(worker, runs)
        for batch in batches:
            unit, claim = units[batch.claim.unit], batch.claim
            held = unit.token == claim.token
            if held and unit.next_batch == claim.next_batch + 1:
                log.info("batch %s of unit %s was stored already", claim.next_batch, unit.pk)
            elif not held or unit.next_batch != claim.next_batch or unit.state != Unit.State.PENDING:
                log.warning("stale batch %s of unit %s by %s dropped", claim.next_batch, unit.pk, worker)
                stored.totals[unit.run_id]["dropped"] += 1
                following[unit.pk] = None
                continue
            else:
                stored.add(unit, batch)
            resting = unit.state != Unit.State.PENDING or unit.drawn == unit.allotted
            following[unit.pk] = None if resting else _claim_on(unit, unit.token)
        stored.save()
        for run in runs.values():
            next_round(run)
    return following


class _Stored:
    """Batches of one transaction, written together; counters of runs and units move with them."""

    def __init__(self, worker: str, runs: dict[int, Run]) -> None:
        self.worker, self.runs = worker, runs
        self.totals: dict[int, defaultdict[str, float]] = {pk: defaultdict(int) for pk in runs}
        self._batches: list[Batch] = []
        self._samples: list[Sample] = []
        self._units: list[Unit] = []

    def add(self, unit: Unit, batch: NewBatch) -> None:
        """A pending unit has counted every draw made, so its tally follows from its counts and this batch alone."""
        rule = self.runs[unit.run_id].stopping_rule
        passed = np.asarray(batch.passed, dtype=bool)
        tokens = np.asarray(batch.tokens, dtype=np.int64)
        tally = rule.tally(unit.draws, unit.passes, unit.stopped_at).continued(passed)
        used = int(tokens[: tally.draws - unit.draws].sum())
        finished = tally.finished and unit.allotted is None
        self._batches.append(
            Batch(
                unit=unit,
                number=unit.next_batch,
                first_draw=unit.drawn,
                draws=len(passed),
                passes=int(passed.sum()),
                bits=Batch.pack(passed),
                seed=batch.seed,
                fingerprint=batch.fingerprint[:200],
                tokens=int(tokens.sum()),
                tokens_used=used,
                seconds=batch.seconds,
                fence=unit.token,
                worker=self.worker,
            )
        )
        self._samples += [
            Sample(unit=unit, draw=draw, text=text[:2000], passed=ok) for draw, text, ok in batch.samples
        ]
        total = self.totals[unit.run_id]
        for name, value in {
            "draws": tally.draws - unit.draws,
            "drawn": len(passed),
            "passes": tally.passes - unit.passes,
            "tokens": int(tokens.sum()),
            "tokens_used": used,
            "given_up_draws": batch.given_up_draws,
            "given_up_tokens": batch.given_up_tokens,
            "engine_seconds": batch.seconds,
            "ceiling_tokens": batch.seconds * batch.ceiling,
            "units_done": int(finished),
        }.items():
            total[name] += value
        unit.next_batch += 1
        unit.drawn += len(passed)
        unit.draws, unit.passes, unit.stopped_at = tally.draws, tally.passes, tally.stopped_at
        unit.attempts, unit.last_error = 0, ""
        if finished:
            unit.state, unit.lease_until = Unit.State.DONE, None
        elif unit.drawn == unit.allotted:
            unit.lease_until = None
        self._units.append(unit)

    def save(self) -> None:
        Batch.objects.bulk_create(self._batches)
        Sample.objects.bulk_create(self._samples)
        self._save_units()
        teams: dict[int, list[float]] = {}
        for pk, total in self.totals.items():
            run = self.runs[pk]
            moved: dict[str, Any] = {name: F(name) + value for name, value in total.items() if value}
            if run.reason and total["drawn"] and run.state in Run.OPEN:
                moved["reason"] = Value("")
            if moved:
                Run.objects.filter(pk=pk).update(**moved)
            spent = teams.setdefault(run.team_id, [0, 0.0])
            spent[0] += int(total["drawn"])
            spent[1] += total["engine_seconds"]
        for team, (draws, seconds) in sorted(teams.items()):
            if draws:
                charge(team, draws=int(draws), seconds=seconds)

    def _save_units(self) -> None:
        """All in one round trip: Unit.save would cost one each."""
        columns = (
            "next_batch", "drawn", "draws", "passes", "stopped_at", "attempts", "last_error", "state",
            "lease_until",
        )  # fmt: skip
        sets = ", ".join(f"{column} = %s" for column in columns)
        values = [[getattr(unit, column) for column in columns] + [unit.pk] for unit in self._units]
        adapt = connection.ops.adapt_datetimefield_value
        for row in values:
            row[-2] = adapt(row[-2])
        with connection.cursor() as cursor:
            cursor.executemany(f"UPDATE {Unit._meta.db_table} SET {sets} WHERE id = %s", values)


def quarantine(unit: Unit, reason: str) -> None:
    """It is never drawn again, unless somebody asks for a retry."""
    Unit.objects.filter(pk=unit.pk).update(
        state=Unit.State.QUARANTINED, lease_until=None, last_error=reason[:500]
    )


def still_held(claims: Sequence[Claim]) -> Iterator[QuerySet[Unit]]:
    """The claimed units that are still this worker's, in portions that a database takes as one condition."""
    for start in range(0, len(claims), PORTION):
        held = Q(pk__in=[])
        for claim in claims[start : start + PORTION]:
            held |= Q(pk=claim.unit, token=claim.token)
        yield Unit.objects.filter(held, state=Unit.State.PENDING)
