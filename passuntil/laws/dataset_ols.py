"""Task scaling laws: estimators in scikit-learn's manner that map model size to pass probability.

PU(N) = exp(-c N^-alpha), so F(N) = log(-log PU) = log c - alpha log N is a straight line in log N
(arXiv 2310.03262, eq. 4). Natural logarithms throughout.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from passuntil._arrays import Floats
from passuntil._checks import confidence, positive
from passuntil.errors import PassUntilError

#: A line always fits two sizes; only a third one tells anything of the scatter.
LEAST_SIZES = 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast pass probability of one model that was not fitted.

    n_params: its size, on the scale of the fit. mean: the fitted line there, as a pass probability (the
    median of the forecast). low, high: bounds in [0, 1] that hold the model's pass probability at `level`.
    """

    n_params: float
    mean: float
    low: float
    high: float
    level: float


class ScalingLaw(BaseEstimator, ABC):
    """Base of the laws: `fit` on sizes and pass probabilities, then `predict` and `forecast`.

    A law has a `name`, under which forecasts list it.
    """

    name: str

    @abstractmethod
    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike) -> Self:
        """Fit to models of sizes `n_params` (> 0) and their pass probabilities in [0, 1); shapes (n,)."""

    @abstractmethod
    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of the law at each size, of the shape of `n_params`."""

    @abstractmethod
    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Pass probability of one new model of that size, with an interval that counts its own deviation."""


class DatasetOLS(ScalingLaw):
    """The paper's dataset-level fit: least squares of log(-log PU) on log N (arXiv 2310.03262, eq. 4).

    Sizes whose PU is 0 have no F and are left out, as in the paper; that favours models which came out
    well, so `dropped_` names them. PU = 1 has no F either, and is refused: nothing there follows the law.

    Attributes after `fit`: `c_` (in the unit of the sizes given: N in billions and in ones differ by
    1e9^alpha; infinite where that overflows), `log_c_`, `alpha_`, `n_used_` (models fitted), `dropped_`
    (sizes left out), `residuals_` (F less the line, shape (n_used_,)), `scatter_` (their standard
    deviation, n_used_ - 2 degrees of freedom).

    >>> sizes = [0.1, 0.2, 0.5, 1.0]
    >>> law = DatasetOLS().fit(sizes, [math.exp(-3 * n**-0.3) for n in sizes])
    >>> round(law.c_, 6), round(law.alpha_, 6)
    (3.0, 0.3)
    """

    name = "dataset_ols"

    def fit(self, n_params: ArrayLike, pass_probability: ArrayLike) -> Self:
        """Fit the line.

        n_params: sizes, shape (n,), finite and > 0. pass_probability: shape (n,), in [0, 1). At least three
        distinct sizes need a PU above 0. Raises PassUntilError otherwise.
        """
        sizes, values = _vector("n_params", n_params), _vector("pass_probability", pass_probability)
        if sizes.shape != values.shape:
            raise PassUntilError(
                f"n_params has {sizes.size} values and pass_probability {values.size}; one a model"
            )
        if (sizes <= 0).any():
            raise PassUntilError(f"n_params must be above 0, not {sizes[sizes <= 0][0]:g}")
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
                f"{distinct} distinct sizes have a pass probability above 0; the fit needs {LEAST_SIZES}: "
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
        """exp(-c N^-alpha) at each size; NotFittedError before `fit`, PassUntilError for sizes <= 0."""
        sizes = np.asarray(n_params, dtype=np.float64)
        if not (np.isfinite(sizes) & (sizes > 0)).all():
            raise PassUntilError(f"n_params must be finite and above 0, not {n_params!r}")
        return np.asarray(np.exp(-np.exp(self._line(np.log(sizes)))), dtype=np.float64)

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """The law at `n_params` with the t prediction interval of a new observation, made on the scale of F.

        F +- t(n - 2) s sqrt(1 + 1/n + (x - mean x)^2 / Sxx), x = log N, turned into pass probabilities. The
        1 is the new model's own deviation: models of a series scatter about the line by more than their
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
        if not hasattr(self, "alpha_"):
            raise NotFittedError("This DatasetOLS is not fitted yet; call fit first.")
        return self._level - self.alpha_ * (log_size - self._centre)


def _vector(name: str, values: ArrayLike) -> Floats:
    """Finite floats of shape (n,), or one clear error."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise PassUntilError(f"{name} must be numbers, not {values!r}") from None
    if array.ndim != 1:
        raise PassUntilError(f"{name} must have one dimension, not shape {array.shape}")
    if not np.isfinite(array).all():
        raise PassUntilError(f"{name} must be finite, not {array[~np.isfinite(array)][0]}")
    return array
