"""Growth classes: false alarms, power, the sign-of-curvature criterion, and verdicts on real series.

    python benchmarks/statistics/growth.py [--seed 0] [--json] [--quick | --full]

Null populations: every instance obeys PU = exp(-c_s N^-alpha_s) with its own difficulty and a spread-out
exponent, on the seven sizes of the paper's Table 3, with and without a deviation of each model that its
instances share; stop at 5 passes, floor 64, cap 10,000. A false alarm is any of "accelerated",
"sub_scaling", "mixed". Calibration of this study: the full bootstrap of counts, with 49 replicates instead
of 200. The smallest p value is then 2/50 = 4%, which is exactly the share of alpha that the curvature has, so
the level is that of the real thing, with a little less power. The paper's criterion is the sign of the
quadratic coefficient of F of the task mean (r/K and the unbiased rule), on the same populations.

Power: each instance has a second circuit whose exponent is `ratio` times that of the first and which takes
over at a size of its own, around the middle of the range or late in it; P is the best of the two.

Real series: the ladder of examples/ladder (counts simulated from its exact probabilities) and addition and
multiplication of Pythia by operand (accuracies of 50 questions an operand at temperature 0: shares of
questions, not pass probabilities, so they are an illustration).

By default 500 populations of 20 instances and 100 of 164, within three minutes; --full takes 500 of both and
40 a row of the power table, within ten.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from parquet_columns import read_columns

from passuntil.growth import GrowthResult, compare_circuits, growth_class, pooled_noise
from passuntil.growth._instances import simulate

ROOT = Path(__file__).resolve().parents[2]
Floats = NDArray[np.float64]
#: N = 11.5 L d^2 of the paper's Table 3, by its shape rule, in billions.
SIZES = np.array(
    [
        11.5 * layers * width**2 / 1e9
        for layers, width in [
            (12, 512),
            (16, 768),
            (20, 1024),
            (24, 1344),
            (28, 1664),
            (32, 2048),
            (36, 2432),
        ]
    ]
)
RULE: dict[str, Any] = {"r": 5, "floor": 64, "cap": 10_000}
#: Spread of the null populations: log c ~ N(log 7, .45), alpha ~ |N(.30, .12)|.
LEVEL, SPREAD, EXPONENT, EXPONENT_SPREAD = math.log(7.0), 0.45, 0.30, 0.12
NOISES = (0.0, 0.05)
FEW = 49
ALARMS = ("accelerated", "sub_scaling", "mixed")
#: Non-embedding parameters of the Pythia suite, by the names that its first version used.
PYTHIA = {
    "125m": 85_056_000,
    "350m": 302_311_424,
    "800m": 805_736_448,
    "1.3b": 1_208_602_624,
    "2.7b": 2_517_652_480,
    "6.7b": 6_444_163_072,
    "13b": 11_327_027_200,
}


def population(
    generator: np.random.Generator, instances: int, noise: float, ratio: float = 1.0, where: float = 0.0
) -> Floats:
    """log(-log p), shape (I, J). With ratio > 1 a second circuit crosses at about log size `where`."""
    x = np.log(SIZES)
    height = generator.normal(LEVEL, SPREAD, (instances, 1))
    exponent = np.abs(generator.normal(EXPONENT, EXPONENT_SPREAD, (instances, 1)))
    eta = height - exponent * x
    if ratio > 1:
        crossing = where + generator.normal(0.0, 0.4, (instances, 1))
        eta = np.minimum(eta, height - exponent * crossing - ratio * exponent * (x - crossing))
    return np.asarray(eta + noise * generator.standard_normal(x.size))


def measure(generator: np.random.Generator, eta: Floats) -> tuple[Floats, Floats]:
    """(draws, passes), shape (J, I), by the rule."""
    draws, passes = simulate(
        generator, eta, np.ones_like(eta), RULE["r"], RULE["floor"], np.full(eta.shape, float(RULE["cap"]))
    )
    return draws.T, passes.T


def mean_curvature(draws: Floats, passes: Floats, method: str) -> float | None:
    """The paper's criterion: quadratic coefficient of F of the task mean, None where a mean is 0 or 1."""
    stopped = (passes == RULE["r"]) & (draws > RULE["floor"])
    r, k = (RULE["r"], draws) if method == "paper" else (RULE["r"] - 1, draws - 1)
    means = np.where(stopped, r / np.maximum(k, 1), passes / draws).mean(1)
    if ((means <= 0) | (means >= 1)).any():
        return None
    x = np.log(SIZES)
    return float(np.polyfit(x - x.mean(), np.log(-np.log(means)), 2)[0])


