"""Correlations of very many scores with gaps: all tasks at once, each over the models that have it.

A gap is left out of every sum by a mask. Task by task would be simpler, and is what is done for fewer scores, but
where gaps lie at random no two tasks have the same models, and then nothing is shared between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.relevance._large import partner_kendall
from proxy.relevance._rank_correlations import by_set, ratio

#: Variances below this share of what they are the difference of are rounding.
ROUNDING = 1e-10
#: Numbers of one block of tasks, so that it stays in the cache.
CELLS = 200_000


def masked_set_correlations(
    x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str], *, most_members: int
) -> dict[str, Floats]:
    """metric -> sets x tasks, as `set_correlations`; rank correlations of sets up to `most_members` only, else NaN.

    x: models x tasks with NaN for gaps. y: models. z: how often each model is in each set, sets x models.
    """
    known = np.isfinite(x)
    values = {metric: np.full((len(z), x.shape[1]), np.nan) for metric in metrics}
    ranked = [metric for metric in metrics if metric != "pearson"]
    if "pearson" in metrics:
        values["pearson"] = _set_pearson(x, y, z, known)
    small = z.sum(axis=1) <= most_members
    if ranked and small.any():
        for metric, found in by_set(np.where(known, x, np.inf), y, z[small], ranked, known).items():
            values[metric][small] = found
    return values


def _set_pearson(x: Floats, y: Floats, z: NDArray[Any], known: NDArray[np.bool_]) -> Floats:
    """Pearson's correlations, sets x tasks."""
    b = y - y.mean()
    b = (b / (np.abs(b).max() or 1.0))[:, None]
    out = np.empty((len(z), x.shape[1]))
    weights = z.astype(np.float64)
    step = max(1, CELLS // len(x))
    for begin in range(0, x.shape[1], step):
        k = known[:, begin : begin + step]
        a = centred(x[:, begin : begin + step], k)
        top = np.abs(a).max(axis=0)
        a /= np.where(top > 0, top, 1.0)
        k = k.astype(np.float64)
        n, sa, sb, saa, sab, sbb = (weights @ part for part in (k, a, b * k, a * a, a * b, b * b * k))
        n = np.maximum(n, 1.0)
        va, vb = saa - sa * sa / n, sbb - sb * sb / n
        va, vb = np.where(va > ROUNDING * saa, va, 0.0), np.where(vb > ROUNDING * sbb, vb, 0.0)
        out[:, begin : begin + step] = ratio(sab - sa * sb / n, va, vb)
    return out


def masked_permuted_correlations(
    x: Floats, targets: Floats, metrics: Sequence[str], *, partners: int
) -> dict[str, Floats]:
    """metric -> tasks x targets, as `permuted_correlations` with `partners`. x: models x tasks; targets: k x models."""
    known = np.isfinite(x)
    out = {}
    if "pearson" in metrics:
        out["pearson"] = _permuted_pearson(centred(x, known), targets, known)
    if "spearman" in metrics:
        out["spearman"] = _permuted_spearman(x, targets, known)
    if "kendall" in metrics:
        out["kendall"] = partner_kendall(np.where(known, x, np.inf).T, targets, partners, known.T)
    return out


def centred(x: Floats, known: NDArray[np.bool_]) -> Floats:
    """Each column less its mean over the models that are known; 0 at the gaps."""
    filled = np.where(known, x, 0.0)
    mean = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.where(known, filled - mean, 0.0))


def _permuted_pearson(a: Floats, targets: Floats, known: NDArray[np.bool_]) -> Floats:
    """a: centred candidates, models x tasks."""
    b = targets - targets.mean(axis=1, keepdims=True)
    k = known.astype(np.float64)
    n, sb, sbb = k.sum(axis=0)[:, None], k.T @ b.T, k.T @ (b * b).T
    vb = sbb - sb * sb / np.maximum(n, 1.0)
    return ratio(a.T @ b.T, (a * a).sum(axis=0)[:, None], np.where(vb > ROUNDING * sbb, vb, 0.0))


def _permuted_spearman(x: Floats, targets: Floats, known: NDArray[np.bool_]) -> Floats:
    """Ranks of a target among the models of each task are counts of its known models, in the target's order."""
    ordered = [_order(target) for target in targets]
    out = np.empty((x.shape[1], len(targets)))
    step = max(1, CELLS // len(x))
    for begin in range(0, x.shape[1], step):
        k = known[:, begin : begin + step]
        n = k.sum(axis=0).astype(np.float64)
        ranks = np.empty(k.shape)
        for column, (scores, has) in enumerate(zip(x[:, begin : begin + step].T, k.T, strict=True)):
            order, first, last = _order(np.where(has, scores, np.inf))
            ranks[order, column] = first if last is None else (first + last) / 2.0
        a = centred(ranks, k)
        of_a = (a * a).sum(axis=0)
        for place, (order, first, last) in enumerate(ordered):
            has = k[order]
            count = np.zeros((len(x) + 1, k.shape[1]))
            np.cumsum(has, axis=0, out=count[1:])
            # Twice the average rank, less 1: the known models below, and those up to the last that ties.
            if last is None:
                twice = 2.0 * count[1:]  # less 1 for all, which changes no correlation
                of_b = n * (n * n - 1.0) / 3.0
            else:
                twice = count[first] + count[last + 1]
                of_b = np.einsum("ij,ij->j", twice * has, twice) - n**3.0  # they always sum to n^2
            agreement = np.einsum("ij,ij->j", a[order], twice)
            out[begin : begin + step, place] = ratio(agreement, of_a, np.where(of_b > 0.5, of_b, 0.0))
    return out


def _order(values: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp] | None]:
    """The order of the values; for each place in it the first and the last place of its ties, last None without."""
    order = np.argsort(values)
    ordered = values[order]
    new = np.concatenate([[True], ordered[1:] > ordered[:-1]])
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    if new.all():
        return order, first, None
    ends = np.concatenate([np.flatnonzero(new)[1:], [len(order)]]) - 1
    return order, first, ends[np.cumsum(new) - 1]
