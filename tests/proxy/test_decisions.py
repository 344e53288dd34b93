"""Pairwise decisions, rank intervals and tied sets."""

import numpy as np
import pytest

from proxy import ProxyError
from proxy._holm import holm
from proxy.ranking import pairwise_decisions, rank_intervals
from proxy.ranking.decisions import chance_of_best, tied_sets


def test_holm_is_the_step_down_procedure() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        p = generator.uniform(0, 0.2, 7)
        adjusted = holm(p)
        # Rejections at .05: go through the sorted p values until one exceeds .05 / (how many are left).
        order, rejected = np.argsort(p), []
        for step, place in enumerate(order):
            if p[place] > 0.05 / (p.size - step):
                break
            rejected.append(int(place))
        assert sorted(np.flatnonzero(adjusted <= 0.05)) == sorted(rejected)


def test_rank_intervals_cover_and_holm_rarely_errs() -> None:
    generator = np.random.default_rng(1)
    covered, wrong, studies = 0.0, 0, 300
    errors = generator.standard_normal((800, 6))
    for _ in range(studies):
        truth = np.array([0.0, 0.0, 0.0, 0.5, 2.0, 6.0])
        s = truth + generator.standard_normal(6)
        low, high = rank_intervals(s, errors)
        first = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
        last = 6 - (truth[None, :] < truth[:, None]).sum(axis=1)
        covered += float(((low <= first) & (high >= last)).mean())
        value = dict(zip("abcdef", truth, strict=True))
        wrong += any(
            d.decided and value[d.better] <= value[d.worse] for d in pairwise_decisions(s, errors, "abcdef")
        )
    assert covered / studies > 0.94
    assert wrong / studies < 0.075


def test_errors_shared_by_all_models_decide_nothing_less() -> None:
    generator = np.random.default_rng(2)
    shared = np.repeat(generator.standard_normal((500, 1)) * 50, 3, axis=1)
    low, high = rank_intervals([1.0, 2.0, 3.0], shared)
    assert low.tolist() == high.tolist() == [3, 2, 1]
    assert all(d.decided for d in pairwise_decisions([1.0, 2.0, 3.0], shared, "abc"))


def test_many_models_use_the_wider_bound_and_only_neighbours_are_decided() -> None:
    generator = np.random.default_rng(3)
    s = np.arange(400.0)
    low, high = rank_intervals(s, generator.standard_normal((300, 400)))
    assert (low <= 400 - np.arange(400)).all()
    assert (high >= 400 - np.arange(400)).all()
    assert (high - low).max() < 30
    assert (
        len(pairwise_decisions(s, generator.standard_normal((300, 400)), [str(i) for i in range(400)])) == 399
    )


def test_the_chance_of_being_best_sums_to_one_and_ties_share_it() -> None:
    errors = np.random.default_rng(4).standard_normal((4000, 3))
    chance = chance_of_best([0.0, 0.0, -9.0], errors)
    assert chance.sum() == pytest.approx(1)
    assert chance[0] == pytest.approx(0.5, abs=0.03)
    assert chance_of_best([1.0, 1.0], np.zeros((5, 2))).tolist() == [0.5, 0.5]


def test_tied_sets_open_where_a_model_is_surely_worse() -> None:
    assert tied_sets([1, 2, 3, 4, 5], [1, 1, 2, 4, 4]) == (1, 1, 2, 3, 3)
    assert tied_sets([1, 1, 1], [1, 1, 1]) == (1, 1, 1)


@pytest.mark.parametrize(
    ("scores", "errors", "message"),
    [
        ([1.0, np.nan], np.zeros((5, 2)), "not finite"),
        ([1.0, 2.0], np.zeros((5, 3)), "draws x models"),
        ([1.0, 2.0], np.zeros((1, 2)), "draws x models"),
    ],
)
def test_bad_errors_are_refused(scores: list[float], errors: np.ndarray, message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        rank_intervals(scores, errors)


def test_bad_p_values_are_refused() -> None:
    with pytest.raises(ProxyError, match="from 0 to 1"):
        holm([0.5, 1.5])
