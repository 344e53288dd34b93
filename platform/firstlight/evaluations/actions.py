"""The one door for what people do with runs: create, pause, resume, cancel, retry."""

import math

from django.db import transaction
from django.db.models.functions import Now

from firstlight.config.errors import Refused
from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.models import Run, Unit
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, record, require_writer
from passuntil import FixedDraws, PassUntilError, UntilPasses

ENGINES = ("reference",)
StoppingRule = UntilPasses | FixedDraws


def create_run(
    actor: User,
    checkpoint: Checkpoint,
    task: Task,
    *,
    rule: StoppingRule,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    engine: str = "reference",
) -> Run:
    """Units appear, one for each instance that is not excluded, and the doorbell rings."""
    team = checkpoint.series.team
    require_writer(actor, team)
    if task.team_id != team.pk:
        raise Refused(f"{task} belongs to another team than {checkpoint}: import it for {team}.")
    if checkpoint.planned:
        raise Refused(f"{checkpoint} is planned and has no weights yet: attach them first.")
    if engine not in ENGINES:
        raise Refused(f"no engine named {engine!r}: choose one of {', '.join(ENGINES)}.")
    if not (math.isfinite(temperature) and 0 < temperature <= 10):
        raise Refused(
            f"temperature must lie in (0, 10], not {temperature}: 1 links pass probability to loss."
        )
    if not 0 < top_p <= 1:
        raise Refused(f"top-p must lie in (0, 1], not {top_p}: 1 keeps every token.")
    if not 0 <= seed < 2**63:
        raise Refused(f"a seed is a whole number from 0 to 2^63 - 1, not {seed}.")
    instances = list(task.instances.filter(excluded="").order_by("position"))
    if not instances:
        raise Refused(f"every instance of {task} is excluded: take one back first.")
    with transaction.atomic():
        run = Run.objects.create(
            checkpoint=checkpoint,
            task=task,
            rule=rule.to_dict(),
            temperature=temperature,
            top_p=top_p,
            seed=seed,
            engine=engine,
            created_by_id=actor.pk,
            units_total=len(instances),
        )
        Unit.objects.bulk_create([Unit(run=run, instance=instance) for instance in instances], batch_size=500)
        record(actor, team, "created run", run, rule=run.rule, seed=seed)
        ring(run)
    return run


def parse_rule(*, r: int | None, floor: int, cap: int) -> StoppingRule:
    """The rule that a form or a command asked for; raises Refused with the library's own line."""
    try:
        return FixedDraws(cap) if r is None else UntilPasses(r, floor=floor, cap=cap)
    except PassUntilError as error:
        raise Refused(str(error)) from error


def pause_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "paused run", Run.OPEN, Run.State.PAUSED)


def resume_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "resumed run", (Run.State.PAUSED,), Run.State.RUNNING)


def cancel_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "cancelled run", (*Run.OPEN, Run.State.PAUSED), Run.State.CANCELLED)


def retry_failed(actor: User, run: Run) -> Run:
    """Give quarantined units a fresh set of attempts; their counts stay."""
    require_writer(actor, run.checkpoint.series.team)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        back = run.units.filter(state=Unit.State.QUARANTINED).update(
            state=Unit.State.PENDING, attempts=0, not_before=None, lease_until=None, last_error=""
        )
        if not back:
            raise Refused(f"run {run.pk} has no quarantined units: there is nothing to retry.")
        run.state, run.reason, run.finished_at = Run.State.RUNNING, "", None
        run.save(update_fields=["state", "reason", "finished_at"])
        record(actor, run.checkpoint.series.team, "retried failed units", run, units=back)
        ring(run)
    return run


def _move(actor: User, run: Run, verb: str, allowed: tuple[str, ...], state: str) -> Run:
    require_writer(actor, run.checkpoint.series.team)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state not in allowed:
            raise Refused(f"run {run.pk} is {run.state}: that works only while it is {' or '.join(allowed)}.")
        run.state = state
        run.save(update_fields=["state"])
        if state == Run.State.CANCELLED:
            Run.objects.filter(pk=run.pk).update(finished_at=Now())
        record(actor, run.checkpoint.series.team, verb, run)
        if state == Run.State.RUNNING:
            ring(run)
    run.refresh_from_db()
    return run
