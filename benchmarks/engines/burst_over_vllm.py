"""The torch engine against raw vLLM's best of several settings and processes, one after the other in one run.

    python benchmarks/engines/burst_over_vllm.py --models 0.036B 0.5B 1.1B --sequences 2048 --batched-tokens 16384

48 prompt tokens, 32 new ones, temperature 1, random weights, medians of the repeats. vLLM's lines are those of
`vllm_ceiling.py`, the torch engine's those of `burst_speed.py`; a last line a model gives the ratio.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from burst_speed import add_settings, ceilings, measure_all
from random_models import SHAPES, write_random
from vllm_ceiling import fastest, settings_parser, sweep

import torch  # isort: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[settings_parser()],
    )
    parser.add_argument("--models", nargs="+", default=["0.036B", "0.5B", "1.1B"], choices=SHAPES)
    add_settings(parser)
    arguments = parser.parse_args()
    roof = ceilings()
    torch.cuda.empty_cache()
    print(
        json.dumps({"card": torch.cuda.get_device_name(), **{k: round(v) for k, v in roof.items()}}),
        flush=True,
    )
    for name in arguments.models:
        folder = write_random(Path(tempfile.gettempdir()) / f"random-{name}", name)
        raw = fastest(sweep(name, folder, arguments))
        tried = measure_all(name, folder, roof, arguments)
        burst = max(tried, key=lambda each: float(each["tokens_per_s"]))
        ratio = burst["tokens_per_s"] / raw["tokens_per_second"]
        print(
            json.dumps(
                {"model": name, "burst": burst["tokens_per_s"], "vllm": raw, "ratio": round(ratio, 2)}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
