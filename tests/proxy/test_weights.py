"""Weights: each selector against its formula, and against the truth of a simulation."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from proxy import ProxyError
from proxy.relevance import two_way
from proxy.weights import (
    DecisionSelector,
    PaperSelector,
    PooledSelector,
    Selector,
    ShrinkageSelector,
    recommend,
    reliabilities,
    selector_named,
)
from proxy.weights.base import standardised
from proxy.weights.pooled import shrunken_relevance
from proxy.weights.shrinkage import left_out_errors


def world(
    models: int, seed: int, relevance: tuple[float, ...] = (0.9, 0.6, 0.3, 0.0), noise: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    a = np.array(relevance)
    q = generator.standard_normal(models)
    x = q[:, None] * a + np.sqrt(1 - a**2) * generator.standard_normal((models, a.size))
    return x + noise * generator.standard_normal(x.shape), q


def test_the_paper_s_selector_is_relevance_times_phi_of_robustness() -> None:
    x, y = world(17, 0)
    ratio = np.array([9.0, 0.5, 4.0, 2.0])
    table = two_way(np.column_stack([x, y]))
    tau = np.array([kendalltau(table[:, i], table[:, -1]).statistic for i in range(4)])
    wanted = np.maximum(tau, 0) / (1 + np.exp(-ratio))
    fitted = PaperSelector(robustness=ratio).fit(x, y)
    assert fitted.weights_ == pytest.approx(wanted / wanted.sum())
    assert fitted.predict(x) == pytest.approx(x @ fitted.weights_)
    wanted = np.maximum(tau, 0) * ratio / (1 + ratio)
    assert PaperSelector(robustness=ratio, phi="ratio").fit(x, y).weights_ == pytest.approx(
        wanted / wanted.sum()
    )


def test_unknown_and_infinite_robustness_count_in_full_and_other_phis_are_refused() -> None:
    x, y = world(17, 0)
    full = PaperSelector(robustness=[4.0, np.inf, np.nan, 4.0], phi="ratio").fit(x, y).weights_
    plain = PaperSelector().fit(x, y).weights_
    assert full[1] / full[0] == pytest.approx(plain[1] / plain[0] / 0.8)
    assert full[2] / full[0] == pytest.approx(plain[2] / plain[0] / 0.8)
    assert PaperSelector(robustness=[4.0] * 4, phi="none").fit(x, y).weights_ == pytest.approx(plain)
    with pytest.raises(ProxyError, match="phi must be one of"):
        PaperSelector(phi="square")


def test_leave_one_out_errors_of_the_regression_are_those_of_refitting() -> None:
    x, y = world(12, 1)
    z, t = standardised(x), standardised(y[:, None])[:, 0]
    # The shortcut is exact for a linear smoother with fixed standardisation; refit it as an augmented problem.
    common, penalty = z.mean(axis=1), 3.0

    def smooth(target: np.ndarray) -> np.ndarray:
        first = common * (common @ target) / (common @ common)
        second = z @ np.linalg.solve(z.T @ z + penalty * np.eye(4), z.T @ (target - first))
        return target.mean() + first + second

    hat = np.column_stack([smooth(column) for column in np.eye(12)])
    wanted = np.mean(((t - hat @ t) / (1 - np.diag(hat))) ** 2)
    assert left_out_errors(z, common, t, [penalty]) == pytest.approx([wanted])


def test_the_regression_finds_the_relevant_tasks_and_shrinks_to_equal_weights_on_noise() -> None:
    x, y = world(400, 2)
    fitted = ShrinkageSelector(nonnegative=False).fit(x, y)
    wanted = np.linalg.lstsq(standardised(x), standardised(y[:, None])[:, 0], rcond=None)[0]
    assert fitted.weights_ == pytest.approx(wanted / np.abs(wanted).sum(), abs=0.02)
    assert (ShrinkageSelector().fit(x, y).weights_ >= 0).all()
    tight = ShrinkageSelector()
    tight.penalties = np.array([1e9])
    assert tight.fit(x, y).weights_ == pytest.approx([0.25] * 4, abs=1e-3)


def test_the_decision_gradient_leads_to_the_optimum_and_noise_costs_weight() -> None:
    x, y = world(60, 3)
    quiet = DecisionSelector().fit(x, y).weights_
    assert quiet[0] == max(quiet)
    noisy = DecisionSelector().fit(x, y, reliability=[0.05, 1, 1, 1]).weights_
    assert noisy[0] < quiet[0]
    # Nothing near the optimum is better: the objective recomputed from its definition.
    selector, z, h = DecisionSelector(), standardised(x), np.array([0.5, 1.0, 0.8, 0.9])
    best = selector._optimum(z, y, h, 0.03, np.random.default_rng(0))
    first, second = np.triu_indices(60, 1)
    d = (z[first] - z[second]) * np.sign(y[first] - y[second])[:, None]

    def objective(w: np.ndarray) -> float:
        margin = d @ w / np.sqrt(2 * (w**2 @ (1 - h)) + selector.floor)
        return float(
            np.mean(np.log(np.vectorize(lambda m: expected_phi(m))(margin)))
            - 0.03 * w @ np.log(w / (h / h.sum()))
        )

    generator = np.random.default_rng(1)
    for _ in range(10):
        other = 0.95 * best + 0.05 * generator.dirichlet(np.ones(4))
        assert objective(other) <= objective(best) + 1e-6


def expected_phi(margin: float) -> float:
    from scipy.stats import norm

    return float(norm.cdf(margin))


def test_relevance_is_shrunk_to_the_mean_on_noise_and_kept_where_it_is_plain() -> None:
    generator = np.random.default_rng(4)
    raw, kept = [], []
    for _ in range(200):
        y = generator.standard_normal(10)
        x = 0.5 * y[:, None] + generator.standard_normal((10, 8))
        raw.append(np.array([np.corrcoef(column, y)[0, 1] for column in x.T]).std())
        kept.append(shrunken_relevance(x, y).std())
    assert np.mean(kept) < 0.5 * np.mean(raw)
    x, y = world(3000, 5)
    assert shrunken_relevance(x, y) == pytest.approx([0.9, 0.6, 0.3, 0.0], abs=0.04)


def test_reliability_is_the_share_of_variance_that_is_not_noise() -> None:
    generator = np.random.default_rng(6)
    shares = [reliabilities(generator.normal(size=(40, 1)) * np.sqrt(1 + 0.25), [0.5])[0] for _ in range(300)]
    assert np.mean(shares) == pytest.approx(0.8, abs=0.02)
    assert reliabilities(np.ones((4, 1)), [0.1]).tolist() == [0.0]
    assert reliabilities(np.arange(8.0).reshape(4, 2), None).tolist() == [1.0, 1.0]
    with pytest.raises(ProxyError, match="not below 0"):
        reliabilities(np.ones((4, 1)), [-0.1])


def test_the_target_s_own_score_decides_alone_without_noise_and_hardly_at_chance() -> None:
    panel, truth = world(30, 7)
    x, q = world(12, 8)
    noiseless = recommend(panel, truth, x, own=q, own_noise=0.0)
    assert noiseless.own_weight == pytest.approx(1.0)
    generator = np.random.default_rng(9)
    chance = generator.normal(size=12)
    assert recommend(panel, truth, x, own=chance, own_noise=10.0).own_weight < 0.2
    half = recommend(panel, truth, x, own=q + generator.normal(size=12), own_noise=1.0)
    assert 0 < half.own_weight < 1
    assert half.weights.sum() + half.own_weight == pytest.approx(1)


def test_the_recommended_scores_beat_each_of_their_parts_on_average() -> None:
    from proxy.ranking.truth import decision_accuracies

    rows = []
    for study in range(150):
        relevance = (0.8, 0.6, 0.4, 0.2, 0.1, 0.0)
        panel, truth = world(20, 2 * study, relevance)
        x, q = world(12, 2 * study + 1, relevance, noise=0.5)
        own = q + np.random.default_rng(study).standard_normal(12)
        fit = recommend(panel, truth, x, noise=[0.5] * 6, own=own, own_noise=1.0)
        columns = [
            fit.predict(x, own),
            own,
            standardised(x).mean(axis=1),
            PaperSelector().fit(panel, truth).predict(x),
        ]
        rows.append(decision_accuracies(np.column_stack(columns), q))
    recommended, alone, uniform, paper = np.mean(rows, axis=0)
    assert recommended > max(alone, uniform, paper) + 0.01


@pytest.mark.parametrize(
    "selector", [PaperSelector(), ShrinkageSelector(), DecisionSelector(), PooledSelector()]
)
def test_every_selector_takes_constant_tasks_and_refuses_what_it_cannot_learn_from(
    selector: Selector,
) -> None:
    x, y = world(9, 10)
    x[:, 2] = 7.0
    weights = selector.fit(x, y).weights_
    assert np.abs(weights).sum() == pytest.approx(1)
    with pytest.raises(ProxyError, match="at least 4 are needed"):
        selector.fit(x[:3], y[:3])
    with pytest.raises(ProxyError, match="every model of the panel"):
        selector.fit(x, np.ones(9))
    x[4, 1] = np.nan
    with pytest.raises(ProxyError, match="panel model 4 has no score on task 1"):
        selector.fit(x, y)
    y[4] = np.nan  # a model without the target says nothing, and its gap does not matter
    assert np.isfinite(selector.fit(x, y).weights_).all()


def test_selectors_by_name() -> None:
    assert isinstance(selector_named("paper"), PaperSelector)
    with pytest.raises(ProxyError, match="there are paper"):
        selector_named("best")
