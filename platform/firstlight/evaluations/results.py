"""Estimates, computed from the counts whenever they are read."""

from firstlight.evaluations.models import Run, Unit
from passuntil import (
    DatasetEstimate,
    DatasetPrecision,
    FixedDraws,
    Tally,
    TallyRow,
    UntilPasses,
    dataset_estimate,
    rule_from_dict,
)

StoppingRule = UntilPasses | FixedDraws


def tally_of(rule: StoppingRule, draws: int, passes: int, stopped_at: int | None) -> Tally:
    """The counts of a unit under its run's rule; `finished` is False while it is still being drawn."""
    if isinstance(rule, UntilPasses):
        return Tally(
            draws, passes, stopped_at, r=rule.r, floor=rule.floor, cap=rule.cap, extended=rule.extended
        )
    if isinstance(rule, DatasetPrecision):  # how many draws there are depended on what was seen
        return Tally(draws, passes, floor=rule.pilot, extended=True)
    return Tally(draws, passes, cap=rule.n, extended=rule.extended)


def tally_rows(run: Run) -> list[TallyRow]:
    """One row an instance of a run, as TALLIES.csv has them."""
    checkpoint, rule = run.checkpoint, rule_from_dict(run.rule)
    units = run.units.filter(state=Unit.State.DONE).select_related("instance").order_by("instance__position")
    return [
        TallyRow(
            model=checkpoint.name,
            n_params=checkpoint.n_params,
            tokens=checkpoint.tokens,
            instance=unit.instance.key,
            tally=tally_of(rule, unit.draws, unit.passes, unit.stopped_at),
        )
        for unit in units
    ]


def run_estimate(run: Run, *, level: float = 0.95) -> DatasetEstimate:
    """Mean pass probability over the finished instances of a run, with its interval."""
    return dataset_estimate([row.tally for row in tally_rows(run)], level=level)
