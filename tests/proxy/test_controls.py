"""Controls: what each one is, and that none sees the truth."""

import numpy as np
import pytest

from proxy.ranking.controls import control_scores, random_weights
from proxy.ranking.truth import decision_accuracies


def test_the_single_proxies_are_the_most_consistent_and_the_most_reliable() -> None:
    generator = np.random.default_rng(0)
    q = generator.standard_normal(30)
    x = np.column_stack([q, q + 0.1 * generator.standard_normal(30), generator.standard_normal(30) * 5])
    controls = control_scores(x, ["a", "b", "c"], noise=np.array([2.0, 2.0, 0.1]))
    assert "like the others" in controls["single_consistent"][1]
    assert controls["single_consistent"][1][-1] in "ab"
    assert controls["single_reliable"][1].endswith("c")
    assert "target_small" not in controls


def test_loss_counts_downwards_and_uniform_follows_the_aggregation() -> None:
    x = np.array([[1.0, 10.0], [2.0, 30.0], [3.0, 20.0]])
    controls = control_scores(x, ["a", "b"], loss=np.array([3.0, 2.0, 1.0]), aggregate="raw")
    assert controls["loss"][0].tolist() == [-3, -2, -1]
    assert controls["uniform"][0].tolist() == [5.5, 16.0, 11.5]


def test_random_weights_are_those_of_a_loop() -> None:
    generator = np.random.default_rng(1)
    x, truth = generator.normal(size=(6, 4)), generator.normal(size=6)
    ranking = x[:, 0]
    drawn = random_weights(x, ranking, truth, aggregate="raw", draws=300, seed=5)
    weights = np.random.default_rng(5).dirichlet(np.ones(4), 300)
    each = np.array([decision_accuracies((x @ w)[:, None], truth)[0] for w in weights])
    assert drawn.decision_accuracy == pytest.approx(each.mean())
    own = decision_accuracies(ranking[:, None], truth)[0]
    assert drawn.share_at_least_as_good == pytest.approx((each >= own - 1e-12).mean())
