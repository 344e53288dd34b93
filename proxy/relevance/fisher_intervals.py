"""Intervals of correlations by Fisher's z."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from proxy._arrays import Floats


def fisher_intervals(metric: str, value: Floats, models: NDArray[Any], level: float) -> tuple[Floats, Floats]:
    """Fisher-z intervals of correlations over so many models.

    A correlation of exactly 1 is drawn in by one discordant half pair, so that its interval has a width.

    Parameters
    ----------
    metric : {"pearson", "spearman", "kendall"}
        Which correlation they are.
    value : ndarray of float, shape (t,)
        The correlations r, from -1 to 1.
    models : ndarray of int, shape (t,)
        Over how many models m each was taken.
    level : float
        Confidence level, strictly between 0 and 1.

    Returns
    -------
    low : ndarray of float, shape (t,)
        Lower ends; -1 where m is too small.
    high : ndarray of float, shape (t,)
        Upper ends; 1 where m is too small.

    Notes
    -----
    The variance of atanh(r) is 1 / (m - 3) for Pearson, (1 + r^2 / 2) / (m - 3) for Spearman [2]_ and .437 / (m - 4)
    for Kendall [1]_.

    References
    ----------
    .. [1] E. C. Fieller, H. O. Hartley and E. S. Pearson, "Tests for rank correlation coefficients. I", Biometrika
       44, 470-481, 1957.
    .. [2] D. G. Bonett and T. A. Wright, "Sample size requirements for estimating Pearson, Kendall and Spearman
       correlations", Psychometrika 65, 23-28, 2000.

    Examples
    --------
    >>> low, high = fisher_intervals("pearson", np.array([0.5]), np.array([28]), 0.95)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.156], [0.736])
    """
    m = np.asarray(models, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = {
            "pearson": 1.0 / (m - 3),
            "spearman": (1.0 + value**2 / 2.0) / (m - 3),
            "kendall": 0.437 / (m - 4),
        }[metric]
        edge = 1.0 - 2.0 / (m * (m - 1))
        centre = np.arctanh(np.clip(value, -edge, edge))
        reach = norm.ppf(0.5 + level / 2.0) * np.sqrt(np.where(variance > 0, variance, np.inf))
    low, high = np.tanh(centre - reach), np.tanh(centre + reach)
    return np.minimum(low, value), np.maximum(high, value)
