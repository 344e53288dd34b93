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
from functools import cached_property

import numpy as np

from passuntil._arrays import Floats
from passuntil.errors import PassUntilError
from passuntil.laws._cells import complement

#: Values of sigma and of kappa that are weighed, on the scale of log(-log p): from nothing to all and more.
SIDE: Floats = np.concatenate([[0.0], np.geomspace(2e-3, 5.0, 31)])
#: The grid, shape (len(SIDE)^2, 2): columns sigma and kappa.
GRID: Floats = np.stack(np.meshgrid(SIDE, SIDE, indexing="ij"), axis=-1).reshape(-1, 2)
#: Scale of the weak prior, a half-Cauchy distribution for each of the two: half of it lies below.
WEAK_SCALE = 0.1
#: Prior probability that there is none of it, for each of the two: the law is the first hypothesis.
NONE_OF_IT = 0.5


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


def _wiener(at: Floats, log_sizes: Floats) -> Floats:
    """Covariance of an integrated Wiener process that starts at the least of `log_sizes`, reach 1."""
    u = (at - float(log_sizes.min())) / float(np.ptp(log_sizes))
    low, high = np.minimum.outer(u, u), np.maximum.outer(u, u)
    return np.asarray(low**2 * (3.0 * high - low) / 6.0)


def _unit(log_sizes: Floats) -> float:
    """What makes the mean variance of the n - 2 combinations 1."""
    basis = _basis(log_sizes)
    return basis.shape[1] / float(np.trace(basis.T @ _wiener(log_sizes, log_sizes) @ basis))


def _basis(log_sizes: Floats) -> Floats:
    return complement((log_sizes - log_sizes.mean()) / log_sizes.std())


@dataclass(frozen=True)
class DeviationPrior:
    """Weights of (sigma, kappa) on `GRID`, as log masses up to a constant; `tasks`: learnt from how many.

    >>> 0.05 < DeviationPrior.weak().sigma(0.75) < 0.2
    True
    """

    log_mass: tuple[float, ...]
    tasks: int = 0

    @classmethod
    def weak(cls, scale: float = WEAK_SCALE, *, drift: bool = True) -> DeviationPrior:
        """Each is 0 with probability `NONE_OF_IT`, else half-Cauchy with that median (> 0)."""
        edges = np.concatenate([[0.0], np.sqrt(SIDE[1:-1] * SIDE[2:]), [np.inf]])
        edges = np.insert(edges, 1, SIDE[1] / 2.0)
        none = np.where(SIDE == 0.0, 1.0, 0.0)
        some = np.diff(np.arctan(edges / scale)) * (2.0 / math.pi)
        one = NONE_OF_IT * none + (1.0 - NONE_OF_IT) * some
        with np.errstate(divide="ignore"):
            return cls(tuple(np.log(np.outer(one, one if drift else none)).ravel().tolist()))

    @classmethod
    def known(cls, sigma: float, kappa: float = 0.0) -> DeviationPrior:
        """All weight on the point of the grid next to these values (>= 0)."""
        if not all(math.isfinite(value) and value >= 0.0 for value in (sigma, kappa)):
            raise PassUntilError(f"deviation must be finite and at least 0, not {sigma}")
        nearest = [float(SIDE[np.abs(SIDE - value).argmin()]) for value in (sigma, kappa)]
        return cls(tuple(np.where((np.array(nearest) == GRID).all(axis=1), 0.0, -np.inf).tolist()))

    @cached_property
    def weights(self) -> Floats:
        """Probability of each point of `GRID`."""
        log_mass = np.asarray(self.log_mass)
        mass = np.exp(log_mass - log_mass.max())
        return np.asarray(mass / mass.sum(), dtype=np.float64)

    def sigma(self, share: float) -> float:
        """The scatter below which `share` of the weight lies."""
        return self._quantile(0, share)

    def kappa(self, share: float) -> float:
        """The drift below which `share` of the weight lies."""
        return self._quantile(1, share)

    def _quantile(self, column: int, share: float) -> float:
        table = self.weights.reshape(SIDE.size, SIDE.size).sum(axis=1 - column)
        return float(SIDE[min(int(np.searchsorted(table.cumsum(), share)), SIDE.size - 1)])

    def updated(self, log_likelihood: Floats, tasks: int = 1) -> DeviationPrior:
        """The posterior after evidence with that log-likelihood on `GRID`."""
        log_mass = np.asarray(self.log_mass) + log_likelihood
        return DeviationPrior(tuple((log_mass - log_mass.max()).tolist()), self.tasks + tasks)


