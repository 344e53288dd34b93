"""The likelihood of one cell (passes in draws of an instance on a model) with its derivatives."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats

#: exp(-exp(6.4)) is 1e-261: smaller pass probabilities are no more than zero, and exp(exp(6.6)) overflows.
LEAST_ETA, MOST_ETA = -30.0, 6.4


def pass_probability(eta: ArrayLike, guess: float = 0.0) -> Floats:
    """g + (1 - g) exp(-exp(eta))."""
    values = np.exp(-np.exp(np.clip(eta, LEAST_ETA, MOST_ETA)))
    return np.asarray(guess + (1.0 - guess) * values, dtype=np.float64)


def score_and_weight(eta: Floats, draws: Floats, passes: Floats, guess: float = 0.0) -> tuple[Floats, Floats]:
    """First derivative of log p^s (1 - p)^(n - s) in eta, and a weight for Newton's step (>= 0).

    The stopping rule does not enter: it depends on outcomes only, so it is a constant factor. Without a
    guess rate the log-likelihood is concave in eta and the weight is minus its second derivative; with one
    it need not be, and the weight is the expected information.
    """
    h = np.exp(np.clip(eta, LEAST_ETA, MOST_ETA))
    if guess == 0.0:
        ratio = h / np.expm1(h)
        failures = (draws - passes) * ratio
        hit = passes * h
        # h + h / (e^h - 1) - 1 tends to h / 2 and cancels below 1e-8, where the weight is 0 anyway.
        return failures - hit, hit + failures * np.maximum(h + ratio - 1.0, 0.0)
    q = np.exp(-h)
    p = guess + (1.0 - guess) * q
    rest = np.maximum((1.0 - guess) * -np.expm1(-h), 1e-300)
    slope = -(1.0 - guess) * q * h
    return (passes - draws * p) / (p * rest) * slope, draws * slope**2 / (p * rest)


def log_likelihood(eta: Floats, draws: Floats, passes: Floats, guess: float = 0.0) -> Floats:
    """log p^s (1 - p)^(n - s), elementwise."""
    h = np.exp(np.clip(eta, LEAST_ETA, MOST_ETA))
    log_rest = np.log(np.maximum(-np.expm1(-h), 1e-300)) + np.log1p(-guess)
    log_p = -h if guess == 0.0 else np.log(guess + (1.0 - guess) * np.exp(-h))
    return np.asarray(passes * log_p + (draws - passes) * log_rest, dtype=np.float64)


#: Nodes of the quadrature over a cell's own deviation, and the tau below which one node is enough.
ROOTS = np.polynomial.hermite.hermgauss(7)
LEAST_TAU2 = 1e-4


def marginal(
    eta: Floats, draws: Floats, passes: Floats, guess: float, tau2: Floats, mode: Floats
) -> tuple[Floats, Floats, Floats]:
    """Score and weight in eta of the likelihood with eps ~ N(0, tau2) integrated out of every cell.

    Adaptive Gauss-Hermite quadrature around `mode`, the running mode of eps (moved by one Newton step and
    handed back). With E and Var under the posterior of eps: score = E l', weight = E(-l'') - Var l', the
    exact derivatives of the marginal log-likelihood, which is concave where l is. tau2 broadcasts.
    """
    if not (tau2 > LEAST_TAU2).any():
        score, weight = score_and_weight(eta, draws, passes, guess)
        return score, weight, np.zeros_like(eta)
    tau2 = np.maximum(tau2, LEAST_TAU2 / 4.0)
    for _ in range(2):
        score, weight = score_and_weight(eta + mode, draws, passes, guess)
        curvature = weight + 1.0 / tau2
        mode = np.clip(mode + np.clip((score - mode / tau2) / curvature, -1.0, 1.0), -8.0, 8.0)
    reach = np.sqrt(2.0 / curvature)
    total = first = second = slope = np.zeros_like(eta)
    # The integrand is largest near the mode; this keeps it within range.
    top = log_likelihood(eta + mode, draws, passes, guess) - mode * mode / (2.0 * tau2)
    for node, share in zip(*ROOTS, strict=True):
        eps = mode + reach * node
        log_l, s, w = all_three(eta + eps, draws, passes, guess)
        log_l = log_l - eps * eps / (2.0 * tau2) + node * node
        part = share * np.exp(np.minimum(log_l - top, 50.0))
        total, first = total + part, first + part * s
        second, slope = second + part * s * s, slope + part * w
    score = first / total
    return score, np.maximum(slope / total - (second / total - score**2), 0.0), mode


def all_three(eta: Floats, draws: Floats, passes: Floats, guess: float) -> tuple[Floats, Floats, Floats]:
    """Log-likelihood, score and weight; without a guess rate at the price of one of them."""
    if guess:
        return log_likelihood(eta, draws, passes, guess), *score_and_weight(eta, draws, passes, guess)
    h = np.exp(np.clip(eta, LEAST_ETA, MOST_ETA))
    e = np.expm1(h)
    ratio, failures, hit = h / e, draws - passes, passes * h
    missed = failures * ratio
    log_l = failures * (np.log(e) - h) - hit
    return log_l, missed - hit, hit + missed * np.maximum(h + ratio - 1.0, 0.0)


def complement(z: Floats) -> Floats:
    """Orthonormal basis (n, n - 2) of what is orthogonal to (1, z): there deviations are identified."""
    design = np.column_stack([np.ones_like(z), z])
    basis, _ = np.linalg.qr(design, mode="complete")
    return np.asarray(basis[:, 2:], dtype=np.float64)
