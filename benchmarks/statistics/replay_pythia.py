"""Replay of 10,000 recorded draws a problem (MATH, 128 problems, Pythia): bias of r / K, and draws saved.

    python benchmarks/statistics/replay_pythia.py [--seed 0] [--json] [--quick] [--data DIR]

The record is ../shared/data/pythia_math_repeated_sampling (success_attempt_indices.parquet), or --data.

1. Bias. The 12B's draws are taken in the order of the record, every problem is stopped at its r-th pass (cap
   10,000), and the estimates are averaged over the problems: the paper's r / K, and the unbiased one with its
   standard error from the draws. The mean of all 10,000 draws is the truth.
2. Draws for the mean. What each rule needs for a 95% interval of the mean of these problems (draws alone) as
   narrow as the others'. At a given standard error a rule with parameter x needs D(x) draws. Fixed n: the
   variance is sum(v) / (m^2 n). Draws are made from the recorded pass rates, so that the record is not used
   up. Standard errors: of stopping at r, the root mean square error over the repetitions; of
   DatasetPrecision, the root mean of its unbiased variances (its root mean square error stands beside it in
   the JSON as `rmse`); with a floor, at the expected draws. One target is the standard error that the
   record itself has with its 10,000 draws a problem. "oracle" is Neyman's allocation with the true p: no rule
   can need fewer, since the variance of an unbiased estimate is at least sum(v_i / E n_i) / m^2 however it
   stops (Wolfowitz 1947, Annals of Mathematical Statistics 18:215-230). "like the smaller one" is
   Neyman's allocation with the pass rates of the next smaller model in place of its own, all draws planned in
   advance; "like" is the rule itself, its first round planned from the counts that it made of that model
   (the smallest one has a pilot). For the series as a whole every model is measured with the same relative
   standard error.
3. Draws for single problems. A log-width (high / low of the exact 95% interval) is asked of every problem
   that passed 10 times or more in the record. Stopping at r gives each the same one; a fixed n has to be
   large enough for half of them, for nine in ten, or for all. r = 2 is narrowed by running it again and
   again and averaging on the log scale: psi'(2) / psi'(r) runs are as good as one that stops at r.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.draws_saved import CAP, for_the_mean, for_the_series, like_the_smaller_one
from benchmarks.statistics.parquet_columns import read_columns
from passuntil.counts import estimates, intervals
from passuntil.counts.gbas import passes_needed

ROOT = Path(__file__).resolve().parents[2]
PAPER_R = (1, 2, 3, 5, 10)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def load(folder: Path) -> dict[str, list[Ints]]:
    """model -> for each problem the 1-based draws that passed; models in order of size."""
    path = folder / "success_attempt_indices.parquet"
    if not path.exists():
        raise SystemExit(f"the record {path} is absent; give its folder with --data")
    plain = read_columns(path, ["model", "n_params_non_embedding", "n_success", "success_attempts"])
    rows = [row.astype(np.int64) for row in plain["success_attempts"]]
    if [row.size for row in rows] != plain["n_success"].tolist():
        raise SystemExit(f"{path}: the lists of passes do not have the lengths that n_success says")
    record: dict[str, list[Ints]] = {}
    for place in np.argsort(plain["n_params_non_embedding"], kind="stable"):
        record.setdefault(str(plain["model"][place]), []).append(rows[place])
    return record


def in_recorded_order(record: list[Ints], r: int) -> dict[str, float]:
    """Means of both estimates over the problems, each stopped at its r-th pass in the record."""
    stopped = np.array([row[r - 1] if row.size >= r else 0 for row in record])
    passes = np.array([min(row.size, r) for row in record])
    draws = np.where(stopped > 0, stopped, CAP)
    columns = (draws, passes, stopped, r, 0, CAP)
    m = len(record)
    return {
        "r": r,
        "paper": float(estimates.paper(*columns).mean()),
        "unbiased": float(estimates.unbiased(*columns).mean()),
        "se": math.sqrt(float(estimates.variance(*columns).sum())) / m,
        "draws": int(draws.sum()),
    }


def for_single_problems(p: Floats) -> list[dict[str, Any]]:
    """Draws of a fixed n against stopping at r, for the same log-width of single problems' intervals."""
    p = p[p >= 10 / CAP]
    rows = []
    for name, r in (
        ("r=5", 5),
        ("r=10", 10),
        ("relative_error=0.5", passes_needed(0.5)),
        ("relative_error=0.2", passes_needed(0.2)),
    ):
        # At its expected K every problem has about this width; it falls a little towards p = 1.
        k = np.ceil(r / p)
        low, high = intervals.exact(k, r, k, r, 0, 10**9)
        stop_width = np.log(high / low)
        stop_draws = float(k.sum())

        def fixed_width(n: int, p: Floats = p) -> Floats:
            passes = np.maximum(np.round(n * p), 0)
            low, high = intervals.exact(n, passes)
            with np.errstate(divide="ignore"):
                return np.asarray(np.log(high) - np.log(low))

        figures: dict[str, float] = {"r": r, "log_width": float(np.median(stop_width)), "draws": stop_draws}
        for share in (0.5, 0.9, 1.0):
            low_n, high_n = 1, 10**8
            while high_n - low_n > 1:
                middle = (low_n + high_n) // 2
                ok = (fixed_width(middle) <= stop_width * 1.0001).mean() >= share
                low_n, high_n = (low_n, middle) if ok else (middle, high_n)
            figures[f"fixed_saving_{share:g}"] = high_n * p.size / stop_draws
        # r = 2 reaches a log-variance of psi'(2); to reach psi'(r) it is run so many times, at 2 / p each.
        times = float(polygamma(1, 2) / polygamma(1, r))
        figures["saved_against_r2"] = times * float(np.ceil(2 / p).sum()) / stop_draws
        rows.append({"rule": name, **figures})
    return rows


