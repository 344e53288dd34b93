"""Correlations of columns with columns: each of one matrix with its own of another."""

from __future__ import annotations

import numpy as np

from proxy._arrays import Floats
from proxy.relevance._gaps import centred
from proxy.relevance._large import row_ranks
from proxy.relevance._rank_correlations import pair_sums, ratio
from proxy.relevance.correlation import MOST_MODELS, rank_correlation

#: Numbers of one block of columns, so that it stays in the cache.
CELLS = 200_000


def paired(x: Floats, f: Floats) -> dict[str, Floats]:
    """metric -> correlation of each column of x with the same column of f (models x tasks), where x has no gap."""
    known = np.isfinite(x)
    a, b = centred(x, known), centred(f, known)
    pearson = ratio((a * b).sum(axis=0), (a * a).sum(axis=0), (b * b).sum(axis=0))
    if len(x) > MOST_MODELS:  # pair by pair would take longer than sorting
        columns = [(a[rows], b[rows]) for a, b, rows in zip(x.T, f.T, known.T, strict=True)]
        ranked = {
            metric: np.array([rank_correlation(metric, *pair) for pair in columns])
            for metric in ("spearman", "kendall")
        }
        return {"pearson": pearson, **ranked}
    ranks = [row_ranks(np.where(known, values, np.inf).T).T for values in (x, f)]
    spearman, kendall = np.full(x.shape[1], np.nan), np.full(x.shape[1], np.nan)
    step = max(1, CELLS // len(x))
    for begin in range(0, x.shape[1], step):
        some = slice(begin, begin + step)
        gaps = None if known[:, some].all() else known[:, None, some]
        sums = pair_sums(ranks[0][:, None, some], ranks[1][:, None, some], gaps)
        spearman[some], kendall[some] = sums["spearman"][0], sums["kendall"][0]
    return {"pearson": pearson, "spearman": spearman, "kendall": kendall}
