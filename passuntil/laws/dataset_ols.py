"""The paper's dataset-level law: one line through the task means of a series.

PU(N) = exp(-c N^-alpha), so F(N) = log(-log PU) = log c - alpha log N is a straight line in log N
(arXiv 2310.03262, eq. 4). Natural logarithms throughout.
"""

from __future__ import annotations

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive
from passuntil.errors import PassUntilError
from passuntil.laws._inputs import above_zero, new_sizes, one_a_model, require_fit, vector
from passuntil.laws.base import LEAST_SIZES, Forecast, ScalingLaw


class DatasetOLS(ScalingLaw):
    """The paper's dataset-level fit: least squares of F = log(-log PU) of the task mean on log N.

    Sizes whose PU is 0 have no F and are left out, as in the paper; that favours models which came out
    well, so `dropped_` names them. PU = 1 has no F either, and is refused: nothing there follows the law.

    Attributes
    ----------
    c_ : float
        In the unit of the sizes given: N in billions and in ones differ by 1e9^alpha. Infinite where that
        overflows.
    log_c_ : float
        Its natural logarithm.
    alpha_ : float
        The exponent.
    n_used_ : int
        Models fitted.
    dropped_ : tuple of float
        Sizes left out.
    residuals_ : ndarray, shape (``n_used_``,)
        F less the line.
    scatter_ : float
        Their standard deviation, ``n_used_`` - 2 degrees of freedom.

    Notes
    -----
    ::

        PU(N) = exp(-c N^-alpha),    F(N) = log(-log PU) = log c - alpha log N

    References
    ----------
    .. [1] Hu et al. (2023), arXiv 2310.03262, eq. 4.

    Examples
    --------
    >>> sizes = [0.1, 0.2, 0.5, 1.0]
    >>> law = DatasetOLS().fit(sizes, [math.exp(-3 * n**-0.3) for n in sizes])
    >>> round(law.c_, 6), round(law.alpha_, 6)
    (3.0, 0.3)
    """

    name = "dataset_ols"

    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike) -> Self:
        """Fit the line to the task means of n models.

        Parameters
        ----------
        n_params : array_like of float, shape (n,)
            Sizes above 0.
        pass_probability : array_like of float, shape (n,)
            Task means, in [0, 1). At least three distinct sizes need one above 0.

        Returns
        -------
        DatasetOLS
            This law, fitted.

        Raises
        ------
        PassUntilError
            For anything else.
        """
        sizes, values = above_zero("n_params", n_params), vector("pass_probability", pass_probability)
        one_a_model(sizes, "pass_probability", values)
        if ((values < 0) | (values > 1)).any():
            wrong = values[(values < 0) | (values > 1)][0]
            raise PassUntilError(
                f"pass_probability must lie in [0, 1), not {wrong:g}; give a share, not a percentage"
            )
        if (values == 1).any():
            raise PassUntilError(
                f"pass_probability is 1 at size {sizes[values == 1][0]:g}: log(-log 1) is not finite; "
                "leave out that model or the instances that all models solve"
            )
        used = values > 0
        distinct = np.unique(sizes[used]).size
        if distinct < LEAST_SIZES:
            raise PassUntilError(
                f"the fit needs {LEAST_SIZES} distinct sizes with a pass probability above 0, not {distinct}: "
                "measure more sizes, or draw more where nothing passed"
            )
        x, y = np.log(sizes[used]), np.log(-np.log(values[used]))
        self._centre, self._spread = float(x.mean()), float(((x - x.mean()) ** 2).sum())
        slope = float(((x - self._centre) * y).sum()) / self._spread
        self._level = float(y.mean())
        self.alpha_ = -slope
        self.log_c_ = self._level - slope * self._centre
        with np.errstate(over="ignore"):
            self.c_ = float(np.exp(self.log_c_))
        self.n_used_ = int(used.sum())
        self.dropped_ = tuple(float(size) for size in sizes[~used])
        self.residuals_ = y - (self._level + slope * (x - self._centre))
        self.scatter_ = math.sqrt(float((self.residuals_**2).sum()) / (self.n_used_ - 2))
        return self

    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of the law, exp(-c N^-alpha), at each size.

        Parameters
        ----------
        n_params : array_like of float
            Sizes above 0.

        Returns
        -------
        ndarray
            Task means in [0, 1], of the shape of `n_params`.

        Raises
        ------
        PassUntilError
            For a size that is not above 0.
        """
        return np.asarray(np.exp(-np.exp(self._line(np.log(new_sizes(n_params))))), dtype=np.float64)

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model, with the t prediction interval of a new observation on the scale of F.

        Parameters
        ----------
        n_params : float
            Its size, above 0.
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        Forecast
            The law there and the bounds.

        Raises
        ------
        PassUntilError
            For another size or level.

        Notes
        -----
        With x = log N and the scatter s of the n models, turned into pass probabilities::

            F +- t(n - 2) s sqrt(1 + 1/n + (x - mean x)^2 / Sxx)

        The 1 is the new model's own deviation: models of a series scatter about the line by more than their
        draws explain. It assumes that the law goes on and that this scatter is alike at all sizes.
        """
        size, level = positive("n_params", n_params), confidence(level)
        x = math.log(size)
        centre = float(self._line(np.float64(x)))
        spread = math.sqrt(1.0 + 1.0 / self.n_used_ + (x - self._centre) ** 2 / self._spread)
        reach = float(student.ppf((1.0 + level) / 2.0, self.n_used_ - 2)) * self.scatter_ * spread
        # A larger F is a smaller pass probability.
        low, mean, high = (float(np.exp(-np.exp(min(centre + d, 700.0)))) for d in (reach, 0.0, -reach))
        return Forecast(size, mean, low, high, level)

    def _line(self, log_size: Any) -> Any:
        require_fit(self, "alpha_")
        return self._level - self.alpha_ * (log_size - self._centre)