def main() -> int:
    """Replay, compare, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, the 12B only")
    parser.add_argument(
        "--data", type=Path, default=ROOT.parent / "shared" / "data" / "pythia_math_repeated_sampling"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    record = load(arguments.data)
    generator = np.random.default_rng(arguments.seed)
    largest = list(record)[-1]
    rates = {name: np.array([row.size for row in rows]) / CAP for name, rows in record.items()}
    truth = float(rates[largest].mean())
    order = [in_recorded_order(record[largest], r) for r in PAPER_R]
    for row in order:
        row["standard_errors_off"] = (row["unbiased"] - truth) / row["se"] if row["se"] > 0 else math.nan
    repeats = 20 if arguments.quick else 40
    models = [largest] if arguments.quick else list(record)
    smaller: dict[float, Any] = {}
    means = {name: for_the_mean(rates[name], repeats, generator, smaller) for name in models}
    by_size = list(rates.values())
    for j, name in enumerate(rates):
        if name in means and j:
            means[name]["like_the_smaller_one"] = like_the_smaller_one(rates[name], by_size[j - 1])
    series = for_the_series(means)
    singles = {name: for_single_problems(rates[name]) for name in models}
    result = {
        "model": largest,
        "truth": truth,
        "recorded_order": order,
        "mean_over_problems": means,
        "series": series,
        "single_problems": singles,
        "seed": arguments.seed,
        "repeats": repeats,
        "seconds": time.monotonic() - started,
    }
    if arguments.json:
        print(json.dumps(result, default=lambda x: None).replace("NaN", "null"))
        return 0
    print(f"{largest}, mean of all draws {truth:.5f}; problems stopped at the r-th pass in recorded order")
    for row in order:
        off = "no use at r = 1" if row["r"] == 1 else f"{row['standard_errors_off']:+.2f} standard errors off"
        print(
            f"  r={row['r']:>2}  r/K {row['paper']:.4f}  unbiased {row['unbiased']:.4f} +- {row['se']:.4f}"
            f"  {off}  ({row['draws']} draws)"
        )
    for name, figures in means.items():
        mean, r2 = figures["mean"], figures["r2"]
        print(
            f"{name}, mean {mean:.4f}: draws for the mean at equal standard error. With p known at most "
            f"x{figures['oracle_saving_against_fixed']:.2f} can be saved against fixed n; an allocation like "
            f"the smaller one's x{figures.get('like_the_smaller_one', math.nan):.2f}.\n"
            f"  r=2 takes {r2['draws']:.0f} draws for {r2['se'] / mean:.1%}; "
            f"fixed n x{r2['fixed_n_saves_against_it']:.0f} fewer"
        )
        for row in figures["dataset_precision"]:
            print(
                f"  precision {row['relative_target']:<8.3g} {row['planned_from']:<7} {row['draws']:>9.0f} draws, "
                f"se {row['se'] / mean:.2%}, saved x{row['saved_against_fixed']:.2f} (fixed n), "
                f"x{row['saved_against_r2']:.0f} (r=2); bias {row['bias']:+.2%}, "
                f"coverage {row['coverage']:.2f}, sequence {row['coverage_sequence']:.2f}"
            )
        for row in figures["until_passes"]:
            print(
                f"  {row['rule']:<26} {row['draws']:>9.0f} draws, se {row['se'] / mean:.2%}, "
                f"saved x{row['saved_against_fixed']:.3f} (fixed n), x{row['saved_against_r2']:.1f} (r=2)"
            )
        print("  single problems, draws of a fixed n over those of the rule at equal log-width:")
        for row in singles[name]:
            print(
                f"    {row['rule']:<20} high/low {math.exp(row['log_width']):.2f}: "
                f"x{row['fixed_saving_0.5']:.1f} for half of the problems, "
                f"x{row['fixed_saving_0.9']:.1f} for nine in ten, x{row['fixed_saving_1']:.1f} for all; "
                f"against r=2 x{row['saved_against_r2']:.2f}"
            )
    print(f"all {len(means)} models together, each with the same relative standard error:")
    for row in series:
        print(
            f"  precision {row['relative_target']:<8.3g} {row['planned_from']:<7} {row['draws']:>9.0f} draws, "
            f"saved x{row['saved_against_fixed']:.2f} (fixed n), x{row['saved_against_r2']:.0f} (r=2)"
        )
    print(f"seed {arguments.seed}, {result['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
