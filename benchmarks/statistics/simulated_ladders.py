"""Simulated series, seven sizes to the next: error of the likelihood fit against OLS on r / K, and coverage.

    python benchmarks/statistics/simulated_ladders.py [--seed 0] [--json] [--quick]

164 instances with spread-out c and alpha (`simulation.lawful_population`), seven sizes from .036 to 1.5
billion, target 2.45. Both methods get the same draws. The truth is the target's own task mean, its deviation
included. Worlds: the law holds; models deviate (training noise, sd .1 of F); cells deviate (sd .3);
a third of the instances have a second, steeper circuit. Errors are |log(forecast / truth)|.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.simulation import draw_counts, lawful_population
from passuntil import DatasetOLS, InstanceLikelihood, InstanceOLS

SIZES = np.append(np.geomspace(0.036, 1.5, 7), 2.45)
INSTANCES, LEVEL = 164, 0.9
#: r, floor, cap: the paper's rule, and this project's default.
DESIGNS = {"r=2": (2, 0, 10**5), "r=5, floor 64": (5, 64, 10**4)}
WORLDS: dict[str, dict[str, float]] = {
    "law true": {},
    "training noise": {"training_noise": 0.1},
    "cell noise": {"cell_noise": 0.3},
    "accelerated circuit": {"accelerated": 1 / 3},
}


@dataclass(frozen=True)
class Row:
    """One world and design: errors of the three fits, coverage and width of the likelihood fit's interval."""

    world: str
    design: str
    replicates: int
    draws: float
    likelihood: float
    dataset_ols_on_r_over_k: float
    instance_ols_on_r_over_k: float
    ratio: float
    bias: float
    coverage: float
    coverage_se: float
    coverage_without_deviations: float
    width: float


def one(generator: np.random.Generator, world: dict[str, float], design: tuple[int, int, int]) -> list[float]:
    """One series: log errors of the three fits, whether two intervals hold the truth, a width, draws."""
    r, floor, cap = design
    p, _, _ = lawful_population(generator, SIZES, INSTANCES, **world)
    truth = math.log(p[:, -1].mean())
    draws, passes = draw_counts(generator, p[:, :-1], r=r, floor=floor, cap=cap)
    sizes, target = SIZES[:-1], float(SIZES[-1])
    found = InstanceLikelihood(n_samples=1000).fit(sizes, draws, passes).forecast(target, level=LEVEL)
    bare = InstanceLikelihood(n_samples=1000, deviation=None).fit(sizes, draws, passes)
    without = bare.forecast(target, level=LEVEL)
    ratios: NDArray[np.float64] = np.where(passes >= r, r / draws, passes / draws)
    by_mean = DatasetOLS().fit(sizes, ratios.mean(0)).predict(target)
    by_instance = InstanceOLS().fit(sizes, ratios).predict(target).mean()
    return [
        math.log(found.mean) - truth,
        math.log(float(by_mean)) - truth,
        math.log(float(by_instance)) - truth,
        float(found.low <= math.exp(truth) <= found.high),
        float(without.low <= math.exp(truth) <= without.high),
        math.log(found.high / found.low),
        float(draws.sum()),
    ]


def measure(seed: int, replicates: int) -> list[Row]:
    """Every world and design."""
    rows = []
    children = iter(np.random.SeedSequence(seed).spawn(len(WORLDS) * len(DESIGNS)))
    for name, world in WORLDS.items():
        for label, design in DESIGNS.items():
            generator = np.random.default_rng(next(children))
            table = np.array([one(generator, world, design) for _ in range(replicates)])
            error = np.abs(table[:, :3]).mean(0)
            covered = float(table[:, 3].mean())
            rows.append(
                Row(
                    world=name,
                    design=label,
                    replicates=replicates,
                    draws=float(table[:, 6].mean()),
                    likelihood=float(error[0]),
                    dataset_ols_on_r_over_k=float(error[1]),
                    instance_ols_on_r_over_k=float(error[2]),
                    ratio=float(error[0] / error[1]),
                    bias=float(table[:, 0].mean()),
                    coverage=covered,
                    coverage_se=math.sqrt(covered * (1 - covered) / replicates),
                    coverage_without_deviations=float(table[:, 4].mean()),
                    width=float(table[:, 5].mean()),
                )
            )
    return rows


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="20 series a cell instead of 120")
    arguments = parser.parse_args()
    began = time.monotonic()
    rows = measure(arguments.seed, 20 if arguments.quick else 120)
    seconds = time.monotonic() - began
    if arguments.json:
        report: dict[str, Any] = {"rows": [asdict(row) for row in rows], "level": LEVEL}
        print(json.dumps({**report, "seed": arguments.seed, "seconds": seconds}))
        return 0
    print(
        f"{'world':20s} {'design':14s} {'draws':>9s} {'ours':>7s} {'set OLS':>8s} {'inst OLS':>9s} "
        f"{'ratio':>6s} {'bias':>7s} {'cover':>6s} {'+-':>5s} {'bare':>6s} {'width':>6s}"
    )
    for row in rows:
        print(
            f"{row.world:20s} {row.design:14s} {row.draws:9,.0f} {row.likelihood:7.4f} "
            f"{row.dataset_ols_on_r_over_k:8.4f} {row.instance_ols_on_r_over_k:9.4f} {row.ratio:6.3f} "
            f"{row.bias:+7.4f} {row.coverage:6.3f} {row.coverage_se:5.3f} "
            f"{row.coverage_without_deviations:6.3f} {row.width:6.3f}"
        )
    print(f"{rows[0].replicates} series each, {LEVEL:.0%} intervals, seed {arguments.seed}, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
