"""The torch engine on the CPU against transformers' generate: the same draws asked of the same model, in turns.

    .venv-torch/bin/python benchmarks/engines/burst_cpu.py [--models ladder-142k ladder-4.6m] [--threads 1]

Both draw `--draws` answers of one instance of each task of the ladder at temperature 1 and stop at the newline;
generate gets them as one batch (the prompt repeated, its cache on). Tokens counted are those up to the stop. Median of
`--repeats`; a JSON line a model.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "platform")]

import torch  # noqa: E402
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402

from workers.engines import DrawRequest, Engine, open_engine  # noqa: E402

LADDER = ROOT / "examples" / "ladder"


def asked(draws: int, seed: int) -> list[DrawRequest]:
    requests = []
    for file in sorted((LADDER / "tasks").glob("*.jsonl")):
        row = json.loads(file.read_text().splitlines()[0])
        stop = tuple(row["stop"])
        requests.append(DrawRequest(row["id"], row["prompt"], 0, draws, seed, stop, row["max_tokens"]))
    return requests


def by_engine(engine: Engine, requests: list[DrawRequest]) -> int:
    return sum(int(wave.tokens.sum()) for wave in engine.draw(requests))


def by_transformers(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, requests: list[DrawRequest]
) -> int:
    newline = tokenizer.convert_tokens_to_ids("\n")
    tokens = 0
    for request in requests:
        ids = torch.tensor([tokenizer.encode(request.prompt)] * request.draws)
        with torch.inference_mode():
            out = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                temperature=1.0,
                top_k=0,
                top_p=1.0,
                max_new_tokens=request.max_tokens,
                eos_token_id=newline,
                pad_token_id=newline,
            )
        new = out[:, ids.shape[1] :]
        ended = new == newline
        lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, new.shape[1])
        texts = tokenizer.batch_decode(new)
        assert len(texts) == request.draws
        tokens += int(lengths.sum())
    return tokens


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["ladder-142k", "ladder-943k", "ladder-4.6m"])
    parser.add_argument("--draws", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for name in arguments.models:
        folder = LADDER / "models" / name
        model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        engine = open_engine("torch", folder, device="cpu")
        rates: dict[str, list[float]] = {"torch": [], "transformers": []}
        by_engine(engine, asked(64, 99))
        by_transformers(model, tokenizer, asked(64, 99))
        for repeat in range(arguments.repeats):
            requests = asked(arguments.draws, repeat)
            began = time.perf_counter()
            tokens = by_engine(engine, requests)
            middle = time.perf_counter()
            others = by_transformers(model, tokenizer, requests)
            rates["torch"].append(tokens / (middle - began))
            rates["transformers"].append(others / (time.perf_counter() - middle))
        engine.close()
        medians = {kind: round(statistics.median(values)) for kind, values in rates.items()}
        ratio = statistics.median(
            one / other for one, other in zip(rates["torch"], rates["transformers"], strict=True)
        )
        print(json.dumps({"model": name, **medians, "ratio": round(ratio, 2)}), flush=True)


if __name__ == "__main__":
    main()
