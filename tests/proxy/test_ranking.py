"""Ranking configurations: the contract, the controls beside it, and bad input."""

import json
import time
from typing import Any

import numpy as np
import pytest

from proxy import ProxyError, rank_configurations

TASKS = ("a", "b", "c", "t")


def table(models: int = 8, seed: int = 0) -> tuple[np.ndarray, tuple[str, ...]]:
    generator = np.random.default_rng(seed)
    q = generator.standard_normal(models)
    x = 50 + 5 * (q[:, None] + 0.5 * generator.standard_normal((models, 4)))
    return x, tuple(f"m{i}" for i in range(models))


def test_the_json_holds_the_contract_s_keys_and_plain_numbers() -> None:
    x, models = table()
    found = rank_configurations(
        x, models, TASKS, target="t", truth={m: float(i) for i, m in enumerate(models)}, noise=[1.0] * 4,
        loss=np.arange(8.0), forecast=x[:, 3], forecast_noise=0.5,
    ).as_dict()  # fmt: skip
    json.dumps(found, allow_nan=False)
    assert {"model", "score", "rank", "rank_low", "rank_high"} <= set(found["ranking"][0])
    keys = {"kendall_tau", "decision_accuracy", "inversions", "p_value"}
    assert keys <= set(found["truth"])
    assert {
        "uniform",
        "single_consistent",
        "single_reliable",
        "target_small",
        "loss",
        "passuntil",
        "random",
    } <= set(found["controls"])
    assert all(keys <= set(control) for control in found["controls"].values())
    assert [row["rank"] for row in found["ranking"]] == sorted(row["rank"] for row in found["ranking"])
    assert all(row["rank_low"] <= row["rank"] <= row["rank_high"] for row in found["ranking"])
    assert sum(row["probability_best"] for row in found["ranking"]) == pytest.approx(1)
    assert sum(abs(w) for w in found["weights"].values()) == pytest.approx(1)
    assert len(found["decisions"]) == 28


def test_given_weights_make_a_weighted_mean_of_raw_scores() -> None:
    x, models = table()
    found = rank_configurations(x, models, TASKS, weights={"a": 3, "c": 1})
    wanted = dict(zip(models, (3 * x[:, 0] + x[:, 2]) / 4, strict=True))
    assert {row.model: row.score for row in found.ranking} == pytest.approx(wanted)
    assert found.weights == {"a": 0.75, "c": 0.25}
    assert found.truth is None
    assert found.controls["uniform"].as_dict()["kendall_tau"] is None
    assert any("neither standard errors nor seed noise" in warning for warning in found.warnings)


def test_lower_is_better_turns_the_order_and_the_score_stays_a_loss() -> None:
    found = rank_configurations(
        [[2.0, 3.0], [1.0, 1.0], [3.0, 4.0], [2.5, 3.5]], "abcd", ["x", "y"], weights=[1, 1], direction=-1,
        truth={"a": 2.0, "b": 1.0, "c": 4.0, "d": 3.0}, truth_direction=-1,
    )  # fmt: skip
    assert [row.model for row in found.ranking] == ["b", "a", "d", "c"]
    assert [row.score for row in found.ranking] == [1.0, 2.5, 3.0, 3.5]
    assert found.truth is not None
    assert found.truth.inversions == 0


def test_a_task_of_its_own_direction_is_turned() -> None:
    found = rank_configurations(
        [[2.0, 3.0], [1.0, 1.0], [3.0, 0.0]],
        "abc",
        ["x", "loss"],
        weights={"loss": 1},
        direction={"loss": -1},
    )
    assert [row.model for row in found.ranking] == ["c", "b", "a"]


def test_noise_widens_the_intervals_and_ends_decisions() -> None:
    x, models = table()
    fixed = np.tile([0.25, 0.25, 0.25, 0.25], (2, 1))
    sure = rank_configurations(x, models, TASKS, weights=[1] * 4, noise=[0.01] * 4, weight_draws=fixed)
    unsure = rank_configurations(x, models, TASKS, weights=[1] * 4, noise=[20.0] * 4, weight_draws=fixed)
    assert all(row.rank_low == row.rank_high == row.rank for row in sure.ranking)
    assert all((row.rank_low, row.rank_high) == (1, 8) for row in unsure.ranking)
    assert sum(one.decided for one in sure.decisions) == 28
    assert not any(one.decided for one in unsure.decisions)
    assert {row.tied_set for row in unsure.ranking} == {1}


