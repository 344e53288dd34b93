"""Stopping rules: done or not, the next wave, and their plain form."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passuntil import FixedDraws, PassUntilError, Tally, UntilPasses, rule_from_dict
from passuntil.rules import LEAST_WAVE


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"r": 1}, "r must be at least 2, not 1: .* take r >= 2"),
        ({"r": 0}, "r must be at least 2, not 0"),
        ({"r": -3}, "r must be at least 0, not -3"),
        ({"r": 2.5}, "r must be a whole number, not 2.5"),
        ({"r": True}, "r must be a whole number, not True"),
        ({"r": 2, "floor": 100, "cap": 50}, r"cap \(50\) is below floor \(100\)"),
        ({"r": 20, "cap": 10}, r"cap \(10\) is below r \(20\)"),
        ({"r": 2, "cap": 0}, "cap must be at least 1, not 0"),
        ({"r": 2, "floor": -1}, "floor must be at least 0, not -1"),
    ],
)
def test_impossible_rules_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        UntilPasses(**arguments)


def test_fixed_draws_refuse_none_at_all() -> None:
    with pytest.raises(PassUntilError, match="n must be at least 1, not 0"):
        FixedDraws(0)


@pytest.mark.parametrize(
    ("counts", "done"),
    [
        ((63, 9), False),
        ((64, 5), True),
        ((64, 4), False),
        ((1000, 4), True),
        ((1200, 0), True),
        ((0, 0), False),
    ],
)
def test_a_run_is_done_at_the_floor_with_r_passes_or_at_the_cap(counts: tuple[int, int], done: bool) -> None:
    assert UntilPasses(5, floor=64, cap=1000).is_done(counts) == done


def test_a_tally_is_judged_as_its_counts_are() -> None:
    assert UntilPasses(2, cap=100).is_done(Tally(9, 2, 9, 2, 0, 100))
    assert not UntilPasses(2, cap=100).is_done(Tally(9, 1, None, 2, 0, 100))


def test_the_floor_is_asked_for_first_in_full() -> None:
    rule = UntilPasses(2, floor=1024, cap=10_000)
    assert rule.next_draws(draws=0, passes=0, wave=4096) == 1024
    assert rule.next_draws(draws=1000, passes=500, wave=4096) == 24


@given(st.integers(2, 12), st.integers(0, 500), st.integers(500, 5000), st.integers(1, 3000), st.data())
def test_a_wave_is_repeatable_bounded_and_empty_only_when_done(
    r: int, floor: int, cap: int, wave: int, data: st.DataObject
) -> None:
    rule = UntilPasses(r, floor=floor, cap=cap)
    draws = data.draw(st.integers(0, cap + 100))
    passes = data.draw(st.integers(0, draws))
    asked = rule.next_draws(draws=draws, passes=passes, wave=wave)
    assert asked == UntilPasses(r, floor=floor, cap=cap).next_draws(draws=draws, passes=passes, wave=wave)
    assert 0 <= asked <= wave
    assert draws + asked <= max(cap, draws)
    assert (asked == 0) == rule.is_done((draws, passes))


@pytest.mark.parametrize("p", [0.5, 0.05, 0.004])
def test_waves_finish_with_little_overshoot(p: float) -> None:
    rule, generator = UntilPasses(5, cap=10**5), np.random.default_rng(7)
    drawn, counted, waves = 0, 0, 0
    for _ in range(200):
        bits = np.zeros(0, dtype=bool)
        while ask := rule.next_draws(draws=bits.size, passes=int(bits.sum()), wave=4096):
            bits = np.concatenate([bits, generator.random(ask) < p])
            waves += 1
        drawn, counted = drawn + bits.size, counted + rule.settle(bits).draws
    assert drawn <= 1.35 * counted + 200 * LEAST_WAVE
    assert waves / 200 < 12


@pytest.mark.parametrize("wave", [0, -1, 2.5, None])
def test_a_wave_of_no_draws_is_refused(wave: Any) -> None:
    with pytest.raises(PassUntilError, match="wave must be"):
        UntilPasses(2).next_draws(draws=0, passes=0, wave=wave)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(PassUntilError, match=r"passes \(5\) exceed draws \(4\)"):
        UntilPasses(2).next_draws(draws=4, passes=5, wave=10)
    with pytest.raises(PassUntilError, match=r"counts must be a Tally or \(draws, passes\)"):
        UntilPasses(2).is_done(7)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", [UntilPasses(5, floor=64, cap=10_000), FixedDraws(1600)])
def test_rules_survive_json(rule: UntilPasses | FixedDraws) -> None:
    assert rule_from_dict(json.loads(json.dumps(rule.to_dict()))) == rule
    assert type(rule).from_dict(rule.to_dict()) == rule


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "sequential"}, "unknown stopping rule"),
        ({}, "unknown stopping rule"),
        (None, "unknown stopping rule None"),
        ({"kind": "until_passes", "r": 5, "ceiling": 9}, "has no ceiling; it takes r, floor, cap"),
        ({"kind": "until_passes"}, "lacks 'r'"),
        ({"kind": "fixed_draws"}, "lacks 'n'"),
        ({"kind": "until_passes", "r": "5"}, "r must be a whole number, not '5'"),
    ],
)
def test_a_damaged_description_of_a_rule_is_refused(data: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        rule_from_dict(data)


def test_fixed_draws_ask_for_what_is_left() -> None:
    rule = FixedDraws(100)
    assert [rule.next_draws(draws=d, passes=0, wave=64) for d in (0, 64, 100, 120)] == [64, 36, 0, 0]
    assert rule.settle([1] * 120) == Tally(100, 100, cap=100)
    assert rule.is_done((100, 3))
