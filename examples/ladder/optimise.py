"""AdamW over the (M, P) matrix, and one training step that can be recorded as a CUDA graph.

Written out rather than taken from torch.optim: a dozen elementwise kernels over one flat matrix serve all
models, the gradient is clipped for each model alone, and nothing ever waits for the host.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from examples.ladder.model import Stack
from examples.ladder.shapes import Schedule

BETA1, BETA2, EPS, DECAY, CLIP = 0.9, 0.95, 1e-8, 0.1, 1.0


class Trainer:
    """Trains a stack on tables of rows (steps, M, B, W) of uint8 tokens."""

    def __init__(
        self, stack: Stack, plan: Schedule, seeds: list[int], data: np.ndarray, device: torch.device
    ) -> None:
        self.stack, self.plan, self.device = stack, plan, device
        self.low = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.data = torch.from_numpy(data).to(device)
        self.master = stack.initial(seeds).to(device)
        self.first, self.second = torch.zeros_like(self.master), torch.zeros_like(self.master)
        self.decayed = (stack.decayed() * DECAY).to(device)
        self.losses = torch.zeros(stack.members, device=device)
        # Rate and bias corrections of every step wait on the device: a replayed graph only reads a buffer.
        table = [[plan.rate(s), 1 - BETA1 ** (s + 1), 1 - BETA2 ** (s + 1)] for s in range(plan.steps)]
        self.table = torch.tensor(table, dtype=torch.float32, device=device)
        self.now = self.table[0].clone()
        self.rows = self.data[0].clone()
        self.graph: torch.cuda.CUDAGraph | None = None

    def step(self) -> None:
        """Forward, backward, update; reads `rows` and `now`, changes only buffers that stay in place."""
        # The products see the weights rounded as they will be saved; the float32 master takes the updates.
        leaf = self.master.to(self.low, copy=True).requires_grad_()
        losses = self.stack.losses(leaf, self.rows.long())
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        with torch.no_grad():
            gradient = gradient.float()
            norm = torch.linalg.vector_norm(gradient, dim=1, keepdim=True)
            gradient = gradient * (CLIP / (norm + 1e-6)).clamp(max=1.0)
            # an overflow skips the step
            gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
            self.first.lerp_(gradient, 1 - BETA1)
            self.second.lerp_(gradient * gradient, 1 - BETA2)
            rate, one, two = self.now[0], self.now[1], self.now[2]
            move = (self.first / one) / ((self.second / two).sqrt() + EPS) + self.decayed * self.master
            self.master.sub_(move * rate)
            self.losses.copy_(losses.detach())

    def record(self) -> bool:
        """Record the step as a CUDA graph; False (and eager steps) where that fails."""
        if self.device.type != "cuda":
            return False
        before = self.master.clone()
        try:
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):  # settles cuBLAS workspaces, kernels and the allocator
                    self.step()
            torch.cuda.current_stream().wait_stream(side)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.step()
            self.graph = graph
        except Exception as error:
            self.graph = None
            print(f"no CUDA graph, training eagerly: {type(error).__name__}: {error}", flush=True)
        torch.cuda.synchronize()
        with torch.no_grad():  # undo the warm-up steps
            self.master.copy_(before)
            self.first.zero_()
            self.second.zero_()
        torch.cuda.synchronize()
        return self.graph is not None

    def advance(self, step: int) -> None:
        self.rows.copy_(self.data[step])
        self.now.copy_(self.table[step])
        if self.graph is not None:
            self.graph.replay()
        else:
            self.step()

    def finite(self) -> bool:
        return bool(torch.isfinite(self.losses).all()) and math.isfinite(float(self.master.abs().max()))
