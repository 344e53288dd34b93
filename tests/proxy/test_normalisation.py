from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from proxy import ProxyError
from proxy.relevance import FeatureNormaliser, SampleNormaliser, TwoWayNormaliser, two_way

SCORES = np.random.default_rng(0).normal(size=(9, 5)) * [1, 10, 3, 0.1, 50] + [0, 40, 2, 1, 7]
TARGET = np.random.default_rng(1).normal(size=9)


def test_two_way_is_a_z_score_per_task_and_then_per_model() -> None:
    assert np.allclose(two_way(SCORES), zscore(zscore(SCORES, axis=0), axis=1))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1.0, 2.0]], r"not the shape \(1, 2\)"),
        ([[1.0, 2.0], [np.nan, 3.0]], "model 1 on task 0 is nan"),
        ([[1.0, 2.0, 0.0], [1.0, 3.0, 5.0], [1.0, 5.0, 2.0]], "task 0 has the same score"),
        ([[1.0, np.inf], [2.0, 3.0]], "model 0 on task 1 is inf"),
    ],
)
def test_bad_scores_are_refused_with_the_place(scores: list[list[float]], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        two_way(scores)


def test_the_transformers_compose_to_the_function() -> None:
    pipeline = make_pipeline(FeatureNormaliser(), SampleNormaliser())
    assert np.allclose(pipeline.fit_transform(SCORES), two_way(SCORES))
    assert np.allclose(clone(TwoWayNormaliser(sample=False)).fit_transform(SCORES), zscore(SCORES, axis=0))
    assert np.allclose(TwoWayNormaliser(feature=False).fit_transform(SCORES), zscore(SCORES, axis=1))


def test_ddof_changes_no_correlation() -> None:
    a, b = (TwoWayNormaliser(ddof=ddof).fit_transform(SCORES) for ddof in (0, 1))
    assert np.allclose(np.corrcoef(a.T), np.corrcoef(b.T))


def test_the_target_is_placed_by_the_candidates_levels_and_shifts_none_of_them() -> None:
    normaliser = TwoWayNormaliser().fit(SCORES, TARGET)
    first = zscore(SCORES, axis=0)
    expected = (zscore(TARGET) - first.mean(axis=1)) / first.std(axis=1)
    assert np.allclose(normaliser.transform_target(SCORES, TARGET), expected)
    assert np.allclose(normaliser.transform(SCORES), two_way(SCORES))


def test_with_the_target_included_it_is_one_more_task() -> None:
    normaliser = TwoWayNormaliser(target="included").fit(SCORES, TARGET)
    together = two_way(np.column_stack([SCORES, TARGET]))
    assert np.allclose(normaliser.transform(SCORES, TARGET), together[:, :-1])
    assert np.allclose(normaliser.transform_target(SCORES, TARGET), together[:, -1])


def test_gaps_stay_gaps_and_enter_no_mean() -> None:
    holes = SCORES.copy()
    holes[2, 1] = holes[5, 3] = np.nan
    out = TwoWayNormaliser().fit_transform(holes)
    assert (np.isnan(out) == np.isnan(holes)).all()
    assert np.allclose(np.nanmean(out, axis=1), 0)
    assert np.allclose(np.nanstd(out, axis=1), 1)


def test_other_models_are_put_on_the_scale_of_the_fitted_ones() -> None:
    normaliser = FeatureNormaliser().fit(SCORES[:5])
    assert np.allclose(normaliser.transform(SCORES), (SCORES - SCORES[:5].mean(0)) / SCORES[:5].std(0))
    with pytest.raises(ProxyError, match="4 tasks given, 5 were fitted"):
        normaliser.transform(SCORES[:, :4])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: TwoWayNormaliser(target="both").fit(SCORES), "'both'"),  # type: ignore[arg-type]
        (lambda: TwoWayNormaliser().fit(SCORES).transform_target(SCORES, TARGET), "without a target"),
        (lambda: TwoWayNormaliser().fit(SCORES, TARGET[:4]), "for 9 models"),
        (lambda: SampleNormaliser().fit_transform([[1.0, 1.0], [2.0, 3.0]]), "model 0 has the same score"),
        (lambda: FeatureNormaliser().fit([[1.0, np.nan], [2.0, 3.0]]), "task 1 has fewer than 2"),
    ],
)
def test_wrong_uses_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        call()
