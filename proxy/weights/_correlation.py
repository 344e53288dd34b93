"""Correlations, bounded, and Fisher's scale."""

from __future__ import annotations

import numpy as np

from proxy._arrays import Floats
from proxy.weights.base import standardised

#: Correlations are kept this far from 1, where Fisher's scale is endless.
LARGEST = 0.95


def fisher(correlation: Floats | float) -> Floats:
    """Atanh of a correlation, bounded; NaN stays."""
    return np.asarray(np.arctanh(np.clip(correlation, -LARGEST, LARGEST)))


def correlation(a: Floats, b: Floats) -> float:
    """Pearson's correlation, 0 where either side is constant."""
    z = standardised(np.column_stack([a, b]))
    return float(z[:, 0] @ z[:, 1] / z.shape[0])
