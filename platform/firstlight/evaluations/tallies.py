"""Estimates, computed from the counts whenever they are read."""

from collections.abc import Iterable
from dataclasses import asdict, replace

from firstlight.evaluations.models import Likelihood, Run, Unit
from firstlight.evaluations.rounds import rounds
from passuntil import DatasetEstimate, PassUntilError, TallyRow, dataset_estimate


def losses(run: Run) -> dict[int, Likelihood]:
    """instance id -> the exact likelihood of its reference answer, for the instances whose draws it speaks of.

    exp(-nll) is a lower bound of the pass probability, and nll the loss of a loss-assisted forecast, only where draws
    follow the model's own distribution and may be as long as the answer.
    """
    if not run.decoding.plain:
        return {}
    rows = Likelihood.objects.filter(checkpoint_id=run.checkpoint_id, instance__task_id=run.task_id)
    return {
        row.instance_id: row
        for row in rows.select_related("instance")
        if row.nll is not None and (row.tokens or 0) <= row.instance.max_tokens
    }


def tally_rows(run: Run) -> list[TallyRow]:
    """One row a finished instance of a run, as TALLIES.csv has them."""
    units = run.units.filter(state=Unit.State.DONE).select_related("instance").order_by("instance__position")
    return rows_of(run, units)


def rows_of(run: Run, units: Iterable[Unit]) -> list[TallyRow]:
    """Rows of these units, with the losses that are known."""
    checkpoint, rule, known = run.checkpoint, run.stopping_rule, losses(run)
    return [
        TallyRow(
            model=checkpoint.name,
            n_params=checkpoint.n_params,
            tokens=checkpoint.tokens,
            instance=unit.instance.key,
            tally=rule.tally(unit.draws, unit.passes, unit.stopped_at),
            nll=known[unit.instance_id].nll if unit.instance_id in known else None,
        )
        for unit in units
    ]


def run_estimate(run: Run, *, level: float = 0.95) -> DatasetEstimate:
    """Mean pass probability over the finished instances of a run, with its interval."""
    return planned_estimate(run, dataset_estimate([row.tally for row in tally_rows(run)], level=level))


def planned_estimate(run: Run, plain: DatasetEstimate) -> DatasetEstimate:
    """Under a rule that allots the draws of all units, the rule's own estimate in place of the plain mean.

    More draws go where passes were seen, so s / n is biased there; the rule's `estimate` is not. Its interval is of the
    mean over these instances.
    """
    rule = run.run_rule
    if rule is None:
        return plain
    units = run.units.exclude(state=Unit.State.QUARANTINED).order_by("pk")
    try:
        adaptive = rule.estimate(rounds(rule, units), level=plain.level)
    except PassUntilError:  # the pilot goes on
        return plain
    instances = max(adaptive.se**2 - adaptive.se_draws**2, 0.0) ** 0.5
    return replace(
        plain,
        mean=adaptive.mean,
        low=adaptive.low,
        high=adaptive.high,
        se=adaptive.se,
        se_draws=adaptive.se_draws,
        se_instances=instances if plain.se_instances is not None else None,
        unfinished=plain.unfinished if adaptive.done else plain.instances,
        extended=0,
    )


def precision_facts(run: Run) -> dict[str, object] | None:
    """Where a run in rounds stands: its round, what it allots, and whether the target can be met."""
    rule = run.run_rule
    if rule is None:
        return None
    units = run.units.exclude(state=Unit.State.QUARANTINED).order_by("pk")
    counts = rounds(rule, units)
    step = rule.allocate(counts, wave=rule.bounds[1])
    facts = asdict(step) | {"round": step.round + 1, "target_se": None, "se_draws": None, "met": None}
    for name in ("draws", "target", "weight"):
        facts[name] = int(facts[name].sum()) if name != "weight" else None
    try:
        adaptive = rule.estimate(counts)
    except PassUntilError:
        return facts
    return facts | {"target_se": adaptive.target_se, "se_draws": adaptive.se_draws, "met": adaptive.met}
