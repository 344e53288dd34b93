"""A slice of work: claim units of one checkpoint, draw, grade, append under the fence, give back what is left."""

import logging
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import DatabaseError, transaction

from firstlight.evaluations import failures, leases, turns
from firstlight.evaluations.actions import SERVED_BY
from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.health import cannot_store
from firstlight.evaluations.leases import Claim
from firstlight.evaluations.models import Run
from firstlight.evaluations.processes import worker_id
from firstlight.evaluations.progress import settle_state
from firstlight.evaluations.rounds import next_round
from firstlight.files.errors import Refused
from firstlight.forecasts.actions import run_finished
from firstlight.registry.models import Checkpoint, Instance
from workers import engine_cache, watchdog
from workers.engines.base import EngineError, EngineGarbage, EngineRefusal
from workers.heartbeat import leases_kept
from workers.references import score_references
from workers.scheduler import DrawnUnit, Progress, Scheduler
from workers.storing import append, batch_of
from workers.waves import Judged

log = logging.getLogger(__name__)
SLICE_SECONDS = 20.0
#: Outcomes go to the database together, this often: what a killed worker loses at most, beside what is in flight.
STORE_SECONDS = 1.0
#: So many draws, all of them empty, make an engine whose canary used to answer suspicious.
SILENCE = 64


def work_next(
    kind: str, *, seconds: float = SLICE_SECONDS, stopping: Callable[[], bool] = lambda: False
) -> bool:
    """Work for about `seconds`, or until `stopping`, on what this kind of engine is due to do. False: nothing is.

    Nothing is drawn while it could not be stored.
    """
    if cannot_store():
        return False
    loaded, at_hand = engine_cache.kept(), engine_cache.open_checkpoint(kind)
    run = turns.next_run(kind, loaded=at_hand, age=loaded.age if loaded else 0.0)
    if run is None and leases.release_dead_leases():
        run = turns.next_run(kind, loaded=at_hand)
    slice_ = Slice.claim(run.checkpoint, kind) if run else None
    if slice_ is None:
        return False
    slice_.work(seconds, stopping=stopping)
    return True


def work_slice(run_id: int, *, seconds: float = SLICE_SECONDS, limit: int | None = None) -> int:
    """Work for about `seconds` on the checkpoint of a run. Returns the number of batches appended.

    limit: units claimed at once, by the engine's capacity if left out.
    """
    run = Run.objects.select_related("checkpoint__series").filter(pk=run_id).first()
    if run is None:
        return 0
    slice_ = Slice.claim(run.checkpoint, run.engine, limit=limit)
    if slice_ is None:
        finish(run_id)
        return 0
    return slice_.work(seconds)


def finish(run_id: int) -> None:
    """Close a run without pending units and pass on what follows from it: both or neither.

    A worker that dies in between leaves the run open, and the next sweep finishes it.
    """
    with transaction.atomic():
        run = Run.objects.select_related("checkpoint__series__team", "task").filter(pk=run_id).first()
        if run is None or run.state in Run.FINAL:
            return
        next_round(run)  # where the unit that held up the round was quarantined, no draw of it opens the next
        if settle_state(run):
            run.refresh_from_db()
            run_finished(run)


def ring_due(kind: str) -> bool:
    """Ring for the run that is due next with this kind of engine. False where there is none."""
    run = turns.next_run(kind)
    if run is None:
        return False
    with transaction.atomic():
        ring(run)
    return True


