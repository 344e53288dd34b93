"""Speed of the torch engine on one GPU: tokens/s, share of the roofline, where the rest goes, memory against plan.

    python benchmarks/engines/burst_speed.py --models 0.036B 0.5B 1.1B

48 prompt tokens, 32 new ones, temperature 1, random weights in bfloat16. Whole calls of `draw` are timed: prompts,
steps, tokens back on the host and turned into text. Median of `--repeats`. A JSON line a model.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import statistics
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from random_models import SHAPES, prompts, write_random

import torch  # isort: skip
from workers.engines import DrawRequest  # isort: skip
from workers.engines.torch import TorchEngine  # isort: skip
from workers.engines.torch.space import planned_bytes  # isort: skip

PROMPT, NEW = 48, 32
ROUNDS = 4  # draws of a call for each row


def ceilings() -> dict[str, float]:
    """Matrix rate (TFLOP/s, bf16, 8192 cubed) and copy bandwidth (GB/s, bytes read plus written), measured."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    seconds = _timed(lambda: torch.mm(a, b), 10)
    source = torch.randn(1 << 30, device="cuda", dtype=torch.float32)
    target = torch.empty_like(source)
    copied = _timed(lambda: target.copy_(source), 10)
    return {
        "tflops": 2 * 8192**3 / seconds / 1e12,
        "gbs": 2 * source.numel() * 4 / copied / 1e9,
    }


def _timed(call: Any, times: int) -> float:
    for _ in range(3):
        call()
    torch.cuda.synchronize()
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    for _ in range(times):
        call()
    end.record()
    torch.cuda.synchronize()
    return begin.elapsed_time(end) / 1e3 / times


def floor_seconds(name: str, rows: int, roof: dict[str, float]) -> tuple[float, float]:
    """Seconds a step must take: matrix work, and bytes that no cache holds (own keys, values; weights; logits)."""
    hidden, layers, heads, kv_heads, inner, vocab = SHAPES[name]
    size = hidden // heads
    matrices = layers * (2 * hidden * heads * size + 2 * hidden * kv_heads * size + 3 * hidden * inner)
    work = 2 * rows * (matrices + hidden * vocab)
    own = rows * 2 * layers * kv_heads * size * 2 * (NEW / 2)
    moved = own + 2 * (matrices + hidden * vocab) + 2 * 2 * rows * vocab
    return work / roof["tflops"] / 1e12, moved / roof["gbs"] / 1e9


def requests(count: int, draws: int, seed: int) -> list[DrawRequest]:
    return [
        DrawRequest(str(index), prompt, 0, draws, seed, (), NEW)
        for index, prompt in enumerate(prompts(count, PROMPT))
    ]


def spent(engine: TorchEngine) -> dict[str, float]:
    """Milliseconds of a step of all rows by kind of kernel, from the profiler, one lane after another."""
    engine.room.space.alive.fill_(1)
    engine.room.space.length.fill_(NEW // 2)
    engine.room.space.limit.fill_(10**6)
    torch.cuda.synchronize()
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as seen:
        for lane in engine.room.lanes:
            lane.run(lane.rows, 1, longest=NEW // 2, nucleus=False)
            torch.cuda.synchronize()
    kinds: dict[str, float] = defaultdict(float)
    for event in seen.key_averages():
        took = event.self_device_time_total / 1e3
        if took:
            name = event.key.lower()
            kind = next((k for k in ("_attend", "_gate", "_row_scale", "_sample") if k in name), None)
            kinds[
                kind
                or ("matmul" if any(k in name for k in ("gemm", "nvjet", "cutlass", "splitk")) else name[:40])
            ] += took
    engine.room.space.alive.zero_()
    torch.cuda.synchronize()
    return {kind: round(took, 3) for kind, took in sorted(kinds.items(), key=lambda item: -item[1])[:8]}


def measure(
    name: str,
    folder: Path,
    roof: dict[str, float],
    *,
    rows: int | None,
    lanes: int | None,
    repeats: int,
    count: int,
) -> dict[str, Any]:
    torch.cuda.reset_peak_memory_stats()
    base = torch.cuda.memory_allocated()
    began = time.perf_counter()
    engine = TorchEngine(folder, rows=rows, lanes=lanes)
    size = engine.capacity
    engine.draw(requests(count, size // count, 99))
    torch.cuda.synchronize()
    opened = time.perf_counter() - began
    rates = []
    for repeat in range(repeats):
        began = time.perf_counter()
        waves = engine.draw(requests(count, ROUNDS * size // count, repeat))
        rates.append(sum(int(wave.tokens.sum()) for wave in waves) / (time.perf_counter() - began))
    rate = statistics.median(rates)
    room = engine.room
    plan = planned_bytes(engine.sizes, room.shape, 2) + room.weights.bytes()
    peak = torch.cuda.max_memory_allocated() - base
    work, moved = floor_seconds(name, size, roof)
    result = {
        "model": name,
        "rows": room.shape.rows,
        "lanes": len(room.lanes),
        "tokens_per_s": round(rate),
        "runs": [round(value) for value in rates],
        "ms_a_step": round(1e3 * size / rate, 2),
        "roofline_ms": round(1e3 * (work + moved), 2),
        "share_of_roofline": round((work + moved) * rate / size, 3),
        "spent_ms": spent(engine),
        "memory_gib": [round(plan / 2**30, 2), round(peak / 2**30, 2)],
        "first_call_s": round(opened, 1),
    }
    engine.close()
    del engine, room
    gc.collect()
    torch.cuda.empty_cache()
    return result


def add_settings(parser: argparse.ArgumentParser) -> None:
    """The rows and lanes to try; for other scripts too."""
    parser.add_argument(
        "--rows", nargs="+", type=int, default=[0], help="draws side by side; 0: the engine's own choice"
    )
    parser.add_argument("--lanes", nargs="+", type=int, default=[0], help="0: the engine's own choice")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["0.036B", "0.5B", "1.1B"], choices=SHAPES)
    add_settings(parser)
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    roof = ceilings()
    print(
        json.dumps({"card": torch.cuda.get_device_name(), **{k: round(v) for k, v in roof.items()}}),
        flush=True,
    )
    for name in arguments.models:
        folder = write_random(Path(tempfile.gettempdir()) / f"random-{name}", name)
        measure_all(name, folder, roof, arguments, arguments.prompts)


def measure_all(
    name: str, folder: Path, roof: dict[str, float], arguments: argparse.Namespace, count: int = 16
) -> list[dict[str, Any]]:
    """Print a line for each number of rows and of lanes; return those that could be measured."""
    measured = []
    for rows, lanes in itertools.product(arguments.rows, arguments.lanes):
        how = {"rows": rows or None, "lanes": lanes or None, "repeats": arguments.repeats, "count": count}
        try:
            result = measure(name, folder, roof, **how)
            measured.append(result)
        except Exception as error:  # one setting must not end the rest
            result = {"model": name, "rows": rows, "lanes": lanes, "failed": repr(error)[:300]}
        print(json.dumps(result), flush=True)
    return measured


if __name__ == "__main__":
    main()
