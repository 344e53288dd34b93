"""Seconds and memory of `firstlight relevance` on a million scores, as a process of its own on one core.

    python benchmarks/proxy/large_relevance.py [--shape 10000x100 ...] [--long] [--gaps .02] [--base FOLDER]

Scores are a general ability, a part of each task's own and noise, rounded to four digits as harnesses print them.
`--long` writes a line a score. `--base` names another checkout, whose command is measured on the same file, after
this one's. Seconds are processor time of user and system; memory is the largest resident set.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.timed_command import ROOT, timed_command

SHAPES = ("10000x100", "1000x1000", "100000x10", "100x10000")


def write_scores(path: Path, models: int, tasks: int, *, long: bool, gaps: float, seed: int) -> None:
    """A SCORES.csv of that many models and tasks; the target is t0 and has no gaps."""
    generator = np.random.default_rng(seed)
    ability = generator.normal(size=models)
    load = generator.uniform(0.0, 1.0, tasks)
    load[0] = 1.0
    latent = ability[:, None] * load + generator.normal(size=(models, tasks))
    text = np.char.mod("%.4f", 1.0 / (1.0 + np.exp(-latent)))
    missing = generator.random(text.shape) < gaps
    missing[:, 0] = False
    text[missing] = ""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["model", "task", "score"] if long else ["model", *(f"t{j}" for j in range(tasks))])
        for i, row in enumerate(text.tolist()):
            if long:
                writer.writerows([f"m{i}", f"t{j}", cell] for j, cell in enumerate(row) if cell)
            else:
                writer.writerow([f"m{i}", *row])


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--shape", action="append", help=f"models x tasks (default {', '.join(SHAPES)})")
    parser.add_argument("--long", action="store_true", help="write a line a score")
    parser.add_argument(
        "--gaps", type=float, default=0.0, help="share of the scores that are missing (default 0)"
    )
    parser.add_argument("--base", type=Path, help="another checkout to measure on the same file")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for shape in arguments.shape or SHAPES:
        models, tasks = map(int, shape.split("x"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "scores.csv")
            write_scores(path, models, tasks, long=arguments.long, gaps=arguments.gaps, seed=arguments.seed)
            for name, root in (("this", ROOT), ("base", arguments.base)):
                if root is not None:
                    taken = timed_command(["relevance", str(path), "--target", "t0", "--json"], root)
                    best = json.loads(taken.output)["tasks"][0]
                    print(
                        f"{shape} {name}: {taken} (best {best['task']}, {best['relevance']:.4f})", flush=True
                    )


if __name__ == "__main__":
    main()
