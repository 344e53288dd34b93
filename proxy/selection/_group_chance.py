"""Is anything above guessing, asked of the small models of both groups together where there are groups?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from proxy._arrays import Floats
from proxy.scores.chance import AboveChance, above_chance
from proxy.scores.matrix import ScoreMatrix


def above_chance_of(
    matrix: ScoreMatrix,
    data_group: ScoreMatrix | None,
    noise_group: ScoreMatrix | None,
    tasks: list[str],
    alpha: float,
) -> dict[str, AboveChance]:
    """Above-chance tests over the small models where there are groups, else over the matrix."""
    if data_group is None or noise_group is None:
        return above_chance(matrix, tasks=tasks, alpha=alpha)
    groups = _stacked(data_group, noise_group, [task for task in tasks if task in data_group.tasks])
    if groups is None:
        return {}
    baseline = {task: chance for task, chance in matrix.baseline.items() if task in groups.tasks}
    return above_chance(groups.with_facts(baseline={**baseline, **groups.baseline}), alpha=alpha)


def _stacked(first: ScoreMatrix, second: ScoreMatrix, tasks: Sequence[str]) -> ScoreMatrix | None:
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
