"""Does a checkpoint fit the device? Asked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from firstlight.registry.model_folder import ModelFolder
from firstlight.registry.model_shapes import ConfigError, head_sizes, whole

from workers.engines.base import EngineRefusal

DTYPE_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
GIB = 1 << 30


@dataclass(frozen=True)
class Plan:
    """Bytes of a device that an engine will take.

    :ivar weights: all parameters in the dtype that they are run in
    :ivar kv_token: keys and values of one token
    :ivar budget: what the engine may take in all
    """

    weights: int
    kv_token: int
    budget: int


def plan_memory(
    folder: ModelFolder, dtype: str, *, context: int, total: int, free: int, share: float
) -> Plan:
    """The plan for a checkpoint on a device of `total` bytes of which `free` are free.

    :param share: part of the device for this engine; the others are left to other processes
    :raises EngineRefusal: the weights and one sequence as long as the context exceed the budget, or the budget
        is not free
    """
    budget = int(share * total)
    try:
        layers = whole(folder.shape(), "num_hidden_layers")
        _, kv_heads, head_dim = head_sizes(folder.shape())
        kv_token = 2 * layers * kv_heads * head_dim * DTYPE_BYTES[dtype]
    except (ConfigError, KeyError):
        kv_token = 0  # an architecture whose cache is of another kind: vLLM's own check decides
    plan = Plan(folder.n_params_total * DTYPE_BYTES[dtype], kv_token, budget)
    need = plan.weights + plan.kv_token * context
    if need > budget:
        raise EngineRefusal(
            f"{folder.path}: weights of {_gib(plan.weights)} and a context of {context} tokens need "
            f"{_gib(need)}, but the engine's share ({share:g}) of the device is {_gib(budget)}; "
            "raise the share, shorten the context or take a larger device"
        )
    if budget > free:
        raise EngineRefusal(
            f"{folder.path}: the engine's share ({share:g}) of the device is {_gib(budget)}, but only "
            f"{_gib(free)} are free; lower the share or end the other processes on the device"
        )
    return plan


def _gib(size: int) -> str:
    return f"{size / GIB:.2f} GiB"
