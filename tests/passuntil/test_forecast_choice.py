"""Deviations of models, the backtest's choice, and how the sources of uncertainty come together."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from passuntil import PassUntilError, Tally, TallyRow, forecast_tallies
from passuntil.counts.aggregate import dataset_estimate
from passuntil.forecasting import HeldOut
from passuntil.forecasting._scoring import score
from passuntil.forecasting._sources import disagreement, widened
from passuntil.forecasting.choice import choose
from passuntil.laws import DeviationPrior, pool_deviations
from passuntil.laws._drift import kernel
from passuntil.laws._kriging import next_deviation
from passuntil.laws.base import Forecast
from passuntil.laws.deviation_prior import GRID
from passuntil.laws.deviations import deviations_of

X = np.log(np.geomspace(1.0, 100.0, 8))


def test_a_straight_line_leaves_no_deviation() -> None:
    assert deviations_of(X, 3.0 - 0.2 * X).values == pytest.approx(np.zeros(8), abs=1e-12)


def test_scatter_is_learnt_as_scatter_and_a_bend_as_drift() -> None:
    generator = np.random.default_rng(1)
    noisy = [deviations_of(X, 0.3 * generator.standard_normal(8)) for _ in range(12)]
    scatter = pool_deviations(noisy)
    assert scatter.sigma(0.5) == pytest.approx(0.3, rel=0.25)
    assert scatter.kappa(0.5) < 0.1
    bent = DeviationPrior.weak().updated(deviations_of(X, -0.1 * (X - X.mean()) ** 2).log_likelihood())
    assert bent.kappa(0.5) > 3 * bent.sigma(0.5)


def test_the_next_deviation_of_mere_scatter_is_that_of_a_least_squares_line() -> None:
    ahead = next_deviation(deviations_of(X, np.zeros(8)), float(X[-1]) + 1.0)
    at = int(np.flatnonzero((GRID[:, 1] == 0) & (GRID[:, 0] > 0.1))[0])
    off = X - X.mean()
    reach = 1 + 1 / 8 + (X[-1] + 1 - X.mean()) ** 2 / (off @ off)
    assert ahead.variance[at] == pytest.approx(GRID[at, 0] ** 2 * reach, rel=1e-6)
    assert ahead.slope[at] == pytest.approx(np.zeros(6), abs=1e-8)


def test_a_drift_goes_on_and_scatter_does_not() -> None:
    bent = deviations_of(X, -0.1 * (X - X.mean()) ** 2)
    ahead = next_deviation(bent, float(X[-1]) + 0.6)
    drift = int(np.flatnonzero((GRID[:, 0] == 0) & (GRID[:, 1] > 0.3))[0])
    assert (ahead.slope[drift] * ahead.mean[drift]).sum() < -0.2
    # A spline's own extrapolation is the straight line of its last slope.
    assert kernel(X, float(X[-1]) + 0.6).shape == (9, 9)


def test_tasks_that_repeat_each_other_count_less() -> None:
    generator = np.random.default_rng(2)
    shared = 0.2 * generator.standard_normal(8)
    alike = [deviations_of(X, shared + 0.01 * generator.standard_normal(8)) for _ in range(5)]
    apart = [deviations_of(X, 0.2 * generator.standard_normal(8)) for _ in range(5)]
    ratios = [
        p.sigma(0.95) / max(p.sigma(0.05), 1e-3) for p in (pool_deviations(alike), pool_deviations(apart))
    ]
    assert ratios[0] > ratios[1]
    with pytest.raises(PassUntilError, match="no deviations were given"):
        pool_deviations([])


def test_the_score_is_the_integral_that_defines_it() -> None:
    forecast = Forecast(1.0, 0.05, 0.02, 0.1, 0.9)
    f = {v: np.log(-np.log(v)) for v in (0.05, 0.02, 0.1, 0.2)}
    sd = (f[0.02] - f[0.1]) / (2 * norm.ppf(0.95))
    below, _ = quad(lambda t: norm.cdf(t, f[0.05], sd) ** 2, -10, f[0.2])
    above, _ = quad(lambda t: (1 - norm.cdf(t, f[0.05], sd)) ** 2, f[0.2], 10)
    assert score(forecast, 0.2) == pytest.approx(below + above, rel=1e-4)


def left_out(**means: float) -> list[HeldOut]:
    measured = dataset_estimate([Tally(10_000, 500)] * 10)
    said = {name: Forecast(1.0, m, m * 0.8, min(m * 1.25, 0.99), 0.9) for name, m in means.items()}
    return [HeldOut("m", ("m",), measured, said)] * 3


def test_another_method_is_recommended_only_where_it_is_clearly_better() -> None:
    methods = ("dataset_ols", "instance_likelihood")
    close = choose(methods, left_out(dataset_ols=0.052, instance_likelihood=0.053))
    far = choose(methods, left_out(dataset_ols=0.052, instance_likelihood=0.09))
    none = choose(methods, [])
    assert (close.method, far.method, none.method) == (
        "instance_likelihood",
        "dataset_ols",
        "instance_likelihood",
    )
    assert far.excess["instance_likelihood"] > far.excess["dataset_ols"] >= 0
    assert "too few" in none.reason


def test_sources_add_in_squares_on_the_scale_of_f() -> None:
    f = Forecast(1.0, 0.05, 0.02, 0.1, 0.9)
    assert widened(f, 0.0) == f
    wide = widened(f, 0.3)
    q = norm.ppf(0.95) * 0.3
    own = np.log(-np.log(0.02)) - np.log(-np.log(0.05))
    assert np.log(-np.log(wide.low)) - np.log(-np.log(0.05)) == pytest.approx(np.hypot(own, q))
    assert wide.mean == f.mean
    apart = disagreement({"a": f, "b": Forecast(1.0, 0.1, 0.05, 0.2, 0.9)}, {})
    assert apart["a"] == pytest.approx(apart["b"])
    assert apart["a"] > 0


def rows(p: np.ndarray, nll: bool) -> list[TallyRow]:  # type: ignore[type-arg]
    sizes = np.geomspace(1e7, 1e9, p.shape[1])
    return [
        TallyRow(
            f"m{j}",
            float(sizes[j]),
            f"q{i}",
            Tally(5000, round(5000 * p[i, j]), cap=5000),
            nll=float(-np.log(p[i, j])) if nll else None,
        )
        for i in range(p.shape[0])
        for j in range(p.shape[1])
    ]


def lawful(models: int = 6, scatter: float = 0.0) -> np.ndarray:  # type: ignore[type-arg]
    generator = np.random.default_rng(3)
    eta = generator.normal(1.5, 0.4, 30)[:, None] - np.linspace(0, 1.2, models)
    return np.exp(-np.exp(eta + scatter * generator.standard_normal(eta.shape)))


def test_losses_in_every_cell_bring_the_loss_assisted_forecast() -> None:
    result = forecast_tallies(rows(lawful(), True), [2e9])
    assert set(result.targets[0].methods) == {
        "dataset_ols",
        "instance_ols",
        "instance_likelihood",
        "loss_assisted",
    }
    assert result.methods_left_out == {}
    entry = result.as_dict()["backtest"][0]
    assert set(entry["methods"]) == set(result.targets[0].methods)
    sources = result.as_dict()["targets"][0]["sources"]["dataset_ols"]
    assert set(sources) == {"deviations", "forms", "backtest"}


def test_a_model_that_passes_every_draw_leaves_the_line_out_and_not_the_forecast() -> None:
    p = lawful()
    p[:, -1] = 1.0
    result = forecast_tallies(rows(p, False), [2e9])
    assert "dataset_ols" not in result.targets[0].methods
    assert "is 1" in result.methods_left_out["dataset_ols"]
    assert result.as_dict()["diagnostics"]["law"]["alpha"] is None
    assert any("passed every draw" in warning for warning in result.warnings)


def test_a_prior_of_deviations_changes_the_interval() -> None:
    table = rows(lawful(scatter=0.2), False)
    quiet, loud = (
        forecast_tallies(table, [2e9], deviation=DeviationPrior.known(s))
        .targets[0]
        .methods["instance_likelihood"]
        for s in (0.0, 1.0)
    )
    assert loud.high - loud.low > quiet.high - quiet.low


def test_a_guess_rate_leaves_the_likelihood_fit_alone() -> None:
    result = forecast_tallies(rows(0.25 + 0.75 * lawful(), False), [2e9], guess_rate=0.25)
    assert list(result.targets[0].methods) == ["instance_likelihood"]
    assert result.targets[0].methods["instance_likelihood"].low > 0.25
    assert not any("passed every draw" in warning for warning in result.warnings)


def test_the_same_seed_gives_the_same_forecast() -> None:
    table = rows(lawful(), False)
    assert forecast_tallies(table, [2e9], seed=1) == forecast_tallies(table, [2e9], seed=1)
    assert forecast_tallies(table, [2e9], seed=1) != forecast_tallies(table, [2e9], seed=2)


def test_a_thousand_instances_of_one_model_are_refused() -> None:
    one = [TallyRow("m", 1e8, f"q{i}", Tally(10, i % 3)) for i in range(1000)]
    with pytest.raises(PassUntilError, match="1 size is left to fit; a forecast needs at least 3"):
        forecast_tallies(one, [1e9])


def test_a_bend_beyond_the_law_is_told_as_a_warning() -> None:
    x = np.linspace(0, 4, 8)
    generator = np.random.default_rng(3)
    eta = generator.normal(1.5, 0.4, 40)[:, None] - 0.25 * x
    bent = np.minimum(eta, eta - 0.8 * (x - 2.2))
    straight, accelerated = (forecast_tallies(rows(np.exp(-np.exp(e)), False), [2e9]) for e in (eta, bent))
    assert accelerated.growth.label == "accelerated"
    assert any("forecasts by the law tend to be too low" in warning for warning in accelerated.warnings)
    assert not any("bend beyond the law" in warning for warning in straight.warnings)
