"""What a burst runs in: the weights on their device, the memory laid out for its rows in lanes, the prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.base import DrawRequest, EngineOutOfMemory
from workers.engines.llama import Sizes
from workers.engines.text import TextCodec
from workers.engines.torch.lane import Lane
from workers.engines.torch.network import head_logits, padded, prefill
from workers.engines.torch.space import TILE, Shape, Space, planned_bytes, prompt_bytes, row_bytes
from workers.engines.torch.weights import Weights

_PROMPTS = (64, 1024)  # kept at least, where memory allows, and at most
_PROMPT_TOKENS_AT_ONCE = 8192


class Room:
    """Device side of a burst.

    Its rows are dealt out to lanes: while the host looks at one, the device runs on with the others, and what is bound
    by memory in one runs beside the matrix products of another.

    check: refuses a request that cannot be, else its prompt's tokens.
    capacity: rows at most.
    lanes: lanes at most; each has at least a tile of rows.
    budget: bytes that the space may take.
    user: the stream whose draws and prompts are in the space.
    """

    def __init__(
        self,
        weights: Weights,
        sizes: Sizes,
        codec: TextCodec,
        ops: Any,
        *,
        check: Callable[[DrawRequest], list[int]],
        capacity: int,
        lanes: int,
        budget: int,
    ) -> None:
        self.weights, self.sizes, self.codec, self.check = weights, sizes, codec, check
        self.capacity, self._most_lanes, self._budget, self._ops = capacity, lanes, budget, ops
        self._device, self._dtype = weights.head.device, weights.head.dtype
        self._space: Space | None = None
        self.lanes: list[Lane] = []
        self.user: object = None

    @property
    def space(self) -> Space:
        assert self._space is not None
        return self._space

    @property
    def shape(self) -> Shape:
        return self.space.shape

    def plan(self, *, answer: int, prompt: int, prompts: int) -> Shape:
        """The shape that fits the budget: as many rows as capacity and memory allow.

        Raises EngineOutOfMemory: not even one tile of rows fits.
        """
        answer = max(8, 1 << (answer - 1).bit_length())
        prompt = -(-prompt // 16) * 16
        item = self._dtype.itemsize
        each = prompt_bytes(self.sizes, prompt, item)
        kept = max(1, min(max(_PROMPTS[0], prompts), _PROMPTS[1], self._budget // 4 // each))
        fixed = planned_bytes(self.sizes, Shape(0, answer, kept, prompt), item)
        rows = min(self.capacity, (self._budget - fixed) // (row_bytes(self.sizes, answer, item) + 1))
        rows = rows // TILE * TILE
        if rows < TILE:
            raise EngineOutOfMemory(
                f"{TILE} draws of {answer} tokens behind {prompt} take "
                f"{planned_bytes(self.sizes, Shape(TILE, answer, 1, prompt), item) >> 20} MiB, "
                f"and {max(0, self._budget) >> 20} are left beside the weights; "
                "lower max_tokens, shorten prompts or give the engine more memory"
            )
        return Shape(rows, answer, kept, prompt)

    def prepare(self, *, answer: int, prompt: int, prompts: int) -> bool:
        """Lay the space out for answers and prompts up to these lengths; whether it was made anew."""
        if self._space is not None:
            shape = self.shape
            if answer <= shape.answer and prompt <= shape.prompt:
                return False
            answer, prompt = max(answer, shape.answer), max(prompt, shape.prompt)
        shape = self.plan(answer=answer, prompt=prompt, prompts=prompts)
        self.clear()
        self._space = Space(self.sizes, shape, self._device, self._dtype)
        tiles = shape.rows // TILE
        count = min(self._most_lanes, tiles)
        ends = [tiles * number // count * TILE for number in range(count + 1)]
        self.lanes = [
            Lane(number, self.weights, self.sizes, self._space.part(*ends[number : number + 2]), self._ops)
            for number in range(count)
        ]
        return True

    def clear(self) -> None:
        """Give the space back."""
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)  # a lane may still be running in it
        for lane in self.lanes:
            lane.release()
        self._space, self.lanes = None, []
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def halve(self) -> bool:
        """Half the rows from now on; False where only one tile is left."""
        rows = self.shape.rows if self._space is not None else self.capacity
        self.clear()
        self.capacity = rows // 2 // TILE * TILE
        return self.capacity >= TILE

    # --- what all lanes share ---

    def set_ends(self, number: int, stop: tuple[str, ...]) -> bool:
        """Make tokens that end an answer by themselves known to the device under a number; False: no place is left."""
        if number >= len(self.space.ends):
            return False
        self.space.ends[number] = self._on(self.codec.ends_alone(stop)).to(torch.int8)
        return True

    def run_prompts(self, prompts: Sequence[tuple[int, tuple[int, ...]]]) -> None:
        """Keys, values and last logits of (place, tokens) on the shelf."""
        space = self.space
        longest = max(len(ids) for _, ids in prompts)
        step = max(1, _PROMPT_TOKENS_AT_ONCE // longest)
        for start in range(0, len(prompts), step):
            part = prompts[start : start + step]
            places = self._on(np.array([place for place, _ in part]))
            tokens = padded([ids for _, ids in part], self._device)
            keep = partial(self._keep, places)
            hidden = prefill(self.weights, self.sizes, tokens, (space.cos, space.sin), keep)
            lengths = self._on(np.array([len(ids) for _, ids in part]))
            last = hidden[torch.arange(len(part), device=self._device), lengths - 1]
            space.prompt_logits[places] = head_logits(self.weights, last)
            space.prompt_length[places] = lengths.int()

    def _keep(self, places: Tensor, index: int, keys: Tensor, values: Tensor) -> None:
        length = keys.shape[2]
        self.space.prompt_keys[index, places, :, :length] = keys
        self.space.prompt_values[index, places, :, :length] = values

    def _on(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device, non_blocking=True)
