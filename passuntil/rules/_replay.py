"""The rounds of a run under `DatasetPrecision`, told again from its counts: which are closed, which is open."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats, Ints
from passuntil.errors import PassUntilError
from passuntil.rules._rounds import Aim, Step, next_step
from passuntil.rules.allocation import Allocation, Rounds, outcome_arrays


def replay(aim: Aim, counts: Rounds, cost: Floats) -> tuple[list[int], list[Step]]:
    """(the closed rounds' numbers, the steps planned: one more than closed while the run goes on)."""
    steps: list[Step] = []
    closed: list[int] = []
    for t in range(counts.draws.shape[0]):
        if steps and steps[-1].last:
            if counts.draws[t].any():
                raise PassUntilError(f"round {t} was drawn after the last one ({t - 1}); use rounds_of")
            break
        steps.append(_next(aim, counts.draws[:t], counts.passes[:t], steps, cost))
        over = counts.draws[t] - steps[-1].target
        if (over > 0).any():
            i = int(np.argmax(over))
            raise PassUntilError(
                f"round {t} has {counts.draws[t][i]} draws of instance {i}, and {steps[-1].target[i]} "
                "were asked for; cut the overshoot off with rounds_of"
            )
        if (over < 0).any():
            if counts.draws[t + 1 :].any():
                raise PassUntilError(f"round {t} is open, and round {t + 1} was drawn; use rounds_of")
            return closed, steps
        closed.append(t)
    if not steps[-1].last:
        steps.append(_next(aim, counts.draws[: len(closed)], counts.passes[: len(closed)], steps, cost))
    return closed, steps


def cut(aim: Aim, outcomes: Iterable[Any], costs: ArrayLike | None) -> Rounds:
    """Outcomes of every instance in draw order, cut into rounds."""
    cumulated = outcome_arrays(outcomes)
    if not cumulated:
        raise PassUntilError("no instances were given; an allocation needs at least one")
    m = len(cumulated)
    cost, have = checked_costs(costs, m), np.array([c.size - 1 for c in cumulated])
    draws: list[Ints] = []
    passes: list[Ints] = []
    begin = np.zeros(m, dtype=np.int64)
    steps: list[Step] = []
    while not steps or not steps[-1].last:
        steps.append(_next(aim, draws, passes, steps, cost))
        end = np.minimum(begin + steps[-1].target, have)
        draws.append(end - begin)
        passes.append(np.array([c[j] - c[i] for c, i, j in zip(cumulated, begin, end, strict=True)]))
        if (draws[-1] < steps[-1].target).any():
            break
        begin = end
    return Rounds(np.array(draws), np.array(passes))


def answer(step: Step, draws: Ints, *, done: bool) -> Allocation:
    """What to draw now of a planned round."""
    return Allocation(
        draws.astype(np.int64),
        step.number,
        step.target,
        step.weight,
        step.last,
        done,
        reachable=not step.note,
        note=step.note,
    )


def checked_costs(costs: ArrayLike | None, m: int) -> Floats:
    """Costs of one draw of each instance, shape (m,), checked; all alike where none are given."""
    if costs is None:
        return np.ones(m)
    try:
        cost = np.asarray(costs, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"costs must be numbers, not {costs!r:.60}") from None
    if cost.shape != (m,):
        raise PassUntilError(f"costs must have one entry for each of {m} instances, not shape {cost.shape}")
    if not (np.isfinite(cost) & (cost > 0)).all():
        bad = cost[~(np.isfinite(cost) & (cost > 0))][0]
        raise PassUntilError(f"every cost must be above 0 and finite, not {bad:g}")
    return cost


def _next(
    aim: Aim, draws: Sequence[Ints] | Ints, passes: Sequence[Ints] | Ints, steps: list[Step], cost: Floats
) -> Step:
    """The round after the closed ones."""
    if aim.like and len(aim.like) != cost.size:
        raise PassUntilError(
            f"like has counts of {len(aim.like)} instances and the run has {cost.size}; give those of the same "
            "instances, (0, 0) where there are none"
        )
    return next_step(aim, list(draws), list(passes), steps, cost)
