"""Allocation over the instances of a run: the optimum, the rounds, and an estimate without bias."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from passuntil import DatasetPrecision, FixedDraws, PassUntilError, rule_from_dict
from passuntil.rules.allocation import Rounds, neyman, weighted_estimates


def run(rule: DatasetPrecision, p: np.ndarray, generator: np.random.Generator, costs: Any = None) -> Rounds:
    """Draw what the rule asks for until it is done."""
    counts, round_draws, round_passes = Rounds.none(p.size), [], []
    while not (answer := rule.allocate(counts, wave=10**9, costs=costs)).done:
        round_draws.append(answer.draws)
        round_passes.append(generator.binomial(answer.draws, p))
        counts = Rounds(np.array(round_draws), np.array(round_passes))
    return counts


def test_the_allocation_is_proportional_to_the_root_of_variance_over_cost() -> None:
    x, met = neyman([0.25, 0.01, 0.04], 0.001, costs=[1, 4, 1], most=10**6)
    assert met
    assert x / x[0] == pytest.approx([1, 0.1, 0.4], rel=1e-6)
    assert (np.array([0.25, 0.01, 0.04]) / x).sum() == pytest.approx(0.001)


@given(st.lists(st.floats(1e-6, 0.25), min_size=2, max_size=6), st.data())
@settings(max_examples=25, deadline=None)
def test_no_other_allocation_is_cheaper(spread: list[float], data: st.DataObject) -> None:
    v = np.array(spread)
    cost = np.array(data.draw(st.lists(st.floats(0.1, 10), min_size=v.size, max_size=v.size)))
    low, high = 5.0, 400.0
    variance = float((v / 40.0).sum())
    x, met = neyman(v, variance, costs=cost, least=low, most=high)
    assert met
    assert ((low - 1e-9 <= x) & (x <= high + 1e-9)).all()
    assert (v / x).sum() <= variance * (1 + 1e-9)
    best = minimize(
        lambda y: float(cost @ y),
        np.full(v.size, 40.0),
        bounds=[(low, high)] * v.size,
        constraints={"type": "ineq", "fun": lambda y: (variance - (v / y).sum()) / variance},
        method="SLSQP",
    )
    assert cost @ x <= best.fun * (1 + 1e-3)


def test_a_variance_that_the_most_draws_do_not_reach_is_not_met() -> None:
    x, met = neyman([0.25, 0.25, 0.0], 1e-6, least=2, most=100)
    assert not met
    assert x.tolist() == [100, 100, 2]


@pytest.mark.parametrize("mean", [0.2, 2e-3, 2e-5])
def test_the_estimate_is_unbiased_and_meets_its_target_at_every_p(mean: float) -> None:
    generator = np.random.default_rng(8)
    spread = np.geomspace(0.1, 10, 16)
    p = spread / spread.mean() * mean
    rule = DatasetPrecision(0.08, relative=True, cap=10**8)
    errors, reported, wide, runs = [], [], 0, 60
    for _ in range(runs):
        counts = run(rule, p, generator)
        estimate = rule.estimate(counts)
        errors.append(estimate.mean / p.mean() - 1)
        reported.append(estimate.se_draws / p.mean())
        wide += p.mean() in estimate.sequence
    error = np.std(errors, ddof=1) / math.sqrt(runs)
    assert abs(np.mean(errors)) < 3.5 * error
    assert np.sqrt(np.mean(np.square(reported))) == pytest.approx(np.std(errors), rel=0.25)
    assert np.sqrt(np.mean(np.square(reported))) == pytest.approx(0.08, rel=0.15)
    assert wide >= 0.95 * runs


def test_every_path_of_a_small_run_averages_to_p_where_s_over_n_does_not() -> None:
    # Two rounds whose second depends on the first, summed over all outcomes, with the rule's own weights.
    second = {0: (2, 0.3), 1: (6, 0.3), 2: (9, 0.3)}
    p, first_n, total, naive = 0.23, 2, 0.0, 0.0
    for s1 in range(first_n + 1):
        n2, weight = second[s1]
        for s2 in range(n2 + 1):
            chance = (
                math.comb(first_n, s1) * p**s1 * (1 - p) ** (first_n - s1)
                * math.comb(n2, s2) * p**s2 * (1 - p) ** (n2 - s2)
            )  # fmt: skip
            rounds = Rounds(np.array([[first_n], [n2]]), np.array([[s1], [s2]]))
            value, _ = weighted_estimates(rounds, np.array([[weight], [1 - weight]]))
            total += chance * float(value[0])
            naive += chance * (s1 + s2) / (first_n + n2)
    assert total == pytest.approx(p, rel=1e-12)
    assert naive < 0.9 * p


def test_a_model_like_it_spares_the_pilot_and_a_misleading_one_does_no_harm() -> None:
    generator = np.random.default_rng(4)
    p = generator.beta(0.3, 9, 60)
    smaller = np.array([[10_000, round(10_000 * q)] for q in p**1.2 / 1.5])
    wrong = smaller[::-1]
    draws: dict[str, list[int]] = {}
    for name, like in (("pilot", ()), ("like", smaller), ("wrong", wrong)):
        rule = DatasetPrecision(0.1, relative=True, like=like)
        errors, reported = [], []
        for _ in range(60):
            counts = run(rule, p, generator)
            estimate = rule.estimate(counts)
            draws.setdefault(name, []).append(estimate.draws)
            errors.append(estimate.mean / p.mean() - 1)
            reported.append(estimate.se_draws / p.mean())
        assert abs(np.mean(errors)) < 3.5 * np.std(errors) / math.sqrt(60), name
        assert np.sqrt(np.mean(np.square(reported))) == pytest.approx(np.std(errors), rel=0.3), name
        assert np.sqrt(np.mean(np.square(reported))) < 0.13, name
    assert np.mean(draws["like"]) < 0.9 * np.mean(draws["pilot"])


def test_a_plan_from_a_model_like_it_is_near_what_the_run_takes() -> None:
    generator = np.random.default_rng(6)
    p = generator.beta(0.3, 9, 60)
    rule = DatasetPrecision(0.05, relative=True, like=[(10_000, round(10_000 * q)) for q in p])
    planned = rule.plan(tokens_per_draw=20, tokens_per_second=1e4)
    taken = np.mean([run(rule, p, generator).totals[0].sum() for _ in range(10)])
    # The other model is no more than believed, so the plan errs on the side of more.
    assert 0.8 * taken < planned.draws < 2 * taken
    assert planned.tokens == pytest.approx(20 * planned.draws)


def test_an_allocation_is_a_function_of_the_counts() -> None:
    generator, rule = np.random.default_rng(0), DatasetPrecision(0.01)
    p = generator.beta(0.5, 10, 30)
    counts = run(rule, p, generator)
    for t in range(1, counts.draws.shape[0] + 1):
        one, two = (rule.allocate(counts.first(t), wave=10**9) for _ in range(2))
        assert (one.draws == two.draws).all()
        assert one.round == two.round
    assert rule.allocate(counts, wave=10).done


def test_waves_within_a_round_do_not_change_its_target() -> None:
    rule = DatasetPrecision(0.01, pilot=40)
    part = Rounds(np.array([[30, 40, 7]]), np.array([[3, 40, 0]]))
    answer = rule.allocate(part, wave=20)
    assert answer.draws.tolist() == [10, 0, 20]
    assert answer.target.tolist() == [40, 40, 40]
    assert not answer.done
    assert rule.allocate(Rounds.none(3), wave=20).draws.tolist() == [20, 20, 20]


def test_outcomes_in_draw_order_are_cut_into_the_same_rounds_however_far_the_engine_ran() -> None:
    generator, rule = np.random.default_rng(3), DatasetPrecision(0.02)
    p = generator.beta(0.5, 5, 12)
    bits = generator.random((12, 20_000)) < p[:, None]
    whole = rule.rounds_of(bits)
    n, _ = whole.totals
    assert rule.allocate(whole, wave=100).done
    exactly = rule.rounds_of([row[:k] for row, k in zip(bits, n, strict=True)])
    assert (exactly.draws == whole.draws).all()
    assert (exactly.passes == whole.passes).all()
    # Overshoot of some in the first round changes nothing that is asked of the others.
    ahead = rule.rounds_of([bits[0], *[row[:10] for row in bits[1:]]])
    assert ahead.draws.tolist() == [[32, *[10] * 11]]


def test_no_instance_is_starved() -> None:
    generator = np.random.default_rng(1)
    p = np.concatenate([[0.5], np.full(19, 1e-7)])
    counts = run(DatasetPrecision(0.001), p, generator)
    per_round = counts.draws[1:].astype(float)
    assert (per_round >= 2).all()
    assert (per_round >= 0.09 * per_round.mean(axis=1, keepdims=True)).all()
    assert per_round[-1, 0] > 3 * per_round[-1, 1:].mean()


def test_dear_instances_get_fewer_draws() -> None:
    p, generator = np.full(20, 0.1), np.random.default_rng(2)
    costs = np.where(np.arange(20) < 10, 9.0, 1.0)
    n, _ = run(DatasetPrecision(0.002), p, generator, costs).totals
    assert n[10:].mean() / n[:10].mean() == pytest.approx(3.0, rel=0.25)


def test_a_target_beyond_the_cap_is_said_and_ends_at_the_cap() -> None:
    generator, rule = np.random.default_rng(5), DatasetPrecision(1e-4, cap=200)
    p = np.full(8, 0.2)
    counts = run(rule, p, generator)
    n, _ = counts.totals
    assert n.max() <= 200
    answer = rule.allocate(counts, wave=10)
    assert not answer.reachable
    assert "cannot be reached with at most 200 draws" in answer.note
    estimate = rule.estimate(counts)
    assert not estimate.met
    assert estimate.se_draws > 1e-4


def test_no_pass_at_all_ends_with_a_bound() -> None:
    rule = DatasetPrecision(0.05, relative=True, cap=500)
    counts = run(rule, np.zeros(5), np.random.default_rng(0))
    estimate = rule.estimate(counts)
    assert (estimate.mean, estimate.low, estimate.se_draws) == (0.0, 0.0, 0.0)
    assert 0 < estimate.high < 0.02
    every = rule.estimate(run(DatasetPrecision(0.05, cap=500), np.ones(5), np.random.default_rng(0)))
    assert every.mean == every.high == 1.0
    assert 0.9 < every.low < 1


def test_an_estimate_before_the_end_is_provisional() -> None:
    rule = DatasetPrecision(0.01)
    counts = Rounds(np.full((1, 3), 32), np.array([[3, 0, 9]]))
    estimate = rule.estimate(counts)
    assert not estimate.done
    assert estimate.interval().method == "provisional"
    assert estimate.mean == pytest.approx(12 / 96)
    with pytest.raises(PassUntilError, match="the pilot is not complete"):
        rule.estimate(Rounds.none(3))


def test_an_extension_keeps_all_draws() -> None:
    generator = np.random.default_rng(9)
    p = generator.beta(0.5, 5, 10)
    bits = generator.random((10, 60_000)) < p[:, None]
    rule = DatasetPrecision(0.02)
    n, _ = rule.rounds_of(bits).totals
    assert DatasetPrecision(0.02, like=[(9, 1)]).extend_to(target=0.01).like == ((9, 1),)
    more = rule.extend_to(target=0.005)
    begun = more.rounds_of([row[:k] for row, k in zip(bits, n, strict=True)])
    answer = more.allocate(begun, wave=10**9)
    assert not answer.done
    assert more.extended
    later, _ = more.rounds_of(bits).totals
    assert (later >= begun.totals[0]).all()
    assert more.estimate(more.rounds_of(bits)).se_draws < 0.0055
    assert not rule.extend_to(target=0.005, looked=False).extended


def test_one_instance_alone_has_the_sequence_as_its_interval() -> None:
    rule = DatasetPrecision(0.01, pilot=50, cap=1000)
    assert rule.bounds == (50, 1000)
    tally = rule.settle([0, 1] * 100)
    assert tally == rule.tally(200, 100, None)
    assert (tally.draws, tally.finished, tally.interval().method) == (200, True, "sequence")


def test_a_run_is_drawn_to_its_end_by_the_rules_of_its_units() -> None:
    rule = DatasetPrecision(0.05, pilot=16, cap=2000)
    bits = np.random.default_rng(4).random((5, 2000)) < np.array([0.5, 0.2, 0.1, 0.05, 0.0])[:, None]
    drawn = np.zeros(5, dtype=int)
    while any(wanted := rule.unit_rules([row[:n] for row, n in zip(bits.tolist(), drawn, strict=True)])):
        assert all(unit is None or unit.bounds[0] > n for unit, n in zip(wanted, drawn, strict=True))
        drawn = np.array([unit.bounds[1] if unit else n for unit, n in zip(wanted, drawn, strict=True)])
    outcomes = [row[:n] for row, n in zip(bits.tolist(), drawn, strict=True)]
    assert rule.allocate(rule.rounds_of(outcomes), wave=1).done
    assert rule.mean(outcomes) == rule.estimate(rule.rounds_of(bits))
    assert rule.for_unit(70) == FixedDraws(70)
    assert rule.for_unit(None) == FixedDraws(rule.first_allotment) == FixedDraws(16)


def test_it_survives_json() -> None:
    for rule in (
        DatasetPrecision(0.01),
        DatasetPrecision(0.1, relative=True, pilot=8, cap=99, extended=True),
        DatasetPrecision(0.1, like=[(100, 3), (50, 0)]),
    ):
        assert rule_from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: DatasetPrecision(0), "target must be above 0"),
        (lambda: DatasetPrecision(-0.1), "target must be above 0"),
        (lambda: DatasetPrecision(2.0), "target must be above 0 and at most 1"),
        (lambda: DatasetPrecision(float("nan")), "target must be finite"),
        (lambda: DatasetPrecision(0.1, pilot=1), "pilot must be at least 2"),
        (lambda: DatasetPrecision(0.1, pilot=2.5), "pilot must be a whole number"),  # type: ignore[arg-type]
        (lambda: DatasetPrecision(0.1, pilot=64, cap=64), "leaves no draws beyond the pilot"),
        (lambda: DatasetPrecision(0.1, relative=1), "relative must be true or false"),  # type: ignore[arg-type]
        (lambda: DatasetPrecision(0.1).extend_to(target=0.2), "only adds draws"),
        (lambda: DatasetPrecision(0.1).extend_to(cap=50), "only adds draws"),
        (lambda: DatasetPrecision(0.1, like=[(3, 4)]), r"passes \(4\) exceed draws \(3\)"),
        (lambda: DatasetPrecision(0.1, like=[(0, 0)]), "like has no draws"),
        (
            lambda: DatasetPrecision(0.1, like=[(9, 4)]).allocate(Rounds.none(2), wave=5),
            "like has counts of 1 instances and the run has 2",
        ),
        (lambda: Rounds.none(0), "instances must be at least 1, not 0"),
        (lambda: Rounds(np.zeros((0, 3), dtype=int), np.zeros((0, 3), dtype=int)), "at least one of each"),
        (lambda: Rounds(np.array([[3]]), np.array([[4]])), r"passes \(4\) exceed draws \(3\)"),
        (lambda: Rounds(np.array([[3.5]]), np.array([[1]])), "draws must be whole numbers"),
        (lambda: Rounds(np.array([[-3]]), np.array([[-3]])), "draws must be at least 0"),
        (lambda: DatasetPrecision(0.1).allocate(Rounds.none(2), wave=0), "wave must be at least 1"),
        (
            lambda: DatasetPrecision(0.1).allocate(Rounds.none(2), wave=5, costs=[1.0]),
            "one entry for each of 2 instances",
        ),
        (
            lambda: DatasetPrecision(0.1).allocate(Rounds.none(2), wave=5, costs=[1.0, float("nan")]),
            "every cost must be above 0 and finite, not nan",
        ),
        (
            lambda: DatasetPrecision(0.1).allocate(Rounds(np.array([[99]]), np.array([[0]])), wave=5),
            "round 0 has 99 draws of instance 0, and 32 were asked for",
        ),
        (
            lambda: DatasetPrecision(0.1).allocate(
                Rounds(np.array([[9], [9]]), np.zeros((2, 1), int)), wave=5
            ),
            "round 0 is open, and round 1 was drawn",
        ),
        (lambda: DatasetPrecision(0.1).rounds_of([]), "no instances were given"),
        (lambda: DatasetPrecision(0.1).rounds_of([[0, 2]]), "bits must be 0 or 1"),
        (lambda: rule_from_dict({"kind": "dataset_precision"}), "lacks 'target'"),
        (lambda: rule_from_dict({"kind": "dataset_precision", "target": 0.1, "r": 2}), "has no r"),
    ],
)
def test_impossible_wishes_and_counts_are_refused(call: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        call()
