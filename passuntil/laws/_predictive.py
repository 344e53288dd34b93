"""Draws from the predictive distribution of a task mean, given an empirical-Bayes fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from passuntil._arrays import Floats
from passuntil.laws._cells import marginal, pass_probability
from passuntil.laws._empirical_bayes import Fit
from passuntil.laws._inputs import Cells
from passuntil.laws._kriging import next_deviation
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.deviations import Deviations


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

    def log_size(self, z: float) -> float:
        """Back from the standardised axis."""
        return self.cells.centre + self.cells.spread * z


def sample_means(posterior: Posterior, z: float, generator: np.random.Generator, count: int) -> Floats:
    """Task means of `count` new models at standardised size z.

    For each: sigma and kappa from their posterior; the fitted models' deviations given them, which move the
    instances; Sigma and mu given the instances; every instance given all that; how far the new model is off
    the fitted line (`next_deviation`); eps of every cell.
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

    shift = np.zeros(count)
    natural = posterior.natural[None] + np.einsum("skl,sl->sk", precision, mu)[:, None, :]
    if posterior.with_deviation:
        d = posterior.deviations
        ahead = next_deviation(d, posterior.log_size(z))
        point = generator.choice(ahead.variance.size, size=count, p=posterior.spread.weights)
        free = ahead.mean[point] + np.einsum(
            "skl,sl->sk", ahead.root[point], generator.standard_normal((count, d.free.size))
        )
        natural = natural - np.einsum("mkl,sl->smk", posterior.pull, free - posterior.fitted_free)
        shift = (ahead.slope[point] * free).sum(1)
        shift = shift + np.sqrt(ahead.variance[point]) * generator.standard_normal(count)
    v00, v01, v11 = _inverse(
        h00 + precision[:, None, 0, 0], h01 + precision[:, None, 0, 1], h11 + precision[:, None, 1, 1]
    )
    mean = v00 * natural[..., 0] + v01 * natural[..., 1] - z * (v01 * natural[..., 0] + v11 * natural[..., 1])
    variance = v00 - 2.0 * z * v01 + z * z * v11 + posterior.tau**2
    eta = mean + np.sqrt(variance) * generator.standard_normal((count, m)) + shift[:, None]
    return np.asarray(pass_probability(eta, posterior.guess).mean(axis=1))


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
