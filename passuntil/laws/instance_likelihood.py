"""The instance-level law by likelihood: every instance its own (c, alpha), every model its own deviation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, real, whole
from passuntil.errors import PassUntilError
from passuntil.laws import _empirical_bayes as bayes
from passuntil.laws._cells import check_cells, check_guess, complement, marginal, pass_probability
from passuntil.laws._predictive import Posterior, sample_means
from passuntil.laws.dataset_ols import Forecast
from passuntil.laws.deviations import DeviationPrior, from_fit

ROUNDS, TOLERANCE, WARM_TOLERANCE = 400, 1e-4, 0.03
#: Cells of one chunk of a bootstrap: small enough for a processor's own memory.
CHUNK_CELLS = 40_000
BOOTSTRAP_ROUNDS, BOOTSTRAP_TOLERANCE = 25, 2e-3


class InstanceLikelihood(BaseEstimator):
    """Fit of all cells (passes, draws) of a task by likelihood, with instances and models as random effects.

        eta_ij = log c_i - alpha_i log N_j + delta_j (+ eps_ij),   p_ij = g + (1 - g) exp(-exp(eta_ij)),

    and likelihood p^s (1 - p)^(n - s), which holds under every stopping rule. So an instance without a pass
    and a cell that met its cap say what they know, where the paper drops them. (log c_i, alpha_i) come from
    a bivariate normal distribution whose mean and covariance are fitted (empirical Bayes: instances with few
    passes lean on the others). delta_j ~ N(0, sigma^2) is what model j is off the law on all instances
    alike; within the fit it is orthogonal to (1, log N), since a line would absorb the rest. eps_ij ~ N(0,
    tau^2) is what a cell is off beyond its draws; where the draws explain the scatter, tau comes out 0.

    guess_rate: known g in [0, 1). deviation: "estimate"; a `DeviationPrior` (see `pool_deviations`); a known
    sigma; None for no deviations. overdispersion: fit tau, or hold it at 0. seed, n_samples: of forecasts.

    Attributes after `fit`: `log_c_`, `alpha_` (posterior modes, shape (m,), in the unit of the sizes),
    `mean_` (of log c and alpha), `covariance_` (2, 2), `deviations_` (n,), `deviation_` (the posterior of
    sigma), `sigma_` (its median), `tau_`, `n_rounds_`, `converged_`.

    >>> sizes = np.array([0.1, 0.2, 0.5, 1.0])
    >>> c = np.linspace(2.0, 5.0, 30)
    >>> passes = np.round(1000 * np.exp(-c[:, None] * sizes**-0.3))
    >>> law = InstanceLikelihood().fit(sizes, np.full((30, 4), 1000), passes)
    >>> bool(abs(law.alpha_.mean() - 0.3) < 0.01)
    True
    """

    name = "instance_likelihood"

    def __init__(
        self,
        *,
        guess_rate: float = 0.0,
        deviation: str | float | DeviationPrior | None = "estimate",
        drift: bool = True,
        overdispersion: bool = True,
        seed: int = 0,
        n_samples: int = 2000,
    ) -> None:
        self.guess_rate = guess_rate
        self.deviation = deviation
        self.drift = drift
        self.overdispersion = overdispersion
        self.seed = seed
        self.n_samples = n_samples

    def fit(self, n_params: ArrayLike, draws: ArrayLike, passes: ArrayLike) -> Self:
        """Fit to sizes (n,), draws and passes (m, n); a cell without draws was not measured.

        Raises PassUntilError: fewer than three distinct sizes, counts that contradict each other, nothing
        passed, everything passed.
        """
        guess = check_guess(self.guess_rate)
        prior = self._prior()
        cells = check_cells(n_params, draws, passes)
        z, ones = cells.z, np.ones((1, cells.draws.shape[0]))
        fit = bayes.start(z, cells.draws, cells.passes, guess)
        # First without tau: far from their place, instances would take their own misfit for scatter.
        for with_tau, tolerance in ((False, WARM_TOLERANCE), (bool(self.overdispersion), TOLERANCE)):
            fit.tau2[:] = bayes.FIRST_TAU2
            bayes.run(
                fit,
                z,
                cells.draws,
                cells.passes,
                guess,
                ones,
                with_deviation=prior is not None,
                with_tau=with_tau,
                rounds=ROUNDS,
                tolerance=tolerance,
            )
        self._cells, self._fit, self._guess = cells, fit, guess
        basis = complement(z)
        self.fitted_deviations_ = from_fit(
            np.log(cells.sizes), fit.delta[0], fit.information[0], float(fit.deviation2[0]), basis
        )
        if prior is None:
            self.deviation_ = DeviationPrior.known(0.0)
        else:
            self.deviation_ = prior.updated(self.fitted_deviations_.log_likelihood())
        self.sigma_, self.kappa_ = self.deviation_.sigma(0.5), self.deviation_.kappa(0.5)
        back = self._back()
        self.log_c_, self.alpha_ = back @ fit.theta[0].T
        self.mean_ = back @ fit.mu[0]
        self.covariance_ = back @ fit.sigma[0] @ back.T
        self.deviations_ = fit.delta[0].copy()
        self.tau_ = math.sqrt(float(fit.tau2[0])) if self.overdispersion else 0.0
        self.n_rounds_, self.converged_ = fit.rounds, fit.converged
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of each instance at each size on the fitted law, shape (m,) + sizes' shape."""
        self._fitted()
        sizes = np.asarray(n_params, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise PassUntilError(f"n_params must be finite and above 0, not {n_params!r}")
        z = self._cells.standard(sizes)
        theta = self._fit.theta[0]
        level = theta[:, 0].reshape((-1,) + (1,) * z.ndim)
        return pass_probability(level - np.multiply.outer(theta[:, 1], z), self._guess)

    def sample(self, n_params: float, *, draws: int | None = None) -> Floats:
        """Draws from the predictive distribution of the task mean of one new model, shape (n_samples,).

        They integrate over the instances' posteriors, mu and Sigma, sigma, the new model's own deviation and
        tau; with `draws`, also over the noise of a measurement with that many draws of each instance.
        Seeded: the same fit gives the same numbers.
        """
        self._fitted()
        size = positive("n_params", n_params)
        generator = np.random.default_rng(self.seed)
        means = sample_means(
            self._posterior(),
            float(self._cells.standard(size)),
            generator,
            whole("n_samples", self.n_samples),
        )
        if draws is not None:
            means = generator.binomial(whole("draws", draws, least=1) * len(self.log_c_), means) / (
                draws * len(self.log_c_)
            )
        return np.asarray(means, dtype=np.float64)

    def forecast(self, n_params: float, *, level: float = 0.9, draws: int | None = None) -> Forecast:
        """Task mean of one new model of that size: median and central interval of `sample`."""
        level = confidence(level)
        means = self.sample(n_params, draws=draws)
        low, middle, high = np.quantile(means, [(1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0])
        return Forecast(float(n_params), float(middle), float(low), float(high), level)

    def bootstrap(self, n_replicates: int = 1000, *, n_params: float | None = None) -> InstanceBootstrap:
        """Refit with the instances resampled, the same ones at all sizes; replicates run together.

        Each replicate fits mu, Sigma, tau, the deviations and all m instances anew, from the full fit on.
        With `n_params` it also carries the resampled task mean there (on the law, no deviation of its own).
        """
        self._fitted()
        count = whole("n_replicates", n_replicates, least=2)
        cells, fit = self._cells, self._fit
        m, n = cells.draws.shape
        generator = np.random.default_rng([self.seed, 1])
        z_new = None if n_params is None else float(cells.standard(positive("n_params", n_params)))
        prior = self._prior()
        parts: list[tuple[Floats, ...]] = []
        chunk = max(1, CHUNK_CELLS // (m * n))
        for first in range(0, count, chunk):
            b = min(chunk, count - first)
            weights = generator.multinomial(m, np.full(m, 1.0 / m), size=b).astype(np.float64)
            again = bayes.repeated(fit, b)
            bayes.run(
                again,
                cells.z,
                cells.draws,
                cells.passes,
                self._guess,
                weights,
                with_deviation=prior is not None,
                with_tau=bool(self.overdispersion),
                rounds=BOOTSTRAP_ROUNDS,
                tolerance=BOOTSTRAP_TOLERANCE,
            )
            means = np.full(b, np.nan)
            if z_new is not None:
                there = pass_probability(again.theta[..., 0] - z_new * again.theta[..., 1], self._guess)
                means = (weights * there).sum(1) / m
            parts.append((again.mu, again.sigma, again.delta, np.sqrt(again.tau2), means))
        mu, sigma, delta, tau, means = (np.concatenate(part) for part in zip(*parts, strict=True))
        back = self._back()
        return InstanceBootstrap(mu @ back.T, back @ sigma @ back.T, delta, tau, means)

    def _prior(self) -> DeviationPrior | None:
        match self.deviation:
            case None:
                return None
            case "estimate":
                return DeviationPrior.weak(drift=bool(self.drift))
            case DeviationPrior():
                return self.deviation
            case bool() | str():
                raise PassUntilError(
                    f"deviation must be 'estimate', a DeviationPrior, a sigma or None, not {self.deviation!r}"
                )
            case _:
                return DeviationPrior.known(real("deviation", self.deviation))

    def _fitted(self) -> None:
        if not hasattr(self, "alpha_"):
            raise NotFittedError("This InstanceLikelihood is not fitted yet; call fit first.")

    def _back(self) -> Floats:
        """Takes (a, b) of the standardised axis to (log c, alpha): a - b (log N - centre) / spread."""
        centre, spread = self._cells.centre, self._cells.spread
        return np.array([[1.0, centre / spread], [0.0, 1.0 / spread]])

    def _posterior(self) -> Posterior:
        cells, fit, z = self._cells, self._fit, self._cells.z
        theta = fit.theta[0]
        eta = theta[:, :1] - theta[:, 1:] * z + fit.delta[0]
        score, weight, _ = marginal(eta, cells.draws, cells.passes, self._guess, fit.tau2[:1], fit.eps[0])
        h00, h01, h11 = weight.sum(1), -(weight @ z), weight @ (z * z)
        # The score is what is left of the gradient at the mode, so that H theta comes out exact.
        natural = np.stack(
            [
                h00 * theta[:, 0] + h01 * theta[:, 1] + score.sum(1),
                h01 * theta[:, 0] + h11 * theta[:, 1] - score @ z,
            ],
            axis=1,
        )
        basis = self.fitted_deviations_.basis
        pull = np.stack([weight @ basis, -(weight * z) @ basis], axis=1)
        return Posterior(
            cells=cells,
            precision=np.stack([h00, h01, h11], axis=1),
            natural=natural,
            pull=pull,
            mu=fit.mu[0],
            sigma=fit.sigma[0],
            tau=self.tau_,
            guess=self._guess,
            deviations=self.fitted_deviations_,
            fitted_free=basis.T @ fit.delta[0],
            spread=self.deviation_,
            with_deviation=self.deviation is not None,
        )


@dataclass(frozen=True, slots=True)
class InstanceBootstrap:
    """Replicates of a fit: mean (b, 2), covariance (b, 2, 2) of (log c, alpha), deviations (b, n), tau (b,).

    task_mean: (b,), at the size asked for, else NaN.
    """

    mean: Floats
    covariance: Floats
    deviations: Floats
    tau: Floats
    task_mean: Floats
