"""The tables of a relevance study: every candidate, by every metric, with nulls, intervals and influence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy.choices import METRICS
from proxy.errors import ProxyError
from proxy.relevance._large import LARGE, MOST_LEFT_OUT_OF_LARGE, PARTNERS
from proxy.relevance._usable import Usable
from proxy.relevance.correlation import correlations, permuted_correlations, set_correlations
from proxy.relevance.fisher_intervals import fisher_intervals
from proxy.relevance.max_t import max_t
from proxy.relevance.normalisation import TwoWayNormaliser
from proxy.relevance.partial_correlation import partial_correlations
from proxy.relevance.task_relevance import TaskRelevance

#: Up to so many models each is left out once.
MOST_LEFT_OUT = 2000


def fitted_normaliser(scores: Usable, notes: list[str]) -> TwoWayNormaliser | None:
    """The two-way normalisation of the scores, or None and a note that says why there is none."""
    few = np.isfinite(scores.x).sum(axis=1) < 2
    if few.any():
        notes.append(
            "two-way normalisation needs 2 candidate scores of every model; "
            f"{scores.models[int(np.argmax(few))]} has fewer"
        )
        return None
    normaliser = TwoWayNormaliser().fit(scores.x, scores.y)
    try:
        normaliser.transform(scores.x)
    except ProxyError as error:
        notes.append(f"two-way normalisation is not possible: {error}")
        return None
    return normaliser


def two_way_nulls(normaliser: TwoWayNormaliser, x: Floats, y: Floats, orders: NDArray[np.intp]) -> Floats:
    """Permuted targets, each normalised with the level of the model that receives it.

    The sample step takes each model's own level off a target that no longer belongs to it. That alone correlates
    with the candidates' profiles, so this null is not centred at 0, and a two-way relevance must be held against it.
    """
    # transform_target is affine in y, model by model: two targets give its slope and offset.
    zero, one = (normaliser.transform_target(x, np.full(len(y), value)) for value in (0.0, 1.0))
    return np.asarray(zero + (one - zero) * y[orders])


def task_table(
    x: Floats, y: Floats, *, tasks: Sequence[str], models: Sequence[str], nulls: Floats, level: float
) -> tuple[dict[str, TaskRelevance], float]:
    """Task -> its relevance, and the general factor's share of variance. nulls: permutations x models."""
    value = correlations(x, y)
    large = x.size > LARGE
    null = permuted_correlations(x, nulls, partners=PARTNERS if large else None)
    each = len(y) <= (MOST_LEFT_OUT_OF_LARGE if large else MOST_LEFT_OUT)
    left_out = set_correlations(x, y, 1.0 - np.eye(len(y))) if each else None
    partial, share = partial_correlations(x, y, value)
    counts = np.isfinite(x).sum(axis=0)
    # task -> field -> metric -> number
    rows: dict[str, dict[str, dict[str, Any]]] = {task: {} for task in tasks}
    for metric in METRICS:
        p, adjusted, null_mean = max_t(value[metric], null[metric])
        low, high = fisher_intervals(metric, value[metric], counts, level)
        for i, task in enumerate(tasks):
            fields = {
                "value": value[metric][i],
                "low": low[i],
                "high": high[i],
                "p_value": p[i],
                "p_adjusted": adjusted[i],
                "null_mean": null_mean[i],
                "partial": partial[metric][i],
            }
            numbers = {name: float(number) for name, number in fields.items()}
            without = None if left_out is None else left_out[metric][i]
            influence = _influence(without, value[metric][i], models)
            for name, entry in {**numbers, **influence}.items():
                rows[task].setdefault(name, {})[metric] = entry
    table = {
        task: TaskRelevance(task=task, models=int(count), **rows[task])
        for task, count in zip(tasks, counts, strict=True)
    }
    return table, share


def _influence(each: Floats | None, value: float, models: Sequence[str]) -> dict[str, Any]:
    """The range of a correlation with each model left out, and the model that moves it most."""
    if each is None or not np.isfinite(each).any():
        return {"left_out_low": math.nan, "left_out_high": math.nan, "most_influential": ""}
    return {
        "left_out_low": float(np.nanmin(each)),
        "left_out_high": float(np.nanmax(each)),
        "most_influential": models[int(np.nanargmax(np.abs(each - value)))],
    }
