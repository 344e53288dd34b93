"""Waking a worker for something that the database says is due.

The message carries a row's id and nothing else. Losing one costs time, never work: the sweep wakes again.
"""

import logging
from functools import partial

from celery import current_app
from django.db import transaction

log = logging.getLogger(__name__)


def wake(task: str, pk: int) -> None:
    """Call a task of the workers for a row; where the broker does not answer, the sweep does it later."""
    try:
        current_app.send_task(f"workers.{task}", args=[pk], queue="site", retry=False, ignore_result=True)
    except Exception as error:  # whatever the broker's transport raises
        log.warning("%s of row %s waits for a worker: %s", task, pk, error)


def wake_after_commit(task: str, pk: int) -> None:
    """The same, once the change that makes it due stands."""
    transaction.on_commit(partial(wake, task, pk))
