"""The digest of a forecast's inputs: whatever enters the forecast changes it, and nothing else does."""

import random
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstlight.forecasts.inputs import ForecastInputs
from passuntil import Tally, TallyRow

ROWS = tuple(
    TallyRow(
        model=f"m{size}",
        n_params=size,
        instance=instance,
        tally=Tally(90 + size, 3, 90, r=3, floor=90 + size, cap=500),
        tokens=20.0 * size,
        nll=1.5,
        task=task,
    )
    for size in (1, 2, 3)
    for instance in ("a", "b")
    for task in ("total v1", "products v1")
)
INPUTS = ForecastInputs(ROWS, "total v1", 40.0, 0.9)
#: Another allowed value of every field, whatever the field's other neighbours hold.
OTHER_INPUTS: dict[str, Any] = {
    "rows": ROWS[1:],
    "task": "products v1",
    "target": 40.5,
    "level": 0.95,
    "scale": "tokens",
    "seed": 1,
    "version": "another",
}
OTHER_ROW: dict[str, Any] = {
    "model": "other",
    "n_params": 1.5,
    "instance": "other",
    "tally": Tally(70, 3, r=4, cap=500),
    "tokens": None,
    "nll": 1.25,
    "task": "total v2",
}
#: A finished count of a rule, and each of its fields changed where the others allow it.
TALLY = Tally(50, 2, 50, r=2, floor=40, cap=500)
OTHER_TALLY = {
    "draws": (Tally(50, 2, r=3, cap=500), Tally(51, 2, r=3, cap=500)),
    "passes": (Tally(50, 2, r=3, cap=500), Tally(50, 1, r=3, cap=500)),
    "stopped_at": (Tally(50, 2, 30, r=2, floor=50), Tally(50, 2, 31, r=2, floor=50)),
    "r": (Tally(500, 2, r=3, cap=500), Tally(500, 2, r=4, cap=500)),
    "floor": (TALLY, replace(TALLY, floor=41)),
    "cap": (TALLY, replace(TALLY, cap=501)),
    "extended": (TALLY, replace(TALLY, extended=True)),
}


def with_row(row: TallyRow) -> ForecastInputs:
    return replace(INPUTS, rows=(row, *ROWS[1:]))


@pytest.mark.parametrize("name", [field.name for field in fields(ForecastInputs)])
def test_every_input_enters_the_digest(name: str) -> None:
    assert replace(INPUTS, **{name: OTHER_INPUTS[name]}).digest != INPUTS.digest


@pytest.mark.parametrize("name", [field.name for field in fields(TallyRow)])
def test_every_field_of_a_row_enters_the_digest(name: str) -> None:
    assert with_row(replace(ROWS[0], **{name: OTHER_ROW[name]})).digest != INPUTS.digest


@pytest.mark.parametrize("name", [field.name for field in fields(Tally)])
def test_every_field_of_a_tally_enters_the_digest(name: str) -> None:
    before, after = OTHER_TALLY[name]
    assert [
        field.name for field in fields(Tally) if getattr(before, field.name) != getattr(after, field.name)
    ] == [name]
    assert with_row(replace(ROWS[0], tally=before)).digest != with_row(replace(ROWS[0], tally=after)).digest


@given(
    st.floats(1e-3, 1e9),
    st.floats(0, 1e3) | st.none(),
    st.floats(1e-3, 1e9),
    st.floats(0, 1e3) | st.none(),
)
def test_rows_that_differ_in_the_last_digit_differ_in_the_digest(
    size: float, nll: float | None, other_size: float, other_nll: float | None
) -> None:
    row, other = (replace(ROWS[0], n_params=n, nll=x) for n, x in ((size, nll), (other_size, other_nll)))
    assert (with_row(row).digest == with_row(other).digest) == (row == other)


@given(st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_enter_the_digest(order: random.Random) -> None:
    shuffled = list(ROWS)
    order.shuffle(shuffled)
    assert replace(INPUTS, rows=tuple(shuffled)).digest == INPUTS.digest


def test_whole_numbers_are_no_other_inputs_than_equal_floats() -> None:
    assert with_row(replace(ROWS[0], n_params=1)).digest == with_row(replace(ROWS[0], n_params=1.0)).digest
