"""The paper's instance-level law: a line for every instance, and the mean of what they say."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive, whole
from passuntil.errors import PassUntilError
from passuntil.laws._inputs import check_shares, distinct_sizes, new_sizes, require_fit, sizes_of
from passuntil.laws._lines import forecast_with_scatter, lines, log_log
from passuntil.laws.base import Forecast, ScalingLaw


class InstanceOLS(ScalingLaw):
    """The paper's instance-level fit: least squares of log(-log PU) on log N for each, and their mean.

    A cell whose PU is 0 or 1 has no F and is left out of its instance's line; what is left favours models
    that came out well. An instance with fewer than `least_points` cells at distinct sizes has no line: it
    keeps the PU that it had at its largest size (0 stays 0, 1 stays 1). The paper is silent on both.

    The interval is the t interval of a new model, from the residuals of the task mean on the scale of F; the
    paper has none.

    Parameters
    ----------
    least_points : int, optional
        Cells that a line needs, at least 2.

    Attributes
    ----------
    log_c_, alpha_ : ndarray, shape (m,)
        Of each instance, in the unit of the sizes; NaN without a line.
    fitted_ : ndarray of bool, shape (m,)
        Which instances have a line.
    n_fitted_ : int
        How many have one.
    residuals_ : ndarray, shape (n,)
        F of the task mean less that of the law.

    Notes
    -----
    Over the instances s of the task S::

        PU(N) = (1 / |S|) sum_s exp(-c_s N^-alpha_s)

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, eq. 5.

    Examples
    --------
    >>> sizes = [0.1, 0.2, 0.5, 1.0]
    >>> law = InstanceOLS().fit(sizes, [[np.exp(-c * n**-0.3) for n in sizes] for c in (2, 4)])
    >>> np.exp(law.log_c_).round(6).tolist(), law.alpha_.round(6).tolist()
    ([2.0, 4.0], [0.3, 0.3])
    """

    name = "instance_ols"

    def __init__(self, *, least_points: int = 3) -> None:
        self.least_points = least_points

    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike) -> Self:
        """Fit to the pass probabilities of m instances on n models.

        Parameters
        ----------
        n_params : array_like of float, shape (n,)
            Sizes above 0, at least three of them distinct.
        pass_probability : array_like of float, shape (m, n)
            In [0, 1], NaN where not measured.

        Returns
        -------
        InstanceOLS
            This law, fitted.

        Raises
        ------
        PassUntilError
            For fewer than three distinct sizes, a value outside [0, 1], no instance with enough cells.
        """
        least = whole("least_points", self.least_points, least=2)
        sizes = sizes_of(n_params)
        values = check_shares(sizes, pass_probability)
        used = ((values > 0) & (values < 1)).astype(np.float64)
        self.fitted_ = distinct_sizes(sizes, used) >= least
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
        """Pass probability of each instance at each size.

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
        sizes = new_sizes(n_params)
        shape = (-1,) + (1,) * sizes.ndim
        eta = self.log_c_.reshape(shape) - np.multiply.outer(self.alpha_, np.log(sizes))
        on_the_line = np.exp(-np.exp(np.minimum(eta, 700.0)))
        return np.where(self.fitted_.reshape(shape), on_the_line, self._last.reshape(shape))

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model of that size, with its interval.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        Forecast
            The mean of the instances' laws and the bounds.

        Raises
        ------
        PassUntilError
            For another size or level.
        """
        size, level = positive("n_params", n_params), confidence(level)
        mean = float(self.predict(size).mean())
        return forecast_with_scatter(self._log_sizes, self.residuals_, size, mean, level)
