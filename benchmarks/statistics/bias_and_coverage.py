"""Bias of the estimates and coverage of the 95% interval, over r, p, floors and caps.

    python benchmarks/statistics/bias_and_coverage.py [--seed 0] [--json]

Simulated: the relative bias of `unbiased` and `paper`, with its Monte Carlo standard error. Replicates are
added until that error is below 0.2%, so that the claim "below 1%" is 5 standard errors away from a chance
finding. A pass is drawn by the gap before it (a geometric number of draws), so a pass probability of 1e-6
costs no more than one of 0.5.

Not simulated: the coverage. Outcomes are ordered along the stopping boundary, so those whose interval holds
p are a run of neighbours, and their probability is a difference of binomial tails: exact, without sampling
noise. The simulated coverage of the first replicates stands beside it as a check of one by the other.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from passuntil import estimates, intervals

PASSES = (2, 5, 10)
PROBABILITIES = (0.5, 0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
#: (floor, cap): the plain rule, a floor, a cap, both.
DESIGNS: tuple[tuple[int, int | None], ...] = ((0, None), (64, None), (0, 10**5), (64, 10**4))
LEVEL = 0.95
CHUNK, MOST, ENOUGH = 400_000, 24_000_000, 0.002
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


def measure(generator: np.random.Generator, p: float, r: int, floor: int, cap: int | None) -> Cell:
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
        if error < ENOUGH or count >= MOST:
            break
    # With a floor K within it was not drawn, so the paper's own estimate is known only without one.
    paper = of_paper / count - 1 if floor == 0 else math.nan
    return Cell(r, p, floor, cap, count, mean - 1, error, paper, exact_coverage(p, r, floor, cap), simulated)


def main() -> int:
    """Run every cell and print the table, or JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    arguments = parser.parse_args()
    started = time.monotonic()
    children = iter(
        np.random.SeedSequence(arguments.seed).spawn(len(DESIGNS) * len(PASSES) * len(PROBABILITIES))
    )
    cells = [
        measure(np.random.default_rng(next(children)), p, r, floor, cap)
        for floor, cap in DESIGNS
        for r in PASSES
        for p in PROBABILITIES
    ]
    worst = max(cells, key=lambda cell: abs(cell.bias))
    least = min(cells, key=lambda cell: cell.coverage)
    seconds = time.monotonic() - started
    if arguments.json:
        rows = [{k: None if v != v else v for k, v in asdict(cell).items()} for cell in cells]
        summary = {
            "worst_abs_bias": abs(worst.bias),
            "its_se": worst.bias_se,
            "worst_coverage": least.coverage,
            "level": LEVEL,
            "seed": arguments.seed,
            "seconds": seconds,
        }
        print(json.dumps({"cells": rows, **summary}, allow_nan=False))
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
    print(
        f"worst |bias| {abs(worst.bias):.3%} (se {worst.bias_se:.3%}; r = {worst.r}, p = {worst.p:g}), "
        f"worst coverage of the {LEVEL:.0%} interval {least.coverage:.6f} (r = {least.r}, p = {least.p:g}), "
        f"{seconds:.0f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
