"""Bias and coverage of the rules that look: parts of `bias_and_coverage.py`, by simulation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from passuntil import DatasetPrecision
from passuntil.counts import intervals, sequences
from passuntil.counts.gbas import passes_needed
from passuntil.rules import Rounds

LEVEL = 0.95


def relative_error(
    generator: np.random.Generator, probabilities: tuple[float, ...], runs: int
) -> list[dict[str, Any]]:
    """RelativeError without a cap: bias of both estimates, how often each keeps its promise, the interval."""
    rows = []
    for epsilon in (0.5, 0.2, 0.1):
        k = passes_needed(epsilon, LEVEL)
        for p in probabilities:
            stopped = generator.negative_binomial(k, p, runs) + k
            clock = (k - 1) / generator.gamma(stopped)
            plain = (k - 1) / (stopped - 1)
            low, high = intervals.exact(stopped, k, stopped, k, 0, None, level=LEVEL)
            rows.append(
                {
                    "epsilon": epsilon,
                    "k": k,
                    "p": p,
                    "bias": float(clock.mean() / p - 1),
                    "bias_se": float(clock.std() / p / runs**0.5),
                    "bias_unbiased": float(plain.mean() / p - 1),
                    "kept": float((np.abs(clock / p - 1) <= epsilon).mean()),
                    "kept_unbiased": float((np.abs(plain / p - 1) <= epsilon).mean()),
                    "coverage": float(((low <= p) & (p <= high)).mean()),
                }
            )
    return rows


def looks(
    generator: np.random.Generator, probabilities: tuple[float, ...], runs: int, passes: int = 100
) -> list[dict[str, Any]]:
    """Runs looked at after every draw up to the last of `passes` passes, and ended at the worst moment.

    The evidence against p is largest just before or at a pass (between passes it first falls, then rises),
    so those are the only moments to check. Beside it: the exact interval of a fixed design, used at the same
    moments, as a run that is extended until it looks striking would use it.
    """
    rows = []
    for p in probabilities:
        left = at_end = exact_left = 0
        done = 0
        while done < runs:
            size = min(500, runs - done)
            places = np.cumsum(generator.geometric(p, (size, passes)), axis=1)
            s = np.broadcast_to(np.arange(1, passes + 1), places.shape)
            before = sequences.log_evidence(places - 1, s - 1, p)
            at = sequences.log_evidence(places, s, p)
            worst = np.maximum(before, at).max(axis=1)
            left += int((worst >= -np.log(1 - LEVEL)).sum())
            at_end += int((at[:, -1] >= -np.log(1 - LEVEL)).sum())
            low, high = intervals.exact(places, s, level=LEVEL)
            low_b, high_b = intervals.exact(places - 1, s - 1, level=LEVEL)
            exact_left += int(((low > p) | (high < p) | (low_b > p) | (high_b < p)).any(axis=1).sum())
            done += size
        rows.append(
            {
                "p": p,
                "runs": runs,
                "coverage_at_all_looks": 1 - left / runs,
                "coverage_at_the_end": 1 - at_end / runs,
                "exact_interval_at_all_looks": 1 - exact_left / runs,
            }
        )
    return rows


def population(p: float, instances: int) -> NDArray[np.float64]:
    """Pass probabilities around p over two decades (less near 1), with mean p."""
    spread = np.geomspace(0.1, 10.0, instances)
    values = spread / spread.mean() * p
    return values if values.max() < 0.95 else np.linspace(0.1, 2 * p - 0.1, instances)


def dataset_precision(
    generator: np.random.Generator, probabilities: tuple[float, ...], runs: int
) -> list[dict[str, Any]]:
    """DatasetPrecision at 5% of the mean: bias, coverage of both intervals, and s / n for comparison.

    Planned from a pilot; from the counts (10^4 / p draws an instance) of a model that is a third less able
    and less even; and from such counts in the wrong order, easiest for hardest.
    """
    rows = []
    for kind, mean in ((kind, mean) for kind in ("pilot", "like", "misleading") for mean in probabilities):
        p = population(mean, 24)
        like: list[tuple[int, int]] = []
        if kind != "pilot":
            other = p**1.1 / (p**1.1).mean() * mean / 1.5
            draws_each = int(1e4 / mean)
            like = [(draws_each, int(draws_each * q)) for q in (other if kind == "like" else other[::-1])]
        rule = DatasetPrecision(0.05, relative=True, pilot=32, cap=10**9, like=like)
        errors, naive, reported, draws = [], [], [], []
        held = wide = 0
        for _ in range(runs):
            counts, round_draws, round_passes = Rounds.none(p.size), [], []
            while not (answer := rule.allocate(counts, wave=10**9)).done:
                round_draws.append(answer.draws)
                round_passes.append(generator.binomial(answer.draws, p))
                counts = Rounds(np.array(round_draws), np.array(round_passes))
            estimate = rule.estimate(counts, level=LEVEL)
            n, s = counts.totals
            errors.append(estimate.mean / p.mean() - 1)
            naive.append((s / n).mean() / p.mean() - 1)
            reported.append(estimate.se_draws / p.mean())
            draws.append(estimate.draws)
            held += estimate.low <= p.mean() <= estimate.high
            wide += p.mean() in estimate.sequence
        pilot = [(32, int(x)) for x in generator.binomial(32, p)]
        planned = rule.plan() if like else rule.plan(pilot=pilot)
        rows.append(
            {
                "planned_from": kind,
                "mean": mean,
                "runs": runs,
                "bias": float(np.mean(errors)),
                "bias_se": float(np.std(errors, ddof=1) / runs**0.5),
                "bias_of_s_over_n": float(np.mean(naive)),
                "sd": float(np.std(errors, ddof=1)),
                "reported_se": float(np.sqrt(np.mean(np.square(reported)))),
                "coverage": held / runs,
                "coverage_sequence": wide / runs,
                "draws": float(np.mean(draws)),
                "planned_draws": planned.draws,
            }
        )
    return rows