def classify(
    sizes: Floats, draws: Floats, passes: Floats, seed: int, rule: dict[str, Any], few: int = 200
) -> GrowthResult:
    """One verdict."""
    return growth_class(sizes, draws, passes, replicates=few, seed=seed, **rule)


def false_alarms(generator: np.random.Generator, cells: list[tuple[int, float, int]]) -> list[dict[str, Any]]:
    """Share of null populations that are given another class than the law; cells: (items, noise, how many)."""
    rows = []
    for instances, noise, populations in cells:
        labels: Counter[str] = Counter()
        concave: dict[str, list[bool]] = {"paper": [], "unbiased": []}
        powers = []
        for number in range(populations):
            draws, passes = measure(generator, population(generator, instances, noise))
            result = classify(SIZES, draws, passes, number, RULE, FEW)
            labels[result.label] += 1
            powers.append(result.power or 0.0)
            for method, signs in concave.items():
                value = mean_curvature(draws, passes, method)
                if value is not None:
                    signs.append(value < 0)
        alarms = sum(labels[name] for name in ALARMS)
        share = alarms / populations
        rows.append(
            {
                "instances": instances,
                "noise": noise,
                "populations": populations,
                "false_alarms": share,
                "standard_error": math.sqrt(0.05 * 0.95 / populations),
                "labels": dict(labels),
                "mean_power": float(np.mean(powers)),
                "sign_says_accelerated_paper": float(np.mean(concave["paper"])),
                "sign_says_accelerated_unbiased": float(np.mean(concave["unbiased"])),
            }
        )
    return rows


def power(generator: np.random.Generator, populations: int) -> list[dict[str, Any]]:
    """Share of populations with a second circuit that are called accelerated."""
    x = np.log(SIZES)
    rows = []
    for instances in (20, 164):
        for noise in NOISES:
            for place, where in (("middle", float(x[3])), ("late", float(x[4] + x[5]) / 2)):
                for ratio in (1.5, 2.0, 3.0, 5.0):
                    labels = Counter(
                        classify(
                            SIZES,
                            *measure(generator, population(generator, instances, noise, ratio, where)),
                            number,
                            RULE,
                            FEW,
                        ).label
                        for number in range(populations)
                    )
                    rows.append(
                        {
                            "instances": instances,
                            "noise": noise,
                            "place": place,
                            "ratio": ratio,
                            "populations": populations,
                            "accelerated": labels["accelerated"] / populations,
                            "labels": dict(labels),
                        }
                    )
    return rows


def verdict(name: str, result: GrowthResult) -> dict[str, Any]:
    """What is shown of one real task, with the comparison of circuits on its shared curve."""
    sizes, f, _ = zip(*result.curve, strict=True) if result.curve else ((), (), ())
    circuits = compare_circuits(sizes, f) if result.curve else None
    return {
        "task": name,
        "class": result.label,
        "p_value": result.p_value,
        "curvature": result.curvature,
        "low": result.low,
        "high": result.high,
        "noise": result.noise,
        "power": result.power,
        "concave": result.concave,
        "convex": result.convex,
        "reason": result.reason,
        "best_aicc": circuits.best_aicc if circuits else None,
        "best_leave_one_out": circuits.best_leave_one_out if circuits else None,
    }


