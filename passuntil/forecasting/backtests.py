"""Back-tests: forecasts of the largest models of a series from the smaller ones."""

from __future__ import annotations

from collections.abc import Callable

from passuntil.forecasting.methods import Fitted
from passuntil.forecasting.per_model import HeldOut
from passuntil.forecasting.series import Series
from passuntil.laws.base import LEAST_SIZES


def backtest(series: Series, fit: Callable[[Series], Fitted], level: float) -> list[HeldOut]:
    """Leave out the largest size, then the largest two, where three sizes with a pass remain.

    Parameters
    ----------
    series : Series
        The models of the forecast.
    fit : callable
        Fits every method to the models that are left (see `passuntil.forecasting.methods.fit_methods`).
    level : float
        Of the intervals, in (0, 1).

    Returns
    -------
    list of HeldOut
        One for each model left out and each fit.
    """
    held_out: list[HeldOut] = []
    distinct = sorted(set(series.sizes.tolist()))
    for count in (1, 2):
        if len(distinct) <= count:
            break
        edge = distinct[-count]
        kept = series.keep(name for name, size in zip(series.names, series.sizes, strict=True) if size < edge)
        useful = {s for s, mean in zip(kept.sizes.tolist(), kept.means, strict=True) if mean.mean > 0}
        if len(useful) < LEAST_SIZES:
            break
        laws = fit(kept).laws
        if not laws:
            break
        left = series.keep(set(series.names) - set(kept.names))
        for name, size, mean in zip(left.names, left.sizes.tolist(), left.means, strict=True):
            forecasts = {key: law.forecast(size, level=level) for key, law in laws.items()}
            held_out.append(HeldOut(name, left.names, mean, forecasts))
    return held_out