@dataclass(frozen=True)
class Deviations:
    """Deviations of the fitted models of one task, as the data alone have them.

    log_sizes: (n,). free: the n - 2 combinations that a line leaves; covariance: of their errors, (n - 2,
    n - 2); basis: (n, n - 2), orthonormal, takes them back to models.
    """

    log_sizes: Floats
    free: Floats
    covariance: Floats
    basis: Floats

    @property
    def values(self) -> Floats:
        """The deviations, shape (n,), orthogonal to (1, log N)."""
        return np.asarray(self.basis @ self.free)

    def prior_covariances(self, like: Floats | None = None) -> Floats:
        """Covariance of `free` at every point of `GRID`, (grid, n - 2, n - 2).

        like: the log sizes of the series in whose unit kappa is meant; its own without.
        """
        inner = self.basis.T @ kernel(self.log_sizes, like=like) @ self.basis
        sigma2, kappa2 = (GRID**2).T[..., None, None]
        return np.asarray(sigma2 * np.eye(self.free.size) + kappa2 * inner)

    def log_likelihood(self, like: Floats | None = None) -> Floats:
        """Restricted log-likelihood on `GRID`: free ~ N(0, prior covariance + covariance)."""
        total = self.prior_covariances(like) + self.covariance
        _, log_determinant = np.linalg.slogdet(total)
        solved = np.linalg.solve(total, self.free[None, :, None])[..., 0]
        return np.asarray(-0.5 * (log_determinant + solved @ self.free))


def deviations_of(log_sizes: Floats, f: Floats, variance: float = 0.0) -> Deviations:
    """Deviations of any series of F (or log loss) over log sizes, with that error variance in each value."""
    basis = _basis(log_sizes)
    error = max(variance, 1e-8) * np.eye(basis.shape[1])
    return Deviations(log_sizes, basis.T @ f, error, basis)


def from_fit(
    log_sizes: Floats, delta: Floats, information: Floats, prior_variance: float, basis: Floats
) -> Deviations:
    """Undo the shrinkage of a fit: `information` (n - 2, n - 2) is the data's own, within `basis`."""
    values, vectors = np.linalg.eigh((information + information.T) / 2.0)
    values = np.maximum(values, 1e-9)
    free = (vectors.T @ (basis.T @ delta)) * (1.0 + 1.0 / (values * max(prior_variance, 1e-12)))
    return Deviations(log_sizes, vectors @ free, (vectors / values) @ vectors.T, basis)


def pool_deviations(
    deviations: Sequence[Deviations],
    *,
    scale: float = WEAK_SCALE,
    drift: bool = True,
    like: Floats | None = None,
) -> DeviationPrior:
    """What several tasks (or losses) of the same series say of sigma and kappa together.

    like: log sizes of the fit that the prior is for, where not every task was measured on all of them.
    A model that came out well is better at all of them, so the tasks repeat each other: with mean
    correlation rho between their deviations, T tasks count as T / (1 + (T - 1) rho) of them (rho over the
    tasks with the same sizes, not below 0).

    Raises PassUntilError for none.

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
    together = np.sum([one.log_likelihood(like) for one in deviations], axis=0) * share
    return DeviationPrior.weak(scale, drift=drift).updated(together, tasks=count)


@dataclass(frozen=True)
class NextDeviation:
    """What the fitted deviations say of a new model, at every point of `GRID`.

    mean (grid, n - 2) and root: the posterior of `free` is mean + root times standard normals. slope (grid,
    n - 2) and variance (grid,): how far the new model is off the *fitted* line, given `free`.
    """

    mean: Floats
    root: Floats
    slope: Floats
    variance: Floats


def next_deviation(deviations: Deviations, log_size: float, like: Floats | None = None) -> NextDeviation:
    """Universal kriging: the line is flat a priori, scatter and drift have their covariances.

    The new model's distance from the fitted line is its own deviation less what the line took from the
    fitted ones: for the scatter alone its variance is sigma^2 (1 + 1/n + ...), as for a least-squares line.
    """
    x = deviations.log_sizes
    n = x.size
    design = np.column_stack([np.ones(n), x - x.mean()])
    at = np.array([1.0, log_size - x.mean()])
    contrast = np.append(-at @ np.linalg.solve(design.T @ design, design.T), 1.0)
    drift = kernel(x, log_size, like)
    lift = np.vstack([deviations.basis, np.zeros(deviations.basis.shape[1])])
    sigma2, kappa2 = (GRID**2).T
    prior = deviations.prior_covariances(like)
    # At (0, 0) there is nothing to krige with; a speck of scatter stands for none.
    prior = prior + 1e-12 * np.eye(n - 2)
    # The scatter part of the covariance vanishes: the contrast and the basis are orthogonal there.
    cross = kappa2[:, None] * (contrast @ drift @ lift) + sigma2[:, None] * (contrast @ lift)
    own = sigma2 * float(contrast @ contrast) + kappa2 * float(contrast @ drift @ contrast)
    slope = np.linalg.solve(prior, cross[..., None])[..., 0]
    variance = np.maximum(own - (slope * cross).sum(1), 0.0)
    gain = np.swapaxes(np.linalg.solve(prior + deviations.covariance, prior), 1, 2)
    left = prior - gain @ prior
    values, vectors = np.linalg.eigh((left + np.swapaxes(left, 1, 2)) / 2.0)
    root = vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]
    return NextDeviation(gain @ deviations.free, root, slope, variance)
