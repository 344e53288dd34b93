"""What stands beside a relevance: a null with correction, intervals, and the part beyond a general factor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from proxy._arrays import Floats
from proxy.relevance.kernels import correlations


def max_t(value: Floats, null: Floats) -> tuple[Floats, Floats, Floats]:
    """One-sided permutation p values, their step-down max-T adjustment, and the null means (tasks).

    value: tasks. null: tasks x permutations. Each task is measured in deviations of its own null, so tasks with
    gaps and metrics with other spreads weigh alike. The adjustment holds the chance of any false finding among all
    tasks, whatever their dependence (Westfall and Young 1993, algorithm 2.8). p = (1 + hits) / (1 + permutations).

    >>> rng = np.random.default_rng(0)
    >>> p, adjusted, _ = max_t(np.array([0.9, 0.1]), rng.normal(scale=0.25, size=(2, 999)))
    >>> bool(p[0] <= adjusted[0] < 0.01 < p[1] <= adjusted[1])
    True
    """
    p, adjusted, centre = (np.full(len(value), np.nan) for _ in range(3))
    if null.shape[1] == 0:
        return p, adjusted, centre
    some = np.isfinite(null).any(axis=1)
    centre[some] = np.nanmean(null[some], axis=1)
    spread = np.zeros(len(value))
    spread[some] = np.nanstd(null[some], axis=1)
    usable = np.flatnonzero(np.isfinite(value) & (spread > 0))
    if not usable.size:
        return p, adjusted, centre
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
    return p, adjusted, centre


def intervals(metric: str, value: Floats, models: NDArray[Any], level: float) -> tuple[Floats, Floats]:
    """Fisher-z intervals of correlations over so many models.

    The variance of atanh(r) is 1 / (m - 3) for Pearson, (1 + r^2 / 2) / (m - 3) for Spearman and .437 / (m - 4) for
    Kendall (Fieller, Hartley and Pearson 1957; Bonett and Wright 2000); [-1, 1] where m is too small. A correlation
    of exactly 1 is drawn in by one discordant half pair, so that its interval has a width.

    >>> low, high = intervals("pearson", np.array([0.5]), np.array([28]), 0.95)
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


def partial_correlations(x: Floats, y: Floats, value: dict[str, Floats]) -> tuple[dict[str, Floats], float]:
    """Correlation of each candidate with the target beyond a general factor, and the factor's share of variance.

    The factor is the first principal component of the other candidates (z-scored, gaps at the mean), so a task is
    never held constant by itself. The first-order formula (r_xy - r_xg r_yg) / sqrt((1 - r_xg^2)(1 - r_yg^2)) is
    exact for Pearson, and for Kendall is Kendall's own partial tau. NaN with fewer than 3 candidates.
    """
    tasks = x.shape[1]
    out = {metric: np.full(tasks, np.nan) for metric in value}
    with np.errstate(invalid="ignore"):
        z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    z = np.nan_to_num(z)
    share = first_component(z)[1]
    if tasks < 3:
        return out, share
    for task in range(tasks):
        factor, _ = first_component(np.delete(z, task, axis=1))
        known = np.isfinite(x[:, task])
        if np.ptp(factor[known]) == 0:
            continue
        of_task = correlations(x[known][:, [task]], factor[known])
        of_target = correlations(y[known][:, None], factor[known])
        for metric in value:
            a, b, c = value[metric][task], of_task[metric][0], of_target[metric][0]
            rest = (1 - b * b) * (1 - c * c)
            if rest > 1e-12:
                out[metric][task] = np.clip((a - b * c) / math.sqrt(rest), -1.0, 1.0)
    return out, share


def first_component(z: Floats) -> tuple[Floats, float]:
    """Scores of the models on the first principal component, pointing up for most tasks, and its share of variance."""
    left, sizes, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    sign = 1.0 if right[0].sum() >= 0 else -1.0
    total = float((sizes**2).sum())
    return np.asarray(sign * left[:, 0] * sizes[0]), float(sizes[0] ** 2 / total) if total > 0 else math.nan
