"""Real shortage of a GPU's memory: the card is filled behind an open engine's back, and the task must end all the same.

    python benchmarks/engines/out_of_memory.py --engines torch vllm --size 0.5B

Each engine is opened, its planned memory is then taken away by a block that leaves so many GiB, and 4,096 draws are
asked for by the wave scheduler. Told are the outcome, the draws side by side afterwards, and how many draws
differ from those made with the memory free (float32 makes the torch engine's comparable; vLLM promises none).
Then a second engine is opened on the full card, which must refuse in one line before it allocates.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")

from random_models import SHAPES, prompts, write_random

import torch  # isort: skip
from firstlight.files.decoding import Decoding  # isort: skip
from firstlight.files.task_file import InstanceSpec  # isort: skip

from passuntil import FixedDraws  # isort: skip
from workers.engines import Engine, EngineError, open_engine  # isort: skip
from workers.scheduler import DrawnUnit, Scheduler  # isort: skip

PROMPTS, DRAWS, PROMPT_TOKENS, NEW_TOKENS = 64, 64, 48, 32


class Heard(logging.Handler):
    """Keeps what the scheduler warns of."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage()[:160])


def drawn(engine: Engine) -> dict[tuple[Any, int], str]:
    """All draws, by instance and number."""
    specs = [
        InstanceSpec(id=f"{place}", prompt=text, answer="no", grader="exact", max_tokens=NEW_TOKENS)
        for place, text in enumerate(prompts(PROMPTS, PROMPT_TOKENS))
    ]
    waves = Scheduler(engine)
    waves.add(DrawnUnit(spec.id, spec, FixedDraws(DRAWS), Decoding(seed=1)) for spec in specs)
    texts: dict[tuple[Any, int], str] = {}
    while not waves.idle:
        for step in waves.step():
            for wave in step.waves:
                for place, text in enumerate(wave.texts):
                    texts[step.key, wave.first_draw + place] = text
    return texts


def shortage(kind: str, folder: Path, left: float, options: dict[str, Any]) -> dict[str, Any]:
    heard = Heard()
    logging.getLogger("workers.scheduler").addHandler(heard)
    engine = open_engine(kind, folder, **options)
    free, _ = torch.cuda.mem_get_info()
    block = torch.empty(max(0, int(free - left * 2**30)), dtype=torch.uint8, device="cuda")
    result: dict[str, Any] = {
        "engine": kind,
        "free_gib": [round(free / 2**30, 2), round(torch.cuda.mem_get_info()[0] / 2**30, 2)],
    }
    began = time.perf_counter()
    try:
        short = drawn(engine)
        result |= {"draws": len(short), "seconds": round(time.perf_counter() - began, 1)}
    except EngineError as error:
        short = {}
        result["failed"] = f"{type(error).__name__}: {error}"[:300]
    room = getattr(engine, "room", None)
    result |= {"rows": room.capacity if room else engine.capacity, "warned": heard.lines}
    try:
        open_engine(kind, folder, **options).close()
        result["second_engine"] = "opened"
    except EngineError as error:
        result["second_engine"] = f"{type(error).__name__}: {error}"[:300]
    engine.close()
    del block, engine, room
    gc.collect()
    torch.cuda.empty_cache()
    if short:
        engine = open_engine(kind, folder, **options)
        whole = drawn(engine)
        engine.close()
        result["differ"] = sum(short[key] != text for key, text in whole.items())
    return result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--engines", nargs="+", default=["torch"])
    parser.add_argument("--size", choices=SHAPES, default="0.5B")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--left", type=float, nargs="+", default=[4.0, 1.0], help="GiB that the block leaves")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = write_random(Path(scratch) / arguments.size, arguments.size)
        for kind in arguments.engines:
            options = {"dtype": arguments.dtype, **({"eager": True, "share": 0.4} if kind == "vllm" else {})}
            for left in arguments.left:
                print(json.dumps(shortage(kind, folder, left, options)), flush=True)


if __name__ == "__main__":
    main()
