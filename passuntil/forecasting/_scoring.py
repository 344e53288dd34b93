"""Forecasts on the scale of F = log(-log p): centre, width, and how good they were."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm

from passuntil._arrays import Floats
from passuntil.laws._lines import log_log
from passuntil.laws.base import Forecast

#: Scores compare F within this range of p: .999 and .9999 are the same ability, and 2.3 apart in F.
SMALLEST, LARGEST = 1e-6, 0.999


def centre_and_sd(forecast: Forecast) -> tuple[float, float]:
    """Centre of a forecast on the scale of F, and the standard deviation that its interval stands for."""
    low, centre, high = (_f(value) for value in (forecast.high, forecast.mean, forecast.low))
    return centre, max((high - low) / (2.0 * quantile(forecast)), 1e-6)


def quantile(forecast: Forecast) -> float:
    """Half the width, in standard deviations, of a normal distribution's central interval at that level."""
    return float(norm.ppf((1.0 + forecast.level) / 2.0))


def score(forecast: Forecast, measured: float) -> float:
    """Continuous ranked probability score on the scale of F (Gneiting and Raftery 2007, JASA 102:359)."""
    centre, sd = centre_and_sd(forecast)
    z = (_f(measured) - centre) / sd
    return sd * float(z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / math.sqrt(math.pi))


def excess_squares(forecast: Forecast, measured: float) -> float:
    """The squared error of F beyond the forecast's own variance; negative where it was better."""
    centre, sd = centre_and_sd(forecast)
    return (_f(measured) - centre) ** 2 - sd**2


def _f(value: float) -> float:
    return float(log_log(as_array(min(max(value, SMALLEST), LARGEST))))


def as_array(value: float) -> Floats:
    """A number as the arrays' functions take it."""
    return np.asarray(value, dtype=np.float64)
