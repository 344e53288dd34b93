"""Seconds and memory of `firstlight forecast` on a large series, as a process of its own on one core.

    python benchmarks/statistics/large_forecast.py [--models 10] [--instances 100000] [--fixed 200] [--base FOLDER]

The counts are those of a lawful population: by default at least 64 draws, then until the 5th pass, at most 1,000;
with `--fixed` that many draws of every cell. `--base` names another checkout, whose command is measured on the same
file, after this one's. Seconds are processor time of user and system; memory is the largest resident set.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.simulation import draw_counts, lawful_population
from benchmarks.timed_command import ROOT, timed_command

R, FLOOR, CAP = 5, 64, 1000


def write_series(path: Path, models: int, instances: int, fixed: int | None, seed: int) -> None:
    """A TALLIES.csv of that many models and instances."""
    generator = np.random.default_rng(seed)
    sizes = np.geomspace(0.01, 5.0, models)
    p, _, _ = lawful_population(generator, sizes, instances, training_noise=0.02)
    if fixed:
        draws, passes = np.full(p.shape, fixed), generator.binomial(fixed, p)
    else:
        draws, passes = draw_counts(generator, p, r=R, floor=FLOOR, cap=CAP)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(
            ["model", "n_params", "instance", "draws", "passes", "stopped_at", "r", "floor", "cap"]
        )
        for j, i in itertools.product(range(models), range(instances)):
            n, s = int(draws[i, j]), int(passes[i, j])
            rule: list[int | str] = ["", "", "", fixed or ""]
            if not fixed:
                # Among the floor's draws the 5th pass stands anywhere; the estimates do not ask where.
                rule = ["" if s < R else max(R, n - (s - R)) if n == FLOOR else n, R, FLOOR, CAP]
            writer.writerow([f"m{j}", f"{sizes[j] * 1e9:.0f}", f"q{i}", n, s, *rule])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", type=int, default=10)
    parser.add_argument("--instances", type=int, default=100_000)
    parser.add_argument("--fixed", type=int, help="draws of every cell, instead of until the 5th pass")
    parser.add_argument("--base", type=Path, help="another checkout to measure on the same file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "tallies.csv")
        write_series(path, arguments.models, arguments.instances, arguments.fixed, arguments.seed)
        print(
            f"{arguments.models} models x {arguments.instances:,} instances, {path.stat().st_size / 1e6:.0f} MB"
        )
        for name, root in (("this", ROOT), ("base", arguments.base)):
            if root is not None:
                words = ["forecast", str(path), "--target", "2e10", "--json"]
                taken = timed_command(words, root)
                target = json.loads(taken.output)["targets"][0]
                one = target["methods"][target["recommended"]]
                print(f"{name}: {taken} (forecast {one['mean']:.4f} [{one['low']:.4f}, {one['high']:.4f}])")


if __name__ == "__main__":
    main()
