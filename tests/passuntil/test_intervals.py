"""The exact intervals: against SciPy for fixed draws, and their coverage by exact summation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from passuntil import PassUntilError, Tally
from passuntil.counts import intervals

DESIGNS = [
    (2, 0, 400),
    (2, 0, 20_000),
    (5, 0, 20_000),
    (5, 64, 5000),
    (10, 64, 64),
    (10, 300, 3000),
    (1, 0, 500),
]


@pytest.mark.parametrize(
    ("passes", "draws"), [(0, 10), (1, 1600), (13, 1600), (1275, 1600), (7, 7), (1, 10**6)]
)
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_fixed_draws_have_the_interval_of_scipy(passes: int, draws: int, level: float) -> None:
    low, high = Tally(draws, passes).interval(level)
    expected = binomtest(passes, draws).proportion_ci(level, method="exact")
    assert low == pytest.approx(expected.low, rel=1e-9, abs=1e-12)
    assert high == pytest.approx(expected.high, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_coverage_is_at_least_the_level_at_every_p(
    outcomes: Callable[..., Any], design: tuple[int, int, int], level: float
) -> None:
    grid = np.concatenate([[0.97, 0.7, 0.5, 0.3], np.geomspace(0.2, 1e-6, 24)])
    bounds = None
    for p in grid:
        every = outcomes(float(p), *design)
        if bounds is None:
            bounds = intervals.exact(*every.columns, level=level)
        covered = (bounds[0] <= p) & (p <= bounds[1])
        assert every.weight[covered].sum() >= level - 1e-9


def test_the_bounds_fall_along_the_stopping_boundary(outcomes: Callable[..., Any]) -> None:
    draws, passes, stopped, r, floor, cap = outcomes(0.1, 5, 64, 500).columns
    front_first = np.lexsort((-passes, draws))
    low, high = intervals.exact(draws, passes, stopped, r, floor, cap)
    assert (np.diff(low[front_first]) <= 0).all()
    assert (np.diff(high[front_first]) <= 0).all()


def test_no_pass_gives_an_interval_from_zero() -> None:
    low, high = Tally(10**5, 0, None, 2, cap=10**5).interval()
    assert low == 0.0
    assert high == pytest.approx(1 - 0.025 ** (1 / 10**5), rel=1e-9)


def test_an_unfinished_run_has_a_provisional_interval() -> None:
    going_on = Tally(300, 3, None, 5, floor=64, cap=1000)
    assert not going_on.finished
    assert going_on.interval().method == "provisional"
    assert tuple(going_on.interval()) == tuple(Tally(300, 3).interval())
    assert Tally(300, 3).interval().method == "exact"


@given(st.integers(1, 5000), st.data())
@settings(max_examples=60, deadline=None)
def test_every_interval_holds_its_estimates(draws: int, data: st.DataObject) -> None:
    passes = data.draw(st.integers(0, draws))
    tally = Tally(draws, passes)
    assert tally.estimate() in tally.interval(0.5)
    if passes >= 2:
        stopped = Tally(draws, passes, draws, passes)
        assert stopped.estimate() in stopped.interval(0.9)


@pytest.mark.parametrize("level", [0, 1, 95, -0.1, float("nan"), "0.95", None, True])
def test_a_level_outside_zero_and_one_is_refused(level: Any) -> None:
    with pytest.raises(PassUntilError, match="level must"):
        Tally(10, 1).interval(level)


def test_an_unknown_interval_is_refused() -> None:
    with pytest.raises(PassUntilError, match="no interval is called 'wald'; use 'exact'"):
        Tally(10, 1).interval(method="wald")
