"""Forecasting: every law that a series of tallies carries, judged by back-tests, and a larger model.

The way of a forecast: rows of tallies are read into a `series`, its other tasks are pooled (`pooling`), every
method is fitted (`methods`) and tried on left-out models (`backtests`), one is chosen (`choice`), and
`series_forecast` holds the result.
"""

from typing import TYPE_CHECKING

from passuntil._faces import lazily

if TYPE_CHECKING:
    from passuntil.forecasting._limits import FAR_STEP
    from passuntil.forecasting.forecast import forecast_tallies
    from passuntil.forecasting.methods import METHODS
    from passuntil.forecasting.per_model import FittedModel, HeldOut, TargetForecast
    from passuntil.forecasting.scales import SCALES
    from passuntil.forecasting.series_forecast import SeriesForecast

__getattr__, __dir__, __all__ = lazily(__name__, __file__)
