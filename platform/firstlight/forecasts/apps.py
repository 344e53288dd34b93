"""What the forecasts do when something below them changes."""

from typing import Any

from django.apps import AppConfig


class ForecastsConfig(AppConfig):
    name = "firstlight.forecasts"

    def ready(self) -> None:
        from firstlight.registry.endings import fits_changed

        fits_changed.connect(_make_again, dispatch_uid="forecasts")


def _make_again(subject: Any, **_: Any) -> None:
    """Mark what is touched, in the transaction of the change, and wake a worker after it."""
    from firstlight.forecasts.actions import MAKE, mark_stale
    from firstlight.registry.waking import wake_after_commit

    for pk in mark_stale(subject):
        wake_after_commit(MAKE, pk)
