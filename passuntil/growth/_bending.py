"""How the shared curve of a series bends: weighted fits with a deviation of each model.

    m_j = b0 + b1 x_j + b2 h(x_j) + delta_j + e_j,   delta_j ~ N(0, sigma^2),   e ~ N(0, V)

h is the square, or a hinge at one of the sizes. V is known from the draws; sigma is estimated from what the
fit leaves over (Paule and Mandel 1982), and the residual scale enters the standard error (Knapp and Hartung
2003), so that T follows Student's t with J - 3 degrees of freedom whether draws or training noise dominate.
All arrays have a leading replicate axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats
from passuntil.growth._instances import contrasts

HALVINGS = 45


@dataclass(frozen=True, slots=True)
class KnownNoise:
    """sigma of the models' deviations as other tasks tell it, worth `df` degrees of freedom."""

    sigma: float
    df: float


@dataclass(frozen=True, slots=True)
class Bend:
    """Curvature of each replicate.

    value: b2 of the square, shape (R,), error: its standard error, noise: sigma^2 there, df: degrees of
    freedom. largest: the T of largest size over the square and the hinges, with its sign.
    """

    value: Floats
    error: Floats
    noise: Floats
    df: float
    largest: Floats

    @property
    def t(self) -> Floats:
        """T of the square."""
        return np.asarray(self.value / self.error)


def bend(x: Floats, curve: Floats, cov: Floats, known: KnownNoise | None = None) -> Bend:
    """Curvature of each curve (R, J), with J - 3 degrees of freedom, to which those of `known` are added.

    The hinges leave at least two distinct sizes on either side, so that no single model makes a bend.
    """
    basis = contrasts(x, 1)
    y, v = curve @ basis, basis.T @ cov @ basis
    # In the axes of V every weighted sum is a sum over coordinates, whatever sigma is.
    own, axes = np.linalg.eigh(v)
    y = np.einsum("rkl,rk->rl", axes, y)
    own = np.maximum(own, 1e-12)
    shapes = [x**2, *(np.maximum(x - knot, 0.0) for knot in np.unique(x)[2:-2])]
    parts = []
    for shape in shapes:
        h = np.einsum("rkl,k->rl", axes, basis.T @ shape)
        parts.append(_single(y, own, h, known))
    t = np.stack([value / error for value, error, _ in parts])
    largest = np.take_along_axis(t, np.abs(t).argmax(0)[None], 0)[0]
    value, error, sigma2 = parts[0]
    pooled_df = known.df if known is not None else 0.0
    return Bend(value, error, sigma2, y.shape[1] - 1 + pooled_df, largest)


def _single(y: Floats, own: Floats, h: Floats, known: KnownNoise | None) -> tuple[Floats, Floats, Floats]:
    """Coefficient of one regressor, its error, and sigma^2, from independent y (R, K) of variance own."""
    left = y.shape[1] - 1

    def weighted(sigma2: Floats) -> tuple[Floats, Floats, Floats]:
        weight = 1.0 / (own + sigma2[:, None])
        size = (weight * h**2).sum(1)
        value = (weight * h * y).sum(1) / size
        return value, size, (weight * (y - value[:, None] * h) ** 2).sum(1)

    if known is None:
        low, high = np.zeros(len(y)), np.maximum((y**2).sum(1), 1e-8) * 2.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            above = weighted(middle)[2] > left
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        sigma2, known_df = np.where(high < 1e-12, 0.0, (low + high) / 2), 0.0
    else:
        sigma2, known_df = np.full(len(y), known.sigma**2), known.df
    value, size, rest = weighted(sigma2)
    # A residual of exactly nothing (made-up data) must not divide by zero.
    scale = np.maximum((known_df + rest) / (known_df + left), 1e-12)
    return value, np.sqrt(scale / size), sigma2


def ends(x: Floats, curve: Floats, cov: Floats, sigma2: Floats) -> tuple[Floats, Floats, float]:
    """T of the second derivative at one sixth and at five sixths of the range, from the cubic, and its df.

    sigma2 sets the weights only; the residual sets the scale. With fewer than five models there is nothing
    left over to judge a cubic by: both are 0.
    """
    models = curve.shape[1]
    if models < 5:
        return np.zeros(len(curve)), np.zeros(len(curve)), 0.0
    basis = contrasts(x, 1)
    y, v = curve @ basis, basis.T @ cov @ basis
    value, cov_value, rest = _gls(y, v, basis.T @ np.stack([x**2, x**3], axis=1), sigma2)
    scale = np.maximum(rest / (models - 4), 1e-12)
    result = []
    for share in (1 / 6, 5 / 6):
        direction = np.array([2.0, 6.0 * (x.min() + share * (x.max() - x.min()))])
        spread = np.einsum("k,rkl,l->r", direction, cov_value, direction)
        result.append(value @ direction / np.sqrt(scale * spread))
    return result[0], result[1], float(models - 4)


def line(x: Floats, curve: Floats, cov: Floats, sigma2: Floats) -> tuple[Floats, Floats]:
    """Weighted straight line through each curve: coefficients (R, 2), values at the models (R, J)."""
    design = np.stack([np.ones_like(x), x], axis=1)
    value = _gls(curve, cov, design, sigma2)[0]
    return value, value @ design.T


def _gls(y: Floats, v: Floats, design: Floats, sigma2: Floats) -> tuple[Floats, Floats, Floats]:
    """Coefficients (R, k), their covariance (R, k, k), and the weighted residual sum of squares (R,)."""
    weight = np.linalg.inv(v + sigma2[:, None, None] * np.eye(y.shape[1]))
    pulled = design.T @ weight
    cov = np.asarray(np.linalg.inv(pulled @ design), dtype=np.float64)
    value = np.einsum("rkl,rlj,rj->rk", cov, pulled, y)
    residual = y - value @ design.T
    return value, cov, np.einsum("rj,rjk,rk->r", residual, weight, residual)
