"""Holm's correction of several p values, which scores and decisions both need."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from proxy._arrays import Floats
from proxy.errors import ProxyError


def holm(p_values: ArrayLike) -> Floats:
    """Holm's adjusted p values (Holm 1979): family-wise error is held whatever the dependence.

    >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not (np.isfinite(p).all() and ((p >= 0) & (p <= 1)).all()):
        raise ProxyError("p values are numbers from 0 to 1 in one row; check what gave them")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * (p.size - np.arange(p.size))), 1.0)
    return adjusted
