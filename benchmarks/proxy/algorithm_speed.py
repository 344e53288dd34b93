"""Speed of Algorithm 1 against pandas, and of a leaderboard from file to ranking.

    python benchmarks/proxy/algorithm_speed.py [--seed 0] [--json] [--quick] [--data ../shared/data]

Algorithm 1: 42 tasks, 124 models, 1,000 rounds, three metrics, for several subset sizes m', on one thread. Beside
it, in the same process, the loops that one would write with pandas, timed on a few rounds and multiplied up:
`DataFrame.corr(method="kendall")` of all 43 columns a round (all pairs, in compiled code), and `Series.corr` of each
task with the target (the pairs that are asked for, through scipy). Both give Kendall alone, not three metrics.

Leaderboard: 7,169 rows x 22 columns are read, relevance of five tasks for a sixth is studied, proxies are selected, and
all models are ranked with rank intervals. Skipped, and said so, where the file is absent.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from proxy import choose_metric, rank_configurations, read_scores, select_proxies
from proxy.consistency import draw_subsets
from proxy.kernels import set_correlations

TASKS, MODELS, ROUNDS = 42, 124, 1000
LEADERBOARD = Path("open_llm_leaderboard") / "open_llm_leaderboard_v1_dump.csv.gz"


def algorithm(seed: int, subset: int, rounds: int, pandas_rounds: int) -> dict[str, Any]:
    """Times of one subset size."""
    rng = np.random.default_rng(seed)
    ability = rng.normal(size=MODELS)
    x = ability[:, None] * rng.uniform(0, 1, TASKS) + rng.normal(size=(MODELS, TASKS))
    y = ability + 0.5 * rng.normal(size=MODELS)
    start = time.perf_counter()
    choose_metric(x, y, subset=subset, rounds=rounds, seed=seed)
    ours = time.perf_counter() - start
    chosen = draw_subsets(MODELS, subset, pandas_rounds, np.random.default_rng(seed))
    frame = pd.DataFrame(np.column_stack([x, y]))
    start = time.perf_counter()
    pandas = np.array([frame.iloc[rows].corr(method="kendall").to_numpy()[-1, :-1] for rows in chosen])
    loop = (time.perf_counter() - start) / pandas_rounds * rounds
    start = time.perf_counter()
    few = chosen[:3]
    for rows in few:
        part = frame.iloc[rows]
        for task in range(TASKS):
            part[task].corr(part[TASKS], method="kendall")
    series = (time.perf_counter() - start) / len(few) * rounds
    sets = np.zeros((pandas_rounds, MODELS))
    np.put_along_axis(sets, chosen, 1.0, axis=1)
    difference = np.abs(set_correlations(x, y, sets, ("kendall",))["kendall"].T - pandas).max()
    return {
        "subset": subset,
        "rounds": rounds,
        "seconds": ours,
        "pandas_seconds": loop,
        "pandas_series_seconds": series,
        "times_pandas": loop / ours,
        "times_pandas_series": series / ours,
        "largest_difference": float(difference),
    }


def leaderboard(data: Path) -> dict[str, Any]:
    """Times of each step from the file to the ranking."""
    path = data / LEADERBOARD
    if not path.is_file():
        return {"skipped": f"{path} is absent"}
    times = {}
    start = time.perf_counter()
    matrix = read_scores(
        path,
        tasks=["ARC", "HellaSwag", "MMLU", "TruthfulQA", "Winogrande", "GSM8K"],
        duplicates="first",
        case="first",
    )
    times["load"] = time.perf_counter() - start
    start = time.perf_counter()
    selection = select_proxies(matrix, "GSM8K", permutations=0)
    times["select"] = time.perf_counter() - start
    start = time.perf_counter()
    scores = selection.predict(matrix)
    order = np.argsort(-scores)
    times["rank"] = time.perf_counter() - start
    start = time.perf_counter()
    tasks = list(selection.weights)
    ranking = rank_configurations(
        matrix.select(tasks=tasks).scores, matrix.models, tasks, weights=selection.weights, draws=100
    )
    times["rank with intervals"] = time.perf_counter() - start
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
    found = {
        "seed": arguments.seed,
        "tasks": TASKS,
        "models": MODELS,
        "algorithm_1": [algorithm(arguments.seed, s, ROUNDS, 5 if arguments.quick else 30) for s in subsets],
        "leaderboard": leaderboard(arguments.data),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for row in found["algorithm_1"]:
        print(
            f"m' {row['subset']}: {row['seconds']:.2f} s for {row['rounds']} rounds and three metrics; "
            "DataFrame.corr loop "
            f"{row['pandas_seconds']:.1f} s ({row['times_pandas']:.0f} times), Series.corr loop "
            f"{row['pandas_series_seconds']:.0f} s ({row['times_pandas_series']:.0f} times); "
            f"largest difference {row['largest_difference']:.1e}"
        )
    board = found["leaderboard"]
    if "skipped" in board:
        print("leaderboard skipped:", board["skipped"])
        return
    steps = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in board["seconds"].items())
    print(f"leaderboard of {board['models']} models: {steps}; together {board['total_seconds']:.2f} s")
    for note in board["notes"]:
        print("note:", note)


if __name__ == "__main__":
    main()
