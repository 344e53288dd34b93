"""The fast correlations against scipy, cell by cell."""

import warnings

import numpy as np
import pytest
from scipy import stats

from proxy.relevance import correlations, permuted_correlations, set_correlations
from proxy.relevance.correlation import MOST_MODELS

REFERENCE = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}


def scores(seed: int, models: int = 23, tasks: int = 6, gaps: float = 0.15) -> tuple[np.ndarray, np.ndarray]:
    """Coarse scores, so that ties abound, with gaps."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 7, (models, tasks)).astype(float)
    x[rng.random(x.shape) < gaps] = np.nan
    return x, rng.integers(0, 9, models).astype(float)


def reference(metric: str, x: np.ndarray, y: np.ndarray) -> float:
    known = np.isfinite(x)
    if known.sum() < 3 or np.ptp(x[known]) == 0 or np.ptp(y[known]) == 0:
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(REFERENCE[metric](x[known], y[known])[0])


@pytest.mark.parametrize("metric", list(REFERENCE))
@pytest.mark.parametrize("subset", [4, 9, 22])
def test_every_subset_agrees_with_scipy_with_ties_and_gaps(metric: str, subset: int) -> None:
    x, y = scores(subset)
    rng = np.random.default_rng(1)
    chosen = [rng.choice(len(y), subset, replace=False) for _ in range(40)]
    sets = np.zeros((40, len(y)))
    for row, models in zip(sets, chosen, strict=True):
        row[models] = 1
    values = set_correlations(x, y, sets)[metric]
    expected = [
        [reference(metric, x[models, task], y[models]) for models in chosen] for task in range(x.shape[1])
    ]
    assert np.allclose(values, expected, atol=1e-12, equal_nan=True)
    assert not np.isnan(values).all()


@pytest.mark.parametrize("metric", list(REFERENCE))
def test_small_sets_among_many_models_agree_with_scipy(metric: str) -> None:
    x, y = scores(9, models=90, gaps=0.2)
    rng = np.random.default_rng(1)
    chosen = [rng.choice(90, 7, replace=False) for _ in range(60)]
    sets = np.zeros((60, 90))
    for row, models in zip(sets, chosen, strict=True):
        row[models] = 1
    values = set_correlations(x, y, sets)[metric]
    expected = [
        [reference(metric, x[models, task], y[models]) for models in chosen] for task in range(x.shape[1])
    ]
    assert np.allclose(values, expected, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("metric", list(REFERENCE))
def test_counts_above_one_are_a_bootstrap_sample(metric: str) -> None:
    x, y = scores(3)
    drawn = np.random.default_rng(2).integers(0, len(y), len(y))
    values = set_correlations(x, y, np.bincount(drawn, minlength=len(y))[None, :])[metric][:, 0]
    expected = [reference(metric, x[drawn, task], y[drawn]) for task in range(x.shape[1])]
    assert np.allclose(values, expected, atol=1e-12, equal_nan=True)


@pytest.mark.parametrize("metric", list(REFERENCE))
def test_permuted_targets_agree_with_scipy(metric: str) -> None:
    x, y = scores(4)
    rng = np.random.default_rng(5)
    many = np.stack([rng.permutation(y) for _ in range(25)])
    values = permuted_correlations(x, many)[metric]
    expected = [[reference(metric, x[:, task], target) for target in many] for task in range(x.shape[1])]
    assert np.allclose(values, expected, atol=1e-12, equal_nan=True)


def test_more_models_than_sign_matrices_hold_give_the_same() -> None:
    rng = np.random.default_rng(6)
    models = MOST_MODELS + 200
    x, y = rng.normal(size=(models, 2)), rng.normal(size=models)
    sets = np.zeros((30, models))
    for row in sets:
        row[rng.choice(models, 90, replace=False)] = 1
    subset_values, whole_values = set_correlations(x, y, sets), correlations(x, y)
    for metric in REFERENCE:
        for number, row in enumerate(sets):
            inside = row > 0
            assert subset_values[metric][1, number] == pytest.approx(
                reference(metric, x[inside, 1], y[inside]), abs=1e-12
            )
        assert whole_values[metric][0] == pytest.approx(reference(metric, x[:, 0], y), abs=1e-12)


def test_a_task_that_is_constant_in_a_subset_is_undefined_there() -> None:
    x = np.array([[1.0], [1.0], [1.0], [2.0]])
    values = set_correlations(x, [1.0, 2.0, 3.0, 4.0], [[1, 1, 1, 0], [1, 1, 1, 1]])
    for metric in REFERENCE:
        assert np.isnan(values[metric][0, 0])
        assert values[metric][0, 1] > 0


def test_large_offsets_cost_no_precision() -> None:
    x, y = np.random.default_rng(7).normal(size=(12, 3)), np.random.default_rng(8).normal(size=12)
    values = correlations(1e6 + x, 1e6 + y)["pearson"]
    assert np.allclose(values, correlations(x, y)["pearson"], atol=1e-8)


@pytest.mark.parametrize("metric", ["spearman", "kendall"])
def test_a_bootstrap_of_very_many_models_agrees_too(metric: str) -> None:
    rng = np.random.default_rng(9)
    models = MOST_MODELS + 100
    x, y = rng.integers(0, 40, (models, 1)).astype(float), rng.integers(0, 40, models).astype(float)
    x[rng.random(x.shape) < 0.1] = np.nan
    drawn = rng.integers(0, 60, 80)
    value = set_correlations(x, y, np.bincount(drawn, minlength=models)[None, :])[metric][0, 0]
    assert value == pytest.approx(reference(metric, x[drawn, 0], y[drawn]), abs=1e-12)
