"""Curves c N^-alpha + L0 by least squares, for every exponent of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats

#: Exponents that are tried. Below the first the curve is as good as a logarithm, above the last a step.
ALPHAS: Floats = np.geomspace(0.005, 5.0, 1200)


@dataclass(frozen=True, slots=True)
class Profile:
    """For each exponent of a grid the best c and L0 >= 0 of every curve, and the sum of squares: (grid, m).

    unit: the size in whose multiples c counts (the geometric mean), so that nothing overflows.
    """

    alphas: Floats
    c: Floats
    floor: Floats
    rss: Floats
    unit: float


def profile(sizes: Floats, losses: Floats, alphas: Floats = ALPHAS) -> Profile:
    """Least squares for curves `losses` (m, n) over sizes (n,): linear in (c, L0) once alpha is known."""
    unit = math.exp(float(np.log(sizes).mean()))
    basis = np.power.outer(sizes / unit, -alphas).T  # (grid, n)
    centre = basis.mean(1, keepdims=True)
    off = basis - centre
    mean = losses.mean(1)
    c = (off @ losses.T) / (off * off).sum(1, keepdims=True)
    floor = mean - c * centre
    # A negative floor is no loss: there the curve goes through L0 = 0, and a falling c through c = 0.
    bare = (basis @ losses.T) / (basis * basis).sum(1, keepdims=True)
    c, floor = np.where(floor < 0, bare, c), np.maximum(floor, 0.0)
    c, floor = np.where(c < 0, 0.0, c), np.where(c < 0, mean, floor)
    fitted = c[..., None] * basis[:, None, :] + floor[..., None]
    return Profile(alphas, c, floor, ((losses - fitted) ** 2).sum(-1), unit)
