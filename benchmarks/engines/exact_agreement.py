"""Draws of an engine on the ladder against exact pass probabilities: how far do the counts stray?

    python benchmarks/engines/exact_agreement.py [--engine reference] [--dtype bfloat16] [--seed 0] [--cells 1000]

A cell is a model and an instance. Its exact pass probability p is that of the answer and its end, from
examples/ladder/scores/instances.csv, which another program computed. Cells are taken at random among those
with p between 0.002 and 0.998, by p alone and never by what was drawn. Each gets 400 draws, graded as a run
grades them, so that n p (1 - p) is at least 0.8. With z = (passes - n p) / sqrt(n p (1 - p)), a right engine
has mean z 0 and mean z^2 1; the standard errors stated are those of exact binomial counts, for which
Var z^2 = 2 + (1 - 6 p (1 - p)) / (n p (1 - p)). Random streams depend on the seed and the instance, so the
model's name goes into the instance's: cells are independent. Some cells are drawn again by a freshly opened
engine in waves of another size, and must count exactly the same where the engine promises it.

The exit status is 1 where mean z^2 leaves 0.85 to 1.15 or a promised repeat differs. At 1000 cells the bounds are
three standard errors away.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads its BLAS

import argparse
import csv
import json
import math
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import numpy as np  # noqa: E402

from firstlight.files.task_file import InstanceSpec, read_task_file  # noqa: E402
from workers.engines import KINDS, DrawRequest, Engine, EngineRefusal, check_wave, open_engine  # noqa: E402
from workers.graders import grade  # noqa: E402

LADDER = ROOT / "examples" / "ladder"
DRAWS, REPEAT_WAVE = 400, 150
LOWEST, HIGHEST = 0.002, 0.998
LEAST, MOST = 0.85, 1.15
REPEATED = 40
LEAST_MODELS = LEAST_TASKS = 4


@dataclass(frozen=True)
class Cell:
    """One instance of one model, with its exact pass probability."""

    model: str
    task: str
    instance: str
    p: float

    @property
    def variance(self) -> float:
        """Of the passes of this cell."""
        return DRAWS * self.p * (1 - self.p)


def choose_cells(count: int, seed: int) -> list[Cell]:
    """A random sample of the cells whose exact probability is neither tiny nor nearly 1."""
    with (LADDER / "scores" / "instances.csv").open(newline="") as file:
        cells = [
            Cell(row["model"], row["task"], row["instance"], math.exp(float(row["logprob"])))
            for row in csv.DictReader(file)
        ]
    cells = [cell for cell in cells if LOWEST <= cell.p <= HIGHEST]
    count = min(count, len(cells))
    chosen = np.random.default_rng(seed).choice(len(cells), count, replace=False)
    return [cells[index] for index in sorted(chosen.tolist())]


def count_passes(
    engine: Engine, cells: dict[Cell, InstanceSpec], seed: int, wave: int = DRAWS
) -> tuple[dict[Cell, int], int]:
    """Passes of each cell's draws, asked for in waves of `wave` and all at once, and tokens of all."""
    requests = [
        (
            cell,
            DrawRequest(
                instance=f"{cell.model}/{cell.instance}",
                prompt=spec.prompt,
                first_draw=first,
                draws=min(wave, DRAWS - first),
                seed=seed,
                stop=spec.stop,
                max_tokens=spec.max_tokens,
            ),
        )
        for cell, spec in cells.items()
        for first in range(0, DRAWS, wave)
    ]
    passes, tokens = dict.fromkeys(cells, 0), 0
    for (cell, request), answer in zip(requests, engine.draw([each for _, each in requests]), strict=True):
        check_wave(request, answer)
        passes[cell] += sum(grade(text, cells[cell]) for text in answer.texts)
        tokens += int(answer.tokens.sum())
    return passes, tokens


