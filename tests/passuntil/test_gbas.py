"""Relative error bought beforehand: the passes it needs, and that the promise is kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import gamma, nbinom

from passuntil import PassUntilError, RelativeError, Tally
from passuntil.counts import gamma_estimate, passes_needed, tally_report
from passuntil.counts.gbas import failure_probability


@pytest.mark.parametrize(("epsilon", "k"), [(0.5, 17), (0.2, 97), (0.1, 385)])
def test_the_published_numbers_of_passes(epsilon: float, k: int) -> None:
    assert passes_needed(epsilon) == k
    assert failure_probability(k, epsilon) <= 0.05 < failure_probability(k - 1, epsilon)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("epsilon", [0.9, 0.3, 0.05])
def test_no_smaller_number_of_passes_would_do(epsilon: float, level: float) -> None:
    k = np.arange(2, 5000)
    miss = gamma.cdf((k - 1) / (1 + epsilon), k) + gamma.sf((k - 1) / (1 - epsilon), k)
    assert passes_needed(epsilon, level) == k[miss <= 1 - level][0]


@pytest.mark.parametrize("p", [0.9, 0.3, 1e-2, 1e-6])
def test_the_promise_is_kept_at_every_p_and_the_estimate_is_unbiased(p: float) -> None:
    generator, runs, k = np.random.default_rng(3), 4000, 17
    stopped = generator.negative_binomial(k, p, runs) + k
    estimates = [gamma_estimate(k=k, stopped_at=int(n), seed=i) for i, n in enumerate(stopped)]
    values = np.array([f.value for f in estimates])
    assert abs(values.mean() / p - 1) < 4 * values.std() / p / math.sqrt(runs)
    assert (np.abs(values / p - 1) <= 0.5).mean() >= 0.95 - 3 * math.sqrt(0.05 * 0.95 / runs)
    covered = np.mean([f.low <= p <= f.high for f in estimates])
    # Exactly 95%, but for the cut at 1, which can only let more in.
    assert covered == pytest.approx(0.95, abs=4 * math.sqrt(0.05 * 0.95 / runs)) or (
        p > 0.5 and covered > 0.95
    )


@pytest.mark.parametrize(("epsilon", "k"), [(0.5, 17), (0.2, 97)])
def test_the_estimate_without_a_clock_keeps_it_too_where_passes_are_rare(epsilon: float, k: int) -> None:
    for p in (0.5, 0.1, 1e-2, 1e-3):
        n = np.arange(k, k + math.ceil(30 * k / p))
        kept = np.abs((k - 1) / (n - 1) / p - 1) <= epsilon
        assert nbinom.pmf(n - k, k, p)[kept].sum() >= 0.9495


def test_averaging_over_the_clock_gives_the_unbiased_estimate() -> None:
    values = [gamma_estimate(k=5, stopped_at=50, seed=i).value for i in range(4000)]
    assert np.mean(values) == pytest.approx(4 / 49, rel=0.01)


def test_the_same_seed_gives_the_same_estimate() -> None:
    one, two = (gamma_estimate(k=9, stopped_at=400, seed=7) for _ in range(2))
    assert one == two
    assert gamma_estimate(k=9, stopped_at=400, seed=8) != one
    assert one.epsilon is not None
    assert failure_probability(9, one.epsilon) == pytest.approx(0.05, abs=1e-6)
    assert gamma_estimate(k=2, stopped_at=40).epsilon is None


def test_only_a_run_that_its_rth_pass_ended_has_one() -> None:
    assert Tally(40, 5, 40, 5, cap=100).gamma_estimate(seed=1) is not None
    assert Tally(100, 4, None, 5, cap=100).gamma_estimate() is None
    assert Tally(64, 9, 20, 5, floor=64).gamma_estimate() is None
    assert Tally(9, 1, 9, 1).gamma_estimate() is None
    assert Tally(100, 4).gamma_estimate() is None


def test_the_rule_stops_at_the_passes_that_its_error_needs() -> None:
    rule = RelativeError(0.5, cap=10_000)
    assert (rule.r, rule.cap, rule.level) == (17, 10_000, 0.95)
    assert rule.is_done((300, 17))
    assert not rule.is_done((300, 16))
    assert rule.settle([1] * 30).stopped_at == 17


def test_a_report_labels_every_estimate() -> None:
    report = tally_report(Tally(97_000, 97, 97_000, 97), seed=5)
    assert "biased upwards" in report["paper"].label
    assert report["gbas"].interval is not None
    assert "seed 5" in report["gbas"].label
    assert "within 20%" in report["gbas"].label
    assert "unbiased (stopped)" in str(report)
    capped = tally_report(Tally(1000, 1, None, 5, 0, 1000))
    assert capped["log"].value is None
    assert capped["gbas"].value is None
    assert "extended after a look" in tally_report(Tally(9, 2, 9, 2, extended=True))["unbiased"].label
    assert "provisional" in tally_report(Tally(9, 1, None, 2))["unbiased"].label
    with pytest.raises(KeyError):
        report["median"]


@pytest.mark.parametrize("epsilon", [0, 1, -0.1, 1.5, float("nan"), float("inf"), "0.2", None, True])
def test_an_error_outside_zero_and_one_is_refused(epsilon: Any) -> None:
    with pytest.raises(PassUntilError, match="epsilon must"):
        passes_needed(epsilon)
    with pytest.raises(PassUntilError, match="epsilon must"):
        RelativeError(epsilon)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 10, "stopped_at": 9}, r"stopped_at \(9\) is below k \(10\)"),
        ({"k": 1, "stopped_at": 9}, "k must be at least 2, not 1"),
        ({"k": 2.5, "stopped_at": 9}, "k must be a whole number, not 2.5"),
        ({"k": 2, "stopped_at": -9}, "stopped_at must be at least 1"),
        ({"k": 2, "stopped_at": 9, "level": 1.0}, "level must"),
        ({"k": 2, "stopped_at": 9, "seed": -1}, "seed must be at least 0"),
    ],
)
def test_impossible_counts_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        gamma_estimate(**arguments)


def test_a_cap_below_the_passes_needed_and_an_endless_wish_are_refused() -> None:
    with pytest.raises(PassUntilError, match=r"cap \(50\) is below r \(97\)"):
        RelativeError(0.2, cap=50)
    with pytest.raises(PassUntilError, match="needs more than"):
        passes_needed(1e-5)
