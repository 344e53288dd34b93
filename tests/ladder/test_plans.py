"""Sizes, schedules, mixtures and plans: what the ladder promises before anything is trained."""

from __future__ import annotations

import math

import pytest

from examples.ladder.plans import (
    CHOSEN,
    LARGE_WIDTH,
    SMALL_WIDTHS,
    group_specs,
    main_specs,
    mixtures,
    specs,
    stacks,
)
from examples.ladder.shapes import WIDTHS, Shape, schedule


def test_the_ladder_runs_from_twenty_thousand_to_four_million_parameters() -> None:
    counts = [Shape(d).n_params for d in WIDTHS]
    assert len(counts) >= 8
    assert counts == sorted(counts)
    assert counts[0] < 25_000
    assert counts[-1] >= 4_000_000
    assert len({Shape(d).name for d in WIDTHS}) == len(WIDTHS)


@pytest.mark.parametrize("d", WIDTHS)
def test_the_parameter_count_is_the_sum_of_the_listed_parameters(d: int) -> None:
    listed = sum(math.prod(size) for name, size, _ in Shape(d).parameters() if name != "embed")
    assert listed == Shape(d).n_params


@pytest.mark.parametrize("d", WIDTHS)
def test_tokens_are_twenty_a_parameter_and_the_rate_falls_to_a_tenth(d: int) -> None:
    plan = schedule(Shape(d), 20)
    assert plan.tokens == 20 * Shape(d).n_params
    assert max(plan.rate(step) for step in range(plan.steps)) <= plan.peak_rate
    assert plan.rate(plan.steps) == pytest.approx(plan.peak_rate / 10)


def test_mixtures_are_shares_and_leave_no_task_out() -> None:
    all_mixtures = mixtures(CHOSEN)
    assert len(all_mixtures) >= 10
    for shares in all_mixtures.values():
        assert set(shares) == set(CHOSEN)
        assert sum(shares.values()) == pytest.approx(1, abs=1e-4)
        assert min(shares.values()) > 0.01


def test_the_groups_hold_every_mixture_at_four_sizes_and_five_seeds_at_the_small_ones() -> None:
    models = main_specs() + group_specs()
    assert len({spec.key for spec in models}) == len(models)
    for d in (*SMALL_WIDTHS, LARGE_WIDTH):
        assert {s.mixture for s in models if s.d == d and s.seed == 0} == set(mixtures(CHOSEN))
    for d in SMALL_WIDTHS:
        assert len({s.seed for s in models if s.d == d and s.mixture == "main"}) >= 5


def test_a_stack_holds_one_size_and_every_model_once() -> None:
    models = specs("full", None)
    parts = stacks(models, 8)
    assert sorted(s.key for part in parts for s in part) == sorted(s.key for s in models)
    assert all(len({s.d for s in part}) == 1 and len(part) <= 8 for part in parts)
