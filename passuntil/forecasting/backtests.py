"""Which method to trust on this series: forecasts of its largest models from the smaller ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from passuntil._arrays import Floats
from passuntil.counts.aggregate import DatasetEstimate
from passuntil.errors import PassUntilError
from passuntil.forecasting.methods import METHODS, Law, Series
from passuntil.laws._lines import log_log
from passuntil.laws.base import LEAST_SIZES, Forecast

#: Without evidence: the fit that keeps zeros and counts the models' deviations, then the simplest one.
PREFERENCE = ("instance_likelihood", "dataset_ols", "loss_assisted", "instance_ols")
#: With fewer left-out models than this, chance decides more than the methods do.
LEAST_POINTS = 2
#: Three left-out forecasts, two of them of one model, say little: another method must beat the preferred
#: one's score by this factor.
MARGIN = 0.8
#: And by this much in F, below which all methods are as good as the measurement.
LEAST_GAIN = 0.01
#: Scores compare F within this range of p: .999 and .9999 are the same ability, and 2.3 apart in F.
SMALLEST, LARGEST = 1e-6, 0.999


@dataclass(frozen=True, slots=True)
class Point:
    """One model left out, with the others that were: what each method said, and what was measured."""

    model: str
    held_out: tuple[str, ...]
    measured: DatasetEstimate
    methods: dict[str, Forecast]


@dataclass(frozen=True, slots=True)
class Choice:
    """The recommended method, the reason, and each method's mean score over the points (lower is better)."""

    method: str
    reason: str
    scores: dict[str, float]
    #: What each method was off beyond its own intervals, as a standard deviation of F.
    excess: dict[str, float]


Fitter = Callable[[Series], tuple[dict[str, Law], dict[str, str]]]


def backtest(series: Series, fit: Fitter, level: float) -> list[Point]:
    """Leave out the largest size, then the largest two, where three sizes with a pass remain."""
    points: list[Point] = []
    distinct = sorted(set(series.sizes.tolist()))
    for count in (1, 2):
        if len(distinct) <= count:
            break
        edge = distinct[-count]
        rest = [name for name, size in zip(series.names, series.sizes, strict=True) if size < edge]
        kept = series.keep(rest)
        useful = {s for s, mean in zip(kept.sizes.tolist(), kept.means, strict=True) if mean.mean > 0}
        if len(useful) < LEAST_SIZES:
            break
        laws, _ = fit(kept)
        if not laws:
            break
        held = tuple(name for name in series.names if name not in rest)
        for name, size, mean in zip(series.names, series.sizes, series.means, strict=True):
            if name in held:
                said = {key: law.forecast(float(size), level=level) for key, law in laws.items()}
                points.append(Point(name, held, mean, said))
    return points


def choose(available: Mapping[str, Law], points: list[Point]) -> Choice:
    """The preferred method, unless another one's mean score over the points is clearly below its own.

    The score is the continuous ranked probability score of a normal distribution on the scale of F with
    the forecast's centre and width: it asks for a small error and for a width that fits it. A method must
    have forecast every point to be compared; with fewer than two points the preferred one stays.
    """
    if not available:
        raise PassUntilError("no method could be fitted to these data")
    complete = [name for name in available if points and all(name in point.methods for point in points)]
    scores = {
        name: sum(score(point.methods[name], point.measured.mean) for point in points) / len(points)
        for name in complete
    }
    excess = {name: _excess(name, points) for name in complete}
    if len(points) < LEAST_POINTS or not complete:
        first = next(name for name in PREFERENCE if name in available)
        why = f"{len(points)} models could be left out, too few to compare methods; {first} comes first"
        return Choice(first, why, scores, excess)
    first = next(name for name in PREFERENCE if name in complete)
    best = min(complete, key=lambda name: (scores[name], PREFERENCE.index(name)))
    told = ", ".join(f"{name} {scores[name]:.3f}" for name in METHODS if name in scores)
    found = f"mean scores over {len(points)} left-out forecasts: {told} (lower is better)"
    if scores[best] < min(MARGIN * scores[first], scores[first] - LEAST_GAIN):
        return Choice(best, f"clearly better than {first}; {found}", scores, excess)
    return Choice(first, f"no other method is clearly better; {found}", scores, excess)


def centre_and_sd(forecast: Forecast) -> tuple[float, float]:
    """Centre of a forecast on the scale of F, and the standard deviation that its interval stands for."""
    low, centre, high = (_f(value) for value in (forecast.high, forecast.mean, forecast.low))
    quantile = float(norm.ppf((1.0 + forecast.level) / 2.0))
    return centre, max((high - low) / (2.0 * quantile), 1e-6)


def score(forecast: Forecast, measured: float) -> float:
    """Continuous ranked probability score on the scale of F (Gneiting and Raftery 2007, JASA 102:359)."""
    centre, sd = centre_and_sd(forecast)
    z = (_f(measured) - centre) / sd
    return sd * float(z * (2.0 * norm.cdf(z) - 1.0) + 2.0 * norm.pdf(z) - 1.0 / math.sqrt(math.pi))


def widened(forecast: Forecast, extra: float) -> Forecast:
    """The forecast with a further standard deviation `extra` of F, added in squares to either side."""
    more = extra * float(norm.ppf((1.0 + forecast.level) / 2.0))
    if not more > 0.0:
        return forecast
    centre = float(log_log(_array(forecast.mean)))
    ends = []
    for end, side in ((forecast.low, 1.0), (forecast.high, -1.0)):
        reach = abs(float(log_log(_array(end))) - centre)
        ends.append(math.exp(-math.exp(min(centre + side * math.hypot(reach, more), 700.0))))
    low, high = min(ends[0], forecast.low), max(ends[1], forecast.high)
    return Forecast(forecast.n_params, forecast.mean, low, high, forecast.level)


def disagreement(methods: Mapping[str, Forecast], scores: Mapping[str, float]) -> dict[str, float]:
    """How far the other methods lie from each one: root mean square on the scale of F.

    Methods count by the inverse square of their back-test score, alike where there is none.
    """
    centres = {name: centre_and_sd(forecast)[0] for name, forecast in methods.items()}
    known = all(name in scores for name in methods)
    weights = {name: 1.0 / max(scores[name], 1e-3) ** 2 if known else 1.0 for name in methods}
    total = sum(weights.values())
    return {
        name: math.sqrt(
            sum(w * (centres[other] - centres[name]) ** 2 for other, w in weights.items()) / total
        )
        for name in methods
    }


def _excess(name: str, points: list[Point]) -> float:
    """Root of the mean squared error beyond the forecasts' own variance, shrunk as from n of n + 1 points."""
    beyond = 0.0
    for point in points:
        centre, sd = centre_and_sd(point.methods[name])
        beyond += (_f(point.measured.mean) - centre) ** 2 - sd**2
    return math.sqrt(max(beyond, 0.0) / (len(points) + 1))


def _f(value: float) -> float:
    return float(log_log(_array(min(max(value, SMALLEST), LARGEST))))


def _array(value: float) -> Floats:
    return np.asarray(value, dtype=np.float64)
