"""What a run would cost, before it is started."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from django.db.models import Avg, Count, Sum

from firstlight.evaluations.models import Run
from firstlight.files.task_file import InstanceSpec
from firstlight.registry.models import Checkpoint, Task
from passuntil.rules import BetaPrior, Rule


@dataclass(frozen=True)
class Cost:
    """What a run would draw: between every instance at the floor and every instance at the cap."""

    instances: int
    draws_least: int
    draws_most: int
    tokens_least: int
    tokens_most: int
    seconds_least: float | None
    seconds_most: float | None
    tokens_a_draw: float
    measured: bool
    draws_expected: float | None = None
    seconds_expected: float | None = None
    note: str = ""
    runs: int = 1


def cost_of_all(
    checkpoints: Sequence[Checkpoint], tasks: Sequence[Task], rule: Rule, specs: Collection[InstanceSpec] = ()
) -> Cost:
    """What runs of each checkpoint on each task would cost together; `specs`: of a task that is not imported yet."""
    each = [cost(checkpoint, task, rule) for checkpoint in checkpoints for task in tasks]
    if specs:
        each += [_cost_of_specs(checkpoint, specs, rule) for checkpoint in checkpoints]
    if len(each) == 1:
        return each[0]

    def total(name: str) -> Any:
        values = [getattr(one, name) for one in each]
        return None if None in values else sum(values)

    summed = (
        field.name
        for field in fields(Cost)
        if field.name not in ("tokens_a_draw", "measured", "note", "runs")
    )
    most = max(total("draws_most"), 1)
    return Cost(
        **{name: total(name) for name in summed},
        tokens_a_draw=total("tokens_most") / most,
        measured=all(one.measured for one in each),
        runs=len(each),
    )


def _cost_of_specs(checkpoint: Checkpoint, specs: Collection[InstanceSpec], rule: Rule) -> Cost:
    longest = sum(spec.max_tokens for spec in specs) / len(specs)
    return _planned(checkpoint, rule, instances=len(specs), each=longest)


def cost(checkpoint: Checkpoint, task: Task, rule: Rule) -> Cost:
    """From the task's token limits, or from what earlier runs of this checkpoint on this task needed.

    Where an earlier run of the two counted passes, the rule says what it expects to draw.
    """
    items = task.instances.filter(excluded="").aggregate(n=Count("id"), longest=Avg("max_tokens"))
    instances = items["n"]
    earlier = Run.objects.filter(checkpoint=checkpoint, task=task, drawn__gt=0)
    past = earlier.aggregate(drawn=Sum("drawn"), tokens=Sum("tokens"))
    measured = bool(past["drawn"])
    each = past["tokens"] / past["drawn"] if measured else float(items["longest"] or 0)
    expected, note = _expected(earlier.order_by("-drawn").first(), rule, instances)
    return _planned(
        checkpoint, rule, instances=instances, each=each, measured=measured, expected=expected, note=note
    )


def _planned(
    checkpoint: Checkpoint,
    rule: Rule,
    *,
    instances: int,
    each: float,
    measured: bool = False,
    expected: float | None = None,
    note: str = "",
) -> Cost:
    speed = Run.objects.filter(checkpoint=checkpoint, engine_seconds__gt=0).aggregate(
        tokens=Sum("tokens"), seconds=Sum("engine_seconds")
    )
    rate = speed["tokens"] / speed["seconds"] if speed["seconds"] else None
    fewest, most = rule.bounds
    return Cost(
        instances=instances,
        draws_least=instances * fewest,
        draws_most=instances * most,
        tokens_least=round(instances * fewest * each),
        tokens_most=round(instances * most * each),
        seconds_least=instances * fewest * each / rate if rate else None,
        seconds_most=instances * most * each / rate if rate else None,
        tokens_a_draw=each,
        measured=measured,
        draws_expected=expected,
        seconds_expected=expected * each / rate if rate and expected else None,
        note=note,
    )


def _expected(run: Run | None, rule: Rule, instances: int) -> tuple[float | None, str]:
    """Draws that the rule expects of a new run, by how the pass probabilities of an earlier one spread."""
    counts = list(run.units.filter(draws__gt=0).values_list("draws", "passes")) if run else []
    if not counts or not any(passes for _, passes in counts):
        return None, ""
    plan = rule.plan(BetaPrior.fit(*zip(*counts, strict=True)), instances=instances)
    return plan.draws, plan.note
