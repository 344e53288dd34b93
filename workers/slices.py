"""One slice of a run: claim units, draw, grade, append under the fence, give back what is left, ring again."""

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import DatabaseError, OperationalError, close_old_connections, connection, transaction
from firstlight.config.errors import Refused
from firstlight.evaluations import leases
from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.leases import Claim, NewBatch
from firstlight.evaluations.models import Run, Sample
from firstlight.evaluations.progress import settle_state
from firstlight.forecasts.actions import run_finished
from firstlight.registry.models import Instance
from firstlight.registry.task_file import InstanceSpec

from passuntil import rule_from_dict
from workers.engine_cache import close as close_engine
from workers.engine_cache import engine_for
from workers.engines import check_wave
from workers.engines.base import DrawRequest, Engine, EngineError, EngineRefusal, Wave
from workers.waves import Decoding, Judged, Pace, judge, next_request

log = logging.getLogger(__name__)
SLICE_SECONDS = 20.0
UNITS_A_SLICE = 12


def work_slice(run_id: int, *, seconds: float = SLICE_SECONDS, limit: int = UNITS_A_SLICE) -> int:
    """Work on one run for about `seconds`. Returns the number of batches appended."""
    worker = leases.worker_id()
    claims = leases.claim_units(run_id, worker, limit)
    if not claims and leases.release_dead_leases():
        claims = leases.claim_units(run_id, worker, limit)
    if not claims:
        finish(run_id)
        return 0
    run = Run.objects.select_related("checkpoint__series", "task").get(pk=run_id)
    passed_on = leases.due_units(run_id).exists()
    if passed_on:
        _ring(run)  # another worker may join; that ring carries on the chain
    slice_ = _Slice(run, worker, claims)
    try:
        with _heartbeats(slice_):
            slice_.work(time.monotonic() + seconds)
    except EngineRefusal as error:
        slice_.fail(str(error), final=True)
    except (EngineError, MemoryError) as error:
        log.exception("engine failed on run %s", run_id)
        close_engine()
        slice_.fail(f"engine: {error or type(error).__name__}")
    except Refused as error:  # the folder is gone or was moved out of the allowed roots
        slice_.fail(str(error))
    except DatabaseError:  # no fault of the units
        raise
    except Exception as error:  # a grader, or a bug: units that always fail must not come back for ever
        log.exception("slice failed on run %s", run_id)
        slice_.fail(f"{type(error).__name__}: {error}")
    finally:
        left = slice_.held()
        # While units wait, the ring passed on waits too: one more at each slice would pile up without end.
        rings = not passed_on or not leases.due_units(run_id).exists()
        leases.release(left)
    if left and rings:
        _ring(run)
    finish(run_id)
    return slice_.appended


def finish(run_id: int) -> None:
    """Close a run without pending units and pass on what follows from it: both or neither.

    A worker that dies in between leaves the run open, and the next sweep finishes it.
    """
    with transaction.atomic():
        run = Run.objects.select_related("checkpoint__series__team", "task").filter(pk=run_id).first()
        if run and settle_state(run):
            run.refresh_from_db()
            run_finished(run)


