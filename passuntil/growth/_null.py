"""The statistics of growth, and their distribution in populations whose instances obey the law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from passuntil._arrays import Floats
from passuntil.growth._bending import Bend, bend, ends
from passuntil.growth._instances import SharedFit, contrasts, fit_shared, simulate

#: Cells of one batch of replicates; larger batches leave the processor's cache.
BATCH_CELLS = 250_000


@dataclass(frozen=True, slots=True)
class Signed:
    """Own curvature of instances: how strongly both signs occur, and how many are significant alone."""

    disagreement: Floats
    concave: Floats
    convex: Floats


def signed(x: Floats, n: Floats, s: Floats, fit: SharedFit, found: Bend) -> Signed:
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
    own = whitened[..., 0] + found.value[:, None] * length * np.sqrt(info[..., 0])
    scale = np.maximum((whitened[..., 1:] ** 2).mean(axis=(1, 2)), 1.0)[:, None]
    own2 = own**2 / scale
    up, down = np.where(own > 0, own2, 0.0).sum(1), np.where(own < 0, own2, 0.0).sum(1)
    strong = own2 > 1.959964**2
    return Signed(np.minimum(up, down), (strong & (own < 0)).sum(1), (strong & (own > 0)).sum(1))


def _quadratic(x: Floats) -> Floats:
    """The unit contrast (J, 1) of x^2 beyond a line, positive at the ends."""
    basis = contrasts(x, 1)
    direction = basis @ (basis.T @ x**2)
    return np.asarray((direction / np.linalg.norm(direction))[:, None])


@dataclass(frozen=True, slots=True)
class Replicates:
    """Populations under the null: curves (R, J), their covariances, and the statistics."""

    curves: Floats
    covs: Floats
    bends: Bend
    disagreements: Floats


def bootstrap(
    generator: np.random.Generator,
    x: Floats,
    n: Floats,
    fit: SharedFit,
    null: Floats,
    sigma2: float,
    design: tuple[int | None, int, int | None],
    noise: float | None,
    noise_df: float,
    replicates: int,
    cell_noise: float = 0.0,
) -> Replicates:
    """Statistics of populations that obey the null, with the spread of instances that the data show.

    cell_noise: standard deviation of each cell's own deviation, on F. The fit knows of none; that it takes
    such noise for a bend, where cells stop at few passes, is then part of the null.
    """
    r, floor, cap = design
    limit = None if cap is None else np.full(n.shape, float(cap))
    root = np.linalg.cholesky(fit.own_cov[0] + 1e-12 * np.eye(2))
    z = np.stack([np.ones_like(x), x], axis=1)
    curves: list[Floats] = []
    covs: list[Floats] = []
    disagreements: list[Floats] = []
    size = max(1, BATCH_CELLS // n.size)
    for begin in range(0, replicates, size):
        count = min(size, replicates - begin)
        own = fit.own + np.einsum("ikl,ril->rik", root, generator.standard_normal((count, len(n), 2)))
        curve = null + np.sqrt(sigma2) * generator.standard_normal((count, x.size))
        eta = curve[:, None] + own @ z.T
        if cell_noise:
            eta = eta + cell_noise * generator.standard_normal(eta.shape)
        draws, passes = simulate(generator, eta, n, r, floor, limit)
        again = fit_shared(
            x,
            draws,
            passes,
            start=(null, fit.own[0], fit.omega[0], fit.own_cov[0]),
            iterations=10,
            tolerance=2e-3,
        )
        curves.append(again.curve)
        covs.append(again.curve_cov)
        bent = bend(x, again.curve, again.curve_cov, noise=noise, noise_df=noise_df)
        disagreements.append(signed(x, draws, passes, again, bent).disagreement)
    joined, joined_cov = np.concatenate(curves), np.concatenate(covs)
    return Replicates(
        joined,
        joined_cov,
        bend(x, joined, joined_cov, noise=noise, noise_df=noise_df),
        np.concatenate(disagreements),
    )


def normal_curves(
    generator: np.random.Generator,
    x: Floats,
    fit: SharedFit,
    null: Floats,
    sigma2: float,
    noise: float | None,
    noise_df: float,
    replicates: int,
) -> Replicates:
    """As `bootstrap`, but with curves drawn from N(line, V + sigma^2) instead of fitted to counts."""
    cov = fit.curve_cov[0]
    root = np.linalg.cholesky(cov + sigma2 * np.eye(x.size))
    curves = null + generator.standard_normal((replicates, x.size)) @ root.T
    covs = np.broadcast_to(cov, (replicates, x.size, x.size))
    return Replicates(curves, covs, bend(x, curves, covs, noise=noise, noise_df=noise_df), np.zeros(0))


def two_sided(t: float, null: Floats) -> float:
    """Equal-tailed bootstrap p value; the observed one counts as one of its own replicates."""
    tail = min(int((null >= t).sum()), int((null <= t).sum()))
    return min(1.0, 2.0 * (tail + 1) / (null.size + 1))


def power_at(
    x: Floats, null: Replicates, effect: float, level: float, noise: float | None, noise_df: float
) -> float:
    """Share of the replicates that would be rejected if |F''| were `effect`; mean over both signs.

    The curvature is added to the replicates' curves, whose precision is kept as it is under the null.
    """
    low, high = np.quantile(null.bends.largest, [level / 2, 1 - level / 2])
    shares = []
    for sign in (-1.0, 1.0):
        bent = null.curves + sign * effect / 2 * x**2
        t = bend(x, bent, null.covs, noise=noise, noise_df=noise_df).largest
        shares.append(float(((t < low) | (t > high)).mean()))
    return sum(shares) / 2


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
