"""The rounds of Algorithm 1: which models are drawn, and which tasks come out on top."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.relevance.correlation import correlations
from proxy.relevance.normalisation import TwoWayNormaliser

Places = NDArray[np.intp]


def default_subset(models: int) -> int:
    """m' where none is given: 6 of 10 models, at least 4 where that leaves one out, at most 100."""
    return max(min(4, models - 1), min(models - 1, round(0.6 * models), 100))


def default_top(tasks: int) -> int:
    """k where none is given: a third of the candidates, at most 5."""
    return max(1, min(5, tasks // 3))


def draw_subsets(models: int, subset: int, rounds: int, rng: np.random.Generator) -> Places:
    """rounds x subset: models drawn without replacement, every set equally likely."""
    # The smallest of independent uniform keys belong to a uniformly random subset.
    keys = rng.random((rounds, models))
    return np.asarray(np.argpartition(keys, subset - 1, axis=1)[:, :subset])


def top_tasks(values: dict[str, Floats], top: int) -> dict[str, NDArray[np.bool_]]:
    """Which tasks are the top k of each row (rows x tasks) by each metric, ties as in `choose_metric`."""
    # Equal Kendall values can differ in their last bit, and must tie.
    filled = {name: np.round(np.where(np.isnan(v), -2.0, v), 12) for name, v in values.items()}
    tops = {}
    for name, v in filled.items():
        edge = -np.partition(-v, top - 1, axis=1)[:, top - 1 : top]
        inside, at_edge = v > edge, v == edge
        left = top - inside.sum(axis=1)
        tied = at_edge.sum(axis=1) > left
        inside |= at_edge & ~tied[:, None]
        rows, tasks = np.nonzero(at_edge & tied[:, None])
        # Ordered by mean rank: how many tasks are above a task, less how many are below, over all metrics.
        rank = np.zeros(len(rows), dtype=np.int64)
        for other in filled.values():
            some, own = other[rows], other[rows, tasks][:, None]
            rank += (some > own).sum(axis=1) - (some < own).sum(axis=1)
        order = np.lexsort((tasks, rank, rows))
        rows, tasks = rows[order], tasks[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        taken = place < left[rows]
        inside[rows[taken], tasks[taken]] = True
        tops[name] = inside
    return tops


def renormalised_correlations(
    x: Floats, y: Floats, sets: NDArray[Any], metrics: tuple[str, ...]
) -> dict[str, Floats]:
    """Correlations with the two-way normalisation redone in each set; tasks constant there are undefined."""

    def once(rows: NDArray[np.bool_]) -> dict[str, Floats]:
        a, b = x[rows], y[rows]
        out = {metric: np.full(x.shape[1], np.nan) for metric in metrics}
        with np.errstate(invalid="ignore"):
            varied = np.array([np.unique(column[np.isfinite(column)]).size > 1 for column in a.T])
        if varied.sum() < 2 or np.ptp(b) == 0:
            return out
        try:
            normaliser = TwoWayNormaliser().fit(a[:, varied], b)
            u, v = normaliser.transform(a[:, varied]), normaliser.transform_target(a[:, varied], b)
        except ProxyError:
            return out
        for metric, values in correlations(u, v, metrics).items():
            out[metric][varied] = values
        return out

    each = [once(row > 0) for row in sets]
    return {metric: np.stack([values[metric] for values in each], axis=1) for metric in metrics}
