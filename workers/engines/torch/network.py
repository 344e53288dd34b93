"""The forward passes: a prompt once (`prefill`), and one token of every row (`step`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.engines.llama import Sizes
from workers.engines.torch import eager
from workers.engines.torch.space import Space
from workers.engines.torch.weights import Weights


def prefill(
    weights: Weights,
    sizes: Sizes,
    tokens: Tensor,
    rotary: tuple[Tensor, Tensor],
    keep: Callable[[int, Tensor, Tensor], None] | None = None,
) -> Tensor:
    """Run whole sequences causally; (sequences, length, hidden) scaled by the last norm's 1/rms.

    tokens: (sequences, length), shorter ones padded behind: what follows a token cannot reach it.
    keep: given the layer's index, its keys and values (sequences, kv_heads, length, head_dim).
    """
    dtype = weights.head.dtype
    cos, sin = (table[: tokens.shape[1]] for table in rotary)
    x = F.embedding(tokens, weights.embedding)
    scale = torch.empty(tokens.shape, dtype=torch.float32, device=tokens.device)
    for index, layer in enumerate(weights.layers):
        eager.row_scale(x, scale, sizes.eps)
        q, k, v = eager.split_heads(layer, sizes, F.linear(x, layer.qkv), scale, cos, sin)
        q, k, v = (part.transpose(1, 2).to(dtype) for part in (q, k, v))
        if keep is not None:
            keep(index, k, v)
        mixed = F.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=1.0, enable_gqa=sizes.groups > 1
        )
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), layer.out, layer.out_bias)
        eager.row_scale(x, scale, sizes.eps)
        gate_up = F.linear(x, layer.gate_up)
        gated = torch.empty_like(gate_up[..., : sizes.inner])
        eager.gate(gate_up.flatten(0, 1), scale.flatten(), gated.view(-1, sizes.inner), sizes.activation)
        x = x + F.linear(gated, layer.down)
    eager.row_scale(x, scale, sizes.eps)
    return x.float() * scale[..., None]


def head_logits(weights: Weights, hidden: Tensor) -> Tensor:
    """(..., vocabulary) in float32."""
    if hidden.device.type == "cuda" and weights.head.dtype != torch.float32:
        flat = torch.mm(
            hidden.to(weights.head.dtype).flatten(0, -2), weights.head.t(), out_dtype=torch.float32
        )
        return flat.unflatten(0, hidden.shape[:-1])
    return F.linear(hidden.to(weights.head.dtype), weights.head).float()


class Stepper:
    """Advances the rows of a space by one token, as a CUDA graph where there is a GPU.

    ops: the module of the steps between matrix products, `eager` or `kernels`.
    """

    def __init__(self, weights: Weights, sizes: Sizes, space: Space, ops: Any) -> None:
        self.weights, self.sizes, self.space, self.ops = weights, sizes, space, ops
        self._graphs: dict[tuple[int, bool], torch.cuda.CUDAGraph] = {}

    def run(self, rows: int, steps: int, *, longest: int, nucleus: bool) -> None:
        """`steps` tokens for the first `rows` rows.

        longest: no row has drawn more tokens than this before the first step.
        """
        if self.space.x.device.type != "cuda":
            for offset in range(steps):
                self.step(rows, longest + offset, nucleus)
            return
        graph = self._graph(rows, nucleus)
        for _ in range(steps):
            graph.replay()

    def first(self, rows: Tensor, prompts: Tensor, *, nucleus: bool) -> None:
        """The first token of rows that begin, from the logits behind their prompts."""
        self.ops.sample(self.space.prompt_logits, None, prompts, rows, self.space, nucleus)

    def step(self, rows: int, longest: int, nucleus: bool) -> None:
        """One token of each of the first `rows` rows. Rows that are not alive are computed and change nothing."""
        space, weights, sizes, ops = self.space, self.weights, self.sizes, self.ops
        x, qkv, mixed = space.x[:rows], space.qkv[:rows], space.mixed[:rows]
        gate_up, gated, scale = space.gate_up[:rows], space.gated[:rows], space.scale[:rows]
        torch.index_select(weights.embedding, 0, space.token[:rows], out=x)
        for index, layer in enumerate(weights.layers):
            ops.row_scale(x, scale, sizes.eps)
            torch.mm(x, layer.qkv.t(), out=qkv)
            ops.attend(index, layer, sizes, space, rows, longest)
            x.addmm_(mixed, layer.out.t())
            if layer.out_bias is not None:
                x.add_(layer.out_bias)
            ops.row_scale(x, scale, sizes.eps)
            torch.mm(x, layer.gate_up.t(), out=gate_up)
            ops.gate(gate_up, scale, gated, sizes.activation)
            x.addmm_(gated, layer.down.t())
        ops.row_scale(x, scale, sizes.eps)
        logits = space.logits[:rows]
        if logits.dtype == weights.head.dtype:
            torch.mm(x, weights.head.t(), out=logits)
        else:
            torch.mm(x, weights.head.t(), out_dtype=torch.float32, out=logits)
        every = space.every[:rows]
        ops.sample(logits, scale, every, every, space, nucleus)

    def _graph(self, rows: int, nucleus: bool) -> torch.cuda.CUDAGraph:
        key = (rows, nucleus)
        if key not in self._graphs:
            # Warm-up compiles kernels and chooses matrix products; nobody is alive, so no state changes. All on this
            # lane's stream: graphs captured on one stream share a workspace, which two at once must not.
            alive = self.space.alive.clone()
            self.space.alive.zero_()
            for _ in range(2):
                self.step(rows, 0, nucleus)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream()):
                self.step(rows, 0, nucleus)
            self.space.alive.copy_(alive)
            self._graphs[key] = graph
        return self._graphs[key]


def padded(sequences: Sequence[Sequence[int]], device: torch.device) -> Tensor:
    """(sequences, longest) token ids, zeros behind the shorter ones."""
    longest = max(len(ids) for ids in sequences)
    rows = [[*ids, *([0] * (longest - len(ids)))] for ids in sequences]
    return torch.tensor(rows, dtype=torch.int64, device=device)
