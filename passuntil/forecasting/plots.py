"""Plots of forecasts and fits. They need matplotlib, an extra, imported when the first one is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np

from passuntil.errors import PassUntilError
from passuntil.forecasting.methods import METHODS
from passuntil.forecasting.scales import SCALES
from passuntil.forecasting.series_forecast import SeriesForecast
from passuntil.growth.circuit_comparison import FORM_WORDS, CircuitComparison
from passuntil.growth.growth_result import CLASSES, GrowthResult
from passuntil.laws.loss_law import LossLaw


def plot_forecast(result: SeriesForecast, axes: Any = None) -> Any:
    """Draw measured means, the forecasts of every method and held-out truths over size, both axes logarithmic.

    Parameters
    ----------
    result : SeriesForecast
        The forecast.
    axes : matplotlib.axes.Axes, optional
        To draw into; None makes one.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    PassUntilError
        Where matplotlib is not installed.
    """
    axes = _axes(axes)
    means = [model.measured for model in result.models]
    _bars(axes, [model.n_params for model in result.models], means, "measured", "o")
    if result.held_out:
        truths = [held.measured for held in result.held_out]
        _bars(axes, [held.forecast.n_params for held in result.held_out], truths, "held out", "s")
    targets = [(t.methods, t.recommended, t.n_params) for t in result.targets]
    targets += [(held.methods, held.method, held.forecast.n_params) for held in result.held_out]
    names = list(dict.fromkeys(name for methods, _, _ in targets for name in methods))
    for k, name in enumerate(names):
        forecasts = [(size, methods[name]) for methods, _, size in targets if name in methods]
        recommended = any(chosen == name for _, chosen, _ in targets)
        # Side by side, a few per cent apart, so that intervals do not hide each other.
        sizes = [size * 1.03 ** (k + 1) for size, _ in forecasts]
        _bars(axes, sizes, [f for _, f in forecasts], _label(name, recommended), "D" if recommended else "x")
    axes.set_xscale("log")
    axes.set_yscale("log")
    # A wide interval ends at 1e-15 or nowhere, and would leave no room for what was measured.
    shown = [low for low in (model.measured.low for model in result.models) if low > 0]
    axes.set_ylim(bottom=min(shown, default=1e-6) / 10.0)
    axes.set_xlabel(SCALES[result.scale])
    axes.set_ylabel("mean pass probability")
    axes.legend()
    return axes


def plot_loss(law: LossLaw, sizes: Any, losses: Any, axes: Any = None, *, level: float = 0.9) -> Any:
    """Draw losses, the fitted law and its band, up to three times the largest size.

    Parameters
    ----------
    law : LossLaw
        Fitted.
    sizes : array_like of float, shape (n,)
        Sizes of the models, above 0.
    losses : array_like of float, shape (n,)
        Their losses.
    axes : matplotlib.axes.Axes, optional
        To draw into; None makes one.
    level : float, optional
        Of the band, in (0, 1).

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    PassUntilError
        Where matplotlib is not installed.
    """
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
    """Draw the curve that the instances share, with its standard errors, and the fitted forms of `circuits`.

    Parameters
    ----------
    result : GrowthResult
        With a shared curve.
    circuits : CircuitComparison, optional
        Fits to that curve.
    axes : matplotlib.axes.Axes, optional
        To draw into; None makes one.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    PassUntilError
        Where the data were too thin for a shared curve, or matplotlib is not installed.
    """
    if not result.curve:
        raise PassUntilError(f"there is no shared curve to draw: {result.reason}")
    axes = _axes(axes)
    sizes, f, se = (np.array(column) for column in zip(*result.curve, strict=True))
    axes.errorbar(
        sizes, f, yerr=se, fmt="o", capsize=2, label=f"shared curve: growth {CLASSES[result.label]}"
    )
    order = np.argsort(sizes)
    for name, fit in ({} if circuits is None else circuits.fits).items():
        axes.plot(sizes[order], np.array(fit.values)[order], label=FORM_WORDS[name])
    axes.set_xscale("log")
    axes.set_xlabel("size")
    axes.set_ylabel("F = log(-log p), falls as ability grows")
    axes.legend()
    return axes


def plot_backtest(result: SeriesForecast, axes: Any = None) -> Any:
    """Draw left-out forecasts of every method against what was measured; on the diagonal they are right.

    Parameters
    ----------
    result : SeriesForecast
        The forecast.
    axes : matplotlib.axes.Axes, optional
        To draw into; None makes one.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn into.

    Raises
    ------
    PassUntilError
        Where no model could be left out, or matplotlib is not installed.
    """
    if not result.backtest:
        raise PassUntilError("there is no backtest to draw: four sizes with a pass are the least")
    axes = _axes(axes)
    for name in dict.fromkeys(name for held in result.backtest for name in held.methods):
        judged = [held for held in result.backtest if name in held.methods]
        label = _label(name, any(held.method == name for held in result.backtest))
        _bars(
            axes,
            [held.measured.mean for held in judged],
            [held.methods[name] for held in judged],
            label,
            "o",
        )
    ends = [held.measured.mean for held in result.backtest]
    axes.plot([min(ends), max(ends)], [min(ends), max(ends)], color="gray")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("measured mean")
    axes.set_ylabel("forecast")
    axes.legend()
    return axes


def _label(method: str, recommended: bool) -> str:
    return METHODS[method] + (" (recommended)" if recommended else "")


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
