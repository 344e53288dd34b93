"""Growth classes: the law is left alone, a second circuit is seen, thin data say so, bad input is refused."""

from __future__ import annotations

import doctest
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from passuntil import PassUntilError
from passuntil.growth._instances import simulate
from passuntil.growth.classification import growth_class, pooled_noise
from passuntil.growth.growth_result import CLASSES, GrowthResult

SIZES = np.array([0.036, 0.109, 0.241, 0.499, 0.892, 1.542, 2.45])
X = np.log(SIZES)
RULE: dict[str, Any] = {"r": 5, "floor": 64, "cap": 10_000}


def population(generator: np.random.Generator, instances: int, noise: float = 0.0) -> np.ndarray:
    height = generator.normal(np.log(7.0), 0.45, (instances, 1))
    exponent = np.abs(generator.normal(0.3, 0.12, (instances, 1)))
    return np.asarray(height - exponent * X + noise * generator.standard_normal(X.size))


def counts(generator: np.random.Generator, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    draws, passes = simulate(generator, eta, np.ones_like(eta), 5, 64, np.full(eta.shape, 1e4))
    return draws.T, passes.T


def mean_is_concave(draws: np.ndarray, passes: np.ndarray) -> bool:
    share = np.where((passes == 5) & (draws > 64), 4 / np.maximum(draws - 1, 1), passes / draws).mean(1)
    share = np.maximum(share, 1e-5)
    return bool(np.polyfit(X, np.log(-np.log(share)), 2)[0] < 0)


def test_spread_difficulty_is_no_acceleration() -> None:
    """100 null populations: alarms within three standard errors of 5%, where the sign says yes to most."""
    generator, alarms, concave, repeats = np.random.default_rng(8), 0, 0, 100
    for number in range(repeats):
        draws, passes = counts(generator, population(generator, 20, (0.0, 0.05)[number % 2]))
        result = growth_class(SIZES, draws, passes, replicates=49, seed=number, **RULE)
        alarms += result.label not in ("scaling_law", "undetermined")
        concave += mean_is_concave(draws, passes)
    assert alarms / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert concave / repeats > 0.7


def test_exponents_of_two_kinds_are_no_acceleration_either() -> None:
    """The prior is normal and the population is not: half the instances hardly grow."""
    generator, alarms, repeats = np.random.default_rng(9), 0, 40
    for number in range(repeats):
        steep = generator.random((40, 1)) < 0.5
        exponent = np.where(steep, 0.5, 0.1)
        eta = generator.normal(np.log(5), 0.6, (40, 1)) - exponent * X + 0.03 * generator.standard_normal(7)
        draws, passes = counts(generator, eta)
        result = growth_class(SIZES, draws, passes, replicates=49, seed=number, **RULE)
        alarms += result.label not in ("scaling_law", "undetermined")
    assert alarms / repeats <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


@pytest.mark.parametrize(("sign", "label"), [(-1.0, "accelerated"), (1.0, "sub_scaling")])
def test_a_shared_bend_is_seen_with_its_sign_and_size(sign: float, label: str) -> None:
    generator = np.random.default_rng(10)
    bent = sign * 0.1 / 2 * (X - X.mean()) ** 2
    result = growth_class(SIZES, *counts(generator, population(generator, 164, 0.01) + bent), **RULE)
    assert result.label == label
    assert result.p_value is not None
    assert result.p_value <= 0.05
    assert result.low is not None
    assert result.high is not None
    assert result.low <= sign * 0.1 <= result.high
    assert (result.concave > result.convex) == (sign < 0)


def test_the_interval_of_the_curvature_covers() -> None:
    generator, hits, repeats = np.random.default_rng(11), 0, 60
    bent = -0.04 * (X - X.mean()) ** 2
    for number in range(repeats):
        eta = population(generator, 20, 0.04) + bent
        result = growth_class(
            SIZES, *counts(generator, eta), replicates=199, calibration="curve", seed=number, **RULE
        )
        hits += (result.low or 0) <= -0.08 <= (result.high or 0)
    assert hits / repeats == pytest.approx(0.95, abs=0.085)


def test_a_second_circuit_with_crossings_of_their_own_is_accelerated() -> None:
    generator = np.random.default_rng(12)
    height, exponent = generator.normal(np.log(7), 0.45, (164, 1)), np.full((164, 1), 0.2)
    crossing = X[3] + generator.normal(0, 0.4, (164, 1))
    eta = np.minimum(height - exponent * X, height - exponent * crossing - 0.8 * (X - crossing))
    result = growth_class(SIZES, *counts(generator, eta), **RULE)
    assert result.label == "accelerated"


def test_instances_that_bend_both_ways_are_mixed() -> None:
    generator = np.random.default_rng(13)
    signs = np.where(np.arange(164)[:, None] % 2 == 0, 1.0, -1.0)
    eta = population(generator, 164, 0.02) + signs * 0.15 * ((X - X.mean()) ** 2 - 1.5)
    result = growth_class(SIZES, *counts(generator, eta), **RULE)
    assert result.label == "mixed"
    assert result.tests["disagreement"] < 0.005
    assert "bend both ways" in result.reason


def test_a_curve_that_changes_the_sign_of_its_curvature_is_mixed() -> None:
    sizes = np.geomspace(1e6, 1e9, 10)
    x = np.log(sizes) - np.log(sizes).mean()
    generator = np.random.default_rng(14)
    eta = generator.normal(1.0, 0.4, (60, 1)) - 0.3 * x + 0.06 * (x**3 - 8 * x)
    draws, passes = simulate(generator, eta, np.full(eta.shape, 4000.0), None, 0, None)
    result = growth_class(sizes, draws.T, passes.T)
    assert result.label == "mixed"
    assert "changes the sign" in result.reason


def test_a_law_measured_well_is_a_scaling_law_and_noise_makes_it_undetermined() -> None:
    generator = np.random.default_rng(15)
    clean = growth_class(SIZES, *counts(generator, population(generator, 100)), **RULE)
    assert clean.label == "scaling_law"
    assert clean.power is not None
    assert clean.power > 0.9
    noisy = growth_class(SIZES, *counts(generator, population(generator, 100, 0.2)), **RULE)
    assert noisy.label == "undetermined"
    assert noisy.power is not None
    assert noisy.power < 0.5
    assert "power is below 50%" in noisy.reason
    assert noisy.noise == pytest.approx(0.2, abs=0.12)


def test_power_is_what_it_says() -> None:
    """The share of populations bent by the reference effect that are called so, against the stated power."""
    generator, stated, called, repeats = np.random.default_rng(16), [], 0, 40
    for number in range(repeats):
        eta = population(generator, 20)
        effect = 2 / 3 * 0.3 / np.ptp(X)
        bent = eta - effect / 2 * (X - X.mean()) ** 2
        result = growth_class(SIZES, *counts(generator, eta), replicates=49, seed=number, **RULE)
        stated.append(result.power or 0.0)
        called += growth_class(SIZES, *counts(generator, bent), replicates=49, seed=number, **RULE).label == (
            "accelerated"
        )
    assert called / repeats == pytest.approx(np.mean(stated), abs=0.2)


def test_missing_cells_masks_order_and_units_do_not_matter() -> None:
    generator = np.random.default_rng(17)
    draws, passes = counts(generator, population(generator, 30))
    missing = generator.random(draws.shape) < 0.2
    n, s = np.where(missing, np.nan, draws), np.where(missing, np.nan, passes)
    first = growth_class(SIZES, n, s, replicates=99, **RULE)
    masked = growth_class(
        SIZES, np.ma.masked_array(draws, missing), np.ma.masked_array(passes, missing), replicates=99, **RULE
    )
    turned = growth_class(SIZES[::-1], n[::-1], s[::-1], replicates=99, **RULE)
    billions = growth_class(SIZES * 1e9, n, s, replicates=99, **RULE)
    assert first.as_dict() == masked.as_dict() == turned.as_dict()
    assert billions.curvature == pytest.approx(first.curvature)
    assert first.instances == 30
    assert growth_class(SIZES, n, s, replicates=99, seed=1, **RULE).as_dict() != first.as_dict()


def test_noise_of_single_cells_is_no_bend_once_the_null_has_it() -> None:
    """Two passes a cell: without cell noise in the null a third of lawful populations would be accelerated."""
    generator = np.random.default_rng(0)
    sizes, alarms = np.geomspace(0.036, 1.5, 7), {0.0: 0, 0.3: 0}
    for number in range(10):
        eta = generator.normal(np.log(7), 0.45, (100, 1))
        eta = eta - np.abs(generator.normal(0.22, 0.06, (100, 1))) * np.log(sizes)
        eta = eta + 0.3 * generator.standard_normal(eta.shape)
        draws, passes = simulate(generator, eta, np.ones_like(eta), 2, 0, np.full(eta.shape, 1e5))
        for noise in alarms:
            result = growth_class(
                sizes, draws.T, passes.T, r=2, cap=10**5, cell_noise=noise, replicates=99, seed=number
            )
            alarms[noise] += result.label not in ("scaling_law", "undetermined")
    assert alarms[0.3] <= 1
    assert alarms[0.0] >= alarms[0.3] + 2


def test_the_result_is_plain_json_with_the_contract_names() -> None:
    generator = np.random.default_rng(18)
    result = growth_class(SIZES, *counts(generator, population(generator, 10)), replicates=99, **RULE)
    shape = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert shape["class"] in CLASSES
    assert 0 <= shape["p_value"] <= 1
    assert result.reason == shape["reason"] != ""
    assert [point["n_params"] for point in shape["curve"]] == SIZES.tolist()


def test_noise_can_be_pooled_over_tasks() -> None:
    generator = np.random.default_rng(19)
    tasks = [
        growth_class(
            SIZES,
            *counts(generator, population(generator, 20, 0.1)),
            calibration="curve",
            replicates=19,
            **RULE,
        )
        for _ in range(12)
    ]
    sigma, df = pooled_noise(tasks)
    assert sigma == pytest.approx(0.1, abs=0.04)
    assert df == 4.0
    bent = population(generator, 60, 0.1)
    counted = counts(generator, bent)
    known = growth_class(SIZES, *counted, noise=(0.1, 60.0), replicates=99, **RULE)
    alone = growth_class(SIZES, *counted, replicates=99, **RULE)
    assert known.noise_df == 64.0
    assert (known.power or 0) > (alone.power or 0)
    with pytest.raises(PassUntilError, match="no result carries"):
        pooled_noise([])


def test_164_by_7_with_200_replicates_takes_seconds() -> None:
    generator = np.random.default_rng(20)
    counted = counts(generator, population(generator, 164, 0.05))
    started = time.process_time()
    growth_class(SIZES, *counted, **RULE)
    assert time.process_time() - started < 5.0


def full(value: float, models: int = 7, instances: int = 4) -> np.ndarray:
    return np.full((models, instances), value)


@pytest.mark.parametrize(
    ("sizes", "draws", "passes", "reason"),
    [
        (SIZES[:3], full(100, 3), full(10, 3), "3 distinct sizes"),
        ([1.0] * 7, full(100), full(10), "1 distinct size"),
        ([1.0], full(100, 1, 1000), full(10, 1, 1000), "1 distinct size"),
        (SIZES, full(100), full(0), "no draw of any model passed"),
        (SIZES, full(100), full(100), "every draw of every model passed"),
        (SIZES, full(100), np.vstack([full(0, 4), full(10, 3)]), "only 3 sizes"),
        (
            SIZES,
            np.vstack([full(100, 3), full(np.nan, 4)]),
            np.vstack([full(1, 3), full(np.nan, 4)]),
            "3 distinct sizes",
        ),
    ],
)
def test_thin_data_are_undetermined_with_the_reason(sizes: Any, draws: Any, passes: Any, reason: str) -> None:
    result = growth_class(sizes, draws, passes)
    assert isinstance(result, GrowthResult)
    assert (result.label, result.p_value) == ("undetermined", None)
    assert reason in result.reason
    json.dumps(result.as_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("draws", "passes", "message"),
    [
        (full(100), full(-1), "passes must be whole numbers from 0, not -1"),
        (full(100), full(1.5), "passes must be whole numbers from 0, not 1.5"),
        (full(100.5), full(1), "draws must be whole numbers from 0, not 100.5"),
        (full(np.inf), full(1), "draws must be whole numbers from 0, not inf"),
        (full(10), full(11), "11 passes in 10 draws"),
        (full(10), full(np.nan), "a cell has draws and no passes"),
        (full(10, 6), full(1, 6), "give a row a model"),
        (full(10), full(1, 7, 5), "give a row a model"),
        ([["a"] * 4] * 7, full(1), "must be numbers"),
    ],
)
def test_counts_that_cannot_be_are_refused(draws: Any, passes: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        growth_class(SIZES, draws, passes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0}, "alpha must lie between 0 and 1, such as 0.05"),
        ({"least_power": 2}, "least_power must lie between 0 and 1"),
        ({"cell_noise": -0.1}, "cell_noise must be at least 0, not -0.1"),
        ({"factor": 1}, "factor must be above 1"),
        ({"replicates": 5}, "replicates must be at least 19"),
        ({"r": 0}, "r must be at least 1"),
        ({"r": 2, "cap": 50}, "a cell has 100 draws, above the cap of 50"),
        ({"noise": 0.1}, "noise must be"),
        ({"noise": (-0.1, 3)}, "noise sigma must not be negative"),
        ({"calibration": "magic"}, "calibration must be"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        growth_class(SIZES, full(100), full(10), **options)


def test_sizes_below_zero_are_refused() -> None:
    with pytest.raises(PassUntilError, match="n_params must be finite and above 0"):
        growth_class([-1, 1, 2, 3, 4, 5, 6], full(100), full(10))


@pytest.mark.parametrize("seed", range(6))
def test_odd_but_possible_counts_never_break_it(seed: int) -> None:
    generator = np.random.default_rng(seed)
    models, instances = int(generator.integers(4, 9)), int(generator.integers(1, 12))
    draws = generator.integers(0, 10 ** generator.integers(1, 6, (models, instances)))
    draws = np.where(generator.random(draws.shape) < 0.2, 0, draws)
    passes = generator.binomial(draws, generator.choice([0.0, 1e-4, 0.3, 0.999, 1.0], draws.shape))
    sizes = generator.choice([1e6, 2e6, 1e7, 5e7, 1e8, 1e9], models)
    result = growth_class(sizes, draws, passes, replicates=19)
    assert result.label in CLASSES
    json.dumps(result.as_dict(), allow_nan=False)


def test_the_examples_of_the_method_note_run() -> None:
    note = Path(__file__).resolve().parents[2] / "docs" / "method-growth.md"
    result = doctest.testfile(str(note), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
