"""Engines: what draws answers from a checkpoint. Each kind is imported only when it is opened."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from workers.engines.base import (
    DrawRequest,
    Engine,
    EngineError,
    EngineGarbage,
    EngineOutOfMemory,
    EngineRefusal,
    Score,
    Stream,
    Wave,
    check_context,
    check_request,
)
from workers.engines.garbage import check_wave

__all__ = [
    "KINDS",
    "DrawRequest",
    "Engine",
    "EngineError",
    "EngineGarbage",
    "EngineOutOfMemory",
    "EngineRefusal",
    "Score",
    "Stream",
    "Wave",
    "check_context",
    "check_request",
    "check_wave",
    "open_engine",
]

KINDS = {
    "openai": ("workers.engines.openai", "OpenAIEngine"),
    "reference": ("workers.engines.reference", "ReferenceEngine"),
    "vllm": ("workers.engines.vllm", "VllmEngine"),
    "torch": ("workers.engines.torch", "TorchEngine"),
}


def open_engine(kind: str, path: str | Path, **options: Any) -> Engine:
    """Open a checkpoint with an engine of the kind.

    path: the checkpoint's folder; for `openai` the model's name at its endpoints.
    options: keyword arguments of that engine.

    Raises EngineRefusal: an unknown kind, or a checkpoint that this engine cannot run.
    """
    if kind not in KINDS:
        raise EngineRefusal(f"unknown engine {kind!r}; known: {', '.join(KINDS)}")
    module, name = KINDS[kind]
    engine: Engine = getattr(importlib.import_module(module), name)(path, **options)
    return engine
