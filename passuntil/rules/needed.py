"""How surely a further draw will be needed, so that no more are begun than a stopping rule will count.

Draw j from now is needed if fewer passes than are missing come in the j - 1 draws before it. With p's
posterior Beta(a, b), the passes in m further draws are beta-binomial (Gelman et al., Bayesian Data Analysis,
3rd edition, section 2.4), so the draw is needed with probability P(BetaBinomial(j - 1, a, b) < missing).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from passuntil._arrays import Floats, Ints
from passuntil.rules.prior import BetaPrior

#: Jeffreys' prior of a pass probability of which nothing is known.
JEFFREYS = BetaPrior(0.5, 0.5)
#: Neighbouring points of the grid of draws ahead differ by this factor, above small whole numbers.
GRID_STEP = 1.3


def probability_needed(ahead: ArrayLike, *, missing: ArrayLike, a: ArrayLike, b: ArrayLike) -> Floats:
    """Compute the probability that a further draw comes before the last missing pass.

    Parameters
    ----------
    ahead : array_like of int
        Number of the draw from now on; 1 is the next.
    missing : array_like of int
        Passes still wanted; 0 or less needs nothing.
    a, b : array_like of float
        Shape of the posterior of p, Beta(a, b); above 0.

    Returns
    -------
    ndarray of float
        In the shape that the arguments broadcast to. Exact: a finite sum of `missing` terms, in logarithms.

    Notes
    -----
    P(BetaBinomial(ahead - 1, a, b) < missing).

    References
    ----------
    .. [1] Gelman et al., "Bayesian Data Analysis", 3rd edition, section 2.4.

    Examples
    --------
    >>> probability_needed([1, 2, 10], missing=1, a=0.5, b=0.5).round(4).tolist()
    [1.0, 0.5, 0.1855]
    """
    m, k, a, b = np.broadcast_arrays(
        np.asarray(ahead, np.float64) - 1.0,
        np.asarray(missing, np.float64),
        np.asarray(a, np.float64),
        np.asarray(b, np.float64),
    )
    most = int(k.max(initial=0.0))
    if most < 1:
        return np.zeros(m.shape)
    x = np.arange(most - 1, dtype=np.float64)
    m_, a_, b_ = m[..., None], a[..., None], b[..., None]
    # P(X = x + 1) / P(X = x); beyond x = m it is 0, and its logarithm minus infinity.
    ratios = np.maximum(m_ - x, 0.0) * (a_ + x) / ((x + 1.0) * np.maximum(b_ + m_ - x - 1.0, b_))
    none = gammaln(b + m) + gammaln(a + b) - gammaln(b) - gammaln(a + b + m)
    with np.errstate(divide="ignore"):
        logs = np.concatenate(
            [none[..., None], none[..., None] + np.cumsum(np.log(ratios), axis=-1)], axis=-1
        )
    terms = np.exp(logs) * (np.arange(most) < k[..., None])
    return np.minimum(terms.sum(axis=-1), 1.0)


def draws_needed(
    draws: ArrayLike,
    passes: ArrayLike,
    *,
    r: int,
    floor: int = 0,
    cap: int,
    level: ArrayLike,
    prior: BetaPrior = JEFFREYS,
) -> Ints:
    """Say how many of the next draws are each needed with a probability of at least `level`.

    Draws up to the floor and as many as passes are missing are needed for certain; none is beyond the cap.

    Parameters
    ----------
    draws, passes : array_like of int, shape (units,)
        Counts so far in draw order; passes beyond the r-th may be among them.
    r, floor, cap : int
        The rule: passes wanted, fewest and most draws.
    level : float or array_like of float, shape (levels,)
        Probabilities in [0, 1].
    prior : BetaPrior, optional
        The prior of p; Jeffreys' if left out.

    Returns
    -------
    ndarray of int, shape (units,) or (units, levels)
        A point of a geometric grid: it falls short of the exact answer by less than a third, never beyond it.

    Examples
    --------
    >>> draws_needed([0, 100], [0, 9], r=10, cap=1000, level=0.95).tolist()
    [10, 1]
    """
    n, s = (np.atleast_1d(np.asarray(counts, np.int64)) for counts in (draws, passes))
    levels = np.asarray(level, np.float64)
    missing = np.maximum(r - s, 0)
    room = np.maximum(cap - n, 0)
    sure = np.minimum(np.maximum(missing, floor - n), room)
    grid = np.maximum(sure[:, None], 1) * _steps(max(cap, 1))
    grid = np.minimum(np.ceil(grid).astype(np.int64), np.maximum(room, 1)[:, None])
    probability = probability_needed(
        grid, missing=missing[:, None], a=(prior.a + s)[:, None], b=(prior.b + n - s)[:, None]
    )
    enough = probability[:, :, None] >= np.atleast_1d(levels)
    most = np.where(enough, grid[:, :, None], 0).max(axis=1)
    most = np.minimum(np.maximum(most, sure[:, None]), room[:, None])
    return most if levels.ndim else most[:, 0]


def _steps(cap: int) -> Floats:
    count = int(np.ceil(np.log(cap) / np.log(GRID_STEP))) + 1
    return np.asarray(GRID_STEP ** np.arange(count), dtype=np.float64)
