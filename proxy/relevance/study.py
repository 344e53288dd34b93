"""Relevance of candidate tasks for a target: raw and two-way, with null, intervals, stability and a factor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from proxy._arrays import Floats
from proxy._checks import confidence, one_of, whole
from proxy.errors import ProxyError
from proxy.relevance.consistency import choose_metric
from proxy.relevance.inference import intervals, max_t, partial_correlations
from proxy.relevance.kernels import (
    METRICS,
    MOST_MODELS,
    correlations,
    permuted_correlations,
    set_correlations,
)
from proxy.relevance.normalisation import FLAT, TwoWayNormaliser
from proxy.relevance.task_relevance import RelevanceStudy, TaskRelevance
from proxy.scores.flags import flag_tasks
from proxy.scores.matrix import ScoreMatrix

NORMALISATIONS = ("raw", "two_way")
LEAST_MODELS = 4
#: Of so many models a permutation takes long, and its null is narrow.
FEW_PERMUTATIONS = 99


def study_relevance(
    matrix: ScoreMatrix,
    target: str,
    *,
    candidates: Sequence[str] | None = None,
    metric: str = "auto",
    normalisation: str = "raw",
    subset: int | None = None,
    top: int | None = None,
    rounds: int = 1000,
    permutations: int = 1999,
    level: float = 0.9,
    seed: int = 0,
) -> RelevanceStudy:
    """Relevance of every candidate for the target, by every metric, raw and two-way.

    matrix: scores; those of tasks where lower is better are turned first. candidates: all other tasks by default.
    metric: "auto" (Algorithm 1 decides) or a name. normalisation: "raw" or "two_way", which table ranks the tasks;
    both are always computed. subset, top, rounds: of Algorithm 1. permutations: of the target over the models; 0
    leaves the p values out. seed: of the rounds and the permutations. level: of the intervals.

    Models without a target score are left out and named. Candidates with fewer than 4 models, or constant on them,
    are left out with the reason. Raises ProxyError where fewer than 4 models, or no candidates, remain, and for a
    constant target.
    """
    one_of("metric", metric, ("auto", *METRICS))
    one_of("normalisation", normalisation, NORMALISATIONS)
    level, permutations = confidence(level), whole("permutations", permutations)
    used, y, x, names, left_out, without = _prepare(matrix, target, candidates)
    notes = list(matrix.notes)
    if without:
        notes.append(f"{len(without)} models have no score on {target} and were left out")
    views = {"raw": (x, y)}
    normaliser = None
    if len(names) >= 2:
        normaliser = _two_way(x, y, names, used, notes)
        if normaliser is not None:
            views["two_way"] = (normaliser.transform(x), normaliser.transform_target(x, y))
    else:
        notes.append("two-way normalisation and Algorithm 1 need at least 2 candidates")
    if normalisation not in views:
        raise ProxyError(f"normalisation {normalisation} is not possible here: {notes[-1]}")
    consistency = {}
    if len(names) >= 2:
        for name, (a, b) in views.items():
            consistency[name] = choose_metric(a, b, subset=subset, top=top, rounds=rounds, seed=seed)
    chosen_by = "the caller"
    if metric == "auto":
        metric = consistency[normalisation].metric if consistency else "kendall"
        chosen_by = "Algorithm 1" if consistency else "default"
    if len(y) > MOST_MODELS and permutations > FEW_PERMUTATIONS:
        notes.append(f"{len(y)} models: {FEW_PERMUTATIONS} permutations instead of {permutations}")
        permutations = FEW_PERMUTATIONS
    rng = np.random.default_rng(seed)
    orders = rng.permuted(np.tile(np.arange(len(y)), (permutations, 1)), axis=1)
    tables = {}
    share = math.nan
    for name, (a, b) in views.items():
        two = normaliser if name == "two_way" else None
        nulls = y[orders] if two is None else _two_way_nulls(two, x, y, orders)
        tables[name], factor = _table(a, b, names, used.models, nulls, level)
        share = factor if name == "raw" else share
    return RelevanceStudy(
        target,
        metric,
        normalisation,
        chosen_by,
        tables,
        consistency,
        used.models,
        without,
        left_out,
        flag_tasks(matrix),
        level,
        permutations,
        share,
        tuple(notes),
    )


def _prepare(
    matrix: ScoreMatrix, target: str, candidates: Sequence[str] | None
) -> tuple[ScoreMatrix, Floats, Floats, list[str], dict[str, str], tuple[str, ...]]:
    """The models that have the target, its scores, the usable candidates' scores and names, and what went."""
    scored = np.isfinite(matrix.column(target))
    without = tuple(m for m, has in zip(matrix.models, scored, strict=True) if not has)
    if scored.sum() < LEAST_MODELS:
        raise ProxyError(
            f"{int(scored.sum())} models have a score on the target {target!r}; relevance needs at least "
            f"{LEAST_MODELS}: add models"
        )
    names = [task for task in (candidates or matrix.tasks) if task != target]
    if candidates is not None and target in candidates:
        raise ProxyError(f"the target {target!r} is among the candidates; leave it out")
    used = matrix.select(models=[m for m, has in zip(matrix.models, scored, strict=True) if has])
    y = used.select(tasks=[target]).oriented()[:, 0]
    if _flat(y):
        raise ProxyError(
            f"the target {target!r} is {used.column(target)[0]:g} for every model: nothing relates to a constant; "
            "choose models that can do it, or another target"
        )
    left_out: dict[str, str] = {}
    kept = []
    for task in names:
        column = used.column(task)
        known = np.isfinite(column)
        if known.sum() < LEAST_MODELS:
            left_out[task] = (
                f"{int(known.sum())} models have it and the target; at least {LEAST_MODELS} are needed"
            )
        elif _flat(column[known]):
            left_out[task] = f"the same score, {column[known][0]:g}, for every model: it tells nothing apart"
        elif _flat(y[known]):
            left_out[task] = "the target is constant over the models that have it"
        else:
            kept.append(task)
    if not kept:
        why = f" ({next(iter(left_out))}: {next(iter(left_out.values()))})" if left_out else ""
        raise ProxyError(f"no candidate task is left beside {target!r}{why}; add tasks")
    return used, y, used.select(tasks=kept).oriented(), kept, left_out, without


