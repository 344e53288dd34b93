"""The vLLM engine against raw offline vLLM: same checkpoint, settings, prompts, draws and device, in one process.

`raw` is what `LLM.generate` does (all requests at once with n draws each, undecoded and unseeded, stepped until
done), `stream` our engine's stream, kept filled as the wave scheduler fills it, `scheduler` the wave scheduler
itself with a rule of fixed draws, grading included. These run in turns in one engine, so drift hits all alike.
`offline` is `LLM.generate` itself in an engine of its own afterwards. Tokens a second, medians of the repeats.

    python benchmarks/engines/vllm_scheduler.py --size 0.5B --size 1.1B      # on a GPU
    .venv-vllm/bin/python benchmarks/engines/vllm_scheduler.py --size tiny --dtype float32 --prompts 32 --sequences 128
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]
for _name, _value in {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_USE_FLASHINFER_SAMPLER": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "HF_HUB_OFFLINE": "1",
}.items():
    os.environ.setdefault(_name, _value)

from random_models import SHAPES, prompts, write_random  # noqa: E402

from workers.engines import DrawRequest, open_engine  # noqa: E402

PROMPT_TOKENS, NEW_TOKENS = 48, 32
IN_FLIGHT = 4  # draws in flight for each that vLLM draws side by side, as the wave scheduler keeps them


def in_turns(kinds: dict[str, Callable[[int], int]], repeats: int) -> dict[str, list[float]]:
    """Warm each up, then tokens a second of each repeat, in turns."""
    rates: dict[str, list[float]] = {kind: [] for kind in kinds}
    for once in kinds.values():
        once(-1)
    for repeat in range(repeats):
        for kind, once in kinds.items():
            began = time.perf_counter()
            tokens = once(repeat)
            rates[kind].append(tokens / (time.perf_counter() - began))
    return rates


def raw_params(arguments: argparse.Namespace) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(
        n=arguments.draws,
        temperature=1.0,
        max_tokens=NEW_TOKENS,
        ignore_eos=True,
        detokenize=False,
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def raw(engine: Any, ids: list[list[int]], arguments: argparse.Namespace) -> Callable[[int], int]:
    """Offline generation as `LLM.generate` does it, in an engine that we share."""
    llm_engine = engine._core._engine

    def once(repeat: int) -> int:
        for place, each in enumerate(ids):
            prompt = {"type": "token", "prompt_token_ids": each}
            llm_engine.add_request(f"{repeat} {place}", prompt, raw_params(arguments))
        tokens = 0
        while llm_engine.has_unfinished_requests():
            for answer in llm_engine.step():
                tokens += sum(len(draw.token_ids) for draw in answer.outputs)
        return tokens

    return once


def stream(engine: Any, texts: list[str], arguments: argparse.Namespace) -> Callable[[int], int]:
    def once(repeat: int) -> int:
        waiting = [
            DrawRequest(f"{repeat} {place}", text, 0, arguments.draws, 0, (), NEW_TOKENS)
            for place, text in enumerate(texts)
        ]
        flying, tokens, draw_stream = 0, 0, engine.stream()
        while waiting or flying:
            while waiting and flying < IN_FLIGHT * engine.capacity:
                request = waiting.pop()
                draw_stream.submit(request.instance, request)
                flying += request.draws
            for _, wave in draw_stream.collect():
                flying -= len(wave.texts)
                tokens += int(wave.tokens.sum())
        return tokens

    return once


def scheduler(engine: Any, texts: list[str], arguments: argparse.Namespace) -> Callable[[int], int]:
    """The same draws through the wave scheduler; raises ImportError in a checkout that has none yet."""
    from firstlight.files.decoding import Decoding
    from firstlight.files.task_file import InstanceSpec
    from passuntil import FixedDraws
    from workers.scheduler import DrawnUnit, Scheduler

    specs = [
        InstanceSpec(id=f"{place}", prompt=text, answer="no", grader="exact", max_tokens=NEW_TOKENS)
        for place, text in enumerate(texts)
    ]

    def once(repeat: int) -> int:
        waves = Scheduler(engine)
        waves.add(
            DrawnUnit(spec.id, spec, FixedDraws(arguments.draws), Decoding(seed=repeat + 1)) for spec in specs
        )
        tokens = 0
        while not waves.idle:
            tokens += sum(int(judged.tokens.sum()) for step in waves.step() for judged in step.waves)
        return tokens

    return once


def offline(folder: Path, ids: list[list[int]], arguments: argparse.Namespace) -> list[float]:
    from vllm import LLM
    from vllm.platforms import current_platform

    on_cpu = {"enable_chunked_prefill": False, "block_size": 32, "kv_cache_memory_bytes": 1 << 30}
    llm = LLM(
        str(folder),
        dtype=arguments.dtype,
        skip_tokenizer_init=True,
        max_num_seqs=arguments.sequences,
        max_num_batched_tokens=arguments.batched_tokens,
        gpu_memory_utilization=arguments.share,
        enforce_eager=current_platform.is_cpu(),
        **(on_cpu if current_platform.is_cpu() else {}),
    )
    batch: Any = [{"prompt_token_ids": each} for each in ids]

    def once(_: int) -> int:
        answers = llm.generate(batch, raw_params(arguments), use_tqdm=False)
        return sum(len(draw.token_ids) for answer in answers for draw in answer.outputs)

    try:
        return in_turns({"offline": once}, arguments.repeats)["offline"]
    finally:
        llm.llm_engine.engine_core.shutdown()


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, list[float]]:
    engine = open_engine(
        "vllm",
        folder,
        dtype=arguments.dtype,
        sequences=arguments.sequences,
        batched_tokens=arguments.batched_tokens,
        share=arguments.share,
    )
    texts = prompts(arguments.prompts, PROMPT_TOKENS)
    ids = [engine.codec.encode_prompt(text) for text in texts]
    kinds = {"raw": raw(engine, ids, arguments), "stream": stream(engine, texts, arguments)}
    try:
        kinds["scheduler"] = scheduler(engine, texts, arguments)
    except ImportError:
        print("no wave scheduler in this checkout: the stream alone is measured", file=sys.stderr)
    rates = in_turns(kinds, arguments.repeats)
    engine.close()
    del engine, kinds
    if not arguments.no_offline:
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        rates["offline"] = offline(folder, ids, arguments)
        gc.collect()
        cleanup_dist_env_and_memory()
    return rates


def report(name: str, rates: dict[str, list[float]]) -> dict[str, Any]:
    medians = {kind: statistics.median(each) for kind, each in rates.items()}
    result: dict[str, Any] = {"model": name}
    for kind, each in rates.items():
        result[kind] = {"tokens_per_second": round(medians[kind]), "repeats": [round(rate) for rate in each]}
    for base in ("raw", "offline"):
        for kind in ("stream", "scheduler"):
            if {base, kind} <= medians.keys():
                result[f"{kind} / {base}"] = round(medians[kind] / medians[base], 3)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, action="append", default=[], help="a checkpoint folder")
    parser.add_argument("--size", choices=SHAPES, action="append", default=[], help="random weights instead")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--draws", type=int, default=64, help="draws a prompt")
    parser.add_argument("--sequences", type=int, default=2048, help="draws side by side")
    parser.add_argument("--batched-tokens", type=int, default=16384)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-offline", action="store_true", help="leave out LLM.generate itself")
    arguments = parser.parse_args()
    folders = {folder.name: folder for folder in arguments.model}
    with tempfile.TemporaryDirectory() as scratch:
        for size in arguments.size or ([] if folders else ["tiny"]):
            folders[size] = write_random(Path(scratch) / size, size)
        for name, folder in folders.items():
            print(json.dumps(report(name, measure(folder, arguments))), flush=True)


if __name__ == "__main__":
    main()
