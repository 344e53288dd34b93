"""What a matrix of very many scores needs: correlations whose cost does not grow with the square of its sides."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.relevance._rank_correlations import dense, ratio

#: Scores of candidates (models x tasks) above which the steps that repeat are taken in other ways.
LARGE = 200_000
#: Models that each model is compared with in a permutation's Kendall, instead of all others.
PARTNERS = 100
#: Models up to which a large matrix leaves out each once.
MOST_LEFT_OUT_OF_LARGE = 300
#: Numbers of one block, so that it stays in the cache.
BLOCK = 2_000
#: Halvings of the interval that holds an eigenvalue: to the last bit.
HALVINGS = 60


def partner_kendall(a: Floats, b: Floats, partners: int, known: NDArray[np.bool_] | None = None) -> Floats:
    """Kendall's tau-b of every row of a with every row of b, over the pairs of each column with so many others.

    The columns stand in a circle in random order, each beside its partners. Under a permutation, sqrt(1 + 1.75 /
    partners) is how much wider this scatters than tau over all pairs. What is not `known` of a is in no pair.
    """
    order = np.random.default_rng(0).permutation(a.shape[1])
    reach = min(partners, (len(order) - 1) // 2)
    u, v = (
        np.concatenate([r, r[:, :reach]], axis=1) for r in (row_ranks(a[:, order]), row_ranks(b[:, order]))
    )
    agreement = np.zeros((len(a), len(b)))
    of_a, of_b = np.zeros(len(a)), np.zeros((1 if known is None else len(a), len(b)))
    has, ties = None, bool((v.max(axis=1) < len(order) - 1).any())
    if known is not None:
        has = known[:, order]
        has = np.concatenate([has, has[:, :reach]], axis=1)
    for begin in range(0, len(order), BLOCK):
        end = min(begin + BLOCK, len(order))
        for step in range(1, reach + 1):
            x, y = (
                np.sign(r[:, begin + step : end + step] - r[:, begin:end]).astype(np.float32) for r in (u, v)
            )
            if has is None:
                of_b += (y * y).sum(axis=1)
            else:
                both = (has[:, begin + step : end + step] & has[:, begin:end]).astype(np.float32)
                x *= both
                of_b += both @ (y * y).T if ties else both.sum(axis=1)[:, None]
            agreement += x @ y.T
            of_a += (x * x).sum(axis=1)
    return ratio(agreement, of_a[:, None], of_b)


def first_components_without_each(z: Floats) -> Floats:
    """First principal component of all other columns, for each column of z (models x tasks, centred): its scores.

    With G the smaller Gram matrix of z and its eigenvalues l, leaving a column out moves the largest eigenvalue to
    the root of a secular equation between the two largest l, which is found for all columns at once.
    """
    models, tasks = z.shape
    by_task = tasks <= models
    values, vectors = np.linalg.eigh(z.T @ z if by_task else z @ z.T)
    values = np.maximum(values, 0.0)
    # The column as the eigenvectors have it; the equation is sum q^2 / (l - t) = 0, or = 1 where G is over models.
    q = vectors.T if by_task else vectors.T @ z
    squares = q * q
    low, high = np.full(tasks, values[-2]), np.full(tasks, values[-1])
    for _ in range(HALVINGS):
        middle = (low + high) / 2.0
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = (squares / (values[:, None] - middle)).sum(axis=0) - (0.0 if by_task else 1.0)
        below = excess < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    root = (low + high) / 2.0
    gap = values[:, None] - root
    weights = q / np.where(gap == 0.0, np.finfo(float).tiny, gap)
    own = vectors @ (weights / np.linalg.norm(weights, axis=0))
    if by_task:
        np.fill_diagonal(own, 0.0)
        scores = z @ own
        sign = np.sign(own.sum(axis=0))
    else:
        scores = own * np.sqrt(root)
        loads = z.T @ own
        sign = np.sign(loads.sum(axis=0) - np.diagonal(loads))
    return np.asarray(scores * np.where(sign < 0, -1.0, 1.0))


def row_ranks(rows: Floats) -> NDArray[Any]:
    """Dense ranks of each row, in the smallest integers whose differences fit."""
    return np.ascontiguousarray(dense(rows.T, np.int16 if rows.shape[1] < 2**15 else np.int32).T)
