"""Selection, weights and the estimator."""

import json

import numpy as np
import pytest
from scipy.special import expit
from sklearn.base import clone

from proxy import ProxyError, ProxySelector, ScoreMatrix, select_proxies

TASKS = ("good", "fair", "noise", "guess", "loss")


def matrix_of(scores: np.ndarray, tasks: tuple[str, ...], **facts: object) -> ScoreMatrix:
    return ScoreMatrix(tuple(f"m{i}" for i in range(len(scores))), tasks, scores, **facts)  # type: ignore[arg-type]


@pytest.fixture
def world() -> ScoreMatrix:
    rng = np.random.default_rng(0)
    ability = rng.normal(size=25)
    columns = [
        50 + 8 * ability + rng.normal(size=25),
        50 + 6 * ability + 5 * rng.normal(size=25),
        50 + 5 * rng.normal(size=25),
        25 + 0.4 * ability + 0.1 * rng.normal(size=25),
        2 - 0.4 * ability + 0.05 * rng.normal(size=25),
        40 + 9 * ability,
    ]
    return matrix_of(np.column_stack(columns), (*TASKS, "target"), direction={"loss": -1})


def groups(world: ScoreMatrix, **spread: float) -> tuple[ScoreMatrix, ScoreMatrix]:
    """Data and noise groups; spread: ratio of variances of a task (exact, by construction)."""
    shape = np.array([-1.0, 0.0, 1.0, 2.0, -2.0])
    data = np.column_stack([30 + shape * spread.get(task, 4.0) ** 0.5 for task in TASKS])
    noise = np.column_stack([30 + shape for _ in TASKS])
    return matrix_of(data, TASKS), matrix_of(noise, TASKS)


def test_weights_are_relevance_times_phi_normalised(world: ScoreMatrix) -> None:
    data, noise = groups(world, good=9.0, fair=3.0)
    for phi, factor in (("ratio", lambda r: r / (1 + r)), ("sigmoid", expit), ("none", lambda r: 1.0)):
        selection = select_proxies(
            world, "target", data_group=data, noise_group=noise, candidates=["good", "fair", "noise"],
            metric="kendall", phi=phi, rounds=20, permutations=0,
        )  # fmt: skip
        relevance = selection.relevance.values()
        raw = {"good": relevance["good"] * factor(9.0), "fair": relevance["fair"] * factor(3.0)}
        assert selection.weights == pytest.approx(
            {task: value / sum(raw.values()) for task, value in raw.items()}
        )
        (out,) = [row for row in selection.tasks if row.task == "noise"]
        assert (out.kept, out.weight) == (False, 0.0)
        assert "below 0.3" in out.why


def test_a_task_that_moves_by_chance_may_not_weigh(world: ScoreMatrix) -> None:
    data, noise = groups(world, fair=0.5)
    selection = select_proxies(
        world,
        "target",
        data_group=data,
        noise_group=noise,
        candidates=["good", "fair"],
        rounds=20,
        permutations=0,
    )
    assert list(selection.weights) == ["good"]
    assert "variance ratio of 0.5, below 1" in next(row.why for row in selection.tasks if row.task == "fair")


def test_a_task_at_the_level_of_guessing_may_not_weigh(world: ScoreMatrix) -> None:
    known = world.with_facts(baseline={"guess": 25.0})
    options = {"candidates": ["good", "guess"], "rounds": 20, "permutations": 0}
    selection = select_proxies(known, "target", **options)  # type: ignore[arg-type]
    assert list(selection.weights) == ["good"]
    assert "not above guessing" in next(row.why for row in selection.tasks if row.task == "guess")
    assert set(select_proxies(known, "target", alpha=1.0, **options).weights) == {"good", "guess"}  # type: ignore[arg-type]


def test_the_groups_not_the_large_models_are_asked_whether_a_task_is_above_guessing(
    world: ScoreMatrix,
) -> None:
    known = world.with_facts(baseline={"good": 30.0, "fair": 20.0})
    data, noise = groups(world)
    selection = select_proxies(
        known,
        "target",
        data_group=data,
        noise_group=noise,
        candidates=["good", "fair"],
        rounds=20,
        permutations=0,
    )
    assert list(selection.weights) == ["fair"]  # the groups score 30 on both


