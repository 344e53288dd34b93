"""Draws from the predictive distribution of a task mean, given an empirical-Bayes fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from passuntil._arrays import Floats
from passuntil._samples import LARGE_CELLS, evenly
from passuntil.laws._cells import ROOTS, marginal, pass_probability
from passuntil.laws._empirical_bayes import Fit
from passuntil.laws._inputs import Cells
from passuntil.laws._kriging import next_deviation
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.deviations import Deviations

#: Instances that stand for all of a task with more than `LARGE_CELLS` cells.
REPRESENTED = 1_000


@dataclass(frozen=True)
class Posterior:
    """What a forecast needs of a fit: standardised sizes z, instances, hyper-parameters, deviations.

    precision, natural: the likelihood's own normal approximation of each instance, as H_i = (h00, h01, h11)
    and H_i theta_i, shapes (m, 3) and (m, 2). pull: (m, 2, n - 2), how the deviations, at `fitted_free` in
    the fit, move H_i theta_i.
    """

    cells: Cells
    precision: Floats
    natural: Floats
    pull: Floats
    mu: Floats
    sigma: Floats
    tau: float
    guess: float
    deviations: Deviations
    fitted_free: Floats
    spread: DeviationPrior
    with_deviation: bool

    @classmethod
    def of_fit(
        cls,
        cells: Cells,
        fit: Fit,
        *,
        tau: float,
        guess: float,
        deviations: Deviations,
        spread: DeviationPrior,
        with_deviation: bool,
    ) -> Posterior:
        """The posterior at the modes of the first replicate of `fit`."""
        theta, z = fit.theta[0], cells.z
        eta = theta[:, :1] - theta[:, 1:] * z + fit.delta[0]
        score, weight, _ = marginal(eta, cells.draws, cells.passes, guess, fit.tau2[:1], fit.eps[0])
        h00, h01, h11 = weight.sum(1), -(weight @ z), weight @ (z * z)
        # The score is what is left of the gradient at the mode, so that H theta comes out exact.
        natural = np.stack(
            [
                h00 * theta[:, 0] + h01 * theta[:, 1] + score.sum(1),
                h01 * theta[:, 0] + h11 * theta[:, 1] - score @ z,
            ],
            axis=1,
        )
        basis = deviations.basis
        return cls(
            cells=cells,
            precision=np.stack([h00, h01, h11], axis=1),
            natural=natural,
            pull=np.stack([weight @ basis, -(weight * z) @ basis], axis=1),
            mu=fit.mu[0],
            sigma=fit.sigma[0],
            tau=tau,
            guess=guess,
            deviations=deviations,
            fitted_free=basis.T @ fit.delta[0],
            spread=spread,
            with_deviation=with_deviation,
        )

    def of(self, instances: NDArray[np.intp]) -> Posterior:
        """The same with these instances only."""
        return replace(
            self,
            precision=self.precision[instances],
            natural=self.natural[instances],
            pull=self.pull[instances],
        )

    def log_size(self, z: float) -> float:
        """Back from the standardised axis."""
        return self.cells.centre + self.cells.spread * z


def sample_means(posterior: Posterior, z: float, generator: np.random.Generator, count: int) -> Floats:
    """Task means of `count` new models at standardised size z.

    For each: sigma and kappa from their posterior; the fitted models' deviations given them, which move the
    instances; Sigma and mu given the instances; every instance given all that; how far the new model is off
    the fitted line (`next_deviation`); eps of every cell. Above `LARGE_CELLS` the last steps integrate over
    instances that stand for all (`_mean_of_many`).
    """
    m = len(posterior.natural)
    outer = np.linalg.inv(posterior.sigma)
    h00, h01, h11 = posterior.precision.T
    v00, v01, v11 = _inverse(h00 + outer[0, 0], h01 + outer[0, 1], h11 + outer[1, 1])
    # Information on mu: an instance tells of it as far as its own data reach.
    v = np.array([[v00.sum(), v01.sum()], [v01.sum(), v11.sum()]])
    of_mu = m * outer - outer @ v @ outer
    mu = generator.multivariate_normal(posterior.mu, _safe_inverse(of_mu), size=count, method="eigh")
    informative = max(m - 0.5 * float(np.trace(outer @ v)), 3.0)
    inner = _wisharts(generator, informative, count)
    root = np.linalg.cholesky(outer)
    # Inverse-Wishart draws of Sigma are Wishart draws of its inverse.
    precision = root @ inner @ root.T

    shift, move = np.zeros(count), np.zeros((count, posterior.deviations.free.size))
    if posterior.with_deviation:
        d = posterior.deviations
        ahead = next_deviation(d, posterior.log_size(z))
        point = generator.choice(ahead.variance.size, size=count, p=posterior.spread.weights)
        free = ahead.mean[point] + np.einsum(
            "skl,sl->sk", ahead.root[point], generator.standard_normal((count, d.free.size))
        )
        move = free - posterior.fitted_free
        shift = (ahead.slope[point] * free).sum(1)
        shift = shift + np.sqrt(ahead.variance[point]) * generator.standard_normal(count)
    if posterior.cells.draws.size > LARGE_CELLS:
        return _mean_of_many(posterior, z, mu, precision, move, shift, generator)
    mean, variance = _instances(posterior, z, mu, precision, move)
    eta = mean + np.sqrt(variance) * generator.standard_normal((count, m)) + shift[:, None]
    return np.asarray(pass_probability(eta, posterior.guess).mean(axis=1))


def _instances(
    posterior: Posterior, z: float, mu: Floats, precision: Floats, move: Floats
) -> tuple[Floats, Floats]:
    """Mean and variance of eta at z of every instance, (count, m), given the rest."""
    h00, h01, h11 = posterior.precision.T
    natural = posterior.natural[None] + np.einsum("skl,sl->sk", precision, mu)[:, None, :]
    if posterior.with_deviation:
        natural = natural - np.einsum("mkl,sl->smk", posterior.pull, move)
    v00, v01, v11 = _inverse(
        h00 + precision[:, None, 0, 0], h01 + precision[:, None, 0, 1], h11 + precision[:, None, 1, 1]
    )
    mean = v00 * natural[..., 0] + v01 * natural[..., 1] - z * (v01 * natural[..., 0] + v11 * natural[..., 1])
    return mean, v00 - 2.0 * z * v01 + z * z * v11 + posterior.tau**2


def _mean_of_many(
    posterior: Posterior,
    z: float,
    mu: Floats,
    precision: Floats,
    move: Floats,
    shift: Floats,
    generator: np.random.Generator,
) -> Floats:
    """The task means of very many instances: `REPRESENTED` of them, spread evenly over their eta at z, stand for all.

    The mean of a pass probability over its instance's own uncertainty is integrated; the sum of so many is normal.
    """
    here, _ = _instances(
        posterior,
        z,
        posterior.mu[None],
        np.asarray(np.linalg.inv(posterior.sigma), np.float64)[None],
        0.0 * move[:1],
    )
    some = posterior.of(evenly(here[0], REPRESENTED))
    mean, variance = _instances(some, z, mu, precision, move)
    first = second = np.zeros(mean.shape)
    for node, share in zip(*ROOTS, strict=True):
        p = pass_probability(mean + np.sqrt(2.0 * variance) * node + shift[:, None], posterior.guess)
        first, second = first + share * p, second + share * p * p
    first, second = first / np.sqrt(np.pi), second / np.sqrt(np.pi)
    own = np.maximum(second - first**2, 0.0).mean(axis=1) / len(posterior.natural)
    means = first.mean(axis=1) + np.sqrt(own) * generator.standard_normal(shift.size)
    return np.asarray(np.clip(means, posterior.guess, 1.0))


def _inverse(h00: Floats, h01: Floats, h11: Floats) -> tuple[Floats, Floats, Floats]:
    determinant = h00 * h11 - h01 * h01
    return h11 / determinant, -h01 / determinant, h00 / determinant


def _safe_inverse(matrix: Floats) -> Floats:
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2.0)
    return np.asarray(vectors @ np.diag(1.0 / np.maximum(values, 1e-6)) @ vectors.T)


def _wisharts(generator: np.random.Generator, df: float, count: int) -> Floats:
    """2 x 2 Wishart draws with mean I, by Bartlett's decomposition."""
    factor = np.zeros((count, 2, 2))
    factor[:, 0, 0] = np.sqrt(generator.chisquare(df, count))
    factor[:, 1, 1] = np.sqrt(generator.chisquare(df - 1.0, count))
    factor[:, 1, 0] = generator.standard_normal(count)
    return np.asarray(factor @ np.swapaxes(factor, 1, 2) / df)
