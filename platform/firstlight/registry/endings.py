"""What becomes of what was registered: renamed, put away, left out of fits, removed where nothing hangs on it.

The same for series, configurations, checkpoints, tasks and runs (which live a floor above). Archiving takes a thing
out of lists and choices and changes no number; leaving it out of fits changes forecasts and hides nothing.
"""

from typing import Any

from django.db import IntegrityError, models, transaction
from django.db.models import ProtectedError, QuerySet
from django.dispatch import Signal
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from firstlight.files.errors import Refused
from firstlight.files.names import checked_name, checked_reason
from firstlight.registry.models import Archivable, Checkpoint, Excludable, Series, Task, TrainingConfiguration
from firstlight.teams.access import User, record, require_writer, team_of

#: Kinds that hold no evidence themselves.
REMOVABLE = (Series, TrainingConfiguration, Checkpoint, Task)
#: Sent in the transaction that changes what fits look at, with `subject`.
fits_changed = Signal()


def rename(actor: User, subject: Any, name: str) -> Any:
    """Another name. All versions of a task are renamed together; "" takes a run's name away."""
    team, name = team_of(subject), name.strip()
    require_writer(actor, team)
    if name or not _name_of(subject).blank:
        name = checked_name(_kind(subject), name)
    try:
        with transaction.atomic():
            subject = _locked(subject)
            before = subject.name
            subject.name = name
            if isinstance(subject, Task):
                if Task.objects.filter(team=team, name=name).exclude(name=before).exists():
                    raise Refused(f"{team} already has a task named {name!r}: choose another name.")
                Task.objects.filter(team=team, name=before).update(name=name)
            else:
                subject.save(update_fields=["name"])
            record(actor, team, f"renamed {_kind(subject)}", subject, before=before, now=name)
    except IntegrityError as error:
        raise Refused(f"There is already a {_kind(subject)} named {name!r}: choose another name.") from error
    return subject


def archive(actor: User, subject: Archivable) -> Archivable:
    """Put away. A checkpoint with open runs stays until they have ended."""
    require_writer(actor, team_of(subject))
    with transaction.atomic():
        subject = _locked(subject)
        if isinstance(subject, Checkpoint) and subject.runs.filter(finished_at=None).exists():
            raise Refused(f"{subject} has open runs: cancel them, or wait until they have ended.")
        if getattr(subject, "finished_at", True) is None:
            raise Refused("An open run cannot be archived: cancel it first, or wait until it has ended.")
        return _set(actor, subject, "archived", archived_at=timezone.now())


def restore(actor: User, subject: Archivable) -> Archivable:
    require_writer(actor, team_of(subject))
    with transaction.atomic():
        return _set(actor, _locked(subject), "restored", archived_at=None)


def leave_out(actor: User, subject: Any, reason: str) -> Any:
    """Leave a checkpoint, configuration, task or run out of fits, with the reason; "" takes it back."""
    require_writer(actor, team_of(subject))
    reason = checked_reason(reason)
    if not isinstance(subject, Excludable):
        raise Refused(f"A {_kind(subject)} is not left out as a whole: leave out its checkpoints.")
    with transaction.atomic():
        subject = _locked(subject)
        verb = "left out of fits" if reason else "took back into fits"
        _set(actor, subject, verb, left_out=reason)
        fits_changed.send(sender=type(subject), subject=subject)
    return subject


def remove(actor: User, subject: Archivable) -> None:
    """Remove for good what nothing hangs on; raises Refused where there is evidence, as in every run."""
    team = team_of(subject)
    require_writer(actor, team)
    if not isinstance(subject, REMOVABLE):
        raise Refused(f"A {_kind(subject)} is evidence and stays on record: archive it instead.")
    try:
        with transaction.atomic():
            record(actor, team, f"removed {_kind(subject)}", subject)
            _locked(subject).delete()
    except ProtectedError as error:
        raise Refused(f"{subject} is in use, so it stays on record: archive it instead.") from error


def wants_archived(request: HttpRequest) -> bool:
    """Whether a list is asked for what is put away."""
    return request.GET.get("archived") == "1"


def current(rows: QuerySet[Any], *, archived: bool = False) -> QuerySet[Any]:
    """Rows that are not put away, or only those; the one place of this rule. A series takes its checkpoints along."""
    rows = rows.filter(archived_at__isnull=not archived)
    return rows.filter(series__archived_at=None) if rows.model is Checkpoint and not archived else rows


def facts(subject: Any, page: str) -> dict[str, Any]:
    """What a page says of it, and where its buttons post to. `page`: the name of its address."""
    left_out = subject.left_out if isinstance(subject, Excludable) else None
    return {
        "archived_at": subject.archived_at,
        "left_out": left_out,
        "change_url": reverse(f"{page}-change", args=[subject.pk]),
    }


def choices(subject: Any) -> dict[str, Any]:
    """What the menu of a page offers."""
    field = _name_of(subject)
    return {
        "current_name": subject.name,
        "optional": field.blank,
        "leaves": isinstance(subject, Excludable),
        "removable": isinstance(subject, REMOVABLE)
        and not any(
            getattr(subject, str(relation.get_accessor_name())).exists()
            for relation in subject._meta.related_objects
            if relation.on_delete is models.PROTECT
        ),
    }


def _name_of(subject: Any) -> Any:
    """The field that holds a thing's name."""
    return subject._meta.get_field("name")


def _locked(subject: Any) -> Any:
    manager = type(subject)._default_manager
    return manager.select_for_update(of=("self",)).get(pk=subject.pk)


def _set(actor: User, subject: Any, verb: str, **values: Any) -> Any:
    for field, value in values.items():
        setattr(subject, field, value)
    subject.save(update_fields=list(values))
    reason = {"why": values["left_out"]} if values.get("left_out") else {}
    record(
        actor,
        team_of(subject),
        f"{verb} {_kind(subject)}" if "archived_at" in values else verb,
        subject,
        **reason,
    )
    return subject


def _kind(subject: models.Model) -> str:
    return str(subject._meta.verbose_name)
