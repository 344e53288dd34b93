"""Rules that go on after their end, and the plain form of every rule."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from scipy.special import polygamma
from scipy.stats import nbinom

from passuntil import DatasetPrecision, FixedDraws, PassUntilError, RelativeError, UntilPasses, rule_from_dict
from passuntil.counts import estimates
from passuntil.rules import RULES, InstanceRule, RunRule


@pytest.mark.parametrize("kind", RULES)
def test_every_rule_is_whole_by_what_its_settings_declare(kind: str) -> None:
    rule = RULES[kind].from_dict({setting.name: setting.start for setting in RULES[kind].settings})
    assert rule.to_dict()["kind"] == rule.kind == kind
    assert rule_from_dict(rule.to_dict()) == rule
    assert {rule: 1}[rule_from_dict(rule.to_dict())] == 1
    fewest, most = rule.bounds
    assert 1 <= fewest <= most
    assert rule.words()
    assert not rule.words().endswith(".")
    assert rule.title
    assert isinstance(rule, InstanceRule) != isinstance(rule, RunRule)
    for setting in rule.settings:
        assert setting.check(setting.name, setting.start) == setting.start
        least, greatest = setting.offered or (setting.start, setting.start)
        assert least <= setting.start <= greatest
        assert setting.label
        assert setting.meaning.endswith(".")
        with pytest.raises(PassUntilError, match=setting.name):
            setting.check(setting.name, "no number")
    assert rule.settings[0].option


def test_rules_that_share_the_name_of_a_setting_share_the_setting() -> None:
    settings = [setting for rule in RULES.values() for setting in rule.settings]
    for one, other in itertools.combinations(settings, 2):
        assert one is other or (one.name != other.name and (not one.option or one.option != other.option))


def test_an_option_that_is_no_number_is_refused() -> None:
    floor, target = UntilPasses.settings[1], DatasetPrecision.settings[0]
    assert floor.read_option("64") == {"floor": 64}
    assert target.read_option("2%") == {"target": 0.02, "relative": True}
    for setting in (floor, target):
        with pytest.raises(PassUntilError, match=r"expected a .*number.*, not 'many'"):
            setting.read_option("many")


@pytest.mark.parametrize("kind", [kind for kind in RULES if issubclass(RULES[kind], InstanceRule)])
def test_what_is_expected_to_be_left_is_nothing_once_a_rule_is_done(kind: str) -> None:
    rule = RULES[kind].from_dict({setting.name: setting.start for setting in RULES[kind].settings})
    assert isinstance(rule, InstanceRule)
    draws = np.array([0, 1, 64, 500, 9999, 10_000, 20_000])
    passes = np.array([0, 1, 3, 500, 2, 0, 9])
    left = rule.expected_left(draws, passes)
    done = np.array([rule.is_done(counts) for counts in zip(draws.tolist(), passes.tolist(), strict=True)])
    assert ((left == 0) == done).all()
    assert (draws + left <= np.maximum(rule.bounds[1], draws)).all()


@pytest.mark.parametrize(
    "rule",
    [
        UntilPasses(5, cap=9, extended=True),
        FixedDraws(9, extended=True),
        RelativeError(0.3, 0.9, cap=5000, floor=64),
        RelativeError(0.3, extended=True),
        DatasetPrecision(0.01),
    ],
)
def test_every_rule_survives_json(rule: Any) -> None:
    again = rule_from_dict(json.loads(json.dumps(rule.to_dict())))
    assert again == rule
    assert type(again) is type(rule)


def test_a_rule_that_was_not_extended_is_described_as_before() -> None:
    assert UntilPasses(5, 64, 100).to_dict() == {"kind": "until_passes", "r": 5, "floor": 64, "cap": 100}
    assert FixedDraws(7).to_dict() == {"kind": "fixed_draws", "n": 7}


def test_an_extension_keeps_the_draws_and_labels_what_comes_of_it() -> None:
    bits = np.random.default_rng(0).random(5000) < 0.01
    first = UntilPasses(2, cap=1000)
    more = first.extend_to(r=10, cap=5000)
    assert first.settle(bits).interval().method == "exact"
    tally = more.settle(bits)
    assert (tally.r, tally.extended, tally.interval().method) == (10, True, "sequence")
    assert not more.is_done((1000, 3))
    laid_down_before = first.extend_to(r=10, looked=False)
    assert laid_down_before.settle(bits).interval().method == "exact"
    assert more.extend_to(cap=6000, looked=False).extended
    fixed = FixedDraws(10).extend_to(40)
    assert fixed.settle(bits[:60]).draws == 40
    assert fixed.settle(bits).extended


def test_a_smaller_error_is_an_extension_too() -> None:
    rule = RelativeError(0.5, cap=9000).extend_to(epsilon=0.2)
    assert (rule.r, rule.extended, rule.cap) == (97, True, 9000)
    assert RelativeError(0.5).extend_to(cap=10**6, looked=False).cap == 10**6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: UntilPasses(5).extend_to(r=4), r"r \(4\) is below the rule's 5"),
        (lambda: UntilPasses(5).extend_to(cap=10), "is below the rule's 100000"),
        (lambda: UntilPasses(5, floor=9).extend_to(floor=8), "floor"),
        (lambda: UntilPasses(5).extend_to(r=9, looked=1), "looked must be true or false"),  # type: ignore[arg-type]
        (lambda: FixedDraws(5).extend_to(4), r"n \(4\) is below the rule's 5"),
        (lambda: FixedDraws(5).extend_to(7.5), "n must be a whole number"),  # type: ignore[arg-type]
        (lambda: RelativeError(0.2).extend_to(epsilon=0.3), "only adds draws"),
        (lambda: UntilPasses(5, extended="yes"), "extended must be true or false"),  # type: ignore[arg-type]
        (lambda: rule_from_dict({"kind": "relative_error"}), "lacks 'epsilon'"),
        (lambda: rule_from_dict({"kind": "relative_error", "epsilon": 1.2}), "epsilon must lie between"),
        (lambda: rule_from_dict({"kind": ["until_passes"]}), "unknown stopping rule"),
        (lambda: RelativeError.from_dict({"kind": "until_passes", "epsilon": 0.2}), "use rule_from_dict"),
    ],
)
def test_what_would_take_draws_back_is_refused(call: Any, message: str) -> None:
    with pytest.raises(PassUntilError, match=message):
        call()


@pytest.mark.parametrize("r", [1, 2, 5])
@pytest.mark.parametrize("p", [0.5, 0.1, 1e-2])
def test_the_variance_of_the_log_estimate_is_estimated_without_bias(p: float, r: int) -> None:
    k = np.arange(r, r + int(150 * r / p))
    weight = nbinom.pmf(k - r, r, p)
    true = (weight * (estimates.log_unbiased(k, r) - np.log(p)) ** 2).sum()
    assert (weight * estimates.log_variance(k, r)).sum() == pytest.approx(true, rel=1e-9)
    assert true <= polygamma(1, r)


def test_a_tally_gives_the_spread_of_its_log_estimate() -> None:
    tally = UntilPasses(2, cap=100).settle([0, 1, 0, 0, 1])
    assert tally.log_sd() == pytest.approx(np.sqrt(polygamma(1, 2) - polygamma(1, 5)))
    assert UntilPasses(2, cap=4).settle([0, 1, 0, 0]).log_sd() is None
