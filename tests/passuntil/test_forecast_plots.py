"""Plots: drawn from result objects into given axes; a clear error without matplotlib."""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import numpy as np
import pytest

from passuntil import PassUntilError, Tally, TallyRow, forecast_tallies
from passuntil.forecasting import METHODS
from passuntil.forecasting.plots import plot_backtest, plot_forecast, plot_growth, plot_loss
from passuntil.growth import GrowthResult
from passuntil.growth.circuit_comparison import FORM_WORDS
from passuntil.laws import LossLaw

ROWS = [
    TallyRow(f"m{j}", 1e7 * 3.0**j, f"q{i}", Tally(1000, 3 * (j + 1) ** 2 + i))
    for i in range(6)
    for j in range(6)
]


def test_every_method_and_model_is_drawn() -> None:
    axes = MagicMock()
    assert plot_forecast(forecast_tallies(ROWS, [5e9], hold_out=["m5"]), axes) is axes
    labels = [call.kwargs["label"] for call in axes.errorbar.call_args_list]
    assert labels[:2] == ["measured", "held out"]
    assert any(label.endswith("(recommended)") for label in labels)
    assert all((call.kwargs["yerr"] >= 0).all() for call in axes.errorbar.call_args_list)


def test_a_loss_law_is_drawn_with_its_band() -> None:
    sizes = np.geomspace(1, 50, 6)
    axes = plot_loss(LossLaw().fit(sizes, sizes**-0.3 + 1), sizes, sizes**-0.3 + 1, MagicMock())
    axes.fill_between.assert_called_once()


def test_without_matplotlib_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PassUntilError, match="plots need matplotlib"):
        plot_forecast(forecast_tallies(ROWS, [5e9]))


def test_growth_circuits_and_backtest_are_drawn_from_the_same_result() -> None:
    result = forecast_tallies(ROWS, [5e9])
    assert isinstance(result.growth, GrowthResult)
    assert result.circuits is not None
    axes = plot_growth(result.growth, result.circuits, MagicMock())
    assert [call.kwargs["label"] for call in axes.plot.call_args_list] == [
        FORM_WORDS[name] for name in result.circuits.fits
    ]
    axes = plot_backtest(result, MagicMock())
    assert [call.kwargs["label"].removesuffix(" (recommended)") for call in axes.errorbar.call_args_list] == [
        METHODS[name] for name in result.targets[0].methods
    ]
    few = forecast_tallies([row for row in ROWS if row.model in ("m0", "m1", "m2")], [5e9])
    with pytest.raises(PassUntilError, match="no backtest to draw"):
        plot_backtest(few, MagicMock())
    with pytest.raises(PassUntilError, match="no shared curve to draw: 3 distinct sizes"):
        plot_growth(few.growth, None, MagicMock())
