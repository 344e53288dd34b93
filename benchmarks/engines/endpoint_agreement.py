"""Draws and likelihoods through an OpenAI-compatible server against exact probabilities; and what the engine costs.

    python -m vllm.entrypoints.openai.api_server --model examples/ladder/models/ladder-425k --dtype float32 \
        --served-model-name ladder-425k --no-enable-chunked-prefill --generation-config vllm --port 8123
    python benchmarks/engines/endpoint_agreement.py --model ladder-425k --endpoint http://127.0.0.1:8123/v1

Cells are instances of the ladder with an exact pass probability between 0.002 and 0.998 at this model, taken at
random by p alone; each gets 400 draws, graded as a run grades them. A right engine has mean z 0 and mean z^2 1 (see
exact_agreement.py). Then tokens a second through the engine, in streams as the workers use them, are compared with a
bare client that posts the very same requests from as many threads and reads nothing but the sum of tokens: median
ratio of five rounds side by side. The exit status is 1 where mean z^2 leaves 0.85 to 1.15.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[2]), str(HERE.parents[2] / "platform"), str(HERE.parent)]

import numpy as np  # noqa: E402
from exact_agreement import DRAWS, HIGHEST, LADDER, LEAST, LOWEST, MOST, Cell, choose_cells  # noqa: E402

from firstlight.files.addresses import EndpointAddress, parse_base_url  # noqa: E402
from firstlight.files.task_file import InstanceSpec, read_task_file  # noqa: E402
from workers.engines import DrawRequest, check_wave  # noqa: E402
from workers.engines.openai import OpenAIEngine  # noqa: E402
from workers.engines.openai.completions import DrawCall  # noqa: E402
from workers.waves import judge  # noqa: E402

CHOICES, ROUNDS = 32, 5


def request(cell: Cell, spec: InstanceSpec, seed: int, draws: int) -> DrawRequest:
    """Draws of a cell."""
    return DrawRequest(
        instance=f"{cell.model}/{cell.instance}",
        prompt=spec.prompt,
        first_draw=0,
        draws=draws,
        seed=seed,
        stop=spec.stop,
        max_tokens=spec.max_tokens,
    )


def agreement(
    engine: OpenAIEngine, cells: list[Cell], specs: dict[tuple[str, str], InstanceSpec], seed: int
) -> dict[str, Any]:
    """Counts of passes and likelihoods of the references, against the exact ones."""
    asked = [request(cell, specs[cell.task, cell.instance], seed, DRAWS) for cell in cells]
    began = time.perf_counter()
    waves = engine.draw(asked)
    seconds = time.perf_counter() - began
    z, worst = [], 0.0
    for cell, each, wave in zip(cells, asked, waves, strict=True):
        check_wave(each, wave)
        spec = specs[cell.task, cell.instance]
        passes = int(judge(spec, wave).passed.sum())
        z.append((passes - DRAWS * cell.p) / math.sqrt(cell.variance))
        nll = engine.score([(spec.prompt, spec.answer or "")], spec.stop)[0].nll
        worst = max(worst, abs(nll + math.log(cell.p)))
    squares = np.array(z) ** 2
    of_square = [2 + (DRAWS - 6 * cell.variance) / (DRAWS * cell.variance) for cell in cells]
    return {
        "cells": len(cells),
        "mean_z": float(np.mean(z)),
        "mean_z_squared": float(squares.mean()),
        "mean_z_squared_se": float(np.sqrt(np.sum(of_square)) / len(cells)),
        "worst_nll_difference": worst,
        "tokens": int(sum(wave.tokens.sum() for wave in waves)),
        "draw_seconds": seconds,
    }


def bare(url: str, bodies: list[bytes], threads: int) -> float:
    """Tokens a second of a client that only posts and adds up."""
    parts = urlsplit(url)

    def work(share: list[bytes]) -> int:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
        tokens = 0
        for body in share:
            connection.request(
                "POST", f"{parts.path}/completions", body, {"Content-Type": "application/json"}
            )
            tokens += json.loads(connection.getresponse().read())["usage"]["completion_tokens"]
        connection.close()
        return tokens

    began = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        tokens = sum(pool.map(work, [bodies[k::threads] for k in range(threads)]))
    return tokens / (time.perf_counter() - began)


def through_engine(engine: OpenAIEngine, asked: list[DrawRequest]) -> float:
    """Tokens a second of the engine's stream."""
    stream = engine.stream()
    began = time.perf_counter()
    for key, each in enumerate(asked):
        stream.submit(key, each)
    tokens = 0
    while ended := stream.collect():
        tokens += sum(int(wave.tokens.sum()) for _, wave in ended)
    return tokens / (time.perf_counter() - began)


