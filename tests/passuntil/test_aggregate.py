"""The mean over instances: its error, and its interval at the edges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from passuntil import PassUntilError, Tally, dataset_estimate


def test_zeros_and_capped_cells_stay_in_the_mean() -> None:
    tallies = [Tally(100, 0, None, 2, 0, 100), Tally(100, 1, None, 2, 0, 100), Tally(11, 2, 11, 2, 0, 100)]
    result = dataset_estimate(tallies)
    assert result.mean == pytest.approx((0 + 0.01 + 0.1) / 3)
    assert (result.instances, result.zero, result.capped, result.unfinished) == (3, 1, 2, 0)
    assert tuple(result.interval()) == (result.low, result.high)


def test_the_standard_error_splits_into_draws_and_instances() -> None:
    passes = np.array([3, 40, 9, 0, 22])
    result = dataset_estimate([Tally(1000, int(s)) for s in passes])
    values = passes / 1000
    assert result.se == pytest.approx(values.std(ddof=1) / math.sqrt(5))
    assert result.se_draws == pytest.approx(math.sqrt((values * (1 - values) / 999).sum()) / 5)
    assert result.se_instances is not None
    assert result.se**2 == pytest.approx(result.se_draws**2 + result.se_instances**2)


def test_equal_instances_leave_only_the_error_of_the_draws() -> None:
    result = dataset_estimate([Tally(100, 10)] * 4)
    assert result.se_instances == 0.0
    assert result.se == result.se_draws > 0


def test_no_pass_at_all_still_bounds_the_mean() -> None:
    result = dataset_estimate([Tally(1000, 0)] * 20)
    assert result.low == 0.0
    assert result.high == pytest.approx(1 - 0.025 ** (1 / 20_000))
    # The bound holds: 20 instances at this mean show no pass at all in 2.5% of runs.
    assert (1 - result.high) ** 20_000 == pytest.approx(0.025)


def test_every_draw_passing_still_bounds_the_mean() -> None:
    result = dataset_estimate([Tally(50, 50)] * 4)
    assert result.high == 1.0
    assert result.low == pytest.approx(0.025 ** (1 / 200))


def test_one_pass_in_all_never_bounds_the_mean_below_none_at_all() -> None:
    none, one = [Tally(1000, 0)] * 20, [Tally(1000, 0)] * 19 + [Tally(1000, 1)]
    assert dataset_estimate(one).high >= dataset_estimate(none).high
    assert dataset_estimate(one).low > 0


def test_one_instance_has_the_interval_of_its_tally() -> None:
    tally = Tally(40, 5, 40, 5)
    result = dataset_estimate([tally])
    assert (result.low, result.high) == tuple(tally.interval())
    assert result.se_instances is None


def test_unfinished_cells_are_counted() -> None:
    assert dataset_estimate([Tally(10, 1, None, 5, 0, 100), Tally(10, 1)]).unfinished == 1


def test_the_interval_covers_the_mean_of_a_population_of_instances() -> None:
    generator = np.random.default_rng(3)
    population = np.exp(-7 * np.exp(0.45 * generator.standard_normal(10**5)))
    hits = 0
    for _ in range(200):
        p = generator.choice(population, 164)
        tallies = [Tally(1024, int(s)) for s in generator.binomial(1024, p)]
        result = dataset_estimate(tallies)
        hits += result.low <= population.mean() <= result.high
    assert hits / 200 > 0.88


@pytest.mark.parametrize(
    ("tallies", "level", "message"),
    [
        ([], 0.95, "no tallies were given"),
        ([Tally(0, 0, r=2), Tally(9, 1)], 0.95, "tallies must all have draws, unlike 1 of 2 here"),
        ([Tally(9, 1)], 1.0, "level must lie between 0 and 1"),
    ],
)
def test_a_mean_of_nothing_is_refused(tallies: Any, level: float, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        dataset_estimate(tallies, level)
