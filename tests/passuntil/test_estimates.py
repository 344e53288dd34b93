"""The estimates, against closed forms and exact sums over the stopping distribution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import nbinom

from passuntil import PassUntilError, Tally
from passuntil.counts import estimates

DESIGNS = [
    (2, 0, 50),
    (2, 0, 3000),
    (5, 0, 3000),
    (5, 64, 3000),
    (10, 64, 64),
    (10, 200, 1000),
    (2, 1, 7),
    (3, 3, 3),
]


def stopping(p: float, r: int) -> tuple[np.ndarray, np.ndarray]:
    """K and its probabilities for a run without floor and cap, up to a negligible tail."""
    k = np.arange(r, r + math.ceil(60 * r / p))
    return k, nbinom.pmf(k - r, r, p)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("p", [0.9, 0.5, 0.1, 1e-2, 1e-3, 1e-4])
def test_the_unbiased_estimate_has_mean_p_under_any_floor_and_cap(
    outcomes: Callable[..., Any], p: float, design: tuple[int, int, int]
) -> None:
    every = outcomes(p, *design)
    assert every.weight.sum() == pytest.approx(1, abs=1e-9)
    assert (estimates.unbiased(*every.columns) * every.weight).sum() == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("design", [(2, 0, 3000), (5, 64, 3000), (10, 64, 64), (10, 200, 1000), (1, 20, 400)])
@pytest.mark.parametrize("p", [0.5, 0.1, 1e-2, 1e-3])
def test_the_variance_estimate_has_the_variance_as_its_mean(
    outcomes: Callable[..., Any], p: float, design: tuple[int, int, int]
) -> None:
    every = outcomes(p, *design)
    values = estimates.unbiased(*every.columns)
    true = (every.weight * (values - p) ** 2).sum()
    assert (estimates.variance(*every.columns) * every.weight).sum() == pytest.approx(true, rel=1e-8)


@pytest.mark.parametrize("r", [2, 3, 5, 10])
@pytest.mark.parametrize("p", [0.5, 1e-2, 1e-3])
def test_the_unbiased_estimate_has_mean_p_without_a_cap(p: float, r: int) -> None:
    k, weight = stopping(p, r)
    assert (estimates.unbiased(k, r, k, r) * weight).sum() == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize(
    ("p", "r", "ratio"),
    [
        (1e-2, 1, 4.65),
        (1e-2, 2, 1.926),
        (1e-2, 3, 1.486),
        (1e-2, 5, 1.246),
        (1e-2, 10, 1.110),
        (1e-3, 1, 6.91),
        (1e-3, 2, 1.988),
        (1e-3, 3, 1.499),
        (1e-3, 5, 1.250),
        (1e-4, 1, 9.21),
        (1e-4, 2, 1.998),
        (0.1, 1, 2.56),
        (0.3, 1, 1.72),
        (0.5, 1, 1.39),
        (0.8, 1, 1.12),
        (0.1, 2, 1.65),
        (0.5, 2, 1.23),
        (0.5, 5, 1.10),
    ],
)
def test_the_papers_estimate_is_biased_by_the_known_ratio(p: float, r: int, ratio: float) -> None:
    k, weight = stopping(p, r)
    mean = (estimates.paper(k, r, k, r) * weight).sum() / p
    assert mean == pytest.approx(ratio, abs=0.006)
    if r == 1:
        assert mean == pytest.approx(-math.log(p) / (1 - p), rel=1e-6)
    if r == 2:
        assert mean == pytest.approx(2 / (1 - p) * (1 + p / (1 - p) * math.log(p)), rel=1e-6)


@pytest.mark.parametrize(
    ("p", "r", "method", "ratio"),
    [
        (1e-5, 1, "mle", 11.29),
        (1e-4, 2, "paper", 1.998),
        (1e-5, 2, "mle", 1.632),
        (1e-5, 2, "unbiased", 1.0),
        (1e-4, 5, "mle", 1.247),
        (1e-5, 5, "mle", 1.005),
        (1e-5, 5, "unbiased", 1.0),
    ],
)
def test_a_cap_of_100000_changes_the_bias_as_tabulated(
    outcomes: Callable[..., Any], p: float, r: int, method: str, ratio: float
) -> None:
    every = outcomes(p, r, 0, 10**5)
    mean = (estimates.by_name(method)(*every.columns) * every.weight).sum() / p
    assert mean == pytest.approx(ratio, abs=0.006)


@pytest.mark.parametrize("r", [1, 2, 5])
@pytest.mark.parametrize("p", [0.5, 1e-2, 1e-3])
def test_the_log_estimate_has_mean_log_p_and_a_bounded_spread(p: float, r: int) -> None:
    k, weight = stopping(p, r)
    values = estimates.log_unbiased(k, r)
    mean = (values * weight).sum()
    assert mean == pytest.approx(math.log(p), abs=1e-8)
    assert math.sqrt((weight * (values - mean) ** 2).sum()) <= math.sqrt(polygamma(1, r)) + 1e-9


@pytest.mark.parametrize(
    ("tally", "unbiased", "paper", "mle"),
    [
        (Tally(1600, 13), 13 / 1600, 13 / 1600, 13 / 1600),
        (Tally(40, 5, 40, 5, 0, 100), 4 / 39, 5 / 40, 5 / 40),
        (Tally(64, 9, 20, 5, 64, 100), 9 / 64, 5 / 20, 9 / 64),
        (Tally(64, 5, 64, 5, 64, 100), 5 / 64, 5 / 64, 5 / 64),
        (Tally(100, 4, None, 5, 64, 100), 4 / 100, 4 / 100, 4 / 100),
        (Tally(100, 5, 100, 5, 64, 100), 4 / 99, 5 / 100, 5 / 100),
        (Tally(1, 1, 1, 1), 1.0, 1.0, 1.0),
        (Tally(9, 1, 9, 1), 0.0, 1 / 9, 1 / 9),
        (Tally(5, 5, 5, 5), 1.0, 1.0, 1.0),
    ],
)
def test_a_tally_gives_each_estimate_of_its_design(
    tally: Tally, unbiased: float, paper: float, mle: float
) -> None:
    assert tally.finished
    assert tally.estimate() == pytest.approx(unbiased)
    assert tally.estimate(method="paper") == pytest.approx(paper)
    assert tally.estimate(method="mle") == pytest.approx(mle)


def test_the_log_estimate_stands_only_where_the_rth_pass_ended_the_run() -> None:
    assert Tally(40, 5, 40, 5, cap=100).log_estimate() == pytest.approx(1.506117668 - 3.676327374, abs=1e-8)
    assert Tally(100, 4, None, 5, cap=100).log_estimate() is None
    assert Tally(64, 9, 20, 5, floor=64).log_estimate() is None
    assert Tally(100, 4).log_estimate() is None


def test_an_unknown_estimate_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(
        PassUntilError, match="no estimate is called 'median'; use one of unbiased, paper, mle"
    ):
        Tally(10, 1).estimate(method="median")


def test_a_run_that_has_not_started_has_no_estimate_and_the_whole_interval() -> None:
    tally = Tally(0, 0, r=5, cap=10)
    assert math.isnan(tally.estimate())
    assert tuple(tally.interval()) == (0.0, 1.0)
    assert not tally.finished