def test_zero_noise_is_said_and_capped(world: ScoreMatrix) -> None:
    data, noise = groups(world)
    still = matrix_of(np.where(np.arange(5) == 0, 30.0, noise.scores), TASKS)
    selection = select_proxies(
        world,
        "target",
        data_group=data,
        noise_group=still,
        candidates=["good", "fair"],
        rounds=20,
        permutations=0,
    ).as_dict()
    row = next(row for row in selection["tasks"] if row["task"] == "good")
    assert row["robustness"] == 1000
    assert row["robustness_details"]["infinite"] is True
    assert "infinite" in row["why"]
    json.dumps(selection, allow_nan=False)


def test_raw_scores_of_two_scales_are_not_averaged(world: ScoreMatrix) -> None:
    with pytest.raises(ProxyError, match="bring them to one scale, or aggregate z-scores"):
        select_proxies(world, "target", candidates=["good", "loss"], rounds=20, permutations=0)
    selection = select_proxies(
        world, "target", candidates=["good", "loss"], aggregate="z", rounds=20, permutations=0
    )
    expected = np.zeros(25)
    for task, weight in selection.weights.items():
        column = world.column(task) * (-1 if task == "loss" else 1)
        expected += weight * (column - column.mean()) / column.std()
    assert np.allclose(selection.predict(world), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"relevance_threshold": 0.9999, "candidates": ["noise", "fair"]},
            "no candidate may weigh for target",
        ),
        ({"phi": "cube"}, "phi must be one of"),
        ({"relevance_threshold": 3.0}, "relevance_threshold must lie between"),
        ({"most": 0}, "most must be at least 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(
    world: ScoreMatrix, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ProxyError, match=message):
        select_proxies(world, "target", rounds=20, permutations=0, **options)  # type: ignore[arg-type]


def test_one_group_alone_is_refused(world: ScoreMatrix) -> None:
    with pytest.raises(ProxyError, match="no noise group"):
        select_proxies(world, "target", data_group=groups(world)[0], rounds=20)


def test_the_estimator_fits_and_predicts_like_any_other(world: ScoreMatrix) -> None:
    frame = world.to_frame()
    X, y = frame[["good", "fair", "noise"]], frame["target"].to_numpy()
    selector = clone(ProxySelector(rounds=50, metric="kendall")).fit(X, y)
    assert selector.weights_.sum() == pytest.approx(1)
    assert selector.weights_[2] == 0
    assert np.allclose(selector.predict(X), X.to_numpy() @ selector.weights_)
    assert np.allclose(selector.predict(X.to_numpy()), selector.predict(X[["noise", "fair", "good"]]))
    assert selector.score(X, y) > 0.7
    with pytest.raises(ProxyError, match="m3 has no score on good, which weighs"):
        selector.predict(X.assign(good=np.where(np.arange(25) == 3, np.nan, X["good"])))


def test_the_paper_s_recipe_is_there_by_name() -> None:
    paper = ProxySelector.paper(metric="kendall")
    assert (paper.normalisation, paper.phi, paper.aggregate, paper.alpha) == (
        "two_way",
        "sigmoid",
        "raw",
        1.0,
    )


def test_an_unfitted_estimator_says_so() -> None:
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        ProxySelector().predict([[1.0]])


def test_selection_finds_the_related_tasks_in_most_worlds() -> None:
    """A biased selector would weigh unrelated tasks: over 60 worlds they must get little."""
    rng = np.random.default_rng(3)
    shares = []
    for _ in range(60):
        ability = rng.normal(size=20)
        x = 50 + 5 * np.column_stack(
            [ability + rng.normal(size=20) * s for s in (0.4, 0.6)] + [rng.normal(size=(20, 4))]
        )
        shares.append(ProxySelector(metric="kendall", rounds=2).fit(x, ability).weights_[:2].sum())
    assert np.mean(shares) > 0.9
