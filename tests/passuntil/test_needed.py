"""How surely further draws are needed: exact, monotone, and calibrated against simulated runs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from passuntil import DatasetPrecision, FixedDraws, RelativeError, UntilPasses
from passuntil.rules import BetaPrior
from passuntil.rules.needed import JEFFREYS, draws_needed, probability_needed


@pytest.mark.parametrize(
    ("missing", "a", "b"),
    [(1, 0.5, 0.5), (10, 0.5, 10.5), (7, 3.5, 997.5), (97, 20.5, 400.5), (385, 0.5, 0.5), (2, 1e-3, 1e5)],
)
def test_the_probability_is_that_of_scipys_beta_binomial(missing: int, a: float, b: float) -> None:
    ahead = np.array([1, 2, 3, 10, 57, 400, 5000, 10**5])
    expected = betabinom.cdf(missing - 1, ahead - 1, a, b)
    assert probability_needed(ahead, missing=missing, a=a, b=b) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_nothing_missing_needs_nothing() -> None:
    assert probability_needed([1, 5], missing=0, a=0.5, b=0.5).tolist() == [0.0, 0.0]
    assert probability_needed([3, 3], missing=[0, 1], a=0.5, b=0.5)[0] == 0.0


@given(
    draws=st.integers(0, 3000),
    share=st.floats(0, 1),
    r=st.integers(2, 40),
    floor=st.integers(0, 500),
    level=st.sampled_from([0.5, 0.8, 0.92, 0.99]),
)
def test_the_answer_is_needed_at_its_level_and_within_a_third_of_the_most(
    draws: int, share: float, r: int, floor: int, level: float
) -> None:
    cap = 4000
    passes = min(int(draws * share), r - 1)
    (needed,) = draws_needed([draws], [passes], r=r, floor=floor, cap=cap, level=level).tolist()
    sure = min(max(r - passes, floor - draws), cap - draws)
    assert sure <= needed <= cap - draws
    if needed > sure:
        a, b = JEFFREYS.a + passes, JEFFREYS.b + draws - passes
        at = probability_needed([needed, needed * 4 // 3 + 2], missing=r - passes, a=a, b=b)
        assert at[0] >= level
        assert at[1] < level or needed * 4 // 3 + 2 > cap - draws


def test_levels_stand_beside_each_other_and_a_sharper_prior_asks_for_more() -> None:
    each = draws_needed([0, 200], [0, 1], r=10, cap=10_000, level=[0.99, 0.9, 0.5, 0.0])
    assert each.shape == (2, 4)
    assert (np.diff(each, axis=1) >= 0).all()
    assert each[:, 3].tolist() == [10_000, 9_800]
    rare = draws_needed([0], [0], r=10, cap=10_000, level=0.9, prior=BetaPrior(2, 2000))
    assert rare[0] > 100 * draws_needed([0], [0], r=10, cap=10_000, level=0.9)[0] / 10


def test_every_rule_says_what_it_needs() -> None:
    assert UntilPasses(5, floor=64, cap=1000).draws_needed([0, 63], [0, 9], level=0.99).tolist() == [64, 1]
    assert UntilPasses(5, floor=64, cap=100).draws_needed([99], [0], level=0.5).tolist() == [1]
    assert FixedDraws(10).draws_needed([3, 10], [0, 0], level=[0.9, 0.1]).tolist() == [[7, 7], [0, 0]]
    assert RelativeError(0.5).draws_needed([0], [0], level=0.99)[0] >= 17
    rule = DatasetPrecision(0.1, cap=50).for_unit(50)
    assert rule.draws_needed([20], [1], level=0.9).tolist() == [30]


@pytest.mark.parametrize("p", [0.3, 0.01])
def test_waves_at_a_level_overshoot_by_less_than_what_the_level_leaves(p: float) -> None:
    """A draw that is needed with 92% is in vain at most 8 times of 100; the first ones of a wave more rarely."""
    rng, r, level = np.random.default_rng(5), 10, 0.92
    drawn = counted = 0
    for _ in range(300):
        n = s = 0
        while s < r:
            wave = int(draws_needed([n], [s], r=r, cap=10**5, level=level)[0])
            places = np.flatnonzero(rng.random(wave) < p)
            if s + places.size >= r:
                counted += n + int(places[r - s - 1]) + 1
            n, s = n + wave, s + places.size
        drawn += n
    assert (drawn - counted) / drawn < 0.05
