"""Permutation p values of many correlations, and their adjustment over all tasks together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from proxy._arrays import Floats


class MaxT(NamedTuple):
    """P values of t tasks; NaN where a correlation or its null is undefined.

    Parameters
    ----------
    p_value : ndarray of float, shape (t,)
        One-sided, of each task alone.
    p_adjusted : ndarray of float, shape (t,)
        The same, holding over all tasks together.
    null_mean : ndarray of float, shape (t,)
        Mean correlation over the permutations.
    """

    p_value: Floats
    p_adjusted: Floats
    null_mean: Floats


def max_t(value: Floats, null: Floats) -> MaxT:
    """One-sided permutation p values and their step-down max-T adjustment.

    Each task is measured in deviations of its own null, so tasks with gaps and metrics with other spreads weigh alike.
    The adjustment holds the chance of any false finding among all tasks, whatever their dependence.

    Parameters
    ----------
    value : ndarray of float, shape (t,)
        The correlations of the tasks.
    null : ndarray of float, shape (t, permutations)
        Their correlations with permuted targets.

    Returns
    -------
    MaxT
        p values, adjusted p values and null means.

    Notes
    -----
    With z the correlation of a task in deviations of its null, p = (1 + hits) / (1 + permutations), where a
    permutation hits if its own z is at least as large. For the adjusted p value of the task with the j-th largest z
    a permutation hits if the largest z of that task and all tasks behind it is at least as large; adjusted p values
    never fall from one task to the next [1]_.

    References
    ----------
    .. [1] P. H. Westfall and S. S. Young, "Resampling-Based Multiple Testing", Wiley 1993, algorithm 2.8.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> p, adjusted, _ = max_t(np.array([0.9, 0.1]), rng.normal(scale=0.25, size=(2, 999)))
    >>> bool(p[0] <= adjusted[0] < 0.01 < p[1] <= adjusted[1])
    True
    """
    p, adjusted, centre = (np.full(len(value), np.nan) for _ in range(3))
    if null.shape[1] == 0:
        return MaxT(p, adjusted, centre)
    some = np.isfinite(null).any(axis=1)
    centre[some] = np.nanmean(null[some], axis=1)
    spread = np.zeros(len(value))
    spread[some] = np.nanstd(null[some], axis=1)
    usable = np.flatnonzero(np.isfinite(value) & (spread > 0))
    if not usable.size:
        return MaxT(p, adjusted, centre)
    # The smallest tie of a permutation with the data must count as a hit, whatever its last bit.
    statistic = np.round((value[usable] - centre[usable]) / spread[usable], 9)
    simulated = np.round((null[usable] - centre[usable, None]) / spread[usable, None], 9)
    simulated = np.where(np.isnan(simulated), -np.inf, simulated)
    total = null.shape[1] + 1
    p[usable] = (1 + (simulated >= statistic[:, None]).sum(axis=1)) / total
    order = np.argsort(statistic)[::-1]
    # The maximum over the tasks that are not yet ordered before: from the last upwards.
    running = np.maximum.accumulate(simulated[order[::-1]], axis=0)[::-1]
    stepped = (1 + (running >= statistic[order][:, None]).sum(axis=1)) / total
    adjusted[usable[order]] = np.maximum.accumulate(stepped)
    return MaxT(p, adjusted, centre)
