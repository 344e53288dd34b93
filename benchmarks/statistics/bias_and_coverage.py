"""Bias of the estimates and coverage of the 95% interval, over p, r, floors, caps and all stopping rules.

    python benchmarks/statistics/bias_and_coverage.py [--seed 0] [--json] [--quick]

Simulated: the relative bias of `unbiased` and `paper`, with its Monte Carlo standard error. Replicates are
added until that error is below 0.2%, so that the claim "below 1%" is 5 standard errors away from a chance
finding. A pass is drawn by the gap before it (a geometric number of draws), so a pass probability of 1e-6
costs no more than one of 0.5.

Not simulated: the coverage. Outcomes are ordered along the stopping boundary, so those whose interval holds
p are a run of neighbours, and their probability is a difference of binomial tails: exact, without sampling
noise. The simulated coverage of the first replicates stands beside it as a check of one by the other. So too
for a fixed number of draws.

Rules that look (`adaptive_rules.py`), all by simulation: RelativeError; the confidence sequence of runs that
are looked at after every draw and ended at the worst moment; DatasetPrecision, with the sequence as its
interval.
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
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import adaptive_rules

from passuntil.counts import estimates, intervals

PASSES = (2, 3, 5, 10)
PROBABILITIES = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
#: (floor, cap): the plain rule, a floor, a cap, both.
DESIGNS: tuple[tuple[int, int | None], ...] = ((0, None), (64, None), (0, 10**5), (64, 10**4))
LEVEL = 0.95
CHUNK, MOST, ENOUGH = 400_000, 8_000_000, 0.002
QUICK_MOST = 400_000
FIXED_DRAWS = (64, 1024, 10_000, 10**5)
COVERAGE_SAMPLE = 4000

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Cell:
    """One line of the table: a design, a pass probability, and what was found there."""

    r: int
    p: float
    floor: int
    cap: int | None
    replicates: int
    bias: float
    bias_se: float
    paper_bias: float
    coverage: float
    coverage_simulated: float


def draw_runs(
    generator: np.random.Generator, p: float, r: int, floor: int, cap: int | None, size: int
) -> tuple[Ints, Ints, Ints]:
    """(draws, passes, stopped_at) of `size` runs; stopped_at is 0 where the cap came first.

    Where r passes came by the floor, K is the floor: only the paper's estimate would ask where in it K lay.
    """
    by_floor = generator.binomial(floor, p, size)
    still = np.maximum(r - by_floor, 0)
    draws, passes = np.full(size, floor), by_floor.copy()
    place = np.full(size, floor)
    for step in range(1, r + 1):
        # The design has no memory: beyond the floor, every next pass is one geometric gap away.
        wanted = still >= step
        place[wanted] += generator.geometric(p, int(wanted.sum()))
        passes += wanted & (place <= cap if cap is not None else True)
    draws = np.maximum(place, floor)
    reached = passes >= r
    stopped_at = np.where(reached, draws, 0)
    return (draws if cap is None else np.where(reached, draws, cap)), passes, stopped_at


def exact_coverage(p: float, r: int, floor: int, cap: int | None) -> float:
    """Probability of the outcomes whose interval holds p, summed without sampling."""

    def holds(draws: Ints, passes: Ints, stopped_at: Ints) -> NDArray[np.bool_]:
        low, high = intervals.exact(draws, passes, stopped_at, r, floor, cap, level=LEVEL)
        return (low <= p) & (p <= high)

    s = np.arange(r, floor + 1)
    total = float(
        binom.pmf(s, floor, p)[holds(np.full(s.size, floor), s, np.full(s.size, min(r, floor)))].sum()
    )
    if cap is not None:
        s = np.arange(r)
        total += float(binom.pmf(s, cap, p)[holds(np.full(r, cap), s, np.zeros(r, dtype=np.int64))].sum())

    first = max(floor + 1, r)
    last = cap if cap is not None else math.ceil(100 * r / p) + floor

    def bound(which: int, k: int) -> float:
        return float(intervals.exact(k, r, k, r, floor, cap, level=LEVEL)[which])

    def first_k(which: int, strictly: bool) -> int:
        """The first K in [first, last + 1] whose bound is at most p (or below p): bounds fall as K grows."""
        below, above = first - 1, last + 1
        while above - below > 1:
            middle = (below + above) // 2
            value = bound(which, middle)
            if value < p or (value == p and not strictly):
                above = middle
            else:
                below = middle
        return above

    start, end = first_k(0, strictly=False), first_k(1, strictly=True) - 1
    if end >= start:
        # P(start <= K <= end): fewer than r passes before `start`, and r or more by `end`.
        total += float(binom.cdf(r - 1, start - 1, p) - binom.cdf(r - 1, end, p))
    return total


def fixed_coverage(p: float, n: int) -> float:
    """As `exact_coverage`, for n draws; pass counts of a probability below 1e-15 in all are left out."""
    first, last = (int(x) for x in binom.ppf([1e-16, 1 - 1e-15], n, p))
    s = np.arange(max(first - 1, 0), min(last + 2, n) + 1)
    low, high = intervals.exact(n, s, level=LEVEL)
    return float(binom.pmf(s, n, p)[(low <= p) & (p <= high)].sum())


def measure(
    generator: np.random.Generator, p: float, r: int, floor: int, cap: int | None, most: int = MOST
) -> Cell:
    """One cell: chunks of runs until the standard error of the relative bias is small enough."""
    count, total, squares, of_paper, simulated = 0, 0.0, 0.0, 0.0, math.nan
    while True:
        draws, passes, stopped_at = draw_runs(generator, p, r, floor, cap, CHUNK)
        ratio = estimates.unbiased(draws, passes, stopped_at, r, floor, cap) / p
        if not count:
            # How often the first runs' intervals hold p; K at the floor stands for any K by the floor.
            head = slice(0, COVERAGE_SAMPLE)
            low, high = intervals.exact(
                draws[head], passes[head], stopped_at[head], r, floor, cap, level=LEVEL
            )
            simulated = float(((low <= p) & (p <= high)).mean())
        count += CHUNK
        total, squares = total + float(ratio.sum()), squares + float((ratio**2).sum())
        stop_or_end = np.where(stopped_at > 0, r / np.maximum(stopped_at, 1), passes / draws)
        of_paper += float(stop_or_end.sum()) / p
        mean = total / count
        error = math.sqrt(max(squares / count - mean**2, 0.0) / count)
        if error < ENOUGH or count >= most:
            break
    # With a floor K within it was not drawn, so the paper's own estimate is known only without one.
    paper = of_paper / count - 1 if floor == 0 else math.nan
    return Cell(r, p, floor, cap, count, mean - 1, error, paper, exact_coverage(p, r, floor, cap), simulated)


def show_adaptive(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Tables of the rules that look."""
    for name, rows in tables.items():
        print(f"\n{name}")
        names = list(rows[0])
        print("  ".join(f"{key:>{max(len(key), 9)}}" for key in names))
        for row in rows:
            cells = [v if isinstance(v := row[key], str) else f"{v:.5g}" for key in names]
            print("  ".join(f"{cell:>{max(len(key), 9)}}" for key, cell in zip(names, cells, strict=True)))