def speed(engine: OpenAIEngine, url: str, parallel: int, asked: list[DrawRequest]) -> dict[str, float]:
    """Tokens a second of the engine and of the bare client, with the engine's bodies and without their seeds."""
    (server,) = engine._dispatcher.servers
    bodies = []
    for each in asked:
        rest: DrawCall | None = engine._call(each)
        while rest is not None:
            call, rest = rest.split(server)
            bodies.append(call.body(server))
    seeded = [json.dumps(body).encode() for body in bodies]
    unseeded = [json.dumps({**body, "seed": None}).encode() for body in bodies]
    rounds = [
        (through_engine(engine, asked), bare(url, seeded, parallel), bare(url, unseeded, parallel))
        for _ in range(ROUNDS)
    ]
    return {
        "engine": statistics.median(engine_rate for engine_rate, _, _ in rounds),
        "bare": statistics.median(bare_rate for _, bare_rate, _ in rounds),
        "ratio": statistics.median(engine_rate / bare_rate for engine_rate, bare_rate, _ in rounds),
        "seeds_cost": statistics.median(
            1 - bare_rate / unseeded_rate for _, bare_rate, unseeded_rate in rounds
        ),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--model", default="ladder-425k", help="a model of the ladder, and its name at the server"
    )
    parser.add_argument("--endpoint", required=True, metavar="URL")
    parser.add_argument("--cells", type=int, default=200)
    parser.add_argument("--parallel", type=int, default=16, help="requests at once")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    url = parse_base_url(options.endpoint)
    cells = [cell for cell in choose_cells(10**9, 0) if cell.model == options.model]
    if len(cells) < 100:
        parser.error(
            f"{options.model} has {len(cells)} cells with p from {LOWEST} to {HIGHEST}: take a larger one"
        )
    chosen = np.random.default_rng(options.seed).permutation(len(cells))[: options.cells]
    cells = [cells[index] for index in sorted(chosen.tolist())]
    specs = {
        (task, spec.id): spec
        for task in {cell.task for cell in cells}
        for spec in read_task_file(LADDER / "tasks" / f"{task}.jsonl")
    }
    address = EndpointAddress("bench", url, parallel=options.parallel, allow_private=True)
    engine = OpenAIEngine(
        options.model,
        endpoints=[address],
        tokenizer=LADDER / "models" / options.model,
        choices=CHOICES,
    )
    result = {"model": options.model, "fingerprint": engine.fingerprint, "seed": options.seed}
    result |= agreement(engine, cells, specs, options.seed)
    asked = [request(cell, specs[cell.task, cell.instance], 1, 256) for cell in cells[:40]]
    result["speed"] = speed(engine, url, options.parallel, asked)
    engine.close()
    sound = LEAST <= result["mean_z_squared"] <= MOST
    if options.json:
        print(json.dumps(result | {"sound": sound}))
    else:
        print(
            f"{result['fingerprint']}\n"
            f"{result['cells']} cells x {DRAWS} draws: mean z {result['mean_z']:+.3f}, mean z^2 "
            f"{result['mean_z_squared']:.3f} (se {result['mean_z_squared_se']:.3f}; expected 1)\n"
            f"largest difference of a log-likelihood: {result['worst_nll_difference']:.2g} nats\n"
            f"tokens/s: engine {result['speed']['engine']:,.0f}, bare client {result['speed']['bare']:,.0f}, "
            f"ratio {result['speed']['ratio']:.3f}; seeds cost the server {result['speed']['seeds_cost']:.1%}\n"
            f"{'sound' if sound else 'NOT SOUND'}: mean z^2 must lie in {LEAST} to {MOST}"
        )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
