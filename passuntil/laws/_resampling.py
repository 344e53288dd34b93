"""The likelihood fit again and again, with the instances resampled: all replicates of a chunk together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws import _empirical_bayes as bayes
from passuntil.laws._cells import pass_probability
from passuntil.laws._inputs import Cells

#: Cells of one chunk of a bootstrap: small enough for a processor's own memory.
CHUNK_CELLS = 40_000
ROUNDS, TOLERANCE = 25, 2e-3


@dataclass(frozen=True, slots=True)
class InstanceBootstrap:
    """Replicates of a likelihood fit, as `InstanceLikelihood.bootstrap` returns them.

    Parameters
    ----------
    mean : ndarray, shape (replicates, 2)
        Mean of (log c, alpha) over the instances.
    covariance : ndarray, shape (replicates, 2, 2)
        Covariance of (log c, alpha) over the instances.
    deviations : ndarray, shape (replicates, n)
        Of every model, on the scale of F = log(-log p).
    tau : ndarray, shape (replicates,)
        Scatter of single cells beyond their draws.
    task_mean : ndarray, shape (replicates,)
        On the law at the size asked for, in [0, 1], else NaN.
    """

    mean: Floats
    covariance: Floats
    deviations: Floats
    tau: Floats
    task_mean: Floats


def resampled(
    fit: bayes.Fit,
    cells: Cells,
    *,
    guess: float,
    count: int,
    seed: int,
    z_new: float | None,
    with_deviation: bool,
    with_tau: bool,
) -> InstanceBootstrap:
    """`count` replicates from the full fit on; z_new: the standardised size of the task mean, if any."""
    m, n = cells.draws.shape
    generator = np.random.default_rng([seed, 1])
    parts: list[tuple[Floats, ...]] = []
    chunk = max(1, CHUNK_CELLS // (m * n))
    for first in range(0, count, chunk):
        b = min(chunk, count - first)
        weights = generator.multinomial(m, np.full(m, 1.0 / m), size=b).astype(np.float64)
        again = bayes.repeated(fit, b)
        bayes.run(
            again,
            cells.z,
            cells.draws,
            cells.passes,
            guess,
            weights,
            with_deviation=with_deviation,
            with_tau=with_tau,
            rounds=ROUNDS,
            tolerance=TOLERANCE,
        )
        means = np.full(b, np.nan)
        if z_new is not None:
            predicted = pass_probability(again.theta[..., 0] - z_new * again.theta[..., 1], guess)
            means = (weights * predicted).sum(1) / m
        parts.append((again.mu, again.sigma, again.delta, np.sqrt(again.tau2), means))
    mu, sigma, delta, tau, means = (np.concatenate(part) for part in zip(*parts, strict=True))
    back = cells.back
    return InstanceBootstrap(mu @ back.T, back @ sigma @ back.T, delta, tau, means)
