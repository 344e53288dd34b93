"""Stopping rules: done or not, the next wave, and their plain form."""

from __future__ import annotations

import json
from typing import Any

import pytest

from passuntil import FixedDraws, PassUntilError, Tally, UntilPasses, rule_from_dict


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


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(PassUntilError, match=r"passes \(5\) exceed draws \(4\)"):
        UntilPasses(2).is_done((4, 5))
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
    assert rule.draws_needed([0, 64, 100, 120], [0, 0, 0, 0], level=0.95).tolist() == [100, 36, 0, 0]
    assert rule.expected_left([0, 64, 100, 120], [0, 0, 0, 0]).tolist() == [100, 36, 0, 0]
    assert rule.settle([1] * 120) == Tally(100, 100, cap=100)
    assert rule.is_done((100, 3))
