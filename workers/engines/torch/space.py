"""The device memory of a burst: planned to the byte before anything is allocated, then allocated once."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from workers.engines.llama import Sizes

#: Rows that share a prompt's keys and values in one step of attention.
TILE = 16
#: Sets of ending tokens that may be in use at once.
STOP_SETS = 64


_ACTIVATIONS = ("x", "qkv", "mixed", "gate_up", "gated", "logits", "scale")
_STATE = ("token", "length", "limit", "alive", "stop_set", "inverse_temperature", "top_p", "uniforms", "out")


@dataclass(frozen=True)
class Shape:
    """What a burst is laid out for.

    rows: draws side by side, a multiple of TILE.
    answer: longest answer, in tokens.
    prompts: prompts whose keys and values are kept.
    prompt: longest prompt, in tokens.
    """

    rows: int
    answer: int
    prompts: int
    prompt: int


def prompt_bytes(sizes: Sizes, prompt: int, itemsize: int) -> int:
    """Bytes of one kept prompt: keys, values and the logits behind it."""
    cache = 2 * sizes.layers * sizes.kv_heads * sizes.head_dim * prompt * itemsize
    return cache + 4 * sizes.vocab + 4


def row_bytes(sizes: Sizes, answer: int, itemsize: int) -> int:
    """Bytes of one row: its own keys and values, activations, logits, random numbers and state."""
    cache = 2 * sizes.layers * sizes.kv_heads * sizes.head_dim * answer * itemsize
    heads = sizes.heads * sizes.head_dim
    widths = sizes.hidden + heads + 2 * sizes.kv_heads * sizes.head_dim + heads + 3 * sizes.inner
    state = 8 + 4 + 4 + 1 + 4 + 4 + 4 + 8 + 8 + 8 * answer + 4 * answer
    return cache + widths * itemsize + 4 * sizes.vocab + state


def planned_bytes(sizes: Sizes, shape: Shape, itemsize: int) -> int:
    """Bytes that `Space` will allocate."""
    shared = STOP_SETS * sizes.vocab + 4 * (shape.prompt + shape.answer) * sizes.head_dim
    return (
        shape.rows * row_bytes(sizes, shape.answer, itemsize)
        + shape.prompts * prompt_bytes(sizes, shape.prompt, itemsize)
        + 4 * shape.rows // TILE
        + shared
    )


class Space:
    """Every tensor that a step reads or writes, at fixed addresses so that steps can be replayed as graphs.

    State of a row: ``token`` was drawn last, ``length`` tokens were drawn so far (``out``), at most ``limit``
    will be; ``alive`` until then or until a token of its ``stop_set``. Keys and values are
    (layers, rows, kv_heads, answer, head_dim), those of prompts (layers, prompts, kv_heads, prompt, head_dim).
    """

    def __init__(self, sizes: Sizes, shape: Shape, device: torch.device, dtype: torch.dtype) -> None:
        self.shape = shape
        rows, answer = shape.rows, shape.answer

        def make(*size: int, kind: torch.dtype = dtype) -> Tensor:
            return torch.zeros(*size, dtype=kind, device=device)

        own = (sizes.layers, rows, sizes.kv_heads, answer, sizes.head_dim)
        kept = (sizes.layers, shape.prompts, sizes.kv_heads, shape.prompt, sizes.head_dim)
        self.keys, self.values = make(*own), make(*own)
        self.prompt_keys, self.prompt_values = make(*kept), make(*kept)
        self.prompt_length = make(shape.prompts, kind=torch.int32)
        self.prompt_logits = make(shape.prompts, sizes.vocab, kind=torch.float32)

        heads = sizes.heads * sizes.head_dim
        self.x = make(rows, sizes.hidden)
        self.qkv = make(rows, heads + 2 * sizes.kv_heads * sizes.head_dim)
        self.mixed = make(rows, heads)
        self.gate_up = make(rows, 2 * sizes.inner)
        self.gated = make(rows, sizes.inner)
        self.logits = make(rows, sizes.vocab, kind=torch.float32)
        self.scale = make(rows, kind=torch.float32)
        self.every = torch.arange(rows, dtype=torch.int64, device=device)

        self.token = make(rows, kind=torch.int64)
        self.length = make(rows, kind=torch.int32)
        self.limit = make(rows, kind=torch.int32)
        self.alive = make(rows, kind=torch.int8)
        self.stop_set = make(rows, kind=torch.int32)
        self.inverse_temperature = make(rows, kind=torch.float32)
        self.top_p = make(rows, kind=torch.float64)
        self.uniforms = make(rows, answer, kind=torch.float64)
        self.out = make(rows, answer, kind=torch.int32)
        self.tile_prompt = make(rows // TILE, kind=torch.int32)
        self.ends = make(STOP_SETS, sizes.vocab, kind=torch.int8)
        self.cos, self.sin = rotary_table(sizes, shape.prompt + answer, device)

    def part(self, start: int, stop: int) -> Space:
        """Rows from `start` to `stop` only, whole tiles, in the same memory; they are counted from 0."""
        part = copy(self)
        part.shape = replace(self.shape, rows=stop - start)
        part.keys, part.values = self.keys[:, start:stop], self.values[:, start:stop]
        for name in (*_ACTIVATIONS, *_STATE):
            setattr(part, name, getattr(self, name)[start:stop])
        part.every = self.every[: stop - start]
        part.tile_prompt = self.tile_prompt[start // TILE : stop // TILE]
        return part

    def begin(
        self,
        rows: Tensor,
        *,
        uniforms: Tensor,
        limit: Tensor,
        stop_set: Tensor,
        inverse_temperature: Tensor,
        top_p: Tensor,
    ) -> None:
        """Set the state of rows whose draws begin; all arguments are (len(rows), ...) on the device."""
        self.uniforms[rows] = uniforms
        self.length[rows] = 0
        self.limit[rows] = limit
        self.stop_set[rows] = stop_set
        self.inverse_temperature[rows] = inverse_temperature
        self.top_p[rows] = top_p
        self.alive[rows] = 1

    def move(self, source: Tensor) -> None:
        """Row i becomes what row source[i] was, for i below len(source); keys and values move along."""
        count = len(source)
        for name in _STATE:
            tensor = getattr(self, name)
            tensor[:count] = tensor[source]
        for cache in (self.keys, self.values):
            for layer in cache:
                layer[:count] = layer[source]


def rotary_table(sizes: Sizes, positions: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(cos, sin), each (positions, head_dim / 2) float32, rounded as the transformers library rounds them."""
    exponents = torch.arange(0, sizes.head_dim, 2, dtype=torch.float32) / sizes.head_dim
    frequencies = 1.0 / torch.pow(torch.tensor(sizes.rope_theta, dtype=torch.float32), exponents)
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * frequencies
    return angles.cos().to(device), angles.sin().to(device)
