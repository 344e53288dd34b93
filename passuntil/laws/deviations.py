"""How far the models of a series are off their law: learnt from one task, or pooled over several.

Each model j has a deviation delta_j on the scale of F = log(-log p), shared by its instances: a run that came
out well is better at all of them. It has two parts. The scatter, N(0, sigma^2), is each run's own. The drift
is smooth in log N, an integrated Wiener process of size kappa: a series whose recipe, data or token count
favours small or large models bends away from a straight line, and the next model most likely bends on. A line
takes two of the n deviations with it, so n - 2 combinations, those orthogonal to (1, log N), tell of sigma
and kappa. Their posterior is kept on a grid, because so few numbers leave it wide, and every interval
integrates over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats
from passuntil.errors import PassUntilError
from passuntil.laws._drift import kernel, line_complement
from passuntil.laws.deviation_prior import GRID, WEAK_SCALE, DeviationPrior


@dataclass(frozen=True)
class Deviations:
    """Deviations of the fitted models of one task, as the data alone have them.

    Parameters
    ----------
    log_sizes : ndarray, shape (n,)
        Natural logarithms of the models' sizes.
    free : ndarray, shape (n - 2,)
        The combinations of the deviations that a line leaves, on the scale of F = log(-log p).
    covariance : ndarray, shape (n - 2, n - 2)
        Of their errors.
    basis : ndarray, shape (n, n - 2)
        Orthonormal; takes them back to models.
    """

    log_sizes: Floats
    free: Floats
    covariance: Floats
    basis: Floats

    @property
    def values(self) -> Floats:
        """Deviation of every model, shape (n,), orthogonal to (1, log N)."""
        return np.asarray(self.basis @ self.free)

    def prior_covariances(self, like: Floats | None = None) -> Floats:
        """Covariance of `free` at every point of `GRID`, before the data.

        Parameters
        ----------
        like : ndarray, optional
            The log sizes of the series in whose unit kappa is meant; its own without.

        Returns
        -------
        ndarray, shape (points, n - 2, n - 2)
            sigma^2 I + kappa^2 K, with K the drift's covariance for kappa = 1.
        """
        inner = self.basis.T @ kernel(self.log_sizes, like=like) @ self.basis
        sigma2, kappa2 = (GRID**2).T[..., None, None]
        return np.asarray(sigma2 * np.eye(self.free.size) + kappa2 * inner)

    def log_likelihood(self, like: Floats | None = None) -> Floats:
        """Restricted log-likelihood of (sigma, kappa) at every point of `GRID`.

        Parameters
        ----------
        like : ndarray, optional
            As in `prior_covariances`.

        Returns
        -------
        ndarray, shape (points,)
            Natural logarithm of the density of free ~ N(0, prior covariance + covariance), up to a constant.
        """
        total = self.prior_covariances(like) + self.covariance
        _, log_determinant = np.linalg.slogdet(total)
        solved = np.linalg.solve(total, self.free[None, :, None])[..., 0]
        return np.asarray(-0.5 * (log_determinant + solved @ self.free))


def deviations_of(log_sizes: Floats, f: Floats, variance: float = 0.0) -> Deviations:
    """Deviations of any series of F (or of a log loss) from a line over log sizes.

    Parameters
    ----------
    log_sizes : ndarray, shape (n,)
        Natural logarithms of the models' sizes, at least three of them distinct.
    f : ndarray, shape (n,)
        F = log(-log p) of the task mean, or the log of a loss, of each model.
    variance : float, optional
        Of the error in each value of `f`, at least 0.

    Returns
    -------
    Deviations
        What the line leaves.
    """
    basis = line_complement(log_sizes)
    error = max(variance, 1e-8) * np.eye(basis.shape[1])
    return Deviations(log_sizes, basis.T @ f, error, basis)


def pool_deviations(
    deviations: Sequence[Deviations],
    *,
    scale: float = WEAK_SCALE,
    drift: bool = True,
    like: Floats | None = None,
) -> DeviationPrior:
    """What several tasks (or losses) of the same series say of sigma and kappa together.

    Parameters
    ----------
    deviations : sequence of Deviations
        One a task or loss, at least one.
    scale, drift : float and bool, optional
        Of the prior before any evidence, as in `DeviationPrior.weak`.
    like : ndarray, optional
        Log sizes of the fit that the prior is for, where not every task was measured on all of them.

    Returns
    -------
    DeviationPrior
        To hand to `InstanceLikelihood`.

    Raises
    ------
    PassUntilError
        For no deviations.

    Notes
    -----
    The weak prior times the likelihoods of the tasks. A model that came out well is better at all of them,
    so the tasks repeat each other: with mean correlation rho between their deviations (over the tasks with
    the same sizes, not below 0), T tasks count as T / (1 + (T - 1) rho) of them.

    Examples
    --------
    >>> x = np.log([1.0, 2.0, 4.0, 8.0, 16.0])
    >>> one = deviations_of(x, np.array([0.02, 0.0, -0.03, 0.01, 0.0]))
    >>> other = deviations_of(x, np.array([0.0, -0.02, 0.01, 0.01, 0.0]))
    >>> pool_deviations([one, other]).sigma(0.9) < pool_deviations([one]).sigma(0.9)
    True
    """
    if not deviations:
        raise PassUntilError("no deviations were given; pool those of at least one fit")
    correlations = []
    for i, first in enumerate(deviations):
        for second in deviations[:i]:
            if np.array_equal(first.log_sizes, second.log_sizes):
                a, b = first.values, second.values
                norm = math.sqrt(float(a @ a) * float(b @ b))
                correlations.append(float(a @ b) / norm if norm > 0 else 0.0)
    count = len(deviations)
    rho = max(float(np.mean(correlations)), 0.0) if correlations else 0.0
    share = 1.0 / (1.0 + (count - 1) * rho)
    together = np.sum([task.log_likelihood(like) for task in deviations], axis=0) * share
    return DeviationPrior.weak(scale, drift=drift).updated(together, tasks=count)
