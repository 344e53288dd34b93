"""What is known of the size of deviations from a law: weights of scatter and drift on a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from passuntil._arrays import Floats
from passuntil.errors import PassUntilError

#: Values of sigma and of kappa that are weighed, on the scale of log(-log p): from nothing to all and more.
SIDE: Floats = np.concatenate([[0.0], np.geomspace(2e-3, 5.0, 31)])
#: The grid, shape (len(SIDE)^2, 2): columns sigma and kappa.
GRID: Floats = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), axis=-1).reshape(-1, 2)
#: Scale of the weak prior, a half-Cauchy distribution for each of the two: half of it lies below.
WEAK_SCALE = 0.1
#: Prior probability that there is none of it, for each of the two: the law is the first hypothesis.
NONE_OF_IT = 0.5


@dataclass(frozen=True)
class DeviationPrior:
    """Weights of the scatter sigma and the drift kappa of a series, at every point of `GRID`.

    Both are on the scale of F = log(-log p). `weak` and `known` make one; `pool_deviations` learns one.

    Parameters
    ----------
    log_mass : tuple of float
        Natural logarithms of the weights, up to a constant, one a point of `GRID`.
    tasks : int, optional
        How many tasks or losses they were learnt from.

    Examples
    --------
    >>> 0.05 < DeviationPrior.weak().sigma(0.75) < 0.2
    True
    """

    log_mass: tuple[float, ...]
    tasks: int = 0

    @classmethod
    def weak(cls, scale: float = WEAK_SCALE, *, drift: bool = True) -> DeviationPrior:
        """Prior before any evidence: each of the two is 0 with probability 1/2, else half-Cauchy.

        Parameters
        ----------
        scale : float, optional
            Median of the half-Cauchy distribution, above 0.
        drift : bool, optional
            False for a series that has no drift.

        Returns
        -------
        DeviationPrior
            Learnt from no task.
        """
        edges = np.concatenate([[0.0], np.sqrt(SIDE[1:-1] * SIDE[2:]), [np.inf]])
        edges = np.insert(edges, 1, SIDE[1] / 2.0)
        none = np.where(SIDE == 0.0, 1.0, 0.0)
        some = np.diff(np.arctan(edges / scale)) * (2.0 / math.pi)
        either = NONE_OF_IT * none + (1.0 - NONE_OF_IT) * some
        with np.errstate(divide="ignore"):
            return cls(tuple(np.log(np.outer(either, either if drift else none)).ravel().tolist()))

    @classmethod
    def known(cls, sigma: float, kappa: float = 0.0) -> DeviationPrior:
        """Put all weight on the point of the grid next to these values.

        Parameters
        ----------
        sigma : float
            The scatter, at least 0.
        kappa : float, optional
            The drift, at least 0.

        Returns
        -------
        DeviationPrior
            Learnt from no task.

        Raises
        ------
        PassUntilError
            For a value that is negative or not finite.
        """
        for value in (sigma, kappa):
            if not (math.isfinite(value) and value >= 0.0):
                raise PassUntilError(f"deviation must be finite and at least 0, not {value}")
        nearest = [float(SIDE[np.abs(SIDE - value).argmin()]) for value in (sigma, kappa)]
        return cls(tuple(np.where((np.array(nearest) == GRID).all(axis=1), 0.0, -np.inf).tolist()))

    @cached_property
    def weights(self) -> Floats:
        """Probability of each point of `GRID`, shape (points,)."""
        log_mass = np.asarray(self.log_mass)
        mass = np.exp(log_mass - log_mass.max())
        return np.asarray(mass / mass.sum(), dtype=np.float64)

    def sigma(self, share: float) -> float:
        """Scatter below which a share of the weight lies.

        Parameters
        ----------
        share : float
            In (0, 1), such as 0.5 for the median.

        Returns
        -------
        float
            A value of `SIDE`.
        """
        return self._quantile(0, share)

    def kappa(self, share: float) -> float:
        """Drift below which a share of the weight lies.

        Parameters
        ----------
        share : float
            In (0, 1), such as 0.5 for the median.

        Returns
        -------
        float
            A value of `SIDE`.
        """
        return self._quantile(1, share)

    def _quantile(self, column: int, share: float) -> float:
        table = self.weights.reshape(SIDE.size, SIDE.size).sum(axis=1 - column)
        return float(SIDE[min(int(np.searchsorted(table.cumsum(), share)), SIDE.size - 1)])

    def updated(self, log_likelihood: Floats, tasks: int = 1) -> DeviationPrior:
        """Posterior after further evidence.

        Parameters
        ----------
        log_likelihood : ndarray, shape (points,)
            Natural logarithm of the likelihood of the evidence at every point of `GRID`, up to a constant.
        tasks : int, optional
            How many tasks or losses it comes from.

        Returns
        -------
        DeviationPrior
            Prior times likelihood.
        """
        log_mass = np.asarray(self.log_mass) + log_likelihood
        return DeviationPrior(tuple((log_mass - log_mass.max()).tolist()), self.tasks + tasks)
