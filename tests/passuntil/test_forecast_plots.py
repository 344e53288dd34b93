"""Plots: drawn from result objects into given axes; a clear error without matplotlib."""

from __future__ import annotations

import sys
from unittest.mock import MagicMock

import numpy as np
import pytest

from passuntil import LossLaw, PassUntilError, Tally, TallyRow, forecast_tallies
from passuntil.plots import plot_forecast, plot_loss

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
