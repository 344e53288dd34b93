"""Back-tests on real models: the largest one and two held out, every method, forecast, interval and truth.

    python benchmarks/statistics/real_backtests.py [--seed 0] [--json] [--quick] [--data FOLDER]

Ladder: examples/ladder, twelve tasks, nine sizes. Mixtures: three sizes to a fourth, twelve tasks, eleven
other mixtures (on six of them the pooling of deviations was chosen, five judge it) and two more seeds of the
ladder's own. Counts are drawn with UntilPasses(r=5, floor=64, cap=10000) from the exact pass probabilities;
the truth is the exact mean. Pythia: MATH, 10,000 samples of 128 problems, seven sizes, with LAMBADA as the
loss of the models (READMEs of data/pythia_math_repeated_sampling and data/pythia_evals); the truth is the
mean over the 10,000. A target is hit where its truth lies in the 90% interval, give or take .002: an interval
that ends at .9999 is not wrong about .99999.

Every task is forecast beside the others of its series, as `forecast_tallies` does by itself. "alone" is the
likelihood fit without them. "bare" has no deviations at all. The last table puts all series together.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.statistics.real_series import (
    CAP,
    DEVELOPMENT,
    FLOOR,
    ROOT,
    Array,
    R,
    Series,
    ladder,
    mixtures,
    pythia,
    pythia_loss,
    rows_of,
)
from benchmarks.statistics.simulation import draw_counts
from passuntil import PassUntilError, TallyRow, forecast_tallies
from passuntil.laws import InstanceLikelihood

LEVEL, NEAR = 0.9, 0.002


@dataclass(frozen=True)
class Line:
    """One method's forecast of one held-out model."""

    series: str
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


def hold_out(
    series: str,
    rows: Sequence[TallyRow],
    task: str,
    truth: Array,
    counts: Sequence[int],
    losses: dict[str, dict[str, float]] | None = None,
) -> list[Line]:
    """Every method's forecasts of the largest ones, and those of the likelihood fit alone and bare."""
    lines = []
    task_rows = [row for row in rows if row.task == task]
    instances = len({row.instance for row in task_rows})
    cells = [(row.n_params, row.tally.draws, row.tally.passes) for row in task_rows]
    sizes, draws, passes = (np.array(v, dtype=float).reshape(-1, instances) for v in zip(*cells, strict=True))
    for count in counts:
        held = [f"m{j}" for j in range(len(truth) - count, len(truth))]
        result = forecast_tallies(rows, [], hold_out=held, level=LEVEL, task=task, losses=losses)
        bare = {}
        for name, deviation in (("alone", "estimate"), ("bare", None)):
            law = InstanceLikelihood(deviation=deviation)
            try:
                bare[name] = law.fit(sizes[:-count, 0], draws[:-count].T, passes[:-count].T)
            except PassUntilError:
                continue
        for judged in result.held_out:
            j = int(judged.model[1:])
            size = float(sizes[j, 0])
            said = {**judged.methods, "recommended": judged.forecast}
            said |= {name: law.forecast(size, level=LEVEL) for name, law in bare.items()}
            for method, f in said.items():
                lines.append(Line(series, task, count, size, method, f.mean, f.low, f.high, float(truth[j])))
    return lines


def drawn(name: str, tables: Series, generator: np.random.Generator, counts: Sequence[int]) -> list[Line]:
    """Every task of a series with exact probabilities, on drawn counts."""
    rows: list[TallyRow] = []
    for task, table in tables.items():
        draws, passes = draw_counts(generator, np.exp(table.log_p), r=R, floor=FLOOR, cap=CAP)
        rows += rows_of(table.sizes, draws, passes, -table.log_p, fixed=False, task=task)
    return [
        line for task, table in tables.items() for line in hold_out(name, rows, task, table.truth, counts)
    ]


def _key(line: Line) -> tuple[str, str, int, float]:
    return line.series, line.task, line.left_out, line.n_params


