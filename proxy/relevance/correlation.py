"""Correlations of many tasks with one target over many sets of models at once, and with many targets over all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from proxy._arrays import Floats
from proxy.choices import METRICS
from proxy.errors import ProxyError
from proxy.relevance._gaps import ROUNDING, masked_permuted_correlations, masked_set_correlations
from proxy.relevance._large import LARGE, partner_kendall
from proxy.relevance._rank_correlations import by_model, by_set, ratio

#: Above so many models the sign matrices of all of them no longer fit ...
MOST_MODELS = 1500
#: ... and those of one set up to so many.
MOST_MEMBERS = 400
#: A correlation of fewer models is no number.
LEAST_MODELS = 3


def set_correlations(
    candidates: ArrayLike, target: ArrayLike, sets: ArrayLike, metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Correlation of each candidate with the target over each set of models.

    Kendall's is tau-b, Spearman's takes average ranks.

    Parameters
    ----------
    candidates : array_like of float, shape (m, t)
        Scores of m models on t tasks; NaN is a gap.
    target : array_like of float, shape (m,)
        Scores on the target, complete.
    sets : array_like of int, shape (k, m)
        How often each model is in each of k sets: 0, 1, or a bootstrap's counts.
    metrics : sequence of str, optional
        Which of `METRICS`.

    Returns
    -------
    dict of str to ndarray of float, shape (t, k)
        Metric -> correlations, from -1 to 1; NaN where a task or the target is constant, or fewer than 3 models are
        left.

    Raises
    ------
    ProxyError
        For shapes that do not fit, and a target with gaps.

    Examples
    --------
    >>> sets = [[1, 1, 1, 1], [1, 1, 1, 0]]
    >>> values = set_correlations([[1.0], [2.0], [4.0], [3.0]], [1.0, 2.0, 3.0, 4.0], sets)
    >>> values["kendall"].round(3).tolist()
    [[0.667, 1.0]]
    """
    x, y = _checked(candidates, target)
    z = np.asarray(sets)
    if z.ndim != 2 or z.shape[1] != len(y):
        raise ProxyError(
            f"sets of shape {z.shape} for {len(y)} models; give a row for each set and a column for each model"
        )
    if x.size > LARGE and np.isnan(x).any():
        return {metric: values.T for metric, values in _with_gaps(x, y, z, metrics).items()}
    out = {metric: np.full((x.shape[1], len(z)), np.nan) for metric in metrics}
    for tasks, rows in _patterns(x):
        for metric, values in _complete(x[np.ix_(rows, tasks)], y[rows], z[:, rows], metrics).items():
            out[metric][tasks] = values.T
    return out


