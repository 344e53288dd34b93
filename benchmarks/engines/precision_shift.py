"""How far bfloat16 moves exact pass probabilities from float32: the torch engine's likelihoods in both, on the ladder.

    .venv-torch/bin/python benchmarks/engines/precision_shift.py [--device cpu]

All instances of all tasks, those with p between 0.002 and 0.998 in float32 told apart: there the shift of log p is
set beside the standard error that 400 draws would have. A JSON line a model.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import numpy as np  # noqa: E402

from firstlight.files.task_file import read_task_file  # noqa: E402
from workers.engines import open_engine  # noqa: E402

LADDER = ROOT / "examples" / "ladder"


def log_p(model: Path, dtype: str, device: str | None) -> np.ndarray:
    """Exact log pass probabilities of every instance, in the order of the task files."""
    engine = open_engine("torch", model, dtype=dtype, device=device)
    logs: list[float] = []
    for file in sorted((LADDER / "tasks").glob("*.jsonl")):
        specs = read_task_file(file)
        pairs = [(spec.prompt, spec.answer or "") for spec in specs]
        logs += [-score.nll for score in engine.score(pairs, specs[0].stop)]
    engine.close()
    return np.array(logs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device")
    arguments = parser.parse_args()
    for model in sorted((LADDER / "models").iterdir()):
        exact, rounded = (log_p(model, dtype, arguments.device) for dtype in ("float32", "bfloat16"))
        p = np.exp(exact)
        middle = (p > 0.002) & (p < 0.998)
        shift = (rounded - exact)[middle]
        noise = np.sqrt((1 - p[middle]) / p[middle] / 400)
        line = {
            "model": model.name,
            "instances": int(middle.sum()),
            "mean_shift_of_log_p": round(float(shift.mean()), 4),
            "rms_shift_of_log_p": round(float(np.sqrt((shift**2).mean())), 4),
            "rms_share_of_400_draws_error": round(float(np.sqrt(((shift / noise) ** 2).mean())), 3),
            "mean_p": [round(float(p.mean()), 5), round(float(np.exp(rounded).mean()), 5)],
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