class _Slice:
    def __init__(self, run: Run, worker: str, claims: Sequence[Claim]) -> None:
        self.run, self.worker = run, worker
        self.active: dict[int, Claim] = {claim.unit: claim for claim in claims}
        self.specs = _specs(claims)
        self.rule = rule_from_dict(run.rule)
        self.decoding = Decoding(seed=run.seed, temperature=run.temperature, top_p=run.top_p)
        self.appended = 0
        self.pace = Pace()

    def held(self) -> list[Claim]:
        return list(self.active.values())

    def fail(self, reason: str, *, final: bool = False) -> None:
        """Record it and let go of the units: releasing them would wipe out their attempts and back-off."""
        leases.fail_units(self.held(), reason, final=final)
        self.active.clear()

    def work(self, deadline: float) -> None:
        engine = engine_for(self.run.engine, self.run.checkpoint)
        while self.active:
            requests = {}
            for unit, claim in self.active.items():
                spec = self.specs[claim.instance]
                requests[unit] = next_request(
                    spec, self.rule, self.decoding, drawn=claim.drawn, passes=claim.passes
                )
            units = iter(list(requests))
            for call in self.pace.calls(list(requests.values())):
                self._one_call(engine, {next(units): request for request in call})
                if time.monotonic() >= deadline:
                    return

    def _one_call(self, engine: Engine, requests: dict[int, DrawRequest]) -> None:
        try:
            waves = engine.draw(list(requests.values()))
        except EngineRefusal:
            self._refuse_one_by_one(engine, requests)
            return
        batches = []
        for (unit, request), wave in zip(requests.items(), waves, strict=True):
            check_wave(request, wave)
            claim = self.active[unit]
            judged = judge(self.specs[claim.instance], wave)
            self.pace.learn(judged.tokens, judged.seconds)
            batches.append(_batch(claim, request, wave, judged, engine.fingerprint))
        for unit, following in _append(self.worker, batches).items():
            if following is None:
                self.active.pop(unit, None)
            else:
                self.active[unit] = following
        self.appended += len(batches)

    def _refuse_one_by_one(self, engine: Engine, requests: dict[int, DrawRequest]) -> None:
        """One impossible request must not fail its neighbours: find it, quarantine it alone, keep the rest."""
        for unit, request in requests.items():
            try:
                engine.draw([request])
            except EngineRefusal as error:
                leases.fail_units([self.active.pop(unit)], str(error), final=True)


def _batch(claim: Claim, request: DrawRequest, wave: Wave, judged: Judged, fingerprint: str) -> NewBatch:
    wanted = {True: Sample.KEPT - claim.passes, False: Sample.KEPT - (claim.drawn - claim.passes)}
    samples = []
    for offset, ok in enumerate(judged.passed.tolist()):
        if wanted[ok] > 0:
            wanted[ok] -= 1
            samples.append((request.first_draw + offset, _storable(wave.texts[offset]), ok))
        elif max(wanted.values()) <= 0:
            break
    return NewBatch(
        claim=claim,
        passed=judged.passed.tolist(),
        seed=request.seed,
        fingerprint=fingerprint,
        tokens=judged.tokens,
        seconds=judged.seconds,
        samples=samples,
    )


def _storable(text: str) -> str:
    """NUL cuts SQLite text and is refused by PostgreSQL; lone surrogates fail on save."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def _append(worker: str, batches: list[NewBatch], *, tries: int = 6) -> dict[int, Claim | None]:
    """Append with patience: a locked or restarting database is waited for, since a retry never counts twice."""
    for attempt in range(tries):
        try:
            return leases.append_batches(worker, batches)
        except OperationalError as error:
            if attempt == tries - 1:
                raise
            log.warning("append waits for the database: %s", error)
            connection.close()
            time.sleep(min(0.2 * 2**attempt, 10))
    raise AssertionError("unreachable")


def _specs(claims: Sequence[Claim]) -> dict[int, InstanceSpec]:
    rows = Instance.objects.in_bulk([claim.instance for claim in claims])
    return {
        pk: InstanceSpec(
            id=row.key,
            prompt=row.prompt,
            answer=row.answer,
            grader=row.grader,
            stop=tuple(row.stop),
            max_tokens=row.max_tokens,
            guess_rate=row.guess_rate,
        )
        for pk, row in rows.items()
    }


def _ring(run: Run) -> None:
    with transaction.atomic():
        ring(run)


@contextmanager
def _heartbeats(slice_: _Slice) -> Iterator[None]:
    """Prolong the leases from a thread of its own while the engine draws."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(leases.HEARTBEAT_SECONDS):
            try:
                close_old_connections()
                leases.heartbeat(slice_.held())
            except Exception as error:  # a missed beat is no reason to stop drawing: the fence decides
                log.warning("heartbeat missed: %s", error)
        connection.close()

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=5)