def ladder(generator: np.random.Generator, seed: int) -> list[dict[str, Any]]:
    """Verdicts on the ladder, counts simulated from the exact probabilities."""
    path = ROOT / "examples" / "ladder" / "scores" / "instances.csv"
    if not path.exists():
        return []
    cells: dict[str, dict[tuple[float, str], float]] = {}
    with path.open() as lines:
        for row in csv.DictReader(lines):
            cells.setdefault(row["task"], {})[float(row["n_params"]), row["instance"]] = float(row["logprob"])
    verdicts = []
    for task, by_cell in cells.items():
        sizes = np.array(sorted({size for size, _ in by_cell}))
        names = sorted({instance for _, instance in by_cell})
        logs = np.array([[by_cell[size, name] for size in sizes] for name in names])
        # A probability that rounds to 1 has log 0.
        draws, passes = measure(generator, np.log(np.maximum(-logs, 1e-12)))
        verdicts.append(verdict(task, classify(sizes, draws, passes, seed, RULE)))
    return verdicts


def pythia(seed: int) -> list[dict[str, Any]]:
    """Verdicts on addition and multiplication of Pythia, an instance an operand."""
    path = ROOT.parent / "shared" / "data" / "pythia_evals" / "arithmetic_term_frequency.parquet"
    if not path.exists():
        return []
    try:
        columns = read_columns(path, ["model", "checkpoint", "task", "fewshot", "acc"])
    except ValueError as error:
        print(f"pythia_evals left out: {error}", file=sys.stderr)
        return []
    sizes = np.array([PYTHIA[name.split("-")[1]] for name in columns["model"]], dtype=np.float64)
    verdicts = []
    for kind in ("addition", "multiplication"):
        for shots in (4, 16):
            wanted = (columns["fewshot"] == shots) & (columns["checkpoint"] == 143_000)
            wanted &= np.array([f"_{kind}_" in task for task in columns["task"]])
            n = np.unique(sizes[wanted])
            tasks = np.unique(columns["task"][wanted].astype(str))
            passes = np.zeros((n.size, tasks.size))
            row = np.searchsorted(n, sizes[wanted])
            column = np.searchsorted(tasks, columns["task"][wanted].astype(str))
            passes[row, column] = np.round(50 * columns["acc"][wanted])
            verdicts.append(
                verdict(f"{kind}, {shots} shots", classify(n, np.full(passes.shape, 50), passes, seed, {}))
            )
    return verdicts


def speed(generator: np.random.Generator) -> float:
    """Seconds of one call on 164 x 7 with 200 replicates."""
    draws, passes = measure(generator, population(generator, 164, 0.05))
    started = time.perf_counter()
    classify(SIZES, draws, passes, 0, RULE)
    return time.perf_counter() - started


def with_pooled_noise(generator: np.random.Generator, populations: int) -> list[dict[str, Any]]:
    """What the training noise of eight other tasks of the same models buys: share called rightly."""
    rows = []
    for ratio in (1.0, 2.0):
        for noise in (0.05, 0.1):
            labels: dict[str, Counter[str]] = {"alone": Counter(), "pooled": Counter()}
            for number in range(populations):
                others = [
                    growth_class(
                        SIZES,
                        *measure(generator, population(generator, 20, noise)),
                        replicates=19,
                        calibration="curve",
                        **RULE,
                    )
                    for _ in range(8)
                ]
                counts = measure(generator, population(generator, 164, noise, ratio, math.log(SIZES[3])))
                for name, known in (("alone", None), ("pooled", pooled_noise(others))):
                    result = growth_class(
                        SIZES, *counts, replicates=199, calibration="curve", noise=known, seed=number, **RULE
                    )
                    labels[name][result.label] += 1
            rows.append({"ratio": ratio, "noise": noise, **{k: dict(v) for k, v in labels.items()}})
    return rows


