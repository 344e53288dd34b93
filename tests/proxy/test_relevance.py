"""Relevance: what is left out and why, the null and its correction, intervals, stability, the factor."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from proxy import ProxyError, ScoreMatrix, read_scores, study_relevance
from proxy.relevance import partial_correlations
from proxy.relevance.correlation import correlations, permuted_correlations
from proxy.relevance.fisher_intervals import fisher_intervals
from proxy.relevance.max_t import max_t

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


def matrix_of(x: np.ndarray, y: np.ndarray, **facts: object) -> ScoreMatrix:
    models = tuple(f"m{i}" for i in range(len(y)))
    tasks = (*(f"t{i}" for i in range(x.shape[1])), "target")
    return ScoreMatrix(models, tasks, np.column_stack([x, y]), **facts)  # type: ignore[arg-type]


@pytest.fixture
def world() -> ScoreMatrix:
    """Three tasks that follow the target and three that do not, over 20 models."""
    rng = np.random.default_rng(0)
    ability = rng.normal(size=20)
    x = np.column_stack(
        [ability + s * rng.normal(size=20) for s in (0.2, 0.4, 0.8)] + [rng.normal(size=(20, 3))]
    )
    return matrix_of(x, ability)


def test_the_related_tasks_come_first_and_only_they_are_found(world: ScoreMatrix) -> None:
    study = study_relevance(world, "target", rounds=200, permutations=499)
    assert set(study.ranking()[:3]) == {"t0", "t1", "t2"}
    related_tasks = {
        task for task, row in study.tables["raw"].items() if row.p_adjusted[study.metric] <= 0.05
    }
    assert related_tasks >= {"t0", "t1"}
    assert not related_tasks & {"t3", "t4", "t5"}
    assert set(study.tables) == {"raw", "two_way"}
    assert study.metric == study.consistency["raw"].metric


def test_a_task_where_lower_is_better_is_turned_first(world: ScoreMatrix) -> None:
    turned = np.array(world.scores)
    turned[:, 0] *= -1
    other = ScoreMatrix(world.models, world.tasks, turned, direction={"t0": -1})
    one, two = (study_relevance(m, "target", rounds=50, permutations=19) for m in (world, other))
    assert one.values("kendall") == pytest.approx(two.values("kendall"))


def test_models_without_the_target_are_left_out_and_named(world: ScoreMatrix) -> None:
    scores = np.array(world.scores)
    scores[[2, 5], -1] = np.nan
    study = study_relevance(
        ScoreMatrix(world.models, world.tasks, scores), "target", rounds=50, permutations=19
    )
    assert study.without_target == ("m2", "m5")
    assert len(study.models) == 18
    assert any("2 models have no score on target" in note for note in study.notes)


def test_candidates_that_cannot_be_used_are_left_out_with_the_reason(world: ScoreMatrix) -> None:
    scores = np.array(world.scores)
    scores[:, 3] = 0.5
    scores[3:, 4] = np.nan
    study = study_relevance(
        ScoreMatrix(world.models, world.tasks, scores), "target", rounds=50, permutations=19
    )
    assert "the same score, 0.5" in study.left_out["t3"]
    assert "3 models have a score on it" in study.left_out["t4"]
    assert {flag.kind for flag in study.flags} == {"zero_variance", "gaps"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:3], "3 models have a score on the target"),
        (lambda s: np.where(np.arange(7) == 6, 0.3, s), "the target 'target' is 0.3 for every model"),
        (lambda s: np.where(np.arange(7) < 6, 0.3, s), "no candidate task is left beside 'target'"),
        (
            lambda s: np.where((np.arange(7) == 6) & (np.arange(20) > 2)[:, None], np.nan, s),
            "3 models have a score",
        ),
    ],
)
def test_what_cannot_show_a_relation_is_refused(
    world: ScoreMatrix, change: Callable[[np.ndarray], np.ndarray], message: str
) -> None:
    scores = change(np.array(world.scores))
    with pytest.raises(ProxyError, match=message):
        study_relevance(ScoreMatrix(world.models[: len(scores)], world.tasks, scores), "target")


def test_max_t_holds_the_family_and_sees_a_real_relation() -> None:
    """42 unrelated tasks and 17 models: chance hits abound one by one, and stay below 5% together."""
    rng = np.random.default_rng(1)
    single = family = 0
    worlds = 120
    for _ in range(worlds):
        x = 0.7 * rng.normal(size=(17, 1)) + rng.normal(size=(17, 42))
        y = rng.normal(size=17)
        null = permuted_correlations(x, np.stack([rng.permutation(y) for _ in range(199)]), ("kendall",))[
            "kendall"
        ]
        p, adjusted, _ = max_t(correlations(x, y, ("kendall",))["kendall"], null)
        single += (p <= 0.05).any()
        family += (adjusted <= 0.05).any()
    assert single / worlds > 0.5
    # 5% of 120 is 6; 13 would be a chance of 1 in 200.
    assert family <= 13


def test_step_down_adjusts_between_the_single_and_the_whole_maximum() -> None:
    rng = np.random.default_rng(2)
    null = rng.normal(size=(5, 999))
    value = np.array([4.0, 0.1, 2.0, np.nan, -1.0])
    p, adjusted, centre = max_t(value, null)
    z, simulated = (
        (value - centre) / null.std(axis=1),
        (null - centre[:, None]) / null.std(axis=1, keepdims=True),
    )
    order = [0, 2, 1, 4]
    expected, running = {}, 0.0
    for place, task in enumerate(order):
        top = simulated[order[place:]].max(axis=0)
        running = max(running, (1 + (top >= z[task]).sum()) / 1000)
        expected[task] = running
    assert np.allclose([adjusted[t] for t in order], [expected[t] for t in order])
    assert np.isnan(adjusted[3])
    assert (adjusted[order] >= p[order]).all()


def test_the_two_way_null_is_not_centred_at_zero_and_is_held_against_itself() -> None:
    """A target unrelated to anything still correlates with two-way profiles, by the levels that it is divided by."""
    rng = np.random.default_rng(3)
    false = 0
    centres = []
    for _ in range(40):
        level = rng.normal(size=(24, 1)) * 2
        x = level * np.array([1.5, 1.0, 1.0, 0.3, 0.0]) + rng.normal(size=(24, 5))
        study = study_relevance(matrix_of(x, rng.normal(size=24)), "target", rounds=2, permutations=99)
        rows = study.tables["two_way"].values()
        centres.append([row.null_mean["kendall"] for row in rows])
        false += min(row.p_adjusted["kendall"] for row in rows) <= 0.05
    assert np.abs(np.mean(centres, axis=0)).max() > 0.1
    assert false <= 7


@pytest.mark.parametrize(("metric", "truth"), [("pearson", 0.6), ("spearman", 0.5825), ("kendall", 0.4097)])
def test_intervals_cover_under_a_normal_law(metric: str, truth: float) -> None:
    """r .6: Spearman 6/pi asin(.3), Kendall 2/pi asin(.6)."""
    rng = np.random.default_rng(4)
    common = rng.multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], size=(1500, 20))
    values = np.array([correlations(pair[:, :1], pair[:, 1], (metric,))[metric][0] for pair in common])
    low, high = fisher_intervals(metric, values, np.full(1500, 20), 0.9)
    covered = ((low <= truth) & (truth <= high)).mean()
    assert 0.87 <= covered <= 0.945


def test_intervals_exist_for_perfect_relations_and_few_models() -> None:
    for metric in ("pearson", "spearman", "kendall"):
        low, high = fisher_intervals(metric, np.array([1.0, 0.3]), np.array([10, 4]), 0.9)
        assert low[0] < 1.0 == high[0]
        assert -1 <= low[1] < 0.3 < high[1] <= 1


def test_leaving_one_model_out_finds_the_one_that_carries_a_relation() -> None:
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(12, 2)), rng.normal(size=12)
    x[7, 0] = y[7] = 12.0
    row = study_relevance(matrix_of(x, y), "target", rounds=2, permutations=19).tables["raw"]["t0"]
    assert row.most_influential["pearson"] == "m7"
    rest = np.arange(12) != 7
    assert row.left_out_low["pearson"] == pytest.approx(np.corrcoef(x[rest, 0], y[rest])[0, 1])


def test_partial_relevance_is_the_correlation_of_residuals() -> None:
    rng = np.random.default_rng(6)
    g = rng.normal(size=60)
    x = g[:, None] + 0.6 * rng.normal(size=(60, 5))
    special = rng.normal(size=60)
    x[:, 0] += special
    y = g + special + 0.3 * rng.normal(size=60)
    partials, share = partial_correlations(x, y, correlations(x, y))
    others = np.delete((x - x.mean(0)) / x.std(0), 0, axis=1)
    factor = np.linalg.svd(others, full_matrices=False)[0][:, :1]
    basis = np.column_stack([np.ones(60), factor])
    residuals = [v - basis @ np.linalg.lstsq(basis, v, rcond=None)[0] for v in (x[:, 0], y)]
    assert partials["pearson"][0] == pytest.approx(np.corrcoef(*residuals)[0, 1])
    assert partials["kendall"][0] > 0.4 > np.abs(partials["kendall"][1:]).max()
    assert 0.5 < share < 1


def test_the_json_is_complete_and_without_nan(world: ScoreMatrix) -> None:
    import json

    report = study_relevance(world, "target", rounds=20, permutations=0).as_dict()
    text = json.dumps(report, allow_nan=False)
    assert json.loads(text)["tasks"][0].keys() >= {"task", "relevance", "raw", "two_way"}
    assert report["tasks"][0]["raw"]["p_value"] is None


@pytest.mark.skipif(not DATA.is_dir(), reason="the real score tables are not beside this checkout")
def test_real_scores_of_the_paper_s_own_target() -> None:
    matrix = read_scores(
        DATA / "t_eval" / "teval_x_opencompass_base_join.csv", model_columns=("teval_model",)
    )
    values = study_relevance(matrix, "teval_overall", metric="kendall", rounds=20, permutations=19).values()
    expected = {
        "math": 0.91,
        "ceval-test": 0.86,
        "race-high": 0.86,
        "gsm8k": 0.74,
        "nq": -0.11,
        "winogrande": 0.11,
    }
    assert {task: round(values[task], 2) for task in expected} == expected
