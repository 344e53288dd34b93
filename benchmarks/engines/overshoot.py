"""What the wave scheduler draws in vain, and whether it keeps an engine full.

    python benchmarks/engines/overshoot.py [--json] [--units 400] [--capacity 256] [--seed 0] [--model DIR TASK]

Units of one known pass probability until r = 10 passes, floor 0, cap 10^5. Overshoot: draws that do not count,
those given up in flight included, over all draws. Full: the share of the engine's places that are busy, until the
first moment at which no unit waits any more (the end, with too few units left to fill it, is given apart). The
simulated engine has a clock of its own and decodes as a continuous batch; with --model the reference engine draws
a task of the ladder, every instance until r = 10, on the real clock: once draw by draw, once in the blocks of 64
draws that it computes whatever it is asked for, which makes it several times faster and most of its overshoot free.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads its BLAS

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from firstlight.files.decoding import Decoding  # noqa: E402
from firstlight.files.task_file import InstanceSpec, read_task_file  # noqa: E402
from passuntil import UntilPasses  # noqa: E402
from tests.simulated_engine import PASS, SimulatedEngine  # noqa: E402
from workers.engines import open_engine  # noqa: E402
from workers.scheduler import DrawnUnit, Scheduler  # noqa: E402

PROBABILITIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
RULE = UntilPasses(10, floor=0, cap=10**5)


def drain(scheduler: Scheduler, rule: UntilPasses) -> dict[str, float]:
    """Work until every unit is finished; draws that count, all draws, tokens given up, requests."""
    outcomes: dict[Any, list[bool]] = {}
    vain = tokens = given_up = waves = 0
    while not scheduler.idle:
        for progress in scheduler.step():
            vain += progress.given_up_draws
            given_up += progress.given_up_tokens
            for wave in progress.waves:
                outcomes.setdefault(progress.key, []).extend(wave.passed.tolist())
                tokens += int(wave.tokens.sum())
                waves += 1
    counted = sum(rule.settle(bits).draws for bits in outcomes.values())
    drawn = sum(len(bits) for bits in outcomes.values()) + vain
    return {"counted": counted, "drawn": drawn, "tokens": tokens + given_up, "waves": waves}


def simulated(p: float, *, units: int, capacity: int, seed: int) -> dict[str, Any]:
    """Overshoot and fullness for units of one pass probability."""
    engine = SimulatedEngine({f"u{k}": p for k in range(units)}, capacity=capacity, seed=seed)
    scheduler = _WatchedScheduler(engine, clock=lambda: engine.now)
    spec = {k: InstanceSpec(f"u{k}", "?", PASS, "exact", max_tokens=64) for k in range(units)}
    scheduler.add(DrawnUnit(k, spec[k], RULE, Decoding()) for k in range(units))
    began = time.perf_counter()
    totals = drain(scheduler, RULE)
    seconds = time.perf_counter() - began
    when, busy = scheduler.hungry_from or (engine.now, engine.busy)
    return {
        "p": p,
        "overshoot": 1 - totals["counted"] / totals["drawn"],
        "full": busy / (when * capacity),
        "full_to_the_end": engine.busy / (engine.now * capacity),
        "time_full": when / engine.now,
        "draws_a_wave": totals["drawn"] / totals["waves"],
        "draws": totals["drawn"],
        "wall_seconds": seconds,
    }


class _WatchedScheduler(Scheduler):
    """Notes the engine's clock when units began to run short."""

    hungry_from: tuple[float, float] | None = None

    def step(self, *, fill: bool = True) -> list[Any]:
        answer = super().step(fill=fill)
        if self.hungry and self.hungry_from is None and isinstance(self.engine, SimulatedEngine):
            self.hungry_from = (self.engine.now, self.engine.busy)
        return answer


def reference(model: Path, task: Path, *, cap: int, grain: int | None) -> dict[str, Any]:
    """The reference engine on one task of the ladder."""
    rule = UntilPasses(10, floor=0, cap=cap)
    engine = open_engine("reference", model)
    scheduler = Scheduler(engine, grain=grain)
    scheduler.add(DrawnUnit(spec.id, spec, rule, Decoding()) for spec in read_task_file(task))
    began = time.perf_counter()
    totals = drain(scheduler, rule)
    seconds = time.perf_counter() - began
    engine.close()
    return {
        "model": model.name,
        "task": task.stem,
        "grain": scheduler.grain,
        "overshoot": 1 - totals["counted"] / totals["drawn"],
        "draws": totals["drawn"],
        "draws_a_wave": totals["drawn"] / totals["waves"],
        "seconds": seconds,
        "tokens_per_second": totals["tokens"] / seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--units", type=int, default=400)
    parser.add_argument("--capacity", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", nargs=2, type=Path, metavar=("DIR", "TASK"))
    parser.add_argument("--cap", type=int, default=10**5, help="of the reference engine's run")
    options = parser.parse_args()
    rows = (
        [reference(*options.model, cap=options.cap, grain=grain) for grain in (1, None)]
        if options.model
        else [
            simulated(p, units=options.units, capacity=options.capacity, seed=options.seed)
            for p in PROBABILITIES
        ]
    )
    if options.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()))


if __name__ == "__main__":
    main()