def measure(cells: list[Cell], seed: int, kind: str, **how: str) -> dict[str, Any]:
    """Draw all cells, a model at a time, and repeat some of them."""
    specs = {
        (task, spec.id): spec
        for task in {cell.task for cell in cells}
        for spec in read_task_file(LADDER / "tasks" / f"{task}.jsonl")
    }
    by_model: defaultdict[str, dict[Cell, InstanceSpec]] = defaultdict(dict)
    for cell in cells:
        by_model[cell.model][cell] = specs[cell.task, cell.instance]
    every = max(1, len(cells) // REPEATED)
    again = set(cells[::every])
    z: list[float] = []
    tokens, seconds, repeats, different, promised = 0, 0.0, 0, 0, True
    refused: dict[str, str] = {}
    for model, its in by_model.items():
        try:
            engine = open_engine(kind, LADDER / "models" / model, **how)
        except EngineRefusal as error:
            refused[model] = str(error)
            continue
        promised = engine.repeatable
        began = time.perf_counter()
        counted, generated = count_passes(engine, its, seed)
        seconds += time.perf_counter() - began
        tokens += generated
        engine.close()
        z += [(counted[cell] - DRAWS * cell.p) / math.sqrt(cell.variance) for cell in its]
        if chosen := {cell: spec for cell, spec in its.items() if cell in again}:
            engine = open_engine(kind, LADDER / "models" / model, **how)
            repeated, _ = count_passes(engine, chosen, seed, REPEAT_WAVE)
            engine.close()
            repeats += len(repeated)
            different += sum(repeated[cell] != counted[cell] for cell in repeated)
    cells = [cell for cell in cells if cell.model not in refused]
    deviations = np.array(z)
    of_square = np.array([2 + (DRAWS - 6 * cell.variance) / (DRAWS * cell.variance) for cell in cells])
    return {
        "engine": kind,
        "seed": seed,
        "cells": len(cells),
        "models": len(by_model) - len(refused),
        "models_refused": refused,
        "tasks": len({cell.task for cell in cells}),
        "draws": DRAWS * len(cells),
        "mean_z": float(deviations.mean()),
        "mean_z_se": len(cells) ** -0.5,
        "mean_z_squared": float((deviations**2).mean()),
        "mean_z_squared_se": float(np.sqrt(of_square.sum()) / len(cells)),
        "worst_abs_z": float(np.abs(deviations).max()),
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds),
        "repeated_cells": repeats,
        "repeats_that_differ": different,
        "repeats_promised": promised,
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--engine", choices=KINDS, default="reference")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--dtype", help="an option of the engines torch and vllm")
    options = parser.parse_args()
    if options.cells < 500 or options.seed < 0:
        parser.error("--cells must be at least 500, so that mean z^2 is known well, and --seed at least 0")
    began = time.monotonic()
    cells = choose_cells(options.cells, options.seed)
    spread = len({cell.model for cell in cells}), len({cell.task for cell in cells})
    if spread[0] < LEAST_MODELS or spread[1] < LEAST_TASKS:
        parser.error(f"the cells span {spread[0]} models and {spread[1]} tasks only: take more --cells")
    how = {"dtype": options.dtype} if options.dtype else {}
    result = measure(cells, options.seed, options.engine, **how)
    kept = not result["repeats_that_differ"] or not result["repeats_promised"]
    sound = LEAST <= result["mean_z_squared"] <= MOST and kept
    result |= {"sound": sound, "seconds": round(time.monotonic() - began, 1)}
    for model, why in result["models_refused"].items():
        print(f"{model} is left out: {why}", file=sys.stderr)
    if options.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['cells']} cells of {result['models']} models and {result['tasks']} tasks, "
            f"{result['draws']:,} draws, "
            f"{result['tokens_per_second']:,} tokens/s, {result['seconds']:.0f} s\n"
            f"mean z    {result['mean_z']:+.4f} (se {result['mean_z_se']:.4f}; expected 0)\n"
            f"mean z^2  {result['mean_z_squared']:.4f} (se {result['mean_z_squared_se']:.4f}; expected 1)\n"
            f"worst |z| {result['worst_abs_z']:.2f}\n"
            f"{result['repeats_that_differ']} of {result['repeated_cells']} repeated cells differ\n"
            f"{'sound' if sound else 'NOT SOUND'}: mean z^2 must lie in {LEAST} to {MOST}, "
            "and no promised repeat may differ"
        )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
