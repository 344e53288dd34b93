"""Advice on seeds from tables: a pilot of configurations and seeds of one of them."""

import numpy as np
import pytest

from proxy import ProxyError, ScoreMatrix, study_seeds
from proxy.ranking import seeds_worth_buying
from proxy.ranking.seeds import WEIGHTED


def table(values: np.ndarray, prefix: str, **facts: object) -> ScoreMatrix:
    tasks = tuple("abc"[: values.shape[1]])
    return ScoreMatrix(tuple(f"{prefix}{i}" for i in range(len(values))), tasks, values, **facts)  # type: ignore[arg-type]


def test_every_task_is_advised_on_as_from_its_deviations() -> None:
    rng = np.random.default_rng(0)
    pilot, noise = rng.normal(size=(12, 3)) * [3, 1, 0.5], rng.normal(size=(6, 3)) * [1, 1, 0]
    advice = study_seeds(table(pilot, "p"), table(noise, "n"), relevance=0.9)
    assert set(advice) == {"a", "b", "c"}
    assert advice["a"] == seeds_worth_buying(
        spread=float(pilot[:, 0].std(ddof=1)), noise=float(noise[:, 0].std(ddof=1)), models=12,
        noise_runs=6, relevance=0.9,
    )  # fmt: skip
    assert advice["c"].seeds == 1  # no noise: one seed says it all


def test_the_weighted_mean_is_advised_on_first_and_turns_losses() -> None:
    rng = np.random.default_rng(1)
    pilot, noise = rng.normal(size=(12, 2)), rng.normal(size=(6, 2))
    advice = study_seeds(
        table(pilot, "p", direction={"b": -1}),
        table(noise, "n", direction={"b": -1}),
        weights={"a": 3, "b": 1},
    )
    assert list(advice) == [WEIGHTED, "a", "b"]
    weights = np.array([0.75, -0.25])
    assert advice[WEIGHTED] == seeds_worth_buying(
        spread=float((pilot @ weights).std(ddof=1)), noise=float((noise @ weights).std(ddof=1)), models=12,
        noise_runs=6,
    )  # fmt: skip


def test_tasks_that_tell_nothing_apart_are_left_out_and_nothing_left_is_refused() -> None:
    pilot, noise = np.array([[1.0, 2.0], [1.0, 3.0], [1.0, np.nan]]), np.array([[1.0, 2.0], [1.0, 2.5]])
    assert set(study_seeds(table(pilot, "p"), table(noise, "n"))) == {"b"}
    with pytest.raises(ProxyError, match="no task is scored by at least 2"):
        study_seeds(table(pilot[:, :1], "p"), table(noise[:, :1], "n"))
    with pytest.raises(ProxyError, match="all weights are 0"):
        study_seeds(table(pilot, "p"), table(noise, "n"), weights={"a": 0})
    with pytest.raises(ProxyError, match="no task 'z'"):
        study_seeds(table(pilot, "p"), table(noise, "n"), weights={"z": 1})
