"""What a forecast says of single models: fitted, aimed at, or measured and left out of the fit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from passuntil.counts.aggregate import DatasetEstimate
from passuntil.forecasting._json import bounds, plain
from passuntil.laws.base import Forecast


@dataclass(frozen=True, slots=True)
class TargetForecast:
    """Forecasts of one target size, one for each method.

    Parameters
    ----------
    n_params : float
        The target's size on the scale of the forecast.
    methods : dict of str to Forecast
        By method.
    recommended : str
        The method to trust.
    sources : dict of str to dict of str to float, optional
        By method, what was added to its own interval, as standard deviations of F: "deviations", what the
        other tasks of the series say and its own residuals did not; "forms", the disagreement of the methods;
        "backtest", what it was off beyond its own intervals there.
    """

    n_params: float
    methods: dict[str, Forecast]
    recommended: str
    sources: dict[str, dict[str, float]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the target in the JSON shape.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {
            "n_params": plain(self.n_params),
            "methods": {name: bounds(forecast) for name, forecast in self.methods.items()},
            "recommended": self.recommended,
            "sources": {name: dict(parts) for name, parts in self.sources.items()},
        }


@dataclass(frozen=True, slots=True)
class FittedModel:
    """One model that was fitted.

    Parameters
    ----------
    model : str
        Its name.
    n_params : float
        Its size on the scale of the fit.
    measured : DatasetEstimate
        Its task mean.
    residual : float or None, optional
        F = log(-log p) of the mean, less the line through the task means; None if it is not on the line.
    paper : float or None, optional
        The mean of the paper's r / K, biased upwards, for comparison only.
    """

    model: str
    n_params: float
    measured: DatasetEstimate
    residual: float | None = None
    paper: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the model in the JSON shape.

        Returns
        -------
        dict
            Plain JSON values.
        """
        measured = self.measured
        return {
            "model": self.model,
            "n_params": plain(self.n_params),
            "mean": measured.mean,
            "low": measured.low,
            "high": measured.high,
            "level": measured.level,
            "se_draws": measured.se_draws,
            "se_instances": measured.se_instances,
            "instances": measured.instances,
            "zero_cells": measured.zero,
            "capped_cells": measured.capped,
            "unfinished_cells": measured.unfinished,
            "residual": self.residual,
            "paper_r_over_k": self.paper,
        }


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Forecasts of a model that was left out of a fit, held against its measurement.

    Parameters
    ----------
    model : str
        The model's name.
    held_out : tuple of str
        All models that were left out of this fit.
    measured : DatasetEstimate
        The model's task mean as measured.
    methods : dict of str to Forecast
        What every method said, by name; at least one.
    method : str, optional
        The one that is judged, the first by default.
    """

    model: str
    held_out: tuple[str, ...]
    measured: DatasetEstimate
    methods: dict[str, Forecast]
    method: str = ""

    def __post_init__(self) -> None:
        if self.method not in self.methods:
            object.__setattr__(self, "method", next(iter(self.methods)))

    def judged_by(self, method: str) -> HeldOut:
        """Return the same with that method's forecast judged, or the first one's where it made none.

        Parameters
        ----------
        method : str
            The recommended method.

        Returns
        -------
        HeldOut
            The comparison.
        """
        return replace(self, method=method)

    @property
    def forecast(self) -> Forecast:
        """The forecast that is judged."""
        return self.methods[self.method]

    @property
    def hit(self) -> bool:
        """Whether the measured mean lies in the forecast's interval."""
        return self.forecast.low <= self.measured.mean <= self.forecast.high

    @property
    def compatible(self) -> bool:
        """Whether the forecast's interval and the measurement's own overlap.

        That is all that can be asked where the measurement is rough.
        """
        return self.forecast.low <= self.measured.high and self.measured.low <= self.forecast.high

    def as_dict(self) -> dict[str, Any]:
        """Return the comparison in the JSON shape.

        Returns
        -------
        dict
            Plain JSON values.
        """
        return {
            "model": self.model,
            "n_params": plain(self.forecast.n_params),
            "held_out": list(self.held_out),
            "method": self.method,
            **bounds(self.forecast),
            "measured": self.measured.mean,
            "measured_low": self.measured.low,
            "measured_high": self.measured.high,
            "hit": self.hit,
            "compatible": self.compatible,
            "methods": {name: bounds(forecast) for name, forecast in self.methods.items()},
        }
