"""Leaving instances of a task out of later runs, each with a reason, and taking them back."""

from collections.abc import Iterable, Mapping, Sequence

from django.db import transaction

from firstlight.files.errors import Refused
from firstlight.files.names import checked_reason
from firstlight.files.task_file import InstanceSpec
from firstlight.registry.models import Instance, Task
from firstlight.teams.access import User, record, require_writer

EXCLUDED, INCLUDED = "excluded instance", "included instance"
#: So many may be left out in one step.
MOST_AT_ONCE = 1000


def exclude_instance(actor: User, instance: Instance, *, reason: str) -> Instance:
    """Leave an instance out of later runs, with the reason (the papers remove distracting items); "" takes it back."""
    exclude_instances(actor, instance.task, [instance.pk], reason=reason)
    instance.refresh_from_db()
    return instance


def exclude_instances(actor: User, task: Task, instances: Sequence[int], *, reason: str) -> int:
    """Leave several instances out with one reason; "" takes them back. Returns how many it changed.

    Each has an audit line of its own, so that its page can say who did it and when.
    """
    require_writer(actor, task.team)
    reason = checked_reason(reason)
    if len(instances) > MOST_AT_ONCE:
        raise Refused(f"At most {MOST_AT_ONCE:,} instances may be chosen at once, not {len(instances):,}.")
    with transaction.atomic():
        rows = list(task.instances.select_for_update().filter(pk__in=instances).exclude(excluded=reason))
        for instance in rows:
            instance.excluded = reason
            record(actor, task.team, EXCLUDED if reason else INCLUDED, instance, why=reason)
        Instance.objects.bulk_update(rows, ["excluded"], batch_size=200)
    return len(rows)


def exclusions_of(task: Task) -> dict[InstanceSpec, str]:
    """What is left out of a task, and why."""
    return {row.spec: row.excluded for row in task.instances.exclude(excluded="")}


def carry_exclusions(reasons: Mapping[InstanceSpec, str], fresh: Iterable[Instance]) -> int:
    """Give fresh rows the exclusions of an earlier version where id and content are the same. Returns how many."""
    carried = 0
    for row in fresh:
        row.excluded = reasons.get(row.spec, "")
        carried += bool(row.excluded)
    return carried
