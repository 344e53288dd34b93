"""How decision accuracy depends on models, tasks, seeds and noise, where the truth is known; and a check of advice.

    python benchmarks/proxy/decision_simulation.py [--seed 0] [--json] [--quick]

First table: one thing is varied at a time around 12 candidates, 8 tasks, 1 seed, seed noise as large as the spread of
the true scores, relevances from .2 to .8; weights uniform, or fitted on a noise-free panel of 12 models; beside them
the exact accuracy of the best weights. Second: `seeds_worth_buying` is given pilots (12 configurations with one seed, 6
seeds of one configuration) and its predicted accuracy is held against what its number of seeds truly gives. Third:
coverage of rank intervals, and how often Holm's decisions are wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from proxy.ranking.decisions import pairwise_decisions, rank_intervals
from proxy.ranking.seeds import seeds_worth_buying
from proxy.ranking.simulation import pair_accuracy, simulate
from proxy.weights import DecisionSelector, PaperSelector, PooledSelector, Selector, ShrinkageSelector

VARIED: dict[str, tuple[Any, ...]] = {
    "models": (4, 12, 50),
    "tasks": (1, 4, 8, 32),
    "seeds": (1, 2, 3, 5, 10),
    "noise": (0.0, 0.5, 1.0, 2.0),
    "panel": (0, 6, 12, 50),
}
BASE: dict[str, Any] = {"models": 12, "tasks": 8, "seeds": 1, "noise": 1.0, "panel": 12}


def advice(studies: int, seed: int) -> list[dict[str, float]]:
    """Pilots, the advice, and the accuracy that its number of seeds really has."""
    generator, rows = np.random.default_rng([seed, 7]), []
    for true_spread in (0.5, 1.0, 2.0, 4.0):
        told, real, seeds, held = [], [], [], 0
        for _ in range(studies):
            pilot = true_spread * generator.standard_normal(12) + generator.standard_normal(12)
            runs = generator.standard_normal(6)
            advised = seeds_worth_buying(
                spread=float(pilot.std(ddof=1)), noise=float(runs.std(ddof=1)), models=12, noise_runs=6,
                relevance=0.9,
            )  # fmt: skip
            share = true_spread**2 / (true_spread**2 + 1 / advised.seeds)
            truth = float(pair_accuracy(0.9 * np.sqrt(share)))
            told.append(advised.accuracy[advised.seeds - 1])
            real.append(truth)
            seeds.append(advised.seeds)
            held += advised.low - 1e-12 <= truth <= advised.high + 1e-12
        rows.append(
            {
                "true_spread_over_noise": true_spread,
                "median_seeds": float(np.median(seeds)),
                "predicted": float(np.mean(told)),
                "true": float(np.mean(real)),
                "coverage": held / studies,
            }
        )
    return rows


def intervals(studies: int, seed: int) -> list[dict[str, float]]:
    """Coverage of 95% rank intervals, mean width, and the rate of studies with any wrong Holm decision."""
    generator, rows = np.random.default_rng([seed, 9]), []
    for spread in (0.0, 1.0, 3.0):
        covered = width = 0.0
        wrong = 0
        for _ in range(studies):
            truth = spread * generator.standard_normal(10)
            s = truth + generator.standard_normal(10)
            errors = generator.standard_normal((1000, 10))
            low, high = rank_intervals(s, errors)
            # A true rank among ties is any of the tied ranks: the interval must reach one of them.
            first = 1 + (truth[None, :] > truth[:, None]).sum(axis=1)
            last = 10 - (truth[None, :] < truth[:, None]).sum(axis=1)
            covered += float(((low <= first) & (high >= last)).mean())
            width += float((high - low + 1).mean())
            position = dict(zip("abcdefghij", truth.tolist(), strict=True))
            decided = [d for d in pairwise_decisions(s, errors, "abcdefghij") if d.decided]
            wrong += any(position[d.better] <= position[d.worse] for d in decided)
        rows.append(
            {
                "true_spread_over_noise": spread,
                "rank_coverage": covered / studies,
                "mean_width": width / studies,
                "studies_with_a_wrong_decision": wrong / studies,
            }
        )
    return rows


def main() -> int:
    """Run the three parts and print tables, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    started, replicates = time.monotonic(), 100 if arguments.quick else 1000
    rows = []
    for name, values in VARIED.items():
        for value in values:
            setting = {**BASE, name: value}
            fitted = simulate(**setting, replicates=replicates, seed=arguments.seed).as_dict()
            plain = simulate(**{**setting, "panel": 0}, replicates=replicates, seed=arguments.seed).as_dict()
            rows.append({"varied": name, "value": value, **fitted, "uniform": plain["decision_accuracy"]})
    kinds: list[Selector] = [
        PaperSelector(),
        PaperSelector(normalise=False),
        ShrinkageSelector(),
        PooledSelector(),
    ]
    few = max(replicates // 5, 50)
    selectors = [
        simulate(**{**BASE, "panel": 30}, selector=one, replicates=replicates, seed=arguments.seed).as_dict()
        for one in kinds
    ]
    selectors[1]["weights"] = "paper, not normalised two ways"
    selectors.append(
        simulate(
            **{**BASE, "panel": 30}, selector=DecisionSelector(), replicates=few, seed=arguments.seed
        ).as_dict()
    )
    report = {
        "varied": rows,
        "selectors": selectors,
        "advice": advice(replicates, arguments.seed),
        "intervals": intervals(replicates // 2, arguments.seed),
        "seed": arguments.seed,
        "seconds": time.monotonic() - started,
    }
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
        return 0
    print("varied        value  pooled on panel    uniform  best possible")
    for row in rows:
        print(
            f"{row['varied']:<10} {row['value']:>8} {row['decision_accuracy']:>9.3f} +- {row['error']:.3f} "
            f"{row['uniform']:>10.3f} {row['best_possible']:>14.3f}"
        )
    print("\nselectors on a panel of 30")
    for row in selectors:
        print(f"{row['weights']:<32} {row['decision_accuracy']:.3f} +- {row['error']:.3f}")
    for name in ("advice", "intervals"):
        print(f"\n{name}")
        for row in report[name]:
            print("  " + "  ".join(f"{key} {value:.3f}" for key, value in row.items()))
    print(f"{report['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
