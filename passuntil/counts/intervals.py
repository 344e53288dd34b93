"""Exact confidence intervals for a pass probability under the designs of `Tally`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainccinv, betaincinv

from passuntil._arrays import Floats
from passuntil._checks import confidence
from passuntil.counts._columns import columns_of, stopped_beyond_floor


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval that unpacks into ``(low, high)``.

    Parameters
    ----------
    low, high : float
        Bounds; of a pass probability both in [0, 1].
    level : float
        Confidence level, such as 0.95.
    method : str
        What it was computed by: "exact", "provisional", "sequence", ...

    Examples
    --------
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
    """Clopper-Pearson intervals under a stopping rule: coverage is at least `level` at every p.

    Nothing but `level` is checked.

    Parameters
    ----------
    draws, passes, stopped_at, r, floor, cap : array_like of int, optional
        The columns of tallies, as in `passuntil.counts.estimates.unbiased`.
    level : float, optional
        Confidence level, in (0, 1).

    Returns
    -------
    low, high : ndarray
        Bounds in [0, 1], each of the broadcast shape. Without a pass the lower bound is 0, without a failure
        the upper one is 1.

    Raises
    ------
    PassUntilError
        For a level outside (0, 1).

    Notes
    -----
    Along the stopping boundary the outcomes are ordered: many passes by the floor, then an early to a late
    r-th pass, then r - 1 to 0 passes at the cap. A larger p moves weight towards the front of that order,
    so the tail sums that Clopper and Pearson inverted for the binomial [1]_ exist here too, and every one of
    them is a binomial tail. With a = 1 - level and Beta(q; x, y) a quantile::

        [Beta(a/2; r, K - r + 1), Beta(1 - a/2; r, K - r)]        ended by the r-th pass at K
        [Beta(a/2; s, n - s + 1), Beta(1 - a/2; s + 1, n - s)]    s passes in n draws otherwise

    References
    ----------
    .. [1] Clopper and Pearson (1934), Biometrika 26:404-413.

    Examples
    --------
    >>> low, high = exact([100, 37], [0, 5], [0, 37], 5, None, 100)
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.0, 0.0454], [0.0362, 0.2606])
    """
    tail = (1.0 - confidence(level)) / 2.0
    n, s, _ = (c.astype(np.float64) for c in columns_of(draws, passes, cap))
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
