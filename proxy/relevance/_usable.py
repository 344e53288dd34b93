"""The models and candidates that can be studied for a target, and why the others cannot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proxy._arrays import Floats
from proxy._text import counted
from proxy.errors import ProxyError
from proxy.relevance.one_way_normalisation import FLAT
from proxy.scores.matrix import ScoreMatrix

LEAST_MODELS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Usable:
    """y, x: scores on the target (models) and on the candidates (models x tasks), higher is better.

    models, tasks: their names. without_target: models left out because the target is unscored. left_out: candidate ->
    why it cannot be used.
    """

    y: Floats
    x: Floats
    models: tuple[str, ...]
    tasks: tuple[str, ...]
    without_target: tuple[str, ...]
    left_out: dict[str, str]


def usable(matrix: ScoreMatrix, target: str, candidates: Sequence[str] | None) -> Usable:
    """What of a matrix can be studied; refused where that is nothing."""
    scored = np.isfinite(matrix.column(target))
    if scored.sum() < LEAST_MODELS:
        raise ProxyError(
            f"{counted(int(scored.sum()), 'model has', 'models have')} a score on the target {target!r}, but "
            f"relevance needs at least {LEAST_MODELS}; add models"
        )
    if candidates is not None and target in candidates:
        raise ProxyError(f"the target {target!r} is among the candidates; leave it out")
    kept = matrix.select(models=[m for m, has in zip(matrix.models, scored, strict=True) if has])
    y = kept.select(tasks=[target]).oriented()[:, 0]
    if _is_flat(y):
        raise ProxyError(
            f"the target {target!r} is {kept.column(target)[0]:g} for every model, and nothing relates to a constant; "
            "choose models that can do it, or another target"
        )
    tasks = []
    left_out = {}
    columns = dict(zip(kept.tasks, kept.scores.T, strict=True))
    for task in candidates or matrix.tasks:
        if task == target:
            continue
        objection = _objection(columns[task] if task in columns else kept.column(task), y)
        if objection:
            left_out[task] = objection
        else:
            tasks.append(task)
    if not tasks:
        why = f" ({next(iter(left_out))}: {next(iter(left_out.values()))})" if left_out else ""
        raise ProxyError(f"no candidate task is left beside {target!r}{why}; add tasks")
    return Usable(
        y=y,
        x=kept.select(tasks=tasks).oriented(),
        models=kept.models,
        tasks=tuple(tasks),
        without_target=tuple(m for m, has in zip(matrix.models, scored, strict=True) if not has),
        left_out=left_out,
    )


def _objection(column: Floats, y: Floats) -> str:
    """Why a candidate cannot be used; empty if it can."""
    known = np.isfinite(column)
    if known.sum() < LEAST_MODELS:
        have = counted(int(known.sum()), "model has", "models have")
        return f"{have} a score on it and on the target; at least {LEAST_MODELS} are needed"
    if _is_flat(column[known]):
        return f"the same score, {column[known][0]:g}, for every model: it tells nothing apart"
    if _is_flat(y[known]):
        return "the target is the same for all models that have a score on it"
    return ""


def _is_flat(values: Floats) -> bool:
    return bool(np.ptp(values) <= FLAT * np.abs(values).max(initial=1e-300))
