"""Empirical-Bayes fits of all instances at once: Newton steps on 2 x 2 systems, for many replicates together.

Model: eta_ij = a_i - b_i z_j + delta_j + eps_ij, with (a_i, b_i) ~ N(mu, Sigma) over instances, delta_j ~
N(0, sigma^2) over models and eps_ij ~ N(0, tau^2) over cells. Each round makes one Newton step for every
instance, one for the deviations (with the instances profiled out), and one step for mu, Sigma (EM with
Laplace's approximation), tau^2 and sigma^2. Every array has a leading axis of replicates: a bootstrap is the
same fit with weights on the instances.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws._cells import complement, marginal
from passuntil.laws.deviations import Deviations

#: Weak prior of Sigma: this many instances' worth, with these standard deviations of (a, b).
PRIOR_COUNT, PRIOR_SD = 1.0, (0.5, 0.15)
#: Weak prior of sigma: this many models' worth of deviations of this size, on the scale of log(-log p).
SIGMA_COUNT, SIGMA_SD = 1.0, 0.1
LONGEST_STEP = 0.5
#: Where tau starts once the instances are near their place, and where it ends.
FIRST_TAU2, MOST_TAU2 = 0.02, 4.0


@dataclass
class Fit:
    """State of b replicates: theta (b, m, 2) as (a, b); its covariance v00, v01, v11 (b, m); and the rest."""

    theta: Floats
    v00: Floats
    v01: Floats
    v11: Floats
    mu: Floats  # (b, 2)
    sigma: Floats  # covariance of theta over instances, (b, 2, 2)
    delta: Floats  # (b, n)
    deviation2: Floats  # sigma^2 of the deviations, (b,)
    tau2: Floats  # (b,)
    eps: Floats  # modes of the cells' own deviations, (b, m, n)
    information: Floats  # of the deviations within the complement, instances profiled out, (b, n - 2, n - 2)
    rounds: int = 0
    converged: bool = False


def start(z: Floats, draws: Floats, passes: Floats, guess: float, replicates: int = 1) -> Fit:
    """A first guess: the line through the pooled shares of each size, every instance on it."""
    m, n = draws.shape
    share = (passes.sum(0) + 0.5) / (draws.sum(0) + 1.0)
    share = np.clip((share - guess) / (1.0 - guess), 1e-6, 1.0 - 1e-6)
    f = np.log(-np.log(share))
    weight = (draws.sum(0) > 0).astype(np.float64)
    slope = float((weight * z * f).sum() / max((weight * z * z).sum(), 1e-12))
    level = float((weight * f).sum() / weight.sum())
    mu = np.tile([level, -slope], (replicates, 1))
    return Fit(
        theta=np.repeat(mu[:, None, :], m, axis=1),
        v00=np.zeros((replicates, m)),
        v01=np.zeros((replicates, m)),
        v11=np.zeros((replicates, m)),
        mu=mu,
        sigma=np.tile(np.diag([1.0, 0.1]), (replicates, 1, 1)),
        delta=np.zeros((replicates, n)),
        deviation2=np.full(replicates, SIGMA_SD**2),
        tau2=np.full(replicates, FIRST_TAU2),
        eps=np.zeros((replicates, m, n)),
        information=np.zeros((replicates, n - 2, n - 2)),
    )


def repeated(fit: Fit, count: int) -> Fit:
    """`count` copies of the first replicate of `fit`, to start from."""
    names = [f.name for f in fields(fit) if f.name not in ("rounds", "converged")]
    copies: dict[str, Any] = {name: np.repeat(getattr(fit, name)[:1], count, axis=0) for name in names}
    return Fit(**copies)


def run(
    fit: Fit,
    z: Floats,
    draws: Floats,
    passes: Floats,
    guess: float,
    weights: Floats,
    *,
    with_deviation: bool,
    with_tau: bool,
    rounds: int,
    tolerance: float,
) -> Fit:
    """Iterate `fit` in place until nothing moves by more than `tolerance`, at most `rounds` times.

    weights: (b, m), how often each instance counts.
    """
    basis = complement(z)
    total = weights.sum(1)
    if not with_tau:
        fit.tau2[:] = 0.0
    fit.converged = False
    for fit.rounds in range(1, rounds + 1):
        before = np.concatenate([fit.mu, fit.delta, np.sqrt(fit.tau2)[:, None], _sds(fit.sigma)], axis=1)
        eta = fit.theta[..., :1] - fit.theta[..., 1:] * z + fit.delta[:, None, :]
        score, weight, fit.eps = marginal(eta, draws, passes, guess, fit.tau2[:, None, None], fit.eps)
        moved = _newton(fit, z, score, weight)
        if with_deviation and basis.shape[1]:
            _deviate(fit, z, basis, score, weight, weights, moved)
            inner = fit.delta @ basis
            width = np.linalg.inv(fit.information + np.eye(basis.shape[1]) / fit.deviation2[:, None, None])
            squares = (inner**2).sum(1) + np.trace(width, axis1=1, axis2=2)
            fit.deviation2 = (squares + SIGMA_COUNT * SIGMA_SD**2) / (basis.shape[1] + SIGMA_COUNT)
        if with_tau:
            _scatter(fit, z, score, weight, weights, moved)
        mu = (weights[..., None] * fit.theta).sum(1) / total[:, None]
        fit.mu = mu
        off = fit.theta - mu[:, None, :]
        prior = PRIOR_COUNT * np.diag(np.square(PRIOR_SD))
        scale = total + PRIOR_COUNT
        s00 = ((weights * (off[..., 0] ** 2 + fit.v00)).sum(1) + prior[0, 0]) / scale
        s01 = (weights * (off[..., 0] * off[..., 1] + fit.v01)).sum(1) / scale
        s11 = ((weights * (off[..., 1] ** 2 + fit.v11)).sum(1) + prior[1, 1]) / scale
        fit.sigma = np.stack([np.stack([s00, s01], -1), np.stack([s01, s11], -1)], -2)
        after = np.concatenate([fit.mu, fit.delta, np.sqrt(fit.tau2)[:, None], _sds(fit.sigma)], axis=1)
        if float(np.abs(after - before).max()) < tolerance and fit.rounds > 3:
            fit.converged = True
            break
    return fit


def fitted_deviations(fit: Fit, sizes: Floats, basis: Floats) -> Deviations:
    """Deviations of the first replicate with the fit's shrinkage undone: the information is the data's own."""
    information, prior_variance = fit.information[0], float(fit.deviation2[0])
    values, vectors = np.linalg.eigh((information + information.T) / 2.0)
    values = np.maximum(values, 1e-9)
    free = (vectors.T @ (basis.T @ fit.delta[0])) * (1.0 + 1.0 / (values * max(prior_variance, 1e-12)))
    return Deviations(np.log(sizes), vectors @ free, (vectors / values) @ vectors.T, basis)


def _sds(sigma: Floats) -> Floats:
    return np.sqrt(np.stack([sigma[:, 0, 0], sigma[:, 1, 1]], axis=1))


def _newton(fit: Fit, z: Floats, score: Floats, weight: Floats) -> Floats:
    """One step of every instance towards the mode of its posterior; its covariance; how far eta moved."""
    precision = np.linalg.inv(fit.sigma)[:, None]
    away = fit.theta - fit.mu[:, None, :]
    p00, p01, p11 = precision[..., 0, 0], precision[..., 0, 1], precision[..., 1, 1]
    h00 = weight.sum(-1) + p00
    h01 = -(weight @ z) + p01
    h11 = weight @ (z * z) + p11
    g0 = score.sum(-1) - p00 * away[..., 0] - p01 * away[..., 1]
    g1 = -(score @ z) - p01 * away[..., 0] - p11 * away[..., 1]
    determinant = h00 * h11 - h01 * h01
    fit.v00, fit.v01, fit.v11 = h11 / determinant, -h01 / determinant, h00 / determinant
    step0 = fit.v00 * g0 + fit.v01 * g1
    step1 = fit.v01 * g0 + fit.v11 * g1
    shorten = np.minimum(1.0, LONGEST_STEP / np.maximum(np.maximum(abs(step0), abs(step1)), 1e-12))
    step0, step1 = shorten * step0, shorten * step1
    fit.theta[..., 0] += step0
    fit.theta[..., 1] += step1
    return np.asarray(step0[..., None] - step1[..., None] * z)


def _deviate(
    fit: Fit, z: Floats, basis: Floats, score: Floats, weight: Floats, weights: Floats, moved: Floats
) -> None:
    """One Newton step of the deviations within the complement of (1, z), instances profiled out."""
    fit.information = profiled(fit, z, basis, weight, weights)
    # `score` is from before the instances moved; to first order their move lowered it by weight * moved.
    gradient = ((score - weight * moved) * weights[..., None]).sum(1)
    precision = fit.information + np.eye(basis.shape[1]) / fit.deviation2[:, None, None]
    rhs = (gradient - fit.delta / fit.deviation2[:, None]) @ basis
    step = np.linalg.solve(precision, rhs[..., None])[..., 0] @ basis.T
    step *= np.minimum(1.0, LONGEST_STEP / np.maximum(np.abs(step).max(1, keepdims=True), 1e-12))
    fit.delta = fit.delta + step
    pull = weight * step[:, None, :]
    g0, g1 = pull.sum(-1), -(pull @ z)
    fit.theta[..., 0] -= fit.v00 * g0 + fit.v01 * g1
    fit.theta[..., 1] -= fit.v01 * g0 + fit.v11 * g1


def profiled(fit: Fit, z: Floats, basis: Floats, weight: Floats, weights: Floats) -> Floats:
    """Information on the deviations with every instance free to follow them, (b, n - 2, n - 2)."""
    across = np.swapaxes(weight, 1, 2)
    g00, g01, g11 = (across @ (weight * (weights * v)[..., None]) for v in (fit.v00, fit.v01, fit.v11))
    lost = g00 - (z[:, None] + z) * g01 + np.outer(z, z) * g11
    full = -lost
    diagonal = np.arange(z.size)
    full[:, diagonal, diagonal] += (weight * weights[..., None]).sum(1)
    return np.asarray(np.einsum("nk,bno,ol->bkl", basis, full, basis, optimize=True))


def _scatter(fit: Fit, z: Floats, score: Floats, weight: Floats, weights: Floats, moved: Floats) -> None:
    """A multiplicative step of tau^2 towards the root of its restricted score, r'PPr = tr P.

    It falls to 0 geometrically where the draws alone explain the scatter of the cells.
    """
    left = score - weight * moved
    spread = fit.v00[..., None] - 2.0 * z * fit.v01[..., None] + z * z * fit.v11[..., None]
    expected = (weights[..., None] * weight * (1.0 - weight * spread)).sum((1, 2))
    observed = (weights[..., None] * left**2).sum((1, 2))
    ratio = np.clip(observed / np.maximum(expected, 1e-12), 0.1, 2.0)
    fit.tau2 = np.clip(fit.tau2 * ratio, 1e-9, MOST_TAU2)
