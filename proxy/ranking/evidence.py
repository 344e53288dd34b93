"""What is known beside the scores of a ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from numpy.typing import ArrayLike

from proxy._checks import real

#: Names under which held-out loss and a forecast join the tasks.
LOSS, FORECAST = "held-out loss", "passuntil"


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What is known of tasks and configurations beside the scores; everything may be missing.

    What belongs to a task or a model is given by its name, or as one number for each in the matrix's order. Names and
    shapes are checked against the matrix by `rank_configurations`.

    Parameters
    ----------
    noise : mapping of str to float, or array_like of shape (tasks,) or (models, tasks), optional
        Standard deviation over seeds of a task's score, or of each score, in the scores' units, at least 0; NaN, or a
        task that is absent, is unknown. It adds to the standard errors of the matrix.
    robustness : mapping of str to float, or array_like of shape (tasks,), optional
        Variance ratio of each task, at least 0, for the paper's formula.
    loss : mapping of str to float, or array_like of shape (models,), optional
        Held-out loss or perplexity of every model: a control, and part of the recommended score.
    forecast : mapping of str to float, or array_like of shape (models,), optional
        PassUntil's forecast of the target for every model, higher is better: a control, and under "recommended" the
        target's own score.
    forecast_noise : float, optional
        Standard deviation of the forecasts, at least 0.
    weight_draws : array_like of float, shape (draws, tasks), optional
        Plausible weights, for the weights' own error.

    Raises
    ------
    ProxyError
        For a noise of the forecasts that is no number from 0.

    Examples
    --------
    >>> Evidence(noise={"mmlu": 0.4}).loss is None
    True
    """

    noise: Mapping[str, float] | ArrayLike | None = None
    robustness: Mapping[str, float] | ArrayLike | None = None
    loss: Mapping[str, float] | ArrayLike | None = None
    forecast: Mapping[str, float] | ArrayLike | None = None
    forecast_noise: float | None = None
    weight_draws: ArrayLike | None = None

    def __post_init__(self) -> None:
        if self.forecast_noise is not None:
            object.__setattr__(self, "forecast_noise", real("forecast_noise", self.forecast_noise, least=0))
