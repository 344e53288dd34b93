"""Confidence sequences: intervals that hold at all times at once, whenever one looks or stops.

The exact interval of `passuntil.counts.intervals` holds for a design that was fixed beforehand. A run that goes on
because of what was seen has no such design. A confidence sequence pays for the looks in width (about a
factor 2 on the log scale) and needs none.

Why it holds. For independent draws and any distribution W on (0, 1) that was fixed beforehand,

    M_n(p) = integral of q^s (1 - q)^(n - s) dW(q) / (p^s (1 - p)^(n - s))

is a martingale with mean 1 at the true p. By Ville's inequality it ever reaches 1 / a with probability at
most a, so the p with M_n(p) < 1 / a hold the truth at every n at once with probability at least 1 - a
(Robbins 1970, Annals of Mathematical Statistics 41:1397-1409). The choice of W changes the width and never
the validity. Here W is a mixture of Beta distributions, one a factor of ten, so that p = 1e-6 is found as
sharply as p = 1e-2: a single Beta(1/2, 1/2) has to pay log(1 / sqrt(p)) first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaln, expit, logsumexp, xlog1py, xlogy

from passuntil._arrays import Floats
from passuntil._checks import confidence
from passuntil.counts._columns import whole_columns
from passuntil.errors import PassUntilError

#: The mixture W: Beta(SHAPE, SHAPE * 10^j) for j = 0 .. DECADES, with weights that fall slowly in j.
SHAPE = 1.0
DECADES = 12
_B = SHAPE * 10.0 ** np.arange(DECADES + 1)
_LOG_WEIGHT = -np.log(np.arange(DECADES + 1) + 2.0)
_LOG_WEIGHT = _LOG_WEIGHT - logsumexp(_LOG_WEIGHT)
#: Bisection on the logit of p: 70 halvings of [-80, 80] end far below any difference that could be seen.
_WIDEST, _HALVINGS = 80.0, 70


def _log_mixture(draws: Floats, passes: Floats) -> Floats:
    """log of the integral of q^s (1 - q)^(n - s) dW(q), of the shape of the counts."""
    n, s = draws[..., None], passes[..., None]
    return np.asarray(
        logsumexp(_LOG_WEIGHT + betaln(SHAPE + s, _B + n - s) - betaln(SHAPE, _B), axis=-1), dtype=np.float64
    )


def log_evidence(draws: ArrayLike, passes: ArrayLike, p: ArrayLike) -> Floats:
    """Evidence against p, log M_n(p); at log(1 / a) p leaves the sequence of level 1 - a.

    Parameters
    ----------
    draws, passes : array_like of int
        Counts in draw order, 0 <= s <= n, not checked. All three are broadcast against each other.
    p : array_like of float
        Pass probabilities, in [0, 1].

    Returns
    -------
    ndarray
        Natural logarithms, of the broadcast shape.

    Notes
    -----
    The mixture W is described at the head of this module::

        M_n(p) = integral of q^s (1 - q)^(n - s) dW(q) / (p^s (1 - p)^(n - s))
    """
    n, s, q = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (draws, passes, p)))
    return np.asarray(_log_mixture(n, s) - xlogy(s, q) - xlog1py(n - s, -q), dtype=np.float64)


def sequence(draws: ArrayLike, passes: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Confidence sequence at these counts, valid at all n at once, exactly.

    Parameters
    ----------
    draws, passes : array_like of int
        Counts in draw order, 0 <= s <= n, not checked, broadcast against each other. With the same number
        of draws on each of several instances the totals may be given too: what comes out then holds for the
        mean of their pass probabilities, because log(1 + c p) is concave in p.
    level : float, optional
        Confidence level, in (0, 1).

    Returns
    -------
    low, high : ndarray
        Bounds in [0, 1], of the broadcast shape; 0 and 1 without draws.

    Raises
    ------
    PassUntilError
        For a level outside (0, 1).

    Notes
    -----
    The p with M_n(p) < 1 / (1 - level), see `log_evidence`; the ends are solved by bisection.

    References
    ----------
    .. [1] Robbins (1970), Annals of Mathematical Statistics 41:1397-1409.

    Examples
    --------
    >>> low, high = sequence(10_000, 12)
    >>> round(float(low), 5), round(float(high), 5)
    (0.00034, 0.0029)
    """
    alpha = 1.0 - confidence(level)
    n, s = np.broadcast_arrays(np.asarray(draws, dtype=np.float64), np.asarray(passes, dtype=np.float64))
    # p is in as long as its log-likelihood is above this.
    line = _log_mixture(n, s) + np.log(alpha)
    with np.errstate(divide="ignore", invalid="ignore"):
        top = np.where(n > 0, np.log(s) - np.log(n - s), 0.0)
    top = np.clip(np.nan_to_num(top, nan=0.0, posinf=_WIDEST, neginf=-_WIDEST), -_WIDEST, _WIDEST)

    def cross(outer: float) -> Floats:
        """The logit between `outer` (out) and the likelihood's top (in) where the line is crossed."""
        inside, outside = top.copy(), np.full_like(top, outer)
        for _ in range(_HALVINGS):
            middle = 0.5 * (inside + outside)
            # log p and log(1 - p) from the logit, exact at both ends.
            held = -s * np.logaddexp(0.0, -middle) - (n - s) * np.logaddexp(0.0, middle) > line
            inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
        return np.asarray(expit(outside), dtype=np.float64)

    low = np.where(s > 0, cross(-_WIDEST), 0.0)
    high = np.where(n - s > 0, cross(_WIDEST), 1.0)
    return np.where(n > 0, low, 0.0), np.where(n > 0, high, 1.0)


