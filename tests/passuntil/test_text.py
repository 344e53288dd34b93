"""Results print themselves as tables."""

from __future__ import annotations

import numpy as np

from passuntil import DatasetPrecision, Tally, UntilPasses, dataset_estimate
from passuntil._text import counted
from passuntil.counts import paired_bootstrap
from passuntil.rules import BetaPrior, Rounds


def test_a_number_and_its_noun_agree() -> None:
    assert [counted(n, "draw") for n in (0, 1, 2)] == ["0 draws", "1 draw", "2 draws"]
    assert [counted(n, "pass", "passes") for n in (1, 2)] == ["1 pass", "2 passes"]
    assert "\n1 instance: 0 without a pass" in str(dataset_estimate([Tally(10, 1)]))


def test_every_result_is_a_table_with_its_own_numbers() -> None:
    estimate = dataset_estimate([Tally(1000, 0), Tally(1000, 40), Tally(1000, 8)])
    assert str(estimate).splitlines()[1].split()[0] == "0.016"
    assert "3 instances: 1 without a pass" in str(estimate)

    lines = str(paired_bootstrap(np.array([[0.1, 0.2], [0.3, 0.4], [0.2, 0.6]]), seed=3)).splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["0", "0.2"], ["1", "0.4"]]
    assert lines[-1].endswith("3 instances, seed 3")

    plan = UntilPasses(r=5, cap=100).plan(BetaPrior.of_mean(1e-4), instances=7)
    assert str(plan).splitlines()[1].split()[0] == "7"
    assert "expected to meet the cap" in str(plan)
    # A prior this skewed has quantiles near 1e-308, which cost the cap and no NaN.
    assert 600 < plan.draws <= 700

    rule = DatasetPrecision(0.05, pilot=20)
    counts = Rounds(np.array([[20, 20]]), np.array([[3, 5]]))
    assert "provisional" in str(rule.estimate(counts))