class Slice:
    """Units of one checkpoint that this worker holds, and what was drawn for them since it was last stored."""

    def __init__(
        self, checkpoint: Checkpoint, kind: str, worker: str, claims: Sequence[Claim], limit: int | None
    ) -> None:
        self.checkpoint, self.kind, self.worker, self.limit = checkpoint, kind, worker, limit
        self.claims: dict[int, Claim] = {}
        self.runs: dict[int, Run] = {}
        self.appended = 0
        self._judged: dict[int, list[Judged]] = {}
        self._given_up: dict[int, tuple[int, int]] = {}
        self._units = self._take(claims)

    @classmethod
    def claim(cls, checkpoint: Checkpoint, kind: str, *, limit: int | None = None) -> "Slice | None":
        """Claim due units, those of dead workers of this host too. None where nothing is due."""
        worker = worker_id()
        most = limit or engine_cache.claims_at_once(kind)
        opened = engine_cache.open_checkpoint(kind) == checkpoint.pk
        claims = leases.claim_of_checkpoint(checkpoint.pk, kind, worker, most, opened=opened)
        if not claims and leases.release_dead_leases():
            claims = leases.claim_of_checkpoint(checkpoint.pk, kind, worker, most, opened=opened)
        return cls(checkpoint, kind, worker, claims, limit) if claims else None

    def work(self, seconds: float, *, stopping: Callable[[], bool] = lambda: False) -> int:
        """Draw for about `seconds`, or until `stopping`, or nothing is due. Returns the number of batches appended."""
        # another worker may join; its ring carries on the chain
        passed_on = ring_due(self.kind)
        try:
            with leases_kept(self.held):
                watchdog.expect(settings.LOAD_SECONDS, opening=True)
                loaded = self._open()
                if loaded:
                    self._draw(loaded, seconds, stopping)
        except EngineRefusal as error:
            self.fail(str(error), final=True)
        except (EngineError, MemoryError) as error:
            log.exception("engine failed on %s", self.checkpoint)
            engine_cache.close()
            self.fail(f"engine: {error or type(error).__name__}")
        except DatabaseError:  # no fault of the units
            raise
        except Exception as error:  # a grader, or a bug: units that always fail must not come back for ever
            log.exception("slice failed on %s", self.checkpoint)
            self.fail(f"{type(error).__name__}: {error}")
        finally:
            watchdog.rest()
            left = self.held()
            # While work waits, the ring passed on waits too: one more at each slice would pile up without end.
            rings = not passed_on or turns.next_run(self.kind) is None
            leases.release(left)
        if left and rings:
            ring_due(self.kind)
        for run in self.runs:
            finish(run)
        return self.appended

    def held(self) -> list[Claim]:
        return list(self.claims.values())

    def fail(self, reason: str, *, final: bool = False) -> None:
        """Record it and let go of the units: releasing them would wipe out their attempts and back-off."""
        failures.fail_units(self.held(), reason, final=final)
        self.claims.clear()

    # --- drawing ---

    def _open(self) -> engine_cache.Loaded | None:
        """The engine, or None where it does not open now: no fault of the units, so their runs wait and say why.

        Where it never will, or draws garbage each time, they end.
        """
        try:
            loaded = engine_cache.engine_for(self.kind, self.checkpoint, self._units[0].spec)
        except (EngineError, MemoryError, Refused, OSError) as error:
            log.exception("no engine for %s", self.checkpoint)
            reason = str(error) or type(error).__name__
            never = isinstance(error, EngineRefusal)
            if not never:
                times = failures.hold(self.checkpoint, self.kind, f"The engine does not open: {reason}")
                never = isinstance(error, EngineGarbage) and times >= leases.MAX_ATTEMPTS
            if never:
                self.fail(reason, final=True)
                for run in failures.refuse(self.checkpoint, self.kind, reason):
                    finish(run)
            return None
        failures.opened(self.checkpoint, self.kind)
        return loaded

    def _draw(self, loaded: engine_cache.Loaded, seconds: float, stopping: Callable[[], bool]) -> None:
        self._expect_step()
        score_references(loaded.engine, self.checkpoint, list(self.runs))
        began = stored = time.monotonic()
        scheduler = Scheduler(loaded.engine)
        scheduler.add(self._units)
        fill, trusted = True, False
        while True:
            self._expect_step()
            for progress in scheduler.step(fill=fill):
                self._note(progress)
            ends = scheduler.in_flight == 0 and (not fill or scheduler.idle)
            now = time.monotonic()
            if ends or now >= stored + STORE_SECONDS:
                if not trusted and self._silent():
                    while scheduler.in_flight:
                        self._expect_step()
                        for progress in scheduler.step(fill=False):
                            self._note(progress)
                    loaded.check_canary()
                    trusted = True
                self._store(scheduler, loaded)
                stored = now
            fill = now < began + seconds and not stopping()
            if fill and scheduler.hungry and (ends or now == stored):
                # at most once a store: a look for due units costs a transaction
                scheduler.add(self._claim_more())
                ends = scheduler.idle
            if ends:
                break
        self._expect_step()
        score_references(loaded.engine, self.checkpoint, list(self.runs))

    def _expect_step(self) -> None:
        """The watchdog waits so long; longer where endpoints are waited for, with a patience of their own."""
        waits = self.kind == SERVED_BY
        watchdog.expect(settings.WATCHDOG_SECONDS + (settings.LOAD_SECONDS if waits else 0.0))

    def _claim_more(self) -> list[DrawnUnit]:
        """More due units; none beside suspects, and no suspects beside others."""
        if any(claim.suspect for claim in self.held()):
            return []
        most = self.limit or engine_cache.claims_at_once(self.kind)
        claims = leases.claim_of_checkpoint(
            self.checkpoint.pk, self.kind, self.worker, most, suspects=not self.claims, opened=True
        )
        return self._take(claims)

    def _take(self, claims: Sequence[Claim]) -> list[DrawnUnit]:
        """Hold claims; the units to draw."""
        new = {claim.run for claim in claims} - self.runs.keys()
        self.runs |= Run.objects.in_bulk(new)
        instances = Instance.objects.in_bulk({claim.instance for claim in claims})
        units = []
        for claim in claims:
            self.claims[claim.unit] = claim
            run = self.runs[claim.run]
            rule = run.stopping_rule.for_unit(claim.allotted)
            spec = instances[claim.instance].spec
            units.append(DrawnUnit(claim.unit, spec, rule, run.decoding, claim.drawn, claim.passes))
        return units

    def _note(self, progress: Progress) -> None:
        unit = int(progress.key)  # type: ignore[call-overload]  # our keys are units
        if progress.refused:
            failures.fail_units([self.claims.pop(unit)], progress.refused, final=True)
            self._judged.pop(unit, None)
            return
        self._judged.setdefault(unit, []).extend(progress.waves)
        if progress.given_up_draws or progress.given_up_tokens:
            self._given_up[unit] = progress.given_up_draws, progress.given_up_tokens

    def _silent(self) -> bool:
        """Whether there are many answers to store and all of them are empty."""
        texts = [text for waves in self._judged.values() for wave in waves for text in wave.texts]
        return len(texts) >= SILENCE and not any(texts)

    def _store(self, scheduler: Scheduler, loaded: engine_cache.Loaded) -> None:
        """Append what was judged since the last time, in one transaction; let go of units that are done or lost."""
        batches = []
        for unit, waves in self._judged.items():
            if waves:
                claim = self.claims[unit]
                seed, given_up = self.runs[claim.run].seed, self._given_up.get(unit, (0, 0))
                batches.append(batch_of(claim, waves, loaded, seed=seed, given_up=given_up))
        self._judged.clear()
        self._given_up.clear()
        if not batches:
            return
        for unit, following in append(self.worker, batches).items():
            if following is None:
                self.claims.pop(unit, None)
                scheduler.drop(unit)  # finished units are gone from it already; others were lost
            else:
                self.claims[unit] = following
        self.appended += len(batches)