def show(report: dict[str, Any]) -> None:
    """The report as text."""
    print(
        "false alarms (nominal 5%)\n  items noise  pops  alarms     se  power | sign: r/K   unbiased  labels"
    )
    for row in report["false_alarms"]:
        print(
            f"  {row['instances']:>5} {row['noise']:>5} {row['populations']:>5} {row['false_alarms']:>7.1%} "
            f"{row['standard_error']:>6.1%} {row['mean_power']:>6.0%} | "
            f"{row['sign_says_accelerated_paper']:>9.1%} "
            f"{row['sign_says_accelerated_unbiased']:>10.1%}  {row['labels']}"
        )
    print("power for a second circuit\n  items noise  place   ratio  accelerated  labels")
    for row in report["power"]:
        print(
            f"  {row['instances']:>5} {row['noise']:>5}  {row['place']:<7} {row['ratio']:>4}  "
            f"{row['accelerated']:>10.0%}   {row['labels']}"
        )
    print("with the noise pooled over eight other tasks (164 items, circuit in the middle; ratio 1: none)")
    for row in report["pooled"]:
        print(f"  ratio {row['ratio']}, noise {row['noise']}: alone {row['alone']}, pooled {row['pooled']}")
    for name in ("ladder", "pythia"):
        print(
            f"{name}\n  {'task':<25}{'class':<14}{'p':>6} {'F-second':>9} {'sigma':>6} {'power':>6}  "
            "best by AICc, leave-one-out"
        )
        for row in report[name]:
            print(
                f"  {row['task']:<25}{row['class']:<14}{row['p_value']:>6.3f} {row['curvature']:>+9.3f} "
                f"{row['noise']:>6.2f} {row['power']:>6.0%}  {row['best_aicc']}, {row['best_leave_one_out']}"
            )
    print(f"one call on 164 x 7 with 200 replicates: {report['call_seconds']:.2f} s")
    print(f"seed {report['seed']}, {report['seconds']:.0f} s")


def main() -> int:
    """Run every part and print the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="few populations, half a minute")
    size.add_argument("--full", action="store_true", help="500 populations of 164 instances too")
    parser.add_argument(
        "--cell",
        nargs=3,
        metavar=("ITEMS", "NOISE", "POPULATIONS"),
        help="only the false alarms of one cell, in as many populations as it takes to know",
    )
    parser.add_argument("--only", choices=("false_alarms", "power", "pooled", "verdicts"))
    arguments = parser.parse_args()
    started = time.monotonic()
    if arguments.cell:
        items, noise, many = int(arguments.cell[0]), float(arguments.cell[1]), int(arguments.cell[2])
        generator = np.random.default_rng([arguments.seed, items, int(100 * noise)])
        (row,) = false_alarms(generator, [(items, noise, many)])
        print(json.dumps({**row, "seed": arguments.seed, "seconds": time.monotonic() - started}))
        return 0
    seeds = np.random.SeedSequence(arguments.seed).spawn(5)
    parts = [np.random.default_rng(seed) for seed in seeds]
    counts = {20: 40, 164: 10} if arguments.quick else {20: 500, 164: 500 if arguments.full else 100}
    cells = [(items, noise, many) for items, many in counts.items() for noise in NOISES]
    few = 3 if arguments.quick else 40 if arguments.full else 6

    def wanted(part: str) -> bool:
        return arguments.only in (None, part)

    report = {
        "false_alarms": false_alarms(parts[0], cells) if wanted("false_alarms") else [],
        "power": power(parts[1], few) if wanted("power") else [],
        "ladder": ladder(parts[2], arguments.seed) if wanted("verdicts") else [],
        "pythia": pythia(arguments.seed) if wanted("verdicts") else [],
        "call_seconds": speed(parts[3]),
        "pooled": with_pooled_noise(parts[4], few) if wanted("pooled") else [],
        "seed": arguments.seed,
    }
    report["seconds"] = time.monotonic() - started
    if arguments.json:
        print(json.dumps(report, allow_nan=False))
    else:
        show(report)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
