"""Raw vLLM's best: several settings, and several processes on one GPU, for short draws of many prompts.

Each setting runs in processes of its own, which load, warm up, wait for each other and then generate at once; a JSON
line a setting, with the reason where one fails. The last line names the best of each model.

    python benchmarks/engines/vllm_ceiling.py --size 0.036B --size 0.5B --size 1.1B
    .venv-vllm/bin/python benchmarks/engines/vllm_ceiling.py --size tiny --dtype float32 --sequences 128 \
        --batched-tokens 8192 --processes 1 2 --prompts 16
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PROMPT_TOKENS, NEW_TOKENS = 48, 32
ENVIRONMENT = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
}


def child(setting: dict[str, Any]) -> None:
    """One process of a setting: prints "ready", waits for a line, prints tokens and the times of each repeat."""
    import numpy as np
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    options: dict[str, Any] = {"gpu_memory_utilization": setting["share"], "enforce_eager": on_cpu}
    if on_cpu:
        options |= {"enable_chunked_prefill": False, "block_size": 32, "kv_cache_memory_bytes": 1 << 30}
    elif setting["kv_bytes"]:
        # processes that start together would take each other's allocations for their own while they profile
        options["kv_cache_memory_bytes"] = setting["kv_bytes"]
    if setting["graphs"] and not on_cpu:
        options["compilation_config"] = {"max_cudagraph_capture_size": setting["graphs"]}
    llm = LLM(
        setting["folder"],
        dtype=setting["dtype"],
        skip_tokenizer_init=True,
        max_model_len=PROMPT_TOKENS + NEW_TOKENS,
        max_num_seqs=setting["sequences"],
        max_num_batched_tokens=setting["batched_tokens"],
        **options,
    )
    vocab = json.loads((Path(setting["folder"]) / "config.json").read_text())["vocab_size"]
    rng = np.random.default_rng(setting["seed"])
    ids = rng.integers(1, vocab, size=(setting["prompts"], PROMPT_TOKENS)).tolist()
    batch: Any = [{"prompt_token_ids": each} for each in ids]
    params = SamplingParams(
        n=setting["draws"], temperature=1.0, max_tokens=NEW_TOKENS, ignore_eos=True, detokenize=False
    )

    def once() -> int:
        answers = llm.generate(batch, params, use_tqdm=False)
        return sum(len(draw.token_ids) for answer in answers for draw in answer.outputs)

    once()
    print("ready", flush=True)
    sys.stdin.readline()
    repeats = []
    for _ in range(setting["repeats"]):
        began = time.time()
        tokens = once()
        repeats.append((tokens, began, time.time()))
    print(json.dumps(repeats), flush=True)


def run(setting: dict[str, Any], processes: int, seconds: float) -> dict[str, Any]:
    """Tokens a second of all processes together, from the first start to the last end of each repeat."""
    children = []
    try:
        for seed in range(processes):
            argv = [sys.executable, __file__, "--child", json.dumps({**setting, "seed": seed})]
            children.append(
                subprocess.Popen(
                    argv,
                    env={**ENVIRONMENT, **os.environ},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            if not setting["kv_bytes"]:  # what one allocates while another profiles would be counted twice
                _expect(children[-1], "ready", seconds)
        if setting["kv_bytes"]:
            for process in children:
                _expect(process, "ready", seconds)
        for process in children:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        found = [json.loads(_last_line(process, seconds)) for process in children]
    finally:
        for process in children:
            process.kill()
            process.wait()
    rates = []
    for together in zip(*found, strict=True):
        tokens = sum(each[0] for each in together)
        rates.append(tokens / (max(each[2] for each in together) - min(each[1] for each in together)))
    return {"tokens_per_second": round(statistics.median(rates)), "repeats": [round(rate) for rate in rates]}


def _expect(process: subprocess.Popen[str], word: str, seconds: float) -> None:
    for line in _lines(process, seconds):
        if line.strip() == word:
            return
    raise RuntimeError(f"the process ended with {process.wait()} before it was ready")


def _last_line(process: subprocess.Popen[str], seconds: float) -> str:
    for line in _lines(process, seconds):
        if line.startswith("["):
            return line
    raise RuntimeError(f"the process ended with {process.wait()} while it generated")


def _lines(process: subprocess.Popen[str], seconds: float) -> Iterator[str]:
    """Lines of a process, which is killed when it takes too long."""
    import threading

    assert process.stdout
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        while line := process.stdout.readline():
            yield line
    finally:
        timer.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument(
        "--size", action="append", default=[], help="random weights: tiny, 7M, 0.036B, 0.5B, 1.1B"
    )
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=256, help="prompts of each process")
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--sequences", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--batched-tokens", type=int, nargs="+", default=[16384, 32768])
    parser.add_argument(
        "--graphs", type=int, nargs="+", default=[0], help="largest captured batch; 0: vLLM's choice"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--share", type=float, default=0.85, help="of the device, for all processes together")
    parser.add_argument(
        "--kv-gib", type=float, default=0.0, help="cache of each process; 0: what is left of its share"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240.0, help="the longest start, and the longest run")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(json.loads(arguments.child))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folders = {folder.name: folder for folder in arguments.model}
        if arguments.size or not folders:
            from random_models import write_random

            for size in arguments.size or ["tiny"]:
                folders[size] = write_random(Path(scratch) / size, size)
        sweep(folders, arguments)


def sweep(folders: dict[str, Path], arguments: argparse.Namespace) -> None:
    """Print a line a setting and the best of each model."""
    best: dict[str, dict[str, Any]] = {}
    grid = itertools.product(
        folders, arguments.sequences, arguments.batched_tokens, arguments.graphs, arguments.processes
    )
    for name, sequences, batched_tokens, graphs, processes in grid:
        shown = {
            "model": name,
            "sequences": sequences,
            "batched_tokens": batched_tokens,
            "graphs": graphs,
            "processes": processes,
        }
        setting = {
            **shown,
            "folder": str(folders[name]),
            "dtype": arguments.dtype,
            "share": arguments.share / processes,
            "kv_bytes": int(arguments.kv_gib * 2**30),
            "prompts": arguments.prompts,
            "draws": arguments.draws,
            "repeats": arguments.repeats,
        }
        try:
            line = {**shown, **run(setting, processes, arguments.seconds)}
        except Exception as error:  # one failing setting must not end the rest
            line = {**shown, "failed": f"{type(error).__name__}: {error}"}
        else:
            if line["tokens_per_second"] > best.get(name, {"tokens_per_second": 0})["tokens_per_second"]:
                best[name] = line
        print(json.dumps(line), flush=True)
    print(json.dumps({"best": best}), flush=True)


if __name__ == "__main__":
    main()
