"""What a burst runs in: the weights on their device, the memory laid out for its rows, and the steps."""

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
from workers.engines.torch.network import Stepper, head_logits, padded, prefill
from workers.engines.torch.space import TILE, Shape, Space, planned_bytes, prompt_bytes, row_bytes
from workers.engines.torch.weights import Weights

_PROMPTS = (64, 1024)  # kept at least, where memory allows, and at most
_PROMPT_TOKENS_AT_ONCE = 8192


class Room:
    """Device side of a burst.

    :param check: refuses a request that cannot be, else its prompt's tokens
    :param capacity: rows at most
    :param budget: bytes that the space may take
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
        budget: int,
    ) -> None:
        self.weights, self.sizes, self.codec, self.check = weights, sizes, codec, check
        self.capacity, self._budget, self._ops = capacity, budget, ops
        self._device, self._dtype = weights.head.device, weights.head.dtype
        self._running = torch.cuda.Event() if self._device.type == "cuda" else None
        self._space: Space | None = None
        self._stepper: Stepper | None = None

    @property
    def space(self) -> Space:
        assert self._space is not None
        return self._space

    @property
    def stepper(self) -> Stepper:
        assert self._stepper is not None
        return self._stepper

    @property
    def shape(self) -> Shape:
        return self.space.shape

    def plan(self, *, answer: int, prompt: int, prompts: int) -> Shape:
        """The shape that fits the budget: as many rows as capacity and memory allow.

        :raises EngineOutOfMemory: not even one tile of rows fits
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
        self._stepper = Stepper(self.weights, self.sizes, self._space, self._ops)
        return True

    def clear(self) -> None:
        """Give the space back."""
        self._space = self._stepper = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def halve(self) -> bool:
        """Half the rows from now on; False where only one tile is left."""
        rows = self.shape.rows if self._space is not None else self.capacity
        self.clear()
        self.capacity = rows // 2 // TILE * TILE
        return self.capacity >= TILE

    def bucket(self, rows: int) -> int:
        """Rows that steps run over so that `rows` are among them. Few sizes: each is a graph of its own."""
        if self._device.type != "cuda":
            return -(-rows // TILE) * TILE
        size = self.shape.rows
        while size // 2 >= max(rows, 4 * TILE) and size % (2 * TILE) == 0:
            size //= 2
        return size

    # --- what a burst asks for ---

    def begin(
        self,
        rows: NDArray[np.int64],
        tile_prompt: NDArray[np.int64],
        *,
        prompts: NDArray[np.int64],
        key: NDArray[np.int64],
        draws: NDArray[np.int64],
        limit: NDArray[np.int64],
        stop_set: NDArray[np.int64],
        temperature: NDArray[np.float64],
        top_p: NDArray[np.float64],
        nucleus: bool,
    ) -> None:
        """Draw the first token of rows; arrays are (rows, ...)."""
        on = self._on
        inverse = np.divide(1.0, temperature, out=np.zeros(len(rows)), where=temperature > 0)
        self._set_tiles(tile_prompt)
        row = on(rows)
        uniforms = self._ops.uniform_table(on(key), on(draws), self.shape.answer)
        self.space.begin(
            row,
            uniforms=uniforms,
            limit=on(limit).int(),
            stop_set=on(stop_set).int(),
            inverse_temperature=on(inverse).float(),
            top_p=on(top_p),
        )
        self.stepper.first(row, on(prompts), nucleus=nucleus)

    def run(self, rows: int, steps: int, *, longest: int, nucleus: bool) -> None:
        """Launch steps; see `Stepper.run`."""
        self.stepper.run(rows, steps, longest=longest, nucleus=nucleus)
        if self._running is not None:
            self._running.record()

    def busy(self) -> bool:
        """Whether the device still works on the steps launched last."""
        return self._running is not None and not self._running.query()

    def read(self, rows: int) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]:
        """Wait for the device: which rows are alive, tokens drawn, and the tokens (rows, answer)."""
        space = self.space
        alive = space.alive[:rows].cpu().numpy() > 0
        return alive, space.length[:rows].cpu().numpy().copy(), space.out[:rows].cpu().numpy().copy()

    def stop(self, rows: NDArray[np.int64]) -> None:
        """End rows whose draws nobody needs."""
        self.space.alive[self._on(rows)] = 0

    def move(self, source: NDArray[np.int64], tile_prompt: NDArray[np.int64]) -> None:
        """Row i becomes row source[i], a free row where source[i] is negative; later rows are free."""
        self.space.move(self._on(np.maximum(source, 0)))
        self.space.alive[: len(source)] *= self._on(source >= 0).to(torch.int8)
        self.space.alive[len(source) :] = 0
        self._set_tiles(tile_prompt)

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

    def _set_tiles(self, tile_prompt: NDArray[np.int64]) -> None:
        self.space.tile_prompt.copy_(self._on(np.maximum(tile_prompt, 0)).int())

    def _on(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device, non_blocking=True)
