"""Every method that the data of a series carry, fitted; and why the others cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from passuntil.errors import PassUntilError
from passuntil.forecasting.series import Series
from passuntil.laws.base import Forecast
from passuntil.laws.dataset_ols import DatasetOLS
from passuntil.laws.deviation_prior import DeviationPrior
from passuntil.laws.instance_likelihood import InstanceLikelihood
from passuntil.laws.instance_ols import InstanceOLS
from passuntil.laws.loss_assisted import LossAssisted

#: The methods by the name that the JSON shape has, in the order in which they are listed, with the words that
#: a reader sees.
METHODS = {
    "dataset_ols": "line through task means (OLS)",
    "instance_ols": "line for each instance (OLS)",
    "instance_likelihood": "instance likelihood",
    "loss_assisted": "by way of the loss",
}
#: Draws from the predictive distributions of instance laws.
SAMPLES = 2000


class _Law(Protocol):
    """What a fitted method answers."""

    def forecast(self, n_params: float, *, level: float = 0.9) -> Forecast: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """The methods fitted to a series.

    Parameters
    ----------
    series : Series
        What they are fitted to.
    laws : dict of str to fitted method
        By name; each has `forecast(n_params, level=0.9)`.
    refused : dict of str to str
        Why the others could not be fitted, by name.
    """

    series: Series
    laws: dict[str, _Law]
    refused: dict[str, str]

    @property
    def line(self) -> DatasetOLS | None:
        """The line through the task means, where it could be fitted."""
        law = self.laws.get("dataset_ols")
        return law if isinstance(law, DatasetOLS) else None

    @property
    def likelihood(self) -> InstanceLikelihood | None:
        """The likelihood fit of the instances, where it could be fitted."""
        law = self.laws.get("instance_likelihood")
        return law if isinstance(law, InstanceLikelihood) else None


def fit_methods(
    series: Series, *, guess_rate: float = 0.0, deviation: DeviationPrior | None = None, seed: int = 0
) -> Fitted:
    """Fit every method that the data carry.

    Parameters
    ----------
    series : Series
        Models with their cells.
    guess_rate : float, optional
        Known chance of passing by guessing, in [0, 1); only the likelihood fit has a place for it.
    deviation : DeviationPrior, optional
        Prior of the models' deviations from their laws; without one the weak prior.
    seed : int, optional
        Of the sampled intervals, from 0.

    Returns
    -------
    Fitted
        The fitted methods, and why the others could not be fitted.
    """
    laws: dict[str, _Law] = {}
    refused: dict[str, str] = {}
    for name in METHODS:
        try:
            if guess_rate and name != "instance_likelihood":
                raise PassUntilError("this method has no place for a guess rate")
            laws[name] = _fit(name, series, guess_rate, deviation, seed)
        except PassUntilError as error:
            refused[name] = str(error)
    return Fitted(series, laws, refused)


def _fit(name: str, series: Series, guess_rate: float, deviation: DeviationPrior | None, seed: int) -> _Law:
    if name == "dataset_ols":
        return DatasetOLS().fit(series.sizes, [mean.mean for mean in series.means])
    if name == "instance_ols":
        return InstanceOLS().fit(series.sizes, series.values)
    if name == "loss_assisted":
        if series.nll is not None:
            return LossAssisted().fit(series.sizes, series.values, series.nll)
        return _by_loss_of_models(series)
    law = InstanceLikelihood(
        guess_rate=guess_rate, deviation=deviation or "estimate", seed=seed, n_samples=SAMPLES
    )
    return law.fit(series.sizes, series.draws, series.passes)


def _by_loss_of_models(series: Series) -> LossAssisted:
    """The relation between the task mean and a loss of the models, the one that leaves out sizes best.

    A loss over a corpus has a floor, so it is carried to larger models by L = c N^-alpha + L0.
    """
    means = np.array([[mean.mean for mean in series.means]])
    laws = [
        LossAssisted(floor=True, shrink=False).fit(series.sizes, means, loss[None])
        for loss in series.whole_losses().values()
    ]
    if not laws:
        raise PassUntilError(
            "some cells have no nll (`firstlight exact` measures it), and no loss of all models was given"
        )
    return min(laws, key=lambda law: law.form_errors_[law.form_])
