"""A process that holds one engine and claims units itself, without Celery: as good, and free to own a GPU.

Celery's pool may start no processes of its own and ends a task that takes long; an engine on a GPU wants both. The
database is the same truth: leases, fences and rounds do not know who claims. A ring is not needed either, since the
process looks for due units; it sends rings all the same, for the workers that wait for them.
"""

import logging
import threading
import time

from django.conf import settings
from django.db import close_old_connections

from firstlight.evaluations import leases, turns
from firstlight.evaluations.engine_workers import say_goodbye
from firstlight.evaluations.processes import worker_id
from workers import engine_cache, watchdog
from workers.heartbeat import keep_saying
from workers.slices import finish, work_next

log = logging.getLogger(__name__)
#: A slice ends so often, to see whether another checkpoint has waited long enough.
SLICE_SECONDS = 120.0
LEAST_PAUSE, MOST_PAUSE = 0.2, 2.0


def serve(kind: str, stop: threading.Event) -> None:
    """Draw whatever is due for engines of this kind until `stop` is set; the wave in flight is finished first."""
    watchdog.guard(worker_id())
    keep_saying([kind], stop)
    pause, swept = LEAST_PAUSE, 0.0
    try:
        while not stop.is_set():
            close_old_connections()
            if time.monotonic() > swept + settings.SWEEP_SECONDS:
                swept = time.monotonic()
                sweep(kind)
            if work_next(kind, seconds=SLICE_SECONDS, stopping=stop.is_set):
                pause = LEAST_PAUSE
            else:
                stop.wait(pause)
                pause = min(2 * pause, MOST_PAUSE)
    finally:
        engine_cache.close()
        say_goodbye(worker_id())


def sweep(kind: str) -> None:
    """Free what dead processes of this host hold; close runs whose last worker died before it could."""
    leases.release_dead_leases()
    for run in turns.finished_runs().filter(queue=kind).values_list("pk", flat=True):
        finish(run)
