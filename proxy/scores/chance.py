"""Is anything above guessing on a task? Asked before the task may weigh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom, norm
from scipy.stats import t as student

from proxy._arrays import Floats
from proxy._checks import real
from proxy._holm import holm
from proxy.scores.matrix import ScoreMatrix


@dataclass(frozen=True, slots=True)
class AboveChance:
    """A task's scores against guessing.

    baseline: score of guessing. mean: mean over the models. test: "binomial" (items known), "z" (standard errors
    known) or "t" (neither). p_value: one-sided, of no model above guessing. p_adjusted: Holm over the tasks tested
    together. above: p_adjusted <= alpha.
    """

    task: str
    baseline: float
    mean: float
    test: str
    p_value: float
    p_adjusted: float
    above: bool


def above_chance(
    matrix: ScoreMatrix, *, tasks: Sequence[str] | None = None, alpha: float = 0.05
) -> dict[str, AboveChance]:
    """Test of every task whose baseline is known and where higher is better; other tasks are absent.

    Where the number of items is known: for each model the exact binomial chance of at least so many right answers
    by guessing, and the smallest of them times the number of models (Bonferroni: models share items and bad habits,
    so they are not independent). Where only standard errors are known: likewise with a normal. Otherwise a one-sided
    t test over the models, which asks whether they are above guessing on average.

    >>> matrix = ScoreMatrix(("a", "b", "c"), ("q", "r"), [[0.26, 0.4], [0.25, 0.5], [0.24, 0.45]],
    ...                      n=[[100, 100]] * 3, baseline={"q": 0.25, "r": 0.25})
    >>> {task: one.above for task, one in above_chance(matrix).items()}
    {'q': False, 'r': True}
    """
    alpha = real("alpha", alpha, least=0.0, most=1.0)
    found: dict[str, tuple[float, float, str, float]] = {}
    for task in tasks if tasks is not None else matrix.tasks:
        if task not in matrix.baseline or matrix.direction.get(task, 1) == -1:
            continue
        place = matrix.tasks.index(task)
        scores = matrix.scores[:, place]
        known = np.isfinite(scores)
        if not known.any():
            continue
        baseline = matrix.baseline[task]
        test, p = _p_value(
            scores[known],
            baseline,
            None if matrix.n is None else matrix.n[known, place],
            None if matrix.stderr is None else matrix.stderr[known, place],
            matrix.scale.get(task, math.nan),
        )
        found[task] = (baseline, float(scores[known].mean()), test, p)
    adjusted: Sequence[float] = holm([one[3] for one in found.values()]).tolist() if found else []
    return {
        task: AboveChance(task, *one, float(p), bool(p <= alpha))
        for (task, one), p in zip(found.items(), adjusted, strict=True)
    }


def above_chance_of(
    matrix: ScoreMatrix,
    data_group: ScoreMatrix | None,
    noise_group: ScoreMatrix | None,
    tasks: list[str],
    alpha: float,
) -> dict[str, AboveChance]:
    """Above-chance tests over the small models where there are groups, else over the matrix."""
    baseline = {task: matrix.baseline[task] for task in tasks if task in matrix.baseline}
    if data_group is None or noise_group is None:
        return above_chance(matrix, tasks=tasks, alpha=alpha)
    both = stacked(data_group, noise_group, [task for task in tasks if task in data_group.tasks])
    if both is None:
        return {}
    facts = {task: chance for task, chance in baseline.items() if task in both.tasks}
    known = both.with_facts(baseline={**facts, **both.baseline})
    return above_chance(known, alpha=alpha)


def stacked(first: ScoreMatrix, second: ScoreMatrix, tasks: Sequence[str]) -> ScoreMatrix | None:
    """Both groups as one matrix of the shared tasks; models of the same name in both are told apart."""
    shared = [task for task in tasks if task in second.tasks]
    if not shared:
        return None
    a, b = first.select(tasks=shared), second.select(tasks=shared)

    def both(name: str) -> Floats | None:
        one, two = getattr(a, name), getattr(b, name)
        if one is None and two is None:
            return None
        parts = [np.full(m.shape, np.nan) if part is None else part for m, part in ((a, one), (b, two))]
        return np.vstack(parts)

    return ScoreMatrix(
        tuple(f"{name} (data)" for name in a.models) + tuple(f"{name} (noise)" for name in b.models),
        tuple(shared),
        np.vstack([a.scores, b.scores]),
        stderr=both("stderr"),
        n=both("n"),
        direction={**b.direction, **a.direction},
        baseline={**b.baseline, **a.baseline},
        scale={task: a.scale.get(task, b.scale.get(task, math.nan)) for task in shared},
    )


def _p_value(
    scores: Floats, baseline: float, n: Floats | None, stderr: Floats | None, scale: float
) -> tuple[str, float]:
    if n is not None and math.isfinite(scale) and 0 < baseline < scale and np.isfinite(n).any():
        known = np.isfinite(n)
        items = np.round(n[known])
        right = np.round(scores[known] / scale * items)
        each = np.asarray(binom.sf(right - 1, items, baseline / scale))
        return "binomial", min(1.0, float(each.min()) * known.sum())
    if stderr is not None and (stderr > 0).any():
        known = stderr > 0
        best = float(np.max((scores[known] - baseline) / stderr[known]))
        return "z", min(1.0, float(norm.sf(best)) * float(known.sum()))
    if len(scores) < 2:
        return "t", 1.0
    spread = float(scores.std(ddof=1))
    above = float(scores.mean()) - baseline
    if spread == 0:
        return "t", 0.0 if above > 0 else 1.0
    return "t", float(student.sf(above / (spread / math.sqrt(len(scores))), len(scores) - 1))
