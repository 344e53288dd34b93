"""Forecasting: every law that a series of tallies carries, judged by back-tests, and a larger model."""

from passuntil.forecasting.forecast import forecast_tallies
from passuntil.forecasting.methods import METHODS, SCALES
from passuntil.forecasting.series_forecast import SeriesForecast, TargetForecast

__all__ = [
    "METHODS",
    "SCALES",
    "SeriesForecast",
    "TargetForecast",
    "forecast_tallies",
]
