"""A bought relative error: how many passes it costs, and the estimate that keeps the promise at every p.

Huber's gamma Bernoulli approximation scheme (arXiv 1309.5413). Put the draws on a clock that rings at rate
1: the passes then ring at rate p, so the time R of the k-th pass is Gamma(k) / p and p R is Gamma(k)
whatever p is. (k - 1) / R is unbiased, and its relative error has one known distribution for all p: k can
be read off it before anything is drawn. Given K, R is Gamma(K): it needs nothing but K and a seed.

Averaging over the clock gives back (k - 1) / (K - 1), the estimate without a seed: E[1 / R | K] = 1 / (K -
1). Its spread is a little smaller, and its error depends on p only through being discrete; the promise is
proved for the estimate with the clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainc, gammaincc, gammainccinv, gammaincinv

from passuntil._checks import confidence, relative_error, whole
from passuntil.counts.intervals import Interval
from passuntil.errors import PassUntilError

#: More passes than this are not looked for: an epsilon below 0.002 or so is a slip.
_MOST_PASSES = 10**7


def failure_probability(k: int, epsilon: float) -> float:
    """Probability that the estimate misses p by more than `epsilon` p; the same for every p.

    Parameters
    ----------
    k : int
        Passes, at least 2.
    epsilon : float
        Relative error, in (0, 1).

    Returns
    -------
    float
        In (0, 1).

    Raises
    ------
    PassUntilError
        For another k or epsilon.

    Notes
    -----
    With G of the distribution Gamma(k, 1)::

        P(|(k - 1) / R - p| > epsilon p) = P(G < (k - 1) / (1 + epsilon)) + P(G > (k - 1) / (1 - epsilon))

    Examples
    --------
    >>> round(failure_probability(97, 0.2), 4)
    0.0493
    """
    k, epsilon = whole("k", k, least=2), relative_error("epsilon", epsilon)
    return float(gammainc(k, (k - 1) / (1.0 + epsilon)) + gammaincc(k, (k - 1) / (1.0 - epsilon)))


def passes_needed(epsilon: float, level: float = 0.95) -> int:
    """Fewest passes k that keep the relative error within `epsilon` with probability `level`, at every p.

    It is exact, from the Gamma distribution by bisection (see `failure_probability`).

    Parameters
    ----------
    epsilon : float
        Relative error, in (0, 1).
    level : float, optional
        Probability of keeping it, in (0, 1).

    Returns
    -------
    int
        Passes, at least 2.

    Raises
    ------
    PassUntilError
        For an epsilon or a level outside (0, 1), and where more than ten million passes would be needed.

    References
    ----------
    .. [1] Huber (2013), arXiv 1309.5413.

    Examples
    --------
    >>> [passes_needed(e) for e in (0.5, 0.2, 0.1)]
    [17, 97, 385]
    """
    epsilon, miss = relative_error("epsilon", epsilon), 1.0 - confidence(level)
    high = 2
    while failure_probability(high, epsilon) > miss:
        high *= 2
        if high > _MOST_PASSES:
            raise PassUntilError(
                f"epsilon {epsilon:g} needs more than {_MOST_PASSES} passes; take a larger one"
            )
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if failure_probability(middle, epsilon) <= miss else (middle, high)
    # The failure probability falls in k but for k of a few; step back over any earlier k that does.
    while high > 2 and failure_probability(high - 1, epsilon) <= miss:
        high -= 1
    return high


@dataclass(frozen=True, slots=True)
class GammaEstimate:
    """Estimate (k - 1) / R of a run that stopped at the k-th pass, as `gamma_estimate` returns it.

    Parameters
    ----------
    value : float
        The estimate, above 0; it can exceed 1 for p near 1.
    low, high : float
        The interval, with exactly the coverage `level` at every p (before it is cut at 1).
    level : float
        Confidence level, in (0, 1).
    epsilon : float or None
        The relative error that k passes keep at this level; None where k is too small to keep one below 1.
    k : int
        The passes.
    stopped_at : int
        The draw of the last of them.
    seed : int
        What drew the clock.
    """

    value: float
    low: float
    high: float
    level: float
    epsilon: float | None
    k: int
    stopped_at: int
    seed: int

    def interval(self) -> Interval:
        """Give the interval as an object that unpacks into (low, high).

        Returns
        -------
        Interval
            With the method "gbas".
        """
        return Interval(self.low, self.high, self.level, "gbas")


def gamma_estimate(*, k: int, stopped_at: int, level: float = 0.95, seed: int = 0) -> GammaEstimate:
    """Estimate p from the draw of the k-th pass, with an error whose distribution is the same at every p.

    Parameters
    ----------
    k : int
        Passes, at least 2.
    stopped_at : int
        K >= k, their last draw, of a run that no floor and no cap ended.
    level : float, optional
        Confidence level of the interval, in (0, 1).
    seed : int, optional
        At least 0; the same seed and counts give the same estimate. Give each instance its own.

    Returns
    -------
    GammaEstimate
        The estimate, its interval and the relative error that it keeps.

    Raises
    ------
    PassUntilError
        For K below k and for other impossible values.

    Notes
    -----
    (k - 1) / R with R ~ Gamma(K), the time of the k-th pass; p R is Gamma(k), which gives the interval
    [Gamma(a/2; k) / R, Gamma(1 - a/2; k) / R], a = 1 - level.

    References
    ----------
    .. [1] Huber (2013), arXiv 1309.5413.

    Examples
    --------
    >>> estimate = gamma_estimate(k=97, stopped_at=9_500, seed=4)
    >>> estimate.low < 96 / 9_499 < estimate.high, round(estimate.epsilon, 2)
    (True, 0.2)
    """
    k = whole("k", k, least=2)
    stopped_at = whole("stopped_at", stopped_at, least=1)
    if stopped_at < k:
        raise PassUntilError(
            f"stopped_at ({stopped_at}) is below k ({k}): the k-th pass cannot come before draw k"
        )
    level = confidence(level)
    seed = whole("seed", seed)
    clock = float(np.random.default_rng([seed, k, stopped_at]).gamma(stopped_at))
    tail = (1.0 - level) / 2.0
    return GammaEstimate(
        value=(k - 1) / clock,
        low=min(float(gammaincinv(k, tail)) / clock, 1.0),
        high=min(float(gammainccinv(k, tail)) / clock, 1.0),
        level=level,
        epsilon=_epsilon_of(k, level),
        k=k,
        stopped_at=stopped_at,
        seed=seed,
    )


def _epsilon_of(k: int, level: float) -> float | None:
    """The relative error that k passes keep at this level, by bisection; None if none below 1 is kept."""
    miss, low, high = 1.0 - level, 1e-9, 1.0 - 1e-9
    if failure_probability(k, high) > miss:
        return None
    while high - low > 1e-9:
        middle = math.sqrt(low * high) if low < 1e-3 else (low + high) / 2
        low, high = (low, middle) if failure_probability(k, middle) <= miss else (middle, high)
    return high