def test_simulated_errors_have_the_variance_of_the_weighted_mean() -> None:
    x, models = table()
    found = rank_configurations(
        x, models, TASKS, weights=[1, 1, 0, 0], noise=[3.0, 0, 0, 0], stderr=np.full((8, 4), 4.0),
        weight_draws=[[1, 1, 0, 0]], draws=20_000,
    )  # fmt: skip
    wanted = np.sqrt(2 * ((9 + 16) / 4 + 16 / 4))
    assert found.decisions[0].stderr == pytest.approx(wanted, rel=0.03)


def test_uncertain_weights_alone_leave_ranks_open() -> None:
    x = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 2.0], [-1, -1]])
    found = rank_configurations(x, "abcd", ["x", "y"], weights=[1, 1])
    ranks = {row.model: (row.rank_low, row.rank_high) for row in found.ranking}
    assert ranks["a"] == ranks["b"] == (2, 3)
    assert ranks["d"] == (4, 4)


def test_the_same_seed_gives_the_same_result() -> None:
    x, models = table()
    first, second, other = (
        rank_configurations(x, models, TASKS, target="t", noise=[2.0] * 4, seed=seed).as_dict()
        for seed in (3, 3, 4)
    )
    assert first == second
    assert first != other


@pytest.mark.parametrize("selector", ["paper", "shrinkage", "decision", "pooled", "recommended"])
def test_every_selector_ranks_by_a_panel(selector: str) -> None:
    x, models = table()
    panel, _ = table(20, seed=5)
    x[:, 3] = np.nan  # nobody among the candidates can do the target
    found = rank_configurations(
        x, models, TASKS, target="t", panel=panel, selector=selector, noise={"a": 1.0, "b": 1.0, "c": 1.0},
        robustness={"a": 4.0}, truth=dict(zip(models, x[:, 0], strict=True)),
    )  # fmt: skip
    assert found.method == selector
    assert "t" not in found.weights
    assert "target_small" not in found.controls
    assert found.truth is not None
    assert found.truth.decision_accuracy > 0.6


def test_the_target_s_noise_decides_how_far_its_own_score_counts() -> None:
    x, models = table()
    panel, _ = table(20, seed=5)
    alone = rank_configurations(x, models, TASKS, target="t", panel=panel)
    assert alone.weights["t"] == pytest.approx(1)
    assert any("decides alone" in warning for warning in alone.warnings)
    joined = rank_configurations(x, models, TASKS, target="t", panel=panel, noise=[0.5, 0.5, 0.5, 4.0])
    assert 0 < joined.weights["t"] < 0.9
    chance = rank_configurations(x, models, TASKS, target="t", panel=panel, noise=[0.5, 0.5, 0.5, 1000.0])
    assert chance.weights["t"] < 0.2


def test_only_equal_budgets_are_compared_with_the_truth() -> None:
    x, models = table(6)
    found = rank_configurations(
        x, models, TASKS, weights=[1] * 4, truth=np.arange(6.0), budget=["1B"] * 3 + ["7B"] * 3
    )
    assert found.truth is not None
    assert found.truth.pairs == 6


def test_ties_everywhere_are_said_and_share_rank_one() -> None:
    found = rank_configurations(np.ones((5, 2)), "abcde", ["x", "y"], weights=[1, 1], truth=[1, 2, 3, 4, 5])
    assert {row.rank for row in found.ranking} == {1}
    assert {(row.rank_low, row.rank_high) for row in found.ranking} == {(1, 5)}
    assert found.truth is not None
    assert found.truth.kendall_tau is None
    assert any("every model has the same score" in warning for warning in found.warnings)
    json.dumps(found.as_dict(), allow_nan=False)


