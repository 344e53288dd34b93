"""Ranking configurations: the contract, the controls beside it, and bad input."""

import json
import time
from typing import Any

import numpy as np
import pytest

from proxy import Evidence, ProxyError, RankingSettings, ScoreMatrix, Truth, rank_configurations

TASKS = ("a", "b", "c", "t")


def table(models: int = 8, seed: int = 0, *, prefix: str = "m", **facts: Any) -> ScoreMatrix:
    generator = np.random.default_rng(seed)
    q = generator.standard_normal(models)
    x = 50 + 5 * (q[:, None] + 0.5 * generator.standard_normal((models, 4)))
    return ScoreMatrix(tuple(f"{prefix}{i}" for i in range(models)), TASKS, x, **facts)


def with_score(matrix: ScoreMatrix, task: str, value: float, models: int = 0, first: int = 0) -> ScoreMatrix:
    """The matrix with one score on a task for so many models (0: all) from the first."""
    scores = matrix.scores.copy()
    scores[first : first + models if models else None, matrix.tasks.index(task)] = value
    return ScoreMatrix(matrix.models, matrix.tasks, scores)


def small(scores: Any, tasks: tuple[str, ...] = ("x", "y"), **facts: Any) -> ScoreMatrix:
    return ScoreMatrix(tuple("abcdefgh"[: len(scores)]), tasks, scores, **facts)


PANEL = table(20, seed=5, prefix="p")


def test_the_json_holds_the_contract_s_keys_and_plain_numbers() -> None:
    matrix = table()
    report = rank_configurations(
        matrix, target="t", truth=Truth({m: float(i) for i, m in enumerate(matrix.models)}),
        evidence=Evidence(
            noise=[1.0] * 4, loss=np.arange(8.0), forecast=matrix.column("t"), forecast_noise=0.5
        ),
    ).as_dict()  # fmt: skip
    json.dumps(report, allow_nan=False)
    assert {"model", "score", "rank", "rank_low", "rank_high"} <= set(report["ranking"][0])
    keys = {"kendall_tau", "decision_accuracy", "inversions", "p_value"}
    assert keys <= set(report["truth"])
    names = {"uniform", "single_consistent", "single_reliable", "target_small", "loss", "passuntil", "random"}
    assert names <= set(report["controls"])
    assert all(keys <= set(control) for control in report["controls"].values())
    assert [row["rank"] for row in report["ranking"]] == sorted(row["rank"] for row in report["ranking"])
    assert all(row["rank_low"] <= row["rank"] <= row["rank_high"] for row in report["ranking"])
    assert sum(row["probability_best"] for row in report["ranking"]) == pytest.approx(1)
    assert sum(abs(w) for w in report["weights"].values()) == pytest.approx(1)
    assert len(report["decisions"]) == 28


def test_given_weights_make_a_weighted_mean_of_raw_scores() -> None:
    matrix = table()
    ranking = rank_configurations(matrix, weights={"a": 3, "c": 1})
    mean = (3 * matrix.column("a") + matrix.column("c")) / 4
    wanted = dict(zip(matrix.models, mean, strict=True))
    assert {row.model: row.score for row in ranking.ranking} == pytest.approx(wanted)
    assert ranking.weights == {"a": 0.75, "c": 0.25}
    assert ranking.truth is None
    assert ranking.controls["uniform"].as_dict()["kendall_tau"] is None
    assert any("neither standard errors nor seed noise" in warning for warning in ranking.warnings)


def test_lower_is_better_turns_the_order_and_the_score_stays_a_loss() -> None:
    losses = small([[2.0, 3.0], [1.0, 1.0], [3.0, 4.0], [2.5, 3.5]], direction={"x": -1, "y": -1})
    ranking = rank_configurations(losses, weights=[1, 1], truth=Truth([2.0, 1.0, 4.0, 3.0], direction=-1))
    assert [row.model for row in ranking.ranking] == ["b", "a", "d", "c"]
    assert [row.score for row in ranking.ranking] == [1.0, 2.5, 3.0, 3.5]
    assert ranking.truth is not None
    assert ranking.truth.inversions == 0


def test_a_task_of_its_own_direction_is_turned_and_so_is_the_panel_s() -> None:
    matrix = small([[2.0, 3.0], [1.0, 1.0], [3.0, 0.0]], ("x", "loss"), direction={"loss": -1})
    ranking = rank_configurations(matrix, weights={"loss": 1})
    assert [row.model for row in ranking.ranking] == ["c", "b", "a"]
    panel = small([[1.0, 9.0], [2.0, 7.0], [3.0, 6.0], [4.0, 1.0], [5.0, 0.5]], ("x", "loss"))
    fitted = rank_configurations(matrix, RankingSettings(selector="pooled"), target="x", panel=panel)
    assert [row.model for row in fitted.ranking] == ["c", "b", "a"]


