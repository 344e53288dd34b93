"""When an engine, a grader or a worker fails: only the guilty units are blamed, and the runs say why."""

from collections.abc import Sequence
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.db.models.functions import Now

from firstlight.evaluations.leases import MAX_ATTEMPTS, Claim, quarantine, still_held
from firstlight.evaluations.models import Run, Unit
from firstlight.registry.models import Checkpoint


def fail_units(claims: Sequence[Claim], reason: str, *, final: bool = False) -> None:
    """Record a failed engine or grader call. `final`: the units can never be drawn, and are quarantined.

    One unit is blamed: it is tried again after a while, and quarantined when its attempts are spent. Several are
    not, since one of them may have stopped the others: they are free at once, to be tried apart, and their runs
    say so.
    """
    together = len(claims) > 1 and not final
    with transaction.atomic():
        runs = set()
        for units in still_held(claims):
            for unit in units.select_for_update().order_by("pk"):
                attempts = max(unit.attempts, 1)
                runs.add(unit.run_id)
                if final or (attempts >= MAX_ATTEMPTS and not together):
                    quarantine(unit, reason)
                    continue
                pause = 0.0 if together else settings.BACKOFF_SECONDS * 2 ** (attempts - 1)
                Unit.objects.filter(pk=unit.pk).update(
                    lease_until=None,
                    attempts=min(attempts, MAX_ATTEMPTS - 1) if together else attempts,
                    not_before=Now() + timedelta(seconds=pause) if pause else None,
                    last_error="" if together else reason[:500],
                )
        if together:
            told = (
                f"{len(claims)} instances were drawn together when it failed, and are tried apart: {reason}"
            )
            _tell(runs, told)


def say_killed(worker: str, reason: str, *, opening: bool = False) -> int:
    """A worker was killed since it hung: its leases are free, its runs say why. Returns how many units it held.

    opening: it hung while it opened an engine, which is no fault of the units; their runs wait as in `hold`.
    """
    with transaction.atomic():
        held = Unit.objects.filter(state=Unit.State.PENDING, worker=worker, lease_until__isnull=False)
        runs = Run.objects.filter(pk__in=held.values("run"), state__in=Run.OPEN).select_related("checkpoint")
        # what one worker holds is all of one checkpoint
        if opening and (run := runs.first()):
            hold(run.checkpoint, run.engine, reason)
        _tell(set(held.values_list("run_id", flat=True)), reason)
        return held.update(lease_until=None, **({"attempts": 0} if opening else {}))


def hold(checkpoint: Checkpoint, engine: str, reason: str) -> int:
    """Their engine does not open: its open runs wait a while, longer each time, and say why. Returns the times."""
    with transaction.atomic():
        runs = Run.objects.filter(queue=engine, checkpoint=checkpoint)
        times: int = runs.aggregate(times=Max("held_times"))["times"] or 0
        pause = min(settings.HOLD_SECONDS * 2 ** min(times, 30), settings.MOST_HOLD_SECONDS)
        runs.update(
            held_until=Now() + timedelta(seconds=pause), held_times=times + 1, reason=_first_words(reason)
        )
    return times + 1


def refuse(checkpoint: Checkpoint, engine: str, reason: str) -> list[int]:
    """Their engine will never open: nobody need try for the units that are left. Returns the ids of their runs."""
    with transaction.atomic():
        runs = list(Run.objects.filter(queue=engine, checkpoint=checkpoint).values_list("pk", flat=True))
        for run in runs:
            left = Unit.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), run=run)
            left.filter(state=Unit.State.PENDING).update(
                state=Unit.State.QUARANTINED, lease_until=None, last_error=_first_words(reason)
            )
        Run.objects.filter(pk__in=runs).update(held_until=None, held_times=0, reason="")
    return runs


def opened(checkpoint: Checkpoint, engine: str) -> None:
    """Their engine is open: nothing holds its runs any more."""
    held = Run.objects.filter(queue=engine, checkpoint=checkpoint, held_times__gt=0)
    held.update(held_until=None, held_times=0, reason="")


def _tell(runs: set[int], reason: str) -> None:
    """Open runs say what happened to them, until their next batch."""
    Run.objects.filter(pk__in=runs, state__in=Run.OPEN).update(reason=_first_words(reason))


def _first_words(reason: str) -> str:
    return reason if len(reason) <= 500 else reason[:497] + "..."
