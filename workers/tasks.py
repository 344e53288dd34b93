"""What Celery calls. Each task is short, and safe to lose, to repeat and to run twice at once."""

import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_process_init, worker_process_shutdown, worker_ready

from firstlight.api.answers import forget_old_keys
from firstlight.config.celery import app
from firstlight.evaluations import leases, turns
from firstlight.evaluations.actions import ENGINES
from firstlight.evaluations.doorbell import deliver_outbox, queue_of
from firstlight.evaluations.models import Doorbell, Run
from firstlight.evaluations.processes import worker_id
from firstlight.evaluations.progress import reconcile as reconcile_run
from firstlight.forecasts.actions import MAKE, make_again, stale
from firstlight.registry.digests import READ
from firstlight.registry.digests import waiting as digests_waiting
from firstlight.registry.downloads import DOWNLOAD
from firstlight.registry.downloads import waiting as downloads_waiting
from firstlight.registry.waking import wake
from workers import digests, engine_cache, hub, watchdog
from workers.heartbeat import keep_saying
from workers.slices import finish, ring_due, work_next
from workers.supervisor import die_with_parent

log = logging.getLogger(__name__)
#: Rows of a kind that one sweep wakes workers for: the rest has its turn in the next.
MOST_WOKEN = 200


@shared_task(name="workers.work")
def work(run_id: int) -> None:
    """A doorbell rang for this run: its kind of engine works on whatever is due next."""
    kind = Run.objects.filter(pk=run_id).values_list("engine", flat=True).first()
    if kind is not None and not work_next(kind):
        finish(run_id)


@shared_task(name="workers.read_digest", time_limit=24 * 3600, soft_time_limit=24 * 3600 - 60)
def read_digest(checkpoint_id: int) -> None:
    """Weights were registered whose digest is not known."""
    digests.read_digest(checkpoint_id)


@shared_task(name="workers.download", time_limit=24 * 3600, soft_time_limit=24 * 3600 - 60)
def download(download_id: int) -> None:
    """Somebody asked for a checkpoint of the hub."""
    hub.download(download_id)


@shared_task(name="workers.make_forecast")
def make_forecast(forecast_id: int) -> None:
    """What a forecast is made of changed."""
    make_again(forecast_id)


@shared_task(name="workers.sweep")
def sweep() -> None:
    """Every SWEEP_SECONDS: deliver the outbox, free the leases of dead workers, ring where a ring was lost."""
    deliver_outbox()
    leases.release_dead_leases()
    for task, due in (
        (READ, digests_waiting()),
        (DOWNLOAD, downloads_waiting()),
        (MAKE, stale()),
    ):
        for pk in due.values_list("pk", flat=True)[:MOST_WOKEN]:
            wake(task, pk)
    for run in turns.finished_runs().values_list("pk", flat=True):
        finish(run)
    for kind in ENGINES:
        if _silent(kind):
            ring_due(kind)


@shared_task(name="workers.reconcile")
def reconcile() -> None:
    """Every hour: counters must equal the sum of their batches. Keys of requests that nobody retries are forgotten."""
    forget_old_keys()
    for run in Run.objects.exclude(state=Run.State.CANCELLED).order_by("-id")[:500]:
        for discrepancy in reconcile_run(run):
            log.error("run %s: %s", run.pk, discrepancy)


@worker_ready.connect
def _sweep_at_start(sender: Any = None, **_: Any) -> None:
    """A worker that comes back picks up at once what its predecessor left."""
    sweep.apply_async(queue="site")
    queues = app.amqp.queues.consume_from
    kinds = [name.removeprefix("engine.") for name in queues if name.startswith("engine.")]
    if kinds:
        keep_saying(kinds)


@worker_process_init.connect
def _die_with_the_worker(**_: Any) -> None:
    """A pool process must not go on when its worker was killed, nor hang for ever."""
    die_with_parent()
    watchdog.guard(worker_id())


@worker_process_shutdown.connect
def _close_engine(**_: Any) -> None:
    engine_cache.close()


def _silent(kind: str) -> bool:
    """No ring for this kind of engine stands in the outbox or its queue: where work is due, one was lost."""
    if Doorbell.objects.filter(run__engine=kind).exists():
        return False
    try:
        with app.connection_for_read() as broker:
            _, waiting, _ = broker.default_channel.queue_declare(queue_of(kind), passive=True)
    except Exception:  # no such queue yet, or no broker: a ring more does no harm
        return True
    return waiting == 0
