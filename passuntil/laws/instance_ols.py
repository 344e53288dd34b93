"""The paper's instance-level law: a line for every instance, and the mean of what they say."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, whole
from passuntil.errors import PassUntilError
from passuntil.laws._cells import check_shares, sizes_of
from passuntil.laws._series import forecast_with_scatter, lines, log_log
from passuntil.laws.dataset_ols import Forecast


class InstanceOLS(BaseEstimator):
    """Least squares of log(-log PU) on log N for each instance, and their mean (arXiv 2310.03262, eq. 5).

    A cell whose PU is 0 or 1 has no F and is left out of its instance's line; what is left favours models
    that came out well. An instance with fewer than `least_points` cells at distinct sizes has no line: it
    keeps the PU that it had at its largest size (0 stays 0, 1 stays 1). The paper is silent on both.

    The interval is the t interval of a new model, from the residuals of the task mean on the scale of F; the
    paper has none.

    Attributes after `fit`: `log_c_`, `alpha_` (shape (m,), NaN without a line), `fitted_` (which have one),
    `n_fitted_`, `residuals_` (of the task mean, shape (n,)).

    >>> sizes = [0.1, 0.2, 0.5, 1.0]
    >>> law = InstanceOLS().fit(sizes, [[np.exp(-c * n**-0.3) for n in sizes] for c in (2, 4)])
    >>> np.exp(law.log_c_).round(6).tolist(), law.alpha_.round(6).tolist()
    ([2.0, 4.0], [0.3, 0.3])
    """

    name = "instance_ols"

    def __init__(self, *, least_points: int = 3) -> None:
        self.least_points = least_points

    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike) -> Self:
        """Fit to sizes (n,) and pass probabilities (m, n) in [0, 1], NaN where not measured.

        Raises PassUntilError: fewer than three distinct sizes, a value outside [0, 1], no instance with
        enough cells.
        """
        least = whole("least_points", self.least_points, least=2)
        sizes = sizes_of(n_params)
        values = check_shares(sizes, pass_probability)
        used = ((values > 0) & (values < 1)).astype(np.float64)
        distinct = np.array([np.unique(sizes[row > 0]).size for row in used])
        self.fitted_ = distinct >= least
        self.n_fitted_ = int(self.fitted_.sum())
        if not self.n_fitted_:
            raise PassUntilError(
                f"no instance has a pass probability between 0 and 1 at {least} sizes: draw more, or use "
                "InstanceLikelihood, which keeps the zeros"
            )
        level, slope = lines(np.log(sizes), log_log(np.nan_to_num(values)), used)
        self.log_c_ = np.where(self.fitted_, level, np.nan)
        self.alpha_ = np.where(self.fitted_, -slope, np.nan)
        order = np.where(np.isnan(values), -np.inf, np.log(sizes))
        self._last = np.take_along_axis(values, order.argmax(1)[:, None], 1)[:, 0]
        self._log_sizes = np.log(sizes)
        measured = np.nanmean(values, axis=0)
        self.residuals_ = log_log(measured) - log_log(self.predict(sizes).mean(axis=0))
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of each instance at each size, shape (m,) + that of the sizes."""
        if not hasattr(self, "alpha_"):
            raise NotFittedError("This InstanceOLS is not fitted yet; call fit first.")
        sizes = np.asarray(n_params, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise PassUntilError(f"n_params must be finite and above 0, not {n_params!r}")
        shape = (-1,) + (1,) * sizes.ndim
        eta = self.log_c_.reshape(shape) - np.multiply.outer(self.alpha_, np.log(sizes))
        there = np.exp(-np.exp(np.minimum(eta, 700.0)))
        return np.where(self.fitted_.reshape(shape), there, self._last.reshape(shape))

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model of that size, with its interval."""
        size, level = positive("n_params", n_params), confidence(level)
        mean = float(self.predict(size).mean())
        return forecast_with_scatter(self._log_sizes, self.residuals_, size, mean, level)
