"""Weights by a regression that is pooled towards equal weights."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import nnls

from proxy._arrays import Floats
from proxy.weights.base import Selector, standardised, standardised_column


class ShrinkageSelector(Selector):
    """Ridge regression of the target on standardised tasks, pooled towards equal weights.

    The target is explained by the mean of the tasks, weighted by the root of their reliability, and by each task's own
    departure, which a penalty holds down. The penalty is chosen by leave-one-model-out error; the largest means the
    mean alone.

    Parameters
    ----------
    nonnegative : bool, optional
        Whether no weight may be below 0; True by default.

    Attributes
    ----------
    weights_ : numpy.ndarray, shape (tasks,)
        The weights, their sizes summing to 1.
    penalty_ : float
        The chosen penalty, one of `penalties`.
    fell_back_ : bool
        Whether no task relates to the target, so that equal weights were taken.

    Notes
    -----
    With z the standardised tasks times the root of their reliability and b0 the common coefficient, the weights
    minimise ||y - z b||^2 + penalty ||b - b0||^2.

    References
    ----------
    .. [1] A. E. Hoerl and R. W. Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems,
       Technometrics 12 (1970).

    Examples
    --------
    >>> panel = [[0.1, 0.9], [0.2, 0.3], [0.4, 0.5], [0.6, 0.4]]
    >>> ShrinkageSelector().fit(panel, [1.0, 2.0, 3.0, 4.0]).weights_.round(2).tolist()
    [1.0, 0.0]
    """

    label = "shrinkage"
    #: Penalties that are tried.
    penalties = np.geomspace(0.03, 1e4, 12)

    def __init__(self, *, nonnegative: bool = True) -> None:
        self.nonnegative = nonnegative

    def _weights(self, x: Floats, y: Floats, h: Floats) -> Floats:
        z, t = standardised(x) * np.sqrt(h), standardised_column(y)
        common = z.mean(axis=1)
        self.penalty_ = float(self.penalties[int(np.argmin(left_out_errors(z, common, t, self.penalties)))])
        if not self.nonnegative:
            return _coefficients(z, common, t, self.penalty_) * np.sqrt(h)
        # Rows that pull every weight towards the common one, which is fitted first and may not be negative.
        level = max(float(common @ t) / max(float(common @ common), 1e-12), 0.0) / z.shape[1]
        pull = np.sqrt(self.penalty_) * np.eye(z.shape[1])
        solution, _ = nnls(np.vstack([z, pull]), np.concatenate([t, pull @ np.full(z.shape[1], level)]))
        return np.asarray(solution * np.sqrt(h))


def _coefficients(z: Floats, common: Floats, t: Floats, penalty: float) -> Floats:
    """The common coefficient, fitted first, and the ridge's departures from it."""
    level = float(common @ t) / max(float(common @ common), 1e-12)
    rest = t - level * common
    gram = z.T @ z + penalty * np.eye(z.shape[1])
    return np.asarray(level / z.shape[1] + np.linalg.solve(gram, z.T @ rest))


def left_out_errors(z: Floats, common: Floats, t: Floats, penalties: ArrayLike) -> list[float]:
    """Mean squared error, for each penalty, of each model predicted from the others.

    The steps are a mean, the common part, and a ridge regression of what these leave.

    Parameters
    ----------
    z : numpy.ndarray of float, shape (models, tasks)
        Standardised scores.
    common : numpy.ndarray of float, shape (models,)
        The common part, the mean of the tasks.
    t : numpy.ndarray of float, shape (models,)
        The standardised target.
    penalties : array_like of float, shape (penalties,)
        Penalties of the ridge, above 0.

    Returns
    -------
    list of float
        The error of each penalty, in units of the target's variance.

    Notes
    -----
    Nothing is refitted: the error of a model is its residual over 1 - its leverage. Of the steps' hat matrices only
    the diagonals are needed: 1 / n, c c' / c'c, and the ridge's U g U' (with z = U d V', g = d^2 / (d^2 + penalty))
    of what the first step leaves.
    """
    left, sizes, _ = np.linalg.svd(z, full_matrices=False)
    size = max(float(common @ common), 1e-12)
    first = common * float(common @ t) / size
    of_rest, of_common = left.T @ (t - first), left.T @ common
    errors = []
    for penalty in np.asarray(penalties, dtype=np.float64):
        kept = sizes**2 / (sizes**2 + penalty)
        fitted = t.mean() + first + left @ (kept * of_rest)
        own = 1 / t.size + common**2 / size + left**2 @ kept - (left @ (kept * of_common)) * common / size
        errors.append(float(np.mean(((t - fitted) / np.maximum(1 - own, 1e-3)) ** 2)))
    return errors
