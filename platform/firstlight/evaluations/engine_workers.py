"""Which kinds of engine have a worker that is alive: processes say so from time to time, in the database's time."""

from datetime import timedelta

from django.db.models import Count
from django.db.models.functions import Now

from firstlight.evaluations.models import EngineWorker

SAY_SECONDS = 20
SILENT = timedelta(seconds=90)


def say_alive(worker: str, kinds: list[str]) -> None:
    """This process draws for these kinds of engine. Who was silent for a day is forgotten."""
    for kind in kinds:
        EngineWorker.objects.update_or_create(name=worker, engine=kind, defaults={"seen_at": Now()})
    EngineWorker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def say_goodbye(worker: str) -> None:
    EngineWorker.objects.filter(name=worker).delete()


def living() -> dict[str, int]:
    """Kind of engine -> workers heard of lately."""
    rows = EngineWorker.objects.filter(seen_at__gte=Now() - SILENT).values_list("engine")
    return dict(rows.annotate(Count("id")).order_by())
