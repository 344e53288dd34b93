"""Exact confidence intervals for a pass probability under the designs of `Tally`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainccinv, betaincinv

from passuntil._arrays import Floats
from passuntil._checks import confidence
from passuntil.counts.estimates import _columns, stopped_beyond_floor


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval that unpacks into ``(low, high)``.

    low, high: bounds, both in [0, 1]. level: confidence, such as 0.95. method: how it was made ("exact",
    "provisional", ...).

    >>> low, high = Interval(0.1, 0.2, 0.95, "exact")
    >>> low, 0.15 in Interval(0.1, 0.2, 0.95, "exact")
    (0.1, True)
    """

    low: float
    high: float
    level: float
    method: str

    def __iter__(self) -> Iterator[float]:
        return iter((self.low, self.high))

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def exact(
    draws: ArrayLike,
    passes: ArrayLike,
    stopped_at: ArrayLike | None = None,
    r: ArrayLike | None = None,
    floor: ArrayLike | None = None,
    cap: ArrayLike | None = None,
    *,
    level: float = 0.95,
) -> tuple[Floats, Floats]:
    """Clopper-Pearson intervals; arrays as in `passuntil.counts.estimates`, nothing but `level` is checked.

    Along the stopping boundary the outcomes are ordered: many passes by the floor, then an early to a late
    r-th pass, then r - 1 to 0 passes at the cap. A larger p moves weight towards the front of that order,
    so the tail sums that Clopper and Pearson (1934, Biometrika 26:404-413) inverted for the binomial exist
    here too, and every one of them is a binomial tail:

    * ended by the r-th pass at K: ``[Beta(a/2; r, K - r + 1), Beta(1 - a/2; r, K - r)]``;
    * s passes in n draws otherwise: ``[Beta(a/2; s, n - s + 1), Beta(1 - a/2; s + 1, n - s)]``,

    with a = 1 - level. Coverage is at least `level` at every p. Without a pass the lower bound is 0,
    without a failure the upper one is 1.

    Returns (low, high), each of the broadcast shape, in [0, 1]. Raises PassUntilError for a level outside
    (0, 1).
    """
    tail = (1.0 - confidence(level)) / 2.0
    n, s, _ = (c.astype(np.float64) for c in _columns(draws, passes, cap))
    ended = stopped_beyond_floor(stopped_at, r, floor)
    n, s, ended = np.broadcast_arrays(n, s, ended)
    failures = n - s
    # The r-th pass was bound to be the last draw, so it tells nothing against a large p: only s - 1 free
    # passes remain above.
    above = np.where(ended, s, s + 1.0)
    # A shape of 0 has no Beta distribution; those ends are 0 and 1 by definition and are cut out with
    # np.where.
    low = np.where(s > 0, betaincinv(np.maximum(s, 1.0), failures + 1.0, tail), 0.0)
    high = np.where(failures > 0, betainccinv(above, np.maximum(failures, 1.0), tail), 1.0)
    return low, high
