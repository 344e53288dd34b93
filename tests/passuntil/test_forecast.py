"""Forecasts of a series: the JSON shape, the backtest, the warnings, the refusals."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from passuntil import PassUntilError, Tally, TallyRow, forecast_tallies
from passuntil._text import size_text
from passuntil.forecasting import FAR_STEP, METHODS

SIZES = {"a": 36e6, "b": 109e6, "c": 241e6, "d": 499e6, "e": 892e6, "f": 1542e6}


def series(
    sizes: dict[str, float] = SIZES, draws: int = 4000, instances: int = 12, **passes: int | None
) -> list[TallyRow]:
    """Models that follow a law up to rounding; a keyword sets the passes of every instance of a model."""
    rows = []
    for model, n_params in sizes.items():
        for i in range(instances):
            lawful = round(draws * np.exp(-(2.0 + 0.1 * i) * (n_params / 1e9) ** -0.2))
            count = passes.get(model)
            tally = Tally(draws, lawful if count is None else count)
            rows.append(TallyRow(model, n_params, f"q{i}", tally, tokens=20 * n_params))
    return rows


def test_a_forecast_has_the_agreed_shape() -> None:
    result = forecast_tallies(series(), [2.45e9, 4e9], hold_out=["f"]).as_dict()
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    assert list(result) == ["targets", "growth", "backtest", "diagnostics"]
    first = result["targets"][0]
    assert (first["n_params"], first["recommended"], list(first["methods"])) == (
        2450000000,
        "instance_likelihood",
        ["dataset_ols", "instance_ols", "instance_likelihood"],
    )
    assert "nll" in result["diagnostics"]["methods_left_out"]["loss_assisted"]
    assert list(first["methods"]["dataset_ols"]) == ["mean", "low", "high", "level"]
    assert result["growth"]["class"] == "scaling_law"  # the counts were made by the law
    assert 0.05 < result["growth"]["p_value"] <= 1
    assert result["growth"]["power"] > 0.5


def test_a_lawful_series_is_forecast_and_its_held_out_model_hit() -> None:
    result = forecast_tallies(series(), [2.45e9], hold_out=["f"])
    (held,) = result.held_out
    assert held.model == "f"
    assert held.forecast.mean == pytest.approx(held.measured.mean, rel=0.02)
    assert held.compatible
    target = result.targets[0].methods["dataset_ols"]
    assert target.low < target.mean < target.high
    assert held.forecast.mean < target.mean


def test_the_backtest_leaves_out_the_largest_and_the_largest_two() -> None:
    backtest = forecast_tallies(series(), [2.45e9]).as_dict()["backtest"]
    assert [(b["model"], b["held_out"]) for b in backtest] == [
        ("f", ["f"]),
        ("e", ["e", "f"]),
        ("f", ["e", "f"]),
    ]
    for entry in backtest:
        assert entry["mean"] == pytest.approx(entry["measured"], rel=0.05)
        assert entry["hit"] == (entry["low"] <= entry["measured"] <= entry["high"])


def test_three_sizes_leave_none_to_backtest() -> None:
    result = forecast_tallies(series({k: SIZES[k] for k in "abc"}), [1e9])
    assert result.backtest == ()
    assert "only 3 sizes were fitted; the interval rests on 1 degree of freedom" in result.warnings


def test_a_size_without_a_pass_is_dropped_and_told() -> None:
    result = forecast_tallies(series(a=0), [2.45e9])
    assert result.dropped == (36e6,)
    assert result.models[0].residual is None
    assert result.models[0].measured.zero == 12
    assert any("nothing passed at 36M" in warning for warning in result.warnings)
    assert result.as_dict()["diagnostics"]["zero_cells"] == 12


def test_only_instances_of_all_models_count_and_the_rest_is_told() -> None:
    rows = [*series(), TallyRow("a", 36e6, "extra", Tally(4000, 3999), tokens=20 * 36e6)]
    with_extra, without = forecast_tallies(rows, [2.45e9]), forecast_tallies(series(), [2.45e9])
    assert with_extra.targets == without.targets
    assert (with_extra.instances, with_extra.instances_left_out) == (12, 1)
    assert any("1 instance was not measured on all models" in warning for warning in with_extra.warnings)


def test_a_target_far_beyond_the_data_is_told() -> None:
    near, far = (forecast_tallies(series(), [factor * 1542e6]) for factor in (FAR_STEP / 2, FAR_STEP * 2))
    assert not any("far from data" in warning for warning in near.warnings)
    assert any("8 times the largest fitted size" in warning for warning in far.warnings)


def test_unfinished_and_capped_cells_are_counted() -> None:
    rows = series()
    rows[0] = TallyRow("a", 36e6, "q0", Tally(50, 1, None, 5, 0, 4000), tokens=20 * 36e6)
    rows[1] = TallyRow("a", 36e6, "q1", Tally(4000, 1, None, 5, 0, 4000), tokens=20 * 36e6)
    diagnostics = forecast_tallies(rows, [2.45e9]).as_dict()["diagnostics"]
    assert (diagnostics["unfinished_cells"], diagnostics["capped_cells"]) == (1, 1)
    assert any("1 cell is unfinished" in warning for warning in diagnostics["warnings"])


def test_the_paper_s_estimate_stands_beside_the_unbiased_one_and_is_labelled() -> None:
    rows = [
        TallyRow(f"m{j}", 1e7 * 3.0**j, f"q{i}", Tally(k, 2, k, 2, None, 10**5))
        for j, k in enumerate((4000, 900, 300, 100))
        for i in range(5)
    ]
    result = forecast_tallies(rows, [1e10])
    first = result.as_dict()["diagnostics"]["models"][0]
    assert first["paper_r_over_k"] == pytest.approx(2 / 4000)
    assert first["mean"] == pytest.approx(1 / 3999)
    assert "biased upwards, for comparison only" in result.table()


def test_sizes_are_told_as_people_say_them() -> None:
    sizes = (0.036, 59_376, 999_999, 4_619_200, 2.45e9, 3e12, 7.2e20)
    assert [size_text(size) for size in sizes] == [
        "0.036",
        "59,376",
        "999,999",
        "4.619M",
        "2.45B",
        "3T",
        "7.2e20",
    ]


def test_what_people_read_names_methods_by_words() -> None:
    result = forecast_tallies(series(), [2.45e9], hold_out=["f"])
    text = "\n".join([result.table(), result.choice, *result.warnings])
    assert set(METHODS) == {*result.targets[0].methods, *result.methods_left_out}
    assert not any(name in text for name in METHODS)


def test_inverse_scaling_is_told() -> None:
    falling = dict(zip(SIZES, (600, 500, 400, 300, 200, 100), strict=True))
    assert any("inverse scaling" in w for w in forecast_tallies(series(**falling), [2.45e9]).warnings)


@pytest.mark.parametrize(("scale", "target"), [("tokens", 4.9e10), ("compute", 7.2e20)])
def test_tokens_and_compute_can_be_the_scale(scale: str, target: float) -> None:
    result = forecast_tallies(series(), [target], scale=scale)
    by_size = forecast_tallies(series(), [2.45e9]).targets[0].methods["dataset_ols"]
    # Tokens are 20 N here, so every scale tells the same story.
    assert result.targets[0].methods["dataset_ols"].mean == pytest.approx(by_size.mean, rel=1e-3)
    assert result.as_dict()["diagnostics"]["scale"] == scale


def test_one_name_can_be_held_out_without_a_list() -> None:
    assert forecast_tallies(series(), [2.45e9], hold_out="f") == forecast_tallies(series(), [2.45e9], ["f"])


def test_a_line_too_steep_for_a_finite_constant_is_still_plain_json() -> None:
    close = {"a": 1.00e9, "b": 1.01e9, "c": 1.02e9}
    result = forecast_tallies(series(close, a=1, b=300, c=3000), [2e9]).as_dict()
    assert result["diagnostics"]["law"]["c"] is None
    assert json.dumps(result, allow_nan=False)


def test_the_order_of_the_rows_changes_nothing() -> None:
    assert forecast_tallies(series()[::-1], [2.45e9]) == forecast_tallies(series(), [2.45e9])


def test_the_table_shows_every_model_target_and_warning() -> None:
    text = forecast_tallies(series(a=0), [2.45e9], hold_out=["f"]).table()
    for word in (
        "2.45B",
        "line through task means (OLS)",
        "instance likelihood *",
        "90% low",
        "backtest",
        "held out",
        "growth: by the law",
        "warning: nothing",
    ):
        assert word in text
    assert all(line == line.rstrip() for line in text.splitlines())


@pytest.mark.parametrize(
    ("rows", "arguments", "message"),
    [
        ([], {}, "no rows were given"),
        (series({k: SIZES[k] for k in "ab"}), {}, "2 sizes are left to fit; a forecast needs at least 3"),
        (series({k: SIZES[k] for k in "abc"}), {"hold_out": ["c"]}, "2 sizes are left to fit"),
        (series({"a": 1e8, "b": 1e8, "c": 2e8}), {}, "2 sizes are left to fit"),
        (series(), {"targets": [1542e6]}, r"target 1.542B is not above the largest fitted size"),
        (series(), {"targets": [1e8]}, "that would be no forecast"),
        (series(), {"targets": [0]}, "target must be above 0, not 0"),
        (series(), {"targets": [-2.45e9]}, "target must be above 0"),
        (series(), {"targets": [float("nan")]}, "target must be finite, not nan"),
        (series(), {"targets": ["big"]}, "target must be a number, not 'big'"),
        (series(), {"hold_out": ["zz"]}, "hold_out names zz, which no row has; the models are a, b"),
        (series(), {"level": 95}, "level must lie between 0 and 1"),
        (series(), {"scale": "flops"}, "scale must be one of n_params, tokens, compute, not 'flops'"),
        (series(**dict.fromkeys(SIZES, 0)), {}, "no model passed any draw"),
        (series(**dict.fromkeys(SIZES, 4000)), {}, "mean pass probability of a, b, c, d, e, f is 1"),
        (series(a=0, b=0, c=0, d=0), {}, "2 distinct sizes have a pass probability above 0"),
        ([*series(), series()[0]], {}, "instance 'q0' of model 'a' appears twice"),
        (
            [*series(), TallyRow("a", 5.0, "q99", Tally(9, 1), tokens=20 * 36e6)],
            {},
            "model 'a' has two sizes",
        ),
        ([*series(), TallyRow("g", 5.0, "q99", Tally(9, 1))], {}, "no instance was measured on all models"),
        ([*series(), TallyRow("g", 5.0, "q0", Tally(9, 1))], {"scale": "tokens"}, "model 'g' has none"),
    ],
)
def test_what_cannot_be_forecast_is_refused(
    rows: list[TallyRow], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(PassUntilError, match=message):
        forecast_tallies(rows, **{"targets": [2.45e9], **arguments})
