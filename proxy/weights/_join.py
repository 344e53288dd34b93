"""How held-out loss and the target's own score join the proxies' composite."""

from __future__ import annotations

import numpy as np

from proxy._arrays import Floats
from proxy.weights._correlation import LARGEST, correlation, fisher
from proxy.weights.transfer import Relevance

#: Cells of the grids over which the join averages, for the relevance (Fisher's scale) and the own reliability.
GRID = (np.linspace(-2.2, 2.2, 89), np.sin(np.pi / 2 * (np.arange(60) + 0.5) / 60) ** 2)


def with_loss(
    composite: Floats, less: Floats, one: Relevance, two: Relevance
) -> tuple[float, float, Relevance]:
    """Shares of composite and loss (standardised, higher is better) in their best sum, of deviation 1; its relevance.

    The two are taken to share at least what both tell of the target: nothing may weigh by making up for the other.
    """
    r, s = one.correlation, two.correlation
    if s <= 0 or not less.any():
        return 1.0, 0.0, one
    seen = correlation(composite, less)
    both = float(np.clip(max(seen, r * s), -LARGEST, LARGEST))
    share, loss_share = max(r - both * s, 0.0), max(s - both * r, 0.0)
    if share == loss_share == 0:
        share, loss_share = float(r >= s), float(r < s)
    together = max((share * r + loss_share * s) / _size(share, loss_share, both), 0.0)
    variance = (share * one.variance + loss_share * two.variance) / (share + loss_share)
    size = _size(share, loss_share, seen)
    return share / size, loss_share / size, Relevance(float(fisher(together)), variance)


def _size(a: float, b: float, correlated: float) -> float:
    """Deviation of a sum of two standardised scores, weighed by a and b."""
    return float(np.sqrt(max(a * a + b * b + 2 * a * b * correlated, 1e-12)))


def with_own(
    rest: Floats, own: Floats, own_noise: float | None, belief: Relevance, *, unseen: bool
) -> tuple[float, float, float, Relevance]:
    """Shares of the own score and the rest, the own score's reliability, and the belief of the rest's relevance."""
    n, variance = own.size, float(own.var(ddof=1))
    square = 0.0 if own_noise is None or np.isnan(own_noise) else float(own_noise) ** 2
    if square <= 1e-9 * variance:
        return (1.0, 0.0, 1.0, belief) if variance > 0 else (0.0, 1.0, 0.0, belief)
    z, h = GRID[0][:, None], GRID[1][None, :]
    r = np.tanh(z)
    log = -((z - belief.mean) ** 2) / (2 * belief.variance)
    # The own score's variance is its noise / (1 - h), seen with n - 1 degrees of freedom.
    log = log + (n - 1) / 2 * (np.log1p(-h) - (1 - h) * variance / square)
    if unseen and n > 3 and rest.any() and variance > 0:
        log = log - (n - 3) / 2 * (fisher(correlation(rest, own)) - np.arctanh(r * np.sqrt(h))) ** 2
    chance = np.exp(log - log.max())
    chance /= chance.sum()
    whole = 1 - r**2 * h
    own_share = float((chance * np.sqrt(h) * (1 - r**2) / whole).sum())
    rest_share = max(float((chance * r * (1 - h) / whole).sum()), 0.0)
    mean = float((chance * z).sum())
    after = Relevance(mean, float((chance * (z - mean) ** 2).sum()))
    return own_share, rest_share, float((chance * h).sum()), after
