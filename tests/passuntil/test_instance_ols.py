"""The paper's instance-level lines: golden fits, instances without a line, intervals, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from passuntil import PassUntilError
from passuntil.laws import InstanceOLS

SIZES = np.array([0.036, 0.109, 0.241, 0.499, 0.892, 1.542])


def test_the_lines_of_table_2_come_out_beside_each_other() -> None:
    passes = np.array([[0, 0, 0, 1, 3, 13], [6, 82, 561, 580, 909, 1275]])
    law = InstanceOLS().fit(SIZES, passes / 1600)
    assert np.exp(law.log_c_) == pytest.approx([5.783, 0.429], abs=1e-3)
    assert law.alpha_ == pytest.approx([0.378, 0.803], abs=6e-4)
    assert law.predict(2.45) == pytest.approx([0.0162, 0.8115], abs=1e-4)
    assert law.forecast(2.45).mean == pytest.approx((0.0162 + 0.8115) / 2, abs=1e-4)


def test_an_instance_without_a_line_keeps_what_it_showed_last() -> None:
    values = np.array([[0.1, 0.2, 0.3, 0.4], [0, 0, 0, 0.2], [1, 1, 1, 1], [0, 0, 0, 0]])
    law = InstanceOLS().fit([1, 2, 3, 4], values)
    assert law.fitted_.tolist() == [True, False, False, False]
    assert law.predict(8)[1:].tolist() == [0.2, 1.0, 0.0]


def test_a_cell_that_was_not_measured_is_left_out() -> None:
    full = np.exp(-3 * SIZES**-0.3)[None]
    holed = full.copy()
    holed[0, 2] = np.nan
    two = np.vstack([holed, full])
    assert InstanceOLS().fit(SIZES, two).alpha_ == pytest.approx([0.3, 0.3])


def test_a_lawful_population_is_forecast_within_its_interval() -> None:
    values = np.exp(-np.multiply.outer([2.0, 4.0, 8.0], SIZES**-0.3))
    forecast = InstanceOLS().fit(SIZES, values).forecast(2.45)
    assert forecast.mean == pytest.approx(np.exp(-np.array([2, 4, 8]) * 2.45**-0.3).mean())
    assert forecast.low <= forecast.mean <= forecast.high


@pytest.mark.parametrize(
    ("sizes", "values", "message"),
    [
        ([1, 2], [[0.1, 0.2]], "3 distinct sizes, not 2"),
        ([1, 2, 3], [[0.1, 0.2]], "a column for each of the 3 sizes"),
        ([1, 2, 3], [[0.1, 0.2, 1.3]], r"must lie in \[0, 1\], not 1.3"),
        ([1, 2, 3], [[0.1, 0.2, np.inf]], r"must lie in \[0, 1\], not inf"),
        ([1, 2, 3], [[np.nan, 0.2, 0.3]], "without any value"),
        ([1, 2, 3], [["a", 0.2, 0.3]], "pass_probability must be numbers"),
        ([1, 2, 3], [[0.0, 0.2, 0.3]], "no instance has a pass probability between 0 and 1 at 3 sizes"),
    ],
)
def test_what_cannot_be_fitted_is_refused(sizes: Any, values: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        InstanceOLS().fit(sizes, values)
