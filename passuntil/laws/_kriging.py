"""What the deviations of the fitted models say of a new one: universal kriging."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws._drift import kernel
from passuntil.laws.deviation_prior import GRID
from passuntil.laws.deviations import Deviations


@dataclass(frozen=True)
class NextDeviation:
    """What the fitted deviations say of a new model, at every point of `GRID`.

    mean (grid, n - 2) and root: the posterior of `free` is mean + root times standard normals. slope (grid,
    n - 2) and variance (grid,): how far the new model is off the *fitted* line, given `free`.
    """

    mean: Floats
    root: Floats
    slope: Floats
    variance: Floats


def next_deviation(deviations: Deviations, log_size: float, like: Floats | None = None) -> NextDeviation:
    """Universal kriging: the line is flat a priori, scatter and drift have their covariances.

    The new model's distance from the fitted line is its own deviation less what the line took from the
    fitted ones: for the scatter alone its variance is sigma^2 (1 + 1/n + ...), as for a least-squares line.
    """
    x = deviations.log_sizes
    n = x.size
    design = np.column_stack([np.ones(n), x - x.mean()])
    at = np.array([1.0, log_size - x.mean()])
    contrast = np.append(-at @ np.linalg.solve(design.T @ design, design.T), 1.0)
    drift = kernel(x, log_size, like)
    lift = np.vstack([deviations.basis, np.zeros(deviations.basis.shape[1])])
    sigma2, kappa2 = (GRID**2).T
    prior = deviations.prior_covariances(like)
    # At (0, 0) there is nothing to krige with; a speck of scatter stands for none.
    prior = prior + 1e-12 * np.eye(n - 2)
    # The scatter part of the covariance vanishes: the contrast and the basis are orthogonal there.
    cross = kappa2[:, None] * (contrast @ drift @ lift) + sigma2[:, None] * (contrast @ lift)
    own = sigma2 * float(contrast @ contrast) + kappa2 * float(contrast @ drift @ contrast)
    slope = np.linalg.solve(prior, cross[..., None])[..., 0]
    variance = np.maximum(own - (slope * cross).sum(1), 0.0)
    gain = np.swapaxes(np.linalg.solve(prior + deviations.covariance, prior), 1, 2)
    left = prior - gain @ prior
    values, vectors = np.linalg.eigh((left + np.swapaxes(left, 1, 2)) / 2.0)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return NextDeviation(gain @ deviations.free, root, slope, variance)
