"""Generated tokens a second of the reference engine on one core, for random models of two sizes.

    python benchmarks/engines/reference_speed.py [--json] [--repeats 3] [--draws 64 256 512]

The prompt has 20 tokens, every draw 16 new ones (no end of sequence), the median of the repeats is reported.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy loads its BLAS

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

from firstlight.files.model_folder import read_model_folder  # noqa: E402
from tests.tiny_model import write_tiny_llama  # noqa: E402
from workers.engines import DrawRequest  # noqa: E402
from workers.engines.reference import ReferenceEngine  # noqa: E402
from workers.engines.reference.products import strip_width  # noqa: E402

MODELS = {
    "165k": {"d": 64, "layers": 4, "heads": 2, "inner": 128},
    "4.6M": {"d": 224, "layers": 8, "heads": 7, "inner": 560},
}
PROMPT, NEW_TOKENS = "12+34=46 next: 56+78=", 16


def measure(name: str, draws: int, repeats: int) -> dict[str, float | int | str]:
    """Tokens a second, and 2 N floating-point operations for each of them; what opening takes, and of it the widths."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_tiny_llama(Path(folder), **MODELS[name], config={"eos_token_id": None})
        n_params = read_model_folder(path).n_params
        strip_width.cache_clear()
        opened = []
        for _ in range(2):  # the second time all widths are known
            began = time.perf_counter()
            engine = ReferenceEngine(path)
            opened.append(1000 * (time.perf_counter() - began))
        speeds = []
        for repeat in range(repeats + 1):  # the first one warms up
            request = DrawRequest("speed", PROMPT[:20], repeat * draws, draws, 0, (), NEW_TOKENS)
            began = time.perf_counter()
            wave = engine.draw([request])[0]
            speeds.append(int(wave.tokens.sum()) / (time.perf_counter() - began))
        engine.close()
    speed = statistics.median(speeds[1:])
    flops = 2 * n_params * speed / 1e9
    return {
        "model": name,
        "n_params": n_params,
        "draws": draws,
        "tokens_per_second": round(speed),
        "gflops": round(flops, 1),
        "width": min(strip_width(*shape) for shape in engine.weights.shapes()),
        "open_ms": round(opened[0], 1),
        "widths_ms": round(max(opened[0] - opened[1], 0.0), 1),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--draws", type=int, nargs="+", default=[64, 256, 512])
    options = parser.parse_args()
    results = [measure(name, draws, max(3, options.repeats)) for name in MODELS for draws in options.draws]
    if options.json:
        print(json.dumps(results, indent=2))
        return
    print(f"{'model':>6} {'N':>10} {'draws':>6} {'tokens/s':>10} {'GFLOP/s':>8} {'width':>5} {'open ms':>8}")
    for row in results:
        print(
            f"{row['model']:>6} {row['n_params']:>10,} {row['draws']:>6} {row['tokens_per_second']:>10,}"
            f" {row['gflops']:>8} {row['width']:>5} {row['open_ms']:>8}"
        )


if __name__ == "__main__":
    main()
