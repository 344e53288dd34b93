"""Tallies: what they accept, what they refuse, and how outcomes in draw order become one."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passuntil import FixedDraws, PassUntilError, Tally, UntilPasses


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"draws": -1, "passes": 0}, "draws must be at least 0, not -1"),
        ({"draws": 3, "passes": -2}, "passes must be at least 0, not -2"),
        ({"draws": 1.5, "passes": 0}, "draws must be a whole number, not 1.5"),
        ({"draws": 5.0, "passes": 0}, "draws must be a whole number, not 5.0"),
        ({"draws": True, "passes": 0}, "draws must be a whole number, not True"),
        ({"draws": np.bool_(True), "passes": 0}, "draws must be a whole number"),
        ({"draws": "5", "passes": 0}, "draws must be a whole number, not '5'"),
        ({"draws": float("nan"), "passes": 0}, "draws must be a whole number, not nan"),
        ({"draws": None, "passes": 0}, "draws must be a whole number, not None"),
        ({"draws": 10**13, "passes": 0}, "draws must be at most"),
        ({"draws": 3, "passes": 4}, r"passes \(4\) exceed draws \(3\)"),
        ({"draws": 3, "passes": 1, "stopped_at": 3}, r"stopped_at \(3\) needs r"),
        ({"draws": 3, "passes": 1, "stopped_at": 0, "r": 1}, "stopped_at must be at least 1, not 0"),
        ({"draws": 3, "passes": 2, "stopped_at": 1, "r": 2}, r"stopped_at \(1\) is below r \(2\)"),
        ({"draws": 3, "passes": 2, "stopped_at": 4, "r": 2}, r"stopped_at \(4\) exceeds draws \(3\)"),
        (
            {"draws": 9, "passes": 1, "stopped_at": 9, "r": 2},
            r"stopped_at \(9\) stands for r \(2\) passes, but passes is 1",
        ),
        ({"draws": 9, "passes": 3, "r": 2}, r"passes \(3\) reach r \(2\) but stopped_at is missing"),
        ({"draws": 9, "passes": 2, "stopped_at": 5, "r": 2}, r"draws \(9\) go on after the stop at draw 5"),
        (
            {"draws": 10, "passes": 9, "stopped_at": 8, "r": 2, "floor": 10},
            r"passes \(9\) are too many: draws \(10\) leave room for 2 after the r-th \(r = 2\) at draw 8",
        ),
        ({"draws": 9, "passes": 1, "r": 2, "cap": 8}, r"draws \(9\) exceed cap \(8\)"),
        ({"draws": 9, "passes": 1, "r": 2, "floor": 20, "cap": 10}, r"cap \(10\) is below floor \(20\)"),
        ({"draws": 9, "passes": 1, "r": 0}, "r must be at least 1, not 0"),
        ({"draws": 9, "passes": 1, "floor": -1}, "floor must be at least 0, not -1"),
        ({"draws": 9, "passes": 1, "cap": 0}, "cap must be at least 1, not 0"),
    ],
)
def test_counts_that_cannot_be_are_refused_with_the_value(counts: dict[str, Any], message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        Tally(**counts)


def test_the_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="exceed"):
        Tally(1, 2)


def test_numpy_integers_become_plain_ones() -> None:
    tally = Tally(np.int32(9), np.uint8(2), np.int64(9), np.int16(2))
    assert tally == Tally(9, 2, 9, 2)
    assert type(tally.draws) is int


def test_a_tally_is_frozen_hashable_and_survives_pickling() -> None:
    tally = Tally(9, 2, 9, 2)
    with pytest.raises(FrozenInstanceError):
        tally.draws = 10  # type: ignore[misc]
    assert len({tally, Tally(9, 2, 9, 2)}) == 1
    assert pickle.loads(pickle.dumps(tally)) == tally


@pytest.mark.parametrize(
    ("tally", "outcome"),
    [
        (Tally(10, 1), "fixed"),
        (Tally(10, 1, cap=10), "fixed"),
        (Tally(9, 1, cap=10), "unfinished"),
        (Tally(9, 2, 9, 2), "stopped"),
        (Tally(64, 9, 20, 5, 64, 100), "floor"),
        (Tally(40, 9, 20, 5, 64, 100), "unfinished"),
        (Tally(100, 4, None, 5, 64, 100), "capped"),
        (Tally(100, 5, 100, 5, 64, 100), "stopped"),
        (Tally(100, 4, None, 5, 64), "unfinished"),
        (Tally(0, 0, None, 5), "unfinished"),
    ],
)
def test_a_tally_knows_how_its_run_ended(tally: Tally, outcome: str) -> None:
    assert tally.outcome == outcome
    assert tally.finished == (outcome != "unfinished")
    assert tally.capped == (outcome == "capped")


def test_overshoot_after_the_rth_pass_is_dropped() -> None:
    assert Tally.from_bits([0, 1, 0, 1, 1, 1], r=2) == Tally(4, 2, 4, 2)


def test_the_floor_is_drawn_in_full_even_when_passes_come_early() -> None:
    assert Tally.from_bits([1, 1, 0, 1, 0, 1], r=2, floor=5) == Tally(5, 3, 2, 2, 5)


def test_outcomes_beyond_the_cap_do_not_count() -> None:
    assert Tally.from_bits([0, 1, 0, 0, 1], r=2, cap=4) == Tally(4, 1, None, 2, None, 4)


def test_bits_that_end_early_give_an_unfinished_tally() -> None:
    assert not Tally.from_bits([0, 1, 0], r=2, cap=10).finished
    assert not Tally.from_bits([], r=2, cap=10).finished


@pytest.mark.parametrize(
    ("bits", "message"),
    [
        ("0101", "not text"),
        ([0, 1, 2], "bits must be 0 or 1, not 2"),
        ([0.0, 0.5], "bits must be 0 or 1, not 0.5"),
        ([0, None], "bits must be 0 or 1, not None"),
        ([[0, 1]], "one dimension"),
        (7, "sequence of 0 and 1, not int"),
        ([0.0, float("nan")], "bits must be 0 or 1, not nan"),
    ],
)
def test_bits_other_than_zero_and_one_are_refused(bits: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        Tally.from_bits(bits, r=2)


@given(st.lists(st.booleans(), max_size=80), st.integers(2, 6), st.integers(0, 30), st.integers(30, 60))
def test_settling_a_rule_is_counting_its_bits(bits: list[bool], r: int, floor: int, cap: int) -> None:
    rule = UntilPasses(r, floor=floor, cap=cap)
    tally = rule.settle(bits)
    assert tally == Tally.from_bits(np.array(bits, dtype=int), r=r, floor=floor, cap=cap)
    assert tally.finished == rule.is_done(tally)
    if tally.finished:
        assert rule.settle([*bits, True, False]) == tally
        assert rule.settle(bits[: tally.draws]) == tally
    assert FixedDraws(cap).settle(bits).draws == min(cap, len(bits))
