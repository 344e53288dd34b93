"""What the other tasks and the losses of a series say of how far its models are off their laws.

A model that came out well is better at all its tasks, and a recipe that favours large models does so for all
of them. One task of a few sizes hardly tells how large such deviations are; ten tell it well. So the prior of
(sigma, kappa) that a fit starts from is the weak one, multiplied by what the other tasks of the series say
(`pool_deviations`), with the same models and no other ones: a model that is held out is held out everywhere.
They are fitted without a guess rate: leave tasks out that can be passed by guessing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

from passuntil._arrays import Floats
from passuntil.counts.tables import TallyRow
from passuntil.errors import PassUntilError
from passuntil.forecasting.methods import Series, read_series
from passuntil.laws._inputs import sizes_of
from passuntil.laws._kriging import next_deviation
from passuntil.laws._lines import log_log
from passuntil.laws.base import LEAST_SIZES
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.deviations import Deviations, deviations_of, pool_deviations
from passuntil.laws.instance_likelihood import InstanceLikelihood

#: No loss of a task is believed to be nearer to 0: its logarithm would say nothing of the models.
LEAST_LOSS = 1e-6
#: A deviation of F beyond this turns any pass probability into any other.
FARTHEST = 100.0


@dataclass(frozen=True)
class Neighbours:
    """Other tasks of a series by name; left_out: those that cannot be read, with the reason."""

    tasks: dict[str, Series] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def pooled(self, series: Series) -> Pooled:
        """What they and the losses of the models say of `series`; fewer than three of its sizes say nothing.

        The loss of the task's own answers is no further evidence: the fit has its passes.
        """
        like = np.log(series.sizes)
        found: dict[str, Deviations] = {}
        missing = dict(self.left_out)
        for name, task in self.tasks.items():
            kept = task.keep(series.names)
            try:
                found[name] = _deviations(
                    kept.sizes.tobytes(), kept.draws.tobytes(), kept.passes.tobytes(), kept.draws.shape
                )
                if kept.nll is not None:
                    found[f"{name} (loss)"] = _of_losses(kept.sizes, kept.nll.mean(axis=0))
            except PassUntilError as error:
                missing[name] = str(error)
        for name, loss in series.losses.items():
            at = [i for i, model in enumerate(series.names) if model in loss]
            try:
                found[f"{name} (loss)"] = _of_losses(
                    series.sizes[at], np.array([loss[series.names[i]] for i in at], dtype=np.float64)
                )
            except PassUntilError as error:
                missing[f"{name} (loss)"] = str(error)
        prior = pool_deviations(list(found.values()), like=like) if found else None
        return Pooled(prior, tuple(found), missing)


@dataclass(frozen=True)
class Pooled:
    """A prior for the deviations of one more task (None: nothing to pool), and what it rests on."""

    prior: DeviationPrior | None
    rests_on: tuple[str, ...]
    left_out: dict[str, str]

    def reach(self, series: Series, size: float, level: float) -> float:
        """How far a model of that size may be off a line through the task means, as a standard deviation of F.

        The normal one whose central interval at `level` is as wide as that of the deviations, given those of
        the task's own means; 0 without a prior. It is what a method must allow for that learns of
        deviations from its own few residuals.
        """
        means = np.array([mean.mean for mean in series.means])
        used = (means > 0) & (means < 1)
        if self.prior is None or np.unique(series.sizes[used]).size < LEAST_SIZES:
            return 0.0
        own = deviations_of(np.log(series.sizes[used]), log_log(means[used]))
        weights = self.prior.updated(own.log_likelihood(np.log(series.sizes))).weights
        ahead = next_deviation(own, math.log(size), like=np.log(series.sizes))
        centre = (ahead.slope * ahead.mean).sum(axis=1)
        spread = np.sqrt(ahead.variance + (np.einsum("gl,glk->gk", ahead.slope, ahead.root) ** 2).sum(axis=1))
        spread = np.maximum(spread, 1e-9)

        def missing(half: float) -> float:
            inside = ndtr((half - centre) / spread) - ndtr((-half - centre) / spread)
            return level - float(weights @ inside)

        half = FARTHEST if missing(FARTHEST) > 0 else float(brentq(missing, 0.0, FARTHEST))
        return half / float(ndtri((1.0 + level) / 2.0))


def read_neighbours(rows: dict[str, list[TallyRow]], scale: str, level: float) -> Neighbours:
    """The other tasks by name, on that scale; those that are no series are left out with the reason."""
    tasks, left_out = {}, {}
    for name, mine in rows.items():
        try:
            tasks[name] = read_series(mine, scale, level)
        except PassUntilError as error:
            left_out[name] = str(error)
    return Neighbours(tasks, left_out)


def split_tasks(
    rows: Iterable[TallyRow], task: str | None
) -> tuple[list[TallyRow], dict[str, list[TallyRow]]]:
    """(rows of the task, rows of the others by task); with one task only there is nothing to name.

    Raises PassUntilError: several tasks and none named, a task that no row has.
    """
    by_task: dict[str, list[TallyRow]] = {}
    for row in rows:
        by_task.setdefault(row.task, []).append(row)
    names = ", ".join(repr(name) for name in sorted(by_task))
    if task is None:
        if len(by_task) > 1:
            raise PassUntilError(
                f"task must be named, because the rows are of {len(by_task)} tasks, {names}: one of them is "
                "forecast, the others tell how models scatter"
            )
        task = next(iter(by_task), "")
    elif task not in by_task:
        known = f"the tasks are {names}" if any(by_task) else "the rows name none, so leave it out"
        raise PassUntilError(f"task {task!r} has no row; {known}")
    return by_task.pop(task, []), by_task


@lru_cache(maxsize=256)
def _deviations(sizes: bytes, draws: bytes, passes: bytes, shape: tuple[int, int]) -> Deviations:
    """Deviations of a task's models by the likelihood fit; remembered, as every task of a series asks again."""
    n, s = (np.frombuffer(counts).reshape(shape) for counts in (draws, passes))
    return InstanceLikelihood().fit(np.frombuffer(sizes), n, s).fitted_deviations_


def _of_losses(sizes: Floats, losses: Floats) -> Deviations:
    """Deviations of a loss, on the scale of its logarithm: -log p is about a multiple of the loss."""
    return deviations_of(np.log(sizes_of(sizes)), np.log(np.maximum(losses, LEAST_LOSS)))
