"""The one door for what people do with runs: create, pause, resume, cancel, retry."""

from collections.abc import Collection, Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from firstlight.evaluations.doorbell import ring
from firstlight.evaluations.models import Quota, Run, Unit
from firstlight.evaluations.turns import enter
from firstlight.files.decoding import Decoding
from firstlight.files.errors import Refused
from firstlight.files.task_file import InstanceSpec, digest
from firstlight.registry.actions import import_task
from firstlight.registry.models import Checkpoint, Task
from firstlight.teams.access import User, record, require_writer
from firstlight.teams.models import Team
from passuntil import PassUntilError
from passuntil.rules import RULES, Rule

#: Kinds of engine that a run may name; each has a queue of its own. What draws them is in `workers`.
ENGINES = ("reference", "torch", "vllm", "openai")
#: Draws from endpoints; all others open folders.
SERVED_BY = "openai"
#: Runs that one form or request may start.
MOST_RUNS = 500


def create_run(
    actor: User,
    checkpoint: Checkpoint,
    task: Task,
    *,
    rule: Rule,
    seed: int = 0,
    temperature: float = 1.0,
    top_p: float = 1.0,
    engine: str = "reference",
    priority: int = Run.Priority.NORMAL,
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
    if bool(checkpoint.served_model) != (engine == SERVED_BY):
        where = "a model behind endpoints" if checkpoint.served_model else "a folder of weights"
        fit = SERVED_BY if checkpoint.served_model else ", ".join(e for e in ENGINES if e != SERVED_BY)
        raise Refused(f"{checkpoint} is {where}, and {engine} cannot open that: choose {fit}.")
    require_priority(priority)
    decoding = Decoding(seed=seed, temperature=temperature, top_p=top_p)
    instances = list(task.instances.filter(excluded="").order_by("position").values_list("pk", flat=True))
    if not instances:
        raise Refused(f"Every instance of {task} is left out: include one first.")
    with transaction.atomic():
        enter(team)
        _require_room(team)
        run = Run.objects.create(
            team=team,
            priority=priority,
            checkpoint=checkpoint,
            task=task,
            rule=rule.to_dict(),
            temperature=decoding.temperature,
            top_p=decoding.top_p,
            seed=decoding.seed,
            engine=engine,
            created_by_id=actor.pk,
            units_total=len(instances),
        )
        units = [Unit(run=run, instance_id=instance, allotted=rule.first_allotment) for instance in instances]
        Unit.objects.bulk_create(units, batch_size=500)
        record(actor, team, "created run", run, rule=run.rule, seed=seed)
        ring(run)
    return run


def require_priority(priority: int) -> None:
    """Raises Refused where there is no such priority."""
    if priority not in Run.Priority.values:
        named = ", ".join(f"{value} ({label.lower()})" for value, label in Run.Priority.choices)
        raise Refused(f"no priority {priority}: choose one of {named}.")


def priority_of(name: str) -> int:
    """The priority that a form or a script means by its name."""
    for value, label in Run.Priority.choices:
        if name.lower() == label.lower():
            return int(value)
    named = ", ".join(label.lower() for _, label in Run.Priority.choices)
    raise Refused(f"no priority {name!r:.40}: choose one of {named}.")


def _require_room(team: Team) -> None:
    """Raises Refused where the team has as many open runs as it may have. Its row is locked until the commit."""
    most = Quota.objects.select_for_update().get(team=team).most_open_runs
    if most is None:
        return
    count = Run.objects.filter(team=team, state__in=(*Run.OPEN, Run.State.PAUSED)).count()
    if count >= most:
        raise Refused(
            f"{team} has {count:,} open run{'s'[: count != 1]} and may have {most:,}: "
            "wait until one ends, or cancel one."
        )


def create_runs(
    actor: User,
    checkpoints: Sequence[Checkpoint],
    tasks: Sequence[Task],
    *,
    new_task: tuple[str, Collection[InstanceSpec]] | None = None,
    **settings: Any,
) -> list[Run]:
    """A run of each checkpoint on each task, all or none; `new_task` is imported on the way (name and instances).

    `settings` are those of `create_run`.
    """
    if not checkpoints:
        raise Refused("Choose at least one checkpoint to measure.")
    with transaction.atomic():
        every = list(tasks)
        if new_task is not None:
            every.append(_imported(actor, checkpoints[0].series.team, *new_task))
        if (count := len(checkpoints) * len(every)) > MOST_RUNS:
            raise Refused(
                f"These are {count:,} runs, and {MOST_RUNS} start at once at most: start them in parts."
            )
        return [
            create_run(actor, checkpoint, task, **settings) for task in every for checkpoint in checkpoints
        ]


def _imported(actor: User, team: Team, name: str, specs: Collection[InstanceSpec]) -> Task:
    """The task with these instances: the team's own where it has it already."""
    same = Task.objects.filter(team=team, name=name, digest=digest(specs)).first()
    return same or import_task(actor, team, name=name, specs=specs)


def parse_rule(kind: str = next(iter(RULES)), **values: Any) -> Rule:
    """The rule that a form or a command asked for, from the values of its settings; others are left aside.

    Raises Refused with the library's own line.
    """
    if kind not in RULES:
        raise Refused(f"no stopping rule named {kind!r}: choose one of {', '.join(RULES)}.")
    rule = RULES[kind]
    names = [setting.name for setting in rule.settings]
    try:
        return rule.from_dict({name: values[name] for name in names if values.get(name) is not None})
    except PassUntilError as error:
        raise Refused(str(error)) from error


def set_priority(actor: User, run: Run, priority: int) -> Run:
    """Among the runs of its team those of higher priority are drawn first."""
    require_writer(actor, run.team)
    require_priority(priority)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.priority != priority:
            run.priority = priority
            run.save(update_fields=["priority"])
            record(actor, run.team, "set the priority", run, priority=run.get_priority_display().lower())
    return run


def set_quota(
    team: Team,
    *,
    open_runs: int | None = None,
    draws_a_day: int | None = None,
    engine_hours_a_day: float | None = None,
) -> Quota:
    """What a team may take of the engines; None means as much as there is. For whoever looks after the host."""
    given = {"open runs": open_runs, "draws a day": draws_a_day, "engine hours a day": engine_hours_a_day}
    for name, value in given.items():
        if value is not None and not 0 <= value < 2**31:
            raise Refused(f"{name} must lie in 0 to {2**31 - 1:,}, not {value}.")
    with transaction.atomic():
        quota, _ = Quota.objects.get_or_create(team=team)
        quota.most_open_runs, quota.most_draws_a_day = open_runs, draws_a_day
        quota.most_engine_hours_a_day = engine_hours_a_day
        quota.save(update_fields=["most_open_runs", "most_draws_a_day", "most_engine_hours_a_day"])
        record(None, team, "set the quota", team, **{k.replace(" ", "_"): v for k, v in given.items()})
    return quota


def pause_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "paused run", Run.OPEN, Run.State.PAUSED)


