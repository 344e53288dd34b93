"""Which kinds of engine have a worker that is alive: processes say so from time to time, in the database's time."""

from dataclasses import dataclass
from datetime import timedelta

from django.db.models import BooleanField, Count, ExpressionWrapper, Q
from django.db.models.functions import Now

from firstlight.evaluations.models import EngineWorker

SAY_SECONDS = 20
SILENT = timedelta(seconds=90)


def say_alive(worker: str, kinds: list[str], *, version: str = "") -> None:
    """This process draws for these kinds of engine. Who was silent for a day is forgotten."""
    for kind in kinds:
        EngineWorker.objects.update_or_create(
            name=worker, engine=kind, defaults={"seen_at": Now(), "version": version}
        )
    EngineWorker.objects.filter(seen_at__lt=Now() - timedelta(days=1)).delete()


def say_goodbye(worker: str) -> None:
    EngineWorker.objects.filter(name=worker).delete()


def living() -> dict[str, int]:
    """Kind of engine -> workers heard of lately."""
    rows = EngineWorker.objects.filter(seen_at__gte=Now() - SILENT).values_list("engine")
    return dict(rows.annotate(Count("id")).order_by())


@dataclass(frozen=True)
class Host:
    """Where a worker of an engine is, or was within a day; the version of Firstlight that it runs."""

    name: str
    version: str
    alive: bool


def hosts_of(kind: str) -> list[Host]:
    """Of the workers of a kind, whoever was heard of last comes first."""
    alive = Q(seen_at__gte=Now() - SILENT)
    rows = EngineWorker.objects.filter(engine=kind).annotate(alive=ExpressionWrapper(alive, BooleanField()))
    rows = rows.order_by("-seen_at")[:100]
    return list(dict.fromkeys(Host(row.name.split("/", 1)[0], row.version, bool(row.alive)) for row in rows))
