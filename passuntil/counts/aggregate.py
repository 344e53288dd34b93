"""The pass probability of a whole task: the mean over its instances, with what is known of its error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy  # a part of it loads at its first use, and no error waits for that
from scipy.special import expit, logit

from passuntil._arrays import Ints
from passuntil._checks import confidence
from passuntil._text import counted, grid
from passuntil.counts import estimates
from passuntil.counts.intervals import Interval
from passuntil.counts.tally import Tally
from passuntil.errors import PassUntilError


@dataclass(frozen=True, slots=True)
class DatasetEstimate:
    """Mean pass probability of a task, as `dataset_estimate` returns it.

    Parameters
    ----------
    mean : float
        Mean of the unbiased estimates, in [0, 1], instances with no pass and capped ones included.
    se : float
        Standard error of the mean over instances drawn like these.
    se_draws : float
        The part of `se` that more draws remove.
    se_instances : float or None
        The part of `se` that more instances remove; None for a single instance.
    low, high : float
        Confidence interval of the mean, in [0, 1].
    level : float
        Its confidence level, in (0, 1).
    instances : int
        How many instances there are.
    zero, capped, unfinished : int
        How many of them have no pass, met the cap first, go on.
    extended : int, optional
        How many of them were extended after a look, and are then not free of bias (see `Tally`).
    """

    mean: float
    se: float
    se_draws: float
    se_instances: float | None
    low: float
    high: float
    level: float
    instances: int
    zero: int
    capped: int
    unfinished: int
    extended: int = 0

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Lay the mean, its errors and the cells out as text.

        Returns
        -------
        str
            Three lines.
        """
        header = ("mean", f"{self.level:.0%} low", "high", "se", "of draws", "of instances")
        of_instances = "-" if self.se_instances is None else self.se_instances
        row = (self.mean, self.low, self.high, self.se, self.se_draws, of_instances)
        cells = (
            f"{counted(self.instances, 'instance')}: {self.zero} without a pass, {self.capped} at the cap, "
            f"{self.unfinished} unfinished, {self.extended} extended after a look"
        )
        return "\n".join([*grid(header, [row]), cells])

    def interval(self) -> Interval:
        """Give the interval as an object that unpacks into (low, high).

        Returns
        -------
        Interval
            With the method "logit-t".
        """
        return Interval(self.low, self.high, self.level, "logit-t")


def dataset_estimate(tallies: Iterable[Tally], level: float = 0.95) -> DatasetEstimate:
    """Mean pass probability over the instances of one model and one task.

    Parameters
    ----------
    tallies : iterable of Tally
        One an instance, at least one, each with at least one draw.
    level : float, optional
        Confidence level of the interval, in (0, 1).

    Returns
    -------
    DatasetEstimate
        The mean, its standard error by source, its interval and the kinds of cells.

    Raises
    ------
    PassUntilError
        For no tallies, a tally without draws and an impossible level.

    Notes
    -----
    With the unbiased estimates x_i of m instances and the unbiased estimates v_i of their variances::

        mean = sum(x_i) / m,    se^2 = sum((x_i - mean)^2) / (m (m - 1)),    se_draws^2 = sum(v_i) / m^2

    and se_instances^2 is the rest, not below 0. Both are exact in expectation.

    The interval is mean +- t(m - 1) standard errors on the logit scale, so it stays within [0, 1] and is
    longer upwards, as the sampling distribution of a mean of mostly small probabilities is. It is
    approximate: over instances of lognormal difficulty a 95% interval covered 91 to 94% (a percentile
    bootstrap 85 to 93%), and with few instances or few non-zero ones it covers less than `level`. It never
    ends below the bound that holds when no instance passed at all: m instances of n draws (the fewest)
    without a pass give a mean of at most 1 - (a / 2)^(1 / (m n)), a = 1 - level, for these instances;
    likewise from above where every draw passed. One instance has the interval of its tally.

    Examples
    --------
    >>> result = dataset_estimate([Tally(1000, 0), Tally(1000, 40), Tally(1000, 8)])
    >>> round(result.mean, 3), result.zero
    (0.016, 1)
    """
    level = confidence(level)
    tallies = list(tallies)
    if not tallies:
        raise PassUntilError("no tallies were given; a mean needs at least one instance")
    empty = sum(tally.draws == 0 for tally in tallies)
    if empty:
        raise PassUntilError(
            f"tallies must all have draws, unlike {empty} of {len(tallies)} here; leave those out or draw first"
        )
    return estimate_of_kinds(tallies, np.arange(len(tallies)), level)


def estimate_of_kinds(kinds: Sequence[Tally], which: Ints, level: float) -> DatasetEstimate:
    """Estimate the mean over many tallies of which many are alike: each kind is looked at once.

    Parameters
    ----------
    kinds : sequence of Tally
        The different tallies, all with draws.
    which : ndarray of int, shape (instances,)
        The kind of each instance.
    level : float
        Confidence level of the interval, in (0, 1).

    Returns
    -------
    DatasetEstimate
        What `dataset_estimate` gives for the tallies of all instances.
    """
    columns = [
        np.array([c or 0 for c in column])[which] for column in zip(*(t.columns for t in kinds), strict=True)
    ]
    values, noise = estimates.unbiased(*columns), estimates.variance(*columns)
    m = len(which)
    mean = float(values.mean())
    of_draws = float(noise.sum()) / m**2
    # Sampling can put the variance between estimates below what the draws alone bring; the larger one counts.
    total = max(float(values.var(ddof=1)) / m, of_draws) if m > 1 else of_draws
    low, high = kinds[which[0]].interval(level) if m == 1 else _interval(mean, total, m, columns[0], level)
    times = np.bincount(which, minlength=len(kinds)).tolist()
    return DatasetEstimate(
        mean=mean,
        se=math.sqrt(total),
        se_draws=math.sqrt(of_draws),
        se_instances=math.sqrt(total - of_draws) if m > 1 else None,
        low=low,
        high=high,
        level=level,
        instances=m,
        zero=sum(n for n, tally in zip(times, kinds, strict=True) if tally.passes == 0),
        capped=sum(n for n, tally in zip(times, kinds, strict=True) if tally.capped),
        unfinished=sum(n for n, tally in zip(times, kinds, strict=True) if not tally.finished),
        extended=sum(n for n, tally in zip(times, kinds, strict=True) if tally.extended),
    )


def _interval(mean: float, variance: float, m: int, draws: Ints, level: float) -> tuple[float, float]:
    """Logit-t interval of a mean of m estimates, kept outside the exact bounds of "none" and "all" passed."""
    tail = (1.0 - level) / 2.0
    bound = -math.expm1(math.log(tail) / (m * float(draws.min())))
    if mean <= 0.0:
        return 0.0, bound
    if mean >= 1.0:
        return 1.0 - bound, 1.0
    reach = float(scipy.stats.t.ppf(1.0 - tail, m - 1)) * math.sqrt(variance) / (mean * (1.0 - mean))
    low, high = (float(expit(logit(mean) + side * reach)) for side in (-1.0, 1.0))
    return min(low, 1.0 - bound), max(high, bound)
