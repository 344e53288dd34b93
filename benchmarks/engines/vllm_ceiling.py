"""Raw vLLM's best: several settings, and several processes on one GPU, for short draws of many prompts.

The processes of a setting load and warm up side by side and then generate, one alone, two at once and so on; a JSON
line a setting and number of processes, with the reason where one fails. The last line names the best of each model.

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
    """One process of a setting: prints "ready", then, for each line, generates and prints tokens, begin and end."""
    import numpy as np
    from vllm import LLM, SamplingParams
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    options: dict[str, Any] = {"gpu_memory_utilization": 0.1, "enforce_eager": on_cpu}
    if on_cpu:
        options |= {"enable_chunked_prefill": False, "block_size": 32, "kv_cache_memory_bytes": 1 << 30}
    else:
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
    while sys.stdin.readline():
        began = time.time()
        tokens = once()
        print(json.dumps((tokens, began, time.time())), flush=True)


class Rivals:
    """Processes of one setting, started once: the first one, the first two ... of them then generate together.

    setting: what `child` reads.
    seconds: the longest start, and the longest run.
    Raises RuntimeError: a process ended, or took longer, before it was ready.
    """

    def __init__(self, setting: dict[str, Any], processes: int, seconds: float) -> None:
        self._seconds = seconds
        self._children: list[subprocess.Popen[str]] = []
        try:
            for seed in range(processes):
                argv = [sys.executable, __file__, "--child", json.dumps({**setting, "seed": seed})]
                started = subprocess.Popen(
                    argv,
                    env={**ENVIRONMENT, **os.environ},
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                self._children.append(started)
            for started in self._children:
                _expect(started, "ready", seconds)
        except BaseException:
            self.close()
            raise

    def rate(self, processes: int) -> float:
        """Tokens a second of the first so many processes together, from the first start to the last end."""
        running = self._children[:processes]
        for process in running:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        answers = [json.loads(_last_line(process, self._seconds)) for process in running]
        tokens, began, ended = zip(*answers, strict=True)
        return float(sum(tokens) / (max(ended) - min(began)))

    def close(self) -> None:
        for process in self._children:
            process.kill()
            process.wait()

    def __enter__(self) -> Rivals:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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


def settings_parser() -> argparse.ArgumentParser:
    """The settings to try; for other scripts too, as a parent."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=256, help="prompts of each process")
    parser.add_argument("--draws", type=int, default=64)
    parser.add_argument("--sequences", type=int, nargs="+", default=[1024, 2048, 4096])
    parser.add_argument("--batched-tokens", type=int, nargs="+", default=[16384, 32768])
    parser.add_argument(
        "--graphs", type=int, nargs="+", default=[0], help="largest captured batch; 0: vLLM's choice"
    )
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--device-gib", type=float, default=76.0, help="memory for all processes together")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=240.0, help="the longest start, and the longest run")
    return parser


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[settings_parser()],
    )
    parser.add_argument("--model", type=Path, action="append", default=[])
    parser.add_argument(
        "--size", action="append", default=[], help="random weights: tiny, 7M, 0.036B, 0.5B, 1.1B"
    )
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
        best = {name: fastest(sweep(name, folder, arguments)) for name, folder in folders.items()}
    print(json.dumps({"best": best}), flush=True)


def memory(
    folder: Path, arguments: argparse.Namespace, sequences: int, batched_tokens: int
) -> tuple[int, int]:
    """Bytes of a process: its cache, with room for all draws side by side, and everything."""
    config = json.loads((folder / "config.json").read_text())
    size = 4 if arguments.dtype == "float32" else 2
    token = 2 * config["num_hidden_layers"] * config["num_key_value_heads"] * config["head_dim"] * size
    # of a prompt of three blocks the last is computed anew for each draw, since vLLM wants a token to begin with
    kv_bytes = int(1.1 * token * (sequences * (NEW_TOKENS + 16) + arguments.prompts * PROMPT_TOKENS))
    width = config["hidden_size"] + 2 * config["intermediate_size"]
    working = 12 * sequences * config["vocab_size"] + 8 * batched_tokens * width + (2 << 30)
    return kv_bytes, kv_bytes + working + (folder / "model.safetensors").stat().st_size


def sweep(name: str, folder: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Print, and return, a line a setting and number of processes."""
    lines: list[dict[str, Any]] = []
    for sequences, batched_tokens, graphs in itertools.product(
        arguments.sequences, arguments.batched_tokens, arguments.graphs
    ):
        shown = {"model": name, "sequences": sequences, "batched_tokens": batched_tokens, "graphs": graphs}
        kv_bytes, all_bytes = memory(folder, arguments, sequences, batched_tokens)
        counts = [count for count in arguments.processes if count * all_bytes <= arguments.device_gib * 2**30]
        setting = {
            **shown,
            "folder": str(folder),
            "dtype": arguments.dtype,
            "kv_bytes": kv_bytes,
            "prompts": arguments.prompts,
            "draws": arguments.draws,
        }
        began = time.perf_counter()
        try:
            with Rivals(setting, max(counts), arguments.seconds) as rivals:
                shown["start_s"] = round(time.perf_counter() - began)
                for processes in counts:
                    rates = [rivals.rate(processes) for _ in range(arguments.repeats)]
                    line = {
                        **shown,
                        "processes": processes,
                        "tokens_per_second": round(statistics.median(rates)),
                    }
                    lines.append({**line, "repeats": [round(rate) for rate in rates]})
                    print(json.dumps(lines[-1]), flush=True)
        except Exception as error:  # one failing setting must not end the rest
            lines.append({**shown, "failed": f"{type(error).__name__}: {error}"})
            print(json.dumps(lines[-1]), flush=True)
    return lines


def fastest(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The line of the highest rate.

    Raises SystemExit: all failed.
    """
    measured = [line for line in lines if "tokens_per_second" in line]
    if not measured:
        raise SystemExit("no setting of raw vLLM could be measured; see the lines above")
    return max(measured, key=lambda line: float(line["tokens_per_second"]))


if __name__ == "__main__":
    main()
