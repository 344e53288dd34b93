"""Variance ratios: exactness, intervals, unequal groups, several metrics, and noise that was not seen."""

import numpy as np
import pytest
from scipy import stats

from proxy import ProxyError, ScoreMatrix, study_robustness
from proxy.selection import group_ratio, phi_of, variance_ratio


def group(values: dict[str, list[float]], prefix: str = "m") -> ScoreMatrix:
    count = len(next(iter(values.values())))
    return ScoreMatrix(
        tuple(f"{prefix}{i}" for i in range(count)), tuple(values), np.array(list(values.values())).T
    )


def test_the_interval_holds_the_true_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    true = 6.0
    covered = [
        one.low <= true <= one.high
        for one in (group_ratio(rng.normal(0, true**0.5, 6), rng.normal(0, 1, 4)) for _ in range(2000))
    ]
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)


def test_the_p_value_is_uniform_where_the_groups_are_alike() -> None:
    rng = np.random.default_rng(1)
    p = [group_ratio(rng.normal(size=5), rng.normal(size=3)).p_value for _ in range(1500)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_unequal_groups_and_gaps_are_taken_as_they_are() -> None:
    variance_ratio = group_ratio([1.0, 2.0, 4.0, np.nan, 9.0], [3.0, 3.5, np.nan])
    assert (variance_ratio.n_data, variance_ratio.n_noise) == (4, 2)
    assert variance_ratio.ratio == pytest.approx(np.var([1, 2, 4, 9], ddof=1) / np.var([3, 3.5], ddof=1))
    assert variance_ratio.signal_to_noise == pytest.approx(8 / np.std([3, 3.5], ddof=1))


def test_no_noise_is_an_infinite_ratio_said_and_capped() -> None:
    variance_ratio = group_ratio([1.0, 2.0, 3.0], [0.7, 0.7, 0.7], cap=50)
    assert (variance_ratio.infinite, variance_ratio.capped) == (True, 50)
    assert "infinite and counts as 50" in variance_ratio.note()
    assert variance_ratio.as_dict()["ratio"] is None
    assert variance_ratio.as_dict()["infinite"] is True


def test_where_nothing_moves_robustness_is_undefined() -> None:
    variance_ratio = group_ratio([2.0, 2.0], [2.0, 2.0])
    assert np.isnan(variance_ratio.ratio)
    assert "undefined" in variance_ratio.note()


@pytest.mark.parametrize(
    ("data", "noise"), [([1.0], [1.0, 2.0]), ([1.0, 2.0], [1.0]), ([1.0, 2.0], [np.nan, 1.0])]
)
def test_a_group_of_one_model_is_refused(data: list[float], noise: list[float]) -> None:
    with pytest.raises(ProxyError, match="group has 1 scored model; a variance needs at least 2"):
        group_ratio(data, noise)


def test_groups_as_tables_and_a_task_with_several_metrics() -> None:
    data = group({"q": [1.0, 5, 9], "r:acc": [1.0, 2, 3], "r:f1": [1.0, 9, 20], "r:em": [1.0, 1.1, 1.2]})
    noise = group({"q": [1.0, 2], "r:acc": [1.0, 2], "r:f1": [1.0, 2], "r:em": [1.0, 2], "s": [1.0, 2]})
    ratios = study_robustness(data, noise, tasks=["q", "r", "s"])
    assert set(ratios) == {"q", "r"}
    assert ratios["r"].ratio == pytest.approx(1 / 0.5)
    assert set(study_robustness(data, noise)) == {"q", "r:acc", "r:f1", "r:em"}


def test_tables_that_cannot_be_compared_are_refused() -> None:
    data = group({"q": [1.0, 5, 9]})
    with pytest.raises(ProxyError, match="the groups share no task"):
        study_robustness(data, group({"r": [1.0, 2]}))
    with pytest.raises(ProxyError, match="the noise group has 1 model"):
        study_robustness(data, group({"q": [1.0]}))


def test_phi() -> None:
    assert [phi_of(name, 0.0) for name in ("ratio", "sigmoid", "none")] == [0.0, 0.5, 1.0]
    assert phi_of("ratio", 4.0) == pytest.approx(1 / (1 + np.exp(-np.log(4.0))))
    with pytest.raises(ProxyError, match="phi must be one of"):
        phi_of("square", 1.0)


def test_variances_from_summaries_agree_with_those_from_scores() -> None:
    data, noise = [3.0, 7.0, 1.0, 9.0], [2.0, 2.5, 2.2]
    one = group_ratio(data, noise)
    two = variance_ratio(np.var(data, ddof=1), 4, np.var(noise, ddof=1), 3)
    assert (one.ratio, one.low, one.p_value) == pytest.approx((two.ratio, two.low, two.p_value))
