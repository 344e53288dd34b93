"""Rows that step together: a part of the space, its graphs, and on a GPU a stream of its own."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.llama import Sizes
from workers.engines.torch.network import Stepper
from workers.engines.torch.space import TILE, Space
from workers.engines.torch.weights import Weights


@cache
def _stream(device: torch.device, number: int) -> torch.cuda.Stream:
    """One for each lane as long as the process lives: cuBLAS keeps a workspace for every stream it ever saw."""
    return torch.cuda.Stream(device)


class Lane:
    """Device side of some rows. What is launched on one lane runs beside what is launched on another.

    number: of this lane.
    space: the rows of this lane only.
    rows: how many.
    """

    def __init__(self, number: int, weights: Weights, sizes: Sizes, space: Space, ops: Any) -> None:
        self.space, self._ops, self.rows = space, ops, space.shape.rows
        self.stepper = Stepper(weights, sizes, space, ops)
        self._device = weights.head.device
        self._gpu = self._device.type == "cuda"
        if self._gpu:
            self._stream = _stream(self._device, number)
            self._running = torch.cuda.Event()
            self._follow()

    def release(self) -> None:
        """Let go of the memory; a stream that nobody uses any more may still hold this lane."""
        del self.space, self.stepper

    def bucket(self, rows: int) -> int:
        """Rows that steps run over so that `rows` are among them. Few sizes: each is a graph of its own."""
        if not self._gpu:
            return -(-rows // TILE) * TILE
        size = self.rows
        while size // 2 >= max(rows, 4 * TILE) and size % (2 * TILE) == 0:
            size //= 2
        return size

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
        self._follow()  # the prompts and the sets of ending tokens
        with self._here():
            self._set_tiles(tile_prompt)
            row = on(rows)
            uniforms = self._ops.uniform_table(on(key), on(draws), self.space.shape.answer)
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
        with self._here():
            self.stepper.run(rows, steps, longest=longest, nucleus=nucleus)
            if self._gpu:
                self._running.record()

    def busy(self) -> bool:
        """Whether the device still works on the steps launched last."""
        return self._gpu and not self._running.query()

    def read(self, rows: int) -> tuple[NDArray[np.bool_], NDArray[np.int32], NDArray[np.int32]]:
        """Wait for this lane: which rows are alive, tokens drawn, and the tokens (rows, answer)."""
        space = self.space
        with self._here():
            alive = space.alive[:rows].cpu().numpy() > 0
            return alive, space.length[:rows].cpu().numpy().copy(), space.out[:rows].cpu().numpy().copy()

    def stop(self, rows: NDArray[np.int64]) -> None:
        """End rows whose draws nobody needs."""
        with self._here():
            self.space.alive[self._on(rows)] = 0

    def move(self, source: NDArray[np.int64], tile_prompt: NDArray[np.int64]) -> None:
        """Row i becomes row source[i], a free row where source[i] is negative; later rows are free."""
        with self._here():
            self.space.move(self._on(np.maximum(source, 0)))
            self.space.alive[: len(source)] *= self._on(source >= 0).to(torch.int8)
            self.space.alive[len(source) :] = 0
            self._set_tiles(tile_prompt)

    def _here(self) -> AbstractContextManager[Any]:
        return torch.cuda.stream(self._stream) if self._gpu else nullcontext()

    def _follow(self) -> None:
        """What is launched from here on waits for what was launched outside of the lanes."""
        if self._gpu:
            self._stream.wait_stream(torch.cuda.current_stream(self._device))

    def _set_tiles(self, tile_prompt: NDArray[np.int64]) -> None:
        self.space.tile_prompt.copy_(self._on(np.maximum(tile_prompt, 0)).int())

    def _on(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self._device, non_blocking=True)
