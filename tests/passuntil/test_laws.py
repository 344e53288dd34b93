"""The dataset-level law: golden fits of the paper's Table 2, recovery, intervals, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from passuntil import PassUntilError
from passuntil.laws import DatasetOLS

#: N in billions by the shape rule of the paper's Table 3, 11.5 L d^2; the seventh, 2.4487, is the target.
SIZES = np.array(
    [
        11.5 * layers * width**2 / 1e9
        for layers, width in [(12, 512), (16, 768), (20, 1024), (24, 1344), (28, 1664), (32, 2048)]
    ]
)


@pytest.mark.parametrize(
    ("passes", "c", "alpha", "predicted", "used"),
    [
        ([0, 0, 0, 1, 3, 13], 5.783, 0.378, 0.0162, 3),
        ([6, 82, 561, 580, 909, 1275], 0.429, 0.803, 0.8115, 6),
    ],
    ids=["instance 20", "instance 24"],
)
def test_the_fits_of_table_2_come_out(
    passes: list[int], c: float, alpha: float, predicted: float, used: int
) -> None:
    law = DatasetOLS().fit(SIZES, np.array(passes) / 1600)
    assert law.c_ == pytest.approx(c, abs=0.002)
    assert law.alpha_ == pytest.approx(alpha, abs=0.001)
    # The printed sizes, rounded to three digits, give .8115 for instance 24; the shape rule gives .8117.
    assert law.predict([2.45])[0] == pytest.approx(predicted, abs=3e-4)
    assert law.n_used_ == used
    assert law.dropped_ == tuple(SIZES[: 6 - used])


@given(st.floats(0.5, 20), st.floats(0.05, 0.9), st.integers(3, 8))
def test_an_exact_law_is_recovered(c: float, alpha: float, count: int) -> None:
    sizes = np.geomspace(0.3, 3, count)
    law = DatasetOLS().fit(sizes, np.exp(-c * sizes**-alpha))
    assert law.c_ == pytest.approx(c, rel=1e-6)
    assert law.alpha_ == pytest.approx(alpha, rel=1e-6)
    forecast = law.forecast(6.0)
    assert forecast.low <= forecast.mean <= forecast.high
    assert forecast.mean == pytest.approx(np.exp(-c * 6.0**-alpha), rel=1e-6)


def test_the_unit_of_size_changes_c_and_nothing_else() -> None:
    values = np.array([0.01, 0.03, 0.05, 0.08, 0.12, 0.2])
    small, large = DatasetOLS().fit(SIZES, values), DatasetOLS().fit(SIZES * 1e9, values)
    assert large.alpha_ == pytest.approx(small.alpha_)
    assert large.c_ == pytest.approx(small.c_ * 1e9**small.alpha_)
    a, b = small.forecast(2.45), large.forecast(2.45e9)
    assert (a.mean, a.low, a.high) == pytest.approx((b.mean, b.low, b.high))


def test_the_interval_covers_a_new_model_at_its_level() -> None:
    generator, hits, repeats = np.random.default_rng(11), 0, 3000
    line = np.log(3.0) - 0.3 * np.log(np.append(SIZES, 2.4487))
    for _ in range(repeats):
        values = np.exp(-np.exp(line + 0.1 * generator.standard_normal(7)))
        forecast = DatasetOLS().fit(SIZES, values[:6]).forecast(2.4487, level=0.9)
        hits += forecast.low <= values[6] <= forecast.high
    # Three standard errors of a share of .9 in 3000 are .016.
    assert hits / repeats == pytest.approx(0.9, abs=0.017)


def test_the_law_is_a_scikit_learn_estimator() -> None:
    law = DatasetOLS().fit([1, 2, 3], [0.1, 0.2, 0.3])
    assert law.get_params() == {}
    assert not hasattr(clone(law), "alpha_")


def test_a_law_that_is_not_fitted_says_so() -> None:
    with pytest.raises(NotFittedError, match="call fit first"):
        DatasetOLS().predict([1.0])
    with pytest.raises(NotFittedError, match="call fit first"):
        DatasetOLS().forecast(1.0)


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1, 2], [0.1, 0.2], "the fit needs 3 distinct sizes .* not 2"),
        ([1, 2, 2], [0.1, 0.2, 0.3], "3 distinct sizes .* not 2"),
        ([1, 2, 3], [0.0, 0.2, 0.3], "3 distinct sizes .* not 2"),
        ([1, 2, 3], [0.0, 0.0, 0.0], "3 distinct sizes .* not 0"),
        ([1, 2, 3], [0.1, 0.2, 1.0], "pass_probability is 1 at size 3"),
        ([1, 2, 3], [0.1, 0.2, 30], r"pass_probability must lie in \[0, 1\), not 30"),
        ([1, 2, 3], [0.1, 0.2, -0.1], r"pass_probability must lie in \[0, 1\), not -0.1"),
        ([1, 2, 3], [0.1, 0.2, np.nan], "pass_probability must be finite, not nan"),
        ([1, 2, np.inf], [0.1, 0.2, 0.3], "n_params must be finite, not inf"),
        ([0, 2, 3], [0.1, 0.2, 0.3], "n_params must be above 0, not 0"),
        (
            [1, 2, 3, 4],
            [0.1, 0.2, 0.3],
            "n_params and pass_probability must have a value for each model, not 4 and 3 values",
        ),
        ([[1, 2, 3]], [[0.1, 0.2, 0.3]], "n_params must have one dimension"),
        (["a", 2, 3], [0.1, 0.2, 0.3], "n_params must be numbers"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes: Any, values: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        DatasetOLS().fit(sizes, values)


@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf, "big", None])
def test_a_forecast_for_no_size_is_refused(size: Any) -> None:
    with pytest.raises(PassUntilError, match="n_params must be"):
        DatasetOLS().fit([1, 2, 3], [0.1, 0.2, 0.3]).forecast(size)