def correlations(
    candidates: ArrayLike, target: ArrayLike, metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Correlation of each candidate with the target over all models that have both.

    Parameters
    ----------
    candidates : array_like of float, shape (m, t)
        Scores of m models on t tasks; NaN is a gap.
    target : array_like of float, shape (m,)
        Scores on the target, complete.
    metrics : sequence of str, optional
        Which of `METRICS`.

    Returns
    -------
    dict of str to ndarray of float, shape (t,)
        Metric -> correlations, from -1 to 1; NaN where undefined (`set_correlations`).

    Raises
    ------
    ProxyError
        For shapes that do not fit, and a target with gaps.

    Examples
    --------
    >>> values = correlations([[1.0, 3.0], [2.0, 1.0], [4.0, 2.0]], [0.1, 0.2, 0.3])
    >>> values["spearman"].tolist()
    [1.0, -0.5]
    """
    x, y = _checked(candidates, target)
    over_all = set_correlations(x, y, np.ones((1, len(y))), metrics)
    return {metric: values[:, 0] for metric, values in over_all.items()}


def permuted_correlations(
    candidates: ArrayLike,
    targets: ArrayLike,
    metrics: Sequence[str] = METRICS,
    *,
    partners: int | None = None,
) -> dict[str, Floats]:
    """Correlation of each candidate with each of many targets.

    Parameters
    ----------
    candidates : array_like of float, shape (m, t)
        Scores of m models on t tasks; NaN is a gap.
    targets : array_like of float, shape (k, m)
        Scores on k targets, complete; say, permutations of one.
    metrics : sequence of str, optional
        Which of `METRICS`.
    partners : int, optional
        Take Kendall's over the pairs of each model with so many others, drawn once, instead of all pairs: for the
        permutations of very many models, where it scatters a little wider.

    Returns
    -------
    dict of str to ndarray of float, shape (t, k)
        Metric -> correlations, from -1 to 1; NaN where undefined (`set_correlations`).

    Examples
    --------
    >>> values = permuted_correlations([[1.0], [2.0], [4.0]], [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]])
    >>> values["kendall"].tolist()
    [[1.0, -1.0]]
    """
    x = np.asarray(candidates, dtype=np.float64)
    many = np.asarray(targets, dtype=np.float64)
    if partners is not None and np.isnan(x).any():
        values = masked_permuted_correlations(x, many, metrics, partners=partners)
        few = np.isfinite(x).sum(axis=0) < LEAST_MODELS
        return {metric: np.where(few[:, None], np.nan, one) for metric, one in values.items()}
    out = {metric: np.full((x.shape[1], len(many)), np.nan) for metric in metrics}
    for tasks, rows in _patterns(x):
        a, b = x[np.ix_(rows, tasks)].T, many[:, rows]
        if "pearson" in metrics:
            out["pearson"][tasks] = _product(a, b)
        if "spearman" in metrics:
            out["spearman"][tasks] = _product(rankdata(a, axis=1), rankdata(b, axis=1))
        if "kendall" in metrics and partners is not None:
            out["kendall"][tasks] = partner_kendall(a, b, partners)
        elif "kendall" in metrics and len(rows) > MOST_MODELS:
            out["kendall"][tasks] = [[rank_correlation("kendall", column, one) for one in b] for column in a]
        elif "kendall" in metrics:
            out["kendall"][tasks] = _pairwise(a, b)
    return out


def _patterns(x: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """(tasks, models that have them) for the tasks that miss the same models: they share what the target needs."""
    alike: dict[bytes, list[int]] = {}
    known = np.isfinite(x)
    for task, column in enumerate(known.T):
        alike.setdefault(column.tobytes(), []).append(task)
    for tasks in alike.values():
        rows = np.flatnonzero(known[:, tasks[0]])
        if len(rows) >= LEAST_MODELS:
            yield np.array(tasks), rows


def _with_gaps(x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str]) -> dict[str, Floats]:
    """metric -> sets x tasks, where very many scores have gaps."""
    known = np.isfinite(x)
    results = masked_set_correlations(x, y, z, metrics, most_members=MOST_MEMBERS)
    ranked = [metric for metric in metrics if metric != "pearson"]
    for place in np.flatnonzero(z.sum(axis=1) > MOST_MEMBERS):
        drawn = np.repeat(np.arange(len(y)), z[place].astype(int))
        for task in range(x.shape[1]) if ranked else ():
            own = drawn[known[drawn, task]]
            for metric in ranked:
                results[metric][place, task] = rank_correlation(metric, x[own, task], y[own])
    few = (z > 0).astype(np.float64) @ known < LEAST_MODELS
    return {metric: np.where(few, np.nan, values) for metric, values in results.items()}


def _complete(x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str]) -> dict[str, Floats]:
    """metric -> sets x tasks, where no score is missing."""
    results = {metric: np.full((len(z), x.shape[1]), np.nan) for metric in metrics}
    ranked = [metric for metric in metrics if metric != "pearson"]
    members = (z > 0).sum(axis=1)
    if "pearson" in metrics:
        results["pearson"] = _pearson(x, y, z)
    if ranked and len(y) <= MOST_MODELS and x.size <= LARGE:
        results |= by_model(x, y, z, ranked)
    elif ranked:
        small = z.sum(axis=1) <= (MOST_MEMBERS if len(y) > MOST_MODELS else MOST_MODELS)
        for metric, values in by_set(x, y, z[small], ranked).items():
            results[metric][small] = values
        for place in np.flatnonzero(~small):
            drawn = np.repeat(np.arange(len(y)), z[place].astype(int))
            for metric in ranked:
                results[metric][place] = [rank_correlation(metric, column[drawn], y[drawn]) for column in x.T]
    few = (members < LEAST_MODELS)[:, None]
    return {metric: np.where(few, np.nan, values) for metric, values in results.items()}


def _pearson(x: Floats, y: Floats, z: NDArray[Any]) -> Floats:
    """Pearson's correlations, sets x tasks."""
    # Moved to mean 0 and scaled to 1 over all models first, so that the sums below cancel little.
    a, b = (values - values.mean(axis=0) for values in (x, y[:, None]))
    a, b = (values / np.where((top := np.abs(values).max(axis=0)) > 0, top, 1.0) for values in (a, b))
    tasks = x.shape[1]
    sums = z.astype(np.float64) @ np.hstack([a, a * a, a * b, b, b * b])
    sa, saa, sab = sums[:, :tasks], sums[:, tasks : 2 * tasks], sums[:, 2 * tasks : 3 * tasks]
    sb, sbb = sums[:, -2:-1], sums[:, -1:]
    count = np.maximum(z.sum(axis=1, dtype=np.float64), 1.0)[:, None]
    va, vb = saa - sa * sa / count, sbb - sb * sb / count
    va, vb = np.where(va > ROUNDING * saa, va, 0.0), np.where(vb > ROUNDING * sbb, vb, 0.0)
    return ratio(sab - sa * sb / count, va, vb)