def running(draws: ArrayLike, passes: ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Confidence sequence after each of several looks, each cut with all earlier ones: it only ever narrows.

    Parameters
    ----------
    draws, passes : array_like of int, shape (looks,)
        The counts at each look, both never falling.
    level : float, optional
        Confidence level, in (0, 1).

    Returns
    -------
    low, high : ndarray, shape (looks,)
        Bounds in [0, 1]. Should the looks contradict each other (probability at most 1 - level), low exceeds
        high there: the draws are not independent with one p.

    Raises
    ------
    PassUntilError
        For counts that cannot be and a level outside (0, 1).

    Examples
    --------
    >>> low, high = running([100, 1000, 1100], [1, 10, 10])
    >>> bool((low[1:] >= low[:-1]).all() and (high[1:] <= high[:-1]).all())
    True
    """
    n, s = whole_columns(draws, passes)
    if n.ndim != 1 or n.size == 0:
        raise PassUntilError(f"looks must have one dimension and at least one entry, not shape {n.shape}")
    if (np.diff(n) < 0).any() or (np.diff(s) < 0).any() or (np.diff(n) < np.diff(s)).any():
        raise PassUntilError(
            "draws and passes must not fall from look to look, and no look adds more passes than draws"
        )
    low, high = sequence(n, s, level=level)
    return np.maximum.accumulate(low), np.minimum.accumulate(high)


def mixture_boundary(variance: ArrayLike, *, level: float = 0.95, tuned_to: float | None = None) -> Floats:
    """How far a sum of martingale differences may wander by the time its variance is `variance`.

    Parameters
    ----------
    variance : array_like of float
        v >= 0, in the square of the unit of the sum.
    level : float, optional
        Confidence level, in (0, 1).
    tuned_to : float, optional
        The variance near which the boundary is narrowest, about 2.9 standard errors at level 0.95. It has to
        be fixed before the draws; left out, it is `variance` itself: honest for one look only.

    Returns
    -------
    ndarray
        The distance, of the shape of `variance`; 0 where the variance is.

    Raises
    ------
    PassUntilError
        For a level outside (0, 1).

    Notes
    -----
    Robbins' normal mixture, with a = 1 - level and t from `tuned_to`::

        sqrt((v + t) log((v + t) / (t a^2)))

    It is exact for normal differences, and in the limit of many draws for others with an estimated
    variance [1]_.

    References
    ----------
    .. [1] Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (2021), arXiv 2103.06476.
    """
    alpha = 1.0 - confidence(level)
    v = np.asarray(variance, dtype=np.float64)
    # Minimising over t at v = tuned_to; the usual approximation of the minimiser is within 1% in width.
    share = -2.0 * np.log(alpha) + np.log(-2.0 * np.log(alpha) + 1.0)
    t = (v if tuned_to is None else float(tuned_to)) / share
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.sqrt((v + t) * np.log((v + t) / (t * alpha**2)))
    return np.asarray(np.where(v > 0, reach, 0.0), dtype=np.float64)
