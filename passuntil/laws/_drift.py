"""The drift of a series: an integrated Wiener process over log N, and what a line leaves of it."""

from __future__ import annotations

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws._cells import complement


def kernel(log_sizes: Floats, new: float | None = None, like: Floats | None = None) -> Floats:
    """Covariance of the drift at the models, and at `new`, for kappa = 1.

    An integrated Wiener process over log N; its value and slope at the smallest model are free, as a line is
    fitted besides. The unit is such that the n - 2 combinations have a mean variance of 1; or it is that of
    the series `like`, where fewer of its models are at hand: the process is the same.
    """
    at = log_sizes if new is None else np.append(log_sizes, new)
    unit = log_sizes if like is None else like
    longer = float(np.ptp(log_sizes)) / float(np.ptp(unit))
    return _wiener(at, log_sizes) * _unit(unit) * longer**3


def line_complement(log_sizes: Floats) -> Floats:
    """Orthonormal basis (n, n - 2) of what a line over log N leaves of the deviations."""
    return complement((log_sizes - log_sizes.mean()) / log_sizes.std())


def _wiener(at: Floats, log_sizes: Floats) -> Floats:
    """Covariance of an integrated Wiener process that starts at the least of `log_sizes`, reach 1."""
    u = (at - float(log_sizes.min())) / float(np.ptp(log_sizes))
    low, high = np.minimum.outer(u, u), np.maximum.outer(u, u)
    return np.asarray(low**2 * (3.0 * high - low) / 6.0)


def _unit(log_sizes: Floats) -> float:
    """What makes the mean variance of the n - 2 combinations 1."""
    basis = line_complement(log_sizes)
    return basis.shape[1] / float(np.trace(basis.T @ _wiener(log_sizes, log_sizes) @ basis))
