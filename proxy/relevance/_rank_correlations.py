"""Spearman's and Kendall's correlations over many sets of models at once, from the signs of score differences.

With S[i, j] = sign(x_i - x_j) and z how often each model is in a set, twice the average rank of model i, less the
middle, is d_i = (S z)_i. Spearman's numerator is the sum of z_i d_i(x) d_i(y), Kendall's that of z_i z_j S_x S_y
over the pairs. Ties are exact, z may hold counts above 1 (a bootstrap sample), and all sums are of whole numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from proxy._arrays import Floats

#: Numbers in one chunk of sign matrices, so that it stays in the cache.
CHUNK = 100_000


def by_model(x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str]) -> dict[str, Floats]:
    """For up to some thousand models: one matrix product a model serves all sets that hold it, and all tasks.

    x: models x tasks, complete. y: models. z: sets x models. Returns metric -> sets x tasks, NaN where constant.
    """
    # Threads that wait for each other after each small product cost ten times what they save on a busy machine.
    with _libraries().limit(limits=1, user_api="blas"):
        return _by_model(x, y, z, metrics)


def _by_model(x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str]) -> dict[str, Floats]:
    size = z.sum(axis=1, dtype=np.float64)
    # Sums of squared ranks stay below 2^24, so 32-bit floats hold every sum exactly, in half the time.
    kind: Any = np.float32 if (size**3 < 3 * 2**24).all() else np.float64
    z, x, y = np.ascontiguousarray(z, dtype=kind), dense(x, kind), dense(y[:, None], kind)
    ours = np.sign(y - y.T)
    theirs = z * (z @ ours.T)
    top = {metric: np.zeros((len(z), x.shape[1]), dtype=kind) for metric in metrics}
    places, sets = np.nonzero(z.T)
    for i, rows in enumerate(np.split(sets, np.searchsorted(places, np.arange(1, len(x))))):
        members, signs = z[rows], np.sign(x[i] - x)
        if "spearman" in metrics:
            top["spearman"][rows] += (members @ signs) * theirs[rows, i, None]
        if "kendall" in metrics:
            later = members[:, i + 1 :] @ (signs[i + 1 :] * ours[i, i + 1 :, None])
            top["kendall"][rows] += later * members[:, i, None]
    untied, of_target = _untied(x, z, size), _untied(y, z, size)
    return {
        metric: ratio(top[metric] * (2.0 if metric == "kendall" else 1.0), untied[metric], of_target[metric])
        for metric in metrics
    }


def by_set(
    x: Floats,
    y: Floats,
    z: NDArray[Any],
    metrics: Sequence[str],
    known: NDArray[np.bool_] | None = None,
) -> dict[str, Floats]:
    """For small sets among very many models, and for very many tasks: all pairs of each set. As `by_model`.

    Scores that are not `known` are in no pair.
    """
    out = {metric: np.full((len(z), x.shape[1]), np.nan) for metric in metrics}
    # In 16 bits where they hold all differences of ranks, since most of the time goes by the byte.
    kind = np.int16 if len(x) < 2**15 else np.int32
    x, y = dense(x, kind), dense(y[:, None], kind)
    sizes = z.sum(axis=1).astype(np.intp)
    for size in np.unique(sizes[sizes > 1]).tolist():
        alike = np.flatnonzero(sizes == size)
        step = max(1, CHUNK // (size * x.shape[1]))
        for start in range(0, len(alike), step):
            chunk = alike[start : start + step]
            rows, models = np.nonzero(z[chunk])
            members = np.repeat(models, z[chunk][rows, models].astype(np.intp)).reshape(len(chunk), size).T
            sums = pair_sums(x[members], y[members], None if known is None else known[members])
            for metric in metrics:
                out[metric][chunk] = sums[metric]
    return out


def pair_sums(a: NDArray[Any], b: NDArray[Any], known: NDArray[np.bool_] | None = None) -> dict[str, Floats]:
    """Spearman's and Kendall's correlations, sets x tasks, from the ranks of members x sets x tasks.

    b may have one task for all of a's. Members that are not `known` are in no pair.
    """
    shape = np.broadcast_shapes(a.shape, b.shape)[1:]
    agreement, of_a, of_b = (
        np.zeros(shape),
        np.zeros(shape),
        np.zeros(b.shape[1:] if known is None else shape),
    )
    above_a, above_b = np.zeros(a.shape, a.dtype), np.zeros((len(b), *of_b.shape), b.dtype)
    for step in range(1, len(a)):
        s, v = np.sign(a[step:] - a[:-step]), np.sign(b[step:] - b[:-step])
        if known is not None:
            both = (known[step:] & known[:-step]).astype(a.dtype)
            s, v = s * both, v * both
        agreement += (s * v).sum(axis=0, dtype=a.dtype)
        of_a += np.abs(s).sum(axis=0, dtype=a.dtype)
        of_b += np.abs(v).sum(axis=0, dtype=a.dtype)
        for above, signs in ((above_a, s), (above_b, v)):
            above[step:] += signs
            above[:-step] -= signs
    dx, dy = above_a.astype(np.float64), above_b.astype(np.float64)
    return {
        "kendall": ratio(2.0 * agreement, 2.0 * of_a, 2.0 * of_b),
        "spearman": ratio(*((c * d).sum(axis=0) for c, d in ((dx, dy), (dx, dx), (dy, dy)))),
    }


def ratio(top: NDArray[Any], one: Floats, two: Floats) -> Floats:
    """top / sqrt(one two), between -1 and 1; NaN where nothing varies."""
    size = np.sqrt(one * two)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(np.where(size > 0, top / size, np.nan), -1.0, 1.0))


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


def dense(x: Floats, kind: Any) -> NDArray[Any]:
    """Ranks of each column from 0 on, equal where the values are: their differences are exact in 32 bits."""
    order = np.argsort(x, axis=0)
    ordered = np.take_along_axis(x, order, axis=0)
    ranks = np.zeros(x.shape, dtype=kind)
    steps = np.cumsum(ordered[1:] > ordered[:-1], axis=0, dtype=np.intp)
    np.put_along_axis(ranks, order[1:], steps.astype(kind), axis=0)
    return ranks


def _untied(x: NDArray[Any], z: NDArray[Any], size: Floats) -> dict[str, Floats]:
    """metric -> sets x tasks (or x 1 where nothing ties): what is left of all pairs, and of squared ranks.

    x: dense ranks. With t members of a set at one score: ordered pairs that differ, n^2 - sum t^2; and the sum of
    d_i^2, (n^3 - sum t^3) / 3.
    """
    powers = [z * z, z * z * z]
    n, ties = size[:, None], [part.sum(axis=1, dtype=np.float64)[:, None] for part in powers]
    tied = np.flatnonzero(x.max(axis=0) < len(x) - 1)
    if tied.size:
        ties = [np.repeat(part, x.shape[1], axis=1) for part in ties]
    for task in tied:
        together = z @ np.eye(int(x[:, task].max()) + 1, dtype=z.dtype)[x[:, task].astype(np.intp)]
        for power, part in zip((2, 3), ties, strict=True):
            part[:, task] = (together**power).sum(axis=1, dtype=np.float64)
    return {"kendall": n**2 - ties[0], "spearman": (n**3 - ties[1]) / 3}
