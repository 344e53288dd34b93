"""A whole task: the ladder's largest model on all twelve tasks, until ten passes, at most 10^5 draws an instance.

    python benchmarks/engines/whole_task.py --engines torch vllm reference [--r 10] [--cap 100000]

Wall time from before the checkpoint is opened to the last unit done, by the wave scheduler, grading included; the
engine's opening is told apart. One engine after another in one process; a JSON line each.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_USE_FLASHINFER_SAMPLER", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

from firstlight.files.decoding import Decoding  # noqa: E402
from firstlight.files.task_file import read_task_file  # noqa: E402
from passuntil import UntilPasses  # noqa: E402
from workers.engines import open_engine  # noqa: E402
from workers.scheduler import DrawnUnit, Scheduler  # noqa: E402

LADDER = ROOT / "examples" / "ladder"


def whole(kind: str, model: Path, rule: UntilPasses, options: dict[str, Any]) -> dict[str, Any]:
    """Open, draw all units to their end, close."""
    units = {
        f"{file.stem}/{spec.id}": spec
        for file in sorted((LADDER / "tasks").glob("*.jsonl"))
        for spec in read_task_file(file)
    }
    began = time.perf_counter()
    engine = open_engine(kind, model, **options)
    opened = time.perf_counter() - began
    scheduler = Scheduler(engine)
    scheduler.add(DrawnUnit(key, spec, rule, Decoding(seed=0)) for key, spec in units.items())
    draws = passes = tokens = vain = done = 0
    while not scheduler.idle:
        for step in scheduler.step():
            draws += sum(wave.draws for wave in step.waves)
            passes += sum(int(wave.passed.sum()) for wave in step.waves)
            tokens += sum(int(wave.tokens.sum()) for wave in step.waves)
            vain += step.given_up_draws
            done += step.finished
    wall = time.perf_counter() - began
    engine.close()
    return {
        "engine": kind,
        "units": done,
        "draws": draws,
        "passes": passes,
        "tokens": tokens,
        "given_up": vain,
        "open_s": round(opened, 2),
        "wall_s": round(wall, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="+", default=["reference"])
    parser.add_argument("--model", type=Path, default=LADDER / "models" / "ladder-4.6m")
    parser.add_argument("--r", type=int, default=10)
    parser.add_argument("--cap", type=int, default=10**5)
    parser.add_argument("--dtype", help="of torch and vllm; their own choice if left out")
    parser.add_argument("--share", type=float, help="of the device's memory for torch and vllm; likewise")
    arguments = parser.parse_args()
    rule = UntilPasses(arguments.r, cap=arguments.cap)
    for kind in arguments.engines:
        asked = {"dtype": arguments.dtype, "share": arguments.share}
        options = {name: value for name, value in asked.items() if value and kind != "reference"}
        print(json.dumps(whole(kind, arguments.model, rule, options)), flush=True)


if __name__ == "__main__":
    main()
