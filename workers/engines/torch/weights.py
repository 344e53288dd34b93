"""Loads a Llama-shaped checkpoint onto a device, with norm weights folded into the matrices behind them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from firstlight.files.model_folder import ModelFolder
from firstlight.files.safetensors_files import TensorEntry
from workers.engines.base import EngineRefusal
from workers.engines.llama import Sizes

_RAW: dict[str, tuple[np.dtype[Any], torch.dtype]] = {
    "F64": (np.dtype("<f8"), torch.float64),
    "F32": (np.dtype("<f4"), torch.float32),
    "F16": (np.dtype("<f2"), torch.float16),
    "BF16": (np.dtype("<i2"), torch.bfloat16),
}


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer; matrices are (out, in), norms (head_dim,) in float32. 1/sqrt(head_dim) is in q or its norm."""

    qkv: Tensor
    qkv_bias: Tensor | None
    q_norm: Tensor | None
    k_norm: Tensor | None
    out: Tensor
    out_bias: Tensor | None
    gate_up: Tensor
    down: Tensor


@dataclass(frozen=True, eq=False)
class Weights:
    """A model on its device: embedding and head (vocabulary, hidden), the last norm folded into the head."""

    embedding: Tensor
    layers: tuple[Layer, ...]
    head: Tensor

    def bytes(self) -> int:
        """Bytes that the tensors take on the device, none counted twice."""
        parts = [self.embedding, self.head]
        for layer in self.layers:
            parts += [part for part in vars(layer).values() if part is not None]
        return sum({part.data_ptr(): part.numel() * part.element_size() for part in parts}.values())


def weight_bytes(folder: ModelFolder, sizes: Sizes, itemsize: int) -> int:
    """What `load_weights` will take on the device, in bytes: the folded head stands beside the embedding."""
    total = sum(int(np.prod(entry.shape)) for entry in folder.tensors.values())
    return itemsize * (total + (sizes.vocab * sizes.hidden if folder.tied else 0))


def load_weights(folder: ModelFolder, sizes: Sizes, device: torch.device, dtype: torch.dtype) -> Weights:
    """Read all tensors of the checkpoint, one at a time.

    Raises EngineRefusal: a tensor of a type that is not a plain float.
    """
    # Products with norm weights are taken in a wider type and rounded once.
    wide = torch.float64 if dtype == torch.float32 else torch.float32

    def read(name: str) -> Tensor:
        return _read(folder.tensors[name], name).to(device).to(wide)

    def maybe(name: str) -> Tensor | None:
        return read(name) if name in folder.tensors else None

    def cast(values: Tensor, to: torch.dtype = dtype) -> Tensor:
        return values.to(to).contiguous()

    def layer(prefix: str) -> Layer:
        attention = f"{prefix}self_attn."
        before, after = (
            read(f"{prefix}input_layernorm.weight"),
            read(f"{prefix}post_attention_layernorm.weight"),
        )
        q, k, v = (read(f"{attention}{part}_proj.weight") * before for part in "qkv")
        bias = [maybe(f"{attention}{part}_proj.bias") for part in "qkv"]
        q_norm, k_norm = maybe(f"{attention}q_norm.weight"), maybe(f"{attention}k_norm.weight")
        scale = sizes.head_dim**-0.5
        if q_norm is None:
            q = q * scale
            bias[0] = None if bias[0] is None else bias[0] * scale
        else:
            q_norm = q_norm * scale  # a norm follows q, so the scale must come after it
        present = [part for part in bias if part is not None]
        out_bias = maybe(f"{attention}o_proj.bias")
        gate_up = [read(f"{prefix}mlp.{part}_proj.weight") * after for part in ("gate", "up")]
        return Layer(
            qkv=cast(torch.cat([q, k, v])),
            qkv_bias=cast(torch.cat(present), torch.float32) if len(present) == 3 else None,
            q_norm=None if q_norm is None else cast(q_norm, torch.float32),
            k_norm=None if k_norm is None else cast(k_norm, torch.float32),
            out=cast(read(f"{attention}o_proj.weight")),
            out_bias=None if out_bias is None else cast(out_bias),
            gate_up=cast(torch.cat(gate_up)),
            down=cast(read(f"{prefix}mlp.down_proj.weight")),
        )

    embedding = read("model.embed_tokens.weight")
    head = embedding if folder.tied else read("lm_head.weight")
    return Weights(
        embedding=cast(embedding),
        layers=tuple(layer(f"model.layers.{index}.") for index in range(sizes.layers)),
        head=cast(head * read("model.norm.weight")),
    )


def _read(entry: TensorEntry, name: str) -> Tensor:
    known = _RAW.get(entry.dtype)
    if known is None:
        raise EngineRefusal(f"tensor {name} is {entry.dtype}; an engine reads {', '.join(_RAW)}")
    raw, dtype = known
    array = np.fromfile(entry.file, dtype=raw, count=int(np.prod(entry.shape)), offset=entry.offset)
    return torch.from_numpy(array).view(dtype).reshape(entry.shape)