def test_noise_widens_the_intervals_and_ends_decisions() -> None:
    fixed = np.tile([0.25, 0.25, 0.25, 0.25], (2, 1))
    sure, unsure = (
        rank_configurations(
            table(), weights=[1] * 4, evidence=Evidence(noise=[noise] * 4, weight_draws=fixed)
        )
        for noise in (0.01, 20.0)
    )
    assert all(row.rank_low == row.rank_high == row.rank for row in sure.ranking)
    assert all((row.rank_low, row.rank_high) == (1, 8) for row in unsure.ranking)
    assert sum(one.decided for one in sure.decisions) == 28
    assert not any(one.decided for one in unsure.decisions)
    assert {row.tied_set for row in unsure.ranking} == {1}


def test_simulated_errors_have_the_variance_of_the_weighted_mean() -> None:
    ranking = rank_configurations(
        table(stderr=np.full((8, 4), 4.0)), RankingSettings(draws=20_000), weights=[1, 1, 0, 0],
        evidence=Evidence(noise=[3.0, 0, 0, 0], weight_draws=[[1, 1, 0, 0]]),
    )  # fmt: skip
    wanted = np.sqrt(2 * ((9 + 16) / 4 + 16 / 4))
    assert ranking.decisions[0].stderr == pytest.approx(wanted, rel=0.03)


def test_uncertain_weights_alone_leave_ranks_open() -> None:
    ranking = rank_configurations(small([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [-1, -1]]), weights=[1, 1])
    ranks = {row.model: (row.rank_low, row.rank_high) for row in ranking.ranking}
    assert ranks["a"] == ranks["b"] == (2, 3)
    assert ranks["d"] == (4, 4)


