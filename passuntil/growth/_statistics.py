"""The statistics of growth: curvature, its change of sign, and instances that disagree; and their p values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from passuntil._arrays import Floats
from passuntil.growth._bending import Bend, ends
from passuntil.growth._instances import SharedFit, contrasts

#: How alpha is shared out: the curvature common to all, its change of sign, instances that disagree.
SHARES = {"curvature": 0.8, "sign_change": 0.1, "disagreement": 0.1}


@dataclass(frozen=True, slots=True)
class OwnBends:
    """Own curvature of instances: how strongly both signs occur, and how many are significant alone."""

    disagreement: Floats
    concave: Floats
    convex: Floats


def own_bends(x: Floats, n: Floats, s: Floats, fit: SharedFit, shared: Bend) -> OwnBends:
    """z_i: one-step estimate of an instance's own quadratic coefficient over its error.

    z_i = g_i / sqrt(I_i) + b2 sqrt(I_i): the score of the instance along the quadratic contrast, its own
    line projected out, on top of the shared coefficient b2. The weaker of the two sums of squares (over
    z > 0, over z < 0) says whether both signs occur; it is divided by the mean square along the higher
    contrasts, so that noise of single cells, which has no preferred direction, does not count.
    """
    z = np.stack([np.ones_like(x), x], axis=1)
    score, weight = fit.score(n, s)
    wz = weight[..., None] * z
    basis = np.concatenate([_quadratic(x), contrasts(x, 2)], axis=1)
    along = score @ basis
    # Information of each instance along each contrast, its own line projected out.
    crossed = np.einsum("rijk,jc->rick", wz, basis)
    info = weight @ basis**2 - np.einsum("rick,rikl,ricl->ric", crossed, fit.own_cov, crossed, optimize=True)
    info = np.maximum(info, 1e-9)
    whitened = along / np.sqrt(info)
    length = float((_quadratic(x)[:, 0] * x**2).sum())
    own = whitened[..., 0] + shared.value[:, None] * length * np.sqrt(info[..., 0])
    scale = np.maximum((whitened[..., 1:] ** 2).mean(axis=(1, 2)), 1.0)[:, None]
    own2 = own**2 / scale
    up, down = np.where(own > 0, own2, 0.0).sum(1), np.where(own < 0, own2, 0.0).sum(1)
    strong = own2 > 1.959964**2
    return OwnBends(np.minimum(up, down), (strong & (own < 0)).sum(1), (strong & (own > 0)).sum(1))


def _quadratic(x: Floats) -> Floats:
    """The unit contrast (J, 1) of x^2 beyond a line, positive at the ends."""
    basis = contrasts(x, 1)
    direction = basis @ (basis.T @ x**2)
    return np.asarray((direction / np.linalg.norm(direction))[:, None])


def two_sided(t: float, null: Floats) -> float:
    """Equal-tailed bootstrap p value; the observed one counts as one of its own replicates."""
    tail = min(int((null >= t).sum()), int((null <= t).sum()))
    return min(1.0, 2.0 * (tail + 1) / (null.size + 1))


def sign_change(x: Floats, fit: SharedFit, sigma2: Floats) -> float:
    """p value of F'' having opposite signs near the two ends: the worse of the two must reject."""
    left, right, df = ends(x, fit.curve, fit.curve_cov, sigma2)
    if df <= 0 or left[0] * right[0] >= 0:
        return 1.0
    return min(1.0, 2.0 * float(student.sf(min(abs(left[0]), abs(right[0])), df)))


def disagreement(value: float, null: Floats) -> float:
    """p value by the replicates' cube roots, which are nearly normal (sums of squares)."""
    roots = np.cbrt(null)
    spread = float(roots.std(ddof=1)) if roots.size else 0.0
    if spread == 0:
        return 1.0
    t = (float(np.cbrt(value)) - float(roots.mean())) / (spread * np.sqrt(1 + 1 / roots.size))
    return float(student.sf(t, roots.size - 1))
