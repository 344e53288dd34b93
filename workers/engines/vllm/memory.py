"""Does a checkpoint fit the device? Asked before anything is allocated."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from firstlight.files.model_folder import ModelFolder
from firstlight.files.model_shapes import ConfigError, head_sizes, whole
from workers.engines.base import EngineOutOfMemory, EngineRefusal

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GIB = 1 << 30
_CONTEXT_AND_GRAPHS = 3 * GIB // 2


@dataclass(frozen=True)
class Plan:
    """Bytes that an engine will take of its device.

    weights: all parameters, in the dtype that they are run in.
    kv_token: keys and values of one token; 0 for an architecture whose cache is of another kind.
    """

    folder: ModelFolder
    weights: int
    kv_token: int
    context: int

    @property
    def least(self) -> int:
        """Below this not even one sequence fits."""
        return self.weights + self.kv_token * self.context

    def check_share(self, share: float, *, total: int, free: int) -> None:
        """A GPU, of which the engine takes its whole share.

        share: part of the device for this engine; the others are left to other processes.
        total: bytes of the device, of which `free` are free.

        Raises EngineRefusal: the weights and one sequence exceed the share.
        Raises EngineOutOfMemory: the share is not free now.
        """
        budget = int(share * total)
        if self.least > budget:
            remedy = "raise the share, shorten the context or take a larger device"
            raise EngineRefusal(
                f"{self._need()} need {_gib(self.least)}, but the engine's share ({share:g}) of the device is "
                f"{_gib(budget)}; {remedy}"
            )
        if budget > free:
            raise EngineOutOfMemory(
                f"{self.folder.path}: the engine's share ({share:g}) of the device is {_gib(budget)}, but only "
                f"{_gib(free)} are free; lower the share or end the other processes on the device"
            )

    def cache_beside_others(self, share: float, *, total: int, sequences: int, batched_tokens: int) -> int:
        """The cache of an engine on a GPU that other processes share: what its share leaves, by count.

        vLLM would find that out by a trial run, and takes for its own what another process that starts at the
        same time allocates meanwhile. Counted are the logits of all sequences (in the dtype, in float32, and a
        copy of these), the states of a full step in the widest layer, and CUDA's context with its graphs.

        Raises EngineRefusal: less than one sequence is left.
        """
        shape = self.folder.shape()
        width = shape.get("hidden_size", 0) + 2 * shape.get(
            "intermediate_size", 4 * shape.get("hidden_size", 0)
        )
        working = 12 * sequences * self.folder.vocab_size + 8 * batched_tokens * width + _CONTEXT_AND_GRAPHS
        cache = int(share * total) - self.weights - working
        if cache < max(1, self.kv_token * self.context):
            raise EngineRefusal(
                f"{self._need()} need {_gib(self.least)} beside {_gib(working)} to work in, but the engine's share "
                f"({share:g}) of the device is {_gib(int(share * total))}; raise the share or lower `sequences`"
            )
        return min(cache, self.kv_token * self.context * sequences) if self.kv_token else cache

    def cache_bytes(self, sequences: int, *, free: int) -> int:
        """A CPU, of which the engine takes what it can use: a cache for all its sequences, 1 GiB at most.

        Raises EngineOutOfMemory: the weights and the cache exceed what is free now.
        """
        cache = max(self.kv_token * self.context, min(GIB, self.kv_token * self.context * sequences))
        if self.weights + cache > free:
            raise EngineOutOfMemory(
                f"{self._need()} need {_gib(self.weights + cache)}, but {_gib(free)} are free; "
                "shorten the context or end other processes"
            )
        return cache or GIB

    def _need(self) -> str:
        return f"{self.folder.path}: weights of {_gib(self.weights)} and a context of {self.context} tokens"


def plan_memory(folder: ModelFolder, dtype: str, context: int) -> Plan:
    """What a checkpoint needs when it is run in `dtype`."""
    shape = folder.shape()
    try:
        layers = whole(shape, "num_hidden_layers")
        _, kv_heads, head_dim = head_sizes(shape)
        kv_token = 2 * layers * kv_heads * head_dim * DTYPE_BYTES[dtype]
    except ConfigError:
        kv_token = 0
    return Plan(folder, folder.n_params_total * DTYPE_BYTES[dtype], kv_token, context)


def available_memory() -> int:
    """Bytes that this machine can give without swapping."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
