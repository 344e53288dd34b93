"""Fits of one form of F(log N) to all points and to all but each, in one batch of folds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import logsumexp, softmax

from passuntil._arrays import Floats

#: (x, y, weights (folds, n), noise (starts, 4)) -> (values (folds, n), the first fold's parameters).
Fitter = Callable[[Floats, Floats, Floats, Floats], tuple[Floats, Floats]]
STEPS, DAMPING, RIDGE = 60, 1e-2, 1e-8


def _polynomial(degree: int) -> Fitter:
    def fit(x: Floats, y: Floats, folds: Floats, noise: Floats) -> tuple[Floats, Floats]:
        design = np.vander(x, degree + 1, increasing=True)
        normal = np.einsum("nk,fn,nl->fkl", design, folds, design) + 1e-12 * np.eye(degree + 1)
        value = np.linalg.solve(normal, ((folds * y) @ design)[..., None])[..., 0]
        return value @ design.T, value[0]

    return fit


def _hard_min(x: Floats, y: Floats, folds: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Least squares of min(F_1, F_2), exactly: every split, two free lines or two that meet at a point.

    The optimum has its crossing either strictly between two neighbours, where the two sides are free lines,
    or at a point, where the second line starts on the first (Hudson 1966). A split whose free lines do not
    give a minimum with that split is left to the second kind.
    """
    fits, circuits = [], []
    for weights in folds:
        candidates = list(_free_lines(x, y, weights)) + list(_meeting_lines(x, y, weights))
        values = [np.minimum(a + b * x, c + d * x) for a, b, c, d in candidates]
        best = int(np.argmin([(weights * (y - v) ** 2).sum() for v in values]))
        fits.append(values[best])
        circuits.append(np.array(candidates[best]))
    return np.array(fits), circuits[0]


def _wls(design: Floats, y: Floats, weights: Floats) -> Floats:
    root = np.sqrt(weights)
    return np.asarray(np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0])


def _free_lines(x: Floats, y: Floats, weights: Floats) -> list[tuple[float, float, float, float]]:
    whole_line = _wls(np.stack([np.ones_like(x), x], 1), y, weights)
    candidates = [(whole_line[0], whole_line[1], whole_line[0], whole_line[1])]
    for split in range(1, x.size):
        sides = []
        for side in (slice(None, split), slice(split, None)):
            if np.unique(x[side][weights[side] > 0]).size < 2:
                break
            sides.append(_wls(np.stack([np.ones_like(x[side]), x[side]], 1), y[side], weights[side]))
        if len(sides) == 2:
            candidates.append((*sides[0], *sides[1]))
    return candidates


def _meeting_lines(x: Floats, y: Floats, weights: Floats) -> list[tuple[float, float, float, float]]:
    candidates = []
    for knot in np.unique(x)[1:-1]:
        a, b, bent = _wls(np.stack([np.ones_like(x), x, np.maximum(x - knot, 0.0)], 1), y, weights)
        if bent < 0:
            candidates.append((a, b, a - bent * knot, b + bent))
    return candidates


def _soft(
    combine: Callable[[Floats], tuple[Floats, Floats]],
) -> Fitter:
    """Levenberg-Marquardt on all folds and starts at once; `combine` maps F_i to F and dF/dF_i."""

    def fit(x: Floats, y: Floats, folds: Floats, noise: Floats) -> tuple[Floats, Floats]:
        starts = _starts(x, y, folds[0], noise)
        count = len(starts)
        weights = np.repeat(folds, count, axis=0)
        value = np.tile(starts, (len(folds), 1))
        damping = np.full(len(value), DAMPING)
        design = np.stack([np.ones_like(x), x], 1)

        def model(v: Floats) -> tuple[Floats, Floats]:
            parts = v.reshape(-1, 2, 2) @ design.T
            f, by_part = combine(parts)
            jacobian = by_part[:, :, None, :] * design.T[None, None]
            return f, jacobian.reshape(len(v), 4, x.size)

        f, jacobian = model(value)
        rss = (weights * (y - f) ** 2).sum(1)
        for _ in range(STEPS):
            weighted = jacobian * weights[:, None]
            normal = weighted @ np.swapaxes(jacobian, 1, 2)
            diagonal = np.diagonal(normal, axis1=1, axis2=2)
            ridge = damping[:, None] * diagonal + RIDGE
            right = np.einsum("skn,sn->sk", weighted, y - f)
            trial = value + np.linalg.solve(normal + ridge[:, :, None] * np.eye(4), right[..., None])[..., 0]
            trial_f, trial_jacobian = model(trial)
            trial_rss = (weights * (y - trial_f) ** 2).sum(1)
            better = trial_rss < rss
            value = np.where(better[:, None], trial, value)
            f = np.where(better[:, None], trial_f, f)
            jacobian = np.where(better[:, None, None], trial_jacobian, jacobian)
            rss = np.where(better, trial_rss, rss)
            damping = np.clip(np.where(better, damping / 3, damping * 4), 1e-10, 1e10)
        best = rss.reshape(len(folds), count).argmin(1) + np.arange(len(folds)) * count
        return f[best], value[best[0]]

    return fit


def _starts(x: Floats, y: Floats, weights: Floats, noise: Floats) -> Floats:
    """Every split's lines, and random pairs of lines about the data's own."""
    known = np.array(_free_lines(x, y, weights) + _meeting_lines(x, y, weights))
    known = known + 1e-3 * np.array([1.0, 0.3, -1.0, -0.3])
    level, slope = known[0, 0], known[0, 1]
    height, steep = max(float(y.std()), 0.1), abs(slope) + 0.1
    random = np.array([level, slope, level, slope]) + noise * np.array([height, steep, height, steep])
    return np.vstack([known, random])


def _weighted_parts(parts: Floats) -> tuple[Floats, Floats]:
    weights = softmax(-parts, axis=1)
    f = (weights * parts).sum(1)
    return f, weights * (1 - parts + f[:, None])


def _summed_parts(parts: Floats) -> tuple[Floats, Floats]:
    return -logsumexp(-parts, axis=1), softmax(-parts, axis=1)


#: By the names of `circuit_comparison.FORMS`.
FITTERS: dict[str, Fitter] = {
    "line": _polynomial(1),
    "quadratic": _polynomial(2),
    "hard_min": _hard_min,
    "soft_weighted": _soft(_weighted_parts),
    "soft_min": _soft(_summed_parts),
}
