"""What every task scaling law has: a name, `predict`, and `forecast` with an interval."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from passuntil._arrays import Floats

#: Distinct sizes that a law needs: a line always fits two, and only a third one tells of the scatter.
LEAST_SIZES = 3


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast pass probability of one model that was not fitted.

    Parameters
    ----------
    n_params : float
        Its size, on the scale of the fit.
    mean : float
        The fitted law there, as a pass probability in [0, 1] (the median of the forecast).
    low, high : float
        Bounds in [0, 1] that hold the model's pass probability at `level`.
    level : float
        Confidence level, in (0, 1).
    """

    n_params: float
    mean: float
    low: float
    high: float
    level: float


class ScalingLaw(BaseEstimator, ABC):
    """Base of the laws of a pass probability: `fit` to the models of a series, then `predict` and `forecast`.

    What `fit` takes besides the sizes is each law's own: task means, instances' pass probabilities, counts.
    A law has a `name`, under which forecasts list it.
    """

    name: str

    @abstractmethod
    def predict(self, n_params: ArrayLike) -> Floats:
        """Pass probability of the fitted law at each size.

        Parameters
        ----------
        n_params : array_like of float
            Sizes above 0, on the scale of the fit.

        Returns
        -------
        ndarray
            In [0, 1]: of the shape of `n_params` for a law of the task mean; for a law of m instances with
            an axis of length m before it.
        """

    @abstractmethod
    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast:
        """Task mean of one new model of that size, with an interval that counts its own deviation.

        Parameters
        ----------
        n_params : float
            Its size, above 0, on the scale of the fit.
        level : float, optional
            Confidence level, in (0, 1).

        Returns
        -------
        Forecast
            The mean and its bounds.
        """
