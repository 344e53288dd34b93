"""What the forecasts do when something below them changes."""

import logging
from typing import Any

from celery import current_app
from django.apps import AppConfig
from django.db import transaction

log = logging.getLogger(__name__)


class ForecastsConfig(AppConfig):
    name = "firstlight.forecasts"

    def ready(self) -> None:
        from firstlight.registry.endings import fits_changed

        fits_changed.connect(_make_again, dispatch_uid="forecasts")


def _make_again(subject: Any, **_: Any) -> None:
    """Mark what is touched, in the transaction of the change, and wake a worker after it."""
    from firstlight.forecasts.actions import mark_stale

    for pk in mark_stale(subject):
        transaction.on_commit(lambda pk=pk: ring(pk))  # type: ignore[misc]


def ring(pk: int) -> None:
    """Where the broker does not answer, the sweep does it later."""
    try:
        current_app.send_task(
            "workers.make_forecast", args=[pk], queue="site", retry=False, ignore_result=True
        )
    except Exception as error:  # whatever the broker's transport raises
        log.warning("forecast %s waits to be made again: %s", pk, error)
