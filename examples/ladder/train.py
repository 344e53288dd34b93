"""Trains the ladder: many stacks of models as processes on one device.

    python -m examples.ladder.train --plan cpu --out var/ladder       two small models, minutes on two cores
    python -m examples.ladder.train --plan pilot --out DIR            the main models, every candidate task
    python -m examples.ladder.train --plan full --out DIR --pack DIR  main models, mixtures and seeds

A stack that fails is tried once more without a CUDA graph; what it fails with stands in its log, and every
other stack goes on. After --deadline seconds unfinished stacks are dropped and the finished ones written.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from examples.ladder.data import write_tasks
from examples.ladder.export import HERE, pack
from examples.ladder.plans import CHOSEN, Spec, specs, stacks
from examples.ladder.shapes import TOKENS_PER_PARAMETER
from examples.ladder.tables import summary, write_tables

GRACE = 20.0  # seconds a worker has after the deadline to leave by itself
DROPPED = 3  # a worker's exit status when the deadline came first


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plan", choices=("cpu", "pilot", "main", "groups", "full"), default="cpu")
    parser.add_argument(
        "--out", type=Path, default=Path("var/ladder"), help="where models, raw scores and tables go"
    )
    parser.add_argument("--pack", type=Path, help="also write checkpoints-N.tar and results.tar.gz there")
    parser.add_argument("--sizes", help="widths to train, e.g. 32,64 (see shapes.py)")
    parser.add_argument("--tasks", help="tasks to train on, comma-separated; otherwise plans.CHOSEN")
    parser.add_argument("--tokens-per-param", type=float, help="default 20; 4 in the cpu plan")
    parser.add_argument("--rate-scale", type=float, default=1.0, help="multiplies the learning-rate rule")
    parser.add_argument("--jobs", type=int, help="stacks at a time; default 10, 2 in the cpu plan")
    parser.add_argument("--stack", type=int, default=8, help="most models that train in one stack")
    parser.add_argument(
        "--deadline", type=float, default=1e9, help="seconds; unfinished stacks are dropped then"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--no-graph", action="store_true", help="never record a CUDA graph")
    return parser.parse_args()


def find_device(asked: str) -> str:
    if asked != "auto":
        return asked
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def count_cards() -> int:
    import torch

    return torch.cuda.device_count()


class Driver:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.began = options, time.time()
        self.out: Path = options.out
        self.cpu_plan = options.plan == "cpu"
        self.device = "cpu" if self.cpu_plan and options.device == "auto" else find_device(options.device)
        self.cards = count_cards() if self.device == "cuda" else 0
        self.tasks = tuple(options.tasks.split(",")) if options.tasks else CHOSEN
        for part in ("logs", "raw", "models"):
            (self.out / part).mkdir(parents=True, exist_ok=True)

    def clock(self) -> str:
        return f"[{time.time() - self.began:6.1f} s]"

    def attempt(self, number: int, members: list[Spec], graph: bool) -> int:
        """Run one stack as a process; its output goes to its log."""
        options, deadline = self.options, self.began + self.options.deadline
        job = {
            "members": [spec.as_dict() for spec in members],
            "tasks": self.tasks,
            "tokens_per_parameter": options.tokens_per_param
            or (4.0 if self.cpu_plan else TOKENS_PER_PARAMETER),
            "rate_scale": options.rate_scale,
            "device": self.device,
            "graph": graph,
            "deadline": deadline,
            "threads": 1,
        }
        name = f"{number:02d}-{members[0].key}" + ("" if graph else "-eager")
        path, log = self.out / "logs" / f"{name}.json", self.out / "logs" / f"{name}.log"
        path.write_text(json.dumps(job, indent=1) + "\n", encoding="utf-8")
        fixed = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1",
                 "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}  # fmt: skip
        if self.cards > 1:  # one stack is one process on one card
            fixed["CUDA_VISIBLE_DEVICES"] = str(number % self.cards)
        root = str(HERE.parents[1])
        command = [
            sys.executable,
            "-m",
            "examples.ladder.worker",
            str(path.resolve()),
            str(self.out.resolve()),
        ]
        with log.open("w", encoding="utf-8") as stream:
            try:
                done = subprocess.run(
                    command,
                    cwd=root,
                    env={**os.environ, **fixed},
                    stdout=stream,
                    stderr=subprocess.STDOUT,
                    timeout=max(1.0, deadline + GRACE - time.time()) if options.deadline < 1e8 else None,
                )
                status = done.returncode
            except subprocess.TimeoutExpired:
                status = DROPPED
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() or ["(no output)"]
        print(f"{self.clock()} {name}: {lines[-1] if status in (0, DROPPED) else 'failed'}", flush=True)
        if status not in (0, DROPPED):
            print("\n".join(f"    {line}" for line in lines[-12:]), flush=True)
        return status

    def stack(self, number: int, members: list[Spec]) -> bool:
        if time.time() > self.began + self.options.deadline:
            print(
                f"{self.clock()} {members[0].key} and its stack: not started, the deadline has passed",
                flush=True,
            )
            return False
        graph = self.device == "cuda" and not self.options.no_graph
        status = self.attempt(number, members, graph)
        if graph and status not in (0, DROPPED) and time.time() < self.began + self.options.deadline:
            status = self.attempt(number, members, False)
        return status == 0

    def run(self) -> bool:
        widths = tuple(int(d) for d in self.options.sizes.split(",")) if self.options.sizes else None
        all_stacks = stacks(specs(self.options.plan, widths), self.options.stack)
        jobs = self.options.jobs or (2 if self.cpu_plan else 10)
        total = sum(map(len, all_stacks))
        print(
            f"{self.clock()} {total} models in {len(all_stacks)} stacks on {self.device}, {jobs} at a time",
            flush=True,
        )
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            good = list(pool.map(self.stack, range(len(all_stacks)), all_stacks))
        write_tasks(self.out / "tasks", self.tasks)
        raws = write_tables(self.out / "raw", self.out / "scores")
        text = summary(raws)
        (self.out / "scores" / "summary.txt").write_text(text + "\n", encoding="utf-8")
        print(text)
        if self.options.pack:
            for path in pack(self.out, self.options.pack):
                print(f"{self.clock()} {path.name}: {path.stat().st_size / 1e6:.1f} MB")
        print(f"{self.clock()} {sum(good)} of {len(good)} stacks finished", flush=True)
        return bool(raws)


def main() -> None:
    sys.exit(0 if Driver(parse()).run() else 1)


if __name__ == "__main__":
    main()
