"""Confidence sequences: exact by martingale, valid at all looks, not too wide."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import betaln
from scipy.stats import binom

from passuntil import PassUntilError, Tally
from passuntil.counts import intervals, sequences


@pytest.mark.parametrize("p", [0.7, 0.1, 1e-2, 1e-3])
@pytest.mark.parametrize("n", [1, 7, 200])
def test_the_evidence_against_the_truth_has_mean_one(p: float, n: int) -> None:
    s = np.arange(n + 1)
    mean = np.exp(binom.logpmf(s, n, p) + sequences.log_evidence(n, s, p)).sum()
    assert mean == pytest.approx(1.0, rel=1e-9)


@given(st.integers(1, 10**6), st.data())
@settings(max_examples=60, deadline=None)
def test_the_bounds_are_where_the_evidence_reaches_the_level(n: int, data: st.DataObject) -> None:
    s = data.draw(st.integers(0, n))
    low, high = (float(x) for x in sequences.sequence(n, s))
    assert 0 <= low <= s / n <= high <= 1
    for bound in (low, high):
        if 0 < bound < 1 - 1e-12:
            assert sequences.log_evidence(n, s, bound) == pytest.approx(math.log(20), abs=1e-3)


@pytest.mark.parametrize("p", [0.5, 1e-2, 1e-4, 1e-6])
def test_the_truth_stays_inside_at_every_look_of_a_run_ended_at_the_worst_moment(p: float) -> None:
    generator, runs = np.random.default_rng(11), 1500
    places = np.cumsum(generator.geometric(p, (runs, 60)), axis=1)
    s = np.broadcast_to(np.arange(1, 61), places.shape)
    worst = np.maximum(
        sequences.log_evidence(places, s, p), sequences.log_evidence(places - 1, s - 1, p)
    ).max(axis=1)
    missed = (worst >= math.log(20)).mean()
    assert missed <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / runs)
    low, high = intervals.exact(places, s)
    # The exact interval of a fixed design would not do: with these looks it loses the truth in many runs.
    assert ((low > p) | (high < p)).any(axis=1).mean() > 0.12


@pytest.mark.parametrize("p", [0.3, 1e-2, 1e-4, 1e-6])
@pytest.mark.parametrize("s", [2, 5, 20, 100])
def test_the_price_of_looking_is_at_most_2_1_in_log_width(p: float, s: int) -> None:
    n = int(s / p)
    low, high = sequences.sequence(n, s)
    exact_low, exact_high = intervals.exact(n, s, n, s)
    assert math.log(high / low) <= 2.1 * math.log(exact_high / exact_low)


def test_totals_of_equal_draws_hold_for_a_mean_of_different_instances() -> None:
    generator = np.random.default_rng(2)
    p = np.concatenate([np.full(10, 1e-4), np.full(5, 0.05), [0.9]])
    looks = np.array([20, 50, 100, 200, 400, 800])
    steps = np.diff(looks, prepend=0)
    passes = generator.binomial(steps[:, None, None], p, (6, 800, p.size)).sum(axis=2).cumsum(axis=0)
    low, high = sequences.sequence(looks[:, None] * p.size, passes)
    inside = ((low <= p.mean()) & (p.mean() <= high)).all(axis=0)
    assert inside.mean() >= 0.95


def test_running_bounds_only_narrow() -> None:
    low, high = sequences.running([10, 100, 1000, 1000], [0, 1, 4, 4])
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) <= 0).all()
    alone = sequences.sequence(1000, 4)
    assert low[-1] >= alone[0]
    assert high[-1] <= alone[1]


def test_no_draws_and_no_pass_and_no_failure() -> None:
    assert tuple(float(x) for x in sequences.sequence(0, 0)) == (0.0, 1.0)
    low, high = sequences.sequence([10**5, 50], [0, 50])
    assert low[0] == 0.0
    assert 3e-5 < high[0] < 3e-4
    assert high[1] == 1.0
    assert 0.8 < low[1] < 0.95


def test_the_mixture_is_a_distribution() -> None:
    assert np.exp(sequences._LOG_WEIGHT).sum() == pytest.approx(1.0)
    assert sequences._log_mixture(np.array(0.0), np.array(0.0)) == pytest.approx(0.0)
    # With one component it is the Beta-binomial formula.
    one = betaln(sequences.SHAPE + 3, sequences._B[0] + 7) - betaln(sequences.SHAPE, sequences._B[0])
    assert sequences._log_mixture(np.array(10.0), np.array(3.0)) > one + sequences._LOG_WEIGHT[0]


def test_the_normal_boundary_is_about_three_standard_errors_where_it_is_tuned() -> None:
    assert float(sequences.mixture_boundary(4.0, tuned_to=4.0)) / 2 == pytest.approx(2.9, abs=0.15)
    assert float(sequences.mixture_boundary(0.0, tuned_to=1.0)) == 0.0
    best = min(float(sequences.mixture_boundary(1.0, tuned_to=t)) for t in np.geomspace(0.1, 10, 81))
    assert float(sequences.mixture_boundary(1.0, tuned_to=1.0)) <= 1.01 * best


def test_a_normal_walk_stays_within_the_boundary_at_all_times() -> None:
    generator = np.random.default_rng(5)
    walk = generator.standard_normal((2000, 400)).cumsum(axis=1)
    reach = sequences.mixture_boundary(np.arange(1, 401), tuned_to=100.0)
    assert (np.abs(walk) > reach).any(axis=1).mean() <= 0.05


@pytest.mark.parametrize(
    ("draws", "passes", "message"),
    [
        ([10, 5], [1, 1], "must not fall"),
        ([10, 12], [1, 6], "no look adds more passes"),
        ([10], [11], r"passes \(11\) exceed draws \(10\)"),
        ([10.5], [1], "draws must be whole numbers, not 10.5"),
        ([10], [-1], "passes must be at least 0, not -1"),
        ([float("nan")], [0], "draws must be whole numbers, not nan"),
        ([True], [True], "must be whole numbers"),
        ([], [], "at least one entry"),
        ([1, 2, 3], [0, 0], "differ in shape"),
    ],
)
def test_looks_that_cannot_be_are_refused(draws: Any, passes: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        sequences.running(draws, passes)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_an_impossible_level_is_refused(level: float) -> None:
    with pytest.raises(PassUntilError, match="level must"):
        sequences.sequence(10, 1, level=level)


def test_an_extended_tally_has_the_sequence_as_its_interval() -> None:
    tally = Tally(1000, 5, 1000, 5, extended=True)
    assert tally.interval().method == "sequence"
    assert tally.interval(method="exact").method == "provisional"
    plain = Tally(1000, 5, 1000, 5)
    assert plain.interval().method == "exact"
    assert tuple(plain.interval(method="sequence")) == tuple(tally.interval())
    assert tally.interval().low < plain.interval().low < plain.interval().high < tally.interval().high


def test_extended_must_be_true_or_false() -> None:
    with pytest.raises(PassUntilError, match="extended must be True or False, not 1"):
        Tally(10, 1, extended=1)  # type: ignore[arg-type]