def _product(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation of every row of a with every row of b."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return ratio(a @ b.T, (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)[None, :])


def _pairwise(a: Floats, b: Floats) -> Floats:
    """Kendall's tau-b of every row of a with every row of b, over all pairs of columns at once."""
    i, j = np.triu_indices(a.shape[1], 1)
    signs = np.sign(a[:, i] - a[:, j]).astype(np.float32)
    untied = np.abs(signs).sum(axis=1, dtype=np.float64)
    out = np.empty((len(a), len(b)))
    step = max(1, 8_000_000 // max(len(i), 1))
    for start in range(0, len(b), step):
        some = b[start : start + step]
        other = np.sign(some[:, i] - some[:, j]).astype(np.float32)
        size = np.abs(other).sum(axis=1, dtype=np.float64)
        agreement = (signs @ other.T).astype(np.float64)
        out[:, start : start + step] = ratio(agreement, untied[:, None], size[None, :])
    return out


def rank_correlation(metric: str, column: Floats, y: Floats) -> float:
    """Compute one rank correlation.

    Parameters
    ----------
    metric : {"spearman", "kendall"}
        Which one.
    column, y : ndarray of float, shape (models,)
        Scores of a task and of the target, without gaps.

    Returns
    -------
    float
        In [-1, 1]; NaN where it is undefined: fewer than three models, or scores that are all alike.
    """
    if len(column) < LEAST_MODELS or np.ptp(column) == 0 or np.ptp(y) == 0:
        return float("nan")
    if metric == "kendall":
        return float(kendalltau(column, y).statistic)
    return float(np.corrcoef(rankdata(column), rankdata(y))[0, 1])


def _checked(candidates: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    """Both as arrays whose shapes fit."""
    x, y = np.asarray(candidates, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"scores of shape {x.shape} with a target of shape {y.shape}; give both for each model"
        )
    if not np.isfinite(y).all():
        raise ProxyError("the target has gaps here; leave those models out first")
    return x, y