def _flat(values: Floats) -> bool:
    return bool(np.ptp(values) <= FLAT * np.abs(values).max(initial=1e-300))


def _two_way(
    x: Floats, y: Floats, names: Sequence[str], used: ScoreMatrix, notes: list[str]
) -> TwoWayNormaliser | None:
    few = np.isfinite(x).sum(axis=1) < 2
    if few.any():
        notes.append(
            "two-way normalisation needs 2 candidate scores of every model; "
            f"{used.models[int(np.argmax(few))]} has fewer"
        )
        return None
    normaliser = TwoWayNormaliser().fit(x, y)
    try:
        normaliser.transform(x)
    except ProxyError as error:
        notes.append(f"two-way normalisation is not possible: {error}")
        return None
    return normaliser


def _two_way_nulls(normaliser: TwoWayNormaliser, x: Floats, y: Floats, orders: NDArray[np.intp]) -> Floats:
    """Permuted targets, each normalised with the level of the model that receives it.

    The sample step takes each model's own level off a target that no longer belongs to it. That alone correlates
    with the candidates' profiles, so this null is not centred at 0, and a two-way relevance must be held against it.
    """
    # transform_target is affine in y, model by model: two targets give its slope and offset.
    zero, one = (normaliser.transform_target(x, np.full(len(y), value)) for value in (0.0, 1.0))
    return np.asarray(zero + (one - zero) * y[orders])


def _table(
    x: Floats, y: Floats, names: Sequence[str], models: Sequence[str], nulls: Floats, level: float
) -> tuple[dict[str, TaskRelevance], float]:
    value = correlations(x, y)
    null = permuted_correlations(x, nulls)
    left = set_correlations(x, y, 1.0 - np.eye(len(y))) if len(y) <= 2000 else None
    partial, share = partial_correlations(x, y, value)
    counts = np.isfinite(x).sum(axis=0)
    rows: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in names}
    for metric in METRICS:
        p, adjusted, centre = max_t(value[metric], null[metric])
        low, high = intervals(metric, value[metric], counts, level)
        for i, name in enumerate(names):
            found = {
                "value": value[metric][i],
                "low": low[i],
                "high": high[i],
                "p_value": p[i],
                "p_adjusted": adjusted[i],
                "null_mean": centre[i],
                "partial": partial[metric][i],
                "left_out_low": math.nan,
                "left_out_high": math.nan,
                "most_influential": "",
            }
            if left is not None and np.isfinite(left[metric][i]).any():
                each = left[metric][i]
                found["left_out_low"], found["left_out_high"] = np.nanmin(each), np.nanmax(each)
                found["most_influential"] = models[int(np.nanargmax(np.abs(each - value[metric][i])))]
            for key, number in found.items():
                rows[name].setdefault(key, {})[metric] = number if isinstance(number, str) else float(number)
    table = {
        name: TaskRelevance(task=name, models=int(count), **rows[name])
        for name, count in zip(names, counts, strict=True)
    }
    return table, share
