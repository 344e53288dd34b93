"""What the other tasks and the losses of a series say of how its models deviate from their laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from passuntil import PassUntilError, Tally, TallyRow, forecast_tallies
from passuntil.forecasting.pooling import pool
from passuntil.forecasting.series import Neighbours, read_series
from passuntil.laws import DeviationPrior, deviations_of, pool_deviations
from passuntil.laws._cells import complement
from passuntil.laws._drift import kernel
from passuntil.laws._kriging import next_deviation

SIZES = np.array([3e7, 1e8, 3e8, 1e9])


def rows_of(
    task: str, seed: int, deviations: np.ndarray, sizes: np.ndarray = SIZES, instances: int = 15
) -> list[TallyRow]:
    """A task whose models are off their law by `deviations`, 2,000 draws a cell."""
    generator = np.random.default_rng(seed)
    log_c = generator.normal(2.0, 0.3, instances)
    eta = log_c - 0.25 * np.log(sizes / 1e7)[:, None] + deviations[:, None]
    passes = generator.binomial(2000, np.exp(-np.exp(eta)))
    return [
        TallyRow(f"m{j}", float(size), f"q{i}", Tally(2000, int(passes[j, i])), task=task)
        for j, size in enumerate(sizes)
        for i in range(instances)
    ]


def test_a_series_of_fewer_models_has_the_same_drift_in_the_unit_of_the_longer_one() -> None:
    x = np.log([1.0, 2.0, 5.0, 11.0, 30.0, 90.0])
    some = [1, 2, 4]
    z = (x[some] - x[some].mean()) / x[some].std()
    basis = complement(z)
    whole = kernel(x)[np.ix_(some, some)]
    # A process that starts earlier differs by a line only, which the complement does not see.
    assert basis.T @ kernel(x[some], like=x) @ basis == pytest.approx(basis.T @ whole @ basis)


def test_pooled_intervals_of_three_sizes_hold_the_next_model_and_those_of_one_task_do_not() -> None:
    """Runs that scatter by 2: one number of one task tells of it, eleven other tasks tell it well."""
    generator = np.random.default_rng(5)
    x, new = np.log(SIZES[:3]), float(np.log(SIZES[3]))
    hits = {"alone": 0, "pooled": 0}
    series, tasks = 200, 12
    for _ in range(series):
        off = 2.0 * generator.standard_normal((tasks, 4))
        deviations = [deviations_of(x, row[:3], 1e-4) for row in off]
        for name, prior in (("alone", DeviationPrior.weak()), ("pooled", pool_deviations(deviations[1:]))):
            ahead = next_deviation(deviations[0], new)
            weights = prior.updated(deviations[0].log_likelihood()).weights
            point = generator.choice(weights.size, size=1000, p=weights)
            free = ahead.mean[point] + np.einsum(
                "skl,sl->sk", ahead.root[point], generator.standard_normal((1000, 1))
            )
            said = (ahead.slope[point] * free).sum(1)
            said += np.sqrt(ahead.variance[point]) * generator.standard_normal(1000)
            line = np.polyfit(x, off[0, :3], 1)
            low, high = np.quantile(said, [0.05, 0.95])
            hits[name] += int(low <= off[0, 3] - np.polyval(line, new) <= high)
    # Nominal 90%; the standard error of 200 series is 2%.
    assert 0.85 < hits["pooled"] / series < 0.97
    assert hits["alone"] / series < 0.85


def test_other_tasks_that_scatter_widen_every_method_and_quiet_ones_narrow_the_likelihood_fit() -> None:
    straight = rows_of("mine", 1, np.zeros(4))
    wild = [
        row
        for k in range(5)
        for row in rows_of(f"t{k}", 10 + k, np.array([0.4, -0.6, 0.5, -0.3]) * (-1) ** k)
    ]
    quiet = [row for k in range(5) for row in rows_of(f"t{k}", 10 + k, np.zeros(4))]

    def width(rows: list[TallyRow], method: str) -> float:
        forecast = forecast_tallies(rows, [3e9], task="mine").targets[0].methods[method]
        return forecast.high - forecast.low

    for method in ("dataset_ols", "instance_ols", "instance_likelihood"):
        assert width([*straight, *wild], method) > 1.5 * width(straight, method), method
    assert width([*straight, *quiet], "instance_likelihood") < width(straight, "instance_likelihood")


def test_a_model_that_is_held_out_is_held_out_of_the_other_tasks_too() -> None:
    own, other = rows_of("mine", 1, np.zeros(4)), rows_of("other", 2, np.zeros(4))
    nonsense = [replace(row, tally=Tally(2000, 1999)) if row.model == "m3" else row for row in other]
    honest, changed = (
        forecast_tallies([*own, *rows], [3e9], ["m3"], task="mine").as_dict() for rows in (other, nonsense)
    )
    assert honest["targets"] == changed["targets"]
    assert honest["diagnostics"]["pooled"] == ["other"]


def test_what_says_nothing_is_named_with_the_reason() -> None:
    own = rows_of("mine", 1, np.zeros(4))
    short = rows_of("short", 2, np.zeros(2), SIZES[:2])
    blank = [replace(row, task="blank", tally=Tally(50, 0)) for row in own]
    result = forecast_tallies([*own, *short, *blank], [3e9], task="mine")
    assert result.pooled == ()
    assert "3 distinct sizes, not 2" in result.pooled_left_out["short"]
    assert "no instance passed" in result.pooled_left_out["blank"]
    assert result.targets == forecast_tallies(own, [3e9]).targets


def test_the_losses_of_the_other_tasks_count_and_the_task_s_own_does_not() -> None:
    own = [replace(row, nll=2.0 + row.n_params**-0.1) for row in rows_of("mine", 1, np.zeros(4))]
    other = [replace(row, task="other") for row in own]
    series, neighbours = read_series([*own, *other], task="mine")
    assert pool(series, neighbours).rests_on == ("other", "other (loss)")
    assert pool(series, Neighbours()).prior is None


def test_a_loss_of_the_models_carries_the_task_and_has_its_own_law() -> None:
    sizes = np.geomspace(1e7, 3e9, 7)
    rows = rows_of("", 3, np.zeros(7), sizes)
    # The loss has a floor, and F follows its logarithm: the models fall behind a line in log N.
    loss = {f"m{j}": float(40 * size**-0.2 + 1.2) for j, size in enumerate(sizes)}
    result = forecast_tallies(rows, [1e10], losses={"validation": loss})
    assert "loss_assisted" in result.targets[0].methods
    law = result.losses["validation"]
    assert law.floor == pytest.approx(1.2, abs=0.01)
    assert law.forecasts[0].mean == pytest.approx(40 * 1e10**-0.2 + 1.2, abs=0.01)
    assert law.intervals["alpha"][0] <= 0.2 <= law.intervals["alpha"][1]
    assert result.pooled == ("validation (loss)",)
    assert "validation: loss = c N^-alpha + L0" in result.table()


def test_a_loss_that_some_model_lacks_serves_no_forecast_and_is_told() -> None:
    rows = rows_of("", 3, np.zeros(4))
    result = forecast_tallies(rows, [3e9], losses={"validation": {"m0": 2.0, "m1": 1.9}})
    assert "no loss of all models" in result.methods_left_out["loss_assisted"]
    assert "3 distinct sizes, not 2" in result.pooled_left_out["validation (loss)"]
    with pytest.raises(PassUntilError, match="loss validation of m0 must be above 0"):
        forecast_tallies(rows, [3e9], losses={"validation": {"m0": -1.0}})


def test_of_several_tasks_one_must_be_named() -> None:
    rows = [*rows_of("a", 1, np.zeros(4)), *rows_of("b", 2, np.zeros(4))]
    with pytest.raises(PassUntilError, match=r"task must be named.*2 tasks, 'a', 'b'"):
        forecast_tallies(rows, [3e9])
    with pytest.raises(PassUntilError, match="task 'c' has no row; the tasks are 'a', 'b'"):
        forecast_tallies(rows, [3e9], task="c")
    series, neighbours = read_series(rows, task="b")
    assert list(neighbours.tasks) == ["a"]
    assert series.means == read_series(rows_of("b", 2, np.zeros(4)))[0].means


def test_a_model_has_one_size_in_all_tasks() -> None:
    other = [replace(row, n_params=row.n_params * 2) for row in rows_of("other", 2, np.zeros(4))]
    with pytest.raises(PassUntilError, match="two sizes"):
        forecast_tallies([*rows_of("mine", 1, np.zeros(4)), *other], [3e9], task="mine")
