"""What the panel says, held against the candidates: the shift, the nested choice, the loss and the own score joined."""

import numpy as np
import pytest

from proxy import Evidence, ScoreMatrix, rank_configurations
from proxy.ranking.evidence import FORECAST, LOSS
from proxy.ranking.truth import decision_accuracies
from proxy.weights import PooledSelector, ShrinkageSelector, recommend
from proxy.weights.transfer import Relevance, cross_validated, relevance_of, shift_of


def models(
    count: int, ability: float, seed: int, tasks: int = 9
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(scores, target, general ability): every task is the ability and a part of its own, all as large as 1."""
    rng = np.random.default_rng(seed)
    general = ability * rng.standard_normal(count)
    table = general[:, None] + rng.standard_normal((count, tasks + 1))
    return table[:, :-1], table[:, -1], general


def test_nothing_is_lost_where_candidates_are_models_like_the_panel_s() -> None:
    losses = []
    for study in range(60):
        panel, *_ = models(25, 1.0, 2 * study)
        candidates, *_ = models(25, 1.0, 2 * study + 1)
        losses.append(shift_of(PooledSelector, panel, candidates, reliability=np.ones(9)))
    means = np.array([one.mean for one in losses])
    assert abs(means.mean()) < 3 * means.std() / np.sqrt(60) + 0.02
    # The stated variance is that of the losses themselves, as far as the candidates tell.
    assert means.std() < 1.3 * np.sqrt(np.mean([one.variance for one in losses]))


def test_a_panel_of_sizes_does_not_speak_for_candidates_of_one_size() -> None:
    panel, target, _ = models(15, 3.0, 0)
    equal, *_ = models(20, 0.0, 1)
    shift = shift_of(PooledSelector, panel, equal, reliability=np.ones(9))
    assert shift.mean < -1.0
    believed = recommend(panel, target, equal, shift=Relevance(0.0, 1 / 8))
    asked = recommend(panel, target, equal)
    assert believed.relevance > 0.8
    assert abs(asked.relevance) < 0.4


def test_asking_the_proxies_pays_where_sizes_mislead_and_costs_little_elsewhere() -> None:
    gained = {}
    for ability in (0.0, 1.0):
        rows = []
        for study in range(60):
            panel, target, _ = models(12, 3.0 if ability == 0 else 1.0, 3 * study)
            x, truth, _ = models(12, ability, 3 * study + 1)
            own = truth + 0.7 * np.random.default_rng(study).standard_normal(12)
            fits = [
                recommend(panel, target, x, own=own, own_noise=0.7, shift=shift)
                for shift in (None, Relevance(0.0, 1 / 8))
            ]
            columns = np.column_stack([fit.predict(x, own) for fit in fits])
            rows.append(decision_accuracies(columns, truth))
        asked, believed = np.mean(rows, axis=0)
        gained[ability] = asked - believed
    assert gained[0.0] > 0.04
    assert gained[1.0] > -0.02


def test_three_candidates_tell_nothing_of_what_is_lost() -> None:
    panel, *_ = models(15, 3.0, 0)
    three, *_ = models(3, 0.0, 1)
    assert shift_of(PooledSelector, panel, three, reliability=np.ones(9)) == Relevance(0.0, 1.0)


def test_proxies_that_are_all_noise_cannot_play_the_target() -> None:
    panel, *_ = models(15, 1.0, 0)
    candidates, *_ = models(12, 1.0, 1)
    assert shift_of(PooledSelector, panel, candidates, reliability=np.full(9, 0.05)) == Relevance(0.0, 1.0)


def test_the_choice_follows_the_panel() -> None:
    rng = np.random.default_rng(3)
    skill, other = rng.standard_normal((2, 80))
    # The target is one skill; most tasks are mostly the other: only a regression takes the other off.
    x = np.column_stack(
        [skill + other, *(other + 0.2 * rng.standard_normal(80) for _ in range(3)), skill + 0.5 * other]
    )
    y = skill + 0.1 * rng.standard_normal(80)
    assert recommend(x, y, x, same_models=True).selector == "shrinkage"
    x = y[:, None] + rng.standard_normal((80, 5))
    scores = {
        make.label: decision_accuracies(cross_validated(make, x, y, reliability=np.ones(5))[:, None], y)[0]
        for make in (PooledSelector, ShrinkageSelector)
    }
    assert recommend(x, y, x, same_models=True).selector == max(scores, key=lambda name: scores[name])


def test_models_that_a_bootstrap_drew_twice_share_a_fold() -> None:
    x, y = np.random.default_rng(4).standard_normal((12, 3)), np.random.default_rng(5).standard_normal(12)
    ids = np.repeat(np.arange(6), 2)
    twice = cross_validated(PooledSelector, x[ids], y[ids], reliability=np.ones(3), ids=ids)
    assert twice[::2] == pytest.approx(twice[1::2])
    # Noise foretells nothing, and it must not seem to by standing on both sides.
    leaks = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        x, y, ids = rng.standard_normal((30, 4)), rng.standard_normal(30), rng.integers(0, 30, 30)
        predicted = cross_validated(ShrinkageSelector, x[ids], y[ids], reliability=np.ones(4), ids=ids)
        leaks.append(np.corrcoef(predicted, y[ids])[0, 1] if predicted.std() > 0 else 0.0)
    assert np.mean(leaks) < 0.1


def test_loss_joins_as_far_as_it_tells_of_the_proxies() -> None:
    panel, target, _ = models(20, 1.0, 6)
    x, truth, general = models(40, 1.0, 7)
    noisy = x + 3 * np.random.default_rng(8).standard_normal(x.shape)
    informed = recommend(panel, target, noisy, noise=[3.0] * 9, loss=-general)
    assert informed.loss_weight > 0.5
    assert (
        informed.predict(noisy, loss=-general) @ truth
        > recommend(panel, target, noisy).predict(noisy) @ truth
    )
    turned = recommend(panel, target, noisy, noise=[3.0] * 9, loss=general)
    assert turned.loss_weight == 0
    assert relevance_of(general, x, reliability=np.ones(9)).correlation > 0.6
    unrelated = np.random.default_rng(9).standard_normal(40)
    assert abs(relevance_of(unrelated, x, reliability=np.ones(9)).correlation) < 0.3
    with_three = recommend(panel, target, noisy[:3], noise=[3.0] * 9, loss=-general[:3])
    assert with_three.loss_weight == 0


def test_own_score_and_proxies_weigh_as_the_best_linear_predictor_where_both_are_known_well() -> None:
    rng = np.random.default_rng(10)
    count, r, h = 4000, 0.6, 0.5
    truth = rng.standard_normal(count)
    x = r * truth[:, None] + np.sqrt(1 - r**2) * rng.standard_normal((count, 1))
    own = truth + rng.standard_normal(count)  # h = 1/2
    fit = recommend(x, truth, x, own=own, own_noise=1.0)
    wanted = np.sqrt(h) * (1 - r**2) / (np.sqrt(h) * (1 - r**2) + r * (1 - h))
    assert fit.own_weight == pytest.approx(wanted, abs=0.03)
    assert fit.own_reliability == pytest.approx(h, abs=0.05)


def test_loss_and_forecast_are_columns_of_the_ranking() -> None:
    panel, target, _ = models(20, 1.0, 11)
    x, truth, general = models(10, 1.0, 12)
    names = tuple(f"m{i}" for i in range(10))
    tasks = (*(f"t{i}" for i in range(9)), "goal")
    gap = np.full((10, 1), np.nan)
    ranking = rank_configurations(
        ScoreMatrix(names, tasks, np.hstack([x, gap])), target="goal",
        panel=ScoreMatrix(tuple(f"p{i}" for i in range(20)), tasks, np.column_stack([panel, target])),
        evidence=Evidence(
            noise={f"t{i}": 0.5 for i in range(9)}, loss=-general, forecast=truth, forecast_noise=1.0
        ),
    )  # fmt: skip
    assert {LOSS, FORECAST} <= set(ranking.weights)
    assert sum(map(abs, ranking.weights.values())) == pytest.approx(1)
    assert {"loss", "passuntil"} <= set(ranking.controls)
    matrix = ScoreMatrix(names, tasks[:-1], x)
    given = rank_configurations(matrix, weights={"t0": 1}, evidence=Evidence(loss=-general))
    assert given.weights == {"t0": 1.0}
