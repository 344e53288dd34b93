"""Instances that share a curve: a batched fit of counts with a normal prior on each instance's own law.

    eta_ij = log(-log p_ij) = m_j + u_i + v_i x_j,   (u_i, v_i) ~ N(0, Omega),   passes ~ Binomial(draws, p)

x = log N less its mean. m_j is the shared curve: the mean law of the instances plus the deviation of model j.
It is left free here, whatever its shape, so that a later step can ask how it bends. The likelihood
p^s (1 - p)^(n - s) is the same for every stopping rule that looks at outcomes only and is
log-concave in eta, so Newton steps are safe.

The posterior of (u_i, v_i) is taken as normal (variational: the expected score under that normal vanishes,
three-point Gauss-Hermite in each eta_ij, which is one-dimensional); the curve and Omega maximise the bound.
Everything has a leading axis of replicates, so a bootstrap is one fit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from passuntil._arrays import Floats

#: Nodes and weights of the three-point rule for a standard normal.
NODES, NODE_WEIGHTS = (-(3.0**0.5), 0.0, 3.0**0.5), (1 / 6, 2 / 3, 1 / 6)
#: Beyond these, p is 0 or 1 to the last digit of any count.
ETA_LOW, ETA_HIGH = -30.0, 6.0
#: Standard deviation of the weak prior on how far the curve leaves a line; it holds models without a pass.
LOOSE = 3.0
#: Longest Newton step of one parameter.
STEP = 2.0
#: The variances of Omega stay above this, so that a set of like instances does not end in a singular prior.
LEAST_VARIANCE = 1e-4


@dataclass(frozen=True, slots=True)
class SharedFit:
    """Fit of R replicates of I instances and J models.

    curve: m, shape (R, J). own: (u_i, v_i), shape (R, I, 2), with covariance own_cov (R, I, 2, 2). omega:
    (R, 2, 2). curve_cov: covariance of m by the draws and the spread of instances, (R, J, J).
    """

    x: Floats
    curve: Floats
    own: Floats
    own_cov: Floats
    omega: Floats
    curve_cov: Floats

    def of(self, instances: NDArray[np.intp]) -> SharedFit:
        """The fit with these instances only; what they share stays."""
        return replace(self, own=self.own[:, instances], own_cov=self.own_cov[:, instances])

    def eta(self) -> Floats:
        """log(-log p) of every cell at the posterior means, shape (R, I, J)."""
        return self.curve[:, None, :] + self.own @ _basis(self.x).T

    def score(self, draws: Floats, passes: Floats) -> tuple[Floats, Floats]:
        """Score and weight of every cell, averaged over the posterior of its instance, shape (R, I, J)."""
        return expected_score(self.eta(), self.own_cov, _basis(self.x), passes, draws - passes)


def _basis(x: Floats) -> Floats:
    return np.stack([np.ones_like(x), x], axis=1)


def contrasts(x: Floats, degree: int) -> Floats:
    """Orthonormal columns, shape (J, J - degree - 1), orthogonal to polynomials in x up to `degree`."""
    q, _ = np.linalg.qr(np.vander(x, degree + 1, increasing=True), mode="complete")
    return np.asarray(q[:, degree + 1 :], dtype=np.float64)


def score_and_weight(eta: Floats, passes: Floats, fails: Floats) -> tuple[Floats, Floats]:
    """First derivative of the log-likelihood in eta, and minus the second (never negative)."""
    rate = np.exp(np.clip(eta, ETA_LOW, ETA_HIGH))
    grown = np.expm1(rate)
    ratio = rate / grown
    score = fails * ratio - passes * rate
    # (rate e^rate - e^rate + 1) / (e^rate - 1) = rate - 1 + rate / (e^rate - 1), which cancels at rate -> 0.
    curved = np.where(rate < 1e-4, rate / 2, rate - 1 + ratio)
    return score, passes * rate + fails * ratio * curved


def fit_shared(
    x: Floats,
    draws: Floats,
    passes: Floats,
    *,
    start: tuple[Floats, Floats, Floats, Floats] | None = None,
    iterations: int = 60,
    tolerance: float = 1e-5,
) -> SharedFit:
    """Fit curve, own laws and Omega to counts of shape (R, I, J); cells without draws carry nothing.

    start: (curve (J,), own (I, 2), omega (2, 2), own_cov (I, 2, 2)) to begin from, as a bootstrap does.
    """
    replicates, instances, models = draws.shape
    fails, z = draws - passes, _basis(x)
    if start is None:
        curve = _first_curve(draws, passes)
        own = np.zeros((replicates, instances, 2))
        omega = np.broadcast_to(np.diag([1.0, 0.05]), (replicates, 2, 2)).copy()
        spread = np.broadcast_to(omega[:, None], (replicates, instances, 2, 2))
    else:
        curve = np.broadcast_to(start[0], (replicates, models)).copy()
        own = np.broadcast_to(start[1], (replicates, instances, 2)).copy()
        omega = np.broadcast_to(start[2], (replicates, 2, 2)).copy()
        spread = np.broadcast_to(start[3], (replicates, instances, 2, 2))
    off_line = contrasts(x, 1)
    loose = off_line @ off_line.T / LOOSE**2
    information = np.zeros((replicates, models, models))
    for _ in range(iterations):
        precision = np.linalg.inv(omega)
        score, weight = expected_score(curve[:, None, :] + own @ z.T, spread, z, passes, fails)
        wz = weight[..., None] * z
        inverse = _inverse2(np.swapaxes(z[None, None] * 1.0, -1, -2) @ wz + precision[:, None])
        pull = score @ z - np.einsum("rik,rkl->ril", own, precision)
        # Newton on curve and own laws together; own laws are eliminated first.
        lever = wz @ inverse
        information = (
            np.eye(models) * weight.sum(1)[:, None, :]
            - np.einsum("rijk,rilk->rjl", lever, wz, optimize=True)
            + loose
        )
        right = score.sum(1) - np.einsum("rijk,rik->rj", lever, pull) - curve @ loose
        move = np.clip(np.linalg.solve(information, right[..., None])[..., 0], -STEP, STEP)
        push = pull - np.einsum("rijk,rj->rik", wz, move)
        own_move = np.clip(np.einsum("rikl,ril->rik", inverse, push), -STEP, STEP)
        # Where nothing passed, spread and weight feed back on each other; short steps do not oscillate.
        curve, own, spread = curve + move, own + own_move, (2 * spread + inverse) / 3
        # A line in the own laws' mean belongs to the curve.
        centre = own.mean(1)
        own, curve = own - centre[:, None], curve + centre @ z.T
        omega = np.einsum("rik,ril->rkl", own, own) / instances + spread.mean(1)
        omega = omega + LEAST_VARIANCE * np.eye(2)
        if max(float(np.abs(move).max()), float(np.abs(own_move).max())) < tolerance:
            break
    cov = np.asarray(np.linalg.inv(information), dtype=np.float64)
    return SharedFit(x, curve, own, spread, omega, cov)


def expected_score(
    eta: Floats, spread: Floats, z: Floats, passes: Floats, fails: Floats
) -> tuple[Floats, Floats]:
    """Score and weight averaged over the normal posterior of every eta."""
    deviation = np.sqrt(np.maximum(np.einsum("jk,rikl,jl->rij", z, spread, z, optimize=True), 0.0))
    # A wide posterior (no draws, no passes) would send the nodes where nothing is known.
    deviation = np.minimum(deviation, 2.0)
    score, weight = np.zeros_like(eta), np.zeros_like(eta)
    for node, share in zip(NODES, NODE_WEIGHTS, strict=True):
        s, w = score_and_weight(eta + node * deviation, passes, fails)
        score += share * s
        weight += share * w
    return score, weight


def _inverse2(matrix: Floats) -> Floats:
    """Inverses of 2 x 2 matrices, written out: a tenth of the time of a general routine."""
    a, b, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 1]
    determinant = a * d - b * b
    out = np.empty_like(matrix)
    out[..., 0, 0], out[..., 1, 1] = d / determinant, a / determinant
    out[..., 0, 1] = out[..., 1, 0] = -b / determinant
    return out


def _first_curve(draws: Floats, passes: Floats) -> Floats:
    """log(-log) of the pooled share of each model, with half a pass and half a failure added."""
    share = (passes.sum(1) + 0.5) / (draws.sum(1) + 1.0)
    return np.asarray(np.log(-np.log(share)), dtype=np.float64)


def simulate(
    generator: np.random.Generator,
    eta: Floats,
    draws: Floats,
    r: int | None,
    floor: int,
    cap: Floats | None,
) -> tuple[Floats, Floats]:
    """(draws, passes) of one measurement of every cell of `eta` (..., I, J).

    Without r: the draws as given. With it: `floor` draws, then on until the r-th pass or the cap. Cells with
    no draws in `draws` (I, J) stay without.
    """
    p = np.exp(-np.exp(np.clip(eta, ETA_LOW, ETA_HIGH)))
    if r is None:
        n = np.broadcast_to(draws, p.shape)
        return n, generator.binomial(n.astype(np.int64), p).astype(np.float64)
    limit = np.full(draws.shape, np.inf) if cap is None else cap
    measured = np.broadcast_to(draws > 0, p.shape)
    passes = generator.binomial(floor, p).astype(np.float64)
    still, place = np.maximum(r - passes, 0.0), np.full(p.shape, float(floor))
    log_fail = np.log1p(-np.minimum(p, 1 - 1e-15))
    for step in range(1, r + 1):
        # Beyond the floor the design has no memory: each next pass is one geometric gap away.
        gap = np.ceil(-generator.standard_exponential(p.shape) / np.minimum(log_fail, -1e-300))
        place = np.where(still >= step, place + np.maximum(gap, 1.0), place)
        passes += (still >= step) & (place <= limit)
    n = np.minimum(np.maximum(place, floor), limit)
    return np.where(measured, n, 0.0), np.where(measured, passes, 0.0)
