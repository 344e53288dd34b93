"""Back-tests on real models: the largest one and two held out, every method, forecast, interval and truth.

    python benchmarks/statistics/real_backtests.py [--seed 0] [--json] [--quick] [--data FOLDER]

Ladder: examples/ladder, twelve tasks, nine sizes. Counts are drawn with UntilPasses(r=5, floor=64, cap=10000)
from the exact pass probabilities; the truth is the exact mean. Pythia: MATH, 10,000 samples of 128 problems,
seven sizes (README of data/pythia_math_repeated_sampling); the truth is the mean over the 10,000. A target is
hit where its truth lies in the 90% interval, give or take .002: an interval that ends at .9999 is not wrong
about .99999.

"pooled" is the likelihood fit whose prior of deviations is learnt from the other tasks of the ladder.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.simulation import draw_counts
from passuntil import InstanceLikelihood, Tally, TallyRow, forecast_tallies, pool_deviations

ROOT = Path(__file__).resolve().parents[2]
R, FLOOR, CAP, LEVEL, NEAR = 5, 64, 10_000, 0.9, 0.002
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Line:
    """One method's forecast of one held-out model."""

    task: str
    left_out: int
    n_params: float
    method: str
    mean: float
    low: float
    high: float
    truth: float

    @property
    def error(self) -> float:
        """Relative error."""
        return abs(self.mean - self.truth) / self.truth

    @property
    def hit(self) -> bool:
        """Whether the interval holds the truth, give or take `NEAR`."""
        return self.low - NEAR <= self.truth <= self.high + NEAR


def ladder() -> dict[str, tuple[Array, Array]]:
    """By task: sizes (n,) and exact log pass probabilities (m, n)."""
    cells: dict[str, dict[float, dict[str, float]]] = {}
    with open(ROOT / "examples" / "ladder" / "scores" / "instances.csv", newline="") as file:
        for row in csv.DictReader(file):
            model = cells.setdefault(row["task"], {}).setdefault(float(row["n_params"]), {})
            model[row["instance"]] = float(row["logprob"])
    found = {}
    for task, models in cells.items():
        sizes, names = sorted(models), sorted(models[min(models)])
        found[task] = (np.array(sizes), np.array([[models[n][name] for n in sizes] for name in names]))
    return found


def pythia(folder: Path) -> tuple[Array, Array, Array] | None:
    """Sizes (n,), draws and passes (m, n), or None where the data are absent."""
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


def rows_of(sizes: Array, draws: Array, passes: Array, nll: Array | None, *, fixed: bool) -> list[TallyRow]:
    """The cells as tallies; within the floor any place of the r-th pass stands for it."""
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
            rows.append(TallyRow(f"m{j}", float(size), f"q{i:03d}", tally, nll=loss))
    return rows


def hold_out(
    task: str, rows: list[TallyRow], sizes: Array, truth: Array, counts: tuple[int, ...]
) -> list[Line]:
    """Every method's forecasts of the largest ones."""
    lines = []
    for count in counts:
        held = [f"m{j}" for j in range(len(sizes) - count, len(sizes))]
        result = forecast_tallies(rows, [], hold_out=held, level=LEVEL)
        for judged in result.held_out:
            j = int(judged.model[1:])
            said = {**judged.methods, "recommended": judged.forecast}
            for method, f in said.items():
                lines.append(
                    Line(task, count, float(sizes[j]), method, f.mean, f.low, f.high, float(truth[j]))
                )
    return lines


def pooled(tables: dict[str, tuple[Array, Array, Array, Array]], counts: tuple[int, ...]) -> list[Line]:
    """The likelihood fit with the prior of deviations learnt from the other tasks."""
    lines = []
    for count in counts:
        fits = {
            task: InstanceLikelihood().fit(sizes[:-count], draws[:, :-count], passes[:, :-count])
            for task, (sizes, draws, passes, _) in tables.items()
        }
        for task, (sizes, draws, passes, truth) in tables.items():
            prior = pool_deviations([f.fitted_deviations_ for name, f in fits.items() if name != task])
            law = InstanceLikelihood(deviation=prior)
            law.fit(sizes[:-count], draws[:, :-count], passes[:, :-count])
            for j in range(len(sizes) - count, len(sizes)):
                f = law.forecast(float(sizes[j]), level=LEVEL)
                lines.append(
                    Line(task, count, float(sizes[j]), "pooled", f.mean, f.low, f.high, float(truth[j]))
                )
    return lines


