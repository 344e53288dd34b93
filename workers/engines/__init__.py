"""Engines: what draws answers from a checkpoint. Each kind is imported only when it is opened."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_args, get_type_hints

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

#: The types of plain options, as a person calls them.
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "nothing"}


def open_engine(kind: str, path: str | Path, **options: Any) -> Engine:
    """Open a checkpoint with an engine of the kind.

    path: the checkpoint's folder; for `openai` the model's name at its endpoints.
    options: keyword arguments of that engine.

    Raises EngineRefusal: an unknown kind, an option that it does not take, or a checkpoint that it cannot run.
    """
    if kind not in KINDS:
        raise EngineRefusal(f"unknown engine {kind!r}; known: {', '.join(KINDS)}")
    module, name = KINDS[kind]
    kind_of_engine = getattr(importlib.import_module(module), name)
    _check_options(kind, kind_of_engine.__init__, options)
    engine: Engine = kind_of_engine(path, **options)
    return engine


def _check_options(kind: str, init: Callable[..., None], options: dict[str, Any]) -> None:
    """Refuse what the engine's constructor does not take: a name, or a value of another type."""
    types = get_type_hints(init)
    takes = [name for name, one in signature(init).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for name, value in options.items():
        if name not in takes:
            raise EngineRefusal(f"the {kind} engine has no option {name!r}; it takes {', '.join(takes)}")
        plain = [one for one in (get_args(types[name]) or (types[name],)) if one in WORDS]
        fits = any(type(value) is one or (one is float and type(value) is int) for one in plain)
        if plain and not fits and not isinstance(value, Path):
            wanted = " or ".join(WORDS[one] for one in plain if one is not type(None))
            raise EngineRefusal(f"option {name} of the {kind} engine must be {wanted}, not {value!r:.60}")
