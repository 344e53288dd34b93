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

from passuntil._checks import confidence, real, whole
from passuntil.counts.intervals import Interval
from passuntil.errors import PassUntilError

#: More passes than this are not looked for: an epsilon below 0.002 or so is a slip.
_MOST_PASSES = 10**7


def relative_error(name: str, value: object) -> float:
    """A relative error strictly between 0 and 1."""
    number = real(name, value)
    if not 0.0 < number < 1.0:
        raise PassUntilError(f"{name} must lie between 0 and 1, such as 0.2 for 20%, not {number:g}")
    return number


def failure_probability(k: int, epsilon: float) -> float:
    """Probability that (k - 1) / R misses p by more than `epsilon` p; the same for every p.

    k >= 2 passes, 0 < epsilon < 1. It is P(G < (k - 1) / (1 + epsilon)) + P(G > (k - 1) / (1 - epsilon)) for
    G of the distribution Gamma(k, 1). Raises PassUntilError for others.

    >>> round(failure_probability(97, 0.2), 4)
    0.0493
    """
    k, epsilon = whole("k", k, least=2), relative_error("epsilon", epsilon)
    return float(gammainc(k, (k - 1) / (1.0 + epsilon)) + gammaincc(k, (k - 1) / (1.0 - epsilon)))


def passes_needed(epsilon: float, level: float = 0.95) -> int:
    """The fewest passes k with a relative error of at most `epsilon`, with probability `level`, at every p.

    Found exactly from the Gamma distribution by bisection. Raises PassUntilError for an epsilon or a level
    outside (0, 1), and where more than ten million passes would be needed.

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
    """The estimate (k - 1) / R of a run that stopped at the k-th pass.

    value: the estimate, above 0; it can exceed 1 for p near 1. low, high: the interval of level `level`, with
    exactly that coverage at every p (before it is cut at 1). epsilon: the relative error that k passes keep
    at this level, None where k is too small to keep one below 1. seed: what drew the clock. k, stopped_at:
    the passes, and the draw of the last of them.
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
        """The interval as an object that unpacks into (low, high)."""
        return Interval(self.low, self.high, self.level, "gbas")


def gamma_estimate(*, k: int, stopped_at: int, level: float = 0.95, seed: int = 0) -> GammaEstimate:
    """Estimate p from the draw of the k-th pass, with an error whose distribution is the same at every p.

    k: passes, at least 2. stopped_at: K >= k, their last draw, of a run that no floor and no cap ended.
    seed: any whole number not below 0; the same seed and counts give the same estimate. Give each instance
    its own. Raises PassUntilError for K below k and for other impossible values.

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
