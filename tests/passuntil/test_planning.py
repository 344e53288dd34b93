"""Plans: expected draws against sums over the stopping distribution and against simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import betabinom, nbinom

from passuntil import DatasetPrecision, FixedDraws, PassUntilError, RelativeError, Tally, UntilPasses
from passuntil.rules.planning import expected_draws
from passuntil.rules.prior import BetaPrior


@pytest.mark.parametrize("p", [0.9, 0.3, 1e-2, 1e-3])
@pytest.mark.parametrize(
    ("r", "floor", "cap"), [(2, 0, 50), (5, 64, 1000), (3, 10, 10), (2, 0, 10**5), (1, 1, 1)]
)
def test_expected_draws_are_the_sum_over_the_stopping_distribution(
    p: float, r: int, floor: int, cap: int
) -> None:
    k = np.arange(r, cap + 1)
    weight = nbinom.pmf(k - r, r, p)
    brute = (weight * np.maximum(k, floor)).sum() + (1 - weight.sum()) * cap
    assert float(expected_draws(p, r=r, floor=floor, cap=cap)) == pytest.approx(brute, rel=1e-6)


@pytest.mark.parametrize(("a", "b"), [(0.3, 10.0), (1.0, 100.0), (0.05, 1.0), (5.0, 5.0)])
def test_a_plan_from_a_prior_is_the_beta_binomial_sum(a: float, b: float) -> None:
    n = np.arange(2000)
    brute = betabinom.cdf(4, n, a, b).sum()
    plan = UntilPasses(5, cap=2000).plan(BetaPrior(a, b), instances=3)
    assert plan.draws == pytest.approx(3 * brute, rel=0.005)
    assert plan.per_instance == pytest.approx([brute] * 3, rel=0.005)
    assert plan.reached == pytest.approx(1 - betabinom.cdf(4, 2000, a, b), abs=0.003)


def test_a_plan_from_a_pilot_agrees_with_what_the_run_then_costs() -> None:
    generator = np.random.default_rng(1)
    rule, drawn, planned, fitted = UntilPasses(5, floor=32, cap=2000), 0.0, 0.0, 0.0
    for _ in range(20):
        p = generator.beta(0.4, 12, 400)
        passes = generator.binomial(32, p)
        pilot = [(32, int(s)) for s in passes]
        planned += rule.plan(BetaPrior(0.4, 12), pilot=pilot).draws
        fitted += rule.plan(pilot=pilot).draws
        missing = np.maximum(5 - passes, 1)
        more = missing + generator.negative_binomial(missing, p)
        drawn += float(np.where(passes >= 5, 32, np.minimum(32 + more, 2000)).sum())
    assert planned == pytest.approx(drawn, rel=0.04)
    # A prior fitted to 32 draws an instance knows less about those that never passed.
    assert fitted == pytest.approx(drawn, rel=0.06)


def test_tokens_and_hours() -> None:
    plan = FixedDraws(1000).plan(instances=10, tokens_per_draw=50, tokens_per_second=1000)
    assert (plan.draws, plan.tokens, plan.reachable, plan.note) == (10_000, 500_000, True, "")
    assert plan.hours == pytest.approx(500 / 3600)
    assert FixedDraws(10).plan(instances=1).tokens is None
    assert FixedDraws(10).plan(pilot=[(4, 1), (30, 2)]).per_instance == (10.0, 30.0)


def test_an_instance_that_is_done_costs_nothing_more() -> None:
    rule = UntilPasses(2, floor=10, cap=100)
    plan = rule.plan(pilot=[(40, 2), (100, 0), (5, 3)])
    assert plan.per_instance[:2] == (40.0, 100.0)
    assert plan.per_instance[2] == 10.0
    assert rule.plan(pilot=[Tally(40, 2, 40, 2)]).draws == 40


def test_a_cap_that_most_instances_would_meet_is_said() -> None:
    plan = RelativeError(0.1, cap=10_000).plan(BetaPrior.of_mean(0.001, like_draws=1000), instances=4)
    assert "expected to meet the cap (10000) before r = 385" in plan.note


def test_a_target_that_the_cap_stands_against_is_said() -> None:
    plan = DatasetPrecision(1e-5, cap=1000).plan(BetaPrior(1, 9), instances=20)
    assert not plan.reachable
    assert "cannot be reached with at most 1000 draws" in plan.note
    assert DatasetPrecision(0.01, cap=10_000).plan(BetaPrior(1, 9), instances=20).reachable


def test_a_pilot_without_a_pass_makes_the_plan_a_guess() -> None:
    plan = DatasetPrecision(0.1, relative=True).plan(pilot=[(32, 0)] * 10)
    assert "the pilot has no pass" in plan.note
    easy = DatasetPrecision(0.2, pilot=500).plan(BetaPrior(5, 5), instances=10)
    assert "lower the pilot" in easy.note


def test_a_plan_of_dataset_precision_is_near_what_it_costs() -> None:
    generator = np.random.default_rng(4)
    p = generator.beta(0.5, 20, 60)
    rule, spent, planned = DatasetPrecision(0.05, relative=True), [], []
    for _ in range(6):
        bits = generator.random((60, 6000)) < p[:, None]
        counts = rule.rounds_of(bits)
        spent.append(int(counts.draws.sum()))
        planned.append(rule.plan(pilot=[(32, int(row[:32].sum())) for row in bits]).draws)
    assert 0.6 < np.mean(planned) / np.mean(spent) < 1.3


@pytest.mark.parametrize(("a", "b"), [(0.3, 10.0), (1.0, 3.0), (0.1, 30.0)])
def test_a_fit_finds_the_spread_of_the_instances(a: float, b: float) -> None:
    generator = np.random.default_rng(6)
    passes = generator.binomial(256, generator.beta(a, b, 3000))
    fit = BetaPrior.fit(np.full(3000, 256), passes)
    assert fit.a / (fit.a + fit.b) == pytest.approx(a / (a + b), rel=0.1)
    assert fit.a == pytest.approx(a, rel=0.15)


def test_a_fit_survives_no_passes_and_nothing_but_passes() -> None:
    none = BetaPrior.fit([64] * 50, [0] * 50)
    every = BetaPrior.fit([64] * 50, [64] * 50)
    assert none.a / (none.a + none.b) < 0.01
    assert every.a / (every.a + every.b) > 0.99


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: UntilPasses(2).plan(), "give a prior"),
        (lambda: UntilPasses(2).plan(pilot=[]), "no instances were given"),
        (lambda: UntilPasses(2).plan(BetaPrior(1, 1), instances=0), "instances must be at least 1"),
        (lambda: UntilPasses(2).plan(pilot=[(5, 6)]), r"passes \(6\) exceed draws \(5\)"),
        (lambda: UntilPasses(2).plan(pilot=[(5.5, 1)]), "draws must be a whole number"),
        (lambda: UntilPasses(2).plan(pilot=[(-5, 0)]), "draws must be at least 0"),
        (lambda: UntilPasses(2).plan(pilot=[7]), "counts must be tallies"),
        (lambda: UntilPasses(2).plan(pilot=[(0, 0)]), "the pilot has no draws"),
        (lambda: UntilPasses(2).plan(pilot=[(9, 1)], instances=2), r"instances \(2\) differs"),
        (lambda: FixedDraws(5).plan(instances=1, tokens_per_draw=0), "tokens_per_draw must be above 0"),
        (lambda: FixedDraws(5).plan(instances=1, tokens_per_second=9), "hours need tokens_per_draw"),
        (lambda: BetaPrior(0, 1), "a must be above 0"),
        (lambda: BetaPrior(1, float("nan")), "b must be finite"),
        (lambda: BetaPrior.of_mean(1.0), "mean must be below 1"),
        (lambda: DatasetPrecision(0.1).plan(), "give a prior"),
    ],
)
def test_a_plan_from_nothing_or_from_nonsense_is_refused(call: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        call()
