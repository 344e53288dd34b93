"""From judged waves to batches, and from batches to the database, with patience."""

import logging
import time
from collections.abc import Sequence

import numpy as np
from django.db import OperationalError, connection

from firstlight.evaluations import leases
from firstlight.evaluations.leases import Claim, NewBatch
from firstlight.evaluations.models import Sample
from workers import watchdog
from workers.engine_cache import Loaded
from workers.waves import Judged

log = logging.getLogger(__name__)
#: No longer does one try to append wait, for locks and for the database: SQLite waits 20 s for each of two locks.
PATIENCE = 120.0


def batch_of(
    claim: Claim, waves: Sequence[Judged], loaded: Loaded, *, seed: int, given_up: tuple[int, int]
) -> NewBatch:
    """What was drawn of a unit since its last batch, with the texts that are kept: its first passes and failures.

    given_up: draws begun in vain that are in none of the waves, and their tokens.
    """
    passed = np.concatenate([wave.passed for wave in waves])
    wanted = {True: Sample.KEPT - claim.passes, False: Sample.KEPT - (claim.drawn - claim.passes)}
    samples = []
    if max(wanted.values()) > 0:
        texts = [text for wave in waves for text in wave.texts]
        for offset, ok in enumerate(passed.tolist()):
            if wanted[ok] > 0:
                wanted[ok] -= 1
                samples.append((claim.drawn + offset, _storable(texts[offset]), ok))
            elif max(wanted.values()) <= 0:
                break
    return NewBatch(
        claim=claim,
        passed=passed,
        seed=seed,
        fingerprint=loaded.engine.fingerprint,
        tokens=np.concatenate([wave.tokens for wave in waves]),
        seconds=sum(wave.seconds for wave in waves),
        samples=samples,
        ceiling=loaded.ceiling,
        given_up_draws=given_up[0],
        given_up_tokens=given_up[1],
    )


def _storable(text: str) -> str:
    """NUL cuts SQLite text and is refused by PostgreSQL; lone surrogates fail on save."""
    return text.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


def append(worker: str, batches: list[NewBatch], *, tries: int = 6) -> dict[int, Claim | None]:
    """Append with patience: a locked or restarting database is waited for, since a retry never counts twice."""
    for attempt in range(tries):
        watchdog.expect(PATIENCE)
        try:
            return leases.append_batches(worker, batches)
        except OperationalError as error:
            if attempt == tries - 1:
                raise
            log.warning("append waits for the database: %s", error)
            connection.close()
            time.sleep(min(0.2 * 2**attempt, 10))
    raise AssertionError("unreachable")
