"""The doorbell: a message that carries only a run id. Losing one costs latency, never data.

A ring is first a row (the outbox), in the transaction that made it due, and goes to the broker after the commit.
Where the broker does not answer the row stays, and the sweeper delivers it later.
"""

import logging
from functools import partial

from celery import current_app
from django.db import transaction

from firstlight.evaluations.models import Doorbell, Run

log = logging.getLogger(__name__)
WORK = "workers.work"


def ring(run: Run) -> None:
    """Call inside the transaction that makes units due."""
    bell = Doorbell.objects.create(run=run)
    transaction.on_commit(partial(_deliver_quietly, bell))


def deliver(bell: Doorbell) -> None:
    """Hand one ring to the broker and forget it; raises what the broker raises."""
    current_app.send_task(
        WORK, args=[bell.run_id], queue=queue_of(bell.run.engine), retry=False, ignore_result=True
    )
    Doorbell.objects.filter(pk=bell.pk).delete()


def queue_of(engine: str) -> str:
    """Workers of one engine kind listen on one queue."""
    return f"engine.{engine}"


def deliver_outbox(limit: int = 500) -> int:
    """Deliver what stands in the outbox; stops at the first refusal. Returns how many went out."""
    sent = 0
    for bell in Doorbell.objects.select_related("run").order_by("id")[:limit]:
        if not _deliver_quietly(bell):
            break
        sent += 1
    return sent


def _deliver_quietly(bell: Doorbell) -> bool:
    try:
        deliver(bell)
    except Exception as error:  # whatever the broker's transport raises: the row stays and is swept later
        log.warning("doorbell of run %s waits in the outbox: %s", bell.run_id, error)
        return False
    return True
