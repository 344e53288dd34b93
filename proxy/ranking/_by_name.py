"""What belongs to tasks and models, given by name or in order, as arrays in the matrix's order."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np

from proxy._arrays import Floats
from proxy.errors import ProxyError
from proxy.scores.matrix import ScoreMatrix

#: So many names are listed where one is not known.
LISTED = 8


def by_name(what: str, values: Any, names: Sequence[str], kind: str, absent: float = np.nan) -> Floats:
    """One number for each name, from a mapping or in the names' order."""
    if isinstance(values, Mapping):
        unknown = sorted(set(values) - set(names))
        if unknown:
            listed = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
            raise ProxyError(
                f"{what} for {unknown[0]!r}, which is not among the {kind}s: {listed}; "
                "correct the name or leave it out"
            )
        values = [values.get(name, absent) for name in names]
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise ProxyError(f"{what} must be numbers, one for each {kind}") from None
    if array.shape != (len(names),):
        raise ProxyError(
            f"{what} of shape {array.shape} for {len(names)} {kind}s: give one for each, or name them"
        )
    return array


def shares_of(weights: Any, tasks: Sequence[str]) -> Floats:
    """Weights in the order of the tasks, sizes summing to 1."""
    if not isinstance(weights, Mapping) and len(weights) != len(tasks):
        raise ProxyError(f"{len(weights)} weights for {len(tasks)} tasks: give one for each, or name them")
    shares = by_name("a weight", weights, tasks, "task", absent=0.0)
    if not np.isfinite(shares).all():
        raise ProxyError("a weight is not finite: give numbers")
    if np.abs(shares).sum() == 0:
        raise ProxyError("all weights are 0: give at least one task a weight")
    return np.asarray(shares / np.abs(shares).sum())


def per_task(what: str, values: Any, matrix: ScoreMatrix) -> Floats | None:
    """A number at least 0 for each task (noise: or for each score); NaN where unknown."""
    if values is None:
        return None
    whole = what == "noise" and not isinstance(values, Mapping) and np.shape(values) == matrix.shape
    array = np.asarray(values, dtype=np.float64) if whole else by_name(what, values, matrix.tasks, "task")
    if (array < 0).any():
        raise ProxyError(f"{what} holds {np.nanmin(array):g}: it cannot be below 0")
    return array


def per_model(what: str, values: Any, models: Sequence[str]) -> Floats | None:
    """A finite number for every model."""
    if values is None:
        return None
    array = by_name(what, values, models, "model")
    if not np.isfinite(array).all():
        place = int(np.argmax(~np.isfinite(array)))
        raise ProxyError(f"{what} of {models[place]} is {array[place]}: give a number for every model")
    return array


def labels_of(budget: Any, models: Sequence[str]) -> list[Hashable] | None:
    """A budget's label for every model."""
    if budget is None:
        return None
    if isinstance(budget, Mapping):
        missing = [model for model in models if model not in budget]
        if missing:
            raise ProxyError(f"budget has no label for {missing[0]}: give a label for every model")
        return [budget[model] for model in models]
    labels = list(budget)
    if len(labels) != len(models):
        raise ProxyError(f"{len(labels)} budgets for {len(models)} models: give a label for every model")
    return labels