def summary(lines: list[Line]) -> list[dict[str, object]]:
    """Median and mean relative error and hits by method, and against dataset OLS where both exist."""
    found: list[dict[str, object]] = []
    base = {
        (line.task, line.left_out, line.n_params): line.error
        for line in lines
        if line.method == "dataset_ols"
    }
    for method in dict.fromkeys(line.method for line in lines):
        mine = [line for line in lines if line.method == method]
        both = [
            (line.error, base[key])
            for line in mine
            if (key := (line.task, line.left_out, line.n_params)) in base
        ]
        paired = np.array(both)
        found.append(
            {
                "method": method,
                "forecasts": len(mine),
                "median_error": float(np.median([line.error for line in mine])),
                "mean_error": float(np.mean([line.error for line in mine])),
                "hits": sum(line.hit for line in mine),
                "with_dataset_ols": len(both),
                "median_error_there": float(np.median(paired[:, 0])),
                "median_error_of_dataset_ols": float(np.median(paired[:, 1])),
                "closer": int((paired[:, 0] < paired[:, 1] - 1e-12).sum()),
                "farther": int((paired[:, 0] > paired[:, 1] + 1e-12).sum()),
            }
        )
    return found


def main() -> int:
    """Print both tables and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--quick", action="store_true", help="three tasks of the ladder, the largest one only"
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    began = time.monotonic()
    generator = np.random.default_rng(arguments.seed)
    counts = (1,) if arguments.quick else (1, 2)
    tables = {}
    lines: list[Line] = []
    for task, (sizes, log_p) in list(ladder().items())[: 3 if arguments.quick else None]:
        draws, passes = draw_counts(generator, np.exp(log_p), r=R, floor=FLOOR, cap=CAP)
        truth = np.exp(log_p).mean(0)
        tables[task] = (sizes, draws.astype(float), passes.astype(float), truth)
        lines += hold_out(task, rows_of(sizes, draws, passes, -log_p, fixed=False), sizes, truth, counts)
    lines += pooled(tables, counts)
    data = pythia(arguments.data)
    maths: list[Line] = []
    if data is not None:
        sizes, draws, passes = data
        truth = (passes / draws).mean(0)
        maths = hold_out("math", rows_of(sizes, draws, passes, None, fixed=True), sizes, truth, counts)
    seconds = time.monotonic() - began
    summaries = {"ladder": summary(lines), "pythia": summary(maths) if maths else []}
    if arguments.json:
        listed = [{**asdict(line), "error": line.error, "hit": line.hit} for line in lines + maths]
        print(json.dumps({"lines": listed, **summaries, "seed": arguments.seed, "seconds": seconds}))
        return 0
    for line in lines + maths:
        print(
            f"{line.task:14s} {line.left_out} {line.n_params:12.4g} {line.method:20s} {line.mean:8.4f} "
            f"[{line.low:.4f}, {line.high:.4f}] {line.truth:8.4f} {line.error:7.1%} "
            f"{'hit' if line.hit else 'miss'}"
        )
    for name, table in summaries.items():
        print(f"\n{name}" + ("" if table else ": the data are absent, not run"))
        for row in table:
            print(
                f"{row['method']!s:20s} {row['forecasts']:>3} forecasts, "
                f"median error {row['median_error']:.1%}, mean {row['mean_error']:.1%}, hits {row['hits']}; "
                f"beside dataset_ols ({row['with_dataset_ols']}): {row['median_error_there']:.1%} "
                f"against {row['median_error_of_dataset_ols']:.1%}, "
                f"closer {row['closer']}, farther {row['farther']}"
            )
    print(f"seed {arguments.seed}, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
