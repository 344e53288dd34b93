"""Agreement with the truth: every figure against brute force or scipy."""

from itertools import permutations

import numpy as np
import pytest
from scipy.stats import kendalltau

from proxy import ProxyError
from proxy.ranking import compare_with_truth
from proxy.ranking._null import inversion_distribution
from proxy.ranking.truth import decision_accuracies


def brute_p(scores: list[float], truth: list[float], budget: list[str]) -> float:
    """Every way to deal the truths out within budgets, counted."""
    a, b = np.array(scores), np.array(truth)
    labels = list(dict.fromkeys(budget))
    groups = [[i for i, label in enumerate(budget) if label == other] for other in labels]

    def agreement(dealt: np.ndarray) -> float:
        return sum(
            np.sign(a[i] - a[j]) * np.sign(dealt[i] - dealt[j]) for g in groups for i in g for j in g if i < j
        )

    counts = []

    def deal(at: int, dealt: np.ndarray) -> None:
        if at == len(groups):
            counts.append(agreement(dealt))
            return
        for order in permutations(groups[at]):
            then = dealt.copy()
            then[groups[at]] = b[list(order)]
            deal(at + 1, then)

    deal(0, b.copy())
    return float(np.mean(np.array(counts) >= agreement(b) - 1e-9))


@pytest.mark.parametrize("size", [3, 5, 8, 9, 14])
def test_tau_and_its_exact_p_value_are_those_of_scipy_without_ties(size: int) -> None:
    generator = np.random.default_rng(size)
    a = generator.normal(size=size)
    b = a + generator.normal(size=size)
    comparison = compare_with_truth(a, b)
    wanted = kendalltau(a, b, alternative="greater", method="exact")
    assert comparison.kendall_tau == pytest.approx(wanted.statistic)
    assert comparison.p_value == pytest.approx(wanted.pvalue, rel=1e-9)
    assert comparison.decision_accuracy == pytest.approx((1 + wanted.statistic) / 2)
    assert comparison.inversions == round((1 - wanted.statistic) / 2 * comparison.pairs)


@pytest.mark.parametrize(
    ("scores", "truth", "budget"),
    [
        ([1, 2, 2, 3, 3], [1, 1, 2, 3, 2], ["x"] * 5),
        ([1, 2, 3, 3, 1, 2], [2, 1, 3, 5, 5, 7], ["x", "x", "x", "y", "y", "y"]),
        ([4, 1, 2, 3, 9, 1], [4, 2, 1, 3, 1, 0], ["x", "x", "x", "x", "y", "y"]),
    ],
)
def test_p_with_ties_and_budgets_is_that_of_every_dealing(
    scores: list[float], truth: list[float], budget: list[str]
) -> None:
    comparison = compare_with_truth(scores, truth, budget=budget)
    assert comparison.p_value == pytest.approx(brute_p(scores, truth, budget))
    assert (comparison.p_method, comparison.p_error) == ("exact enumeration", 0.0)


def test_tau_b_with_ties_is_that_of_scipy_and_ties_count_half() -> None:
    generator = np.random.default_rng(2)
    a, b = generator.integers(0, 4, 20).astype(float), generator.integers(0, 5, 20).astype(float)
    comparison = compare_with_truth(a, b, seed=1)
    assert comparison.kendall_tau == pytest.approx(kendalltau(a, b).statistic)
    first, second = np.triu_indices(20, 1)
    wanted = np.sign(b[first] - b[second])
    given = np.sign(a[first] - a[second])
    share = (((given == wanted) + 0.5 * (given == 0)) * (wanted != 0)).sum() / (wanted != 0).sum()
    assert comparison.decision_accuracy == pytest.approx(share)
    assert decision_accuracies(a[:, None], b)[0] == pytest.approx(share)


def test_the_monte_carlo_p_lies_within_its_own_error_of_the_exact_one() -> None:
    a = np.arange(12.0)
    b = np.array([2, 0, 1, 5, 3, 4, 9, 6, 8, 7, 11, 10.0])
    a[1] = a[0]  # one tie makes it a Monte Carlo test; it hardly moves the p value of a weaker agreement
    b = np.roll(b, 5)
    drawn = compare_with_truth(a, b, seed=0)
    asymptotic = kendalltau(a, b, alternative="greater", method="asymptotic").pvalue
    assert drawn.p_method == "Monte Carlo"
    assert drawn.p_error > 0
    assert drawn.p_value == pytest.approx(asymptotic, abs=4 * drawn.p_error + 0.02)


def test_the_paper_s_one_inversion_of_ten_has_p_5_in_120() -> None:
    comparison = compare_with_truth([1, 2, 3, 5, 4], [1, 2, 3, 4, 5])
    assert (comparison.inversions, comparison.pairs) == (1, 10)
    assert comparison.p_value == pytest.approx(5 / 120)
    assert compare_with_truth([2, 1, 3, 5, 4], [1, 2, 3, 4, 5]).p_value == pytest.approx(14 / 120)


def test_mahonian_numbers() -> None:
    assert (inversion_distribution(4) * 24).round().tolist() == [1, 3, 5, 6, 5, 3, 1]
    assert inversion_distribution(200).sum() == pytest.approx(1)


def test_a_strong_agreement_of_many_models_has_a_tiny_p_not_zero() -> None:
    a = np.random.default_rng(0).normal(size=120)
    assert 0 < compare_with_truth(a, a).p_value < 1e-100


def test_p_values_of_rankings_without_skill_are_uniform() -> None:
    generator = np.random.default_rng(3)
    p = [compare_with_truth(*generator.normal(size=(2, 10))).p_value for _ in range(400)]
    assert 0.03 < np.mean(np.array(p) <= 0.05) + 0.012 < 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("scores", "truth", "budget", "message"),
    [
        ([1, 2], [3, 3], None, "no two models differ"),
        ([1, 2, 3], [1, 2, 3], ["a", "b", "c"], "of one budget"),
        ([1, np.nan], [1, 2], None, "no pair to judge"),
        ([1, 2], [1, 2, 3], None, "one of each"),
        ([1, 2], [1, 2], ["a"], "1 budgets for 2"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    scores: list[float], truth: list[float], budget: list[str] | None, message: str
) -> None:
    with pytest.raises(ProxyError, match=message):
        compare_with_truth(scores, truth, budget=budget)


def test_a_ranking_that_ties_everything_is_worth_a_coin() -> None:
    comparison = compare_with_truth([1, 1, 1], [1, 2, 3])
    assert (comparison.kendall_tau, comparison.decision_accuracy, comparison.inversions, comparison.ties) == (
        None,
        0.5,
        0,
        3,
    )
    assert comparison.p_value == 1
