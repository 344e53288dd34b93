"""Correlations of many tasks with one target over many sets of models at once.

Everything rank-based is built on the sign matrices S[i, j] = sign(x_i - x_j) of the scores: over a set of models
with indicator z, Kendall's numerator is z' (S_x * S_y) z, its denominator z' |S_x| z times z' |S_y| z, and the
average rank of model i, less the middle rank, is (S z)_i / 2. One matrix product therefore serves all sets, ties
are exact, and a gap (a row and a column of zeros) leaves the set without being asked. z may hold counts above 1:
then it is a bootstrap sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import kendalltau, rankdata

from proxy.errors import ProxyError

Floats = NDArray[np.float64]

#: The correlations that Algorithm 1 chooses among, in the order of the paper.
METRICS = ("pearson", "spearman", "kendall")

#: Above so many models the sign matrices of all of them no longer fit.
MOST_MODELS = 1500
#: Sets of less than one in so many models, and of at most so many, are faster with sign matrices of their own.
GATHER, MOST_GATHERED = 8, 400
#: A correlation of fewer models is no number.
LEAST_MODELS = 3
#: Variances below this share of what they are the difference of are rounding.
ROUNDING = 1e-10


def set_correlations(
    candidates: ArrayLike, target: ArrayLike, sets: ArrayLike, metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Correlation of each candidate with the target over each set of models.

    candidates: models x tasks, NaN is a gap. target: models, complete. sets: sets x models, how often each model
    is in (0, 1, or a bootstrap's counts). Returns metric -> tasks x sets; NaN where a task or the target is
    constant, or fewer than 3 models are left. Kendall's is tau-b, Spearman's takes average ranks.

    >>> found = set_correlations([[1.0], [2.0], [4.0], [3.0]], [1.0, 2.0, 3.0, 4.0], [[1, 1, 1, 1], [1, 1, 1, 0]])
    >>> found["kendall"].round(3).tolist()
    [[0.667, 1.0]]
    """
    x, y = _checked(candidates, target)
    z = np.asarray(sets)
    if z.ndim != 2 or z.shape[1] != len(y):
        raise ProxyError(
            f"sets of shape {z.shape} for {len(y)} models: give a row a set and a column a model"
        )
    chosen = _members(z)
    if chosen is not None and chosen.shape[1] <= MOST_GATHERED and chosen.shape[1] * GATHER <= len(y):
        found = _gathered(x, y, chosen, metrics)
    elif len(y) <= MOST_MODELS:
        found = _small(x, y, z.T, metrics)
    else:
        rows = [np.repeat(np.arange(len(y)), row.astype(int)) for row in z]
        found = {m: np.array([[_one(m, c[r], y[r]) for r in rows] for c in x.T]) for m in metrics}
    return {metric: found[metric] for metric in metrics}