def test_the_same_seed_gives_the_same_result() -> None:
    first, second, other = (
        rank_configurations(
            table(), RankingSettings(seed=seed), target="t", evidence=Evidence(noise=[2.0] * 4)
        ).as_dict()
        for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize("selector", ["paper", "shrinkage", "decision", "pooled", "recommended"])
def test_every_selector_ranks_by_a_panel(selector: str) -> None:
    # Nobody among the candidates can do the target.
    matrix = with_score(table(), "t", np.nan)
    ranking = rank_configurations(
        matrix, RankingSettings(selector=selector), target="t", panel=PANEL,
        evidence=Evidence(noise={"a": 1.0, "b": 1.0, "c": 1.0}, robustness={"a": 4.0}),
        truth=Truth(matrix.column("a")),
    )  # fmt: skip
    assert ranking.method == selector
    assert not {"t", "target_small"} & {*ranking.weights, *ranking.controls}
    assert ranking.truth is not None
    assert ranking.truth.decision_accuracy > 0.6


def test_the_target_s_noise_decides_how_far_its_own_score_counts() -> None:
    alone = rank_configurations(table(), target="t", panel=PANEL)
    assert alone.weights["t"] == pytest.approx(1)
    assert any("decides alone" in warning for warning in alone.warnings)
    joined, chance = (
        rank_configurations(table(), target="t", panel=PANEL, evidence=Evidence(noise=[0.5, 0.5, 0.5, noise]))
        for noise in (4.0, 1000.0)
    )
    assert 0 < joined.weights["t"] < 0.9
    assert chance.weights["t"] < 0.2


@pytest.mark.parametrize("budget", [["1B"] * 3 + ["7B"] * 3, {f"m{i}": i < 3 for i in range(7)}])
def test_only_equal_budgets_are_compared_with_the_truth(budget: Any) -> None:
    ranking = rank_configurations(table(6), weights=[1] * 4, truth=Truth(np.arange(6.0), budget=budget))
    assert ranking.truth is not None
    assert ranking.truth.pairs == 6


def test_ties_everywhere_are_said_and_share_rank_one() -> None:
    ranking = rank_configurations(small(np.ones((5, 2))), weights=[1, 1], truth=Truth([1, 2, 3, 4, 5]))
    assert {row.rank for row in ranking.ranking} == {1}
    assert {(row.rank_low, row.rank_high) for row in ranking.ranking} == {(1, 5)}
    assert ranking.truth is not None
    assert ranking.truth.kendall_tau is None
    assert any("every model has the same score" in warning for warning in ranking.warnings)
    json.dumps(ranking.as_dict(), allow_nan=False)


def test_three_models_are_ranked_with_a_warning() -> None:
    ranking = rank_configurations(small([[1.0], [2.0], [3.0]], ("x",)), weights=[1], truth=Truth([1, 2, 3]))
    assert ranking.truth is not None
    assert ranking.truth.p_value == pytest.approx(1 / 6)
    assert any("only 3 models" in warning for warning in ranking.warnings)


def test_a_model_without_a_known_truth_is_said() -> None:
    truth = {f"m{i}": float(i) for i in range(8)}
    for known, words in ((7, "1 of 8 models has no known truth"), (6, "2 of 8 models have no known truth")):
        ranking = rank_configurations(
            table(), weights=[1] * 4, truth=Truth(dict(list(truth.items())[:known]))
        )
        assert ranking.truth is not None
        assert ranking.truth.models == known
        assert any(words in warning for warning in ranking.warnings)


def test_gaps_are_refused_or_their_tasks_dropped() -> None:
    matrix = with_score(table(), "b", np.nan, models=1, first=2)
    with pytest.raises(ProxyError, match=r"m2 has no score on b \(1 task has gaps\)"):
        rank_configurations(matrix, weights=[1] * 4)
    ranking = rank_configurations(matrix, RankingSettings(gaps="drop"), weights=[1] * 4)
    assert set(ranking.weights) == {"a", "c", "t"}
    assert "left out for gaps: b" in ranking.warnings
    assert set(rank_configurations(matrix, weights={"a": 1}).weights) == {"a"}


def test_a_target_with_gaps_is_learned_from_the_models_that_have_it() -> None:
    matrix = with_score(table(10), "t", np.nan, models=1)
    ranking = rank_configurations(matrix, target="t")
    assert "t" not in ranking.weights
    with pytest.raises(ProxyError, match="only 3 models of the panel have a target score"):
        rank_configurations(with_score(matrix, "t", np.nan, models=7), target="t")
    with pytest.raises(ProxyError, match="only 1 model of the panel has a target score"):
        rank_configurations(with_score(matrix, "t", np.nan, models=9), target="t")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"z": 1}}, "a weight for 'z'"),
        ({"weights": [0, 0, 0, 0]}, "all weights are 0"),
        ({"weights": [1, 2]}, "2 weights for 4 tasks"),
        ({"weights": [1, np.nan, 0, 0]}, "not finite"),
        ({"weights": ["heavy", 1, 1, 1]}, "must be numbers"),
        ({"weights": None}, "nothing to rank by"),
        ({"weights": None, "target": "z"}, "'z' is not among the tasks"),
        ({"weights": None, "target": "t", "panel": PANEL.select(tasks=["a", "t"])}, "no task 'b'"),
    ],
)
def test_what_to_rank_by_is_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ProxyError, match=message) as caught:
        rank_configurations(table(), **{"weights": [1] * 4, **changes})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"selector": "best"}, "selector must be one of"),
        ({"aggregate": "median"}, "aggregate must be one of"),
        ({"gaps": "fill"}, "gaps must be one of"),
        ({"level": 95}, "level must lie between"),
        ({"draws": 10}, "draws must be at least 100"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_a_wrong_setting_is_refused_as_soon_as_it_is_made(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        RankingSettings(**setting)


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({"scores": {"m0": 1.0, "m99": 2.0}}, "truth for 'm99', which is not among the models"),
        ({"scores": {"m0": 1.0}}, "no two models differ"),
        ({"scores": [1.0, 2.0]}, "truth of shape"),
        ({"scores": np.arange(8.0), "budget": ["1B"]}, "a label for every model"),
        ({"scores": np.arange(8.0), "budget": {"m0": "1B"}}, "no label for m1"),
        ({"scores": np.arange(8.0), "direction": 0}, "direction must be 1"),
    ],
)
def test_a_wrong_truth_is_refused(truth: dict[str, Any], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        rank_configurations(table(), weights=[1] * 4, truth=Truth(**truth))


@pytest.mark.parametrize(
    ("evidence", "message"),
    [
        ({"noise": {"z": 1.0}}, "noise for 'z'"),
        ({"noise": [-1.0] * 4}, "cannot be below 0"),
        ({"noise": {"a": -1.0}}, "cannot be below 0"),
        ({"noise": np.ones((2, 2))}, "noise of shape"),
        ({"robustness": [1.0]}, "robustness of shape"),
        ({"loss": {"m0": 1.0}}, "loss of m1 is nan"),
        ({"forecast": [np.inf] * 8}, "forecast of m0 is inf"),
        ({"forecast_noise": -1.0}, "forecast_noise must lie between"),
        ({"weight_draws": [[1.0, 2.0]]}, "weight_draws of shape"),
        ({"weight_draws": [[0.0] * 4]}, "0 throughout"),
    ],
)
def test_wrong_evidence_is_refused(evidence: dict[str, Any], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        rank_configurations(table(), weights=[1] * 4, evidence=Evidence(**evidence))


def test_one_model_an_infinite_score_and_a_constant_target_are_refused() -> None:
    with pytest.raises(ProxyError, match="infinite"):
        small([[1.0], [np.inf]], ("x",))
    with pytest.raises(ProxyError, match="needs at least 2"):
        rank_configurations(small([[1.0]], ("x",)), weights=[1])
    with pytest.raises(ProxyError, match="for every model of the panel"):
        rank_configurations(with_score(table(), "t", 1.0), target="t")
    with pytest.raises(ProxyError, match="the only task without gaps"):
        rank_configurations(table().select(tasks=["t"]), target="t")


def test_a_leaderboard_of_7169_models_ranks_within_seconds() -> None:
    scores = np.random.default_rng(0).normal(size=(7169, 22))
    matrix = ScoreMatrix(tuple(map(str, range(7169))), tuple(f"t{i}" for i in range(22)), scores)
    started = time.process_time()
    ranking = rank_configurations(matrix, weights=[1] * 22, evidence=Evidence(noise=[0.5] * 22))
    assert time.process_time() - started < 15
    assert len(ranking.ranking) == 7169
