"""Correlations beyond a general factor: what a task shares with the target and not with all other tasks."""

from __future__ import annotations

import math

import numpy as np

from proxy._arrays import Floats
from proxy.relevance._large import LARGE, first_components_without_each
from proxy.relevance._paired import paired
from proxy.relevance.correlation import correlations


def partial_correlations(x: Floats, y: Floats, value: dict[str, Floats]) -> tuple[dict[str, Floats], float]:
    r"""Correlation of each candidate with the target beyond a general factor, and the factor's share of variance.

    The factor is the first principal component of the other candidates (z-scored, gaps at the mean), so a task is
    never held constant by itself.

    Parameters
    ----------
    x : ndarray of float, shape (m, t)
        Scores of m models on t candidates; NaN is a gap.
    y : ndarray of float, shape (m,)
        Scores on the target, complete.
    value : dict of str to ndarray, shape (t,)
        Metric -> correlations of the candidates with the target (`correlations`).

    Returns
    -------
    partial : dict of str to ndarray, shape (t,)
        Metric -> partial correlations, from -1 to 1; NaN with fewer than 3 candidates.
    share : float
        Share of the candidates' variance that the first principal component of all of them holds, from 0 to 1.

    Notes
    -----
    With x a candidate, y the target and g the factor, the first-order formula

    .. math:: (r_{xy} - r_{xg} r_{yg}) / \sqrt{(1 - r_{xg}^2) (1 - r_{yg}^2)}

    is exact for Pearson, and for Kendall is Kendall's own partial tau [1]_.

    References
    ----------
    .. [1] M. G. Kendall, "Partial rank correlation", Biometrika 32, 277-283, 1942.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> ability, skill = rng.normal(size=(2, 60))
    >>> x = ability[:, None] + 0.3 * rng.normal(size=(60, 4))
    >>> x[:, 0] += skill
    >>> partial, _ = partial_correlations(x, ability + skill, correlations(x, ability + skill))
    >>> (partial["pearson"] > 0.5).tolist()
    [True, False, False, False]
    """
    tasks = x.shape[1]
    partial = {metric: np.full(tasks, np.nan) for metric in value}
    with np.errstate(invalid="ignore"):
        z = (x - np.nanmean(x, axis=0)) / np.nanstd(x, axis=0)
    z = np.nan_to_num(z)
    share = _first_component(z)[1]
    if tasks < 3:
        return partial, share
    if x.size > LARGE:
        return _partial_of_many(x, y, z, value), share
    for task in range(tasks):
        factor, _ = _first_component(np.delete(z, task, axis=1))
        known = np.isfinite(x[:, task])
        if np.ptp(factor[known]) == 0:
            continue
        of_task = correlations(x[known][:, [task]], factor[known])
        of_target = correlations(y[known][:, None], factor[known])
        for metric in value:
            a, b, c = value[metric][task], of_task[metric][0], of_target[metric][0]
            rest = (1 - b * b) * (1 - c * c)
            if rest > 1e-12:
                partial[metric][task] = np.clip((a - b * c) / math.sqrt(rest), -1.0, 1.0)
    return partial, share


def _partial_of_many(x: Floats, y: Floats, z: Floats, value: dict[str, Floats]) -> dict[str, Floats]:
    """The partial correlations of all candidates at once."""
    factors = first_components_without_each(z - z.mean(axis=0))
    own = paired(x, factors)
    of_target = paired(np.where(np.isfinite(x), y[:, None], np.nan), factors)
    partial = {}
    for metric, a in value.items():
        b, c = own[metric], of_target[metric]
        rest = (1 - b * b) * (1 - c * c)
        with np.errstate(invalid="ignore", divide="ignore"):
            partial[metric] = np.where(rest > 1e-12, np.clip((a - b * c) / np.sqrt(rest), -1.0, 1.0), np.nan)
    return partial


def _first_component(z: Floats) -> tuple[Floats, float]:
    """Scores of the models on the first principal component, pointing up for most tasks, and its share of variance."""
    left, sizes, right = np.linalg.svd(z - z.mean(axis=0), full_matrices=False)
    sign = 1.0 if right[0].sum() >= 0 else -1.0
    total = float((sizes**2).sum())
    return np.asarray(sign * left[:, 0] * sizes[0]), float(sizes[0] ** 2 / total) if total > 0 else math.nan
