"""Forecasts by way of the loss, and the law of the loss itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import least_squares

from passuntil import PassUntilError
from passuntil.laws import LossAssisted, LossLaw
from passuntil.laws._lines import shrunken_lines

SIZES = np.geomspace(0.02, 2.0, 8)
TARGET = 5.0


def losses(generator: np.random.Generator, m: int = 60, noise: float = 0.0) -> np.ndarray[Any, Any]:
    """Summed answer losses (m, n + 1) of lawful instances, the target's in the last column."""
    level, slope = generator.normal(1.0, 0.5, m), generator.normal(0.4, 0.05, m)
    clean = np.exp(level[:, None] - slope[:, None] * np.log(np.append(SIZES, TARGET)))
    return clean * np.exp(noise * generator.standard_normal(clean.shape))


@pytest.mark.parametrize(
    ("form", "to_p"),
    [
        ("linear", lambda nll: np.exp(-(0.8 * nll + 0.3))),
        ("log_log", lambda nll: np.exp(-np.exp(1.3 * np.log(nll) - 0.2))),
        ("log_linear", lambda nll: np.exp(-np.exp(0.25 * nll - 0.5))),
    ],
)
def test_each_form_is_chosen_where_it_is_the_true_one(form: str, to_p: Any) -> None:
    nll = losses(np.random.default_rng(1))
    p = to_p(nll)
    law = LossAssisted().fit(SIZES, p[:, :-1], nll[:, :-1])
    assert law.form_ == form
    assert law.form_errors_[form] == min(law.form_errors_.values())
    assert law.forecast(TARGET).mean == pytest.approx(p[:, -1].mean(), rel=0.02)


def test_a_hard_instance_is_forecast_from_its_loss_where_its_passes_are_too_few() -> None:
    nll = losses(np.random.default_rng(2))
    p = np.exp(-nll)
    seen = p[:, :-1].copy()
    seen[:20] = 0.0
    law = LossAssisted(instances="hard", form="linear").fit(SIZES, seen, nll[:, :-1])
    assert law.easy_.tolist() == [False] * 20 + [True] * 40
    assert law.predict(TARGET)[:20] == pytest.approx(p[:20, -1], rel=0.05)


def test_lines_that_lean_on_each_other_predict_better_than_each_alone() -> None:
    generator = np.random.default_rng(3)
    alone, shrunken = [], []
    for _ in range(20):
        y = np.log(losses(generator, noise=0.4))
        clean = y[:, -1]
        predictions, variance = shrunken_lines(np.log(SIZES), y[:, :-1], np.log([TARGET]))
        fits = np.polyfit(np.log(SIZES), y[:, :-1].T, 1)
        alone.append(((fits[0] * np.log(TARGET) + fits[1] - clean) ** 2).mean())
        shrunken.append(((predictions[:, 0] - clean) ** 2).mean())
    assert np.mean(shrunken) < 0.9 * np.mean(alone)
    assert variance[0, 0] == pytest.approx(np.mean(shrunken), rel=0.25)


@pytest.mark.parametrize(
    ("arguments", "change", "message"),
    [
        ({"form": "cubic"}, {}, "form must be one of linear, log_log, log_linear"),
        ({"instances": "some"}, {}, "instances must be 'all' or 'hard'"),
        ({}, {"nll": -1.0}, "nll must be finite and at least 0"),
        ({}, {"nll": np.nan}, "nll must be finite and at least 0"),
        ({}, {"p": 0.0}, "no instance has a pass probability between 0 and 1 at 3 sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(
    arguments: dict[str, Any], change: dict[str, float], message: str
) -> None:
    nll = losses(np.random.default_rng(4), 5)[:, :-1]
    p = np.exp(-nll)
    if "nll" in change:
        nll[0, 0] = change["nll"]
    if "p" in change:
        p[:] = change["p"]
    with pytest.raises(PassUntilError, match=message):
        LossAssisted(**arguments).fit(SIZES, p, nll)


def test_the_law_of_the_loss_is_the_least_squares_optimum() -> None:
    generator = np.random.default_rng(5)
    y = 0.8 * SIZES**-0.35 + 1.6 + 0.01 * generator.standard_normal(SIZES.size)
    law = LossLaw().fit(SIZES, y)
    best = least_squares(lambda t: t[0] * SIZES ** -t[1] + t[2] - y, [1.0, 0.3, 1.0], xtol=1e-14)
    assert [law.c_, law.alpha_, law.floor_] == pytest.approx(best.x, rel=5e-3)
    assert (law.residuals_**2).sum() == pytest.approx(2 * best.cost, rel=1e-3)


def test_the_intervals_of_the_loss_law_cover() -> None:
    generator, hits, repeats = np.random.default_rng(6), np.zeros(4), 200
    for _ in range(repeats):
        y = 0.8 * SIZES**-0.35 + 1.6 + 0.01 * generator.standard_normal(SIZES.size)
        law = LossLaw().fit(SIZES, y)
        ends = law.intervals(0.9)
        new = 0.8 * TARGET**-0.35 + 1.6 + 0.01 * generator.standard_normal()
        forecast = law.forecast(TARGET, level=0.9)
        pairs = [
            (ends["c"], 0.8),
            (ends["alpha"], 0.35),
            (ends["floor"], 1.6),
            ((forecast.low, forecast.high), new),
        ]
        hits += [low <= value <= high for (low, high), value in pairs]
    # Three standard errors of a share of .9 in 200 are .064; the profile errs to the safe side.
    assert (hits / repeats > 0.9 - 0.064).all()
    assert (hits / repeats < 0.999).any()


def test_a_loss_without_a_floor_is_no_negative_floor() -> None:
    law = LossLaw().fit(SIZES, 0.8 * SIZES**-0.35)
    assert law.floor_ == pytest.approx(0.0, abs=1e-3)
    assert law.alpha_ == pytest.approx(0.35, rel=1e-2)
    assert law.intervals()["floor"][0] == pytest.approx(0.0, abs=0.02)


@pytest.mark.parametrize(
    ("sizes", "loss", "message"),
    [
        ([1, 2, 3], [3, 2, 1], "c, alpha and L0 need at least 4 distinct sizes, not 3"),
        ([1, 2, 3, 3], [3, 2, 1, 1], "4 distinct sizes, not 3"),
        ([1, 2, 3, 4], [3, 2, 1], "n_params and loss must have a value for each model, not 4 and 3 values"),
        ([1, 2, 3, 4], [3, 2, 1, 0], "loss must be above 0, not 0"),
        ([1, 2, 3, 4], [3, 2, 1, np.nan], "loss must be finite, not nan"),
    ],
)
def test_no_loss_law_without_four_sizes_and_positive_losses(sizes: Any, loss: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        LossLaw().fit(sizes, loss)
