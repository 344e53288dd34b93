"""The cells of a series (instances x sizes), checked, and the likelihood of one cell with its derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from passuntil._arrays import Floats
from passuntil._checks import real
from passuntil.errors import PassUntilError

#: exp(-exp(6.4)) is 1e-261: smaller pass probabilities are no more than zero, and exp(exp(6.6)) overflows.
LEAST_ETA, MOST_ETA = -30.0, 6.4
LEAST_SIZES = 3


@dataclass(frozen=True, slots=True)
class Cells:
    """Counts of m instances on n models: sizes (n,), draws and passes (m, n); no draws means not measured.

    z: log size, standardised over the models (mean 0, mean square 1): centre and spread take it back.
    """

    sizes: Floats
    draws: Floats
    passes: Floats
    centre: float
    spread: float

    @property
    def z(self) -> Floats:
        """Standardised log sizes, shape (n,)."""
        return self.standard(self.sizes)

    def standard(self, sizes: ArrayLike) -> Floats:
        """log size on the scale of `z`."""
        return np.asarray((np.log(sizes) - self.centre) / self.spread, dtype=np.float64)


def vector(name: str, values: ArrayLike, dimensions: int = 1) -> Floats:
    """Finite floats of that many dimensions, or one clear error."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"{name} must be numbers, not {values!r:.60}") from None
    if array.ndim != dimensions:
        wanted = "one dimension" if dimensions == 1 else "two dimensions, instances x models"
        raise PassUntilError(f"{name} must have {wanted}, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise PassUntilError(f"{name} must be finite, not {array[~np.isfinite(array)][0]}")
    return array


def sizes_of(values: ArrayLike) -> Floats:
    """Sizes above 0, shape (n,), at least three of them distinct."""
    sizes = vector("n_params", values)
    if (sizes <= 0).any():
        raise PassUntilError(f"n_params must be above 0, not {sizes[sizes <= 0][0]:g}")
    distinct = np.unique(sizes).size
    if distinct < LEAST_SIZES:
        raise PassUntilError(
            f"{distinct} distinct sizes were given; a law needs at least {LEAST_SIZES}: measure more sizes"
        )
    return sizes


def check_cells(n_params: ArrayLike, draws: ArrayLike, passes: ArrayLike) -> Cells:
    """The cells, or PassUntilError: wrong shapes, no whole numbers, passes above draws, nothing to fit."""
    sizes = sizes_of(n_params)
    n, s = vector("draws", draws, 2), vector("passes", passes, 2)
    if n.shape != s.shape or n.shape[1] != sizes.size or n.shape[0] == 0:
        raise PassUntilError(
            f"draws {n.shape} and passes {s.shape} must both have a row for each instance and a column for "
            f"each of the {sizes.size} sizes"
        )
    for name, array in (("draws", n), ("passes", s)):
        wrong = array[(array < 0) | (array != np.floor(array))]
        if wrong.size:
            raise PassUntilError(f"{name} must be whole numbers of at least 0, not {wrong[0]:g}")
    if (s > n).any():
        i, j = np.argwhere(s > n)[0]
        raise PassUntilError(f"passes ({s[i, j]:g}) exceed draws ({n[i, j]:g}) in row {i}, column {j}")
    if not s.any():
        raise PassUntilError(
            "no instance passed at any size, so there is nothing to fit; draw more or take an easier task"
        )
    if (s == n).all():
        raise PassUntilError("every draw passed, so there is nothing to fit; take a harder task")
    measured = np.unique(sizes[n.sum(axis=0) > 0]).size
    if measured < LEAST_SIZES:
        raise PassUntilError(f"only {measured} distinct sizes have draws; a law needs {LEAST_SIZES}")
    log_size = np.log(sizes)
    return Cells(sizes, n, s, float(log_size.mean()), float(log_size.std()))


def check_shares(sizes: Floats, pass_probability: ArrayLike) -> Floats:
    """Pass probabilities (m, n) in [0, 1], NaN where not measured; no row or column without any."""
    try:
        values = np.asarray(pass_probability, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"pass_probability must be numbers, not {pass_probability!r:.60}") from None
    if values.ndim != 2 or values.shape[1] != sizes.size or values.shape[0] == 0:
        raise PassUntilError(
            f"pass_probability must have a row for each instance and a column for each of the {sizes.size} "
            f"sizes, not shape {values.shape}"
        )
    wrong = values[~np.isnan(values) & ~((values >= 0) & (values <= 1))]
    if wrong.size:
        raise PassUntilError(f"pass_probability must lie in [0, 1], not {wrong[0]:g}; give a share")
    empty = np.isnan(values).all(axis=0).any() or np.isnan(values).all(axis=1).any()
    if empty:
        raise PassUntilError("pass_probability has an instance or a size without any value; leave it out")
    return values


def check_guess(value: object) -> float:
    """A guess rate in [0, 1)."""
    guess = real("guess_rate", value)
    if not 0.0 <= guess < 1.0:
        raise PassUntilError(f"guess_rate must lie in [0, 1), not {guess:g}; four options give 0.25")
    return guess


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


def complement(z: Floats) -> NDArray[np.float64]:
    """Orthonormal basis (n, n - 2) of what is orthogonal to (1, z): there deviations are identified."""
    design = np.column_stack([np.ones_like(z), z])
    basis, _ = np.linalg.qr(design, mode="complete")
    return np.asarray(basis[:, 2:], dtype=np.float64)
