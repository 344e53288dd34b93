"""Speed of Algorithm 1 against pandas, and of a leaderboard from file to ranking.

    python benchmarks/proxy/algorithm_speed.py [--seed 0] [--json] [--quick] [--data ../shared/data]

Algorithm 1: 42 tasks, 124 models, 1,000 rounds, three metrics, for several subset sizes m', on one thread. Beside
it, in the same process, the loop that one would write with pandas: `DataFrame.corr` of all 43 columns of each round's
models (all pairs, in compiled code), timed on a few rounds and multiplied up. Like is held against like: the loop with
`method="kendall"` against Algorithm 1 with Kendall alone, and a loop of all three metrics against all three. Neither
loop draws subsets, compares top tasks or finds errors, which ours does within its time. Times are processor times,
the least of several turns taken one after the other, since the machine may be busy.

Leaderboard: 7,169 rows x 22 columns are read, relevance of five tasks for a sixth is studied, proxies are selected, and
all models are ranked with rank intervals. Skipped, and said so, where the file is absent.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from proxy import RankingSettings, rank_configurations, read_scores, select_proxies
from proxy.choices import METRICS
from proxy.relevance import choose_metric
from proxy.relevance._rounds import draw_subsets
from proxy.relevance.correlation import set_correlations

TASKS, MODELS, ROUNDS = 42, 124, 1000
LEADERBOARD = Path("open_llm_leaderboard") / "open_llm_leaderboard_v1_dump.csv.gz"


def algorithm(seed: int, subset: int, rounds: int, pandas_rounds: int, turns: int) -> dict[str, Any]:
    """Times of one subset size, each the least of so many turns."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=MODELS)
    x = ability[:, None] * rng.uniform(0, 1, TASKS) + rng.normal(size=(MODELS, TASKS))
    y = ability + 0.5 * rng.normal(size=MODELS)
    chosen = draw_subsets(MODELS, subset, pandas_rounds, np.random.default_rng(seed))
    frame = pd.DataFrame(np.column_stack([x, y]))
    ours: list[float] = []
    kendall: list[float] = []
    loops: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for _ in range(turns):
        settings = {"subset": subset, "rounds": rounds, "seed": seed}
        ours.append(spent(lambda settings=settings: choose_metric(x, y, **settings)))
        kendall.append(spent(lambda settings=settings: choose_metric(x, y, metrics=("kendall",), **settings)))
        for metric, times in loops.items():
            times.append(
                spent(lambda metric=metric: [frame.iloc[rows].corr(method=metric) for rows in chosen])
                / pandas_rounds * rounds
            )  # fmt: skip
    best = {metric: min(times) for metric, times in loops.items()}
    sets = np.zeros((pandas_rounds, MODELS))
    np.put_along_axis(sets, chosen, 1.0, axis=1)
    correlations = set_correlations(x, y, sets)
    difference = max(
        float(
            np.abs(
                correlations[metric][:, place] - frame.iloc[rows].corr(method=metric).to_numpy()[-1, :-1]
            ).max()
        )
        for place, rows in enumerate(chosen)
        for metric in METRICS
    )
    return {
        "subset": subset,
        "rounds": rounds,
        "seconds": min(ours),
        "kendall_seconds": min(kendall),
        "pandas_kendall_seconds": best["kendall"],
        "pandas_three_seconds": sum(best.values()),
        "times_pandas_kendall": best["kendall"] / min(kendall),
        "three_against_pandas_kendall": best["kendall"] / min(ours),
        "times_pandas_three": sum(best.values()) / min(ours),
        "largest_difference": difference,
    }


def spent(work: Callable[[], Any]) -> float:
    """Processor seconds of a piece of work."""
    start = time.process_time()
    work()
    return time.process_time() - start


def leaderboard(data: Path) -> dict[str, Any]:
    """Times of each step from the file to the ranking."""
    path = data / LEADERBOARD
    if not path.is_file():
        return {"skipped": f"{path} is absent"}
    times = {}
    start = time.process_time()
    matrix = read_scores(
        path,
        tasks=["ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K"],
        duplicates="first",
        case="first",
    )
    times["load"] = time.process_time() - start
    start = time.process_time()
    selection = select_proxies(matrix, "GSM8K", permutations=0)
    times["select"] = time.process_time() - start
    start = time.process_time()
    scores = selection.predict(matrix)
    order = np.argsort(-scores)
    times["rank"] = time.process_time() - start
    start = time.process_time()
    weighted = matrix.select(tasks=list(selection.weights))
    ranking = rank_configurations(weighted, RankingSettings(draws=100), weights=selection.weights)
    times["rank with intervals"] = time.process_time() - start
    return {
        "models": len(matrix.models),
        "metric": selection.metric,
        "weights": selection.weights,
        "first": matrix.models[order[0]],
        "same_first": ranking.ranking[0].model == matrix.models[order[0]],
        "seconds": times,
        "total_seconds": sum(times.values()),
        "notes": list(matrix.notes),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one subset size, fewer rounds of the rivals")
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    arguments = parser.parse_args()
    subsets = (62,) if arguments.quick else (10, 30, 62, 123)
    report = {
        "seed": arguments.seed,
        "tasks": TASKS,
        "models": MODELS,
        "algorithm_1": [
            algorithm(arguments.seed, s, ROUNDS, *((5, 2) if arguments.quick else (20, 7))) for s in subsets
        ],
        "leaderboard": leaderboard(arguments.data),
    }
    if arguments.json:
        print(json.dumps(report))
        return
    for row in report["algorithm_1"]:
        print(
            f"m' {row['subset']}: three metrics {row['seconds']:.3f} s for {row['rounds']} rounds, pandas "
            f"{row['pandas_three_seconds']:.2f} s ({row['times_pandas_three']:.0f} times); Kendall alone "
            f"{row['kendall_seconds']:.3f} s, pandas {row['pandas_kendall_seconds']:.2f} s "
            f"({row['times_pandas_kendall']:.0f} times, {row['three_against_pandas_kendall']:.0f} times our three); "
            f"largest difference {row['largest_difference']:.1e}"
        )
    board = report["leaderboard"]
    if "skipped" in board:
        print("leaderboard skipped:", board["skipped"])
        return
    steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in board["seconds"].items())
    print(f"leaderboard of {board['models']} models: {steps}; together {board['total_seconds']:.2f} s")
    for note in board["notes"]:
        print("note:", note)


if __name__ == "__main__":
    main()