def correlations(
    candidates: ArrayLike, target: ArrayLike, metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Correlation of each candidate with the target over all models that have both: metric -> tasks."""
    x, y = _checked(candidates, target)
    if len(y) <= MOST_MODELS:
        found = set_correlations(x, y, np.ones((1, len(y))), metrics)
        return {metric: values[:, 0] for metric, values in found.items()}
    return {metric: np.array([_one(metric, column, y) for column in x.T]) for metric in metrics}


def permuted_correlations(
    candidates: ArrayLike, targets: ArrayLike, metrics: Sequence[str] = METRICS
) -> dict[str, Floats]:
    """Correlation of each candidate with each of many targets: metric -> tasks x targets.

    candidates: models x tasks, NaN is a gap. targets: targets x models, complete.
    """
    x = np.asarray(candidates, dtype=np.float64)
    many = np.asarray(targets, dtype=np.float64)
    out = {metric: np.full((x.shape[1], len(many)), np.nan) for metric in metrics}
    gaps = ~np.isfinite(x)
    patterns, which = np.unique(gaps, axis=1, return_inverse=True)
    for number, pattern in enumerate(patterns.T):
        # Tasks that miss the same models share the ranks and signs of the targets.
        tasks, rows = np.flatnonzero(which.ravel() == number), np.flatnonzero(~pattern)
        if len(rows) < LEAST_MODELS:
            continue
        a, b = x[np.ix_(rows, tasks)].T, many[:, rows]
        if "pearson" in metrics:
            out["pearson"][tasks] = _product(a, b)
        if "spearman" in metrics:
            out["spearman"][tasks] = _product(rankdata(a, axis=1), rankdata(b, axis=1))
        if "kendall" in metrics and len(rows) > MOST_MODELS:
            out["kendall"][tasks] = [[_one("kendall", column, one) for one in b] for column in a]
        elif "kendall" in metrics:
            out["kendall"][tasks] = _pairwise(a, b)
    return out


def _product(a: Floats, b: Floats) -> Floats:
    """Pearson's correlation of every row of a with every row of b."""
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    return _ratio(a @ b.T, (a * a).sum(axis=1)[:, None], (b * b).sum(axis=1)[None, :])


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
        out[:, start : start + step] = _ratio(agreement, untied[:, None], size[None, :])
    return out


def _small(x: Floats, y: Floats, z: NDArray[Any], metrics: Sequence[str]) -> dict[str, Floats]:
    """The correlations where all sign matrices fit; z: models x sets."""
    # Sums of squared ranks stay below 2^24, so 32-bit floats hold every sum exactly, in half the time.
    exact = np.float32 if (z.sum(axis=0, dtype=np.float64) ** 3 < 3 * 2**24).all() else np.float64
    z = np.ascontiguousarray(z, dtype=exact)
    out = {metric: np.full((x.shape[1], z.shape[1]), np.nan) for metric in metrics}
    sy, target_ties = _signs(y, exact)
    shared: dict[str, Any] = {}
    for task, column in enumerate(x.T):
        known = np.isfinite(column)
        full = bool(known.all())
        zt = z if full else z * known[:, None].astype(exact)
        enough = (zt > 0).sum(axis=0) >= LEAST_MODELS
        if "pearson" in metrics:
            out["pearson"][task] = np.where(enough, _pearson(column, y, known, zt), np.nan)
        if not ({"spearman", "kendall"} & set(metrics)):
            continue
        sx, ties = _signs(column, exact)
        if full and not shared:
            shared = _target_parts(sy, target_ties, zt)
        parts = shared if full else _target_parts(sy, target_ties, zt)
        if "spearman" in metrics:
            rx = sx @ zt
            inside = rx * zt
            value = _ratio(_sum(inside, parts["ranks"]), _sum(inside, rx), parts["rank_square"])
            out["spearman"][task] = np.where(enough, value, np.nan)
        if "kendall" in metrics:
            value = _ratio(_sum(zt, (sx * sy) @ zt), _untied(ties, zt), parts["untied"])
            out["kendall"][task] = np.where(enough, value, np.nan)
    return out


def _target_parts(sy: NDArray[Any], ties: NDArray[Any] | None, z: NDArray[Any]) -> dict[str, Any]:
    ranks = sy @ z
    return {"ranks": ranks, "rank_square": _sum(ranks * z, ranks), "untied": _untied(ties, z)}


def _signs(values: Floats, dtype: Any) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """sign(v_i - v_j), 0 at gaps; and where different models tie (None if nowhere)."""
    with np.errstate(invalid="ignore"):
        signs = (values[:, None] > values[None, :]).astype(dtype)
        tied = values[:, None] == values[None, :]
    np.fill_diagonal(tied, False)
    return signs - signs.T, (tied.astype(dtype) if tied.any() else None)


def _untied(ties: NDArray[Any] | None, z: NDArray[Any]) -> Floats:
    """Ordered pairs of members that do not tie: z' |S| z, without the product where nothing ties."""
    # A model drawn twice ties with itself: sum z^2 in place of the diagonal.
    pairs = z.sum(axis=0, dtype=np.float64) ** 2 - _sum(z, z)
    return pairs if ties is None else pairs - _sum(z, ties @ z)


def _sum(one: NDArray[Any], two: NDArray[Any]) -> Floats:
    """Sum over the models of a product."""
    return np.asarray(np.einsum("ms,ms->s", one, two), dtype=np.float64)


def _members(z: NDArray[Any]) -> NDArray[np.intp] | None:
    """sets x size: the members of sets of one size that hold nobody twice; None for other sets."""
    inside = z > 0
    sizes = inside.sum(axis=1)
    if not len(z) or sizes[0] < LEAST_MODELS or (sizes != sizes[0]).any() or (z[inside] != 1).any():
        return None
    return np.nonzero(inside)[1].reshape(len(z), int(sizes[0]))


def _gathered(x: Floats, y: Floats, chosen: NDArray[np.intp], metrics: Sequence[str]) -> dict[str, Floats]:
    """The correlations of small sets among many models, each from sign matrices of its own."""
    sets, size = chosen.shape
    out = {metric: np.full((x.shape[1], sets), np.nan) for metric in metrics}
    if "pearson" in metrics:
        for task, column in enumerate(x.T):
            out["pearson"][task] = _row_pearson(column[chosen], y[chosen])
    if not ({"spearman", "kendall"} & set(metrics)):
        return out
    # Dense ranks order as the scores do, and their differences are exact in 32 bits.
    ranked = np.stack([_dense(column) for column in x.T])
    target = _dense(y)
    step = max(1, 100_000 // (size * size))  # so that a chunk stays in the cache
    for start in range(0, sets, step):
        some = chosen[start : start + step]
        place = slice(start, start + len(some))
        sy = _set_signs(target[some])
        for task, column in enumerate(ranked):
            values = column[some]
            known = np.isfinite(values)
            sx, sz = _set_signs(values), sy
            if not known.all():
                np.nan_to_num(sx, copy=False)
                pair = known.astype(np.float32)
                sz = sy * pair[:, :, None] * pair[:, None, :]
            enough = known.sum(axis=1) >= LEAST_MODELS
            if "kendall" in metrics:
                value = _ratio(_pairs(sx, sz), _pairs(sx, sx), _pairs(sz, sz))
                out["kendall"][task, place] = np.where(enough, value, np.nan)
            if "spearman" in metrics:
                value = _row_products(sx.sum(axis=2), sz.sum(axis=2))
                out["spearman"][task, place] = np.where(enough, value, np.nan)
    return out


def _dense(values: Floats) -> NDArray[np.float32]:
    known = np.isfinite(values)
    ranks = np.full(len(values), np.nan, dtype=np.float32)
    ranks[known] = rankdata(values[known], method="dense")
    return ranks


def _set_signs(values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(np.sign(values[:, :, None] - values[:, None, :]))


def _pairs(one: NDArray[np.float32], two: NDArray[np.float32]) -> Floats:
    return np.asarray(np.einsum("rij,rij->r", one, two), dtype=np.float64)


def _row_products(a: NDArray[Any], b: NDArray[Any]) -> Floats:
    a, b = a.astype(np.float64), b.astype(np.float64)
    return _ratio((a * b).sum(axis=1), (a * a).sum(axis=1), (b * b).sum(axis=1))


def _row_pearson(a: Floats, b: Floats) -> Floats:
    known = np.isfinite(a)
    count = known.sum(axis=1, keepdims=True)
    safe = np.maximum(count, 1)
    u, v = np.where(known, a, 0.0), np.where(known, b, 0.0)
    size = np.abs(u).max(axis=1), np.abs(v).max(axis=1)
    u = np.where(known, u - u.sum(axis=1, keepdims=True) / safe, 0.0)
    v = np.where(known, v - v.sum(axis=1, keepdims=True) / safe, 0.0)
    uu, vv = (u * u).sum(axis=1), (v * v).sum(axis=1)
    uu, vv = (np.where(w > ROUNDING**2 * s * s, w, 0.0) for w, s in zip((uu, vv), size, strict=True))
    value = _ratio((u * v).sum(axis=1), uu, vv)
    return np.where(count[:, 0] >= LEAST_MODELS, value, np.nan)


def _pearson(column: Floats, y: Floats, known: NDArray[np.bool_], z: NDArray[Any]) -> Floats:
    weights = z.astype(np.float64)
    a, b = np.where(known, column, 0.0), np.where(known, y, 0.0)
    # Moved to mean 0 and scaled to 1 over all models first, so that the sums below cancel little.
    a, b = (np.where(known, v - v[known].mean(), 0.0) if known.any() else v for v in (a, b))
    a, b = (v / (np.abs(v).max() or 1.0) for v in (a, b))
    count, sa, sb, saa, sbb, sab = np.stack([known.astype(float), a, b, a * a, b * b, a * b]) @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        va, vb, cov = saa - sa * sa / count, sbb - sb * sb / count, sab - sa * sb / count
    va = np.where(va > ROUNDING * saa, va, 0.0)
    vb = np.where(vb > ROUNDING * sbb, vb, 0.0)
    return _ratio(cov, va, vb)


def _ratio(top: Floats, one: Floats, two: Floats) -> Floats:
    size = np.sqrt(one * two)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(np.where(size > 0, top / size, np.nan), -1.0, 1.0))


def _one(metric: str, column: Floats, y: Floats) -> float:
    known = np.isfinite(column)
    a, b = column[known], y[known]
    if len(a) < LEAST_MODELS or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan")
    if metric == "kendall":
        return float(kendalltau(a, b).statistic)
    if metric == "spearman":
        a, b = rankdata(a), rankdata(b)
    return float(np.corrcoef(a, b)[0, 1])


def _checked(candidates: ArrayLike, target: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.asarray(candidates, dtype=np.float64), np.asarray(target, dtype=np.float64)
    if x.ndim != 2 or y.shape != x.shape[:1]:
        raise ProxyError(
            f"scores of shape {x.shape} with a target of shape {y.shape}: give both for each model"
        )
    if not np.isfinite(y).all():
        raise ProxyError("the target has gaps here; leave those models out first")
    return x, y
