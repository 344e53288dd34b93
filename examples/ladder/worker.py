"""Trains one stack of models and writes their scores (and checkpoints): one process of a plan."""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from examples.ladder.data import batches, stream
from examples.ladder.evaluate import rounded, scores
from examples.ladder.export import save_checkpoint
from examples.ladder.generators import MAX_DOCUMENT
from examples.ladder.model import Stack
from examples.ladder.optimise import Trainer
from examples.ladder.plans import Spec, mixtures, stream_key
from examples.ladder.shapes import Schedule, Shape, schedule

CHECK_EVERY = 50  # steps between looks at the clock; each look waits for the device


class OutOfTime(RuntimeError):
    """The plan's deadline came before the training's end."""


def tables_of(
    members: list[Spec], tasks: tuple[str, ...], plan: Schedule, weights: dict[str, dict[str, float]]
) -> np.ndarray:
    """Token rows of all members: (steps, members, rows, width); each member exactly plan.tokens tokens."""

    def one(spec: Spec) -> np.ndarray:
        return batches(stream(weights[spec.mixture], plan.tokens, stream_key(spec)), plan.steps)

    with ThreadPoolExecutor(max_workers=4) as pool:
        parts = list(pool.map(one, members))
    table = np.zeros((plan.steps, len(members), max(p.shape[1] for p in parts), MAX_DOCUMENT), dtype=np.uint8)
    for place, part in enumerate(parts):
        table[:, place, : part.shape[1]] = part
    return table


def train(trainer: Trainer, deadline: float) -> float:
    """Run all steps; what `losses` holds afterwards is the mean over the last tenth of them."""
    steps = trainer.plan.steps
    tail = torch.zeros_like(trainer.losses)
    last = max(1, steps // 10)
    began = time.time()
    for step in range(steps):
        trainer.advance(step)
        if step >= steps - last:
            tail += trainer.losses / last
        if step % CHECK_EVERY == 0:
            losses = trainer.losses.tolist()
            if time.time() > deadline:
                raise OutOfTime(f"step {step} of {steps}")
            if step % max(CHECK_EVERY, steps // 20 // CHECK_EVERY * CHECK_EVERY) == 0:
                print(
                    f"step {step} of {steps}, {time.time() - began:.1f} s, loss {min(losses):.4f}", flush=True
                )
    trainer.losses.copy_(tail)
    trainer.losses.tolist()
    return time.time() - began


def work(job: dict[str, object], out: Path) -> None:
    began = time.time()
    torch.set_num_threads(int(str(job["threads"])))
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    device = torch.device(str(job["device"]))
    if device.type == "cuda":
        torch.backends.cuda.enable_cudnn_sdp(False)  # flash attention is the kernel that graphs record safely
    members = [Spec(**row) for row in job["members"]]  # type: ignore[attr-defined]
    tasks = tuple(job["tasks"])  # type: ignore[arg-type]
    weights = mixtures(tasks)
    shape = Shape(members[0].d)
    plan = schedule(shape, float(str(job["tokens_per_parameter"])), float(str(job["rate_scale"])))
    table = tables_of(members, tasks, plan, weights)
    prepared = time.time() - began
    stack = Stack(shape, len(members), MAX_DOCUMENT - 1, device)
    trainer = Trainer(stack, plan, [spec.seed for spec in members], table, device)
    graphed = trainer.record() if job["graph"] else False
    print(f"{len(members)} x {shape.name}: {plan}, rows {table.shape}, graph {graphed}", flush=True)
    seconds = train(trainer, float(str(job["deadline"])))
    if not trainer.finite():
        raise FloatingPointError("training diverged")
    results = scores(stack, trainer.master, tasks)
    final = rounded(trainer.master)
    (out / "raw").mkdir(parents=True, exist_ok=True)
    for place, (spec, result) in enumerate(zip(members, results, strict=True)):
        raw = {
            "key": spec.key,
            "size": shape.name,
            "d": shape.d,
            "n_params": shape.n_params,
            "tokens": int((table[:, place] != 0).sum()),
            "steps": plan.steps,
            "peak_rate": plan.peak_rate,
            "mixture": spec.mixture,
            "weights": weights[spec.mixture],
            "seed": spec.seed,
            "train_loss": float(trainer.losses[place]),
            "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
            "torch": torch.__version__,
            **result,
        }
        if spec.keep:
            named = {name: value[place] for name, value in stack.named(final).items()}
            save_checkpoint(out / "models" / shape.name, shape, named)
        (out / "raw" / f"{spec.key}.json").write_text(json.dumps(raw) + "\n", encoding="utf-8")
    memory = torch.cuda.max_memory_reserved() / 2**30 if device.type == "cuda" else 0.0
    print(
        f"finished {len(members)} x {shape.name} ({members[0].mixture} s{members[0].seed}...): "
        f"{plan.steps} steps, "
        f"{1e3 * seconds / plan.steps:.2f} ms a step, data {prepared:.0f} s, training {seconds:.0f} s, "
        f"whole {time.time() - began:.0f} s, graph {graphed}, {memory:.1f} GiB, "
        f"loss {min(trainer.losses.tolist()):.4f}",
        flush=True,
    )


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    try:
        work(job, Path(sys.argv[2]))
    except OutOfTime as error:
        print(f"dropped at the deadline: {error}", flush=True)
        sys.exit(3)


if __name__ == "__main__":
    main()
