"""Estimates, computed from the counts whenever they are read."""

from firstlight.evaluations.models import Run, Unit
from passuntil import DatasetEstimate, Tally, TallyRow, UntilPasses, dataset_estimate, rule_from_dict


def tally(run: Run, unit: Unit) -> Tally:
    """The unit's tally under the run's rule; `finished` is False while it is still being drawn."""
    rule = rule_from_dict(run.rule)
    if isinstance(rule, UntilPasses):
        return Tally(unit.draws, unit.passes, unit.stopped_at, r=rule.r, floor=rule.floor, cap=rule.cap)
    return Tally(unit.draws, unit.passes, cap=rule.n)


def tally_rows(run: Run) -> list[TallyRow]:
    """One row an instance of a run, as TALLIES.csv has them."""
    checkpoint = run.checkpoint
    units = run.units.filter(state=Unit.State.DONE).select_related("instance").order_by("instance__position")
    return [
        TallyRow(
            model=checkpoint.name,
            n_params=checkpoint.n_params,
            tokens=checkpoint.tokens,
            instance=unit.instance.key,
            tally=tally(run, unit),
        )
        for unit in units
    ]


def run_estimate(run: Run, *, level: float = 0.95) -> DatasetEstimate:
    """Mean pass probability over the finished instances of a run, with its interval."""
    return dataset_estimate([row.tally for row in tally_rows(run)], level=level)
