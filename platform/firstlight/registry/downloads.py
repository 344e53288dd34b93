"""Downloads from the hub into its cache on this machine, where the site allows them (`FIRSTLIGHT_HUB=online`).

The database says what waits and how far it is; a worker downloads under a lease, and the cache keeps the files that
came whole, so another goes on from there. One row stands for a hub id and revision, for everybody, as the
cache does.
"""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from firstlight.files.errors import Refused
from firstlight.registry.hub import NotCached, read_hub_id
from firstlight.registry.locations import resolve_location
from firstlight.registry.models import HubDownload
from firstlight.registry.waking import wake_after_commit
from firstlight.teams.access import User, record, require_some_team

LEASE = timedelta(seconds=60)
#: The task of the workers that downloads one.
DOWNLOAD = "download"
State = HubDownload.State
OPEN = (State.WAITING, State.RUNNING)


def have(actor: User, text: str) -> HubDownload | None:
    """None where the text names a folder or a whole snapshot of the cache, else the download of its hub id.

    One that is open goes on; one that failed begins again. Raises Refused for what names nothing, and while the site
    is offline for what the cache does not hold.
    """
    require_some_team(actor)
    known = of(text)
    if known is None or known.state not in OPEN:
        try:
            resolve_location(text)
        except NotCached:
            if not settings.HUB_ONLINE:
                raise
            return _ask(actor, text)
        if known is None:
            return None
        # some files of a download that failed are there
        return _ask(actor, text) if settings.HUB_ONLINE else None
    return known


def _ask(actor: User, text: str) -> HubDownload:
    name, revision = read_hub_id(text)
    with transaction.atomic():
        download, made = HubDownload.objects.get_or_create(
            repository=name, revision=revision, defaults={"asked_by_id": actor.pk}
        )
        again = HubDownload.objects.filter(pk=download.pk).exclude(state__in=OPEN)
        if made or again.update(state=State.WAITING, error="", done=0, total=0, lease_until=None):
            record(actor, None, "asked for download", download)
            wake_after_commit(DOWNLOAD, download.pk)
    download.refresh_from_db()
    return download


def of(text: str) -> HubDownload | None:
    """The download of a hub id while it is not done, or what became of it; None for anything else."""
    try:
        name, revision = read_hub_id(text)
    except Refused:
        return None
    return HubDownload.objects.filter(repository=name, revision=revision).exclude(state=State.DONE).first()


def facts(download: HubDownload) -> dict[str, object]:
    return {
        "location": str(download),
        "state": download.state,
        "done": download.done,
        "total": download.total,
        "error": download.error,
    }


def waiting() -> QuerySet[HubDownload]:
    """Downloads that nobody is at."""
    return HubDownload.objects.filter(Q(lease_until=None) | Q(lease_until__lt=Now()), state__in=OPEN)


def claim(pk: int) -> HubDownload | None:
    """Lease one; None where it is done, or somebody is at it."""
    claimed = waiting().filter(pk=pk).update(state=State.RUNNING, lease_until=Now() + LEASE)
    return HubDownload.objects.get(pk=pk) if claimed else None


def progress(download: HubDownload, *, done: int, total: int) -> None:
    HubDownload.objects.filter(pk=download.pk, state=State.RUNNING).update(
        done=done, total=total, lease_until=Now() + LEASE
    )


def settle(download: HubDownload) -> None:
    HubDownload.objects.filter(pk=download.pk).update(state=State.DONE, error="", lease_until=None)


def fail(download: HubDownload, why: str) -> None:
    HubDownload.objects.filter(pk=download.pk).update(state=State.FAILED, error=why[:500], lease_until=None)
