"""What a run under `DatasetPrecision` says of the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import expit, logit, ndtri

from passuntil._arrays import Floats
from passuntil._text import grid
from passuntil.counts.intervals import Interval
from passuntil.counts.sequences import mixture_boundary, sequence
from passuntil.rules.allocation import Rounds, weighted_estimates


@dataclass(frozen=True, slots=True)
class AdaptiveEstimate:
    """The mean over the instances of a run under `DatasetPrecision`.

    Parameters
    ----------
    mean : float
        The mean pass probability, unbiased once the run is done.
    se : float
        Its standard error over instances drawn like these.
    se_draws : float
        Its standard error for these instances, from draws alone.
    low, high : float
        Interval of the mean of these instances at the end that the rule planned.
    level : float
        Confidence level of the intervals.
    sequence : Interval
        The wider interval that also holds if the run is extended because of it.
    values, variances : tuple of float, shape (instances,)
        The estimate of each instance, and its variance.
    draws : int
        Draws of all instances.
    target_se : float
        The standard error asked for.
    met : bool
        Whether `se_draws` is within 10% of the target.
    done : bool
        False while rounds are to come: then all is provisional.

    Notes
    -----
    The interval is normal on the logit scale, by the central limit theorem of martingales: the weights of a round
    are set before it is drawn.
    """

    mean: float
    se: float
    se_draws: float
    low: float
    high: float
    level: float
    sequence: Interval
    values: tuple[float, ...]
    variances: tuple[float, ...]
    draws: int
    target_se: float
    met: bool
    done: bool

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Return the estimate as text.

        Returns
        -------
        str
            Lines without a line break at the end.
        """
        header = ("mean", f"{self.level:.0%} low", "high", "se of draws", "target", "sequence low", "high")
        ends = self.sequence
        row = (self.mean, self.low, self.high, self.se_draws, self.target_se, ends.low, ends.high)
        state = "done" if self.done else "provisional"
        met = "met" if self.met else "not met"
        told = f"{len(self.values)} instances, {self.draws} draws; {state}, target {met}"
        return "\n".join([*grid(header, [row]), told])

    def interval(self) -> Interval:
        """Return the interval as an object that unpacks into (low, high).

        Returns
        -------
        Interval
            Its method is "martingale", or "provisional" while rounds are to come.
        """
        return Interval(self.low, self.high, self.level, "martingale" if self.done else "provisional")


def summarise(
    rounds: Rounds, weights: Floats, *, target: float, relative: bool, done: bool, level: float
) -> AdaptiveEstimate:
    """Estimate the mean from closed rounds.

    Parameters
    ----------
    rounds : Rounds
        The closed rounds.
    weights : ndarray of float, shape (rounds, instances)
        The weight that the pass rate of each has in the estimate.
    target : float
        The rule's target.
    relative : bool
        Whether it is a share of the mean.
    done : bool
        Whether no round follows.
    level : float
        Confidence level of the intervals, in (0, 1).

    Returns
    -------
    AdaptiveEstimate
        The mean with its errors and intervals.
    """
    values, variances = weighted_estimates(rounds, weights)
    m = values.size
    mean, of_draws = float(values.mean()), float(variances.sum()) / m**2
    total = max(float(values.var(ddof=1)) / m, of_draws) if m > 1 else of_draws
    aim = target * mean if relative else target
    n, _ = rounds.totals
    z = float(ndtri(0.5 + level / 2.0))
    low, high = _around(mean, z * math.sqrt(of_draws))
    # No pass (or no failure) at all has no normal interval: it gets the exact bound of the fewest draws.
    nothing = sequence(int(n.min()) * m, 0, level=level)
    bound = float(nothing[1])
    if mean <= 0.0:
        low, high = 0.0, bound
    if mean >= 1.0:
        low, high = 1.0 - bound, 1.0
    reach = float(mixture_boundary(of_draws, level=level, tuned_to=max(aim, 1e-12) ** 2))
    wide = _around(mean, reach) if 0.0 < mean < 1.0 else (low, high)
    return AdaptiveEstimate(
        mean=mean,
        se=math.sqrt(total),
        se_draws=math.sqrt(of_draws),
        low=low,
        high=high,
        level=level,
        sequence=Interval(*wide, level, "sequence"),
        values=tuple(values.tolist()),
        variances=tuple(variances.tolist()),
        draws=int(n.sum()),
        target_se=aim,
        met=math.sqrt(of_draws) <= 1.1 * aim,
        done=done,
    )


def _around(mean: float, reach: float) -> tuple[float, float]:
    """mean +- reach on the logit scale, for a mean strictly between 0 and 1."""
    if not 0.0 < mean < 1.0:
        return mean, mean
    side = reach / (mean * (1.0 - mean))
    return float(expit(logit(mean) - side)), float(expit(logit(mean) + side))