def summary(lines: list[Line]) -> list[dict[str, object]]:
    """Median and mean relative error and hits by method, and against dataset OLS where both exist."""
    rows: list[dict[str, object]] = []
    base = {_key(line): line.error for line in lines if line.method == "dataset_ols"}
    for method in dict.fromkeys(line.method for line in lines):
        forecasts = [line for line in lines if line.method == method]
        both = [(line.error, base[key]) for line in forecasts if (key := _key(line)) in base]
        paired = np.array(both)
        rows.append(
            {
                "method": method,
                "forecasts": len(forecasts),
                "median_error": float(np.median([line.error for line in forecasts])),
                "mean_error": float(np.mean([line.error for line in forecasts])),
                "hits": sum(line.hit for line in forecasts),
                "with_dataset_ols": len(both),
                "median_error_there": float(np.median(paired[:, 0])),
                "median_error_of_dataset_ols": float(np.median(paired[:, 1])),
                "closer": int((paired[:, 0] < paired[:, 1] - 1e-12).sum()),
                "farther": int((paired[:, 0] > paired[:, 1] + 1e-12).sum()),
            }
        )
    return rows


def groups(lines: list[Line]) -> dict[str, list[Line]]:
    """What is summed up together."""
    by_kind: dict[str, list[Line]] = {}
    for line in lines:
        kind = line.series
        if kind not in ("ladder", "pythia"):
            kind = "main seeds" if kind.startswith("main") else "mixtures, judging"
            kind = "mixtures, development" if line.series in DEVELOPMENT else kind
        by_kind.setdefault(kind, []).append(line)
    return {**by_kind, "all together": lines}


def main() -> int:
    """Print both tables and the summary."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--quick", action="store_true", help="three tasks of the ladder, the largest one only"
    )
    parser.add_argument("--only", choices=("ladder", "mixtures", "pythia"), action="append", default=[])
    parser.add_argument("--series", action="append", default=[], help="these mixtures only")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    began = time.monotonic()
    wanted = arguments.only or (["ladder"] if arguments.quick else ["ladder", "mixtures", "pythia"])
    lines: list[Line] = []
    if "ladder" in wanted:
        tables = dict(list(ladder().items())[: 3 if arguments.quick else None])
        generator = np.random.default_rng(arguments.seed)
        lines += drawn("ladder", tables, generator, (1,) if arguments.quick else (1, 2))
    if "mixtures" in wanted:
        for name, tables in mixtures().items():
            if not arguments.series or name in arguments.series:
                generator = np.random.default_rng([arguments.seed, *name.encode()])
                lines += drawn(name, tables, generator, (1,))
    data = pythia(arguments.data) if "pythia" in wanted else None
    if data is not None:
        sizes, draws, passes = data
        rows = rows_of(sizes, draws, passes, None, fixed=True, task="math")
        loss = pythia_loss(arguments.data)
        losses = {"lambada": loss} if loss else None
        lines += hold_out("pythia", rows, "math", (passes / draws).mean(0), (1, 2), losses)
    seconds = time.monotonic() - began
    summaries = {name: summary(group) for name, group in groups(lines).items()}
    if arguments.json:
        listed = [{**asdict(line), "error": line.error, "hit": line.hit} for line in lines]
        print(json.dumps({"lines": listed, **summaries, "seed": arguments.seed, "seconds": seconds}))
        return 0
    for line in lines:
        print(
            f"{line.series:10s} {line.task:14s} {line.left_out} {line.n_params:12.4g} {line.method:20s} "
            f"{line.mean:8.4f} [{line.low:.4f}, {line.high:.4f}] {line.truth:8.4f} {line.error:7.1%} "
            f"{'hit' if line.hit else 'miss'}"
        )
    if "pythia" in wanted and data is None:
        print("\npythia: the data are absent, not run")
    for name, table in summaries.items():
        print(f"\n{name}")
        for row in table:
            print(
                f"{row['method']!s:20s} {row['forecasts']:>3} forecasts, median error "
                f"{row['median_error']:.1%}, mean {row['mean_error']:.1%}, hits {row['hits']}; "
                f"beside dataset_ols ({row['with_dataset_ols']}): {row['median_error_there']:.1%} "
                f"against {row['median_error_of_dataset_ols']:.1%}, "
                f"closer {row['closer']}, farther {row['farther']}"
            )
    print(f"seed {arguments.seed}, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