def resume_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "resumed run", (Run.State.PAUSED,), Run.State.RUNNING)


def cancel_run(actor: User, run: Run) -> Run:
    return _move(actor, run, "cancelled run", (*Run.OPEN, Run.State.PAUSED), Run.State.CANCELLED)


def retry_failed(actor: User, run: Run) -> Run:
    """Give quarantined units a fresh set of attempts; their counts stay."""
    require_writer(actor, run.team)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        back = run.units.filter(state=Unit.State.QUARANTINED).update(
            state=Unit.State.PENDING, attempts=0, not_before=None, lease_until=None, last_error=""
        )
        if not back:
            raise Refused(f"Run {run.pk} has no quarantined instances: there is nothing to retry.")
        if run.run_rule:
            # the rounds are those of all units together, so all of them go on
            run.units.filter(state=Unit.State.DONE).update(state=Unit.State.PENDING)
            Run.objects.filter(pk=run.pk).update(units_done=0)
        run.state, run.reason, run.finished_at = Run.State.RUNNING, "", None
        run.held_until, run.held_times = None, 0
        run.save(update_fields=["state", "reason", "finished_at", "held_until", "held_times"])
        record(actor, run.team, "retried failed units", run, units=back)
        enter(run.team)
        ring(run)
    return run


def _move(actor: User, run: Run, verb: str, allowed: tuple[str, ...], state: str) -> Run:
    require_writer(actor, run.team)
    with transaction.atomic():
        run = Run.objects.select_for_update().get(pk=run.pk)
        if run.state not in allowed:
            raise Refused(
                f"Run {run.pk} is {run.state}: this is possible only while it is {' or '.join(allowed)}."
            )
        run.state = state
        run.held_until, run.held_times = None, 0
        run.save(update_fields=["state", "held_until", "held_times"])
        if state == Run.State.CANCELLED:
            Run.objects.filter(pk=run.pk).update(finished_at=Now())
        record(actor, run.team, verb, run)
        if state == Run.State.RUNNING:
            enter(run.team)
            ring(run)
    run.refresh_from_db()
    return run
