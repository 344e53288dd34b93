"""Loads a Llama-shaped checkpoint into float32 arrays, folded for the forward pass, or refuses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firstlight.files.model_folder import ModelFolder
from workers.engines.llama import Array, Sizes, read_sizes, read_tensor


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer, matrices as (out, in), with norm weights and 1/sqrt(head_dim) folded in."""

    qkv: Array
    qkv_bias: Array | None
    q_norm: Array | None
    k_norm: Array | None
    out: Array
    out_bias: Array | None
    gate_up: Array
    down: Array


@dataclass(frozen=True, eq=False)
class Weights:
    """A model: embedding, head (both (vocabulary, hidden), the last norm folded into the head) and layers."""

    sizes: Sizes
    embedding: Array
    layers: tuple[Layer, ...]
    head: Array

    def shapes(self) -> set[tuple[int, ...]]:
        """Shapes of the matrices that a draw is multiplied by."""
        matrices = [
            part for layer in self.layers for part in (layer.qkv, layer.out, layer.gate_up, layer.down)
        ]
        return {matrix.shape for matrix in (*matrices, self.head)}


def load_weights(folder: ModelFolder) -> Weights:
    """Read all tensors of the checkpoint.

    Raises EngineRefusal: an architecture or an option that the reference engine does not run.
    """
    sizes = read_sizes(folder)
    tensors = folder.tensors

    def read(name: str) -> NDArray[np.float64]:
        return read_tensor(tensors[name], name).astype(np.float64)

    def maybe(name: str) -> NDArray[np.float64] | None:
        return read(name) if name in tensors else None

    embedding = read_tensor(tensors["model.embed_tokens.weight"], "model.embed_tokens.weight")
    head = embedding.astype(np.float64) if folder.tied else read("lm_head.weight")
    layers = tuple(_layer(f"model.layers.{index}.", sizes, read, maybe) for index in range(sizes.layers))
    return Weights(sizes, embedding, layers, _f32(head * read("model.norm.weight")))


def _layer(prefix: str, sizes: Sizes, read: Any, maybe: Any) -> Layer:
    # Products with norm weights are taken in float64 and rounded once.
    attention = f"{prefix}self_attn."
    before, after = read(f"{prefix}input_layernorm.weight"), read(f"{prefix}post_attention_layernorm.weight")
    q, k, v = (read(f"{attention}{part}_proj.weight") * before for part in "qkv")
    bias = [maybe(f"{attention}{part}_proj.bias") for part in "qkv"]
    q_norm, k_norm = maybe(f"{attention}q_norm.weight"), maybe(f"{attention}k_norm.weight")
    scale = sizes.head_dim**-0.5
    if q_norm is None:
        q = q * scale
        bias[0] = None if bias[0] is None else bias[0] * scale
    else:
        q_norm = q_norm * scale  # a norm follows q, so the scale must come after it
    gate, up = read(f"{prefix}mlp.gate_proj.weight") * after, read(f"{prefix}mlp.up_proj.weight") * after
    if sizes.activation in ("silu", "swish"):
        # silu(g) u = (-g)(-u) / (1 + exp(-g)): with both signs turned here, the forward pass needs no
        # negation
        gate, up = -gate, -up
    out_bias = maybe(f"{attention}o_proj.bias")
    return Layer(
        qkv=_f32(np.concatenate([q, k, v])),
        qkv_bias=None if bias[0] is None else _f32(np.concatenate(bias))[:, None],
        q_norm=None if q_norm is None else _f32(q_norm)[:, None],
        k_norm=None if k_norm is None else _f32(k_norm)[:, None],
        out=_f32(read(f"{attention}o_proj.weight")),
        out_bias=None if out_bias is None else _f32(out_bias)[:, None],
        gate_up=_f32(np.concatenate([gate, up])),
        down=_f32(read(f"{prefix}mlp.down_proj.weight")),
    )


def _f32(values: NDArray[np.float64]) -> Array:
    return np.ascontiguousarray(values, dtype=np.float32)
