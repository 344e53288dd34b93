"""Real series of models: the ladder, its other mixtures and seeds, Pythia on MATH; and tallies from them."""

from __future__ import annotations

import csv
import gzip
import json
import math
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from passuntil import Tally, TallyRow

ROOT = Path(__file__).resolve().parents[2]
SCORES = ROOT / "examples" / "ladder" / "scores"
R, FLOOR, CAP = 5, 64, 10_000
#: The mixtures on which the pooling of deviations was chosen; the others judge it.
DEVELOPMENT = ("arithmetic", *(f"random-{i}" for i in range(1, 6)))
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """Exact log pass probabilities (instances, sizes) of one task of one series."""

    sizes: Array
    log_p: Array

    @property
    def truth(self) -> Array:
        """Task means, shape (sizes,)."""
        return np.asarray(np.exp(self.log_p).mean(axis=0))


Series = dict[str, Table]


def ladder() -> Series:
    """The nine models of the ladder, by task."""
    with open(SCORES / "instances.csv", newline="") as file:
        return _tables(("ladder", row) for row in csv.DictReader(file))["ladder"]


def mixtures() -> dict[str, Series]:
    """Three sizes and a fourth, by mixture and seed: eleven other mixtures, and two more seeds of the ladder's."""
    with gzip.open(SCORES / "instances-groups.csv.gz", "rt", newline="") as file:
        series = _tables((_series_of(row["model"]), row) for row in csv.DictReader(file))
    whole = {name: tasks for name, tasks in series.items() if next(iter(tasks.values())).sizes.size == 4}
    return dict(sorted(whole.items()))


def _series_of(model: str) -> str:
    """`ladder-3.0m-random-1-s0` is of the series `random-1`, `ladder-3.0m-main-s2` of `main-s2`."""
    name, seed = model.split("-", 2)[2].rsplit("-", 1)
    return f"{name}-{seed}" if name == "main" else name


def _tables(rows: Iterable[tuple[str, dict[str, str]]]) -> dict[str, Series]:
    cells: dict[str, dict[str, dict[float, dict[str, float]]]] = {}
    for series, row in rows:
        model = (
            cells.setdefault(series, {}).setdefault(row["task"], {}).setdefault(float(row["n_params"]), {})
        )
        model[row["instance"]] = float(row["logprob"])
    tables: dict[str, Series] = {}
    for series, tasks in cells.items():
        for task, models in tasks.items():
            sizes, names = sorted(models), sorted(models[min(models)])
            log_p = np.array([[models[n][name] for n in sizes] for name in names])
            tables.setdefault(series, {})[task] = Table(np.array(sizes), log_p)
    return tables


def pythia(folder: Path) -> tuple[Array, Array, Array] | None:
    """Sizes (n,), draws and passes (m, n) on MATH, or None where the data are absent."""
    path = folder / "pythia_math_repeated_sampling" / "success_counts.csv"
    if not path.is_file():
        return None
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    sizes = sorted({float(row["n_params_non_embedding"]) for row in rows})
    names = sorted({row["problem_idx"] for row in rows})
    draws, passes = np.zeros((2, len(names), len(sizes)))
    for row in rows:
        at = names.index(row["problem_idx"]), sizes.index(float(row["n_params_non_embedding"]))
        draws[at], passes[at] = float(row["n_attempts"]), float(row["n_success"])
    return np.array(sizes), draws, passes


def pythia_loss(folder: Path) -> dict[str, float]:
    """Loss (nats a word) on LAMBADA, zero-shot, of the seven Pythias as m0..m6; empty where absent."""
    path = folder / "pythia_evals" / "raw_lm_eval_json.tar.gz"
    if not path.is_file():
        return {}
    losses = {}
    with tarfile.open(path) as archive:
        for j, size in enumerate(("70m", "160m", "410m", "1b", "2.8b", "6.9b", "12b")):
            # The 1B of the suite was trained in bfloat16, and its file says so.
            model = "1b-bf16" if size == "1b" else size
            name = f"evals/pythia-v1/pythia-{model}/zero-shot/{model}_step143000.json"
            file = archive.extractfile(name)
            assert file is not None
            losses[f"m{j}"] = math.log(json.load(file)["results"]["lambada_openai"]["ppl"])
    return losses


def rows_of(
    sizes: Array, draws: Array, passes: Array, nll: Array | None, *, fixed: bool, task: str = ""
) -> list[TallyRow]:
    """The cells as tallies of models m0, m1, ..; within the floor any place of the r-th pass stands for it."""
    rows = []
    for j, size in enumerate(sizes):
        for i in range(draws.shape[0]):
            n, s = int(draws[i, j]), int(passes[i, j])
            if fixed:
                tally = Tally(n, s, cap=n)
            else:
                stopped = None if s < R else n if n > FLOOR else n - (s - R)
                tally = Tally(n, s, stopped, R, FLOOR, CAP)
            loss = None if nll is None else float(nll[i, j])
            rows.append(TallyRow(f"m{j}", float(size), f"q{i:03d}", tally, nll=loss, task=task))
    return rows
