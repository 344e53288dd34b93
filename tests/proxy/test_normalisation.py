import numpy as np
import pytest
from scipy.stats import zscore

from proxy import ProxyError, two_way


def test_two_way_is_a_z_score_per_task_and_then_per_model() -> None:
    scores = np.random.default_rng(0).normal(size=(9, 5)) * [1, 10, 3, 0.1, 50] + [0, 40, 2, 1, 7]
    assert np.allclose(two_way(scores), zscore(zscore(scores, axis=0), axis=1))


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([[1.0, 2.0]], r"not the shape \(1, 2\)"),
        ([[1.0, 2.0], [np.nan, 3.0]], "model 1 on task 0 is nan"),
        ([[1.0, 2.0, 0.0], [1.0, 3.0, 5.0], [1.0, 5.0, 2.0]], "task 0 has the same score"),
    ],
)
def test_bad_scores_are_refused_with_the_place(scores: list[list[float]], message: str) -> None:
    with pytest.raises(ProxyError, match=message):
        two_way(scores)