def test_three_models_are_ranked_with_a_warning() -> None:
    found = rank_configurations([[1.0], [2.0], [3.0]], "abc", ["x"], weights=[1], truth=[1, 2, 3])
    assert found.truth is not None
    assert found.truth.p_value == pytest.approx(1 / 6)
    assert any("only 3 models" in warning for warning in found.warnings)


def test_gaps_are_refused_or_their_tasks_dropped() -> None:
    x, models = table()
    x[2, 1] = np.nan
    with pytest.raises(ProxyError, match="m2 has no score on b"):
        rank_configurations(x, models, TASKS, weights=[1] * 4)
    found = rank_configurations(x, models, TASKS, weights=[1] * 4, gaps="drop")
    assert set(found.weights) == {"a", "c", "t"}
    assert "left out for gaps: b" in found.warnings
    assert set(rank_configurations(x, models, TASKS, weights={"a": 1}).weights) == {"a"}


def test_a_target_with_gaps_is_learned_from_the_models_that_have_it() -> None:
    x, models = table(10)
    x[0, 3] = np.nan
    found = rank_configurations(x, models, TASKS, target="t")
    assert "t" not in found.weights
    x[:7, 3] = np.nan
    with pytest.raises(ProxyError, match="only 3 models of the panel have a target score"):
        rank_configurations(x, models, TASKS, target="t")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": {"z": 1}}, "a weight for 'z'"),
        ({"weights": [0, 0, 0, 0]}, "all weights are 0"),
        ({"weights": [1, 2]}, "2 weights for 4 tasks"),
        ({"weights": [1, np.nan, 0, 0]}, "not finite"),
        ({"weights": None}, "nothing to rank by"),
        ({"weights": None, "target": "z"}, "'z' is not among the tasks"),
        ({"weights": None, "target": "t", "selector": "best"}, "selector must be one of"),
        ({"truth": {"m0": 1.0, "m99": 2.0}}, "truth for 'm99', which is not among the models"),
        ({"truth": {"m0": 1.0}}, "no two models differ"),
        ({"truth": [1.0, 2.0]}, "truth of shape"),
        ({"models": ["m0"] * 8}, "occurs twice"),
        ({"direction": 0}, "direction must be 1"),
        ({"noise": {"z": 1.0}}, "noise for 'z'"),
        ({"noise": [-1.0] * 4}, "cannot be below 0"),
        ({"stderr": np.zeros((2, 2))}, "stderr of shape"),
        ({"loss": {"m0": 1.0}}, "loss of m1 is nan"),
        ({"budget": ["1B"]}, "a label for every model"),
        ({"level": 95}, "level must lie between"),
        ({"gaps": "fill"}, "gaps must be one of"),
    ],
)
def test_bad_input_is_one_clear_error(changes: dict[str, Any], message: str) -> None:
    x, models = table()
    arguments: dict[str, Any] = {"scores": x, "models": models, "tasks": TASKS, "weights": [1] * 4, **changes}
    with pytest.raises(ProxyError, match=message) as caught:
        rank_configurations(
            arguments.pop("scores"), arguments.pop("models"), arguments.pop("tasks"), **arguments
        )
    assert "\n" not in str(caught.value)


def test_one_model_an_infinite_score_and_a_constant_target_are_refused() -> None:
    with pytest.raises(ProxyError, match="needs at least 2"):
        rank_configurations([[1.0]], ["a"], ["x"], weights=[1])
    with pytest.raises(ProxyError, match="infinite"):
        rank_configurations([[1.0], [np.inf]], ["a", "b"], ["x"], weights=[1])
    x, models = table()
    x[:, 3] = 1.0
    with pytest.raises(ProxyError, match="for every model of the panel"):
        rank_configurations(x, models, TASKS, target="t")


def test_a_leaderboard_of_7169_models_ranks_within_seconds() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(7169, 22))
    started = time.process_time()
    found = rank_configurations(
        x, [str(i) for i in range(7169)], [f"t{i}" for i in range(22)], weights=[1] * 22, noise=[0.5] * 22
    )
    assert time.process_time() - started < 15
    assert len(found.ranking) == 7169
