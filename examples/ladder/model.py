"""A small Llama, trained many at a time.

Models of one size differ in data and seed only, and a model of 100k parameters leaves a GPU idle. So the
parameters of M models lie in one (M, P) matrix, every product is a batched product over the models, and no
number of one model ever enters another: a stack trains exactly as its members would alone, to rounding.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from examples.ladder.shapes import HEAD_DIM, NORM_EPS, ROPE_THETA, Shape
from examples.ladder.tokenizer import PAD_ID, VOCAB_SIZE


class Stack:
    """M models of one shape; it holds no weights, `forward` takes the (M, P) matrix."""

    def __init__(self, shape: Shape, members: int, positions: int, device: torch.device) -> None:
        self.shape, self.members = shape, members
        self.layout = shape.parameters()
        self.sizes = [math.prod(size) for _, size, _ in self.layout]
        self.width = sum(self.sizes)
        frequency = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2, dtype=torch.float64) / HEAD_DIM)
        angle = torch.arange(positions, dtype=torch.float64)[:, None] * frequency[None, :]
        self.cos = angle.cos().float().to(device)[:, None, None, :]  # positions, query/key, heads, half
        self.sin = angle.sin().float().to(device)[:, None, None, :]
        self.symbols = torch.arange(VOCAB_SIZE, device=device)
        self.future = torch.ones(positions, positions, dtype=torch.bool, device=device).triu(1)

    def initial(self, seeds: list[int]) -> Tensor:
        """Initial weights, one row a seed; drawn on the CPU so that they are the same on every device."""
        rows = []
        for seed in seeds:
            rng = np.random.default_rng([20_000, seed])
            parts = [
                rng.standard_normal(math.prod(size)) * std if std else np.ones(math.prod(size))
                for _, size, std in self.layout
            ]
            rows.append(torch.from_numpy(np.concatenate(parts)).float())
        return torch.stack(rows)

    def decayed(self) -> Tensor:
        """1 where weight decay applies: the matrices; neither norms nor the embedding."""
        marks = [
            torch.full((size,), float(std > 0 and name != "embed"))
            for size, (name, _, std) in zip(self.sizes, self.layout, strict=True)
        ]
        return torch.cat(marks)

    def named(self, weights: Tensor) -> dict[str, Tensor]:
        """Views of the matrix by parameter name: (M, inputs, outputs), norms (M, 1, d)."""
        parts = weights.split(self.sizes, dim=1)
        return {
            name: part.view(-1, *size) if len(size) == 2 else part[:, None, :]
            for part, (name, size, _) in zip(parts, self.layout, strict=True)
        }

    def forward(self, weights: Tensor, tokens: Tensor, exact: bool = False) -> Tensor:
        """Logits (M, B * T, vocabulary) of tokens (M, B, T). `exact` uses no fused attention.

        The residual stream is float32; products run in the dtype of the weights.
        """
        w, shape, dtype = self.named(weights), self.shape, weights.dtype
        members, batch, length = tokens.shape
        cos, sin = self.cos[:length].to(dtype), self.sin[:length].to(dtype)
        # A product with one-hot rows instead of a lookup: its gradient has one fixed order of summation.
        one_hot = (tokens.reshape(members, -1, 1) == self.symbols).to(dtype)
        x = torch.bmm(one_hot, w["embed"]).float()
        for layer in range(shape.layers):
            h = self._norm(x, w[f"{layer}.attention_norm"])
            qkv = torch.bmm(h, w[f"{layer}.qkv"]).view(members * batch, length, 3, shape.heads, HEAD_DIM)
            # split and unbind, not slices: their gradients are one concatenation each
            turning, still = qkv.split([2, 1], dim=2)
            first, second = turning.chunk(2, dim=-1)
            turned = torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
            q, k = (part.transpose(1, 2) for part in turned.unbind(2))
            v = still.squeeze(2).transpose(1, 2)
            if exact:
                mixed = self._attend(q, k, v, length)
            else:
                mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            mixed = mixed.transpose(1, 2).reshape(members, batch * length, shape.heads * HEAD_DIM)
            x = x + torch.bmm(mixed, w[f"{layer}.out"])
            h = self._norm(x, w[f"{layer}.feed_norm"])
            gate, up = torch.bmm(h, w[f"{layer}.gate_up"]).chunk(2, dim=-1)
            x = x + torch.bmm(F.silu(gate) * up, w[f"{layer}.down"])
        return torch.bmm(self._norm(x, w["norm"]), w["embed"].transpose(1, 2))

    def _norm(self, x: Tensor, weight: Tensor) -> Tensor:
        return F.rms_norm(x, (self.shape.d,), eps=NORM_EPS).to(weight.dtype) * weight

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, length: int) -> Tensor:
        scores = q @ k.transpose(-1, -2) / math.sqrt(HEAD_DIM)
        return scores.masked_fill(self.future[:length, :length], float("-inf")).softmax(dim=-1) @ v

    def losses(self, weights: Tensor, rows: Tensor) -> Tensor:
        """Mean next-token loss of every member over the non-padding tokens of its rows (M, B, W)."""
        tokens, targets = rows[:, :, :-1], rows[:, :, 1:].reshape(-1)
        logits = self.forward(weights, tokens).float().view(-1, VOCAB_SIZE)
        each = F.cross_entropy(logits, targets, ignore_index=PAD_ID, reduction="none").view(self.members, -1)
        return each.sum(dim=1) / (targets.view(self.members, -1) != PAD_ID).sum(dim=1).clamp(min=1)
