"""Plots of forecasts and fits. They need matplotlib, an extra, imported when the first one is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from passuntil.errors import PassUntilError
from passuntil.forecasting.series_forecast import SeriesForecast
from passuntil.growth.circuits import CircuitComparison
from passuntil.growth.classes import GrowthResult
from passuntil.laws.loss_law import LossLaw


def plot_forecast(result: SeriesForecast, axes: Any = None) -> Any:
    """Measured means, the forecasts of every method and held-out truths, over size, both axes logarithmic.

    axes: a matplotlib Axes to draw into; None makes one. Returns the Axes. Raises PassUntilError where
    matplotlib is not installed.
    """
    axes = _axes(axes)
    means = [point.measured for point in result.models]
    _bars(axes, [p.n_params for p in result.models], means, "measured", "o")
    if result.held_out:
        held = [judged.measured for judged in result.held_out]
        _bars(axes, [j.forecast.n_params for j in result.held_out], held, "held out", "s")
    targets = [(t.methods, t.recommended, t.n_params) for t in result.targets]
    targets += [(j.methods, j.method, j.forecast.n_params) for j in result.held_out]
    names = list(dict.fromkeys(name for methods, _, _ in targets for name in methods))
    for k, name in enumerate(names):
        found = [(size, methods[name]) for methods, _, size in targets if name in methods]
        recommended = any(chosen == name for _, chosen, _ in targets)
        # Side by side, a few per cent apart, so that intervals do not hide each other.
        sizes = [size * 1.03 ** (k + 1) for size, _ in found]
        label = name + (" (recommended)" if recommended else "")
        _bars(axes, sizes, [f for _, f in found], label, "D" if recommended else "x")
    axes.set_xscale("log")
    axes.set_yscale("log")
    # A wide interval ends at 1e-15 or nowhere, and would leave no room for what was measured.
    shown = [low for low in (point.measured.low for point in result.models) if low > 0]
    axes.set_ylim(bottom=min(shown, default=1e-6) / 10.0)
    axes.set_xlabel(result.scale)
    axes.set_ylabel("mean pass probability")
    axes.legend()
    return axes


def plot_loss(law: LossLaw, sizes: Any, losses: Any, axes: Any = None, *, level: float = 0.9) -> Any:
    """Losses, the fitted law and its band, up to three times the largest size."""
    axes = _axes(axes)
    sizes = np.asarray(sizes, dtype=np.float64)
    grid = np.geomspace(sizes.min(), 3.0 * sizes.max(), 60)
    band = [law.forecast(float(n), level=level) for n in grid]
    axes.fill_between(grid, [f.low for f in band], [f.high for f in band], alpha=0.2)
    axes.plot(grid, [f.mean for f in band])
    axes.plot(sizes, losses, "o")
    axes.set_xscale("log")
    axes.set_xlabel("non-embedding parameters")
    axes.set_ylabel("loss")
    return axes


def plot_growth(result: GrowthResult, circuits: CircuitComparison | None = None, axes: Any = None) -> Any:
    """The curve that the instances share, with its standard errors, and the fitted forms of `circuits`."""
    if not result.curve:
        raise PassUntilError(f"there is no shared curve to draw: {result.evidence}")
    axes = _axes(axes)
    sizes, f, se = (np.array(column) for column in zip(*result.curve, strict=True))
    axes.errorbar(sizes, f, yerr=se, fmt="o", capsize=2, label=f"shared curve: {result.label}")
    order = np.argsort(sizes)
    for name, fit in ({} if circuits is None else circuits.fits).items():
        axes.plot(sizes[order], np.array(fit.values)[order], label=name)
    axes.set_xscale("log")
    axes.set_xlabel("size")
    axes.set_ylabel("F = log(-log p), falls as ability grows")
    axes.legend()
    return axes


def plot_backtest(result: SeriesForecast, axes: Any = None) -> Any:
    """Left-out forecasts of every method against what was measured; on the diagonal they are right."""
    if not result.backtest:
        raise PassUntilError("there is no backtest to draw: four sizes with a pass are the least")
    axes = _axes(axes)
    for name in dict.fromkeys(name for judged in result.backtest for name in judged.methods):
        found = [(j.measured.mean, j.methods[name]) for j in result.backtest if name in j.methods]
        label = name + (" (recommended)" if any(j.method == name for j in result.backtest) else "")
        _bars(axes, [measured for measured, _ in found], [f for _, f in found], label, "o")
    ends = [judged.measured.mean for judged in result.backtest]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="gray")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("measured mean")
    axes.set_ylabel("forecast")
    axes.legend()
    return axes


def _bars(axes: Any, sizes: list[float], values: list[Any], label: str, marker: str) -> None:
    mean = np.array([value.mean for value in values])
    low, high = np.array([value.low for value in values]), np.array([value.high for value in values])
    ends = np.clip(np.vstack([mean - low, high - mean]), 0.0, None)
    axes.errorbar(sizes, mean, yerr=ends, fmt=marker, capsize=2, label=label)


def _axes(axes: Any) -> Any:
    if axes is not None:
        return axes
    try:
        pyplot = import_module("matplotlib.pyplot")
    except ImportError:
        raise PassUntilError("plots need matplotlib, which is missing; install firstlight[plots]") from None
    return pyplot.figure().add_subplot()
