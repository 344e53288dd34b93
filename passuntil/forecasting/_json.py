"""Numbers as the JSON shape has them."""

from __future__ import annotations

from passuntil.laws.base import Forecast


def plain(number: float) -> float | int:
    """A size without its point where it is whole: 2450000000, not 2450000000.0."""
    return int(number) if float(number).is_integer() else number


def bounds(forecast: Forecast) -> dict[str, float]:
    """A forecast without its size."""
    return {"mean": forecast.mean, "low": forecast.low, "high": forecast.high, "level": forecast.level}
