"""The instance-level law by likelihood: every instance its own (c, alpha), every model its own deviation."""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, real, whole
from passuntil.errors import PassUntilError
from passuntil.laws import _empirical_bayes as bayes
from passuntil.laws._cells import complement, pass_probability
from passuntil.laws._fitting import fitted
from passuntil.laws._inputs import check_cells, check_guess, new_sizes, require_fit
from passuntil.laws._predictive import Posterior, sample_means
from passuntil.laws._resampling import InstanceBootstrap, resampled
from passuntil.laws.base import Forecast, ScalingLaw
from passuntil.laws.deviation_prior import DeviationPrior


class InstanceLikelihood(ScalingLaw):
    """Fit of all cells (passes, draws) of a task by likelihood, with instances and models as random effects.

    An instance without a pass and a cell that met its cap say what they know, where the paper drops them.

    Parameters
    ----------
    guess_rate : float, optional
        Known pass probability of a guess, g in [0, 1).
    deviation : {"estimate"}, DeviationPrior, float or None, optional
        Of the models: "estimate" from the weak prior on, from a prior learnt elsewhere (`pool_deviations`),
        a known sigma (at least 0), or None for no deviations.
    drift : bool, optional
        False leaves drift out of the weak prior.
    overdispersion : bool, optional
        Fit tau, or hold it at 0.
    seed : int, optional
        Of forecasts and of the bootstrap, at least 0.
    n_samples : int, optional
        Draws from the predictive distribution for a forecast.

    Attributes
    ----------
    log_c_, alpha_ : ndarray, shape (m,)
        Posterior modes of each instance, in the unit of the sizes.
    mean_ : ndarray, shape (2,)
        Mean of (log c, alpha) over the instances.
    covariance_ : ndarray, shape (2, 2)
        Their covariance over the instances.
    deviations_ : ndarray, shape (n,)
        Deviation of every model on the scale of F = log(-log p).
    fitted_deviations_ : Deviations
        What the data alone say of them, to be pooled with other tasks.
    deviation_ : DeviationPrior
        Posterior of their size.
    sigma_, kappa_ : float
        Its medians of scatter and drift.
    tau_ : float
        Scatter of single cells beyond their draws.
    n_rounds_ : int
        Rounds of the fit.
    converged_ : bool
        False where it still moved after the last round.

    Notes
    -----
    For instance i and model j of size N_j, with s passes in n draws::

        eta_ij = log c_i - alpha_i log N_j + delta_j + eps_ij,    p_ij = g + (1 - g) exp(-exp(eta_ij))
        L = prod p_ij^s (1 - p_ij)^(n - s)

    The likelihood holds under every stopping rule. (log c_i, alpha_i) come from a bivariate normal
    distribution whose mean and covariance are fitted (empirical Bayes: instances with few passes lean on the
    others). delta_j ~ N(0, sigma^2) is what model j is off the law on all instances alike; within the fit it
    is orthogonal to (1, log N), since a line would absorb the rest. eps_ij ~ N(0, tau^2) is what a cell is off
    beyond its draws; where the draws explain the scatter, tau comes out 0.

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, eq. 5, for the law of an instance.

    Examples
    --------
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
        """Fit to the counts of m instances on n models.

        Parameters
        ----------
        n_params : array_like of float, shape (n,)
            Sizes above 0, at least three of them distinct.
        draws, passes : array_like of int, shape (m, n)
            Counts, 0 <= passes <= draws; a cell without draws was not measured.

        Returns
        -------
        InstanceLikelihood
            This law, fitted.

        Raises
        ------
        PassUntilError
            For fewer than three distinct sizes, counts that cannot be, and where nothing or everything passed.
        """
        guess = check_guess(self.guess_rate)
        prior = self._prior()
        cells = check_cells(n_params, draws, passes)
        fit = fitted(cells, guess, with_deviation=prior is not None, with_tau=bool(self.overdispersion))
        self._cells, self._fit, self._guess = cells, fit, guess
        self.fitted_deviations_ = bayes.fitted_deviations(fit, cells.sizes, complement(cells.z))
        if prior is None:
            self.deviation_ = DeviationPrior.known(0.0)
        else:
            self.deviation_ = prior.updated(self.fitted_deviations_.log_likelihood())
        self.sigma_, self.kappa_ = self.deviation_.sigma(0.5), self.deviation_.kappa(0.5)
        back = cells.back
        self.log_c_, self.alpha_ = back @ fit.theta[0].T
        self.mean_ = back @ fit.mu[0]
        self.covariance_ = back @ fit.sigma[0] @ back.T
        self.deviations_ = fit.delta[0].copy()
        self.tau_ = math.sqrt(float(fit.tau2[0])) if self.overdispersion else 0.0
        self.n_rounds_, self.converged_ = fit.rounds, fit.converged
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of each instance at each size, on the fitted law.

        Parameters
        ----------
        n_params : array_like of float
            Sizes above 0.

        Returns
        -------
        ndarray, shape (m, ...)
            In [0, 1], the axes of the sizes after that of the instances.

        Raises
        ------
        PassUntilError
            For a size that is not above 0.
        """
        require_fit(self, "alpha_")
        z = self._cells.standard(new_sizes(n_params))
        theta = self._fit.theta[0]
        level = theta[:, 0].reshape((-1,) + (1,) * z.ndim)
        return pass_probability(level - np.multiply.outer(theta[:, 1], z), self._guess)

    def sample(self, n_params: float, *, draws: int | None = None) -> Floats:
        """Draw from the predictive distribution of the task mean of one new model.

        It integrates over the instances' posteriors, their mean and covariance, sigma and kappa, the new
        model's own deviation and tau. Seeded: the same fit gives the same numbers.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        draws : int, optional
            Integrate also over the noise of a measurement with that many draws of each instance.

        Returns
        -------
        ndarray, shape (n_samples,)
            Task means, in [0, 1].

        Raises
        ------
        PassUntilError
            For a size that is not above 0.
        """
        require_fit(self, "alpha_")
        size = positive("n_params", n_params)
        generator = np.random.default_rng(self.seed)
        posterior = Posterior.of_fit(
            self._cells,
            self._fit,
            tau=self.tau_,
            guess=self._guess,
            deviations=self.fitted_deviations_,
            spread=self.deviation_,
            with_deviation=self.deviation is not None,
        )
        z, count = float(self._cells.standard(size)), whole("n_samples", self.n_samples)
        means = sample_means(posterior, z, generator, count)
        if draws is not None:
            means = generator.binomial(whole("draws", draws, least=1) * len(self.log_c_), means) / (
                draws * len(self.log_c_)
            )
        return np.asarray(means, dtype=np.float64)

    def forecast(self, n_params: float, *, level: float = 0.9, draws: int | None = None) -> Forecast:
        """Task mean of one new model: median and central interval of `sample`.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        level : float, optional
            Confidence level, in (0, 1).
        draws : int, optional
            As in `sample`.

        Returns
        -------
        Forecast
            Median and bounds.
        """
        level = confidence(level)
        means = self.sample(n_params, draws=draws)
        low, middle, high = np.quantile(means, [(1.0 - level) / 2.0, 0.5, (1.0 + level) / 2.0])
        return Forecast(float(n_params), float(middle), float(low), float(high), level)

    def bootstrap(self, n_replicates: int = 1000, *, n_params: float | None = None) -> InstanceBootstrap:
        """Refit everything from the full fit on, with the instances resampled, the same ones at all sizes.

        Parameters
        ----------
        n_replicates : int, optional
            How often, at least 2.
        n_params : float, optional
            Carry the resampled task mean to this size (on the law, without a deviation of its own).

        Returns
        -------
        InstanceBootstrap
            The replicates.
        """
        require_fit(self, "alpha_")
        return resampled(
            self._fit,
            self._cells,
            guess=self._guess,
            count=whole("n_replicates", n_replicates, least=2),
            seed=self.seed,
            z_new=None if n_params is None else float(self._cells.standard(positive("n_params", n_params))),
            with_deviation=self._prior() is not None,
            with_tau=bool(self.overdispersion),
        )

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