def main() -> int:
    """Run every cell and print the tables, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="fewer replicates: wider Monte Carlo errors")
    arguments = parser.parse_args()
    started = time.monotonic()
    children = iter(
        np.random.SeedSequence(arguments.seed).spawn(len(DESIGNS) * len(PASSES) * len(PROBABILITIES) + 3)
    )
    most = QUICK_MOST if arguments.quick else MOST
    cells = [
        measure(np.random.default_rng(next(children)), p, r, floor, cap, most)
        for floor, cap in DESIGNS
        for r in PASSES
        for p in PROBABILITIES
    ]
    fixed = [{"n": n, "p": p, "coverage": fixed_coverage(p, n)} for n in FIXED_DRAWS for p in PROBABILITIES]
    generators = [np.random.default_rng(child) for child in children]
    few = arguments.quick
    adaptive = {
        "relative_error": adaptive_rules.relative_error(
            generators[0], PROBABILITIES, 10_000 if few else 200_000
        ),
        "looks": adaptive_rules.looks(generators[1], PROBABILITIES, 500 if few else 3000),
        "dataset_precision": adaptive_rules.dataset_precision(
            generators[2], PROBABILITIES, 20 if few else 120
        ),
    }
    worst = max((cell for cell in cells if cell.r >= 3), key=lambda cell: abs(cell.bias))
    least = min(cells, key=lambda cell: cell.coverage)
    summary: dict[str, Any] = {
        "worst_abs_bias": abs(worst.bias),
        "its_se": worst.bias_se,
        "worst_coverage": least.coverage,
        "worst_coverage_fixed_draws": min(row["coverage"] for row in fixed),
        "worst_abs_bias_relative_error": max(abs(row["bias"]) for row in adaptive["relative_error"]),
        "worst_coverage_relative_error": min(row["coverage"] for row in adaptive["relative_error"]),
        "worst_promise_kept": min(row["kept"] for row in adaptive["relative_error"]),
        "worst_coverage_at_all_looks": min(row["coverage_at_all_looks"] for row in adaptive["looks"]),
        "worst_abs_bias_dataset_precision": max(abs(row["bias"]) for row in adaptive["dataset_precision"]),
        "worst_coverage_dataset_precision": min(
            row["coverage_sequence"] for row in adaptive["dataset_precision"]
        ),
        "level": LEVEL,
        "seed": arguments.seed,
        "seconds": time.monotonic() - started,
    }
    if arguments.json:
        rows = [{k: None if v != v else v for k, v in asdict(cell).items()} for cell in cells]
        print(json.dumps({"cells": rows, "fixed_draws": fixed, **adaptive, **summary}, allow_nan=False))
        return 0
    print(
        f"{'r':>3} {'p':>7} {'floor':>5} {'cap':>7} {'runs':>9} {'bias':>8} {'+- se':>7} {'r/K bias':>9} "
        f"{'coverage':>9} {'simulated':>9}"
    )
    for cell in cells:
        paper = "-" if math.isnan(cell.paper_bias) else f"{cell.paper_bias:+.1%}"
        print(
            f"{cell.r:>3} {cell.p:>7g} {cell.floor:>5} {cell.cap or '-':>7} {cell.replicates:>9} "
            f"{cell.bias:>+8.3%} {cell.bias_se:>7.3%} {paper:>9} "
            f"{cell.coverage:>9.6f} {cell.coverage_simulated:>9.4f}"
        )
    show_adaptive({"fixed_draws": fixed, **adaptive})
    print(
        f"\nworst |bias| for r >= 3 {abs(worst.bias):.3%} (se {worst.bias_se:.3%}; r = {worst.r}, "
        f"p = {worst.p:g}), worst coverage of the {LEVEL:.0%} interval {least.coverage:.6f} (r = {least.r}, "
        f"p = {least.p:g})"
    )
    for name, value in summary.items():
        print(f"{name:<36} {value:.6g}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
